//! Evidence leaves the building: one instance's bundle.

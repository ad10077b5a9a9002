//! The specification page shows the table that the code runs on.

//! The verifier for a browser: the same code as `gantral-verify`, behind functions that take and return integers.
//!
//! The page of `verifiers/web/` reads the files that a person gives it and hands their bytes over; what they mean is decided in
//! `gantral-evidence`. Nothing here imports anything: a module without imports has no network, no files and no clock.

pub mod answer;
pub mod exports;
pub mod session;

//! Policy points: Rego in a supervised child process.

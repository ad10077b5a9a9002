//! The ledger: append-if-head-is, with everything that must commit together.

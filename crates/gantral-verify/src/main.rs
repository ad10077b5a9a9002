//! The offline verifier for auditors: one bundle, one trust file, one verdict.

fn main() {}

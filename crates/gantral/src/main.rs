//! AI execution control plane: sudo for AI.

fn main() {}

//! Signing keys that are held elsewhere.

mod bao;
mod openbao;

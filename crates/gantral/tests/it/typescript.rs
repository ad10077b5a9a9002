//! The client in TypeScript: built, packed, installed into a clean folder, and used there against this binary.

use std::process::Command;

use crate::support::{part, repository};

#[test]
fn typescript_client_asks_verifies_and_acts_once_as_it_is_packed_and_installed() {
    part("typescript/node_modules");
    let ran = Command::new("node")
        .arg(repository().join("clients/typescript/scripts/test.mjs"))
        .env("GANTRAL_BIN", env!("CARGO_BIN_EXE_gantral"))
        .env("GANTRAL_PARTS", part(""))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
}

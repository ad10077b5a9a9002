//! The verifier in Python, which was written from the pages of the specification, gives the answers that ours gives.

use std::path::{Path, PathBuf};
use std::process::Command;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn runs(script: &str, arguments: &[&str]) {
    let python = repository().join(".parts/python/bin/python");
    assert!(python.exists(), "the parts are missing\nhint: `cargo xtask parts`");
    let mut command = Command::new(python);
    command.arg("-B").arg(repository().join("verifiers/python").join(script)).args(arguments);
    let output = command.output().unwrap();
    let told =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
}

#[test]
fn every_bundle_gets_the_same_answer() {
    runs("check_vectors.py", &[]);
}

#[test]
fn every_primitive_gets_the_same_answer_and_is_what_its_program_writes() {
    runs("make_primitives.py", &["--check"]);
}

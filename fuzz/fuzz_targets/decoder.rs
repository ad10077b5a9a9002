//! Any target of `gantral-fuzz`, fed by coverage: `GANTRAL_FUZZ_TARGET` says which.
#![no_main]

use std::sync::OnceLock;

use gantral_fuzz::target::Target;
use gantral_fuzz::targets::{TARGETS, find};
use libfuzzer_sys::fuzz_target;

/// Returns the target that the environment names.
fn target() -> &'static Target {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var("GANTRAL_FUZZ_TARGET").unwrap_or_default();
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        find(&name).unwrap_or_else(|| panic!("`GANTRAL_FUZZ_TARGET` is none of {}", names.join(", ")))
    })
}

fuzz_target!(|data: &[u8]| {
    if let Err(broken) = (target().check)(data) {
        panic!("{broken}");
    }
});

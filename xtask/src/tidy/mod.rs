//! What the repository asks of itself, beyond what the compiler and clippy see.
//!
//! Each check is a function from values to findings, so that the tests can show it failing on a small input.
//! The same checks run as `cargo xtask tidy` and as tests.

mod arrows;
mod closure;
mod files;
pub mod links;
mod manifests;
mod text;
pub mod tree;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use self::tree::Tree;

/// One thing that is not as it should be, and what to do about it.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// Path in the repository, or the name of a crate.
    place: String,
    /// Counted from 1; 0 when the finding is about the whole place.
    line: usize,
    what: String,
}

impl Finding {
    fn new(place: impl Into<String>, line: usize, what: impl Into<String>) -> Self {
        Self { place: place.into(), line, what: what.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.place, self.what),
            line => write!(f, "{}:{line}: {}", self.place, self.what),
        }
    }
}

type Check = fn(&Tree) -> Vec<Finding>;

/// The checks that need only the files.
const FILE_CHECKS: &[Check] = &[
    files::check_sizes,
    files::check_build_output,
    files::check_decisions,
    files::check_licence,
    files::check_modules_are_named,
    links::check,
    manifests::check_text,
    manifests::check_workspace_dependencies,
    text::check_lengths,
    text::check_functions,
    text::check_marks,
    text::check_machine_paths,
    text::check_module_headers,
    text::check_test_names,
    text::check_places,
];

/// Runs every check over the repository at `root`.
///
/// # Errors
/// When git or cargo cannot tell what the repository contains; a finding is not an error.
pub fn check_repository(root: &Path) -> Result<Vec<Finding>> {
    let tree = Tree::read(root)?;
    let mut findings: Vec<Finding> = FILE_CHECKS.iter().flat_map(|check| check(&tree)).collect();
    let packages = manifests::packages(root)?;
    findings.extend(manifests::check_packages(&packages));
    findings.extend(arrows::check(&packages));
    findings.extend(closure::check_repository(root)?);
    Ok(findings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_repository_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let findings = check_repository(root).unwrap();
        let text: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert!(text.is_empty(), "\n{}", text.join("\n"));
    }

    #[test]
    fn finding_names_its_line_only_when_it_has_one() {
        assert_eq!(Finding::new("a.rs", 3, "long").to_string(), "a.rs:3: long");
        assert_eq!(Finding::new("a.rs", 0, "long").to_string(), "a.rs: long");
    }
}

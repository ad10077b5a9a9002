//! Which files may be in the repository at all.

use super::Finding;
use super::tree::Tree;

/// Larger things are made by a script or belong into a release.
const BYTES_MAX: usize = 1024 * 1024;
const BUILD_FOLDERS: &[&str] = &["target", ".parts", "node_modules", "__pycache__", ".venv", "dist"];
const BUILD_ENDINGS: &[&str] = &[
    ".o",
    ".a",
    ".so",
    ".rlib",
    ".rmeta",
    ".exe",
    ".pyc",
    ".class",
    ".db",
    ".sqlite",
    ".db-wal",
    ".db-shm",
    ".log",
    ".swp",
    ".orig",
    ".rej",
    ".profraw",
    ".pending-snap",
    ".snap.new",
];
const EXECUTABLE: &[&[u8]] = &[b"\x7fELF", b"MZ\x90", b"\xcf\xfa\xed\xfe"];

/// Refuses files that make every clone slow.
pub fn check_sizes(tree: &Tree) -> Vec<Finding> {
    tree.files()
        .filter(|(_, bytes)| bytes.len() > BYTES_MAX)
        .map(|(path, bytes)| {
            Finding::new(path, 0, format!("has {} bytes, more than {BYTES_MAX}", bytes.len()))
        })
        .collect()
}

/// Refuses what a build or a run left behind.
pub fn check_build_output(tree: &Tree) -> Vec<Finding> {
    let left_behind = |path: &str, bytes: &[u8]| {
        path.split('/').any(|part| BUILD_FOLDERS.contains(&part))
            || BUILD_ENDINGS.iter().any(|ending| path.ends_with(ending))
            || EXECUTABLE.iter().any(|magic| bytes.starts_with(magic))
    };
    tree.files()
        .filter(|(path, bytes)| left_behind(path, bytes))
        .map(|(path, _)| Finding::new(path, 0, "is output of a build or a run: remove or ignore it"))
        .collect()
}

/// Asks each decision for a number of its own, in its name and in its title.
pub fn check_decisions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut numbers = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.starts_with("docs/decisions/")) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let Some((number, _)) = name.split_once('-').filter(|(number, slug)| is_decision(number, slug))
        else {
            findings.push(Finding::new(path, 0, "is not named like `0001-what-was-decided.md`"));
            continue;
        };
        if numbers.contains(&number) {
            findings.push(Finding::new(path, 0, format!("takes the number {number} a second time")));
        }
        numbers.push(number);
        if !text.starts_with(&format!("# {number}")) {
            findings.push(Finding::new(path, 1, format!("does not begin with `# {number}` and a title")));
        }
    }
    findings
}

fn is_decision(number: &str, slug: &str) -> bool {
    let is_slug = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    number.len() == 4
        && number.bytes().all(|b| b.is_ascii_digit())
        && slug.strip_suffix(".md").is_some_and(|slug| !slug.is_empty() && slug.chars().all(is_slug))
}

/// Asks for the licence that the manifests name.
pub fn check_licence(tree: &Tree) -> Vec<Finding> {
    let complete = |text: &str| text.contains("Apache License") && text.contains("Version 2.0, January 2004");
    match tree.text("LICENSE") {
        Some(text) if complete(text) => Vec::new(),
        _ => vec![Finding::new("LICENSE", 0, "is not the text of the Apache License 2.0")],
    }
}

/// Finds Rust files that no `mod` names: they look alive and are never compiled.
pub fn check_modules_are_named(tree: &Tree) -> Vec<Finding> {
    tree.texts_ending(&[".rs"])
        .filter(|(path, _)| path.contains("/src/") && !is_named(tree, path))
        .map(|(path, _)| Finding::new(path, 0, "is compiled by nobody: no `mod` names it"))
        .collect()
}

fn is_named(tree: &Tree, path: &str) -> bool {
    let Some((folder, file)) = path.rsplit_once('/') else { return true };
    let (folder, module) = match file {
        "lib.rs" | "main.rs" | "build.rs" => return true,
        "mod.rs" => folder.rsplit_once('/').unwrap_or(("", folder)),
        _ if folder.ends_with("/bin") => return true,
        _ => (folder, file.trim_end_matches(".rs")),
    };
    let parents = [
        format!("{folder}.rs"),
        format!("{folder}/mod.rs"),
        format!("{folder}/lib.rs"),
        format!("{folder}/main.rs"),
    ];
    let declaration = format!("mod {module};");
    parents.iter().filter_map(|parent| tree.text(parent)).any(|text| {
        text.lines().any(|line| line.ends_with(&declaration) && !line.trim_start().starts_with("//"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)]) -> Vec<String> {
        check(&Tree::of(files)).into_iter().map(|finding| finding.place).collect()
    }

    #[test]
    fn file_past_the_limit_is_found() {
        assert!(found(check_sizes, &[("a", &"x".repeat(BYTES_MAX))]).is_empty());
        assert_eq!(found(check_sizes, &[("a", &"x".repeat(BYTES_MAX + 1))]), ["a"]);
    }

    #[test]
    fn output_of_builds_and_runs_is_found() {
        let files = &[
            ("crates/a/target/b", ""),
            ("examples/__pycache__/c.py", ""),
            ("d.db", ""),
            ("e", "\x7fELF"),
            ("src/target.rs", ""),
        ];
        assert_eq!(
            found(check_build_output, files),
            ["crates/a/target/b", "d.db", "e", "examples/__pycache__/c.py"]
        );
    }

    #[test]
    fn decision_without_its_own_number_is_found() {
        let files = &[
            ("docs/decisions/0001-sqlite-first.md", "# 0001: SQLite first"),
            ("docs/decisions/0001-again.md", "# 0001: again"),
            ("docs/decisions/0002-no-title.md", "Why"),
            ("docs/decisions/notes.md", "# notes"),
        ];
        assert_eq!(
            found(check_decisions, files),
            [
                "docs/decisions/0001-sqlite-first.md",
                "docs/decisions/0002-no-title.md",
                "docs/decisions/notes.md"
            ]
        );
    }

    #[test]
    fn missing_or_other_licence_is_found() {
        assert_eq!(found(check_licence, &[]), ["LICENSE"]);
        assert_eq!(found(check_licence, &[("LICENSE", "MIT License")]), ["LICENSE"]);
    }

    #[test]
    fn module_that_nobody_names_is_found() {
        let files = &[
            ("a/src/lib.rs", "mod used;\npub mod deep;\n// mod dead;\n"),
            ("a/src/used.rs", "#[cfg(test)]\nmod tests;"),
            ("a/src/used/tests.rs", ""),
            ("a/src/deep/mod.rs", "pub(crate) mod leaf;"),
            ("a/src/deep/leaf.rs", ""),
            ("a/src/dead.rs", ""),
            ("a/src/bin/tool.rs", ""),
        ];
        assert_eq!(found(check_modules_are_named, files), ["a/src/dead.rs"]);
    }
}

//! What the lines of our files may not say, and how many there may be.

use super::Finding;
use super::tree::Tree;

/// A file past this is two ideas. Aim under half of it.
const LINES_MAX: usize = 800;
/// A function past this does two things. Aim under 70.
const FUNCTION_LINES_MAX: usize = 100;
/// Files that are one on purpose: an auditor reads and copies the whole verifier as one file.
const ONE_FILE: &[&str] = &["verifiers/python/gantral_verify.py"];
const CODE: &[&str] = &[".rs", ".py", ".sh", ".js", ".mjs", ".ts", ".html", ".css", ".rego", ".sql"];

/// Written in halves, so that this file does not find itself.
const MARKS: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X:"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("dbg", "!("),
    concat!("#[ig", "nore"),
    concat!("pytest", ".skip"),
    concat!("mark", ".skip"),
    concat!("mark", ".xfail"),
    concat!("@unittest", ".skip"),
];

/// Folders of one machine. A path in our text means the same everywhere or is left out.
const MACHINE_FOLDERS: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("/Us", "ers/")];

/// A word that must not stand in the shipped code of one folder.
struct Place {
    folder: &'static str,
    word: &'static str,
    why: &'static str,
}

const FLOATS: &str = "floats differ between machines and round; authority counts in integers";

const SILENT: &str = "say `#[expect(…, reason = \"…\")]`, which ends with its reason";

const PLACES: &[Place] = &[
    place("", concat!("#[al", "low"), SILENT),
    place("", concat!("#![al", "low"), SILENT),
    place("crates/gantral-core/src/", "extern crate std", "floor 0 has no `std`"),
    place("crates/gantral-core/src/", "f32", FLOATS),
    place("crates/gantral-core/src/", "f64", FLOATS),
    place("crates/gantral-evidence/src/", "extern crate std", "floor 0 has no `std`"),
    place("crates/gantral-evidence/src/", "f32", FLOATS),
    place("crates/gantral-evidence/src/", "f64", FLOATS),
    place("crates/gantral-engine/src/", "SystemTime", "the clock comes in as a value"),
    place("crates/gantral-engine/src/", "Instant", "the clock comes in as a value"),
    place("crates/gantral-engine/src/", "getrandom", "randomness comes in as a value"),
    place("crates/gantral-engine/src/", "tokio::spawn", "a task needs an owner: a `JoinSet`, or the caller"),
    place("crates/gantral-engine/src/", "std::env", "the engine has no environment"),
    place("crates/gantral-engine/src/", "std::net", "the engine has no network"),
    place("crates/gantral-verify/src/", "std::net", "the verifier has no network"),
    place("crates/gantral-verify/src/", "env::var", "the verifier reads no environment"),
    place("crates/gantral-verify/src/", "process::Command", "the verifier starts nothing"),
];

const fn place(folder: &'static str, word: &'static str, why: &'static str) -> Place {
    Place { folder, word, why }
}

/// Refuses files that hold more than one idea.
pub fn check_lengths(tree: &Tree) -> Vec<Finding> {
    let lengths = tree.texts_ending(CODE).map(|(path, text)| (path, text.lines().count()));
    lengths
        .filter(|(path, lines)| *lines > LINES_MAX && !ONE_FILE.contains(path))
        .map(|(path, lines)| {
            Finding::new(path, 0, format!("has {lines} lines, more than {LINES_MAX}: split it by idea"))
        })
        .collect()
}

/// Refuses functions that do more than one thing; tests may tell long stories.
pub fn check_functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts_ending(&[".rs"]).filter(|(path, _)| !is_test_file(path)) {
        let shipped = shipped_lines(text);
        for at in 0..shipped.len() {
            let Some((number, lines)) = shipped.get(at..).and_then(function_length) else { continue };
            if lines > FUNCTION_LINES_MAX {
                let what = format!("a function of {lines} lines, more than {FUNCTION_LINES_MAX}: split it");
                findings.push(Finding::new(path, number, what));
            }
        }
    }
    findings
}

/// Returns where the function that begins with the first line begins, and how many lines it has, as rustfmt lays them
/// out: its closing brace stands as deep as its first line.
fn function_length(lines: &[(usize, &str)]) -> Option<(usize, usize)> {
    let (start, first) = *lines.first()?;
    let item = first.trim_start();
    let is_function = item.starts_with("fn ")
        || (item.starts_with("pub") || item.starts_with("const "))
            && item.split('(').any(|part| part.contains(" fn "))
        || item.starts_with("async fn ");
    if !is_function || first.ends_with([';', '}']) {
        return None;
    }
    let indent = first.len() - item.len();
    let is_as_deep = |line: &str| line.len() - line.trim_start().len() == indent && !line.is_empty();
    let (end, last) =
        lines.iter().skip(1).find(|(_, line)| is_as_deep(line) && line.ends_with(['}', ';']))?;
    (last.trim() == "}").then(|| (start, end.saturating_sub(start).saturating_add(1)))
}

/// Refuses unfinished work and tests that do not run.
pub fn check_marks(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, number, line) in lines(tree, CODE) {
        for mark in MARKS.iter().filter(|mark| line.contains(**mark)) {
            findings.push(Finding::new(
                path,
                number,
                format!("`{mark}` marks unfinished work: finish it or leave it out"),
            ));
        }
    }
    findings
}

/// Refuses paths that exist on one machine only.
pub fn check_machine_paths(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, number, line) in lines(tree, &[""]) {
        for folder in MACHINE_FOLDERS.iter().filter(|folder| names_absolute(line, folder)) {
            findings.push(Finding::new(path, number, format!("`{folder}` is a folder of one machine")));
        }
    }
    findings
}

/// Says whether `folder` stands in `line` as the beginning of a path, and not inside a longer one.
fn names_absolute(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        before.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '.' | '_' | '-' | '}' | '*' | '~'))
    })
}

/// Asks every module to say first what it is.
pub fn check_module_headers(tree: &Tree) -> Vec<Finding> {
    tree.texts_ending(&[".rs"])
        .filter(|(path, text)| !is_test_file(path) && !text.starts_with("//!"))
        .map(|(path, _)| Finding::new(path, 1, "does not begin with `//!` and what the module is"))
        .collect()
}

/// A test's name is a sentence about the domain; that it is a test is known.
pub fn check_test_names(tree: &Tree) -> Vec<Finding> {
    lines(tree, &[".rs"])
        .filter(|(_, _, line)| line.trim_start().starts_with(concat!("fn te", "st_")))
        .map(|(path, number, _)| {
            Finding::new(path, number, "name the fact that the test proves, without `test_`")
        })
        .collect()
}

/// Keeps words out of the shipped code of a folder; tests may use them.
pub fn check_places(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts_ending(&[".rs"]).filter(|(path, _)| !is_test_file(path)) {
        for (number, line) in shipped_lines(text) {
            let code = line.split("//").next().unwrap_or_default();
            for place in PLACES.iter().filter(|place| path.starts_with(place.folder)) {
                if has_word(code, place.word) {
                    findings.push(Finding::new(path, number, format!("`{}`: {}", place.word, place.why)));
                }
            }
        }
    }
    findings
}

/// Returns the numbered lines of `text` without the items under `#[cfg(test)]`, as rustfmt lays them out.
fn shipped_lines(text: &str) -> Vec<(usize, &str)> {
    let mut shipped = Vec::new();
    let mut lines = (1..).zip(text.lines());
    while let Some((number, line)) = lines.next() {
        if line.trim() != "#[cfg(test)]" {
            shipped.push((number, line));
            continue;
        }
        let indent = line.len() - line.trim_start().len();
        let opens_block = lines.next().is_some_and(|(_, item)| item.ends_with('{'));
        if opens_block {
            // The closing brace stands as deep as the attribute.
            lines.by_ref().find(|(_, item)| *item == format!("{:indent$}}}", ""));
        }
    }
    shipped
}

fn has_word(line: &str, word: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line.get(..at).and_then(|head| head.chars().next_back());
        let after = line.get(at + word.len()..).and_then(|tail| tail.chars().next());
        !before.is_some_and(is_part) && !after.is_some_and(is_part)
    })
}

fn is_test_file(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|part| part == "tests")
}

fn lines<'a>(tree: &'a Tree, endings: &'a [&str]) -> impl Iterator<Item = (&'a str, usize, &'a str)> {
    tree.texts_ending(endings)
        .flat_map(|(path, text)| (1..).zip(text.lines()).map(move |(number, line)| (path, number, line)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(check: fn(&Tree) -> Vec<Finding>, path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).iter().map(|finding| finding.line).collect()
    }

    #[test]
    fn file_of_two_ideas_is_found() {
        assert!(found(check_lengths, "a/b.rs", &"x\n".repeat(LINES_MAX)).is_empty());
        assert_eq!(found(check_lengths, "a/b.rs", &"x\n".repeat(LINES_MAX + 1)), [0]);
        assert!(found(check_lengths, "a/b.json", &"x\n".repeat(LINES_MAX + 1)).is_empty());
    }

    #[test]
    fn function_that_does_two_things_is_found() {
        let body = |lines: usize| "        x;\n".repeat(lines);
        let function = |head: &str, lines| format!("impl A {{\n    {head} {{\n{}    }}\n}}\n", body(lines));
        for head in
            ["fn a()", "pub fn a(&self) -> B", "pub(crate) async fn a()", "const fn a()", "async fn a()"]
        {
            assert!(found(check_functions, "a/src/b.rs", &function(head, FUNCTION_LINES_MAX - 2)).is_empty());
            assert_eq!(found(check_functions, "a/src/b.rs", &function(head, FUNCTION_LINES_MAX - 1)), [2]);
        }
        let long = function("fn a()", FUNCTION_LINES_MAX);
        assert!(found(check_functions, "a/tests/it/b.rs", &long).is_empty());
        let declared = format!("trait A {{\n    fn a(\n        b: B,\n    ) -> C;\n\n{}    }}\n", body(200));
        assert!(found(check_functions, "a/src/b.rs", &declared).is_empty());
    }

    #[test]
    fn lint_that_is_silenced_without_a_reason_is_found() {
        for attribute in ["#[allow(clippy::unwrap_used)]", "#![allow(clippy::panic)]"] {
            assert_eq!(found(check_places, "crates/a/src/b.rs", attribute), [1]);
            assert!(found(check_places, "crates/a/tests/it/main.rs", attribute).is_empty());
        }
        assert!(found(check_places, "a/src/b.rs", "#[expect(clippy::panic, reason = \"why\")]").is_empty());
    }

    #[test]
    fn every_mark_of_unfinished_work_is_found() {
        for mark in MARKS {
            assert_eq!(found(check_marks, "a/b.rs", &format!("fine\n  {mark} later")), [2], "{mark}");
        }
    }

    #[test]
    fn path_of_one_machine_is_found_in_any_text() {
        for folder in MACHINE_FOLDERS {
            assert_eq!(found(check_machine_paths, "docs/a.md", &format!("see `{folder}x`")), [1]);
            assert!(
                found(check_machine_paths, "docs/a.md", &format!("docs{folder}x or ../a{folder}")).is_empty()
            );
        }
    }

    #[test]
    fn module_without_a_header_is_found() {
        assert_eq!(found(check_module_headers, "a/src/b.rs", "use x;\n//! late"), [1]);
        assert!(found(check_module_headers, "a/src/b.rs", "//! What b is.\n").is_empty());
        assert!(found(check_module_headers, "a/src/b/tests.rs", "use super::*;").is_empty());
        assert!(found(check_module_headers, "a/tests/it/b.rs", "use x;").is_empty());
    }

    #[test]
    fn name_that_only_says_test_is_found() {
        assert_eq!(found(check_test_names, "a/b.rs", concat!("    fn te", "st_vote() {}")), [1]);
        assert!(found(check_test_names, "a/b.rs", "    fn second_vote_is_refused() {}").is_empty());
    }

    #[test]
    fn clock_in_the_engine_is_found_but_not_in_its_tests() {
        let path = "crates/gantral-engine/src/a.rs";
        assert_eq!(found(check_places, path, "use std::time::SystemTime;"), [1]);
        assert!(found(check_places, path, "// no SystemTime here\nlet instance = Instance;").is_empty());
        assert!(
            found(check_places, "crates/gantral-engine/src/a/tests.rs", "use std::time::Instant;").is_empty()
        );
        assert!(
            found(check_places, path, "#[cfg(test)]\nmod tests {\n    use std::time::Instant;\n}").is_empty()
        );
        assert_eq!(found(check_places, path, "#[cfg(test)]\nmod tests;\nuse std::time::Instant;"), [3]);
        assert!(found(check_places, "crates/gantral-server/src/a.rs", "use std::time::Instant;").is_empty());
    }

    #[test]
    fn network_and_environment_in_the_verifier_are_found() {
        let path = "crates/gantral-verify/src/main.rs";
        assert_eq!(found(check_places, path, "std::net::TcpStream::connect(x)\nstd::env::var(y)"), [1, 2]);
        assert!(found(check_places, path, "std::env::args_os()").is_empty());
    }
}

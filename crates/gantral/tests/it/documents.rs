//! What people type from our pages: every command of ours is one that there is, with options that it has, and every block of commands is
//! run by a test or named in `docs/commands-not-run.txt` with the reason, a list that only becomes shorter.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use crate::support::repository;

/// How many blocks may be typed by nobody but people. Whoever runs one of them lowers this; nobody raises it.
const NOT_RUN_MAX: usize = 12;
/// What the reason begins with where a test runs the same commands with other names.
const SAME: &str = "the same commands: ";
const NOT_RUN: &str = "docs/commands-not-run.txt";
/// Pages of which a test runs every console.
const RUN: &[&str] = &["docs/auditors.md", "docs/tutorials/"];

/// A block of commands on a page.
struct Block {
    page: String,
    first: String,
    text: String,
}

/// Returns the pages that people read: every one that git knows, but those that are written for each vector.
fn pages() -> BTreeMap<String, String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard", "*.md"])
        .current_dir(repository())
        .output()
        .unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    let names = names.lines().filter(|name| !name.starts_with("spec/vectors/") && *name != "CHANGELOG.md");
    let pages: BTreeMap<String, String> = names
        .filter_map(|name| Some((name.to_owned(), std::fs::read_to_string(repository().join(name)).ok()?)))
        .collect();
    assert!(pages.len() > 60, "{:?}", pages.keys());
    pages
}

/// Returns every block that is typed into a shell.
fn blocks(page: &str, text: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut block: Option<Vec<&str>> = None;
    for line in text.lines() {
        match (line.trim(), &mut block) {
            ("```sh" | "```console", None) => block = Some(Vec::new()),
            ("```", Some(lines)) => {
                let first = lines.first().unwrap_or(&"").trim().to_owned();
                blocks.push(Block { page: page.to_owned(), first, text: lines.join("\n") });
                block = None;
            }
            (_, Some(lines)) => lines.push(line),
            _ => {}
        }
    }
    blocks
}

/// Returns the options of every command, as `docs/cli.md` has them from the program itself.
fn commands() -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(repository().join("docs/cli.md")).unwrap();
    let sections = text.split("\n## ").skip(1).map(|section| {
        let (name, help) = section.split_once('\n').unwrap();
        let options = help.split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        (name.to_owned(), options.filter(|word| word.starts_with('-')).map(str::to_owned).collect())
    });
    sections.collect()
}

/// Splits what is typed into words, where quotes hold together what they enclose, and a word for each thing that begins a new command.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
    let mut end = |word: &mut String| {
        if !word.is_empty() {
            words.push(std::mem::take(word));
        }
    };
    let mut before = ' ';
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if c == open => quote = None,
            (_, Some(_)) => word.push('_'),
            ('#', None) if before == ' ' => break,
            (' ', None) => end(&mut word),
            ('|' | '&' | ';' | '(' | ')' | '<' | '>', None) => {
                end(&mut word);
                end(&mut c.to_string());
            }
            (_, None) => word.push(c),
        }
        before = c;
    }
    end(&mut word);
    words
}

/// Says what is wrong with the commands of ours in a line, if anything is.
fn wrong(line: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    let words = words(line);
    let begins = |at: usize| {
        let before = at.checked_sub(1).map(|at| words[at].as_str());
        before.is_none_or(|word| {
            ["|", "&", ";", "(", "$", "until", "while", "if", "!", "sudo", "then", "do"].contains(&word)
                || word.contains('=') && !word.starts_with('-')
        })
    };
    for at in (0..words.len()).filter(|at| words[*at] == "gantral" && begins(*at)) {
        let mut name = "gantral".to_owned();
        let mut rest = words[at + 1..]
            .iter()
            .take_while(|word| !matches!(word.as_str(), "|" | "&" | ";" | ")" | "--"))
            .peekable();
        while let Some(word) = rest.next_if(|word| known.contains_key(&format!("{name} {word}"))) {
            name = format!("{name} {word}");
        }
        let has_more = known.keys().any(|other| other.starts_with(&format!("{name} ")));
        if let Some(word) = rest.peek()
            && has_more
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            && !word.starts_with('-')
        {
            return Some(format!("`{name}` has no `{word}`"));
        }
        for option in rest.filter(|word| word.starts_with('-') && word.len() > 1 && word.is_ascii()) {
            let option = option.split('=').next().unwrap();
            if !known[&name].contains(option) {
                return Some(format!("`{name}` has no option `{option}`"));
            }
        }
    }
    None
}

#[test]
fn every_command_of_ours_on_a_page_is_one_that_there_is() {
    let known = commands();
    let mut found = 0;
    let mut mistakes = Vec::new();
    for (page, text) in pages() {
        let typed: String = blocks(&page, &text).iter().map(|block| format!("{}\n", block.text)).collect();
        let typed = typed.replace("\\\n", " ");
        let lines = typed.lines().map(|line| line.trim().trim_start_matches("$ ").trim_start_matches("> "));
        let spans = text.split('`').skip(1).step_by(2).filter(|span| !span.contains('\n'));
        for line in lines.chain(spans).filter(|line| line.contains("gantral ")) {
            found += 1;
            mistakes.extend(wrong(line, &known).map(|what| format!("{page}: {what}, in `{line}`")));
        }
    }
    assert!(found > 200, "{found}");
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}

#[test]
fn command_or_option_that_there_is_not_is_found() {
    let known = commands();
    for line in [
        "gantral verify x --trust t | tail",
        "until gantral doctor > x",
        "gantral run -- tool --any",
        "echo gantral nothing",
    ] {
        assert_eq!(wrong(line, &known), None, "{line}");
    }
    for line in [
        "gantral freeze list",
        "a=1 gantral verify --believe",
        "x=$(gantral instances mend)",
        "gantral nothing",
    ] {
        assert!(wrong(line, &known).is_some(), "{line}");
    }
}

#[test]
fn every_block_of_commands_is_run_or_it_is_said_why_not() {
    let list = std::fs::read_to_string(repository().join(NOT_RUN)).unwrap();
    let entries: Vec<(&str, &str)> = list
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.rsplit_once(" -- ").unwrap_or_else(|| panic!("{NOT_RUN}: no reason: {line}")))
        .collect();
    let same = entries.iter().filter_map(|(_, why)| why.strip_prefix(SAME));
    let gone: Vec<&str> = same.filter(|test| !repository().join(test).is_file()).collect();
    assert!(gone.is_empty(), "{NOT_RUN} names tests that there are not: {gone:?}");
    let not_run = entries.iter().filter(|(_, why)| !why.starts_with(SAME)).count();
    assert!(
        not_run <= NOT_RUN_MAX,
        "{not_run} blocks are run by nobody, and not {NOT_RUN_MAX}: write a test, or name the one there is"
    );
    assert!(entries.iter().all(|(_, why)| why.len() > 10), "a reason is a sentence");
    let mut unknown: BTreeSet<&str> = entries.iter().map(|(block, _)| *block).collect();
    assert_eq!(unknown.len(), entries.len(), "{NOT_RUN} names a block twice");
    let mut missing = Vec::new();
    for (page, text) in pages() {
        let is_run = RUN.iter().any(|run| page.starts_with(run));
        for block in blocks(&page, &text).iter().filter(|block| !is_run || !block.text.contains("$ ")) {
            let name = format!("{}: {}", block.page, block.first);
            if !unknown.remove(name.as_str()) && !entries.iter().any(|(block, _)| *block == name) {
                missing.push(name);
            }
        }
    }
    assert!(missing.is_empty(), "no test runs, and {NOT_RUN} does not say why:\n{}", missing.join("\n"));
    assert!(unknown.is_empty(), "{NOT_RUN} names what is on no page: {unknown:?}");
}

//! The command line is a promise: its help is kept in `docs/cli.md`.

use std::path::Path;

use gantral_testkit::golden;

use crate::support::{Ran, gantral, repository, run};

/// Returns the help of a command, and of all below it.
fn help(words: &[&str], text: &mut String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut arguments = words.to_vec();
    arguments.push("--help");
    let said = run(folder, &arguments).status(0).data;
    let name = std::iter::once("gantral").chain(words.iter().copied()).collect::<Vec<_>>().join(" ");
    let trimmed: Vec<&str> = said.lines().map(str::trim_end).collect();
    text.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", trimmed.join("\n").trim_end()));
    let commands = said.lines().skip_while(|line| *line != "Commands:").skip(1);
    for line in commands.take_while(|line| !line.is_empty()) {
        // A line that is indented further continues the one before.
        let Some(command) = line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) else { continue };
        let mut below = words.to_vec();
        below.push(command.split_whitespace().next().unwrap());
        help(&below, text);
    }
}

#[test]
fn help_is_what_the_documentation_says() {
    let mut text =
        "# Command line\n\nWhat `--help` says, command by command; written by a test.\n".to_owned();
    help(&[], &mut text);
    golden(&repository().join("docs/cli.md"), &text);
}

#[test]
fn hidden_commands_are_not_in_the_help() {
    let said = run(Path::new("."), &["--help"]).status(0).data;
    for hidden in ["policy-worker", "runner-child", "demo-agent"] {
        assert!(!said.contains(hidden), "{hidden}");
    }
}

#[test]
fn wrong_usage_ends_with_a_status_of_its_own() {
    run(Path::new("."), &["instances", "show", "no-id"]).status(2);
    run(Path::new("."), &["no-command"]).status(2);
    // For a verifier 2 would be a verdict.
    run(Path::new("."), &["verify"]).status(3);
}

#[test]
fn completions_name_every_command() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(Path::new("."), &["completions", shell]).status(0).data;
        for command in ["demo", "approvals", "override", "verify"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
}

#[test]
fn colours_are_for_terminals_and_not_for_those_who_ask_for_none() {
    let said = |variables: &[(&str, &str)]| {
        let folder = tempfile::tempdir().unwrap();
        let mut command = gantral(folder.path());
        let ran = Ran::of(command.args(["doctor"]).envs(variables.iter().copied()).output().unwrap());
        (ran.data + &ran.talk).contains('\u{1b}')
    };
    assert!(!said(&[]));
    assert!(said(&[("CLICOLOR_FORCE", "1")]));
    assert!(!said(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
}

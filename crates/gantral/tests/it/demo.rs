//! The demo, and the README that shows it.

use std::time::{Duration, Instant};

use crate::support::{repository, run};

/// Replaces what differs from run to run by words that do not: ids, digests, instants, ports, processes.
fn normalised(transcript: &str) -> String {
    let mut text = String::new();
    for line in transcript.lines() {
        text.push_str(&normalised_line(line));
        text.push('\n');
    }
    text
}

fn normalised_line(line: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':' | '.' | '/' | '…');
    let mut text = String::new();
    let mut word = String::new();
    for c in line.chars() {
        if is_part(c) {
            word.push(c);
            continue;
        }
        text.push_str(&normalised_word(&word, &text));
        word.clear();
        text.push(c);
    }
    text.push_str(&normalised_word(&word, &text));
    text
}

fn normalised_word(word: &str, before: &str) -> String {
    let (core, end) = match word.trim_end_matches([':', '.']) {
        core if core.len() < word.len() => word.split_at(core.len()),
        _ => (word, ""),
    };
    let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
    let uuid: Vec<usize> = core.split('-').filter(|part| is_hex(part)).map(str::len).collect();
    let named = if uuid == [8, 4, 4, 4, 12] {
        "UUID"
    } else if is_hex(core) && core.len() == 64 {
        "DIGEST"
    } else if is_hex(core) && core.len() == 12 {
        "PERSON"
    } else if core.starts_with("http://127.0.0.1:") {
        "URL"
    } else if core.len() == 24 && core.ends_with('Z') && core.contains('T') {
        "INSTANT"
    } else if core.starts_with("disclosures/") {
        "DISCLOSURE"
    } else if before.ends_with("process ") {
        "PID"
    } else if before.ends_with("byte ") {
        "OFFSET"
    } else if before.contains("payload, `") && core.len() == 1 {
        "DIGIT"
    } else {
        core
    };
    format!("{named}{end}")
}

/// Splits the README around the transcript: the first fenced block behind a marker.
fn readme() -> [String; 3] {
    let text = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let marker = "<!-- transcript -->\n```text\n";
    let start = text.find(marker).expect("the README has a transcript") + marker.len();
    let (before, rest) = text.split_at(start);
    let (transcript, after) = rest.split_at(rest.find("```").unwrap());
    [before, transcript, after].map(str::to_owned)
}

#[test]
fn demo_is_what_the_readme_shows() {
    let folder = tempfile::tempdir().unwrap();
    let started = Instant::now();
    let ran = run(folder.path(), &["demo"]).status(0);
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    let [before, transcript, after] = readme();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(repository().join("README.md"), format!("{before}{}{after}", ran.data)).unwrap();
        return;
    }
    let (shown, told) = (normalised(&transcript), normalised(&ran.data));
    assert_eq!(shown, told, "the README shows another transcript: look, then run with UPDATE_GOLDEN=1");
}

#[test]
fn demo_keeps_bundle_and_trust_file_for_a_verifier_started_anew() {
    let folder = tempfile::tempdir().unwrap();
    for (format, name) in [("file", "a"), ("dir", "b")] {
        run(folder.path(), &["demo", "--out", name, "--out-format", format]).status(0);
        let bundle = format!("{name}/demo.gantral");
        let trust = format!("{name}/trust.json");
        assert_eq!(folder.path().join(&bundle).is_dir(), format == "dir");
        let ran = run(folder.path(), &["verify", &bundle, "--trust", &trust]).status(0);
        assert!(ran.data.starts_with("VALID\n"), "{ran:?}");
    }
    let ran = run(folder.path(), &["demo", "--out", "a"]).status(1);
    assert!(ran.talk.contains("`a/demo.gantral` exists already"), "{ran:?}");
}

#[test]
fn demo_leaves_no_process_and_no_folder_behind() {
    let folder = tempfile::tempdir().unwrap();
    let temporary = folder.path().join("tmp");
    std::fs::create_dir(&temporary).unwrap();
    let ran = crate::support::gantral(folder.path()).env("TMPDIR", &temporary).arg("demo").output().unwrap();
    assert!(ran.status.success());
    assert_eq!(std::fs::read_dir(&temporary).unwrap().count(), 0);
    let needle = temporary.display().to_string();
    let processes = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let words = std::fs::read(entry.ok()?.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words).into_owned();
        words.contains(&needle).then_some(words)
    });
    assert_eq!(processes.collect::<Vec<_>>(), Vec::<String>::new());
}

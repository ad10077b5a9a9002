//! Members of a call that do not leave this machine, and those that policy is shown.

use super::*;

const SECRET: &str = "hunter2-correct-horse";
const DONE: &str = "login of bob with hunter2-correct-horse\n";

fn command(world: &World, hold: &str, more: &[&str]) -> Vec<String> {
    let ledger = world.path("ledger").display().to_string();
    let own = ["--name", "pay", "--hold", hold, "--withhold", "/arguments/password"];
    let server = ["--", &interpreter(), "-B", &ours("pay.py"), &ledger];
    interceptor(world, &[&own[..], more, &server].concat())
}

fn login(client: &mut Lines, id: &str) {
    client.call(id, "login", json!({"user": "bob", "password": SECRET}));
}

/// Tells whether any file below a folder holds a text, but those that are named.
fn holds(folder: &Path, text: &str, but: &[&str]) -> Option<PathBuf> {
    std::fs::read_dir(folder).unwrap().map_while(Result::ok).find_map(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, text, but);
        }
        let named = path.file_name().is_some_and(|name| but.iter().any(|but| *but == name));
        let bytes = std::fs::read(&path).unwrap_or_default();
        (!named && bytes.windows(text.len()).any(|window| window == text.as_bytes())).then_some(path)
    })
}

#[test]
fn withheld_member_is_seen_by_nobody_but_the_server() {
    let world = world();
    let mut client = Lines::ready(&command(&world, "40", &[]), world.folder());
    login(&mut client, "1");
    let gate = gate_of_next(&world);
    let shown = world.run(&["approvals", "show", &gate]).status(0).data;
    assert!(
        shown.contains("gantral_withheld") && shown.contains("bob") && !shown.contains(SECRET),
        "{shown}"
    );
    // It lies sealed beside the call, and nowhere in the open.
    assert_eq!(holds(world.folder(), SECRET, &[]), None);
    let sealed = || {
        let all = std::fs::read_dir(world.path("spool")).unwrap().map_while(Result::ok);
        all.filter(|entry| entry.path().extension().is_some_and(|end| end == "withheld")).count()
    };
    assert_eq!(sealed(), 1);
    world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]).status(0);
    client.answer("1");
    assert_eq!(world.text("ledger"), DONE);
    let outcomes = outcomes(&world, 1);
    assert_eq!(outcomes[0]["status"], "SUCCEEDED");
    assert!(wait_until(|| sealed() == 0), "what was withheld is erased");
    // The server repeated it, and what it said is not reported.
    assert!(wait_until(|| holds(world.folder(), SECRET, &["ledger"]).is_none()), "{outcomes:?}");
}

#[test]
fn same_call_joins_and_another_value_is_another_call() {
    let world = world();
    let mut client = Lines::ready(&command(&world, "1", &[]), world.folder());
    let gate = |client: &mut Lines, id: &str, password: &str| {
        client.call(id, "login", json!({"user": "bob", "password": password}));
        client.answer(id)["result"]["structuredContent"]["gate_id"].as_str().unwrap().to_owned()
    };
    let first = gate(&mut client, "1", SECRET);
    assert_eq!(gate(&mut client, "2", SECRET), first);
    assert_ne!(gate(&mut client, "3", "another"), first);
}

#[test]
fn stored_call_runs_with_what_was_withheld_after_the_interceptor_was_killed() {
    let world = world();
    let command = command(&world, "1", &[]);
    let mut client = Lines::ready(&command, world.folder());
    login(&mut client, "1");
    client.answer("1");
    client.child.kill();
    approve_next(&world);
    let _client = Lines::ready(&command, world.folder());
    assert!(wait_until(|| world.text("ledger") == DONE));
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}

#[test]
fn without_what_was_withheld_the_call_never_runs_and_failed() {
    for damage in ["remove", "alter", "take the keys"] {
        let world = world();
        let mut client = Lines::ready(&command(&world, "1", &[]), world.folder());
        login(&mut client, "1");
        let gate = client.answer("1")["result"]["structuredContent"]["gate_id"].as_str().unwrap().to_owned();
        let all = std::fs::read_dir(world.path("spool")).unwrap().map_while(Result::ok);
        let mut sealed = all
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|end| end == "withheld"));
        let sealed = sealed.next().unwrap();
        match damage {
            "remove" => std::fs::remove_file(&sealed).unwrap(),
            "alter" => {
                let mut bytes = std::fs::read(&sealed).unwrap();
                *bytes.last_mut().unwrap() ^= 1;
                std::fs::write(&sealed, bytes).unwrap();
            }
            _ => std::fs::remove_file(world.path("spool/withheld.keys")).unwrap(),
        }
        approve_next(&world);
        client.call("2", "gantral_wait", json!({"gate_id": gate, "seconds": 40}));
        let answer = client.answer("2");
        assert_eq!(answer["result"]["structuredContent"]["code"], "withheld_gone", "{damage}: {answer}");
        assert_eq!(outcomes(&world, 1)[0]["status"], "FAILED", "{damage}");
        assert_eq!(world.text("ledger"), "", "{damage}");
    }
}

#[test]
fn human_replaces_what_is_withheld_by_what_the_server_gets_then() {
    let world = world();
    let mut client = Lines::ready(&command(&world, "40", &[]), world.folder());
    login(&mut client, "1");
    let gate = gate_of_next(&world);
    let change = r#"arguments={"user":"bob","password":"env:BOB"}"#;
    world.run(&["approvals", "override", &gate, "--set", change, "--reason", "by reference"]).status(0);
    client.answer("1");
    assert_eq!(world.text("ledger"), "login of bob with env:BOB\n");
}

#[test]
fn policy_is_shown_what_was_chosen_of_the_call() {
    let world = world();
    let chosen = ["--attribute", "account=/arguments/user", "--attribute", "login=/arguments/password"];
    let mut client = Lines::ready(&command(&world, "1", &chosen), world.folder());
    login(&mut client, "1");
    client.answer("1");
    let shown = world.run(&["approvals", "show", &gate_of_next(&world), "--json"]).status(0).json();
    let text = shown.to_string();
    assert!(text.contains(r#""account":"bob""#), "{text}");
    assert!(text.contains(r#""login":{"gantral_withheld""#) && !text.contains(SECRET), "{text}");
}

#[test]
fn rules_that_are_none_are_refused_before_anything_starts() {
    let world = world();
    for rule in [["--withhold", "password"], ["--attribute", "annotations=/arguments/x"]] {
        let words = interceptor(&world, &[&rule[..], &["--name", "pay", "--", "true"]].concat());
        let words: Vec<&str> = words[1..].iter().map(String::as_str).collect();
        let output = gantral(world.folder()).args(&words).output().unwrap();
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(rule[1]), "{said}");
    }
}

//! `gantral run` at a terminal: the command has one of its own, and nobody could tell the difference, but that what was shown is proved.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::digest::Digest;
use serde_json::{Value, json};

use crate::commands::{APPEND, approve, newest, ran, waits};
use crate::support::{World, wait_until};

/// Somebody at a terminal.
const TERMINAL: &str = include_str!("terminal.py");

/// Runs a command at a terminal and does there what the steps say; returns what was seen.
fn at_a_terminal(world: &World, steps: &Value, words: &[&str]) -> Value {
    let binary = Path::new(env!("CARGO_BIN_EXE_gantral")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let mut command = Command::new("python3");
    command.args(["-c", TERMINAL, &steps.to_string()]).args(words).current_dir(world.folder());
    // As it would be on a terminal that can do nothing in particular.
    command.env("PATH", path).env("TERM", "dumb").stdin(Stdio::null());
    let output = command.output().unwrap();
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|_| panic!("{steps}: {}", String::from_utf8_lossy(&output.stderr)))
}

/// Has a script approved, and runs it at a terminal.
fn run_approved(world: &World, script: &str, steps: &Value) -> Value {
    approve(world, &waits(world, &["--", "sh", "-c", script]));
    at_a_terminal(world, steps, &["gantral", "run", "--", "sh", "-c", script])
}

/// Has a script approved, and types `line` at an interactive shell, where `RUN` is the command that runs it.
fn type_approved(world: &World, script: &str, line: &str, steps: &[Value]) -> Value {
    std::fs::write(world.path("script"), script).unwrap();
    let words = ["--input", "script", "--", "bash", "./script"];
    approve(world, &waits(world, &words));
    let typed = format!("{}\n", line.replace("RUN", &format!("gantral run {}", words.join(" "))));
    let steps: Vec<Value> = [&[json!(["see", "$ "]), json!(["type", typed])], steps].concat();
    at_a_terminal(world, &Value::Array(steps), &["env", "PS1=$ ", "bash", "--norc", "--noprofile", "-i"])
}

#[track_caller]
fn shows(seen: &Value, texts: &[&str]) {
    for text in texts {
        assert!(seen["shown"].as_str().unwrap().contains(text), "{text}: {seen}");
    }
}

/// What was reported of the newest execution, out of its exported evidence.
fn reported(world: &World) -> Value {
    let id = newest(world)["instance_id"].as_str().unwrap().to_owned();
    let folder = format!("bundle-{id}");
    let export = ["evidence", "export", &id, "--output", &folder, "--format", "dir"];
    world.run(&export).status(0);
    let mut disclosed = std::fs::read_dir(world.path(&folder).join("disclosures")).unwrap().map(|entry| {
        let disclosed = std::fs::read(entry.unwrap().path()).unwrap();
        serde_json::from_slice::<Value>(&disclosed).unwrap()
    });
    let outcome = disclosed.find(|it| it["label"] == "outcome").expect("an outcome is disclosed");
    serde_json::from_slice(&STANDARD.decode(outcome["plaintext"].as_str().unwrap()).unwrap()).unwrap()
}

fn captured(bytes: &[u8]) -> Value {
    json!({"bytes": bytes.len(), "sha256": Digest::of(bytes).to_hex()})
}

#[test]
fn a_command_has_the_terminal_and_its_keys() {
    let world = World::start();
    let script = "test -t 0 && test -t 1 && test -t 2 && test $(ps -o tpgid= -p $$) = $$ && echo terminal
        trap 'echo interrupted; exit 8' INT; echo up; read line; echo got $line
        while :; do sleep 0.1; done";
    // A line for the command; then the key that interrupts reaches it, and what stands before it stays to report.
    let steps = json!([
        ["modes", "before"],
        ["see", "up"],
        ["modes", "while"],
        ["type", "a line\n"],
        ["see", "got a line"],
        ["type", "\u{3}"]
    ]);
    let seen = run_approved(&world, script, &steps);
    assert_eq!(seen["status"], 8, "{seen}");
    shows(&seen, &["terminal", "interrupted"]);
    let (cooked, raw) = (json!({"echo": true, "lines": true}), json!({"echo": false, "lines": false}));
    assert_eq!((&seen["modes"]["before"], &seen["modes"]["while"], &seen["after"]), (&cooked, &raw, &cooked));
    assert_eq!(newest(&world)["outcomes"][0]["status"], "FAILED");
}

#[test]
fn what_a_terminal_showed_is_proved_byte_for_byte() {
    let world = World::start();
    let script = "read line; echo one; echo two >&2; echo three > /dev/tty; stty -opost; echo four";
    let seen = run_approved(&world, script, &json!([["type", "hello\n"]]));
    assert_eq!(seen["status"], 0, "{seen}");
    // What was typed is there as it was echoed; lines end as the terminal was set to end them.
    let text = b"hello\r\none\r\ntwo\r\nthree\r\nfour\n";
    let reported = reported(&world);
    assert_eq!((&reported["stdout"], &reported["stderr"]), (&Value::Null, &Value::Null), "{reported}");
    assert_eq!(reported["terminal"], captured(text), "{seen}");
}

#[test]
fn nothing_of_a_long_output_is_lost() {
    const BYTES: usize = 20_000_000;
    let world = World::start();
    let seen = run_approved(&world, "head -c 20000000 /dev/zero | tr '\\0' x", &json!([]));
    assert_eq!(seen["status"], 0, "{seen}");
    let all = vec![b'x'; BYTES];
    assert_eq!(reported(&world)["terminal"], captured(&all));
    assert_eq!(seen["letters"], json!(BYTES), "all of it was shown");
}

#[test]
fn the_command_knows_how_large_the_window_is_and_becomes() {
    let world = World::start();
    let script = "trap 'stty size; exit 0' WINCH; stty size; echo up; while :; do sleep 0.1; done";
    let seen = run_approved(&world, script, &json!([["see", "up"], ["size", 40, 100]]));
    assert_eq!(seen["status"], 0, "{seen}");
    shows(&seen, &["24 80", "40 100"]);
}

#[test]
fn a_password_is_not_shown() {
    let world = World::start();
    let script = "stty -echo < /dev/tty; printf 'password: '; read word < /dev/tty; stty echo; echo; echo ${#word} letters";
    let seen = run_approved(&world, script, &json!([["see", "password: "], ["type", "hunter2\n"]]));
    assert_eq!(seen["status"], 0, "{seen}");
    shows(&seen, &["7 letters"]);
    assert!(!seen.to_string().contains("hunter2"), "{seen}");
}

#[test]
fn a_shell_stops_it_and_lets_it_go_on() {
    let world = World::start();
    let script = "trap 'echo ticked' CONT; echo up; while :; do sleep 0.1; done";
    let steps = [
        json!(["see", "up"]),
        json!(["type", "\u{1a}"]),
        json!(["see", "Stopped"]),
        json!(["type", "stty -a | grep -o -- '-*icanon'; echo rested\n"]),
        json!(["see", "\nicanon"]),
        json!(["see", "rested"]),
        json!(["type", "fg\n"]),
        json!(["see", "ticked"]),
        json!(["type", "\u{3}"]),
        json!(["see", "$ "]),
        json!(["type", "echo status $?; exit\n"]),
        json!(["see", "status 130"]),
    ];
    type_approved(&world, script, "RUN", &steps);
    let reported = reported(&world);
    assert_eq!((&reported["exit_status"], &reported["signalled"]), (&json!(130), &json!(true)));
    assert_eq!(reported["terminal"], captured(b"up\r\n^Zticked\r\n^C"));
}

#[test]
fn in_the_background_it_runs_until_it_wants_the_keys() {
    let world = World::start();
    let script =
        "echo up; while ! test -s go; do sleep 0.1; done; echo asks > asks; read line; echo got $line";
    let steps = [
        json!(["see", "up"]),
        json!(["type", "\u{1a}"]),
        json!(["see", "Stopped"]),
        json!(["type", "bg\n"]),
        json!(["see", "&"]),
        json!(["type", "echo y > go\n"]),
        json!(["file", "asks"]),
        // The shell tells of what has changed before it shows that it is ready.
        json!(["type", "while ! jobs | grep -q Stopped; do sleep 0.1; done; echo it has sto''pped\n"]),
        json!(["see", "it has stopped"]),
        json!(["type", "fg\n"]),
        json!(["type", "a line\n"]),
        json!(["see", "got a line"]),
        json!(["see", "$ "]),
        json!(["type", "exit\n"]),
    ];
    type_approved(&world, script, "RUN", &steps);
    assert_eq!(reported(&world)["exit_status"], 0);
}

#[test]
fn in_a_pipeline_input_stays_what_it_was_and_the_keys_are_others_until_it_asks() {
    let world = World::start();
    let script = "read piped; echo up $piped >&2; while ! test -s go; do sleep 0.1; done
        stty -echo < /dev/tty; printf 'password: ' > /dev/tty; read word < /dev/tty; stty echo < /dev/tty
        test -t 0 || test -t 1 || test -t 2 && echo ${#word} letters; while :; do sleep 0.1; done";
    let steps = [
        json!(["see", "up hello"]),
        json!(["modes", "at first"]),
        json!(["run", "sh", "-c", "echo y > go"]),
        json!(["see", "password: "]),
        json!(["type", "hunter2\n"]),
        json!(["see", "7 letters"]),
        json!(["type", "\u{3}"]),
        json!(["see", "$ "]),
        json!(["type", "exit\n"]),
    ];
    let seen = type_approved(&world, script, "echo hello | RUN | cat", &steps);
    assert_eq!(seen["modes"]["at first"], json!({"echo": true, "lines": true}));
    assert!(!seen["shown"].as_str().unwrap().contains("hunter2"), "{seen}");
    let reported = reported(&world);
    assert_eq!(reported["stdout"], captured(b"7 letters\n"), "what is no terminal has its own digest");
    assert_eq!(reported["terminal"], captured(b"up hello\r\npassword: ^C"));
    assert_eq!(reported["exit_status"], 130);
}

#[test]
fn whoever_is_killed_leaves_the_terminal_as_it_was_and_the_command_without_one() {
    let world = World::start();
    let script =
        "trap 'echo gone > gone; exit' HUP; ps -o ppid= -p $PPID > who; echo up; while :; do sleep 0.1; done";
    approve(&world, &waits(&world, &["--", "sh", "-c", script]));
    // A shell that manages no jobs puts no terminal back.
    let outer = r#"gantral run -- sh -c "$0"; echo status $?
        for i in $(seq 100); do stty -a | grep -q -- '-icanon' || exit 0; sleep 0.1; done; exit 1"#;
    let steps = json!([
        ["see", "up"],
        ["file", "who"],
        ["modes", "while"],
        ["signal", "SIGKILL", "who"],
        ["see", "status 137"],
        ["file", "gone"]
    ]);
    let seen = at_a_terminal(&world, &steps, &["sh", "-c", outer, script]);
    assert_eq!(seen["modes"]["while"], json!({"echo": false, "lines": false}));
    assert_eq!(seen["after"], json!({"echo": true, "lines": true}));
    assert_eq!(seen["status"], 0, "{seen}");
    assert!(wait_until(|| newest(&world)["outcomes"][0]["status"] == "UNKNOWN"), "{}", newest(&world));
}

#[test]
fn being_asked_to_end_passes_and_leaves_the_terminal_as_it_was() {
    let world = World::start();
    for (signal, status) in [("SIGTERM", 15), ("SIGHUP", 1)] {
        let name = signal.trim_start_matches("SIG");
        let script =
            format!("trap 'echo tidied; exit {status}' {name}; echo up; while :; do sleep 0.1; done");
        let seen = run_approved(&world, &script, &json!([["see", "up"], ["signal", signal]]));
        assert_eq!((&seen["status"], &seen["after"]["echo"]), (&json!(status), &json!(true)), "{seen}");
        assert_eq!(reported(&world)["terminal"], captured(b"up\r\ntidied\r\n"));
    }
    let seen = run_approved(&world, "echo up; kill -KILL $$", &json!([]));
    assert_eq!((&seen["status"], &seen["after"]["echo"]), (&json!(137), &json!(true)), "{seen}");
}

#[test]
fn a_window_that_is_closed_is_closed_for_the_command_too() {
    let world = World::start();
    let script = "trap 'read line; echo $? > end; exit 3' HUP; echo up; while :; do sleep 0.1; done";
    let seen = run_approved(&world, script, &json!([["see", "up"], ["close"], ["file", "end"]]));
    assert_eq!(seen["status"], 3, "{seen}");
    assert_eq!(world.text("end").trim(), "1", "there is nothing more to read");
    let reported = reported(&world);
    assert_eq!((&reported["exit_status"], &reported["terminal"]), (&json!(3), &captured(b"up\r\n")));
}

#[test]
fn what_it_leaves_running_holds_up_nobody_and_lives() {
    let world = World::start();
    let script = "(while ! test -s go; do sleep 0.1; done; echo late; echo lives > late) & echo early";
    let seen = run_approved(&world, script, &json!([]));
    assert_eq!(seen["status"], 0, "{seen}");
    assert_eq!(reported(&world)["terminal"], captured(b"early\r\n"));
    std::fs::write(world.path("go"), "now").unwrap();
    assert!(wait_until(|| world.text("late") == "lives\n"));
}

#[test]
fn what_cannot_be_started_has_not_run() {
    let world = World::start();
    std::fs::write(world.path("odd"), "#!/no/such/interpreter\n").unwrap();
    std::fs::set_permissions(world.path("odd"), std::fs::Permissions::from_mode(0o755)).unwrap();
    approve(&world, &waits(&world, &["--", "./odd"]));
    let seen = at_a_terminal(&world, &json!([]), &["gantral", "run", "--", "./odd"]);
    assert_eq!((&seen["status"], &seen["after"]["echo"]), (&json!(1), &json!(true)), "{seen}");
    shows(&seen, &["the command has not run", "odd` cannot be run"]);
    assert_eq!(newest(&world)["outcomes"][0]["status"], "FAILED");
}

#[test]
fn whoever_waits_at_a_terminal_and_goes_has_withdrawn_nothing() {
    let world = World::start();
    let gate = waits(&world, &["--", "sh", "-c", APPEND]);
    let approves = ["run", "gantral", "approvals", "approve", &gate, "--reason", "looked at it"];
    let steps = json!([["see", "approvals show"], ["run", "sleep", "2"], approves]);
    let seen = at_a_terminal(&world, &steps, &["gantral", "run", "--", "sh", "-c", APPEND]);
    assert_eq!(
        (&seen["status"], ran(&world)),
        (&json!(7), 1),
        "it waited without being told how long: {seen}"
    );
}

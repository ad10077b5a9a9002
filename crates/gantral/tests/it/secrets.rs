//! Governed secrets: an agent holds nothing before it has authority, and what it was given is on record.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;

use gantral_core::digest::Digest;
use gantral_testkit::files_holding;
use serde_json::Value;

use crate::support::{Killed, World, run, wait_until};

const CANARY: &str = "canary-5f1d8e0c-governed";

/// Starts a runner that may give `pay-key`, for what `for_what` says.
fn runner(world: &World, for_what: &str) -> Killed {
    std::fs::write(world.path("pay.key"), format!("{CANARY}\n")).unwrap();
    let file = world.path("pay.key").display().to_string();
    let settings = format!("[queues.default]\n[secrets.pay-key]\nfrom = 'file:{file}'\n{for_what}\n");
    world.runner(&settings)
}

const FOR_REFUNDS: &str = "workflows = ['refund']\nactions = ['refund']";

#[test]
fn secret_is_given_once_the_grant_is_used_up_and_is_on_record() {
    let world = World::start();
    let script = r#"set -eu
try() { gantral --json secret get "$1" >> said || true; }
if [ -z "${GANTRAL_GRANT:-}" ]; then
  exec gantral ask refund --target order/1001 --set amount=4800
fi
try pay-key
gantral consume > /dev/null
try other-key
gantral secret get pay-key > got
env > environment
echo "it is $(cat got)"
setsid sh -c 'gantral secret get pay-key > again; touch done'
while [ ! -e done ]; do sleep 0.05; done
gantral outcome SUCCEEDED --evidence "https://evidence.example.com/calls/17=$(sha256sum < /dev/null | cut -c 1-64)"
try pay-key
"#;
    world.apply(script, "30s");
    let mut runner = runner(&world, FOR_REFUNDS);
    let id = world.create();
    let gate = world.reach(&id, "WAITING_FOR_HUMAN")["gate"]["gate_id"].as_str().unwrap().to_owned();
    world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]).status(0);
    let seen = world.reach(&id, "COMPLETED");
    assert_eq!(seen["outcomes"][0]["status"], "SUCCEEDED");
    assert_eq!(runner.stop(), Some(0));

    let codes: Vec<String> = world
        .text("said")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["code"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(codes, ["secret_without_grant", "secret_not_for_this", "secret_without_grant"]);
    // A process that went into another session is the attempt's all the same.
    assert_eq!((world.text("got"), world.text("again")), (format!("{CANARY}\n"), format!("{CANARY}\n")));
    assert!(world.text("environment").contains("GANTRAL_SECRETS="));

    // Nowhere but where the script itself put it.
    let own = ["again", "got", "pay.key"].map(|name| world.path(name));
    assert_eq!(files_holding(world.folder(), CANARY), own);
    let log = std::fs::read_to_string(world.path(&format!(".gantral-dev/runner/logs/{id}-2.log"))).unwrap();
    assert!(log.contains("it is ***"), "{log}");

    // The record is the runner's, and the outcome names it.
    let records = world.text(".gantral-dev/runner/secrets.jsonl");
    let lines: Vec<&str> = records.lines().collect();
    assert_eq!(lines.len(), 2, "{records}");
    let record: Value = serde_json::from_str(lines[0]).unwrap();
    let reference = format!("file:{}", world.path("pay.key").display());
    assert_eq!(record["reference_digest"], Digest::of(reference.as_bytes()).to_hex());
    assert_eq!(
        (&record["secret"], &record["action"], &record["attempt"]),
        (&"pay-key".into(), &"refund".into(), &2.into())
    );
    let mode =
        std::fs::metadata(world.path(".gantral-dev/runner/secrets.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let report = world.verified(&id, "refund.gantral").status(0);
    let captured = "captured: https://evidence.example.com/calls/17 (SHA-256 e3b0c442";
    assert!(
        report.data.contains(captured) && report.data.contains(", secret-pay-key (SHA-256 "),
        "{report:?}"
    );
    let bundle = std::fs::read(world.path("refund.gantral")).unwrap();
    let sealed = sealed_outcome(&bundle);
    let digests: Vec<&str> =
        sealed["evidence"].as_array().unwrap().iter().map(|item| item["digest"].as_str().unwrap()).collect();
    let expected: Vec<String> = lines.iter().map(|line| Digest::of(line.as_bytes()).to_hex()).collect();
    assert!(expected.iter().all(|digest| digests.contains(&digest.as_str())), "{sealed}");
    assert_eq!(digests.len(), 3, "{sealed}");
}

/// Returns the detail of the sealed outcome.
fn sealed_outcome(bundle: &[u8]) -> Value {
    use base64::Engine as _;
    let files = gantral_evidence::container::read_tar(bundle).unwrap();
    let details = files.within("artifacts/").map(|(_, bytes)| {
        let envelope: Value = serde_json::from_slice(bytes).unwrap();
        let payload = envelope["payload"].as_str().unwrap();
        let payload = base64::engine::general_purpose::STANDARD.decode(payload).unwrap();
        serde_json::from_slice::<Value>(&payload).unwrap()
    });
    let mut found = details.filter_map(|statement| find(&statement, "evidence"));
    found.next().unwrap()
}

/// Returns the object that has a member, wherever it is.
fn find(value: &Value, member: &str) -> Option<Value> {
    match value {
        Value::Object(object) if object.get(member).is_some_and(Value::is_array) => Some(value.clone()),
        Value::Object(object) => object.values().find_map(|value| find(value, member)),
        Value::Array(list) => list.iter().find_map(|value| find(value, member)),
        _ => None,
    }
}

#[test]
fn secret_that_policy_allowed_is_given_for_its_action_alone() {
    let script = r#"set -eu
grant=$(gantral ask refund --target order/1001 --set amount=50 --consume)
gantral --json secret get pay-key --grant "$grant" > got || true
gantral outcome SUCCEEDED --grant "$grant"
"#;
    for (for_what, given) in [
        (FOR_REFUNDS, true),
        ("workflows = ['refund']\nactions = ['refund']\nqueues = ['default']", true),
        ("workflows = ['refund']\nactions = ['transfer']", false),
        ("workflows = ['transfer']\nactions = ['refund']", false),
        ("workflows = ['refund']\nactions = ['refund']\nqueues = ['others']", false),
    ] {
        let world = World::start();
        world.apply(script, "30s");
        let _runner = runner(&world, for_what);
        let id = world.create();
        world.reach(&id, "COMPLETED");
        let answer: Value = serde_json::from_str(&world.text("got")).unwrap();
        if given {
            assert_eq!(answer["value"], CANARY, "{for_what}");
        } else {
            assert_eq!(answer["code"], "secret_not_for_this", "{for_what}");
        }
    }
}

#[test]
fn stranger_on_the_same_machine_is_given_nothing() {
    let world = World::start();
    let script = r#"set -eu
grant=$(gantral ask refund --target order/1001 --set amount=50 --consume)
echo "$GANTRAL_SECRETS $grant" > told
while [ ! -e go ]; do sleep 0.05; done
gantral secret get pay-key --grant "$grant" > got
gantral outcome SUCCEEDED --grant "$grant"
"#;
    world.apply(script, "30s");
    let _runner = runner(&world, FOR_REFUNDS);
    let id = world.create();
    assert!(wait_until(|| world.text("told").contains('\n')));
    let told = world.text("told");
    let (socket, grant) = told.trim().split_once(' ').unwrap();
    let metadata = std::fs::metadata(socket).unwrap();
    assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    // The same user, with everything that the agent knows: not one of its processes.
    let mut stream = UnixStream::connect(socket).unwrap();
    // It may be refused before it has said what it wants.
    let _ = writeln!(stream, r#"{{"ask":"secret","name":"pay-key","grant":"{grant}"}}"#);
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    assert!(answer.contains("secret_not_yours") && !answer.contains("value"), "{answer}");
    assert!(!world.path(".gantral-dev/runner/secrets.jsonl").exists());
    // However often it asks, or asks for nothing: the attempt has what is its own.
    let silent: Vec<UnixStream> = (0..300).map(|_| UnixStream::connect(socket).unwrap()).collect();
    std::fs::write(world.path("go"), "").unwrap();
    world.reach(&id, "COMPLETED");
    drop(silent);
    assert_eq!(world.text("got"), format!("{CANARY}\n"));
    assert!(!Path::new(socket).exists());
    assert!(world.text("runner.log").contains("secret refused"));
    // Nor is there anything outside of an attempt.
    let ran = run(world.folder(), &["secret", "get", "pay-key"]).status(1);
    assert!(ran.talk.contains("for processes that a runner launched"), "{ran:?}");
}

#[test]
fn secrets_that_nobody_could_have_or_find_start_no_runner() {
    let world = World::start();
    for (settings, said) in [
        ("from = 'stripe'\nworkflows = ['a']\nactions = ['b']", "is not `env:NAME`"),
        ("from = 'bao://secret#key'\nworkflows = ['a']\nactions = ['b']", "is not `env:NAME`"),
        ("from = 'env:KEY'\nworkflows = []\nactions = ['b']", "names no workflow"),
        ("from = 'env:KEY'\nworkflows = ['a']\nactions = []", "names no action"),
        ("from = 'env:KEY'\nworkflows = ['a']", "missing field `actions`"),
        ("from = 'bao://secret/a#key'\nworkflows = ['a']\nactions = ['b']", "and none is configured"),
    ] {
        let settings = format!("[queues.default]\n[secrets.key]\n{settings}\n");
        std::fs::write(world.path("runner.toml"), settings).unwrap();
        let ran = world.run(&["runner", "--config", "runner.toml"]).status(1);
        assert!(ran.talk.contains(said), "{said}: {}", ran.talk);
    }
    let login = "[queues.default]\n[openbao]\naddress = 'http://bao.example.org'\n[openbao.login]\nmethod = 'approle'\nrole_id = 'r'\nsecret_id_file = '/s'\n";
    std::fs::write(world.path("runner.toml"), login).unwrap();
    let ran = world.run(&["runner", "--config", "runner.toml"]).status(1);
    assert!(ran.talk.contains("plain http is for loopback"), "{}", ran.talk);
}

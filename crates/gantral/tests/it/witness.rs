//! The witness as a process: what it answers, and what it remembers when it is killed.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::log::note::NoteKey;
use gantral_evidence::log::policy::LogPolicy;
use gantral_log::folder::Folder;
use gantral_log::push::{CosignError, WitnessClient, WitnessConfig};
use gantral_log::witness::Request;
use gantral_vectors::log::{Log, policy};

use crate::support::{Killed, PATIENCE, gantral, run, start, wait_until};

/// How often a witness is killed.
const ROUNDS: u64 = 24;

/// Makes a witness in a folder, and returns the line of a policy by which it is known.
pub fn init(folder: &Path, name: &str) -> String {
    let ran = run(folder, &["witness", "init", "--dir", name, "--name", &format!("{name}.example/w")]);
    ran.status(0).word()
}

/// Starts a witness; returns it with the address that it listens on.
pub fn serve(folder: &Path, name: &str) -> (Killed, String) {
    std::fs::write(folder.join("logs"), policy(0, 0)).unwrap();
    let mut command = gantral(folder);
    command.args(["witness", "run", "--dir", name, "--listen", "127.0.0.1:0", "--logs", "logs", "--json"]);
    let (process, url) = start(command, &folder.join(format!("{name}.log")));
    (process, url.strip_prefix("http://").unwrap().to_owned())
}

/// Sends a request; returns status and body, or `None` when there was no answer.
fn ask(address: &str, request: &Request) -> Option<(u16, String)> {
    let body = request.encode();
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST /add-checkpoint HTTP/1.1\r\nhost: witness\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some((status, body.to_owned()))
}

fn request(log: &Log, old: u64) -> Request {
    let size = log.size();
    let proof = if old == 0 || old == size { Vec::new() } else { log.consistency(old, size) };
    Request { old_size: old, proof, checkpoint: log.checkpoint(size, &[]) }
}

/// Returns a log with one leaf more; with another `branch`, another leaf.
fn grown(log: &Log, branch: u8) -> Log {
    let mut log = log.clone();
    let tag = Digest::of(&[&log.size().to_be_bytes()[..], &[branch]].concat());
    let kind = LeafKind::Artifact;
    log.add(&Leaf { kind, sequence: 0, terminal: false, tag, hash: tag, issuer: [9; 8] });
    log
}

fn of_size(size: u64) -> Log {
    (0..size).fold(Log::default(), |log, _| grown(&log, 0))
}

#[test]
fn two_witnesses_make_a_quorum_for_one_history_and_not_for_another() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [init(folder.path(), "one"), init(folder.path(), "two")];
    let (_one, one) = serve(folder.path(), "one");
    let (_two, two) = serve(folder.path(), "two");
    let log = policy(0, 0).lines().next().unwrap().to_owned();
    let text = format!(
        "{log}\n{}\n{}\ngroup both all one.example/w two.example/w\nquorum both\n",
        lines[0], lines[1]
    );
    let pinned = LogPolicy::parse(text.as_bytes()).unwrap();

    let log = of_size(7);
    let mut note = log.checkpoint(7, &[]);
    let (status, line) = ask(&one, &request(&log, 0)).unwrap();
    assert_eq!(status, 200, "{line}");
    note += &line;
    assert!(!pinned.vouched(note.as_bytes()).unwrap().quorum);
    // The second one is behind: it says so, and then takes all that is new.
    ask(&two, &request(&of_size(3), 0)).unwrap();
    assert_eq!(ask(&two, &request(&log, 0)), Some((409, "3\n".to_owned())));
    let (status, line) = ask(&two, &request(&log, 3)).unwrap();
    assert_eq!(status, 200, "{line}");
    note += &line;
    assert!(pinned.vouched(note.as_bytes()).unwrap().quorum);

    let fork = grown(&of_size(6), 1);
    for witness in [&one, &two] {
        assert_eq!(ask(witness, &request(&fork, 7)).unwrap().0, 409);
        assert_eq!(ask(witness, &request(&grown(&fork, 0), 7)).unwrap().0, 422);
    }
    let said = std::fs::read_to_string(folder.path().join("one.log")).unwrap();
    assert!(said.contains("split-view-") && said.contains("inconsistent-"), "{said}");
}

#[test]
fn a_folder_is_for_one_witness_with_one_name() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), "one");
    let again = run(folder.path(), &["witness", "init", "--dir", "one", "--name", "x"]).status(1);
    assert!(again.talk.contains("is the folder of a witness already"), "{again:?}");
    let (mut running, _) = serve(folder.path(), "one");
    let arguments = ["witness", "run", "--dir", "one", "--listen", "127.0.0.1:0", "--logs", "logs"];
    let second = run(folder.path(), &arguments).status(1);
    assert!(second.talk.contains("is in use by another witness"), "{second:?}");
    assert_eq!(running.stop(), Some(0));
    let mut beyond = arguments.to_vec();
    beyond[5] = "0.0.0.0:0";
    let beyond = run(folder.path(), &beyond).status(1);
    assert!(beyond.talk.contains("is not loopback"), "{beyond:?}");
    let missing = run(folder.path(), &["witness", "run", "--dir", "none", "--logs", "logs"]).status(1);
    assert!(missing.talk.contains("is not the folder of a witness"), "{missing:?}");
}

/// The moment of the kill moves from before the request to after the answer. Whatever was answered before stays the only history.
#[test]
fn a_witness_that_is_killed_at_any_moment_cosigns_one_history() {
    let folder = tempfile::tempdir().unwrap();
    init(folder.path(), "w");
    let (mut history, mut answered, mut lost) = (of_size(2), 0, 0);
    let (mut first, address) = serve(folder.path(), "w");
    assert_eq!(ask(&address, &request(&history, 0)).unwrap().0, 200);
    first.kill();
    // Which root was cosigned at each size.
    let mut cosigned: BTreeMap<u64, Digest> = BTreeMap::new();
    for round in 0..ROUNDS {
        let (mut witness, address) = serve(folder.path(), "w");
        let branches = [grown(&history, 1), grown(&history, 2)];
        let (first, old) = (branches[0].clone(), history.size());
        let asked = std::thread::spawn(move || ask(&address, &request(&first, old)));
        if round + 1 == ROUNDS {
            assert!(wait_until(|| asked.is_finished()));
        } else {
            std::thread::sleep(Duration::from_micros(round * 250));
        }
        witness.kill();
        let was_answered = asked.join().unwrap().is_some_and(|(status, _)| status == 200);
        if was_answered {
            cosigned.insert(branches[0].size(), branches[0].tree(branches[0].size()).root);
            answered += 1;
        }
        let (_witness, address) = serve(folder.path(), "w");
        // The other branch is good only if the first one was never remembered, and so never cosigned.
        let (status, body) = ask(&address, &request(&branches[1], old)).unwrap();
        let root = branches[1].tree(branches[1].size()).root;
        history = match status {
            200 => {
                assert!(!was_answered, "two trees of {} leaves were cosigned", old + 1);
                cosigned.insert(old + 1, root);
                branches[1].clone()
            }
            409 => {
                assert_eq!(body, format!("{}\n", old + 1));
                lost += u64::from(!was_answered);
                branches[0].clone()
            }
            other => panic!("{other}: {body}"),
        };
        // It does not go back, and goes on with what it remembers.
        assert_eq!(ask(&address, &request(&of_size(1), 1)).unwrap().0, 409);
        assert_eq!(ask(&address, &request(&history, history.size())).unwrap().0, 200);
    }
    assert!(answered > 0, "the last round answers before it is killed");
    assert_eq!(cosigned.len() as u64 + lost, ROUNDS);
}

#[test]
fn a_witness_with_a_certificate_cosigns_beyond_loopback() {
    let folder = tempfile::tempdir().unwrap();
    let line = init(folder.path(), "w");
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
    openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
    openssl.args(["-addext", "basicConstraints=critical,CA:FALSE", "-keyout", "key.pem", "-out", "cert.pem"]);
    let made = openssl.current_dir(folder.path()).output().expect("this test needs the openssl command");
    assert!(made.status.success(), "{made:?}");
    std::fs::write(folder.path().join("logs"), policy(0, 0)).unwrap();
    let mut command = gantral(folder.path());
    command.args(["witness", "run", "--dir", "w", "--listen", "0.0.0.0:0", "--logs", "logs", "--json"]);
    command.args(["--tls-certificate", "cert.pem", "--tls-key", "key.pem"]);
    let (_witness, url) = start(command, &folder.path().join("w.log"));
    let config = |ca_file| WitnessConfig {
        url: url.replace("0.0.0.0", "127.0.0.1"),
        key: NoteKey::parse(line.rsplit(' ').next().unwrap()).unwrap(),
        ca_file,
        timeout: PATIENCE,
    };
    assert!(config(None).url.starts_with("https://"), "{url}");
    let log = of_size(3);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |ca_file| {
        let mut client = WitnessClient::new(&config(ca_file)).unwrap();
        // From nothing to three leaves no tile is needed.
        let objects = Folder::new(folder.path());
        runtime.block_on(client.cosign(&objects, &log.checkpoint(3, &[])))
    };
    assert!(ask(Some(folder.path().join("cert.pem"))).is_ok());
    // The twin: an authority that is not pinned is not believed.
    let refused = ask(None).unwrap_err();
    assert!(matches!(refused, CosignError::Unreachable(_)), "{refused}");
}

//! Answers that get lost on the way, and a disk that is full: a write happens once or not at all, and whoever asked is told.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use gantral_testkit::Tmpfs;
use serde_json::Value;

use crate::support::World;

const AGENT: &str = r#"set -eu
if [ -n "${GANTRAL_GRANT:-}" ]; then
  gantral consume >> paid.txt
  gantral outcome SUCCEEDED
else
  gantral ask refund --target order/1001 --set amount=4800
fi
"#;

/// A line on the way to the server that swallows the first answer to every write: the server has done it, and nobody is
/// told.
struct LossyLine {
    url: String,
    lost: Arc<AtomicUsize>,
}

impl LossyLine {
    fn to(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let lost = Arc::new(AtomicUsize::new(0));
        let server = server.trim_start_matches("http://").to_owned();
        let counter = Arc::clone(&lost);
        std::thread::spawn(move || {
            let mut seen = std::collections::BTreeSet::new();
            for client in listener.incoming() {
                let mut client = client.unwrap();
                let Some(request) = read_request(&mut client) else { continue };
                // A heartbeat is not repeated: the next one says the same anew.
                let is_first = !request_line(&request).contains("/heartbeat ")
                    && idempotency_key(&request).is_some_and(|key| seen.insert(key));
                let (server, counter) = (server.clone(), Arc::clone(&counter));
                std::thread::spawn(move || carry(&request, client, &server, is_first, &counter));
            }
        });
        Self { url, lost }
    }

    fn lost(&self) -> usize {
        self.lost.load(Ordering::SeqCst)
    }
}

/// Carries one request over; both connections end after it.
fn carry(request: &[u8], mut client: TcpStream, server: &str, lose: bool, lost: &AtomicUsize) {
    let Ok(mut upstream) = TcpStream::connect(server) else { return };
    let head = String::from_utf8_lossy(request).replacen("\r\n", "\r\nconnection: close\r\n", 1);
    if upstream.write_all(head.as_bytes()).is_err() {
        return;
    }
    let mut answer = Vec::new();
    if upstream.read_to_end(&mut answer).is_err() {
        return;
    }
    if lose {
        lost.fetch_add(1, Ordering::SeqCst);
    } else {
        // Whoever does not wait for the answer loses it too.
        let _ = client.write_all(&answer);
    }
}

fn read_request(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let mut chunk = [0; 65_536];
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if body.len() >= length.map_or(0, |length| length.trim().parse().unwrap()) {
                return Some(request);
            }
        }
        match client.read(&mut chunk) {
            Ok(0) | Err(_) => return None,
            Ok(count) => request.extend_from_slice(&chunk[..count]),
        }
    }
}

fn request_line(request: &[u8]) -> String {
    String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned()
}

fn idempotency_key(request: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(request).to_lowercase();
    text.lines().find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned))
}

/// Returns how often each event stands in the verified chain.
fn count(timeline: &Value, event: &str) -> usize {
    timeline.as_array().unwrap().iter().filter(|moment| moment["event"] == event).count()
}

#[test]
fn every_write_whose_answer_is_lost_is_repeated_under_its_key_and_happens_once() {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    let line = LossyLine::to(world.url());
    let token = |name: &str| world.path(&format!(".gantral-dev/tokens/{name}.token")).display().to_string();
    let (runner, agent, alice) = (token("dev-runner"), token("refund-agent"), token("alice"));
    let trust = world.path(".gantral-dev/trust.json").display().to_string();
    let through = ["--url", &line.url, "--trust", &trust, "--tenant", "dev", "--work-dir", "work"];
    world.start_runner_with(&[&through[..], &["--token-file", &runner]].concat(), &[]);
    let create = ["instances", "create", "refund", "--url", &line.url, "--token-file", &agent];
    let id = world.run(&create).status(0).word();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    let gate = seen["gate"]["gate_id"].as_str().unwrap();
    let approve =
        ["approvals", "approve", gate, "--reason", "it is owed", "--url", &line.url, "--token-file", &alice];
    world.run(&approve).status(0);
    world.reach(&id, "COMPLETED");
    assert_eq!(world.text("paid.txt").lines().count(), 1);
    // Create, two claims, two attachments, ask, two ends, decision, consume and outcome at least.
    assert!(line.lost() >= 11, "only {} answers were lost", line.lost());
    let report = world.verified(&id, "a.gantral").status(0).json();
    assert_eq!(report["verdict"], "VALID");
    for event in
        ["created", "started", "human_required", "approved", "resumed", "consumed", "outcome", "completed"]
    {
        assert_eq!(count(&report["timeline"], event), 1, "{event}");
    }
}

#[test]
fn decision_on_a_full_disk_is_refused_and_nothing_has_moved() {
    let folder = tempfile::tempdir().unwrap();
    // Where there is none, the tests of the ledger fill a file instead.
    let Some(disk) = Tmpfs::mount(folder.path(), "8m") else { return };
    let mut world = World::start_with_data(folder.path());
    world.apply(AGENT, "2s");
    world.start_runner();
    let id = world.create();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    let gate = seen["gate"]["gate_id"].as_str().unwrap();
    disk.fill();
    let approve = ["approvals", "approve", gate, "--reason", "it is owed"];
    // A decision may still fit into what the ledger has reserved; sooner or later nothing does.
    let mut refused = None;
    for _ in 0..200 {
        let ran = world.run(&["instances", "create", "refund"]);
        if ran.status != 0 {
            refused = Some(ran);
            break;
        }
    }
    let refused = refused.expect("the disk is full and the server writes on");
    assert!(refused.talk.contains("[ledger_unavailable]"), "{refused:?}");
    let ran = world.run(&approve).status(1);
    assert!(ran.talk.contains("[ledger_unavailable]"), "{ran:?}");
    assert_eq!(world.instance(&id)["state"], "WAITING_FOR_HUMAN");
    let ran = world.run(&["doctor"]).status(1);
    assert!(ran.data.contains("[not_ready]"), "{ran:?}");
    assert_eq!(world.text("paid.txt"), "");
    world.kill_server();
    disk.free();
    world.start_server();
    assert_eq!(world.reach(&id, "WAITING_FOR_HUMAN")["gate"]["gate_id"], gate);
    world.run(&approve).status(0);
    world.reach(&id, "COMPLETED");
    assert_eq!(world.text("paid.txt").lines().count(), 1);
    assert_eq!(world.verified(&id, "a.gantral").status(0).json()["verdict"], "VALID");
    drop(world);
    drop(disk);
}

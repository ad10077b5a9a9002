//! The monitor as a process: mirrors and published logs, what is handed over, and exit statuses.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use gantral_evidence::container::{Scope, write_tar};
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_evidence::trust::{Trust, TrustedKey};
use gantral_log::folder::Folder;
use gantral_log::objects::{Object, WriteObjects as _};
use gantral_log::tree::Edge;
use gantral_vectors::cast::{issuer, public, sign};
use gantral_vectors::log::{log_key, note, origin, policy, trusted_log};
use gantral_vectors::story::Story;
use serde_json::Value;

use crate::support::{Ran, gantral, run};

/// A folder with a mirror, a trust file and a log policy.
struct World {
    folder: tempfile::TempDir,
    edge: Edge,
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let trust = Trust::new([TrustedKey::issuer(public(&issuer()))], None).unwrap();
        let trust = trust.with_log(trusted_log(0, 0)).unwrap();
        std::fs::write(folder.path().join("trust.json"), trust.encode()).unwrap();
        std::fs::write(folder.path().join("policy"), policy(0, 0)).unwrap();
        let mut world = Self { folder, edge: Edge::default() };
        world.log(&Story::numbered(1));
        world
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn mirror(&self) -> PathBuf {
        self.path().join("mirror")
    }

    /// Lets the log grow by an execution.
    fn log(&mut self, story: &Story) {
        let of = |statement: &Statement| {
            let hash = artifact_hash(&statement.encode());
            Leaf::of_artifact(statement, hash, public(&issuer()).id())
        };
        let leaves: Vec<Leaf> = story.statements.iter().map(of).collect();
        let mirror = Folder::new(&self.mirror());
        mirror.write(&self.edge.append(&leaves).unwrap()).unwrap();
        let bytes = self.checkpoint().into_bytes();
        mirror.write(&[Object { name: "checkpoint".to_owned(), bytes }]).unwrap();
    }

    fn checkpoint(&self) -> String {
        note(&log_key(), &origin(), self.edge.head(), &[])
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn bundle(&self, name: &str, story: &Story) {
        let files = story.bundle(Scope::Complete, story.files());
        self.write(name, write_tar(&files.as_files().unwrap()));
    }

    fn monitor(&self, arguments: &[&str]) -> Ran {
        let usual = ["log", "monitor", "--mirror", "mirror", "--trust", "trust.json"];
        run(self.path(), &[usual.as_slice(), arguments].concat())
    }
}

fn codes(ran: &Ran) -> Vec<String> {
    let report = ran.json();
    let findings = report["findings"].as_array().unwrap();
    let mut codes: Vec<String> =
        findings.iter().map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    codes.dedup();
    codes
}

#[test]
fn a_mirror_is_followed_and_what_was_seen_is_held_against_it() {
    let mut world = World::new();
    let first = world.checkpoint();
    let followed = ["--state", "state", "--json"];
    let report = world.monitor(&followed).status(0).json();
    assert_eq!((&report["clean"], &report["instances"]), (&Value::from(true), &Value::from(1)));
    world.log(&Story::numbered(2));
    let report = world.monitor(&followed).status(0).json();
    assert_eq!(report["read_from"], report["known"]);
    let shown = world.monitor(&["--state", "state"]).status(0).data;
    assert!(shown.starts_with("CLEAN  log.example/acme\n"), "{shown}");
    // It falls back to what it was.
    world.write("mirror/checkpoint", &first);
    let ran = world.monitor(&followed).status(1);
    assert_eq!(codes(&ran), ["E_ROLLBACK"]);
    assert_eq!(ran.json()["findings"][0]["checkpoints"][1], first);
    // Whoever remembers nothing cannot know.
    world.monitor(&["--json"]).status(0);
    let shown = world.monitor(&["--state", "state"]).status(1).data;
    assert!(shown.starts_with("FOUND  log.example/acme\n"), "{shown}");
    assert!(shown.contains("E_ROLLBACK  The log shows less than it has signed before"), "{shown}");
}

#[test]
fn what_was_handed_over_is_compared_with_the_log() {
    let mut world = World::new();
    world.log(&Story::numbered(2));
    world.bundle("bundles/one.gantral", &Story::numbered(1));
    let all = ["--from-index", "0", "--json"];
    let with = |arguments: &[&str]| world.monitor(&[arguments, &all].concat());
    let ran = with(&["--bundles", "bundles"]).status(1);
    assert_eq!(codes(&ran), ["E_HIDDEN"]);
    world.bundle("bundles/two.gantral", &Story::numbered(2));
    let report = with(&["--bundles", "bundles"]).status(0).json();
    assert_eq!((&report["window"], &report["handed_over"]), (&Value::from(2), &Value::from(2)));
    let mut cut = Story::numbered(2);
    cut.statements.pop();
    world.bundle("cut.gantral", &cut);
    let ran = world.monitor(&["--bundles", "cut.gantral", "bundles/one.gantral", "--json"]).status(1);
    assert_eq!(codes(&ran), ["E_TRUNCATED"]);

    let kept = |story: &Story| -> String {
        let envelopes = story.statements.iter().map(|statement| sign(statement, &issuer()).envelope);
        envelopes
            .map(|envelope| format!("{{\"envelope\":{}}}\n", String::from_utf8(envelope).unwrap()))
            .collect()
    };
    world.write("kept", kept(&Story::numbered(1)));
    world.write("never", kept(&Story::numbered(3)));
    world.monitor(&["--receipts", "kept", "--json"]).status(0);
    let ran = world.monitor(&["--receipts", "kept", "never", "--json"]).status(1);
    assert_eq!(codes(&ran), ["E_RECEIPT"]);
    // A promise that has not run out is no finding, however long a promise that is.
    let patient = ["--receipts", "never", "--delay", "100000000000", "--json"];
    let report = world.monitor(&patient).status(0).json();
    assert_eq!(report["pending"], Story::numbered(3).statements.len());

    let other = World::new();
    world.write("same", other.checkpoint());
    world.monitor(&["--checkpoint", "same", "--json"]).status(0);
    let mut forked = World { edge: Edge::default(), ..World::new() };
    forked.log(&Story::numbered(9));
    world.write("forked", forked.checkpoint());
    let ran = world.monitor(&["--checkpoint", "same", "forked", "--json"]).status(1);
    assert_eq!(codes(&ran), ["E_SPLIT_VIEW"]);
}

#[test]
fn what_cannot_be_judged_is_neither_clean_nor_a_finding() {
    let world = World::new();
    let usual = ["log", "monitor", "--policy", "policy"];
    run(world.path(), &[usual.as_slice(), &["--mirror", "mirror"]].concat()).status(0);
    let ran = run(world.path(), &[usual.as_slice(), &["--mirror", "nothing"]].concat()).status(3);
    assert!(ran.data.is_empty() && ran.talk.contains("there is no `checkpoint`"), "{ran:?}");
    run(world.path(), &[usual.as_slice(), &["--url", "http://127.0.0.1:1/"]].concat()).status(3);
    let ran = run(world.path(), &[usual.as_slice(), &["--url", "http://log.example/"]].concat()).status(3);
    assert!(ran.talk.contains("plain http is for loopback"), "{ran:?}");
    world.write("state/state", "something else");
    let ran = world.monitor(&["--state", "state"]).status(3);
    assert!(ran.talk.contains("not what this monitor remembers"), "{ran:?}");
    world.monitor(&["--receipts", "mirror/checkpoint"]).status(3);
    // Bundles count only by keys that were pinned.
    run(world.path(), &[usual.as_slice(), &["--mirror", "mirror", "--bundles", "x"]].concat()).status(2);
}

/// Serves the files of a folder under `/acme/` to whoever has the token.
fn publish(folder: PathBuf, token: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/acme/", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).unwrap() > 0 {}
            let path =
                request.split(' ').nth(1).unwrap_or_default().strip_prefix("/acme/").unwrap_or_default();
            let known = request.contains(&format!("authorization: Bearer {token}\r\n"));
            let (status, body) = match std::fs::read(folder.join(path)) {
                _ if !known => ("401 Unauthorized", Vec::new()),
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            // Whoever asked may have gone.
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    url
}

#[test]
fn a_published_log_is_followed_until_the_monitor_is_told_to_stop() {
    use std::os::unix::fs::PermissionsExt as _;
    let mut world = World::new();
    let url = publish(world.mirror(), "secret");
    world.write("token", "secret\n");
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(world.path().join("token"), private).unwrap();
    let usual = ["log", "monitor", "--policy", "policy", "--url", &url, "--json"];
    let refused = run(world.path(), &usual).status(3);
    assert!(refused.talk.contains("status 401"), "{refused:?}");
    let usual = [usual.as_slice(), &["--token-file", "token", "--state", "state"]].concat();
    run(world.path(), &usual).status(0);

    let mut follow = gantral(world.path());
    follow.args([usual.as_slice(), &["--follow", "0"]].concat());
    let mut child = follow.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = || -> Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    assert_eq!(next()["instances"], 1);
    world.log(&Story::numbered(2));
    while next()["instances"] != 2 {}
    // One history more, and the monitor says so as long as it lives.
    let mut forked = World { edge: Edge::default(), ..World::new() };
    forked.log(&Story::numbered(9));
    forked.log(&Story::numbered(8));
    std::fs::remove_dir_all(world.mirror()).unwrap();
    std::fs::rename(forked.mirror(), world.mirror()).unwrap();
    let found = loop {
        let report = next();
        if report["clean"] == false && report["findings"][0]["code"] == "E_SPLIT_VIEW" {
            break report;
        }
    };
    assert_eq!(found["findings"][0]["checkpoints"].as_array().unwrap().len(), 2);
    let asked = std::process::Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap();
    assert!(asked.success());
    let mut rest = String::new();
    for line in lines {
        rest.push_str(&line.unwrap());
    }
    assert_eq!(child.wait().unwrap().code(), Some(1), "{rest}");
}

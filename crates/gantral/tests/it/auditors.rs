//! `docs/auditors.md`, followed literally: every command of its consoles is run, in order, in a folder that was prepared as the page
//! says, and must end and answer as the page shows.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use gantral_core::digest::Digest;
use gantral_core::event::Identity;
use gantral_core::ids::InstanceId;
use gantral_core::policy::Verdict;
use gantral_core::state::HumanEvidence;
use gantral_core::time::UnixMillis;
use gantral_evidence::bundle::proof_path;
use gantral_evidence::container::{Scope, write_tar};
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::Require;
use gantral_evidence::window::{
    InstanceHead, InstanceList, LIST_PATH, STATEMENT_PATH, WindowFilter, WindowStatement,
};
use gantral_log::folder::Folder;
use gantral_log::objects::{Object, WriteObjects as _};
use gantral_log::tree::Edge;
use gantral_vectors::cast::{envelope, issuer, refund};
use gantral_vectors::log::{Log, leaf, receipt_line, trust_logged};
use gantral_vectors::story::Story;

use crate::consoles::{LEFT_OUT, Step, is_shown, steps};
use crate::support::{Ran, gantral, part, repository};

/// An execution of its own.
fn execution(number: u8) -> Story {
    let mut story = Story::begin();
    let id = InstanceId::from_random([number; 16]);
    story.instance.identity.instance = id;
    story.statements[0].identity.instance = id;
    story.relink();
    story.launch().ask(&refund(20), Verdict::Allow, None).act(&refund(20)).exit(0);
    story
}

/// What the page has in hand: a log that is published, and a folder with what was handed over.
struct Desk {
    folder: tempfile::TempDir,
    log: Log,
    note: String,
}

impl Desk {
    fn new() -> Self {
        let (case, other, hidden) = (Story::refund(), execution(8), execution(9));
        let mut log = Log::default();
        for story in [&other, &case, &hidden] {
            story.statements.iter().for_each(|statement| _ = log.add(&leaf(statement)));
        }
        let seen_at = case.now / 1_000 + 120;
        let note = log.checkpoint(log.size(), &[(1, seen_at), (2, seen_at + 1)]);
        let desk = Self { folder: tempfile::tempdir().unwrap(), log, note };
        desk.bundle("stick/case.gantral", &case, Scope::Complete);
        let mut cut = Story::refund();
        cut.statements.pop();
        desk.bundle("stick/cut.gantral", &cut, Scope::Complete);
        desk.window("stick/year", &[&case, &other]);
        let receipts: String = case.statements.iter().map(receipt_line).collect();
        desk.write("receipts.jsonl", receipts.as_bytes());
        desk.write("trust.json", &trust_logged(everything()).encode());
        for name in ["mirror.sh", "python/gantral_verify.py"] {
            let program = std::fs::read(repository().join("verifiers").join(name)).unwrap();
            desk.write(name.rsplit('/').next().unwrap(), &program);
        }
        desk
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    fn bundle(&self, name: &str, story: &Story, scope: Scope) {
        let mut files: BTreeMap<String, Vec<u8>> = story.files();
        for (sequence, statement) in story.statements.iter().enumerate() {
            let own = leaf(statement).encode();
            let index = self.log.leaves.iter().position(|leaf| *leaf == own).unwrap();
            let proof = self.log.proof(index as u64, self.log.size(), &self.note);
            files.insert(proof_path(sequence), proof.encode().into_bytes());
        }
        self.write(name, &write_tar(&story.bundle(scope, files).as_files().unwrap()));
    }

    /// Writes executions with the issuer's word that these are all of the year.
    fn window(&self, name: &str, stories: &[&Story]) {
        let mut instances = Vec::new();
        for story in stories {
            let instance = story.instance.identity.instance;
            self.bundle(&format!("{name}/{instance}.gantral"), story, Scope::Complete);
            let last = story.statements.last().unwrap();
            let hash = artifact_hash(&last.encode());
            instances.push(InstanceHead { instance, sequence: last.sequence, hash });
        }
        let list = InstanceList { instances }.encode();
        let Identity { tenant, origin, .. } = stories[0].instance.identity.clone();
        let statement = WindowStatement {
            tenant,
            origin,
            from: UnixMillis::parse("2026-01-01T00:00:00.000Z").unwrap(),
            to: UnixMillis::parse("2027-01-01T00:00:00.000Z").unwrap(),
            filter: WindowFilter::default(),
            count: stories.len() as u64,
            instances_digest: Digest::of(&list),
            at: UnixMillis::parse("2027-01-02T00:00:00.000Z").unwrap(),
            anchor: None,
            blind: [7; 32],
        };
        self.write(&format!("{name}/{LIST_PATH}"), &list);
        self.write(&format!("{name}/{STATEMENT_PATH}"), &envelope(statement.encode(), &issuer()));
    }

    /// Runs a command as somebody types it.
    fn run(&self, command: &str, log: &str, programs: &Path) -> Ran {
        let python = part("python/bin");
        let ours = gantral(self.path());
        let path = ours.get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap();
        let path = format!("{}:{}:{}", programs.display(), python.display(), path.display());
        let mut shell = Command::new("sh");
        shell.env_clear().env("PATH", path).env("LOG", log).current_dir(self.path());
        // What goes wrong is seen between what goes well, as on a terminal.
        Ran::of(shell.arg("-c").arg(format!("exec 2>&1; {command}")).output().unwrap())
    }
}

/// What the trust file of the page requires.
fn everything() -> Require {
    Require {
        scope: Scope::Complete,
        enforced: true,
        logged: true,
        witnessed: 2,
        human_evidence: Some(HumanEvidence::Operator),
        complete: true,
        snapshots: true,
        ..Require::signed()
    }
}

/// Publishes files as any web server does, on a free port, and counts what is fetched.
fn publish(folder: PathBuf) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/log/acme", listener.local_addr().unwrap());
    let (tell, fetched) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = String::new();
            let mut reader = BufReader::new(stream.try_clone().unwrap());
            while !request.ends_with("\r\n\r\n") && reader.read_line(&mut request).unwrap() > 0 {}
            let path = request.split(' ').nth(1).unwrap_or_default();
            let name = path.strip_prefix("/log/acme/").unwrap_or_default().to_owned();
            let (status, body) = match std::fs::read(folder.join(&name)) {
                Ok(body) => ("200 OK", body),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
            // Nobody may listen any more.
            let _ = tell.send(name);
            let _ = stream.write_all(&[head.as_bytes(), &body].concat());
        }
    });
    (url, fetched)
}

/// Lays a log out as its server does.
fn lay_out(folder: &Path, log: &Log, note: &str) {
    let leaves: Vec<Leaf> = log.leaves.iter().map(|leaf| Leaf::parse(leaf).unwrap()).collect();
    let bytes = note.as_bytes().to_vec();
    let files = Folder::new(folder);
    files.write(&Edge::default().append(&leaves).unwrap()).unwrap();
    files.write(&[Object { name: "checkpoint".to_owned(), bytes }]).unwrap();
}

/// Builds the verifier alone, which no test of this crate has built, and returns the folder that it is in.
fn verifier() -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_gantral")).parent().unwrap().to_owned();
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--locked", "--package", "gantral-verify"]).current_dir(repository());
    if folder.ends_with("release") {
        cargo.arg("--release");
    }
    assert!(cargo.status().unwrap().success());
    folder
}

fn page() -> PathBuf {
    repository().join("docs/auditors.md")
}

#[test]
fn the_page_for_auditors_leads_to_what_it_shows() {
    let (desk, programs) = (Desk::new(), verifier());
    let served = tempfile::tempdir().unwrap();
    lay_out(served.path(), &desk.log, &desk.note);
    let (url, _fetched) = publish(served.path().to_owned());
    let mut page_now = std::fs::read_to_string(page()).unwrap();
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let (mut last, mut told) = (0, true);
    for Step { command, shown } in steps(&page_now.clone()) {
        if command == "echo $?" {
            assert_eq!(shown, [last.to_string()], "the status before this");
            told = true;
            continue;
        }
        assert!(told, "the page does not show the status before `{command}`");
        let ran = desk.run(&command, &url, &programs);
        let lines: Vec<&str> = ran.data.lines().map(str::trim_end).collect();
        let is_whole = !shown.iter().any(|line| line.contains(LEFT_OUT));
        if update && is_whole {
            let before = [vec![format!("$ {command}")], shown].concat().join("\n");
            let after =
                [vec![format!("$ {command}")], lines.iter().map(|l| (*l).to_owned()).collect()].concat();
            page_now = page_now.replacen(&before, &after.join("\n"), 1);
        } else {
            assert!(is_shown(&lines, &shown), "`{command}` says:\n{}", ran.data);
        }
        (last, told) = (ran.status, ran.status == 0);
    }
    assert!(told, "the page does not show the last status");
    if update {
        std::fs::write(page(), page_now).unwrap();
    }
}

#[test]
fn a_plain_downloader_mirrors_a_log_and_fetches_nothing_twice() {
    let desk = Desk::new();
    let served = tempfile::tempdir().unwrap();
    let (url, fetched) = publish(served.path().to_owned());
    let mirror = |log: &Log| {
        lay_out(served.path(), log, &log.checkpoint(log.size(), &[]));
        let ran = desk.run("sh mirror.sh \"$LOG\" mirrored", &url, Path::new("/")).status(0);
        assert_eq!(ran.data, "");
        fetched.try_iter().collect::<Vec<_>>()
    };
    let mut log = Log::default();
    (0..600).for_each(|_| _ = log.add_stranger());
    let first = mirror(&log);
    let expected = [
        "checkpoint",
        "tile/entries/000",
        "tile/entries/001",
        "tile/entries/002.p/88",
        "tile/0/000",
        "tile/0/001",
        "tile/0/002.p/88",
        "tile/1/000.p/2",
    ];
    assert_eq!(first, expected);
    (0..8).for_each(|_| _ = log.add_stranger());
    assert_eq!(mirror(&log), ["checkpoint", "tile/entries/002.p/96", "tile/0/002.p/96"]);
    assert_eq!(mirror(&log), ["checkpoint"]);
    // A run that was broken off has left half a tile, and the list of what it was about to fetch.
    let half = "tile/0/001";
    desk.write(&format!("mirrored/{half}"), b"half");
    desk.write("mirrored/wanted", format!("url = \"{url}/{half}\"\noutput = \"{half}\"\n").as_bytes());
    assert_eq!(mirror(&log), ["checkpoint", half]);
    std::fs::write(served.path().join("checkpoint"), "log.example/acme\n1$(touch bad)\n").unwrap();
    let refused = desk.run("sh mirror.sh \"$LOG\" mirrored", &url, Path::new("/"));
    assert_eq!((refused.status, refused.data.contains("is not a checkpoint")), (1, true), "{refused:?}");
}

//! A witness that ends at any step. The process is this test program itself, so that the step can be chosen.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use ed25519_dalek::Signer as _;
use gantral_evidence::log::note::{NoteKey, NoteKeyKind};
use gantral_log::folder::Folder;
use gantral_log::objects::{Object, ReadObjects, WriteObjects};
use gantral_log::witness::{Cosigner, Witness};

use crate::world::{Log, log_key, note_key, now, secret};

/// Which folder, which request, and at which step to die.
const FOLDER: &str = "GANTRAL_TEST_WITNESS_FOLDER";
const STEP: &str = "GANTRAL_TEST_WITNESS_STEP";

/// Ends this process as SIGKILL does: nothing runs any more.
fn die_at(step: &str) {
    if std::env::var(STEP).is_ok_and(|wanted| wanted == step) {
        let killed = Command::new("kill").args(["-KILL", &std::process::id().to_string()]).status();
        panic!("still here after {killed:?}");
    }
}

struct Mortal(Folder);

impl ReadObjects for Mortal {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(name)
    }
}

impl WriteObjects for Mortal {
    fn write(&self, objects: &[Object]) -> io::Result<()> {
        die_at("before it remembers");
        let written = self.0.write(objects);
        die_at("after it remembered");
        written
    }

    fn remove_under(&self, folder: &str) -> io::Result<()> {
        self.0.remove_under(folder)
    }
}

struct MortalKey(NoteKey);

impl Cosigner for MortalKey {
    fn key(&self) -> &NoteKey {
        &self.0
    }

    fn sign(&self, message: &[u8]) -> io::Result<[u8; 64]> {
        die_at("before it signs");
        let signature = secret(7).sign(message).to_bytes();
        die_at("before it answers");
        Ok(signature)
    }
}

fn witness(folder: &Path) -> Witness<Mortal, MortalKey> {
    let key = note_key(7, "w.example/1", NoteKeyKind::Cosignature);
    Witness::new(vec![log_key()], Mortal(Folder::new(folder)), MortalKey(key))
}

/// Asks a witness in a process of its own, which dies at a step; returns whether it answered.
fn ask_mortal(folder: &Path, step: &str, request: &str) -> bool {
    std::fs::write(folder.join("request"), request).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::child_of_the_crash_tests", "--nocapture"])
        .env(FOLDER, folder)
        .env(STEP, step)
        .stderr(Stdio::null())
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).contains("answered: Ok")
}

#[test]
fn child_of_the_crash_tests() {
    let Ok(folder) = std::env::var(FOLDER) else { return };
    let folder = Path::new(&folder);
    let request = std::fs::read(folder.join("request")).unwrap();
    let answer = witness(folder).add_checkpoint(&request, now()).map_err(|refusal| refusal.status());
    use std::io::Write as _;
    writeln!(io::stdout(), "answered: {answer:?}").unwrap();
}

#[test]
fn a_witness_that_was_killed_at_any_step_cosigns_no_second_tree_and_does_not_go_back() {
    let (log, fork) = (Log::new(30, 1, 0), Log::new(30, 2, 10));
    let steps = ["before it remembers", "after it remembered", "before it signs", "before it answers"];
    for step in steps {
        let dir = tempfile::tempdir().unwrap();
        witness(dir.path()).add_checkpoint(log.request(0, 12).encode().as_bytes(), now()).unwrap();
        assert!(!ask_mortal(dir.path(), step, &log.request(12, 20).encode()), "{step}");
        let after = witness(dir.path());
        let ask = |request: gantral_log::witness::Request| {
            after.add_checkpoint(request.encode().as_bytes(), now()).map_err(|refusal| refusal.status())
        };
        let seen = if step == "before it remembers" { 12 } else { 20 };
        // Whatever the one who died knew: a fork is not cosigned, and what it had not answered is answered.
        assert!(matches!(ask(fork.request(12, 20)), Err(409 | 422)), "{step}");
        assert_eq!(ask(fork.request(20, 20)), Err(409), "{step}");
        assert_eq!(ask(log.request(5, 12)), Err(409), "{step}");
        assert!(ask(log.request(seen, 20)).is_ok(), "{step}");
    }
    // The twin: one that is not killed answers.
    let dir = tempfile::tempdir().unwrap();
    assert!(ask_mortal(dir.path(), "never", &log.request(0, 12).encode()));
}

//! The program as an auditor runs it: paths in, a report and an exit status out.
#![allow(
    clippy::unwrap_used,
    reason = "the lints make an exception for test functions, and this is one binary of them"
)]

mod mirror;
mod windows;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::decide::create;
use gantral_core::digest::Digest;
use gantral_core::event::{Actor, Created, Identity, Requester, WorkflowRef};
use gantral_core::ids::{ActorId, ArtifactId, InstanceId, LogOrigin, Name, TenantId, WorkflowId};
use gantral_core::policy::Materiality;
use gantral_core::state::{ActorKind, Mode, State};
use gantral_core::table::semantics_digest;
use gantral_core::time::UnixMillis;
use gantral_evidence::bundle::BundleWriter;
use gantral_evidence::container::{OwnedFiles, Scope, write_tar};
use gantral_evidence::keys::PublicKey;
use gantral_evidence::seal::seal;
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use tempfile::TempDir;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[1; 32])
}

fn public() -> PublicKey {
    PublicKey::from_bytes(key().verifying_key().as_bytes()).unwrap()
}

/// An execution that was created and nothing else.
fn statement() -> Statement {
    let at = UnixMillis::parse("2026-03-01T09:00:00.000Z").unwrap();
    let issuer = "https://issuer.example".to_owned();
    let agent = ActorId::parse("agent").unwrap();
    let requester =
        Requester { id: agent.clone(), kind: ActorKind::Workload, issuer: issuer.clone(), owner: None };
    let created = Created {
        requester: vec![requester],
        parent: None,
        session: None,
        trigger: None,
        context: None,
        expires_at: UnixMillis::parse("2026-03-02T09:00:00.000Z").unwrap(),
    };
    let actor = Actor { id: agent, kind: ActorKind::Workload, issuer: Some(issuer), role: None };
    Statement {
        artifact_id: ArtifactId::at(at.get(), [3; 16]),
        identity: Identity {
            tenant: TenantId::parse("acme").unwrap(),
            origin: LogOrigin::parse("log.example/acme").unwrap(),
            instance: InstanceId::from_random([7; 16]),
            workflow: WorkflowRef {
                id: WorkflowId::parse("refunds").unwrap(),
                version: Name::parse("3").unwrap(),
                digest: Digest::of(b"definition"),
                materiality: Materiality::High,
            },
        },
        sequence: 0,
        previous: None,
        semantics: semantics_digest(),
        from_state: None,
        state: State::Created,
        entry: create(&actor, created, Mode::Enforce, at),
        anchor: None,
        blind: [5; 32],
    }
}

fn files() -> OwnedFiles {
    let statement = statement();
    let sealed = seal(&statement, public().id(), |message| key().sign(message).to_bytes()).unwrap();
    let mut writer = BundleWriter::new(statement.identity.instance).unwrap();
    writer.artifact(sealed.envelope).unwrap();
    writer.finish(Scope::Prefix).unwrap()
}

struct Desk {
    folder: TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Self { folder: TempDir::new().unwrap() };
        let trust = Trust::new([TrustedKey::issuer(public())], Some(Require::signed())).unwrap();
        fs::write(desk.path("trust.json"), trust.encode()).unwrap();
        fs::write(desk.path("b.gantral"), write_tar(&files().as_files().unwrap())).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn directory(&self) -> PathBuf {
        let root = self.path("directory");
        for (path, content) in files().as_files().unwrap().iter() {
            let file = root.join(path);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        root
    }
}

fn run(arguments: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gantral-verify")).args(arguments).env_clear().output().unwrap()
}

/// Verifies under the pinned trust file; returns exit status and standard output.
fn verify(desk: &Desk, bundle: &Path) -> (Option<i32>, String) {
    let output = run(&[bundle, Path::new("--trust"), &desk.path("trust.json")]);
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn a_tar_and_a_directory_have_one_report() {
    let desk = Desk::new();
    let (status, report) = verify(&desk, &desk.path("b.gantral"));
    assert_eq!((status, report.lines().next()), (Some(0), Some("VALID")));
    assert_eq!(verify(&desk, &desk.directory()), (Some(0), report));
}

#[test]
fn a_changed_byte_is_invalid() {
    let desk = Desk::new();
    let mut tar = fs::read(desk.path("b.gantral")).unwrap();
    if let Some(byte) = tar.get_mut(700) {
        *byte ^= 1;
    }
    fs::write(desk.path("b.gantral"), tar).unwrap();
    let (status, report) = verify(&desk, &desk.path("b.gantral"));
    assert_eq!(status, Some(1), "{report}");
}

#[test]
fn without_a_trust_file_the_verdict_is_open() {
    let desk = Desk::new();
    let output = run(&[&desk.path("b.gantral"), Path::new("--json")]);
    assert_eq!(output.status.code(), Some(2));
    let json = String::from_utf8(output.stdout).unwrap();
    assert!(json.contains("\"codes\":[\"E_NO_TRUST\"]") && json.ends_with("}\n"), "{json}");
}

#[cfg(unix)]
#[test]
fn a_link_is_never_followed() {
    let desk = Desk::new();
    let root = desk.directory();
    std::os::unix::fs::symlink("/etc/hostname", root.join("link")).unwrap();
    let (status, report) = verify(&desk, &root);
    assert_eq!(status, Some(1), "{report}");
    assert!(report.contains("E_CONTAINER"), "{report}");
}

#[test]
fn what_cannot_be_read_gets_no_verdict() {
    let desk = Desk::new();
    assert_eq!(verify(&desk, &desk.path("nowhere")).0, Some(3));
    fs::write(desk.path("trust.json"), b"{}").unwrap();
    assert_eq!(verify(&desk, &desk.path("b.gantral")), (Some(3), String::new()));
    let usage = run(&[]);
    assert_eq!(usage.status.code(), Some(3));
    assert!(String::from_utf8(usage.stderr).unwrap().contains("Usage: gantral-verify"));
}

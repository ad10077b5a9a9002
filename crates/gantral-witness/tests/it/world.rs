//! A log on disk that may also lie, and witnesses that serve on free ports.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::leaf::{Leaf, LeafKind};
use gantral_evidence::log::note::{NoteKey, NoteKeyKind, signature_line};
use gantral_evidence::log::tree::TreeHead;
use gantral_log::folder::Folder;
use gantral_log::objects::WriteObjects as _;
use gantral_log::proving::Prover;
use gantral_log::push::{WITNESS_TIMEOUT_DEFAULT, WitnessClient, WitnessConfig};
use gantral_log::tree::Edge;
use gantral_log::witness::Request;
use gantral_witness::{Listening, WitnessFolder, WitnessServer, serve};
use tempfile::TempDir;
use tokio::sync::watch;

pub const ORIGIN: &str = "acme/log.example";

pub fn secret(seed: u8) -> SigningKey {
    SigningKey::from_bytes(&[seed; 32])
}

pub fn note_key(seed: u8, name: &str, kind: NoteKeyKind) -> NoteKey {
    let public = PublicKey::from_bytes(secret(seed).verifying_key().as_bytes()).unwrap();
    NoteKey::new(name, kind, public).unwrap()
}

pub fn log_key() -> NoteKey {
    note_key(1, ORIGIN, NoteKeyKind::Text)
}

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Returns a checkpoint of a tree, signed by the log.
pub fn signed(tree: TreeHead) -> String {
    let text = Checkpoint { origin: LogOrigin::parse(ORIGIN).unwrap(), tree }.text();
    format!("{text}\n{}", signature_line(&log_key(), &secret(1).sign(text.as_bytes()).to_bytes()))
}

/// A log of which every size up to its own can be shown.
pub struct Log {
    _dir: TempDir,
    pub objects: Folder,
    heads: Vec<TreeHead>,
}

impl Log {
    /// Makes a log of so many leaves. Two logs with other seeds have other leaves from `fork` on.
    pub fn new(size: u64, seed: u8, fork: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (objects, mut edge) = (Folder::new(dir.path()), Edge::default());
        let mut heads = vec![TreeHead::empty()];
        for number in 0..size {
            let leaf = Leaf {
                kind: LeafKind::Artifact,
                sequence: 0,
                terminal: false,
                tag: Digest::of(&number.to_be_bytes()),
                hash: Digest::from_bytes([if number < fork { 0 } else { seed }; 32]),
                issuer: [9; 8],
            };
            objects.write(&edge.append(&[leaf]).unwrap()).unwrap();
            heads.push(edge.head());
        }
        Self { _dir: dir, objects, heads }
    }

    pub fn checkpoint(&self, size: u64) -> String {
        signed(self.heads[usize::try_from(size).unwrap()])
    }

    /// Returns the request by which the log, at `size`, asks a witness that has seen `old` leaves.
    pub fn request(&self, old: u64, size: u64) -> Request {
        let proof = Prover::new(&self.objects, size).unwrap().consistency(old).unwrap();
        Request { old_size: old, proof, checkpoint: self.checkpoint(size) }
    }
}

/// A witness that serves.
pub struct Serving {
    pub url: String,
    pub key: NoteKey,
    stop: watch::Sender<bool>,
    ended: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Serving {
    pub async fn init(dir: &Path, name: &str) -> Self {
        Self::start(WitnessFolder::init(dir, name).unwrap()).await
    }

    pub async fn start(folder: WitnessFolder) -> Self {
        let key = folder.key().clone();
        let witness = WitnessServer::new(folder, vec![log_key()]).unwrap();
        let listening = Listening::bind("127.0.0.1:0".parse().unwrap(), None).await.unwrap();
        let url = listening.url();
        let (stop, stopped) = watch::channel(false);
        Self { url, key, stop, ended: tokio::spawn(serve(witness, listening, stopped)) }
    }

    pub async fn stop(self) {
        self.stop.send(true).unwrap();
        self.ended.await.unwrap().unwrap();
    }

    pub fn client(&self) -> WitnessClient {
        client(&self.url, self.key.clone())
    }
}

pub fn client(url: &str, key: NoteKey) -> WitnessClient {
    let timeout = WITNESS_TIMEOUT_DEFAULT;
    WitnessClient::new(&WitnessConfig { url: url.to_owned(), key, ca_file: None, timeout }).unwrap()
}

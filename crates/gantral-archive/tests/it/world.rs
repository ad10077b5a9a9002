//! A ledger with a history, the log of it, and an archive.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use gantral_archive::verify::{ArchiveReport, verify_archive};
use gantral_archive::{Archive, ArchiveConfig, Archiver, PACE};
use gantral_core::ids::{LogOrigin, TenantId};
use gantral_engine::EngineConfig;
use gantral_evidence::log::note::{NoteKey, NoteKeyKind};
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustedKey, TrustedLog};
use gantral_keys::{LocalSigner, Signer as _};
use gantral_log::folder::Folders;
use gantral_log::published::Published;
use gantral_log::sequencer::{Sequencer, SequencerConfig, SequencerParts};
use gantral_store::{Duties, Duty, Holder, OpenError, Store};
use gantral_testkit::World;
use object_store::client::{HttpClient, HttpRequest, HttpRequestBody};
use tempfile::TempDir;

use crate::script::{REJECTED, SELF, SMALL_AT_ONCE, Script, Step};

/// A world whose executions are archived.
pub struct Archived {
    pub script: Script,
    pub folder: TempDir,
    log_key: Vec<u8>,
}

/// Executions of every kind of ending, and some that wait.
pub const HISTORY: &[&[Step]] = &[SELF, SMALL_AT_ONCE, REJECTED];

impl Archived {
    /// A world with a history.
    pub async fn new() -> Self {
        let script = Script::new(SELF).await;
        let folder = tempfile::tempdir().unwrap();
        let mut archived = Self { script, folder, log_key: LocalSigner::generate().unwrap() };
        for steps in HISTORY {
            archived.play(steps).await;
        }
        // One that waits at its gate.
        archived.play(&SELF[..3]).await;
        archived
    }

    /// Plays an execution of its own.
    pub async fn play(&mut self, steps: &[Step]) {
        self.script.learned = crate::script::Learned::default();
        for step in steps {
            self.script.step(*step).await.unwrap();
        }
    }

    pub fn world(&self) -> &World {
        &self.script.world
    }

    /// Closes the file, and waits until what worked on it in the background has let it go.
    pub async fn close(&mut self) {
        self.script.world.close();
        while let Err(OpenError::InUse { .. }) = Store::open_sqlite(&self.world().file()).map(drop) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn store(&self) -> Store {
        self.world().engine().store().clone()
    }

    pub fn tenant(&self) -> TenantId {
        self.world().tenant()
    }

    pub fn log_signer(&self) -> LocalSigner {
        LocalSigner::from_pkcs8(KeyRole::Log, &self.log_key).unwrap()
    }

    /// Lets the log take everything.
    pub async fn log(&self, store: &Store) {
        let config = SequencerConfig { suffix: EngineConfig::default().log_suffix };
        let folders = Folders::new(&self.folder.path().join("log"));
        let signer = Arc::new(self.log_signer());
        let published = Published::new();
        let parts = SequencerParts { store: store.clone(), shelf: folders, signer, config, published };
        let duties = Duties::new(store.clone(), Holder::from_random([1; 16]));
        let on_duty = duties.wait(&Duty::Logs).await;
        let mut sequencer = Sequencer::start(parts, on_duty.held()).await.unwrap();
        while sequencer.round().await.unwrap() > 0 {}
        drop(sequencer);
        on_duty.release().await;
    }

    /// Returns the configuration of an archive in a folder.
    pub fn config(&self) -> ArchiveConfig {
        file(&self.folder.path().join("archive"))
    }

    pub fn archiver(&self, store: &Store, archive: &Archive) -> Archiver {
        Archiver::new(archive.clone(), store.clone(), None, &[self.tenant()], PACE)
    }

    /// Archives what the log has.
    pub async fn archive(&self, archive: &Archive) {
        self.log(&self.store()).await;
        until_done(&mut self.archiver(&self.store(), archive), &self.tenant()).await;
    }

    /// Returns what an auditor pins.
    pub fn trust(&self) -> Trust {
        let suffix = EngineConfig::default().log_suffix;
        let origin = LogOrigin::parse(&format!("{}/{suffix}", self.tenant())).unwrap();
        let key = self.log_signer().public_key().clone();
        let key = NoteKey::new(origin.as_str(), NoteKeyKind::Text, key).unwrap();
        let log = TrustedLog::new(&format!("log {key}\nquorum none\n"), 3_600_000, 300_000).unwrap();
        let issuer = TrustedKey::issuer(self.world().engine().public_key().clone());
        let require = Require { logged: true, ..Require::signed() };
        Trust::new([issuer], Some(require)).unwrap().with_log(log).unwrap()
    }

    pub async fn verified(&self, archive: &Archive) -> ArchiveReport {
        verify_archive(archive, &[], &self.trust()).await.unwrap()
    }
}

/// Returns the configuration of an archive in a folder.
pub fn file(folder: &Path) -> ArchiveConfig {
    ArchiveConfig { url: format!("file://{}", folder.display()), ..ArchiveConfig::default() }
}

/// Lets an archiver work until the archive has what the log has.
pub async fn until_done(archiver: &mut Archiver, tenant: &TenantId) {
    for _ in 0..50 {
        archiver.round().await;
        let status = archiver.status().tenants().remove(tenant).unwrap_or_default();
        assert_eq!((status.stopped, status.failing), (None, None));
        if status.behind == 0 && status.size > 0 {
            return;
        }
    }
    panic!("the archive does not catch up");
}

/// Writes a secret that only its owner may read.
pub fn write_secret(path: &Path, secret: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, secret).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// Returns a request without a body to a server of storage, to be signed as that one wants it.
pub fn request(method: &str, url: &str) -> HttpRequest {
    let mut request = HttpRequest::new(HttpRequestBody::empty());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = url.parse().unwrap();
    request
}

/// Sends a request to a server on this machine, and returns the status; `None` while it does not answer.
pub async fn status(request: HttpRequest) -> Option<u16> {
    let url = reqwest::Url::parse("http://127.0.0.1/").unwrap();
    let client = gantral_outbound::client_for(&url, None, |client| client).unwrap();
    Some(HttpClient::new(client).execute(request).await.ok()?.status().as_u16())
}

//! A server of Azure's storage: the pinned part, with everything in memory, gone with the test.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use gantral_archive::ArchiveConfig;
use gantral_testkit::part;
use object_store::azure::{AzureAccessKey, AzureAuthorizer, AzureCredential};
use tempfile::TempDir;

use crate::world::{request, status, write_secret};

/// The account that every such server has, and its key: both are published.
/// Source: <https://learn.microsoft.com/azure/storage/common/storage-use-azurite>.
const ACCOUNT: &str = "devstoreaccount1";
const KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";
/// What it says in front of its address.
const LISTENS: &str = "successfully listens on ";

/// A running server, stopped when dropped.
pub struct Azurite {
    server: Child,
    url: String,
    _folder: TempDir,
}

impl Azurite {
    /// Starts a server with a container `kept`.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Command::new(part("azurite/node_modules/.bin/azurite-blob"))
            .args(["--inMemoryPersistence", "--disableTelemetry", "--skipApiVersionCheck"])
            .args(["--blobHost", "127.0.0.1", "--blobPort", "0"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(server.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = said.find_map(|line| Some(line.split_once(LISTENS)?.1.trim().to_owned()));
        let url = format!("{}/{ACCOUNT}", url.expect("Azurite says where it listens"));
        // What it says of each request is taken from it, or it would wait.
        std::thread::spawn(move || said.for_each(drop));
        let azurite = Self { server, url, _folder: folder };
        assert_eq!(azurite.send("PUT", "kept?restype=container").await, 201);
        azurite
    }

    /// Sends a signed request; returns the status.
    pub async fn send(&self, method: &str, path: &str) -> u16 {
        let credential = AzureCredential::AccessKey(AzureAccessKey::try_new(KEY).unwrap());
        let mut request = request(method, &format!("{}/{path}", self.url));
        AzureAuthorizer::new(&credential, ACCOUNT).try_authorize(&mut request).unwrap();
        status(request).await.unwrap()
    }

    /// Returns the configuration of an archive in the container.
    pub fn config(&self, secret: &Path) -> ArchiveConfig {
        write_secret(secret, KEY);
        ArchiveConfig {
            url: "az://kept/gantral".to_owned(),
            endpoint: Some(self.url.clone()),
            access_key_id: Some(ACCOUNT.to_owned()),
            secret_access_key_file: Some(secret.to_owned()),
            ..ArchiveConfig::default()
        }
    }
}

impl Drop for Azurite {
    fn drop(&mut self) {
        // It is gone already, or goes now.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

//! A real server of S3: the pinned part, with data of its own, on free ports, gone with the test.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gantral_archive::ArchiveConfig;
use gantral_testkit::part;
use object_store::aws::{AwsAuthorizer, AwsCredential};
use tempfile::TempDir;

use crate::world::{request, status, write_secret};

const KEY: &str = "admin";
const SECRET: &str = "a-secret-of-tests";
const REGION: &str = "us-east-1";
/// How long the server may take to answer.
const START_WAIT: Duration = Duration::from_secs(60);

/// A running server, stopped when dropped.
pub struct Seaweed {
    server: Child,
    folder: TempDir,
    s3: u16,
    filer: u16,
}

/// Returns a port that nobody listens on, of which the port ten thousand above is free too: the server speaks gRPC there.
fn free_port() -> u16 {
    loop {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let Some(above) = port.checked_add(10_000) else { continue };
        if TcpListener::bind(("127.0.0.1", above)).is_ok() {
            return port;
        }
    }
}

impl Seaweed {
    /// Starts a server with a bucket `worm` whose objects can be locked.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let [master, volume, filer, s3] = std::array::from_fn(|_| free_port());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let server = Command::new(part("seaweed/bin/weed").canonicalize().unwrap())
            .args(["mini", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"])
            .args(["-webdav=false", "-admin.ui=false"])
            .arg(format!("-dir={}", folder.path().display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .env("AWS_ACCESS_KEY_ID", KEY)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let seaweed = Self { server, folder, s3, filer };
        seaweed.make_bucket().await;
        seaweed
    }

    /// Makes the bucket, once the server answers.
    async fn make_bucket(&self) {
        let began = Instant::now();
        loop {
            let made = self.send("PUT", "worm", &[("x-amz-bucket-object-lock-enabled", "true")]).await;
            if made == Some(200) {
                return;
            }
            let log = || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(began.elapsed() < START_WAIT, "SeaweedFS does not answer ({made:?}): {}", log());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Sends a signed request to S3; returns the status.
    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Option<u16> {
        let credential = AwsCredential { key_id: KEY.to_owned(), secret_key: SECRET.to_owned(), token: None };
        let mut request = request(method, &format!("http://127.0.0.1:{}/{path}", self.s3));
        for (name, value) in headers {
            let name: reqwest::header::HeaderName = name.parse().unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        AwsAuthorizer::new(&credential, "s3", REGION).try_authorize(&mut request, None).unwrap();
        status(request).await
    }

    /// Deletes an object behind the door at which locks are kept.
    pub async fn delete_behind(&self, object: &str) -> u16 {
        let path = format!("http://127.0.0.1:{}/buckets/worm/{object}?recursive=true", self.filer);
        status(request("DELETE", &path)).await.unwrap()
    }

    /// Returns the configuration of an archive in the bucket.
    pub fn config(&self, secret: &Path) -> ArchiveConfig {
        write_secret(secret, SECRET);
        ArchiveConfig {
            url: "s3://worm/gantral".to_owned(),
            endpoint: Some(format!("http://127.0.0.1:{}", self.s3)),
            region: Some(REGION.to_owned()),
            access_key_id: Some(KEY.to_owned()),
            secret_access_key_file: Some(secret.to_owned()),
            ca_file: None,
            retain_days: Some(1),
        }
    }
}

impl Drop for Seaweed {
    fn drop(&mut self) {
        // It is gone already, or goes now.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

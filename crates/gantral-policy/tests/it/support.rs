//! Starting workers, making bundles and asking policy points.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantral_core::policy::{EvalFailure, Evaluation, PolicyVersionId};
use gantral_engine::policy_point::{BoxFuture, PolicyPoint};
use gantral_policy::bundle::Bundle;
use gantral_policy::{BundleSource, PoolConfig, RegoPolicyPoint, SourceUnavailable, WorkerCommand};

/// The name of the test that is a worker, as the test harness knows it.
const WORKER_TEST: &str = "worker_process";
/// Longer than any evaluation needs on a machine that is busy with other tests.
pub const PATIENT: Duration = Duration::from_secs(20);

/// Tells whether this process was started by [`worker_command`].
pub fn is_worker() -> bool {
    let named = std::env::args().nth(1).as_deref() == Some(WORKER_TEST);
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    named && socket.is_ok_and(|socket| socket.peer_addr().is_ok())
}

/// Starts this test program as a worker, on its main thread.
pub fn worker_command() -> WorkerCommand {
    let args = [WORKER_TEST, "--exact", "--nocapture", "--test-threads=1"];
    WorkerCommand {
        program: std::env::current_exe().expect("this program has a path"),
        args: args.map(Into::into).to_vec(),
    }
}

/// Makes a bundle of one module.
pub fn module(source: &str) -> Bundle {
    Bundle::from_files([("policy.rego", source.as_bytes().to_vec())]).expect("one module is a bundle")
}

/// Makes a bundle of one module in Rego v1 whose package is the contract's.
pub fn policy(rules: &str) -> Bundle {
    module(&format!("package gantral.policy\n{rules}"))
}

/// Returns the folder of the example policies.
pub fn examples() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

/// Bundles in memory, counted when they are fetched.
#[derive(Default)]
pub struct Shelf {
    archives: Mutex<BTreeMap<PolicyVersionId, Vec<u8>>>,
    pub fetched: Mutex<usize>,
}

impl Shelf {
    pub fn put(&self, bundle: &Bundle) -> PolicyVersionId {
        let archive = bundle.to_archive().expect("a bundle packs");
        self.put_as(bundle.version(), archive);
        bundle.version()
    }

    pub fn put_as(&self, version: PolicyVersionId, archive: Vec<u8>) {
        self.archives.lock().unwrap().insert(version, archive);
    }
}

impl BundleSource for Shelf {
    fn bundle(&self, version: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>> {
        *self.fetched.lock().unwrap() += 1;
        let found = self.archives.lock().unwrap().get(&version).cloned();
        Box::pin(async move { Ok(found) })
    }
}

/// A policy point with its shelf.
pub struct Point {
    pub shelf: Arc<Shelf>,
    pub rego: RegoPolicyPoint,
}

impl Point {
    pub fn with_workers(workers: usize) -> Self {
        let shelf = Arc::new(Shelf::default());
        let config = PoolConfig { workers: NonZeroUsize::new(workers).unwrap(), ..PoolConfig::default() };
        let source = Arc::clone(&shelf) as Arc<dyn BundleSource>;
        let rego = RegoPolicyPoint::start(&worker_command(), config, source).expect("a pool starts");
        Self { shelf, rego }
    }

    /// Publishes the bundle if it is new, has it loaded, and evaluates the input.
    pub async fn ask(&self, bundle: &Bundle, input: &str) -> Result<Evaluation, EvalFailure> {
        self.ask_within(bundle, input, PATIENT).await
    }

    pub async fn ask_within(
        &self,
        bundle: &Bundle,
        input: &str,
        limit: Duration,
    ) -> Result<Evaluation, EvalFailure> {
        let version = self.shelf.put(bundle);
        self.rego.evaluate(version, input.as_bytes(), limit).await.result
    }
}

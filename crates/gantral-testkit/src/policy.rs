//! Policies in real worker processes: the test program starts itself as the worker.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use gantral_core::policy::PolicyVersionId;
use gantral_engine::policy_point::BoxFuture;
use gantral_policy::bundle::Bundle;
use gantral_policy::{
    BundleSource, PoolConfig, RegoPolicyPoint, SourceUnavailable, WorkerCommand, run_worker,
};

/// The name of the test that is a worker, as the test harness knows it.
pub const WORKER_TEST: &str = "worker_process";

/// Becomes a policy worker when this process was started by [`worker_command`]; else does nothing.
pub fn serve_if_worker() {
    let named = std::env::args().nth(1).as_deref() == Some(WORKER_TEST);
    let socket = std::io::stdin().as_fd().try_clone_to_owned().map(UnixStream::from);
    if named && socket.is_ok_and(|socket| socket.peer_addr().is_ok()) {
        run_worker().expect("the worker runs until its socket closes");
    }
}

/// Starts this test program as a worker, on its main thread.
pub fn worker_command() -> WorkerCommand {
    let args = [WORKER_TEST, "--exact", "--nocapture", "--test-threads=1"];
    let program = std::env::current_exe().expect("this program has a path");
    WorkerCommand { program, args: args.map(Into::into).to_vec() }
}

/// Reads one of the example policies of this repository.
pub fn example(name: &str) -> Bundle {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../policies").join(name);
    Bundle::from_directory(&folder).expect("the example is a bundle")
}

/// Makes a bundle of the rules of one module, in the package of the contract.
pub fn rules(rules: &str) -> Bundle {
    let module = format!("package gantral.policy\n{rules}");
    Bundle::from_files([("policy.rego", module.into_bytes())]).expect("one module is a bundle")
}

/// Bundles in memory.
#[derive(Default)]
pub struct Shelf(Mutex<BTreeMap<PolicyVersionId, Vec<u8>>>);

impl Shelf {
    /// Puts a bundle, and returns its version with the archive.
    pub fn put(&self, bundle: &Bundle) -> (PolicyVersionId, Vec<u8>) {
        let archive = bundle.to_archive().expect("a bundle packs");
        let version = bundle.version();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(version, archive.clone());
        (version, archive)
    }
}

impl BundleSource for Shelf {
    fn bundle(&self, version: PolicyVersionId) -> BoxFuture<'_, Result<Option<Vec<u8>>, SourceUnavailable>> {
        let found = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&version).cloned();
        Box::pin(std::future::ready(Ok(found)))
    }
}

/// A policy point with its shelf.
#[derive(Clone)]
pub struct Point {
    /// Where it finds bundles.
    pub shelf: Arc<Shelf>,
    /// The policy point.
    pub rego: Arc<RegoPolicyPoint>,
}

impl Point {
    /// Starts a pool of its own, for tests that kill workers.
    pub fn start(workers: NonZeroUsize) -> Self {
        let shelf = Arc::new(Shelf::default());
        let config = PoolConfig { workers, ..PoolConfig::default() };
        let source = Arc::clone(&shelf) as Arc<dyn BundleSource>;
        let rego = RegoPolicyPoint::start(&worker_command(), config, source).expect("a pool starts");
        Self { shelf, rego: Arc::new(rego) }
    }

    /// Returns the pool that the tests of this program share: a process for each of them would be too many.
    pub fn shared() -> Self {
        static SHARED: OnceLock<Point> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(NonZeroUsize::MIN.saturating_add(1))).clone()
    }
}

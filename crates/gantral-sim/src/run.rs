//! One run from a seed: a storm, a calm, and whether everything came to its end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gantral_core::ids::TenantId;
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::DurationMs;
use gantral_evidence::trust::KeyRole;
use gantral_keys::Signer as _;
use gantral_log::objects::{READ_ONLY, Shelf as _};
use gantral_log::regrow::Regrowth;
use gantral_store::{GateFilter, LOG_PAGE_MAX, OutboxTurn, Store};
use gantral_testkit::copy_ledger;
use gantral_testkit::policy::rules;
use gantral_testkit::workflows::{REFUND_RUN, read};
use tempfile::TempDir;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::auditor::{Auditor, SKEW_MAX, Seen};
use crate::clock::{NodeClock, TrueClock};
use crate::node::Node;
use crate::people::{Outside, governor};
use crate::ports::{Ports, key};
use crate::rng::Rng;
use crate::shelf::Memory;
use crate::weather::{Mistake, Trouble, Weather};

/// How long the storm lasts: this in half of the worlds, and two, four or eight times as long in others.
const STORM: Duration = Duration::from_secs(5);
/// How long nothing happens to any server between two strikes of bad luck.
const LULL: (Duration, Duration) = (Duration::from_millis(200), Duration::from_millis(1_500));
/// How long everybody has after it to come to rest.
const CALM: Duration = Duration::from_secs(10);
/// How long a server is away when it was killed, or stands still: longer than a duty lasts, at times.
const AWAY: Duration = Duration::from_secs(9);
/// How many hours pass at the end: longer than any gate and any grant lasts here.
const HOURS: u32 = 3;
/// How many agents that execute themselves there are at most.
const AGENTS: u64 = 4;

/// What a run is like.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// From what everything follows.
    pub seed: u64,
    /// How many servers there are.
    pub nodes: usize,
    /// What is wrong on purpose.
    pub mistake: Option<Mistake>,
    /// Whether what happens is kept line by line.
    pub tells: bool,
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome {
    /// What was seen.
    pub seen: Seen,
    /// What is wrong, if anything is.
    pub wrong: Option<String>,
    /// What happened, line by line, if it was to be kept.
    pub trace: Vec<String>,
}

/// The file of a ledger as every run begins with it: with its schema, two policies and a workflow for runners in force.
struct Beginning {
    folder: TempDir,
    policies: [PolicyVersionId; 2],
}

static BEGINNING: LazyLock<Beginning> = LazyLock::new(begin);

/// Runs once.
///
/// # Panics
/// When the machine has no folder for temporary files.
pub fn run(options: Options) -> Outcome {
    let beginning = &*BEGINNING;
    let folder = tempdir();
    let path = ledger(&folder);
    copy_ledger(beginning.folder.path(), folder.path());
    runtime().block_on(async {
        let mut world = World::new(&path, options, beginning.policies);
        world.storm().await;
        world.calm().await;
        world.end().await;
        for node in world.nodes.iter() {
            node.kill().await;
        }
        world.outcome()
    })
}

fn runtime() -> tokio::runtime::Runtime {
    let built = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    built.unwrap_or_else(|error| unreachable!("a runtime without threads: {error}"))
}

#[expect(clippy::panic, reason = "a machine without a folder for temporary files simulates nothing")]
fn tempdir() -> TempDir {
    // In memory where the machine has that: nothing here has to survive it.
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() };
    made.unwrap_or_else(|error| panic!("no folder for temporary files: {error}"))
}

fn ledger(folder: &TempDir) -> PathBuf {
    folder.path().join("ledger.db")
}

/// Makes the ledger that every run begins with.
fn begin() -> Beginning {
    let folder = tempdir();
    let bundles = [rules("default decision := \"ALLOW\""), rules("default decision := \"REQUIRE_HUMAN\"")];
    let policies = [bundles[0].version(), bundles[1].version()];
    runtime().block_on(async {
        let options = Options { seed: 0, nodes: 1, mistake: None, tells: false };
        let world = World::new(&ledger(&folder), options, policies);
        world.weather.calm();
        let tenant = Outside::tenant();
        for bundle in &bundles {
            let archive = bundle.to_archive().unwrap_or_default();
            let put = world.store.put_policy_bundle(&tenant, bundle.version(), archive, world.clock.now());
            assert!(put.await.is_ok(), "a policy can be kept");
        }
        let engine = world.nodes.iter().find_map(Node::engine);
        let Some(engine) = engine else { unreachable!("a server that was started runs") };
        let by = governor();
        let mut call = gantral_engine::Call {
            now: world.clock.now(),
            fresh: gantral_engine::Fresh::new([1; 32]),
            key: None,
        };
        let applied = engine
            .apply_workflow(&tenant, read(REFUND_RUN), Some(policies[0]), (&by).into(), &mut call)
            .await;
        assert!(applied.is_ok(), "a workflow can be registered");
        world.outside().put_in_force(Some(policies[0])).await;
        assert_eq!(world.auditor.wrong(), None, "the beginning is sound");
    });
    Beginning { folder, policies }
}

/// Everything of one run.
struct World {
    rng: Rng,
    storm: Duration,
    agents: u64,
    clock: TrueClock,
    weather: Arc<Weather>,
    auditor: Auditor,
    /// The store without anything between.
    store: Store,
    shelf: Memory,
    nodes: Arc<Vec<Node>>,
    policies: [PolicyVersionId; 2],
    tenant: TenantId,
}

impl World {
    #[expect(
        clippy::panic,
        reason = "a file that was just copied can be opened, or there is nothing to simulate"
    )]
    fn new(path: &Path, options: Options, policies: [PolicyVersionId; 2]) -> Self {
        let rng = Rng::new(options.seed);
        // Small worlds get to what large ones are too busy for, and there is time for more of them.
        let storm = STORM * (1 << rng.below(8).trailing_zeros().min(3));
        let agents = 1 + rng.below(AGENTS);
        let clock = TrueClock::start();
        let weather = Arc::new(Weather::new(rng.clone(), options.mistake));
        let sqlite = Store::open_simulated(path).unwrap_or_else(|error| panic!("the ledger opens: {error}"));
        let store = Store::Sqlite(sqlite.clone());
        let tenant = Outside::tenant();
        let public = key(KeyRole::Issuer).public_key().clone();
        let auditor = Auditor::new(store.clone(), tenant.clone(), public, clock, options.tells);
        let shelf = Memory::new(Arc::clone(&weather), auditor.clone());
        let ports = Ports {
            rng: rng.clone(),
            weather: Arc::clone(&weather),
            auditor: auditor.clone(),
            sqlite,
            shelf: shelf.clone(),
            tenant: tenant.clone(),
            strict: policies[1],
        };
        let node = |number| Node::new(number, NodeClock::new(clock), ports.clone());
        let nodes: Vec<Node> = (0..options.nodes).map(node).collect();
        for node in &nodes {
            assert!(node.start().is_ok(), "a server starts");
        }
        auditor.look();
        Self {
            rng,
            storm,
            agents,
            clock,
            weather,
            auditor,
            store,
            shelf,
            nodes: Arc::new(nodes),
            policies,
            tenant,
        }
    }

    fn outside(&self) -> Outside {
        Outside {
            rng: self.rng.clone(),
            weather: Arc::clone(&self.weather),
            auditor: self.auditor.clone(),
            nodes: Arc::clone(&self.nodes),
            clock: self.clock,
        }
    }

    /// Everybody works while servers are killed, stand still, and have their clocks stepped.
    async fn storm(&mut self) {
        let mut people = JoinSet::new();
        for _ in 0..self.agents {
            people.spawn(self.outside().agent("refund"));
        }
        people.spawn(self.outside().runs());
        people.spawn(self.outside().runner());
        people.spawn(self.outside().runner());
        people.spawn(self.outside().approver("fiona"));
        people.spawn(self.outside().approver("frank"));
        people.spawn(self.outside().administrator(self.policies));
        let until = self.clock.elapsed() + self.storm;
        while self.clock.elapsed() < until && self.auditor.wrong().is_none() {
            sleep(self.rng.between(LULL.0, LULL.1)).await;
            self.strike().await;
        }
        self.weather.calm();
        for node in self.nodes.iter() {
            node.clock.step(0);
            node.go_on();
            if !node.runs() {
                assert!(node.start().is_ok(), "a server starts again");
            }
        }
        self.auditor.happened("the storm is over");
        // Whoever works may end it in the calm.
        sleep(CALM).await;
        people.abort_all();
        while let Some(ended) = people.join_next().await {
            if ended.is_err_and(|error| error.is_panic()) {
                self.auditor.is_wrong("somebody who uses the servers has panicked");
            }
        }
    }

    /// One of the servers has bad luck.
    async fn strike(&self) {
        let count = u64::try_from(self.nodes.len()).unwrap_or(1);
        let Some(node) = self.nodes.get(usize::try_from(self.rng.below(count)).unwrap_or_default()) else {
            return;
        };
        let number = node.number;
        let bad = [Trouble::Kill, Trouble::Stand, Trouble::Clock];
        let bad = bad.get(usize::try_from(self.rng.below(3)).unwrap_or_default());
        match bad.filter(|bad| self.weather.brings(**bad)) {
            Some(Trouble::Kill) => {
                self.auditor.happened(&format!("server {number} is killed"));
                node.kill().await;
                sleep(self.rng.between(Duration::ZERO, AWAY)).await;
                self.auditor.happened(&format!("server {number} starts again"));
                assert!(node.start().is_ok(), "a server starts again");
            }
            Some(Trouble::Stand) => {
                self.auditor.happened(&format!("server {number} stands still"));
                if self.rng.permille(500) {
                    node.stand();
                } else {
                    node.stand_after_a_write();
                }
                sleep(self.rng.between(Duration::ZERO, AWAY)).await;
                self.auditor.happened(&format!("server {number} goes on"));
                node.go_on();
            }
            Some(Trouble::Clock) => {
                let most = SKEW_MAX.get();
                let ahead = i64::try_from(self.rng.below(2 * most)).unwrap_or_default();
                let ahead = ahead.saturating_sub(i64::try_from(most).unwrap_or_default());
                self.auditor.happened(&format!("the clock of server {number} steps to {ahead} ms"));
                node.clock.step(ahead);
            }
            _ => {}
        }
    }

    /// Nobody asks for anything more, freezes are lifted, what nobody knows is found out, and hours pass.
    async fn calm(&self) {
        let outside = self.outside();
        outside.freeze(false).await;
        for hour in 0..HOURS {
            outside.reconcile().await;
            for node in self.nodes.iter() {
                node.kill().await;
            }
            sleep(Duration::from_secs(3_600)).await;
            self.auditor.happened(&format!("{} hours have passed", hour + 1));
            for node in self.nodes.iter() {
                assert!(node.start().is_ok(), "a server starts again");
            }
            sleep(CALM).await;
        }
    }

    /// Says what has not come to its end.
    async fn end(&self) {
        let now = self.clock.now();
        let gates = self.store.list_gates(&self.tenant, GateFilter::default(), None, 100).await;
        if gates.is_ok_and(|page| !page.items.is_empty()) {
            self.auditor.is_wrong("a gate has not ended");
        }
        if self.store.due(now, 100).await.is_ok_and(|due| !due.is_empty()) {
            self.auditor.is_wrong("something that is due is not sealed");
        }
        if self.store.expired_leases(now, 100).await.is_ok_and(|leases| !leases.is_empty()) {
            self.auditor.is_wrong("a lost attempt has not ended");
        }
        let recipient = gantral_core::ids::Name::parse("everybody");
        if let Ok(recipient) = recipient {
            let turn = OutboxTurn { recipient, now, latest: now.plus(DurationMs::from_secs(60)) };
            if self.store.outbox(turn, 100).await.is_ok_and(|rows| !rows.is_empty()) {
                self.auditor.is_wrong("a message was not carried");
            }
        }
        if let Err(wrong) = self.logged().await {
            self.auditor.is_wrong(&format!("the log: {wrong}"));
        }
    }

    /// Lets the log grow again from the ledger, and compares it with the one that is published.
    async fn logged(&self) -> Result<(), String> {
        let row = self.store.log(&self.tenant).await.map_err(|error| error.to_string())?;
        let row = row.ok_or("nothing was ever logged")?;
        let origin = gantral_core::ids::LogOrigin::parse(&format!("{}/log", self.tenant));
        let objects = self.shelf.log(&origin.map_err(|error| error.to_string())?, READ_ONLY);
        let mut regrowth = Regrowth::new(objects);
        let (mut after, mut artifacts) = (0, 0_u64);
        loop {
            let page = self.store.committed(after, LOG_PAGE_MAX).await.map_err(|error| error.to_string())?;
            if page.through == after {
                break;
            }
            after = page.through;
            artifacts = artifacts.saturating_add(u64::try_from(page.artifacts.len()).unwrap_or(u64::MAX));
            regrowth.take(&page.artifacts)?;
        }
        regrowth.finish(&row)?;
        if row.size != artifacts {
            return Err(format!("it has {} of {artifacts} artifacts", row.size));
        }
        let published = self.auditor.newest(&format!("{}/log", self.tenant));
        if published.is_none_or(|tree| tree.size != row.size) {
            return Err("its last checkpoint was not published".to_owned());
        }
        Ok(())
    }

    fn outcome(&self) -> Outcome {
        self.auditor.look();
        Outcome { seen: self.auditor.seen(), wrong: self.auditor.wrong(), trace: self.auditor.trace() }
    }
}

//! An engine with everything that it needs, on one file that outlives it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::Actor;
use gantral_core::ids::{AttemptNo, InstanceId, Name, PersonId, Role, TenantId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::{ActorKind, Mode};
use gantral_core::workflow::Workflow;
use gantral_engine::checkpoints::{Checkpoints, NoCheckpoints};
use gantral_engine::policy_point::{Evaluators, PolicyPoint};
use gantral_engine::{
    Applied, Call, Engine, EngineConfig, FourEyes, FourEyesRules, Fresh, ModeInForce, PolicyDemand, Ports,
    RequestKey,
};
use gantral_evidence::governance::Scope;
use gantral_evidence::trust::KeyRole;
use gantral_identity::{AttemptBearer, Principal};
use gantral_keys::{LocalSigner, Signer};
use gantral_policy::bundle::Bundle;
use gantral_store::fault::FaultPlan;
use gantral_store::{IdempotencyScope, Store};
use tempfile::TempDir;

use crate::clock::Clock;
use crate::people::{AGENT, People};
use crate::policy::Point;
use crate::signer::{FaultySigner, SignerFaults};

/// How long an evaluation may take in tests: longer than any needs on a machine that is busy with other tests.
const POLICY_LIMIT: Duration = Duration::from_secs(20);

/// What a world is made of beside its defaults.
pub struct WorldOptions {
    /// The policy point.
    pub point: Point,
    /// How long one evaluation may take.
    pub policy_limit: Duration,
    /// The engine's configuration.
    pub config: EngineConfig,
    /// The logs.
    pub checkpoints: Arc<dyn Checkpoints>,
}

impl Default for WorldOptions {
    fn default() -> Self {
        let (config, checkpoints) = (EngineConfig::default(), Arc::new(NoCheckpoints));
        Self { point: Point::shared(), policy_limit: POLICY_LIMIT, config, checkpoints }
    }
}

/// One engine, its file, its key, its people and its clock.
pub struct World {
    /// The people.
    pub people: People,
    /// The clock.
    pub clock: Clock,
    /// Which writes of the store fail.
    pub faults: FaultPlan,
    /// Which signatures fail.
    pub signer_faults: SignerFaults,
    /// The policies.
    pub point: Point,
    policy_limit: Duration,
    offered: Vec<Name>,
    config: EngineConfig,
    checkpoints: Arc<dyn Checkpoints>,
    engine: Option<Engine>,
    key: Vec<u8>,
    seeds: AtomicU64,
    folder: TempDir,
}

impl World {
    /// Makes a world in a temporary folder.
    pub fn new() -> Self {
        Self::with(WorldOptions::default())
    }

    /// Makes a world of these parts.
    pub fn with(options: WorldOptions) -> Self {
        let mut world = Self {
            people: People::default(),
            clock: Clock::default(),
            faults: FaultPlan::new(),
            signer_faults: SignerFaults::default(),
            point: options.point,
            policy_limit: options.policy_limit,
            offered: Vec::new(),
            config: options.config,
            checkpoints: options.checkpoints,
            engine: None,
            key: LocalSigner::generate().expect("the generator of this system works"),
            seeds: AtomicU64::new(0),
            folder: tempfile::tempdir().expect("a temporary folder can be made"),
        };
        world.open();
        world
    }

    /// Opens the file with a new engine.
    pub fn open(&mut self) {
        let store = Store::with_faults(&self.file(), self.faults.clone()).expect("the file opens");
        let point = Arc::clone(&self.point.rego) as Arc<dyn PolicyPoint>;
        let default = Evaluators::new(Arc::clone(&point), self.policy_limit);
        let policy = self.offered.iter().fold(default, |evaluators, name| {
            evaluators.with(name.clone(), Arc::clone(&point), self.policy_limit)
        });
        let signer = Arc::new(FaultySigner::new(self.signer(), self.signer_faults.clone()));
        let checkpoints = Arc::clone(&self.checkpoints);
        let engine = Engine::new(Ports { store, signer, policy, checkpoints }, self.config.clone());
        self.engine = Some(engine.expect("the engine starts"));
    }

    /// Opens the file with a new engine that offers the policy point under these names too.
    pub fn offer(&mut self, names: &[&str]) {
        self.offered = names.iter().map(|name| Name::parse(name).expect("a name")).collect();
        self.restart();
    }

    /// Opens the file with a new engine that demands this of a policy.
    pub fn demand(&mut self, policy_demand: PolicyDemand) {
        self.config.policy_demand = policy_demand;
        self.restart();
    }

    /// Opens the file with a new engine that lets one person alone change no more than this.
    pub fn four_eyes(&mut self, usual: FourEyesRules) {
        self.config.four_eyes = FourEyes { usual, ..FourEyes::default() };
        self.restart();
    }

    /// Drops the engine and closes the file.
    pub fn close(&mut self) {
        self.engine = None;
    }

    /// Drops the engine and opens the file with a new one, which has nothing in memory.
    pub fn restart(&mut self) {
        self.close();
        self.open();
    }

    /// Signs with another key from the next start on; `keep` says whether what the old one signed is still believed.
    pub fn replace_key(&mut self, keep: bool) {
        if keep {
            self.config.earlier_keys.push(self.signer().public_key().clone());
        }
        self.key = LocalSigner::generate().expect("the generator of this system works");
    }

    /// Returns the engine.
    pub fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap_or_else(|| panic!("the world is closed"))
    }

    /// Returns the signer of this world.
    pub fn signer(&self) -> LocalSigner {
        LocalSigner::from_pkcs8(KeyRole::Issuer, &self.key).expect("a generated key is a key")
    }

    /// Returns the database file.
    pub fn file(&self) -> PathBuf {
        self.folder.path().join("gantral.db")
    }

    /// Returns the tenant.
    pub fn tenant(&self) -> TenantId {
        self.people.tenant()
    }

    /// Returns randomness that is the same in every run.
    pub fn seed(&self) -> [u8; 32] {
        let number = self.seeds.fetch_add(1, Ordering::SeqCst);
        *Hasher::new("gantral/testkit/v1").bytes(&number.to_be_bytes()).finish().as_bytes()
    }

    /// Returns a call at this instant, without an idempotency key.
    pub fn call(&self) -> Call {
        Call { now: self.clock.now(), fresh: Fresh::new(self.seed()), key: None }
    }

    /// Returns a call of a principal with an idempotency key. `route` stands for method and path.
    pub fn keyed(&self, principal: &Principal, route: &str, key: &str, body: &str) -> Call {
        let scope = IdempotencyScope {
            principal: principal.client().clone(),
            attempt: principal.attempt().map_or(AttemptNo::NONE, |scope| scope.attempt),
            route: route.to_owned(),
            key: key.to_owned(),
        };
        Call { key: Some(RequestKey { scope, body: Digest::of(body.as_bytes()) }), ..self.call() }
    }

    /// Returns the bearer of a token for an attempt of the agent.
    pub fn bearer(&self, instance: InstanceId, attempt: u32) -> AttemptBearer {
        self.people.bearer(AGENT, instance, AttemptNo(attempt), self.clock.now())
    }

    /// Publishes a bundle to the store and to the policy workers.
    pub async fn publish(&self, bundle: &Bundle) -> PolicyVersionId {
        let (version, archive) = self.point.shelf.put(bundle);
        let stored =
            self.engine().store().put_policy_bundle(&self.tenant(), version, archive, self.clock.now()).await;
        stored.expect("the bundle is stored");
        version
    }

    /// Publishes a bundle, registers a workflow and activates the bundle for it.
    pub async fn apply(&self, workflow: Workflow, bundle: &Bundle) -> Applied {
        let version = self.publish(bundle).await;
        let (engine, tenant, by) = (self.engine(), self.tenant(), self.governor());
        let applied =
            engine.apply_workflow(&tenant, workflow, Some(version), (&by).into(), &mut self.call()).await;
        applied.expect("the workflow is applied")
    }

    /// Returns a human who governs the tenant.
    pub fn governor(&self) -> Actor {
        self.governor_named("governor")
    }

    /// Returns the human of this name, who governs the tenant.
    pub fn governor_named(&self, name: &str) -> Actor {
        let person = PersonId(Digest::of(name.as_bytes()));
        let issuer = Some("https://issuer.example".to_owned());
        let role = Role::parse("PLATFORM_ADMIN").expect("a role");
        Actor { id: person.actor(), kind: ActorKind::Human, issuer, role: Some(role) }
    }

    /// Freezes the tenant, or lifts its freeze.
    pub async fn set_frozen(&self, frozen: bool) {
        let (tenant, by) = (self.tenant(), self.governor());
        let sealed =
            self.engine().set_frozen(&mut self.call(), &tenant, (&by).into(), &Scope::Tenant, frozen).await;
        assert!(sealed.expect("the freeze is sealed").sealed().is_some(), "it is so already");
    }

    /// Says whether what policy says of a scope is enforced or only observed.
    pub async fn set_mode(&self, scope: &Scope, mode: Mode) {
        let (tenant, by) = (self.tenant(), self.governor());
        let mode = ModeInForce { scope: scope.clone(), action: None, mode };
        let sealed = self.engine().set_mode(&mut self.call(), &tenant, (&by).into(), &mode).await;
        assert!(sealed.expect("the mode is sealed").sealed().is_some(), "it is so already");
    }

    /// Erases what a commitment of an instance stands for.
    pub async fn erase(&self, instance: InstanceId, commitment: Digest) {
        let (tenant, by) = (self.tenant(), self.governor());
        let erased =
            self.engine().erase_snapshot(self.call(), &tenant, (&by).into(), instance, commitment).await;
        erased.expect("the snapshot is erased");
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

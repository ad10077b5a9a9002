//! The engine itself: how it is set up, and how an instance is held, brought up to the present and decided upon.

use std::sync::Arc;

use gantral_core::command::Decided;
use gantral_core::decide::due;
use gantral_core::digest::Digest;
use gantral_core::event::Actor;
use gantral_core::ids::{ActorId, InstanceId, LogOrigin, TenantId};
use gantral_core::state::{ActorKind, Mode, State};
use gantral_core::table::semantics_digest;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::keys::PublicKey;
use gantral_keys::{Delegations, Signer};
use gantral_store::{IdempotencyScope, ModeCode, StateCode, Store};
use tokio::sync::OwnedMutexGuard;

use crate::answer::{Answer, Done};
use crate::checkpoints::Checkpoints;
use crate::commit::{Commit, Plan};
use crate::error::EngineError;
use crate::fresh::Fresh;
use crate::governance::{DELEGATION_LONGEST_DEFAULT, FourEyes, Governance};
use crate::loaded::{Folded, Keyring, Loaded, Slots, chain, fold};
use crate::notice::Recipients;
use crate::passkeys::Passkeys;
use crate::policy_point::Evaluators;
use crate::registry::Registry;
use crate::repeat::Repeating;
use crate::retention::Retention;
use crate::tenant_limits::TenantLimits;
use crate::totals::Turns;

/// How often a command is decided anew when others moved the instance meanwhile.
pub(crate) const DECISIONS_MAX: usize = 3;
/// How many due steps may follow each other before one command.
const DUE_STEPS_MAX: usize = 8;

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The end of the log's name for a tenant: the log of tenant `t` is `t/<suffix>`.
    pub log_suffix: String,
    /// How long a consumed action may take to start.
    pub act_within: DurationMs,
    /// How long a consumption waits for the log to cover its grant, where the workflow wants that.
    pub release_wait: std::time::Duration,
    /// How long a mode lease holds; at most a day.
    pub mode_lease: DurationMs,
    /// Keys that signed artifacts of this store before the current one. A chain signed by any other key is damaged.
    pub earlier_keys: Vec<PublicKey>,
    /// The delegations of these keys: what a delegate signed counts as theirs.
    pub delegations: Option<Arc<Delegations>>,
    /// What a policy bundle must be to be put in force.
    pub policy_demand: PolicyDemand,
    /// Who is told of gates.
    pub recipients: Recipients,
    /// What one person may not change alone.
    pub four_eyes: FourEyes,
    /// How far away the end of a delegation may lie when it is given.
    pub delegation_longest: DurationMs,
    /// Whose authenticators count at gates; none where absent.
    pub passkeys: Option<Passkeys>,
    /// How much there may be of a tenant.
    pub limits: TenantLimits,
    /// For how long the content of what has ended is kept.
    pub retention: Retention,
    /// Whether runners may claim only what an orchestrator has released.
    pub orchestrated: bool,
}

/// What a policy bundle must be to be put in force, also by a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PolicyDemand {
    /// It came with a signature, which was checked.
    pub signed: bool,
    /// If it is signed, its revision is its version: an evaluator outside can be held to it.
    pub pinned: bool,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            log_suffix: "log".to_owned(),
            act_within: DurationMs::from_secs(60),
            release_wait: std::time::Duration::from_secs(5),
            mode_lease: DurationMs::from_secs(15 * 60),
            earlier_keys: Vec::new(),
            delegations: None,
            policy_demand: PolicyDemand::default(),
            recipients: Recipients::default(),
            four_eyes: FourEyes::default(),
            delegation_longest: DELEGATION_LONGEST_DEFAULT,
            passkeys: None,
            limits: TenantLimits::default(),
            retention: Retention::default(),
            orchestrated: false,
        }
    }
}

/// What the engine works with.
pub struct Ports {
    /// The ledger.
    pub store: Store,
    /// What signs artifacts.
    pub signer: Arc<dyn Signer>,
    /// What evaluates policy.
    pub policy: Evaluators,
    /// What knows the published checkpoints of the logs.
    pub checkpoints: Arc<dyn Checkpoints>,
}

/// The idempotency key of a request.
#[derive(Debug, Clone)]
pub struct RequestKey {
    /// Where the key is valid.
    pub scope: IdempotencyScope,
    /// The digest of the request body.
    pub body: Digest,
}

/// What comes in with every command: the instant, randomness, and the request's key.
pub struct Call {
    /// The instant, from the caller's clock.
    pub now: UnixMillis,
    /// Randomness for this call.
    pub fresh: Fresh,
    /// The key under which a repetition gets the same answer.
    pub key: Option<RequestKey>,
}

/// The only writer of authority. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) policy: Evaluators,
    pub(crate) checkpoints: Arc<dyn Checkpoints>,
    pub(crate) config: EngineConfig,
    pub(crate) registry: Registry,
    pub(crate) slots: Slots,
    pub(crate) governance: Governance,
    pub(crate) turns: Turns,
    pub(crate) repeating: Repeating,
    pub(crate) semantics: Digest,
    system: Actor,
}

/// An instance that is held for one command.
pub(crate) struct Held {
    pub(crate) guard: OwnedMutexGuard<Option<Loaded>>,
}

impl Engine {
    /// Builds an engine.
    ///
    /// # Errors
    /// None today except a damaged build: the engine's own name must be an identifier.
    pub fn new(ports: Ports, config: EngineConfig) -> Result<Self, EngineError> {
        let Ports { store, signer, policy, checkpoints } = ports;
        let id =
            ActorId::parse("gantral").map_err(|error| EngineError::Damaged { what: error.to_string() })?;
        Ok(Self(Arc::new(Inner {
            registry: Registry::new(store.clone()),
            store,
            signer,
            policy,
            checkpoints,
            config,
            slots: Slots::default(),
            governance: Governance::default(),
            turns: Turns::default(),
            repeating: Repeating::default(),
            semantics: semantics_digest(),
            system: Actor { id, kind: ActorKind::System, issuer: None, role: None },
        })))
    }

    /// Returns the store, for reads that decide nothing.
    pub fn store(&self) -> &Store {
        &self.0.store
    }

    /// Returns the public key that artifacts are signed with.
    pub fn public_key(&self) -> &PublicKey {
        self.0.signer.public_key()
    }

    pub(crate) fn system(&self) -> &Actor {
        &self.0.system
    }

    /// Returns the keys that a relying party may have to pin: the current one, and those before it.
    pub fn issuer_keys(&self) -> impl Iterator<Item = &PublicKey> {
        std::iter::once(self.0.signer.public_key()).chain(&self.0.config.earlier_keys)
    }

    /// Returns the keys whose signatures count here.
    pub(crate) fn keys(&self) -> Keyring<'_> {
        Keyring { own: self.issuer_keys().collect(), delegations: self.0.config.delegations.as_deref() }
    }

    /// Holds an instance for one command, folded up to its head.
    pub(crate) async fn hold(&self, tenant: &TenantId, id: InstanceId) -> Result<Held, EngineError> {
        let mut guard = self.0.slots.slot(tenant, id).lock_owned().await;
        if let Some(known) = &*guard
            && self.0.store.is_shared()
        {
            // Another server may have moved it. What goes on from an older state would find out when it commits; what refuses, or
            // only shows it, would not.
            let row = self.0.store.instance(tenant, id).await?;
            if row.is_none_or(|row| row.head != known.head) {
                *guard = None;
            }
        }
        if guard.is_none() {
            *guard = Some(self.load(tenant, id).await?);
        }
        Ok(Held { guard })
    }

    /// Holds an instance for one command at `now`: whatever was due by then is sealed first, each step in an append of
    /// its own.
    pub(crate) async fn hold_at(
        &self,
        tenant: &TenantId,
        id: InstanceId,
        now: UnixMillis,
    ) -> Result<Held, EngineError> {
        for _ in 0..DUE_STEPS_MAX {
            let mut held = self.hold(tenant, id).await?;
            let loaded = held.loaded()?;
            let entries = due(&loaded.instance, self.system(), now);
            if entries.is_empty() {
                return Ok(held);
            }
            // Due steps need no secrecy of their own: their blinds come from the head, which nobody chose.
            let mut fresh = Fresh::new(*loaded.head.hash.as_bytes());
            let plan = Plan { entries, ..Plan::default() };
            // Whatever came of it, the instance is looked at again.
            self.commit(&mut held, &mut fresh, now, plan, None, Answer::Recorded).await?;
        }
        Err(EngineError::Conflict)
    }

    /// Folds the stored chain. The index must agree with it: a chain that was cut short is damaged.
    async fn load(&self, tenant: &TenantId, id: InstanceId) -> Result<Loaded, EngineError> {
        let damaged = |what: &str| EngineError::Damaged { what: what.to_owned() };
        let missing = EngineError::NotFound { what: "the instance" };
        let row = self.0.store.instance(tenant, id).await?.ok_or(missing)?;
        let artifacts = chain(&self.0.store, tenant, id).await?;
        // The chain is read after its row and may have grown meanwhile, but it holds what the row names.
        let named = usize::try_from(row.head.sequence).ok().and_then(|sequence| artifacts.get(sequence));
        let Some(last) = artifacts.last().filter(|_| named.is_some_and(|named| named.head() == row.head))
        else {
            return Err(damaged("the chain does not reach the head that the index names"));
        };
        let head = last.head();
        let Folded { instance, waiting_since, anchor } = fold(&artifacts, &self.keys())?;
        if instance.identity.tenant != *tenant || instance.identity.instance != id {
            return Err(damaged("the chain is of another instance"));
        }
        let workflow = self.0.registry.workflow(tenant, instance.identity.workflow.digest).await?;
        Ok(Loaded { instance, head, workflow, row, waiting_since, anchor })
    }

    /// Decides and commits, again when the instance moved meanwhile. Due steps are sealed first.
    ///
    /// `prepare` sees the instance and returns what the command leads to; it runs anew after every move.
    pub(crate) async fn execute(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        id: InstanceId,
        mut prepare: impl FnMut(&Loaded, UnixMillis, &mut Fresh) -> Result<(Decided, Plan, Answer), EngineError>,
    ) -> Result<Done, EngineError> {
        for _ in 0..DECISIONS_MAX {
            let mut held = self.hold_at(tenant, id, call.now).await?;
            let prepared = prepare(held.loaded()?, call.now, &mut call.fresh);
            let (decided, plan, answer) = match prepared {
                Ok(prepared) => prepared,
                Err(error) => return self.first_answer(call, tenant, id, Err(error)).await,
            };
            match self.settle(&mut held, call, decided, plan, answer).await.and_then(Commit::answered) {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) => return self.first_answer(call, tenant, id, Err(error)).await,
            }
        }
        Err(EngineError::Conflict)
    }

    /// Returns the log that a tenant's artifacts belong to.
    pub(crate) fn origin(&self, tenant: &TenantId) -> Result<LogOrigin, EngineError> {
        LogOrigin::parse(&format!("{tenant}/{}", self.0.config.log_suffix))
            .map_err(|error| EngineError::Damaged { what: error.to_string() })
    }
}

impl Held {
    pub(crate) fn loaded(&self) -> Result<&Loaded, EngineError> {
        self.guard.as_ref().ok_or(EngineError::Conflict)
    }
}

/// Returns the store's code of a state.
pub const fn state_code(state: State) -> StateCode {
    StateCode(state as u8)
}

/// Returns the store's code of a mode.
pub(crate) const fn mode_code(mode: Mode) -> ModeCode {
    ModeCode(mode as u8)
}

/// Returns the state of a store's code.
pub fn state_of(code: StateCode) -> Option<State> {
    State::ALL.iter().copied().find(|state| state_code(*state) == code)
}

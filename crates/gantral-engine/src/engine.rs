//! The engine itself: opening an instance, sealing what is due, and committing what was decided.

use std::sync::Arc;

use gantral_core::command::{Decided, Refusal};
use gantral_core::decide::{due, next_due};
use gantral_core::digest::Digest;
use gantral_core::event::{Actor, Entry, Identity};
use gantral_core::ids::{ActorId, InstanceId, LogOrigin, Name, TenantId};
use gantral_core::instance::Instance;
use gantral_core::state::{ActorKind, State};
use gantral_core::table::semantics_digest;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_core::workflow::Workflow;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::seal::{Sealed, Unsigned};
use gantral_evidence::statement::Statement;
use gantral_store::{
    Append, AppendOutcome, Effect, Guard, Head, IdempotencyAnswer, IdempotencyLookup, IdempotencyRow,
    IdempotencyScope, InstanceIndex, InstanceRow, ModeCode, SealedArtifact, StateCode, Store,
};
use tokio::sync::OwnedMutexGuard;

use crate::answer::{Answer, Done, Receipt};
use crate::effects::effects;
use crate::error::EngineError;
use crate::fresh::Fresh;
use crate::loaded::{Loaded, Slots, chain, fold, open, since};
use crate::policy_point::PolicyPoint;
use crate::registry::Registry;
use crate::signer::{Signer, SigningContext};

/// How often a command is decided anew when others moved the instance meanwhile.
const DECISIONS_MAX: usize = 3;
/// How many due steps may follow each other before one command.
const DUE_STEPS_MAX: usize = 8;
/// How long an idempotency key answers again.
const KEY_LIFETIME: DurationMs = DurationMs::from_secs(24 * 3_600);

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// The end of the log's name for a tenant: the log of tenant `t` is `t/<suffix>`.
    pub log_suffix: String,
    /// How long one evaluation may take.
    pub policy_limit: std::time::Duration,
    /// How long a consumed action may take to start.
    pub act_within: DurationMs,
    /// Keys that signed artifacts of this store before the current one. A chain signed by any other key is damaged.
    pub earlier_keys: Vec<PublicKey>,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            log_suffix: "log".to_owned(),
            policy_limit: std::time::Duration::from_millis(250),
            act_within: DurationMs::from_secs(60),
            earlier_keys: Vec::new(),
        }
    }
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
    pub(crate) policy: Arc<dyn PolicyPoint>,
    pub(crate) config: EngineConfig,
    pub(crate) registry: Registry,
    slots: Slots,
    semantics: Digest,
    system: Actor,
}

/// An instance that is held for one command.
pub(crate) struct Held {
    pub(crate) guard: OwnedMutexGuard<Option<Loaded>>,
}

/// What one command wants to commit.
#[derive(Default)]
pub(crate) struct Plan {
    pub(crate) entries: Vec<Entry>,
    pub(crate) snapshots: Vec<Effect>,
    pub(crate) guards: Vec<Guard>,
    /// The name of the action, for the row of a gate that opens.
    pub(crate) action: Option<Name>,
    pub(crate) call_key: Option<Digest>,
}

/// What came of trying to commit.
pub(crate) enum Commit {
    /// This command is durable.
    Done(Done),
    /// The same request was carried out before: this is its answer, and nothing new was written.
    Replayed(Done),
    Moved,
    GuardFailed(Guard),
}

impl Engine {
    /// Builds an engine over a store, a signer and a policy point.
    ///
    /// # Errors
    /// None today except a damaged build: the engine's own name must be an identifier.
    pub fn new(
        store: Store,
        signer: Arc<dyn Signer>,
        policy: Arc<dyn PolicyPoint>,
        config: EngineConfig,
    ) -> Result<Self, EngineError> {
        let id =
            ActorId::parse("gantral").map_err(|error| EngineError::Damaged { what: error.to_string() })?;
        Ok(Self(Arc::new(Inner {
            registry: Registry::new(store.clone()),
            store,
            signer,
            policy,
            config,
            slots: Slots::default(),
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

    /// Holds an instance for one command, folded up to its head.
    pub(crate) async fn hold(&self, tenant: &TenantId, id: InstanceId) -> Result<Held, EngineError> {
        let mut guard = self.0.slots.slot(tenant, id).lock_owned().await;
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
        let keys: Vec<&PublicKey> =
            std::iter::once(self.0.signer.public_key()).chain(&self.0.config.earlier_keys).collect();
        let (instance, waiting_since) = fold(&artifacts, &keys)?;
        if instance.identity.tenant != *tenant || instance.identity.instance != id {
            return Err(damaged("the chain is of another instance"));
        }
        let workflow = self.0.registry.workflow(tenant, instance.identity.workflow.digest).await?;
        Ok(Loaded { instance, head, workflow, row, waiting_since })
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

    /// Commits what was decided. A refusal that stands beside sealed events is returned after they are durable.
    pub(crate) async fn settle(
        &self,
        held: &mut Held,
        call: &mut Call,
        decided: Decided,
        plan: Plan,
        answer: Answer,
    ) -> Result<Commit, EngineError> {
        let Decided { events, refusal } = decided;
        // Nothing would be appended under the key, so it is looked up here: a repetition gets the answer that it was
        // given first, and seals no refusal beside it.
        if refusal.is_some() || events.is_empty() {
            let tenant = held.loaded()?.instance.identity.tenant.clone();
            if let Some(first) = self.lookup(call, &tenant).await? {
                return Ok(Commit::Replayed(self.replayed(&tenant, first).await?));
            }
        }
        if events.is_empty() {
            if let Some(refusal) = refusal {
                return Err(refusal.into());
            }
            let loaded = held.loaded()?;
            let (instance, state) = (loaded.instance.identity.instance, loaded.instance.state());
            return Ok(Commit::Done(Done { instance, state, answer, receipts: Vec::new() }));
        }
        let key = if refusal.is_some() { None } else { call.key.clone() };
        let plan = Plan { entries: events, ..plan };
        let commit = self.commit(held, &mut call.fresh, call.now, plan, key.as_ref(), answer).await?;
        match (commit, refusal) {
            (Commit::Done(_), Some(refusal)) => Err(refusal.into()),
            (commit, _) => Ok(commit),
        }
    }

    /// Gives the first answer again when a command that failed is the repetition of one that was carried out.
    ///
    /// Where the store failed or its record is damaged, nothing is looked up: what a failing store says now may not be
    /// durable.
    pub(crate) async fn first_answer(
        &self,
        call: &Call,
        tenant: &TenantId,
        id: InstanceId,
        result: Result<Done, EngineError>,
    ) -> Result<Done, EngineError> {
        let error = match result {
            Ok(done) => return Ok(done),
            Err(error @ (EngineError::Store(_) | EngineError::Damaged { .. } | EngineError::KeyReused)) => {
                return Err(error);
            }
            Err(error) => error,
        };
        match self.lookup(call, tenant).await? {
            Some(first) if first.instance == id => self.replayed(tenant, first).await,
            Some(_) | None => Err(error),
        }
    }

    /// Finds the first answer to the request's key.
    ///
    /// # Errors
    /// `KeyReused` when the key was used with another body.
    pub(crate) async fn lookup(
        &self,
        call: &Call,
        tenant: &TenantId,
    ) -> Result<Option<IdempotencyAnswer>, EngineError> {
        let Some(key) = &call.key else { return Ok(None) };
        match self.0.store.lookup_idempotency(tenant, &key.scope, key.body, call.now).await? {
            IdempotencyLookup::Fresh => Ok(None),
            IdempotencyLookup::Replayed(answer) => Ok(Some(answer)),
            IdempotencyLookup::KeyReused => Err(EngineError::KeyReused),
        }
    }

    pub(crate) async fn replayed(
        &self,
        tenant: &TenantId,
        first: IdempotencyAnswer,
    ) -> Result<Done, EngineError> {
        let unreadable = || EngineError::Damaged { what: "a recorded answer cannot be read".to_owned() };
        let (state, answer) = Answer::decode(&first.answer).ok_or_else(unreadable)?;
        let count = first.last_sequence.saturating_sub(first.first_sequence).saturating_add(1);
        let limit = usize::try_from(count).map_err(|_| unreadable())?;
        let artifacts = self.0.store.chain(tenant, first.instance, first.first_sequence, limit).await?;
        let mut receipts = Vec::new();
        for artifact in &artifacts {
            receipts.push(Receipt::of(artifact, &open(artifact)?.entry));
        }
        Ok(Done { instance: first.instance, state, answer, receipts })
    }

    /// Seals entries and appends them in one transaction. On anything but `Done`, and when the caller stops waiting, the
    /// slot is empty afterwards.
    pub(crate) async fn commit(
        &self,
        held: &mut Held,
        fresh: &mut Fresh,
        now: UnixMillis,
        plan: Plan,
        key: Option<&RequestKey>,
        answer: Answer,
    ) -> Result<Commit, EngineError> {
        let Some(mut loaded) = held.guard.take() else { return Err(EngineError::Conflict) };
        let expected = loaded.head;
        let (artifacts, receipts) = self.seal_all(&mut loaded, fresh, &plan.entries).await?;
        let append = self.append_of(&loaded, Some(expected), artifacts, plan, now, key, &answer);
        match self.0.store.append(append).await? {
            AppendOutcome::Committed => {
                let (instance, state) = (loaded.instance.identity.instance, loaded.instance.state());
                *held.guard = Some(loaded);
                Ok(Commit::Done(Done { instance, state, answer, receipts }))
            }
            AppendOutcome::Moved(_) => Ok(Commit::Moved),
            AppendOutcome::GuardFailed(guard) => {
                self.0.registry.forget(&loaded.instance.identity.tenant, &guard);
                Ok(Commit::GuardFailed(guard))
            }
            AppendOutcome::CallKeyTaken(instance) => Err(EngineError::CallKeyTaken { instance }),
            AppendOutcome::Replayed(first) => {
                let tenant = loaded.instance.identity.tenant.clone();
                Ok(Commit::Replayed(self.replayed(&tenant, first).await?))
            }
            AppendOutcome::KeyReused => Err(EngineError::KeyReused),
        }
    }

    /// Creates an instance: the first append of its chain.
    pub(crate) async fn create_chain(
        &self,
        call: &mut Call,
        identity: Identity,
        workflow: Arc<Workflow>,
        plan: Plan,
    ) -> Result<Done, EngineError> {
        let Some(first) = plan.entries.first() else { return Err(EngineError::Conflict) };
        let defect = |faults: Vec<_>| Refusal::Defect {
            fault: faults.first().copied().unwrap_or(gantral_core::check::Fault::State),
        };
        let instance = Instance::begin(identity.clone(), first).map_err(defect)?;
        let sealed = self.seal_entry(&identity, first, None, None, State::Created, &mut call.fresh).await?;
        let artifact = SealedArtifact { sequence: 0, hash: sealed.hash, envelope: sealed.envelope };
        let receipts = vec![Receipt::of(&artifact, first)];
        let head = artifact.head();
        let row =
            InstanceRow { id: identity.instance, head, index: first_index(&instance, &workflow, first.at) };
        let (tenant, id) = (identity.tenant.clone(), identity.instance);
        let loaded = Loaded { instance, head, workflow, row, waiting_since: None };
        let key = call.key.clone();
        let append =
            self.append_of(&loaded, None, vec![artifact], plan, call.now, key.as_ref(), &Answer::Recorded);
        // Held from before the append: a runner may claim the instance as soon as it is durable, and what it folded then
        // must not be replaced by this older state.
        let mut slot = self.0.slots.slot(&tenant, id).lock_owned().await;
        match self.0.store.append(append).await? {
            AppendOutcome::Committed => {
                *slot = Some(loaded);
                Ok(Done { instance: id, state: State::Created, answer: Answer::Recorded, receipts })
            }
            AppendOutcome::Replayed(first) => self.replayed(&tenant, first).await,
            AppendOutcome::KeyReused => Err(EngineError::KeyReused),
            AppendOutcome::CallKeyTaken(instance) => Err(EngineError::CallKeyTaken { instance }),
            AppendOutcome::Moved(_) | AppendOutcome::GuardFailed(_) => Err(EngineError::Conflict),
        }
    }

    async fn seal_all(
        &self,
        loaded: &mut Loaded,
        fresh: &mut Fresh,
        entries: &[Entry],
    ) -> Result<(Vec<SealedArtifact>, Vec<Receipt>), EngineError> {
        let mut artifacts = Vec::with_capacity(entries.len());
        let mut receipts = Vec::with_capacity(entries.len());
        for entry in entries {
            let before = loaded.instance.state();
            let to = gantral_core::table::successor(Some(before), entry.event.kind(), entry.actor.kind)
                .map_err(|_| Refusal::Defect { fault: gantral_core::check::Fault::State })?;
            let identity = loaded.instance.identity.clone();
            let sealed =
                self.seal_entry(&identity, entry, Some(loaded.head), Some(before), to, fresh).await?;
            loaded.instance.apply(entry, sealed.hash).map_err(|faults| Refusal::Defect {
                fault: faults.first().copied().unwrap_or(gantral_core::check::Fault::State),
            })?;
            loaded.waiting_since = since(loaded.waiting_since, entry);
            let sequence = loaded.head.sequence.saturating_add(1);
            let artifact = SealedArtifact { sequence, hash: sealed.hash, envelope: sealed.envelope };
            loaded.head = artifact.head();
            receipts.push(Receipt::of(&artifact, entry));
            artifacts.push(artifact);
        }
        Ok((artifacts, receipts))
    }

    async fn seal_entry(
        &self,
        identity: &Identity,
        entry: &Entry,
        head: Option<Head>,
        from_state: Option<State>,
        state: State,
        fresh: &mut Fresh,
    ) -> Result<Sealed, EngineError> {
        let statement = Statement {
            artifact_id: fresh.artifact(entry.at),
            identity: identity.clone(),
            sequence: head.map_or(0, |head| head.sequence.saturating_add(1)),
            previous: head.map(|head| head.hash),
            semantics: self.0.semantics,
            from_state,
            state,
            entry: entry.clone(),
            anchor: None,
            blind: fresh.bytes32(),
        };
        let unsigned = Unsigned::of(&statement)?;
        let signature = self.0.signer.sign(SigningContext::Artifact, &unsigned.message()).await?;
        Ok(unsigned.signed(self.0.signer.public_key().id(), &signature))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one append is made of exactly these; a struct would only rename them"
    )]
    fn append_of(
        &self,
        loaded: &Loaded,
        expected: Option<Head>,
        artifacts: Vec<SealedArtifact>,
        plan: Plan,
        now: UnixMillis,
        key: Option<&RequestKey>,
        answer: &Answer,
    ) -> Append {
        let instance = &loaded.instance;
        let mut all = plan.snapshots;
        all.extend(effects(&plan.entries, instance, &loaded.workflow, plan.action.as_ref()));
        let index = InstanceIndex {
            state: state_code(instance.state()),
            waiting_since: loaded.waiting_since,
            due_at: next_due(instance),
            call_key: plan.call_key.or(loaded.row.index.call_key),
            open: !instance.state().is_final(),
            ..loaded.row.index.clone()
        };
        Append {
            tenant: instance.identity.tenant.clone(),
            instance: instance.identity.instance,
            expected,
            artifacts,
            index,
            guards: plan.guards,
            effects: all,
            idempotency: key.map(|key| IdempotencyRow {
                scope: key.scope.clone(),
                body: key.body,
                status: 200,
                answer: answer.encode(instance.state()),
                now,
                expires_at: now.plus(KEY_LIFETIME),
            }),
        }
    }

    /// Returns the log that a tenant's artifacts belong to.
    pub(crate) fn origin(&self, tenant: &TenantId) -> Result<LogOrigin, EngineError> {
        LogOrigin::parse(&format!("{tenant}/{}", self.0.config.log_suffix))
            .map_err(|error| EngineError::Damaged { what: error.to_string() })
    }
}

impl Commit {
    /// Returns the answer to the caller; `None` when the command is to be decided anew.
    ///
    /// # Errors
    /// `LeaseLost`, which no new decision heals.
    pub(crate) fn answered(self) -> Result<Option<Done>, EngineError> {
        match self {
            Self::Done(done) | Self::Replayed(done) => Ok(Some(done)),
            Self::GuardFailed(Guard::Lease { .. }) => Err(EngineError::LeaseLost),
            Self::Moved | Self::GuardFailed(_) => Ok(None),
        }
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

/// Returns the state of a store's code.
pub fn state_of(code: StateCode) -> Option<State> {
    State::ALL.iter().copied().find(|state| state_code(*state) == code)
}

fn first_index(instance: &Instance, workflow: &Workflow, at: UnixMillis) -> InstanceIndex {
    InstanceIndex {
        state: state_code(State::Created),
        mode: ModeCode(instance.weakest_mode as u8),
        team: workflow.team.clone(),
        workflow: workflow.id.clone(),
        workflow_version: workflow.digest,
        session: instance.created.session.clone(),
        created_by: instance.created_by.clone(),
        created_at: at,
        waiting_since: None,
        due_at: None,
        call_key: None,
        open: true,
    }
}

//! Committing what was decided: sealed, appended with everything that belongs to it, or nothing of it.

use std::sync::Arc;

use gantral_core::check::Fault;
use gantral_core::command::{Decided, Refusal};
use gantral_core::decide::next_due;
use gantral_core::digest::Digest;
use gantral_core::event::{Entry, Identity};
use gantral_core::ids::{Name, TenantId};
use gantral_core::instance::Instance;
use gantral_core::state::State;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_core::workflow::Workflow;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::seal::{Sealed, Unsigned};
use gantral_evidence::statement::Statement;
use gantral_keys::SigningContext;
use gantral_store::{
    Append, AppendOutcome, Effect, Guard, Head, IdempotencyRow, InstanceIndex, InstanceRow, NewArtifact,
    SealedArtifact,
};

use crate::answer::{Answer, Done, Receipt};
use crate::effects::effects;
use crate::engine::{Call, Engine, Held, RequestKey, mode_code, state_code};
use crate::error::EngineError;
use crate::fresh::Fresh;
use crate::loaded::{Loaded, later, since};

/// How long an idempotency key answers again.
const KEY_LIFETIME: DurationMs = DurationMs::from_secs(24 * 3_600);

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

/// Where an artifact stands.
struct Place {
    /// The head before it.
    head: Option<Head>,
    from_state: Option<State>,
    /// The state after it.
    state: State,
    anchor: Option<TreeHead>,
}

/// A chain whose first artifact is sealed and not yet written.
pub(crate) struct Began {
    pub(crate) loaded: Loaded,
    artifact: NewArtifact,
    receipt: Receipt,
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
        let repeats = self.0.repeating.has(held.loaded()?);
        // Where nothing would be appended under the key it is looked up here: a repetition gets the answer that it was
        // given first, and seals no refusal beside it. An append that turns out to be a repetition empties the slot, so
        // where one has just come, asking first costs less than folding the chain again.
        if refusal.is_some() || events.is_empty() || repeats {
            let tenant = held.loaded()?.instance.identity.tenant.clone();
            if let Some(first) = self.lookup(call, &tenant).await? {
                return Ok(Commit::Replayed(self.replayed(&tenant, first).await?));
            }
            self.0.repeating.forget(held.loaded()?);
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
                self.0.repeating.keep(&loaded);
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
        let began = self.begin_chain(call, identity, workflow, first).await?;
        let commit = self.append_chain(call, began, plan, Answer::Recorded).await?;
        commit.answered()?.ok_or(EngineError::Conflict)
    }

    /// Seals the first artifact of a chain; nothing is written.
    pub(crate) async fn begin_chain(
        &self,
        call: &mut Call,
        identity: Identity,
        workflow: Arc<Workflow>,
        first: &Entry,
    ) -> Result<Began, EngineError> {
        let defect =
            |faults: Vec<_>| Refusal::Defect { fault: faults.first().copied().unwrap_or(Fault::State) };
        let instance = Instance::begin(identity.clone(), first).map_err(defect)?;
        let anchor = self.anchor(&identity.tenant, &workflow);
        let place = Place { head: None, from_state: None, state: State::Created, anchor };
        let artifact = self.seal_entry(&identity, first, place, &mut call.fresh).await?;
        let receipt = Receipt::of(&artifact.sealed, first);
        let head = artifact.sealed.head();
        let row =
            InstanceRow { id: identity.instance, head, index: first_index(&instance, &workflow, first.at) };
        let loaded = Loaded { instance, head, workflow, row, waiting_since: None, anchor };
        Ok(Began { loaded, artifact, receipt })
    }

    /// Seals what follows the first artifact of a chain and appends all of it, the chain's first append. `plan.entries` begins with
    /// the creation.
    pub(crate) async fn append_chain(
        &self,
        call: &mut Call,
        began: Began,
        mut plan: Plan,
        answer: Answer,
    ) -> Result<Commit, EngineError> {
        let Began { mut loaded, artifact, receipt } = began;
        plan.guards.extend(self.0.config.limits.guard(&loaded.instance.identity.tenant));
        // What is appended later carries it on.
        loaded.row.index.call_key = plan.call_key;
        let following = plan.entries.get(1..).unwrap_or_default();
        let (more, made) = self.seal_all(&mut loaded, &mut call.fresh, following).await?;
        let (mut artifacts, mut receipts) = (vec![artifact], vec![receipt]);
        artifacts.extend(more);
        receipts.extend(made);
        let (tenant, id) = (loaded.instance.identity.tenant.clone(), loaded.instance.identity.instance);
        let key = call.key.clone();
        let append = self.append_of(&loaded, None, artifacts, plan, call.now, key.as_ref(), &answer);
        // Held from before the append: a runner may claim the instance as soon as it is durable, and what it folded then
        // must not be replaced by this older state.
        let mut slot = self.0.slots.slot(&tenant, id).lock_owned().await;
        match self.0.store.append(append).await? {
            AppendOutcome::Committed => {
                let state = loaded.instance.state();
                *slot = Some(loaded);
                Ok(Commit::Done(Done { instance: id, state, answer, receipts }))
            }
            AppendOutcome::Replayed(first) => Ok(Commit::Replayed(self.replayed(&tenant, first).await?)),
            AppendOutcome::KeyReused => Err(EngineError::KeyReused),
            AppendOutcome::CallKeyTaken(instance) => Err(EngineError::CallKeyTaken { instance }),
            AppendOutcome::Moved(_) => Ok(Commit::Moved),
            AppendOutcome::GuardFailed(Guard::Room(room)) => Err(self.no_room(&tenant, room).await),
            AppendOutcome::GuardFailed(guard) => {
                self.0.registry.forget(&tenant, &guard);
                Ok(Commit::GuardFailed(guard))
            }
        }
    }

    async fn seal_all(
        &self,
        loaded: &mut Loaded,
        fresh: &mut Fresh,
        entries: &[Entry],
    ) -> Result<(Vec<NewArtifact>, Vec<Receipt>), EngineError> {
        let mut artifacts = Vec::with_capacity(entries.len());
        let mut receipts = Vec::with_capacity(entries.len());
        for entry in entries {
            let before = loaded.instance.state();
            let to = gantral_core::table::successor(Some(before), entry.event.kind(), entry.actor.kind)
                .map_err(|_| Refusal::Defect { fault: Fault::State })?;
            let identity = loaded.instance.identity.clone();
            let anchor = later(self.anchor(&identity.tenant, &loaded.workflow), loaded.anchor);
            let place = Place { head: Some(loaded.head), from_state: Some(before), state: to, anchor };
            let artifact = self.seal_entry(&identity, entry, place, fresh).await?;
            loaded.instance.apply(entry, artifact.sealed.hash).map_err(|faults| Refusal::Defect {
                fault: faults.first().copied().unwrap_or(Fault::State),
            })?;
            loaded.waiting_since = since(loaded.waiting_since, entry);
            loaded.head = artifact.sealed.head();
            loaded.anchor = anchor;
            receipts.push(Receipt::of(&artifact.sealed, entry));
            artifacts.push(artifact);
        }
        Ok((artifacts, receipts))
    }

    /// Returns the checkpoint that an artifact names: the newest one that counts for the workflow.
    fn anchor(&self, tenant: &TenantId, workflow: &Workflow) -> Option<TreeHead> {
        self.0.checkpoints.newest(tenant, workflow.release.witnesses().unwrap_or(0))
    }

    async fn seal_entry(
        &self,
        identity: &Identity,
        entry: &Entry,
        place: Place,
        fresh: &mut Fresh,
    ) -> Result<NewArtifact, EngineError> {
        let Place { head, from_state, state, anchor } = place;
        let statement = Statement {
            artifact_id: fresh.artifact(entry.at),
            identity: identity.clone(),
            sequence: head.map_or(0, |head| head.sequence.saturating_add(1)),
            previous: head.map(|head| head.hash),
            semantics: self.0.semantics,
            from_state,
            state,
            entry: entry.clone(),
            anchor,
            blind: fresh.bytes32(),
        };
        let unsigned = Unsigned::of(&statement)?;
        let signature = self.0.signer.sign(SigningContext::Artifact, &unsigned.message()).await?;
        let Sealed { hash, envelope, .. } = unsigned.signed(signature.key_id, &signature.bytes);
        Ok(NewArtifact {
            sealed: SealedArtifact { sequence: statement.sequence, hash, envelope },
            ends_chain: state.is_final(),
            signer: signature.key_id.short(),
        })
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "one append is made of exactly these; a struct would only rename them"
    )]
    fn append_of(
        &self,
        loaded: &Loaded,
        expected: Option<Head>,
        artifacts: Vec<NewArtifact>,
        plan: Plan,
        now: UnixMillis,
        key: Option<&RequestKey>,
        answer: &Answer,
    ) -> Append {
        let instance = &loaded.instance;
        let mut all = plan.snapshots;
        let recipients = &self.0.config.recipients;
        all.extend(effects(&plan.entries, instance, &loaded.workflow, plan.action.as_ref(), recipients));
        let index = InstanceIndex {
            state: state_code(instance.state()),
            mode: mode_code(instance.weakest_mode),
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

pub(crate) fn first_index(instance: &Instance, workflow: &Workflow, at: UnixMillis) -> InstanceIndex {
    InstanceIndex {
        state: state_code(State::Created),
        mode: mode_code(instance.weakest_mode),
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

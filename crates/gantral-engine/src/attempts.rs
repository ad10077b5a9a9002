//! Attempts: claimed by runners, begun by agents that execute themselves, kept alive, ended.

use std::sync::Arc;

use gantral_core::command::{Assignment, AttemptEnd, Command, Decided, Refusal};
use gantral_core::decide::decide;
use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::event::{Actor, Entry, Event, Executor};
use gantral_core::ids::{AttemptNo, GrantId, InstanceId, Name, TenantId};
use gantral_core::instance::{Instance, LiveAttempt, Origin};
use gantral_core::json::{Object, Value};
use gantral_core::state::{ExecutorKind, State};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_core::workflow::{Run, Workflow};
use gantral_identity::{AttemptBearer, Requester, RunnerIdentity};
use gantral_store::{Effect, SealedArtifact};

use crate::answer::{Answer, Done};
use crate::engine::{Call, Commit, Engine, Plan};
use crate::error::EngineError;
use crate::loaded::{Loaded, chain, open};
use crate::snapshot::{Opened, keep};

/// How many tasks a claim looks at before it says that there is nothing.
const CANDIDATES_MAX: usize = 16;

/// What a runner gets to do.
#[derive(Clone)]
pub struct Task {
    /// The instance.
    pub instance: InstanceId,
    /// The attempt that the runner now holds.
    pub attempt: AttemptNo,
    /// The definition.
    pub workflow: Arc<Workflow>,
    /// How it is run.
    pub run: Run,
    /// Whether a gate was decided before: then the resume command runs.
    pub resumed: bool,
    /// What the process is given.
    pub context: Handed,
    /// When the lease ends unless it is renewed.
    pub lease_until: UnixMillis,
    /// The whole chain, for the runner to verify before it launches anything.
    pub chain: Vec<SealedArtifact>,
}

/// The bytes that a process is given, with what opens their commitment.
#[derive(Clone)]
pub struct Handed {
    /// The commitment that the chain carries.
    pub commitment: Digest,
    /// Its salt.
    pub salt: Salt,
    /// The canonical document.
    pub bytes: Vec<u8>,
}

impl Engine {
    /// Claims the next task of a queue for a runner; `None` when there is nothing to do.
    ///
    /// # Errors
    /// `Forbidden` for a queue that is not the runner's; the store's.
    pub async fn claim(
        &self,
        call: &mut Call,
        runner: &RunnerIdentity,
        queue: &Name,
    ) -> Result<Option<Task>, EngineError> {
        let principal = runner.principal();
        if !runner.may_claim(queue) {
            return Err(EngineError::Forbidden { why: "this runner may not claim from this queue" });
        }
        let tenant = principal.tenant().clone();
        let actor = self.actor(call, principal, None).await?;
        for task in self.0.store.ready_tasks(&tenant, queue, call.now, CANDIDATES_MAX).await? {
            if !principal.teams().contains(&task.team) {
                continue;
            }
            match self.claim_one(call, &actor, &tenant, task.instance).await {
                Ok(task) => return Ok(Some(task)),
                // Another runner was faster, or the instance moved on: the next candidate may do.
                Err(EngineError::Refused(_) | EngineError::Conflict | EngineError::Frozen) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    async fn claim_one(
        &self,
        call: &mut Call,
        actor: &Actor,
        tenant: &TenantId,
        id: InstanceId,
    ) -> Result<Task, EngineError> {
        let mut held = self.hold(tenant, id).await?;
        self.seal_due(&mut held, call.now).await?;
        self.refuse_frozen(tenant).await?;
        let executor = Executor { kind: ExecutorKind::Runner, id: actor.id.clone() };
        let loaded = held.loaded()?;
        let run =
            loaded.workflow.run.clone().ok_or(EngineError::NotFound { what: "a command of the workflow" })?;
        let (workflow, resumed) = (Arc::clone(&loaded.workflow), loaded.instance.decided.is_some());
        let mut plan = Plan::default();
        let bytes = self.context(loaded, loaded.instance.attempt.next()).await?;
        let context = keep(&mut plan.snapshots, CommitmentLabel::Context, &mut call.fresh, bytes.clone());
        let assignment = Assignment { executor, context, lease: run.lease };
        let decided = decide(&loaded.instance, actor, Command::Assign(assignment), call.now)?;
        let attempt = loaded.instance.attempt.next();
        let answer = Answer::Attempt { attempt, grant: loaded.instance.pending_grant() };
        let salt = salt_of(&plan);
        match self.settle(&mut held, call, decided, plan, answer).await? {
            Commit::Done(_) => {}
            Commit::Moved | Commit::GuardFailed(_) => return Err(EngineError::Conflict),
        }
        let context = Handed { commitment: context, salt: salt.ok_or(EngineError::Conflict)?, bytes };
        let chain = chain(&self.0.store, tenant, id).await?;
        Ok(Task {
            instance: id,
            attempt,
            workflow,
            lease_until: call.now.plus(run.lease),
            run,
            resumed,
            context,
            chain,
        })
    }

    /// Attaches the attempt that a runner holds: its process is about to start.
    ///
    /// # Errors
    /// `Refused(StaleAttempt | AttemptInactive)`, `LeaseLost`; the store's.
    pub async fn attach(
        &self,
        mut call: Call,
        runner: &RunnerIdentity,
        id: InstanceId,
        attempt: AttemptNo,
    ) -> Result<Done, EngineError> {
        let tenant = runner.principal().tenant().clone();
        let actor = self.actor(&mut call, runner.principal(), None).await?;
        self.own_lease(&call, &actor, &tenant, id, attempt).await?;
        self.execute(&mut call, &tenant, id, |loaded, now, _| {
            let grant = usable_grant(&loaded.instance, attempt);
            let decided = decide(&loaded.instance, &actor, Command::Attach { attempt }, now)?;
            Ok((decided, Plan::default(), Answer::Attempt { attempt, grant }))
        })
        .await
    }

    /// Begins an attempt that an agent executes itself, without a runner: assigned and attached in one commit.
    ///
    /// An attempt of the same agent that still stands is replaced: the newest wins, and the old one can do nothing.
    ///
    /// # Errors
    /// `Forbidden` for anybody but the creator; `Refused`; the store's.
    pub async fn begin_self(
        &self,
        mut call: Call,
        requester: &Requester,
        id: InstanceId,
    ) -> Result<(Done, Handed), EngineError> {
        let principal = requester.principal();
        let tenant = principal.tenant().clone();
        let actor = self.actor(&mut call, principal, None).await?;
        if let Some(first) = self.lookup(&call, &tenant).await? {
            let done = self.replayed(&tenant, first).await?;
            let handed = self.handed(&tenant, id).await?;
            return Ok((done, handed));
        }
        let mut held = self.hold(&tenant, id).await?;
        self.seal_due(&mut held, call.now).await?;
        self.refuse_frozen(&tenant).await?;
        let loaded = held.loaded()?;
        if loaded.instance.created_by != actor.id {
            return Err(EngineError::Forbidden { why: "only who created the instance may execute it" });
        }
        let attempt = loaded.instance.attempt.next();
        let mut plan = Plan::default();
        let bytes = self.context(loaded, attempt).await?;
        let context = keep(&mut plan.snapshots, CommitmentLabel::Context, &mut call.fresh, bytes.clone());
        let salt = salt_of(&plan).ok_or(EngineError::Conflict)?;
        let executor = Executor { kind: ExecutorKind::SelfExecuted, id: actor.id.clone() };
        let lease = loaded.instance.created.expires_at.since(call.now);
        let assignment = Assignment { executor, context, lease };
        let entries = begin_steps(&loaded.instance, &actor, assignment, call.now)?;
        let grant = loaded.instance.pending_grant();
        let decided = Decided { events: entries, refusal: None };
        let answer = Answer::Attempt { attempt, grant };
        match self.settle(&mut held, &mut call, decided, plan, answer).await? {
            Commit::Done(done) => Ok((done, Handed { commitment: context, salt, bytes })),
            Commit::Moved | Commit::GuardFailed(_) => Err(EngineError::Conflict),
        }
    }

    /// Renews a runner's lease on an attempt.
    ///
    /// # Errors
    /// `LeaseLost` when it is over or somebody else's: the runner must kill the process.
    pub async fn heartbeat(
        &self,
        call: &mut Call,
        runner: &RunnerIdentity,
        id: InstanceId,
        attempt: AttemptNo,
    ) -> Result<UnixMillis, EngineError> {
        let tenant = runner.principal().tenant().clone();
        let actor = self.actor(call, runner.principal(), None).await?;
        let row = self
            .0
            .store
            .instance(&tenant, id)
            .await?
            .ok_or(EngineError::NotFound { what: "the instance" })?;
        let workflow = self.0.registry.workflow(&tenant, row.index.workflow_version).await?;
        let lease = workflow.run.as_ref().map_or(DurationMs::from_secs(30), |run| run.lease);
        let until = call.now.plus(lease);
        let renewed = self.0.store.renew_lease(&tenant, id, attempt, &actor.id, call.now, until).await?;
        if renewed { Ok(until) } else { Err(EngineError::LeaseLost) }
    }

    /// Seals the end of a runner's attempt, and what follows from its exit status.
    ///
    /// # Errors
    /// `LeaseLost` when the attempt is somebody else's; `Refused(StaleAttempt | AttemptInactive)`; the store's.
    pub async fn end_attempt(
        &self,
        mut call: Call,
        runner: &RunnerIdentity,
        id: InstanceId,
        attempt: AttemptNo,
        exit_status: i32,
    ) -> Result<Done, EngineError> {
        let tenant = runner.principal().tenant().clone();
        let actor = self.actor(&mut call, runner.principal(), None).await?;
        self.own_attempt(&actor, &tenant, id, attempt).await?;
        let end = AttemptEnd::Exited(exit_status);
        self.execute(&mut call, &tenant, id, |loaded, now, _| {
            let command = Command::EndAttempt { attempt, end, may_retry: false };
            Ok((decide(&loaded.instance, &actor, command, now)?, Plan::default(), Answer::Recorded))
        })
        .await
    }

    /// Ends an instance by the word of the attempt itself: all is done, or it cannot go on.
    ///
    /// # Errors
    /// `Refused(OutcomeOpen | StaleAttempt | AttemptInactive)`; the store's.
    pub async fn finish(
        &self,
        mut call: Call,
        bearer: &AttemptBearer,
        well: bool,
    ) -> Result<Done, EngineError> {
        let (tenant, scope) = (bearer.principal().tenant().clone(), bearer.scope());
        let actor = self.actor(&mut call, bearer.principal(), None).await?;
        let attempt = scope.attempt;
        self.execute(&mut call, &tenant, scope.instance, |loaded, now, _| {
            let command = if well { Command::Complete { attempt } } else { Command::Fail { attempt } };
            Ok((decide(&loaded.instance, &actor, command, now)?, Plan::default(), Answer::Recorded))
        })
        .await
    }

    /// Seals the loss of an attempt whose lease is over. What it consumed and never reported becomes UNKNOWN.
    pub(crate) async fn lose(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        id: InstanceId,
        attempt: AttemptNo,
    ) -> Result<(), EngineError> {
        let system = self.system().clone();
        self.execute(call, tenant, id, |loaded, now, _| {
            let may_retry = loaded.instance.lost.saturating_add(1) < loaded.workflow.attempts_max;
            let command = Command::EndAttempt { attempt, end: AttemptEnd::Lost, may_retry };
            Ok((decide(&loaded.instance, &system, command, now)?, Plan::default(), Answer::Recorded))
        })
        .await
        .map(|_| ())
    }

    /// Returns what the newest attempt was given.
    ///
    /// # Errors
    /// `NotFound` when nothing was, or it was erased; the store's.
    pub async fn handed(&self, tenant: &TenantId, id: InstanceId) -> Result<Handed, EngineError> {
        let artifacts = chain(&self.0.store, tenant, id).await?;
        let mut newest = None;
        for artifact in artifacts.iter().rev() {
            if let Event::AttemptAssigned(launch) | Event::Resumed(launch) = open(artifact)?.entry.event {
                newest = launch.context;
                break;
            }
        }
        let missing = || EngineError::NotFound { what: "the attempt's context" };
        let commitment = newest.ok_or_else(missing)?;
        let opened = self.opened(tenant, CommitmentLabel::Context, commitment).await?.ok_or_else(missing)?;
        Ok(Handed { commitment, salt: opened.salt, bytes: opened.plaintext })
    }

    async fn own_attempt(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        id: InstanceId,
        attempt: AttemptNo,
    ) -> Result<(), EngineError> {
        let lease = self.0.store.lease(tenant, id).await?.ok_or(EngineError::LeaseLost)?;
        if lease.attempt == attempt && lease.executor == actor.id {
            Ok(())
        } else {
            Err(EngineError::LeaseLost)
        }
    }

    async fn own_lease(
        &self,
        call: &Call,
        actor: &Actor,
        tenant: &TenantId,
        id: InstanceId,
        attempt: AttemptNo,
    ) -> Result<(), EngineError> {
        self.own_attempt(actor, tenant, id, attempt).await?;
        let lease = self.0.store.lease(tenant, id).await?.ok_or(EngineError::LeaseLost)?;
        if lease.ended || call.now >= lease.until { Err(EngineError::LeaseLost) } else { Ok(()) }
    }

    pub(crate) async fn refuse_frozen(&self, tenant: &TenantId) -> Result<u64, EngineError> {
        let freeze = self.0.registry.freeze(tenant).await?;
        if freeze.frozen { Err(EngineError::Frozen) } else { Ok(freeze.epoch) }
    }

    /// Returns the canonical document that the process of an attempt is given.
    async fn context(&self, loaded: &Loaded, attempt: AttemptNo) -> Result<Vec<u8>, EngineError> {
        let instance = &loaded.instance;
        let tenant = &instance.identity.tenant;
        let input = match instance.created.context {
            None => None,
            Some(commitment) => match self.opened(tenant, CommitmentLabel::Context, commitment).await? {
                Some(opened) => Some(opened.document()?),
                None => {
                    return Err(EngineError::NotFound { what: "the instance's input, which was erased," });
                }
            },
        };
        let grant = match instance.pending_grant() {
            None => None,
            Some(id) => Some(self.grant_document(instance, id).await?),
        };
        let outcomes = instance.consumptions.iter().map(|(id, consumption)| {
            let status = consumption.outcome.map(|outcome| outcome.as_str());
            Value::Object(Object::new().with("grant_id", id.to_string()).with("status", status))
        });
        let object = Object::new()
            .with("attempt", attempt.0)
            .with("grant", grant)
            .with("input", input)
            .with("instance_id", instance.identity.instance.to_string())
            .with("outcomes", Value::Array(outcomes.collect()))
            .with("session_id", instance.created.session.as_ref().map(|session| session.as_str()))
            .with("trigger", instance.created.trigger.as_ref().map(Name::as_str))
            .with(
                "workflow",
                Object::new()
                    .with("id", loaded.workflow.id.as_str())
                    .with("version", loaded.workflow.version.as_str()),
            );
        Ok(Value::Object(object).to_canonical())
    }

    /// Returns a grant with the action that it permits and the salt that opens its commitment.
    pub(crate) async fn grant_document(
        &self,
        instance: &Instance,
        id: GrantId,
    ) -> Result<Value, EngineError> {
        let grant = instance.grants.get(&id).ok_or(EngineError::NotFound { what: "the grant" })?;
        let erased = EngineError::NotFound { what: "the approved action, which was erased," };
        let tenant = &instance.identity.tenant;
        let opened: Opened =
            self.opened(tenant, CommitmentLabel::Action, grant.action).await?.ok_or(erased)?;
        let (gate, overridden) = match &grant.origin {
            Origin::Policy { .. } => (None, false),
            Origin::Humans(origin) => (Some(origin.gate.to_string()), origin.overridden),
        };
        let object = Object::new()
            .with("action", opened.document()?)
            .with("action_commitment", grant.action.to_hex())
            .with("action_salt", opened.salt.to_hex())
            .with("expires_at", grant.expires_at.to_text())
            .with("gate_id", gate)
            .with("grant_id", id.to_string())
            .with("overridden", overridden);
        Ok(Value::Object(object))
    }
}

/// The grant that an attempt may consume once it has attached.
fn usable_grant(instance: &Instance, attempt: AttemptNo) -> Option<GrantId> {
    instance.grants.iter().find_map(|(id, grant)| match &grant.origin {
        Origin::Humans(origin) if attempt > origin.retired => Some(*id),
        Origin::Humans(_) | Origin::Policy { .. } => None,
    })
}

/// Ends what still stands, assigns and attaches: the steps of one commit, each decided over the one before.
fn begin_steps(
    instance: &Instance,
    actor: &Actor,
    assignment: Assignment,
    now: UnixMillis,
) -> Result<Vec<Entry>, EngineError> {
    let mut fold = instance.clone();
    let mut entries = Vec::new();
    if let Some(LiveAttempt { retired, .. }) = &instance.live {
        let end = if *retired { AttemptEnd::Exited(3) } else { AttemptEnd::Lost };
        step(
            &mut fold,
            actor,
            Command::EndAttempt { attempt: instance.attempt, end, may_retry: true },
            now,
            &mut entries,
        )?;
    }
    step(&mut fold, actor, Command::Assign(assignment), now, &mut entries)?;
    if fold.state() != State::Running {
        let attempt = fold.attempt;
        step(&mut fold, actor, Command::Attach { attempt }, now, &mut entries)?;
    }
    Ok(entries)
}

fn step(
    fold: &mut Instance,
    actor: &Actor,
    command: Command,
    now: UnixMillis,
    entries: &mut Vec<Entry>,
) -> Result<(), EngineError> {
    let decided = decide(fold, actor, command, now)?;
    for entry in decided.events {
        // The hash of an artifact is remembered only when a gate opens, which none of these steps does.
        fold.apply(&entry, Digest::from_bytes([0; 32])).map_err(|faults| Refusal::Defect {
            fault: faults.first().copied().unwrap_or(gantral_core::check::Fault::State),
        })?;
        entries.push(entry);
    }
    match decided.refusal {
        Some(refusal) => Err(refusal.into()),
        None => Ok(()),
    }
}

/// The salt of the context that a plan keeps.
fn salt_of(plan: &Plan) -> Option<Salt> {
    plan.snapshots.iter().find_map(|effect| match effect {
        Effect::PutSnapshot { salt, .. } => Some(*salt),
        _ => None,
    })
}

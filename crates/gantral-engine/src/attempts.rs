//! Attempts: claimed by runners, begun by agents that execute themselves, kept alive, ended.

use std::collections::BTreeSet;
use std::sync::Arc;

use gantral_core::check::Fault;
use gantral_core::command::{Assignment, AttemptEnd, Command, Decided, Refusal};
use gantral_core::decide::decide;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Entry, Executor};
use gantral_core::ids::{AttemptNo, InstanceId, Name, TeamId, TenantId};
use gantral_core::instance::{Instance, LiveAttempt};
use gantral_core::state::{ExecutorKind, State};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_core::workflow::{Run, Workflow};
use gantral_evidence::governance::Scope;
use gantral_identity::{AttemptBearer, Requester, RunnerIdentity};
use gantral_store::{Guard, LeaseRow, PAGE_MAX, SealedArtifact, TaskFilter};

use crate::answer::{Answer, Done};
use crate::commit::Plan;
use crate::engine::{Call, DECISIONS_MAX, Engine};
use crate::error::EngineError;
use crate::handover::{Handed, usable_grant};
use crate::loaded::{Loaded, chain};
use crate::snapshot::keep;

/// How many tasks a claim looks at before it says that there is nothing: enough to look past those that others take meanwhile.
const CANDIDATES_MAX: usize = PAGE_MAX;

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
    /// The delegations of the keys that signed it, as envelopes.
    pub delegations: Vec<Vec<u8>>,
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
        if let Some(first) = self.lookup(call, &tenant).await? {
            let first = self.replayed(&tenant, first).await?;
            return self.task(&actor, &tenant, first).await.map(Some);
        }
        let Some(filter) = self.unfrozen_tasks(&tenant, principal.teams()).await? else { return Ok(None) };
        for task in self.0.store.ready_tasks(&tenant, queue, filter, call.now, CANDIDATES_MAX).await? {
            match self.assign(call, &actor, &tenant, task.instance).await {
                Ok(Some(done)) => return self.task(&actor, &tenant, done).await.map(Some),
                // Another runner was faster, the instance moved on, or its workflow was frozen: the next candidate may do.
                Ok(None) | Err(EngineError::Refused(_) | EngineError::Conflict | EngineError::Frozen) => {}
                Err(error @ (EngineError::Store(_) | EngineError::Signer(_))) => return Err(error),
                // One instance that cannot go on must not keep the others of its queue waiting.
                Err(error) => {
                    tracing::warn!(instance = %task.instance, %error, "a task cannot be assigned");
                }
            }
        }
        Ok(None)
    }

    /// Returns which tasks of these teams may be assigned as far as freezes go, so that what is frozen does not keep the rest of its
    /// queue waiting; `None` when nothing may.
    async fn unfrozen_tasks(
        &self,
        tenant: &TenantId,
        teams: &BTreeSet<TeamId>,
    ) -> Result<Option<TaskFilter>, EngineError> {
        let known = self.present(tenant).await?;
        let teams = teams.iter().cloned().collect();
        let mut filter = TaskFilter { teams, without: Vec::new(), released: self.is_orchestrated() };
        for scope in known.frozen() {
            match scope {
                Scope::Tenant => return Ok(None),
                Scope::Team(frozen) => filter.teams.retain(|team| team != frozen),
                Scope::Workflow(frozen) => filter.without.push(frozen.clone()),
            }
        }
        Ok(Some(filter))
    }

    /// Assigns the next attempt of an instance to a runner; `None` when it moved meanwhile.
    async fn assign(
        &self,
        call: &mut Call,
        actor: &Actor,
        tenant: &TenantId,
        id: InstanceId,
    ) -> Result<Option<Done>, EngineError> {
        let mut held = self.hold_at(tenant, id, call.now).await?;
        let loaded = held.loaded()?;
        let run = loaded.workflow.run.as_ref();
        let lease = run.ok_or(EngineError::NotFound { what: "a command of the workflow" })?.lease;
        let mut guards = vec![self.unfrozen(tenant, &loaded.workflow).await?.guard()];
        if self.is_orchestrated() {
            // Another task may stand where the one was that was found.
            guards.push(Guard::TaskReleased);
        }
        let mut plan = Plan { guards, ..Plan::default() };
        let attempt = loaded.instance.attempt.next();
        let assignment = self.assignment(call, loaded, actor, ExecutorKind::Runner, lease, &mut plan).await?;
        let decided = decide(&loaded.instance, actor, Command::Assign(assignment), call.now)?;
        let answer = Answer::Attempt { attempt, grant: usable_grant(&loaded.instance, attempt) };
        self.settle(&mut held, call, decided, plan, answer).await?.answered()
    }

    /// Makes the assignment of the next attempt, with the document that it is handed; the document goes into the plan's snapshots.
    pub(crate) async fn assignment(
        &self,
        call: &mut Call,
        loaded: &Loaded,
        actor: &Actor,
        kind: ExecutorKind,
        lease: DurationMs,
        plan: &mut Plan,
    ) -> Result<Assignment, EngineError> {
        let bytes = self.context(loaded, loaded.instance.attempt.next()).await?;
        let context = keep(&mut plan.snapshots, CommitmentLabel::Context, &mut call.fresh, bytes);
        Ok(Assignment { executor: Executor { kind, id: actor.id.clone() }, context, lease })
    }

    /// Returns what a runner that was assigned an attempt needs to run it.
    async fn task(&self, actor: &Actor, tenant: &TenantId, done: Done) -> Result<Task, EngineError> {
        let id = done.instance;
        let context = self.handed_with(tenant, &done).await?;
        let Answer::Attempt { attempt, .. } = done.answer else {
            return Err(EngineError::Damaged { what: "the answer to a claim names no attempt".to_owned() });
        };
        let lease = self.own_attempt(actor, tenant, id, attempt).await?;
        let facts = self.instance(tenant, id).await?;
        let missing = EngineError::NotFound { what: "a command of the workflow" };
        let chain = chain(&self.0.store, tenant, id).await?;
        Ok(Task {
            instance: id,
            attempt,
            run: facts.workflow.run.clone().ok_or(missing)?,
            workflow: facts.workflow,
            lease_until: lease.until,
            resumed: facts.instance.decided.is_some(),
            context,
            delegations: self.delegations_of(&chain)?,
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
        if let Err(error) = self.own_lease(&call, &actor, &tenant, id, attempt).await {
            return self.first_answer(&call, &tenant, id, Err(error)).await;
        }
        self.execute(&mut call, &tenant, id, |loaded, now, _| {
            let grant = usable_grant(&loaded.instance, attempt);
            let decided = decide(&loaded.instance, &actor, Command::Attach { attempt }, now)?;
            Ok((decided, Plan::default(), Answer::Attempt { attempt, grant }))
        })
        .await
    }

    /// Begins an attempt that an agent executes itself, without a runner: assigned and attached in one commit.
    ///
    /// An attempt of the same agent that still stands is replaced: the newest wins, and the old one can do nothing but
    /// report what it consumed. What it consumed and never reported becomes UNKNOWN, which refuses the new attempt until
    /// it is reported or reconciled. An attempt that a runner holds is never replaced.
    ///
    /// # Errors
    /// `Forbidden` for anybody but the creator; `Refused(AttemptAlive | OutcomeUnknown | …)`; `Frozen`; the store's.
    pub async fn begin_self(
        &self,
        mut call: Call,
        requester: &Requester,
        id: InstanceId,
    ) -> Result<(Done, Handed), EngineError> {
        let tenant = requester.principal().tenant().clone();
        for _ in 0..DECISIONS_MAX {
            let begun = match self.begin_once(&mut call, requester, id).await {
                Ok(Some(done)) => Ok(done),
                Ok(None) => continue,
                Err(error) => Err(error),
            };
            let done = self.first_answer(&call, &tenant, id, begun).await?;
            let handed = self.handed_with(&tenant, &done).await?;
            return Ok((done, handed));
        }
        Err(EngineError::Conflict)
    }

    /// Begins an attempt over the instance as it stands; `None` when it moved meanwhile.
    async fn begin_once(
        &self,
        call: &mut Call,
        requester: &Requester,
        id: InstanceId,
    ) -> Result<Option<Done>, EngineError> {
        let principal = requester.principal();
        let tenant = principal.tenant();
        let actor = self.actor(call, principal, None).await?;
        // A repetition must not replace the very attempt that the first request began.
        if let Some(first) = self.lookup(call, tenant).await?
            && first.instance == id
        {
            return self.replayed(tenant, first).await.map(Some);
        }
        let mut held = self.hold_at(tenant, id, call.now).await?;
        let loaded = held.loaded()?;
        if loaded.instance.created_by != actor.id {
            return Err(EngineError::Forbidden { why: "only who created the instance may execute it" });
        }
        let guards = vec![self.unfrozen(tenant, &loaded.workflow).await?.guard()];
        let mut plan = Plan { guards, ..Plan::default() };
        let attempt = loaded.instance.attempt.next();
        let lease = loaded.instance.created.expires_at.since(call.now);
        let kind = ExecutorKind::SelfExecuted;
        let assignment = self.assignment(call, loaded, &actor, kind, lease, &mut plan).await?;
        let Begun { decided, .. } = begin_steps(&loaded.instance, &actor, assignment, call.now)?;
        let answer = Answer::Attempt { attempt, grant: usable_grant(&loaded.instance, attempt) };
        self.settle(&mut held, call, decided, plan, answer).await?.answered()
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
        if let Err(error) = self.own_attempt(&actor, &tenant, id, attempt).await {
            return self.first_answer(&call, &tenant, id, Err(error)).await;
        }
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

    async fn own_attempt(
        &self,
        actor: &Actor,
        tenant: &TenantId,
        id: InstanceId,
        attempt: AttemptNo,
    ) -> Result<LeaseRow, EngineError> {
        let lease = self.0.store.lease(tenant, id).await?.ok_or(EngineError::LeaseLost)?;
        if lease.attempt == attempt && lease.executor == actor.id {
            Ok(lease)
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
        let lease = self.own_attempt(actor, tenant, id, attempt).await?;
        if lease.ended || call.now >= lease.until { Err(EngineError::LeaseLost) } else { Ok(()) }
    }
}

/// An attempt that was assigned and attached, and the instance with it; nothing is written.
pub(crate) struct Begun {
    pub fold: Instance,
    pub decided: Decided,
}

/// Ends what still stands, assigns and attaches: the steps of one commit, each decided over the one before.
///
/// When what the old attempt consumed turns out to be unknown, its end alone is sealed, beside the refusal: nobody
/// could reconcile an outcome that is not even known to be unknown.
pub(crate) fn begin_steps(
    instance: &Instance,
    actor: &Actor,
    assignment: Assignment,
    now: UnixMillis,
) -> Result<Begun, EngineError> {
    let mut fold = instance.clone();
    let mut events = Vec::new();
    let attempt = instance.attempt;
    if let Some(LiveAttempt { retired, executor, .. }) = &instance.live {
        if !gives_way(executor.as_ref(), *retired, actor) {
            return Err(Refusal::AttemptAlive { attempt }.into());
        }
        let end = if *retired { AttemptEnd::Exited(3) } else { AttemptEnd::Lost };
        step(&mut fold, actor, Command::EndAttempt { attempt, end, may_retry: true }, now, &mut events)?;
    }
    match step(&mut fold, actor, Command::Assign(assignment), now, &mut events) {
        Ok(()) => {}
        Err(refusal @ Refusal::OutcomeUnknown { .. }) if !events.is_empty() => {
            return Ok(Begun { fold, decided: Decided { events, refusal: Some(refusal) } });
        }
        Err(refusal) => return Err(refusal.into()),
    }
    if fold.state() != State::Running {
        let attempt = fold.attempt;
        step(&mut fold, actor, Command::Attach { attempt }, now, &mut events)?;
    }
    Ok(Begun { fold, decided: Decided { events, refusal: None } })
}

/// Tells whether an attempt that stands may be replaced by its own workload: always where nobody else could be acting under it. That of an
/// interceptor is replaced once a gate retired it, and otherwise stands until its lease is over, since two processes may share one client.
fn gives_way(executor: Option<&Executor>, retired: bool, actor: &Actor) -> bool {
    executor.is_some_and(|executor| match executor.kind {
        ExecutorKind::SelfExecuted => true,
        ExecutorKind::Interceptor => retired && executor.id == actor.id,
        ExecutorKind::Runner => false,
    })
}

/// Decides one command over a fold, and applies what it leads to.
pub(crate) fn step(
    fold: &mut Instance,
    actor: &Actor,
    command: Command,
    now: UnixMillis,
    events: &mut Vec<Entry>,
) -> Result<(), Refusal> {
    let decided = decide(fold, actor, command, now)?;
    for entry in decided.events {
        // The hash of an artifact is remembered only when a gate opens, and by nothing that follows in the same commit.
        fold.apply(&entry, Digest::from_bytes([0; 32]))
            .map_err(|faults| Refusal::Defect { fault: faults.first().copied().unwrap_or(Fault::State) })?;
        events.push(entry);
    }
    decided.refusal.map_or(Ok(()), Err)
}

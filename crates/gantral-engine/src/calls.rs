//! Governed calls: one action of an agent's session, asked for and carried out by the program that the action passes through.
//!
//! A call is an instance of its own, so that refusing one call ends that call and not the agent. What an ordinary agent does with four
//! requests is one commit here: created, begun, asked, and used up if policy allows it. Source: `spec/calls.md`.

use std::sync::Arc;

use gantral_core::action::Action;
use gantral_core::command::{AttemptEnd, Command, Decided, Refusal};
use gantral_core::decide::{apply_all, create};
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Created, Entry, Event, Identity};
use gantral_core::ids::{GrantId, InstanceId, Name, SessionId, TenantId, WorkflowId};
use gantral_core::instance::{Instance, Phase};
use gantral_core::json::Value;
use gantral_core::state::{Cause, ExecutorKind, Mode, OutcomeStatus, State};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_identity::{Executes, Principal, Requester};

use crate::advice::AskFacts;
use crate::answer::{Answer, Done};
use crate::attempts::{Begun, begin_steps, step};
use crate::authority::{AskRequest, OutcomeReport};
use crate::commit::Plan;
use crate::engine::{Call, DECISIONS_MAX, Engine, state_code};
use crate::error::EngineError;
use crate::loaded::{Loaded, chain, statement};
use crate::snapshot::Opened;
use crate::weighing::{Acting, Using, Weighed};

/// How long an interceptor holds a call without a sign of life (I9): after it, what was begun and not reported is UNKNOWN.
pub const CALL_LEASE: DurationMs = DurationMs::from_secs(30);
/// How long a human's refusal answers the same call (I4): long enough that an agent that tries again pages nobody, short enough that
/// somebody who has thought better of it is not kept from asking.
pub const REFUSAL_REMEMBERED: DurationMs = DurationMs::from_secs(600);
/// The exit status of an attempt that a gate retired (I2).
const WAITS: i32 = 3;

/// One governed call, as it comes in.
#[derive(Debug, Clone)]
pub struct NewCall {
    /// The workflow, one without a command.
    pub workflow: WorkflowId,
    /// Its version; the newest when absent.
    pub version: Option<Name>,
    /// The session of the agent.
    pub session: Option<SessionId>,
    /// The action, as sent. Whether its grant is used up at once follows from the workflow.
    pub action: Value,
    /// What is said beside it.
    pub facts: AskFacts,
}

/// What came of asking for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// It was asked for, and answered; with the action where it is at hand.
    Asked(Done, Option<Opened>),
    /// Humans refused the same call a short while ago: nobody is asked again, and nothing was written.
    RefusedBefore(InstanceId),
}

/// The action of a call that was begun.
#[derive(Clone)]
pub struct BegunAction {
    /// The grant; none for what is only observed.
    pub grant: Option<GrantId>,
    /// The action with the salt of its commitment.
    pub opened: Opened,
}

/// What stands before the receipts of a write.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The artifacts before them, from the beginning, as envelopes.
    pub earlier: Vec<Vec<u8>>,
    /// The delegations of the keys that signed.
    pub delegations: Vec<Vec<u8>>,
}

impl Engine {
    /// Asks for a call, and begins it if policy allows it: all in one commit.
    ///
    /// The answer is as that of an ask; the instance is `Done::instance`.
    ///
    /// # Errors
    /// As `create` and `ask`; `CallKeyTaken` when the same call is open: join it; `Forbidden` for a workflow that runners execute;
    /// `Frozen`.
    pub async fn call(
        &self,
        mut call: Call,
        requester: &Requester,
        new: NewCall,
    ) -> Result<Called, EngineError> {
        let tenant = requester.principal().tenant();
        if let Some(first) = self.lookup(&call, tenant).await? {
            return Ok(Called::Asked(self.replayed(tenant, first).await?, None));
        }
        for _ in 0..DECISIONS_MAX {
            if let Some(called) = self.call_once(&mut call, requester, &new).await? {
                return Ok(called);
            }
        }
        Err(EngineError::Conflict)
    }

    /// Returns the call that humans refused a short while ago, if it was this one.
    async fn refused_before(
        &self,
        tenant: &TenantId,
        call_key: Digest,
        now: UnixMillis,
    ) -> Result<Option<InstanceId>, EngineError> {
        let ended = self.0.store.ended_call(tenant, call_key, state_code(State::Terminated)).await?;
        let Some(id) = ended else { return Ok(None) };
        let facts = self.instance(tenant, id).await?;
        // A gate that lapsed, or that was withdrawn, is closed like one that was refused: nobody has refused it.
        let by_humans = matches!(facts.instance.phase, Phase::Terminated(Cause::Rejected));
        let lately =
            facts.instance.decided.as_ref().is_some_and(|decided| now < decided.at.plus(REFUSAL_REMEMBERED));
        Ok((by_humans && lately).then_some(id))
    }

    /// Asks for a call over what is in force; `None` when that moved meanwhile.
    async fn call_once(
        &self,
        call: &mut Call,
        requester: &Requester,
        new: &NewCall,
    ) -> Result<Option<Called>, EngineError> {
        let principal = requester.principal();
        let tenant = principal.tenant();
        let workflow = self.workflow(tenant, &new.workflow, new.version.as_ref()).await?;
        if workflow.run.is_some() {
            return Err(EngineError::Forbidden {
                why: "runners execute this workflow; a governed call needs one without a command",
            });
        }
        let guards = vec![self.unfrozen(tenant, &workflow).await?.guard()];
        let actor = self.actor(call, principal, None).await?;
        let action = Action::admit(&new.action, &workflow)?;
        let call_key = action.call_key(tenant, &actor.id, new.session.as_ref(), &workflow.id);
        if let Some(id) = self.refused_before(tenant, call_key, call.now).await? {
            return Ok(Some(Called::RefusedBefore(id)));
        }
        let created = Created {
            requester: self.requester(call, principal, &actor).await?,
            parent: None,
            session: new.session.clone(),
            trigger: new.facts.trigger.and_then(|trigger| Name::parse(trigger.as_str()).ok()),
            context: None,
            expires_at: call.now.plus(workflow.lifetime),
        };
        let identity = Identity {
            tenant: tenant.clone(),
            origin: self.origin(tenant)?,
            instance: call.fresh.instance(call.now),
            workflow: workflow.reference(),
        };
        let first = create(&actor, created, Mode::Enforce, call.now);
        let began = self.begin_chain(call, identity, Arc::clone(&workflow), &first).await?;
        let mut plan = Plan { guards, call_key: Some(call_key), ..Plan::default() };
        let begun = self.begin_call(call, &began.loaded, principal, &actor, &mut plan).await?;
        let staged = began.loaded.with(begun.fold);
        let acting = Acting { principal, actor: &actor, attempt: staged.instance.attempt, begins: true };
        let at_once = workflow.release.witnesses().is_none() && !self.0.checkpoints.release_waits();
        let consume = at_once.then(|| executor_kind(principal));
        let request = AskRequest { action: new.action.clone(), facts: new.facts.clone(), consume };
        let weighed = self.weigh_ask(call, acting, &staged, &request).await?;
        let Weighed { decided, plan: weighed, answer, counted: _turn } = weighed;
        let Decided { mut events, refusal } = retire(&staged.instance, &actor, decided, call.now)?;
        if refusal.is_some() {
            fail(&staged.instance, &actor, &mut events, call.now)?;
        }
        let mut entries = vec![first];
        entries.extend(begun.decided.events);
        entries.extend(events);
        let plan = joined(plan, weighed, entries);
        let action = Opened::of(&plan.snapshots, CommitmentLabel::Action);
        if refusal.is_some() {
            call.key = None;
        }
        let commit = self.append_chain(call, began, plan, answer).await?;
        match refusal {
            Some(refusal) => Err(refusal.into()),
            None => Ok(commit.answered()?.map(|done| Called::Asked(done, action))),
        }
    }

    /// Begins a call that humans granted, or that waited for its grant to be released, and uses its grant up: all in one commit.
    ///
    /// # Errors
    /// `Forbidden` for anybody but who asked; `NotReleased`; `Refused(AttemptAlive)` while somebody else carries it out;
    /// `Refused(WrongState)` while it waits; as `consume`.
    pub async fn take_call(
        &self,
        mut call: Call,
        requester: &Requester,
        id: InstanceId,
    ) -> Result<Done, EngineError> {
        let tenant = requester.principal().tenant();
        for _ in 0..DECISIONS_MAX {
            match self.take_once(&mut call, requester, id).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) => return self.first_answer(&call, tenant, id, Err(error)).await,
            }
        }
        Err(EngineError::Conflict)
    }

    /// Takes a call as it stands; `None` when it, or what guards it, moved meanwhile.
    async fn take_once(
        &self,
        call: &mut Call,
        requester: &Requester,
        id: InstanceId,
    ) -> Result<Option<Done>, EngineError> {
        let principal = requester.principal();
        let tenant = principal.tenant();
        let actor = self.actor(call, principal, None).await?;
        // A repetition must not begin the call anew.
        if let Some(first) = self.lookup(call, tenant).await?
            && first.instance == id
        {
            return self.replayed(tenant, first).await.map(Some);
        }
        let mut held = self.hold_at(tenant, id, call.now).await?;
        let loaded = held.loaded()?;
        own_call(loaded, &actor)?;
        let guards = vec![self.unfrozen(tenant, &loaded.workflow).await?.guard()];
        let mut plan = Plan { guards, ..Plan::default() };
        let held_already = holds(&loaded.instance, &actor);
        let (staged, mut events) = if held_already {
            (loaded.with(loaded.instance.clone()), Vec::new())
        } else {
            let Begun { fold, decided } = self.begin_call(call, loaded, principal, &actor, &mut plan).await?;
            if decided.refusal.is_some() {
                return self.settle(&mut held, call, decided, plan, Answer::Recorded).await?.answered();
            }
            (loaded.with(fold), decided.events)
        };
        let grant =
            unused_grant(&staged.instance).ok_or(Refusal::WrongState { state: loaded.instance.state() })?;
        let granted = self.grant_document(&staged.instance, grant).await?;
        let missing = EngineError::NotFound { what: "the approved action" };
        let action = granted.get("action").ok_or(missing)?;
        let acting =
            Acting { principal, actor: &actor, attempt: staged.instance.attempt, begins: !held_already };
        let using = Using { grant, action, executor: executor_kind(principal) };
        let weighed = self.weigh_consumption(call, acting, &staged, using).await?;
        let Weighed { decided, plan: weighed, answer, counted: _turn } = weighed;
        let Decided { events: more, refusal } = retire(&staged.instance, &actor, decided, call.now)?;
        events.extend(more);
        let plan = joined(plan, weighed, Vec::new());
        self.settle(&mut held, call, Decided { events, refusal }, plan, answer).await?.answered()
    }

    /// Records what came of a call and ends it: in one commit, also late, once. Without a grant: of a call that was only observed.
    ///
    /// # Errors
    /// `Forbidden` for anybody but who asked; `Refused(OutcomeNotOwed | WrongState)`; `Action(InlineSecret)`; the store's.
    pub async fn settle_call(
        &self,
        mut call: Call,
        requester: &Requester,
        id: InstanceId,
        report: OutcomeReport,
    ) -> Result<Done, EngineError> {
        let tenant = requester.principal().tenant().clone();
        report.check()?;
        for _ in 0..DECISIONS_MAX {
            match self.settle_once(&mut call, requester, id, &report).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) => return self.first_answer(&call, &tenant, id, Err(error)).await,
            }
        }
        Err(EngineError::Conflict)
    }

    async fn settle_once(
        &self,
        call: &mut Call,
        requester: &Requester,
        id: InstanceId,
        report: &OutcomeReport,
    ) -> Result<Option<Done>, EngineError> {
        let principal = requester.principal();
        let actor = self.actor(call, principal, None).await?;
        let mut held = self.hold_at(principal.tenant(), id, call.now).await?;
        let loaded = held.loaded()?;
        own_call(loaded, &actor)?;
        let mut plan = Plan::default();
        let outcome = report.outcome(&mut plan, &mut call.fresh);
        let attempt = match report.grant {
            None => loaded.instance.attempt,
            Some(grant) => {
                let consumption = loaded.instance.consumptions.get(&grant);
                consumption.ok_or(Refusal::OutcomeNotOwed { grant })?.attempt
            }
        };
        let mut fold = loaded.instance.clone();
        let mut events = Vec::new();
        step(&mut fold, &actor, Command::Report { attempt, outcome }, call.now, &mut events)?;
        if !fold.state().is_final() && fold.unknown_outcomes().next().is_none() {
            // An attempt that was lost meanwhile is replaced by one that does nothing but end.
            if !holds(&fold, &actor) {
                let staged = loaded.with(fold);
                let begun = self.begin_call(call, &staged, principal, &actor, &mut plan).await?;
                events.extend(begun.decided.events);
                fold = begun.fold;
            }
            let attempt = fold.attempt;
            let end = match report.status {
                OutcomeStatus::Succeeded => Command::Complete { attempt },
                OutcomeStatus::Failed | OutcomeStatus::Unknown => Command::Fail { attempt },
            };
            step(&mut fold, &actor, end, call.now, &mut events)?;
        }
        let decided = Decided { events, refusal: None };
        self.settle(&mut held, call, decided, plan, Answer::Recorded).await?.answered()
    }

    /// Renews an interceptor's lease on a call that it carries out; returns until when.
    ///
    /// # Errors
    /// `LeaseLost` when it is over, or the call is nobody's or somebody else's: what was begun may be finished, and is reported late.
    pub async fn keep_call(
        &self,
        call: &mut Call,
        requester: &Requester,
        id: InstanceId,
    ) -> Result<UnixMillis, EngineError> {
        let principal = requester.principal();
        let tenant = principal.tenant();
        let actor = self.actor(call, principal, None).await?;
        let facts = self.instance(tenant, id).await?;
        if !holds(&facts.instance, &actor) {
            return Err(EngineError::LeaseLost);
        }
        if executor_kind(principal) == ExecutorKind::SelfExecuted {
            return Ok(facts.instance.created.expires_at);
        }
        let (attempt, until) = (facts.instance.attempt, call.now.plus(CALL_LEASE));
        let renewed = self.0.store.renew_lease(tenant, id, attempt, &actor.id, call.now, until).await?;
        if renewed { Ok(until) } else { Err(EngineError::LeaseLost) }
    }

    /// Returns the action that a call was begun with, or that policy was asked about: the one at hand if it is that, and the stored one otherwise.
    ///
    /// # Errors
    /// `NotFound` when it was erased; the store's.
    pub async fn begun_action(
        &self,
        tenant: &TenantId,
        done: &Done,
        at_hand: Option<Opened>,
    ) -> Result<BegunAction, EngineError> {
        let missing = || EngineError::NotFound { what: "the action, which was erased," };
        for receipt in done.receipts.iter().rev() {
            let (commitment, grant) = match statement(&receipt.envelope)?.entry.event {
                Event::Consumed(detail) => (detail.action, Some(detail.grant)),
                Event::Allowed(detail) => (detail.action, detail.grant.map(|terms| terms.id)),
                Event::Observed(detail) => (detail.action, None),
                _ => continue,
            };
            let label = CommitmentLabel::Action;
            let opened = match at_hand.filter(|opened| opened.is(label, commitment)) {
                Some(opened) => Some(opened),
                None => self.opened(tenant, done.instance, label, commitment).await?,
            };
            return Ok(BegunAction { grant, opened: opened.ok_or_else(missing)? });
        }
        Err(missing())
    }

    /// Returns what a stranger needs beside the receipts of a write to verify the chain from its beginning: the artifacts before them,
    /// and the delegations of the keys that signed, as envelopes.
    ///
    /// # Errors
    /// The store's.
    pub async fn provenance(&self, tenant: &TenantId, done: &Done) -> Result<Provenance, EngineError> {
        let begins = done.receipts.first().map_or(0, |receipt| receipt.sequence);
        let mut earlier =
            if begins == 0 { Vec::new() } else { chain(&self.0.store, tenant, done.instance).await? };
        earlier.truncate(usize::try_from(begins).unwrap_or(usize::MAX));
        let earlier: Vec<Vec<u8>> = earlier.into_iter().map(|artifact| artifact.envelope).collect();
        let receipts = done.receipts.iter().map(|receipt| receipt.envelope.as_slice());
        let kept = self.kept_delegations(earlier.iter().map(Vec::as_slice).chain(receipts))?;
        let delegations = kept.into_iter().map(|kept| kept.envelope.clone()).collect();
        Ok(Provenance { earlier, delegations })
    }

    /// Waits until the log covers the grant of a call as its workflow wants, as [`Engine::await_release`] does.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn await_call_release(
        &self,
        principal: &Principal,
        id: InstanceId,
    ) -> Result<bool, EngineError> {
        let facts = self.instance(principal.tenant(), id).await?;
        match unused_grant(&facts.instance) {
            Some(grant) => self.await_release_of(principal.tenant(), id, grant).await,
            None => Ok(false),
        }
    }

    /// Assigns and attaches the next attempt of a call.
    async fn begin_call(
        &self,
        call: &mut Call,
        loaded: &Loaded,
        principal: &Principal,
        actor: &Actor,
        plan: &mut Plan,
    ) -> Result<Begun, EngineError> {
        let kind = executor_kind(principal);
        let lease = match kind {
            ExecutorKind::Interceptor => CALL_LEASE,
            ExecutorKind::SelfExecuted | ExecutorKind::Runner => {
                loaded.instance.created.expires_at.since(call.now)
            }
        };
        let assignment = self.assignment(call, loaded, actor, kind, lease, plan).await?;
        begin_steps(&loaded.instance, actor, assignment, call.now)
    }
}

/// Returns who carries a call out: what the configuration of the client says, and never what a body says.
fn executor_kind(principal: &Principal) -> ExecutorKind {
    match principal.executes() {
        Executes::Itself => ExecutorKind::SelfExecuted,
        Executes::Interceptor => ExecutorKind::Interceptor,
    }
}

fn own_call(loaded: &Loaded, actor: &Actor) -> Result<(), EngineError> {
    if loaded.instance.created_by == actor.id {
        Ok(())
    } else {
        Err(EngineError::Forbidden { why: "only who asked for the call may carry it out" })
    }
}

/// Tells whether a workload holds the newest attempt and may act under it.
fn holds(instance: &Instance, actor: &Actor) -> bool {
    instance.live.as_ref().is_some_and(|live| {
        let own = live.executor.as_ref().is_some_and(|executor| executor.id == actor.id);
        own && live.attached && !live.retired
    })
}

/// Returns the grant that was not used yet. A call has one at a time.
fn unused_grant(instance: &Instance) -> Option<GrantId> {
    instance.grants.keys().next().copied()
}

/// Where a gate opened, ends the attempt that it retired: nobody's process waits there.
fn retire(
    instance: &Instance,
    actor: &Actor,
    decided: Decided,
    now: UnixMillis,
) -> Result<Decided, EngineError> {
    let Decided { mut events, refusal } = decided;
    if events.iter().any(|entry| matches!(entry.event, Event::HumanRequired(_))) {
        let mut fold = after(instance, &events)?;
        let attempt = fold.attempt;
        let end = Command::EndAttempt { attempt, end: AttemptEnd::Exited(WAITS), may_retry: true };
        step(&mut fold, actor, end, now, &mut events)?;
    }
    Ok(Decided { events, refusal })
}

/// Ends a call that was refused as it was asked for: what had to be sealed all the same is kept, and nothing waits that nobody would end.
fn fail(
    instance: &Instance,
    actor: &Actor,
    events: &mut Vec<Entry>,
    now: UnixMillis,
) -> Result<(), EngineError> {
    let mut fold = after(instance, events)?;
    let attempt = fold.attempt;
    Ok(step(&mut fold, actor, Command::Fail { attempt }, now, events)?)
}

/// Returns an instance with events that are decided and not sealed yet.
fn after(instance: &Instance, events: &[Entry]) -> Result<Instance, EngineError> {
    let mut fold = instance.clone();
    let unsealed: Vec<(Entry, Digest)> =
        events.iter().map(|entry| (entry.clone(), Digest::from_bytes([0; 32]))).collect();
    apply_all(&mut fold, &unsealed)?;
    Ok(fold)
}

/// Puts together what the parts of one commit want.
fn joined(mut first: Plan, more: Plan, entries: Vec<Entry>) -> Plan {
    first.snapshots.extend(more.snapshots);
    first.guards.extend(more.guards);
    Plan { entries, action: more.action, ..first }
}

//! Humans: decisions at gates, extensions, withdrawal, cancellation, reconciliation.

use std::collections::BTreeSet;

use gantral_core::action::Action;
use gantral_core::command::{Command, Decided, Refusal};
use gantral_core::decide::decide;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Actor, Ballot, GrantTerms, Granted, Reconciled};
use gantral_core::ids::{GateId, GrantId, InstanceId, Role, TenantId};
use gantral_core::instance::{Gate, Instance};
use gantral_core::json::{Value, text};
use gantral_core::state::{DecisionKind, EventKind, NextStep, OutcomeStatus};
use gantral_core::time::UnixMillis;
use gantral_evidence::human::{Assertion, display_digest};
use gantral_identity::{Administrator, Approver, Requester};
use gantral_store::{Effect, StoredGate};

use crate::actors::token_evidence;
use crate::answer::{Answer, Done};
use crate::commit::Plan;
use crate::engine::{Call, DECISIONS_MAX, Engine};
use crate::error::EngineError;
use crate::fresh::Fresh;
use crate::governance::{Lent, Still};
use crate::loaded::Loaded;
use crate::passkeys::Confirmed;
use crate::snapshot::keep;

/// The longest justification, in bytes.
pub const JUSTIFICATION_BYTES_MAX: usize = 16 << 10;

/// One decision, as it comes in.
#[derive(Debug, Clone)]
pub struct DecisionRequest {
    /// What is said.
    pub decision: DecisionKind,
    /// The version of the gate that was seen.
    pub gate_version: u32,
    /// The role to act under; chosen when absent.
    pub role: Option<Role>,
    /// The changed action, for an override.
    pub action: Option<Value>,
    /// Why.
    pub justification: String,
    /// The delegation by which the human acts for somebody else: the hash of its artifact.
    pub delegation: Option<Digest>,
    /// Whether the human decides alone, under a role that the gate sealed for emergencies.
    pub break_glass: bool,
    /// From what the salts of the decision are drawn: the same for the same decision of the same human where an authenticator signs a
    /// statement first, and 32 bytes that nobody outside can guess. Drawn anew when absent.
    pub seed: Option<[u8; 32]>,
    /// What the human's own authenticator says of the decision.
    pub assertion: Option<Assertion>,
}

/// A ballot before it is sealed.
pub(crate) struct Prepared {
    pub(crate) actor: Actor,
    pub(crate) ballot: Ballot,
    grant: GrantId,
    plan: Plan,
    still: Option<Still>,
}

/// What a human found out about an unknown outcome.
#[derive(Debug, Clone)]
pub struct Reconciliation {
    /// The grant.
    pub grant: GrantId,
    /// SUCCEEDED or FAILED.
    pub status: OutcomeStatus,
    /// How the instance goes on.
    pub next: NextStep,
    /// Why.
    pub justification: String,
}

impl Engine {
    /// Records one human's decision. The first that suffices decides; whoever comes later is told who did.
    ///
    /// # Errors
    /// `Refused(AlreadyDecided | GateMoved | DeadlinePassed | SelfApproval | NotEligible | …)`, `DelegationNotInForce`,
    /// `JustificationRequired`, `Action` for the changed action; the store's.
    pub async fn decide_gate(
        &self,
        mut call: Call,
        approver: &Approver,
        gate_id: GateId,
        request: DecisionRequest,
    ) -> Result<Done, EngineError> {
        let tenant = approver.principal().tenant();
        let row = self.gate_row(tenant, gate_id).await?;
        for _ in 0..DECISIONS_MAX {
            match self.decide_once(&mut call, approver, &row, &request).await {
                Ok(Some(done)) => return Ok(done),
                Ok(None) => {}
                Err(error) => return self.first_answer(&call, tenant, row.instance, Err(error)).await,
            }
        }
        Err(EngineError::Conflict)
    }

    /// Decides over the instance as it stands; `None` when it moved meanwhile.
    async fn decide_once(
        &self,
        call: &mut Call,
        approver: &Approver,
        row: &StoredGate,
        request: &DecisionRequest,
    ) -> Result<Option<Done>, EngineError> {
        let mut held = self.hold_at(approver.principal().tenant(), row.instance, call.now).await?;
        let loaded = held.loaded()?;
        let prepared = self.prepare(call, approver, loaded, row, request).await?;
        let decided = lawful(call, loaded, &prepared)?;
        let granted = decided.events.iter().any(|entry| {
            let kind = entry.event.kind();
            matches!(kind, EventKind::Approved | EventKind::Overridden)
        });
        let answer = Answer::Voted { grant: granted.then_some(prepared.grant) };
        // What the ballot rests on is held still until it has committed.
        let Prepared { plan, still: _still, .. } = prepared;
        self.settle(&mut held, call, decided, plan, answer).await?.answered()
    }

    /// Makes the ballot of a request, with whatever must stand and be written when it is sealed. Whether it is lawful is not looked at.
    pub(crate) async fn prepare(
        &self,
        call: &mut Call,
        approver: &Approver,
        loaded: &Loaded,
        row: &StoredGate,
        request: &DecisionRequest,
    ) -> Result<Prepared, EngineError> {
        let tenant = approver.principal().tenant();
        check_justification(&request.justification, loaded.workflow.justification_of(request.break_glass))?;
        let gate = loaded.instance.gate_named(row.gate.id);
        let gate = gate.ok_or_else(|| closed(&loaded.instance, row.gate.id))?;
        let mut plan = Plan::default();
        let mut actor = self.actor(call, approver.principal(), None).await?;
        if request.break_glass && request.delegation.is_some() {
            return Err(EngineError::Forbidden { why: "nobody breaks the glass for somebody else" });
        }
        let at = call.now.max(loaded.instance.last_at);
        let rests = request.delegation.is_some() || request.assertion.is_some();
        let mut still = if rests { Some(self.still(tenant).await?) } else { None };
        plan.guards.extend(still.as_ref().map(Still::guard));
        let lent = match (request.delegation, &mut still) {
            (Some(hash), Some(still)) => Some(still.lent(hash, &actor, at)?),
            _ => None,
        };
        let role = role_for(lent.as_ref().map_or(approver.roles(), |lent| &lent.roles), gate, request)?;
        actor.role = Some(role.clone());
        let mut salts = request.seed.map_or_else(|| Fresh::new(call.fresh.bytes32()), Fresh::new);
        let approved = match &request.action {
            Some(value) if request.decision == DecisionKind::Override => {
                let action = Action::admit(value, &loaded.workflow)?;
                self.changed(&mut salts, (tenant, row.instance), gate, &action, &mut plan.snapshots).await?
            }
            Some(_) => return Err(Refusal::ActionMismatch.into()),
            None => gate.asked.action,
        };
        let justification = (!request.justification.is_empty()).then(|| {
            let bytes = request.justification.as_bytes().to_vec();
            keep(&mut plan.snapshots, CommitmentLabel::Justification, &mut salts, bytes)
        });
        let mut ballot = Ballot {
            gate: row.gate.id,
            gate_version: request.gate_version,
            request_artifact_hash: gate.opened_by,
            decision: request.decision,
            asked: gate.asked.action,
            approved,
            display: display_digest(&gate.asked, gate.asked.version),
            role,
            justification,
            acts_for: lent.as_ref().map(|lent: &Lent| lent.from),
            delegation: request.delegation,
            break_glass: request.break_glass,
            directory_entry: None,
            evidence: token_evidence(approver.principal()),
            evidence_digest: None,
        };
        if let (Some(assertion), Some(still)) = (&request.assertion, &mut still) {
            let person = still.enrolled(&assertion.entry, row.gate.opened_at, at)?;
            let confirmed = Confirmed { identity: &loaded.instance.identity, gate, actor: &actor, person };
            plan.snapshots.push(self.confirm(&confirmed, &mut ballot, assertion).await?);
        }
        Ok(Prepared { actor, ballot, grant: call.fresh.grant(), plan, still })
    }

    /// Returns the row of a gate.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub(crate) async fn gate_row(&self, tenant: &TenantId, gate: GateId) -> Result<StoredGate, EngineError> {
        let missing = EngineError::NotFound { what: "the gate" };
        self.0.store.gate(tenant, gate).await?.ok_or(missing)
    }

    /// Returns the commitment of a changed action: that of the standing proposal when it is the same action, so that
    /// votes for one action join, else a fresh one.
    async fn changed(
        &self,
        salts: &mut Fresh,
        (tenant, id): (&TenantId, InstanceId),
        gate: &Gate,
        action: &Action,
        snapshots: &mut Vec<Effect>,
    ) -> Result<Digest, EngineError> {
        let asked = self.opened(tenant, id, CommitmentLabel::Action, gate.asked.action).await?;
        if asked.is_some_and(|opened| opened.plaintext == action.to_canonical()) {
            return Err(Refusal::ActionMismatch.into());
        }
        if let Some(vote) = gate.votes.last() {
            let proposed = self.opened(tenant, id, CommitmentLabel::Action, vote.action).await?;
            if proposed.is_some_and(|opened| opened.plaintext == action.to_canonical()) {
                return Ok(vote.action);
            }
        }
        Ok(keep(snapshots, CommitmentLabel::Action, salts, action.to_canonical()))
    }

    /// Extends a gate's deadline, by somebody who may decide there.
    ///
    /// # Errors
    /// `Refused(GateMoved | DeadlinePassed | ExtensionOutOfRange | NotEligible | SelfApproval)`; the store's.
    pub async fn extend(
        &self,
        mut call: Call,
        approver: &Approver,
        gate_id: GateId,
        gate_version: u32,
        deadline: UnixMillis,
    ) -> Result<Done, EngineError> {
        let tenant = approver.principal().tenant();
        let id = self.gate_row(tenant, gate_id).await?.instance;
        let none = EngineError::Forbidden { why: "you hold no role" };
        let any = approver.roles().iter().next().cloned().ok_or(none)?;
        let anonymous = self.actor(&mut call, approver.principal(), None).await?;
        self.execute(&mut call, tenant, id, |loaded, now, _| {
            let eligible = loaded.instance.gate().map(|gate| gate.rule.roles()).unwrap_or_default();
            let role = approver.roles().iter().find(|role| eligible.contains(role));
            let actor = Actor { role: Some(role.unwrap_or(&any).clone()), ..anonymous.clone() };
            let command = Command::Extend { gate: gate_id, gate_version, deadline };
            Ok((decide(&loaded.instance, &actor, command, now)?, Plan::default(), Answer::Recorded))
        })
        .await
    }

    /// Withdraws what waits, by whoever created the instance.
    ///
    /// # Errors
    /// `Refused(NotCreator | WrongState | OutcomeOpen)`; the store's.
    pub async fn withdraw(
        &self,
        mut call: Call,
        requester: &Requester,
        id: InstanceId,
    ) -> Result<Done, EngineError> {
        let tenant = requester.principal().tenant();
        let actor = self.actor(&mut call, requester.principal(), None).await?;
        self.execute(&mut call, tenant, id, |loaded, now, _| {
            Ok((decide(&loaded.instance, &actor, Command::Withdraw, now)?, Plan::default(), Answer::Recorded))
        })
        .await
    }

    /// Cancels an instance, by an administrator.
    ///
    /// # Errors
    /// `Refused(OutcomeOpen | OutcomeUnknown | Ended)`; the store's.
    pub async fn cancel(
        &self,
        mut call: Call,
        administrator: &Administrator,
        id: InstanceId,
    ) -> Result<Done, EngineError> {
        let tenant = administrator.principal().tenant();
        let actor = self.actor(&mut call, administrator.principal(), None).await?;
        self.execute(&mut call, tenant, id, |loaded, now, _| {
            Ok((decide(&loaded.instance, &actor, Command::Cancel, now)?, Plan::default(), Answer::Recorded))
        })
        .await
    }

    /// Settles an unknown outcome, by an administrator who found out.
    ///
    /// # Errors
    /// `Refused(OutcomeNotOwed | OutcomeUnknown)`, `JustificationRequired`; the store's.
    pub async fn reconcile(
        &self,
        mut call: Call,
        administrator: &Administrator,
        id: InstanceId,
        found: Reconciliation,
    ) -> Result<Done, EngineError> {
        let tenant = administrator.principal().tenant();
        let actor = self.actor(&mut call, administrator.principal(), None).await?;
        self.execute(&mut call, tenant, id, |loaded, now, fresh| {
            check_justification(&found.justification, loaded.workflow.justification_min.max(1))?;
            let mut plan = Plan::default();
            let bytes = found.justification.as_bytes().to_vec();
            let justification = Some(keep(&mut plan.snapshots, CommitmentLabel::Justification, fresh, bytes));
            let reconciled =
                Reconciled { grant: found.grant, status: found.status, next: found.next, justification };
            let decided = decide(&loaded.instance, &actor, Command::Reconcile(reconciled), now)?;
            Ok((decided, plan, Answer::Recorded))
        })
        .await
    }
}

/// Asks the state machine whether a ballot is lawful, and what follows from it.
pub(crate) fn lawful(call: &Call, loaded: &Loaded, prepared: &Prepared) -> Result<Decided, EngineError> {
    let lifetime = loaded.workflow.grant_lifetime;
    let expires_at = call.now.plus(lifetime).min(loaded.instance.created.expires_at);
    let grant = GrantTerms { id: prepared.grant, expires_at };
    let command = Command::Decide(Box::new(Granted { ballot: prepared.ballot.clone(), grant }));
    Ok(decide(&loaded.instance, &prepared.actor, command, call.now)?)
}

/// The refusal for a gate that is not open: who decided, or that there is none.
fn closed(instance: &Instance, gate: GateId) -> Refusal {
    match &instance.decided {
        Some(decided) if decided.id == gate => Refusal::AlreadyDecided {
            gate,
            by: decided.by.clone(),
            decision: decided.decision,
            at: decided.at,
        },
        Some(_) | None => Refusal::GateUnknown { gate },
    }
}

/// Chooses the role to act under: the named one if the approver holds it or was lent it, else one that may decide now.
fn role_for(held: &BTreeSet<Role>, gate: &Gate, request: &DecisionRequest) -> Result<Role, EngineError> {
    if let Some(role) = &request.role {
        let refused = EngineError::Forbidden { why: "you do not hold this role" };
        return if held.contains(role) { Ok(role.clone()) } else { Err(refused) };
    }
    let roles = if request.break_glass { gate.rule.break_glass_roles.clone() } else { gate.rule.roles() };
    let may_now = |role: &&Role| !request.break_glass && gate.rule.is_eligible(role, gate.votes.iter());
    let chosen = held.iter().find(may_now).or_else(|| held.iter().find(|role| roles.contains(role)));
    // With a role that is not asked the refusal says so: `NotEligible`, or what weighs more.
    let none = EngineError::Forbidden { why: "you hold no role" };
    chosen.or_else(|| held.iter().next()).cloned().ok_or(none)
}

fn check_justification(justification: &str, least: u32) -> Result<(), EngineError> {
    let refused = |why| EngineError::Text { member: "justification", why };
    if justification.len() > JUSTIFICATION_BYTES_MAX {
        return Err(refused("is longer than 16 KiB"));
    }
    let clean = justification.lines().all(|line| text::check_clean(line).is_ok());
    if !clean {
        return Err(refused("holds control, direction or zero-width characters, or is not in NFC"));
    }
    let length = u32::try_from(justification.trim().chars().count()).unwrap_or(u32::MAX);
    if length < least { Err(EngineError::JustificationRequired { least }) } else { Ok(()) }
}

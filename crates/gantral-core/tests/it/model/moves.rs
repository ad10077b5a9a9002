//! Everything that anybody may do next in a small world.

use gantral_core::command::{Advice, Assignment, AttemptEnd, Command, UnderGate};
use gantral_core::decide::next_due;
use gantral_core::digest::Digest;
use gantral_core::event::{Actor, GrantTerms, Granted, Outcome, Reconciled};
use gantral_core::ids::AttemptNo;
use gantral_core::instance::{Gate, Origin};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::{DecisionKind, NextStep, OutcomeStatus};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::model::monitor::AGREE;
use crate::model::small::{Policy, Small};
use crate::world::{
    GRANT_LIFETIME, Refine, World, admin, agent, allow, asks, deny, digest, executor, grant, human, runner,
    secs, system,
};

/// How far an extension moves a deadline.
const EXTENSION: DurationMs = DurationMs::from_secs(60);

/// A command with its name, and what else is known of it.
pub struct Asked {
    pub name: &'static str,
    pub command: Command,
    /// Whether it is refused while authority is frozen.
    pub needs_thaw: bool,
}

fn plain(name: &'static str, command: Command) -> Asked {
    Asked { name, command, needs_thaw: false }
}

impl Policy {
    pub const ALL: [Self; 3] = [Self::Asks, Self::Allows, Self::Denies];

    pub fn advice(self) -> Advice {
        match self {
            Self::Asks => {
                asks(&["LEAD"], u32::try_from(AGREE).unwrap()).then_asks(&["DIRECTOR", "LEAD"]).under("asks")
            }
            Self::Allows => allow().under("allows"),
            Self::Denies => deny().under("denies"),
        }
    }

    fn of(version: PolicyVersionId) -> Self {
        Self::ALL.into_iter().find(|policy| policy.advice().policy.version == version).unwrap()
    }
}

/// Returns what people and programs may do.
pub fn commands(small: &Small) -> Vec<(Actor, Asked)> {
    let world = &small.world;
    let attempt = world.instance.attempt;
    let mut all = vec![
        (runner(), plain("attach", Command::Attach { attempt })),
        (agent(), plain("complete", Command::Complete { attempt })),
        (
            system(),
            plain(
                "lose the attempt",
                Command::EndAttempt { attempt, end: AttemptEnd::Lost, may_retry: true },
            ),
        ),
        (
            runner(),
            plain("exit", Command::EndAttempt { attempt, end: AttemptEnd::Exited(3), may_retry: true }),
        ),
    ];
    if small.bounds.everything {
        all.push((agent(), plain("withdraw", Command::Withdraw)));
        all.push((admin(), plain("cancel", Command::Cancel)));
        let end = AttemptEnd::Exited(0);
        all.push((runner(), plain("exit well", Command::EndAttempt { attempt, end, may_retry: true })));
    }
    if attempt.0 < small.bounds.attempts {
        let assignment = Assignment { executor: executor(), context: digest("context"), lease: secs(60) };
        all.push((runner(), Asked { needs_thaw: true, ..plain("assign", Command::Assign(assignment)) }));
    }
    ask(small, &mut all);
    consume(small, &mut all);
    settle(small, &mut all);
    ballots(small, &mut all);
    all
}

/// Asks, by the newest attempt and by one that is not; with and without using the grant at once.
fn ask(small: &Small, all: &mut Vec<(Actor, Asked)>) {
    let world = &small.world;
    if world.gates >= small.bounds.gates || world.grants >= small.bounds.grants {
        return;
    }
    for (name, consume, behind) in [("ask", false, 0), ("ask and use", true, 0), ("ask as before", false, 1)]
    {
        if !small.bounds.everything && (consume || behind > 0) {
            continue;
        }
        let mut ask = world.ask_of("refund 4800", small.policy.advice());
        ask.attempt = AttemptNo(world.instance.attempt.0.saturating_sub(behind));
        ask.consume = consume.then(World::consumer);
        all.push((agent(), Asked { needs_thaw: consume, ..plain(name, Command::Ask(Box::new(ask))) }));
    }
}

/// Uses of every grant that is or was there, of another action than the granted one, and by the attempt before.
fn consume(small: &Small, all: &mut Vec<(Actor, Asked)>) {
    let world = &small.world;
    let known = world.instance.grants.keys().chain(world.instance.consumptions.keys());
    for id in known {
        let granted = world.instance.grants.get(id);
        let by_policy = granted.is_some_and(|granted| matches!(granted.origin, Origin::Policy { .. }));
        let action = granted.map_or_else(|| digest("refund 4800"), |granted| granted.action);
        for (name, action, behind) in [
            ("use", action, 0),
            ("use for something else", digest("refund 9999"), 0),
            ("use as before", action, 1),
        ] {
            if !small.bounds.everything && name != "use" {
                continue;
            }
            let mut consume = world.consumption_of(1, "", small.policy.advice());
            (consume.grant, consume.action) = (*id, action);
            consume.attempt = AttemptNo(world.instance.attempt.0.saturating_sub(behind));
            if let Some(Origin::Humans(origin)) = granted.map(|granted| &granted.origin)
                && origin.policy_version != consume.under_current.policy.version
            {
                let advice = Policy::of(origin.policy_version).advice();
                consume.under_gate = Some(UnderGate { advice, context: digest("under gate") });
            }
            if world.gates >= small.bounds.gates && small.policy == Policy::Asks && by_policy {
                // It would open one gate more than this world has.
                continue;
            }
            let asked = plain(name, Command::Consume(Box::new(consume)));
            all.push((agent(), Asked { needs_thaw: true, ..asked }));
        }
    }
}

/// What came of what was used.
fn settle(small: &Small, all: &mut Vec<(Actor, Asked)>) {
    for (id, used) in &small.world.instance.consumptions {
        let status = OutcomeStatus::Succeeded;
        let outcome = Outcome { grant: Some(*id), status, result: None, evidence: Vec::new(), cost: None };
        all.push((agent(), plain("report", Command::Report { attempt: used.attempt, outcome })));
        for (name, next) in
            [("find out and go on", NextStep::Continue), ("find out and end", NextStep::Terminate)]
        {
            let reconciled = Reconciled { grant: *id, status, next, justification: None };
            all.push((admin(), plain(name, Command::Reconcile(reconciled))));
        }
    }
}

/// What people may say at the gate.
fn ballots(small: &Small, all: &mut Vec<(Actor, Asked)>) {
    let world = &small.world;
    let Some(open) = world.instance.gate() else { return };
    let asked = open.asked.action;
    let less = digest("refund 480");
    use DecisionKind::{Approve, Override, Reject};
    let mut said: Vec<(&'static str, &str, &str, DecisionKind, Digest)> = vec![
        ("lea approves", "lea", "LEAD", Approve, asked),
        ("leo approves", "leo", "LEAD", Approve, asked),
        ("lea rejects", "lea", "LEAD", Reject, asked),
    ];
    if small.bounds.everything {
        said.extend([
            ("oscar, who owns the agent, approves", "oscar", "LEAD", Approve, asked),
            ("dana approves", "dana", "DIRECTOR", Approve, asked),
            ("lea changes it", "lea", "LEAD", Override, less),
            ("leo changes it", "leo", "LEAD", Override, less),
        ]);
        let deadline = open.deadline.plus(EXTENSION).min(open.latest_deadline);
        if open.asked.version == 1 {
            let command = Command::Extend { gate: open.asked.id, gate_version: open.asked.version, deadline };
            all.push((human("lea", "LEAD"), plain("lea extends", command)));
        }
    }
    for (name, who, holds, decision, approved) in said {
        let ballot = world.ballot_of(holds, decision, approved);
        let terms =
            GrantTerms { id: grant(world.grants + 1), expires_at: world.now.plus(secs(GRANT_LIFETIME)) };
        let command = Command::Decide(Box::new(Granted { ballot, grant: terms }));
        all.push((human(who, holds), plain(name, command)));
    }
}

/// Returns the next instant that anything is compared with, to which time may go on: what happens before it happens now.
pub fn next_instant(small: &Small) -> Option<UnixMillis> {
    let (instance, now) = (&small.world.instance, small.world.now);
    let grants = instance.grants.values().map(|grant| grant.expires_at);
    let deadline = instance.gate().map(|gate: &Gate| gate.deadline);
    grants.chain(deadline).chain(next_due(instance)).filter(|instant| *instant > now).min()
}

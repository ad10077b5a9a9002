//! Every state, every event, every kind of actor: what the table says, and that the rulebook says the same.

use std::fmt::Write as _;
use std::path::Path;

use gantral_core::event::{
    Actor, Allowed, AttemptEnded, Consumed, Ended, Entry, Event, GateMoved, GrantTerms, Granted, GuardRecord,
    HumanRequired, Launch, Outcome, Reconciled, Rejected,
};
use gantral_core::ids::AttemptNo;
use gantral_core::instance::{Instance, Phase};
use gantral_core::policy::{EvalFailure, Verdict};
use gantral_core::state::{ActorKind, Cause, DecisionKind, EventKind, Mode, NextStep, OutcomeStatus, State};
use gantral_core::table::{Unlawful, successor};

use crate::world::{
    GRANT_LIFETIME, LIFETIME, Refine, World, agent, allow, asks, at, created, digest, executor, gate, grant,
    human, lead, policy, role, runner, seal, secs, system,
};

/// Compares a text with the file that holds it; `UPDATE_GOLDEN=1` writes the file instead.
pub fn golden(path: &Path, text: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap_or_default();
    assert_eq!(kept, text, "{} differs: look, then run with UPDATE_GOLDEN=1", path.display());
}

fn states() -> impl Iterator<Item = Option<State>> {
    std::iter::once(None).chain(State::ALL.iter().copied().map(Some))
}

#[test]
fn the_printed_matrix_is_the_table() {
    let mut text =
        String::from("# `.` no such move, `x` not by this kind of actor, `=` sealed without a move\n");
    for from in states() {
        let _ = writeln!(text, "\n{}", from.map_or("(nothing)", State::as_str));
        let _ = write!(text, "{:18}", "");
        for kind in ActorKind::ALL {
            let _ = write!(text, "{:18}", kind.as_str());
        }
        trim(&mut text);
        for event in EventKind::ALL {
            let _ = write!(text, "{:18}", event.as_str());
            for kind in ActorKind::ALL {
                let cell = match successor(from, *event, *kind) {
                    Ok(to) if Some(to) == from => "=",
                    Ok(to) => to.as_str(),
                    Err(Unlawful::NoRow) => ".",
                    Err(Unlawful::WrongActor) => "x",
                };
                let _ = write!(text, "{cell:18}");
            }
            trim(&mut text);
        }
    }
    golden(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/matrix.txt")), &text);
}

fn trim(text: &mut String) {
    text.truncate(text.trim_end_matches(' ').len());
    text.push('\n');
}

/// Each cell of the matrix that the table fills has an entry that the rulebook accepts, and leads where the table
/// says; no entry whatever is accepted where the cell is empty.
#[test]
fn the_rulebook_accepts_something_exactly_where_the_table_has_a_row() {
    let worlds = worlds();
    for state in State::ALL {
        let instances: Vec<&(Instance, u64)> =
            worlds.iter().filter(|(instance, _)| instance.state() == *state).collect();
        assert!(!instances.is_empty(), "no example of {state}");
        for event in EventKind::ALL {
            for kind in ActorKind::ALL {
                let accepted: Vec<State> = instances
                    .iter()
                    .flat_map(|(instance, now)| after(instance, *now, *event, *kind))
                    .collect();
                match successor(Some(*state), *event, *kind) {
                    Ok(to) => {
                        assert!(!accepted.is_empty(), "{event} by {kind} in {state} is never accepted");
                        assert!(accepted.iter().all(|reached| *reached == to), "{state} {event} {kind}");
                    }
                    Err(_) => assert!(accepted.is_empty(), "{event} by {kind} in {state} is accepted"),
                }
            }
        }
    }
}

#[test]
fn an_instance_begins_with_created_by_a_requester_and_nothing_else() {
    for event in EventKind::ALL {
        for kind in ActorKind::ALL {
            let accepted = candidates(&World::created().instance, *event, 0).into_iter().any(|event| {
                let entry = Entry {
                    event,
                    actor: actor(*kind),
                    attempt: AttemptNo::NONE,
                    mode: Mode::Enforce,
                    at: at(0),
                };
                Instance::begin(crate::world::identity(gantral_core::policy::Materiality::Low), &entry)
                    .is_ok()
            });
            assert_eq!(accepted, successor(None, *event, *kind).is_ok(), "{event} by {kind}");
        }
    }
}

/// The states that follow when candidates of this event are applied.
fn after(instance: &Instance, now: u64, event: EventKind, kind: ActorKind) -> Vec<State> {
    let mut reached = Vec::new();
    let newest = instance.attempt;
    for candidate in candidates(instance, event, now) {
        for attempt in [newest, newest.next(), AttemptNo(newest.0.saturating_sub(1))] {
            for mode in Mode::ALL {
                let mut next = instance.clone();
                let entry = Entry {
                    event: candidate.clone(),
                    actor: actor(kind),
                    attempt,
                    mode: *mode,
                    at: at(now).max(instance.last_at),
                };
                if next.apply(&entry, seal(99)).is_ok() {
                    reached.push(next.state());
                } else {
                    assert_eq!(&next, instance, "a refused entry moves nothing");
                }
            }
        }
    }
    reached
}

fn actor(kind: ActorKind) -> Actor {
    match kind {
        ActorKind::Human => human("lea", "LEAD"),
        ActorKind::Workload => agent(),
        ActorKind::Runner => runner(),
        ActorKind::System => system(),
    }
}

/// At least one instance in every state, in every situation in which some event is lawful; each with the second of now.
fn worlds() -> Vec<(Instance, u64)> {
    let mut worlds: Vec<(World, u64)> = Vec::new();
    let mut assigned = World::created();
    assigned.assign().seals("attempt_assigned");
    worlds.extend([(World::created(), 0), (World::created(), LIFETIME), (assigned, 0)]);

    let mut consumed = World::running();
    consumed.ask("read", allow()).seals("allowed");
    let granted = consumed.clone();
    consumed.consume(1, "read", allow()).seals("consumed");
    let mut lost = consumed.clone();
    lost.lose(1, true).seals("attempt_ended outcome");
    let mut observed = World::running();
    let mut ask = observed.ask_of("read", allow());
    ask.mode = Mode::Shadow;
    observed.ask_with(ask).seals("observed");
    let mut unattended = World::running();
    unattended.lose(1, true).seals("attempt_ended");
    worlds.extend([(World::running(), 0), (World::running(), LIFETIME), (granted, 0), (consumed, 0)]);
    worlds.extend([(lost, 0), (observed, 0), (unattended, 0)]);

    let mut asked = World::running();
    asked.ask("refund 4800", lead()).seals("human_required");
    worlds.push((asked, 0));
    worlds.push((World::waiting(asks(&["LEAD"], 2)), 0));
    worlds.push((World::waiting(lead()), 600));
    worlds.push((World::waiting(lead().then_asks(&["LEAD"])), 600));

    for overridden in [false, true] {
        for retired_lives in [false, true] {
            let mut decided = World::running();
            decided.ask("refund 4800", lead()).seals("human_required");
            if !retired_lives {
                decided.exit(1, 3).seals("attempt_ended");
            }
            if overridden {
                decided.change("lea", "LEAD", "refund 480").seals("overridden");
            } else {
                decided.approve("lea", "LEAD").seals("approved");
            }
            worlds.extend([(decided.clone(), 0), (decided, GRANT_LIFETIME)]);
        }
    }
    let mut resumed = World::waiting(lead());
    resumed.approve("lea", "LEAD").seals("approved");
    resumed.assign().seals("resumed");
    let mut dropped = resumed.clone();
    dropped.lose(2, true).seals("attempt_ended");
    worlds.extend([(resumed.clone(), 0), (resumed, GRANT_LIFETIME), (dropped, 0)]);

    let mut completed = World::running();
    completed.exit(1, 0).seals("attempt_ended completed");
    let mut terminated = World::running();
    terminated.cancel().seals("terminated");
    worlds.extend([(completed, 0), (terminated, 0)]);

    let mut instances: Vec<(Instance, u64)> =
        worlds.into_iter().map(|(world, now)| (world.instance, now)).collect();
    instances.extend(between());
    instances
}

/// Situations that exist only within one append: after each event of what `decide` returns but the last.
fn between() -> Vec<(Instance, u64)> {
    let mut found = Vec::new();
    let exited = World::running();
    let mut ended = exited.clone();
    ended.exit(1, 0).seals("attempt_ended completed");
    let mut failed = exited;
    failed.exit(1, 1).seals("attempt_ended terminated");
    let waiting = World::waiting(lead());
    let mut rejected = waiting.clone();
    rejected.reject("lea", "LEAD").seals("rejected terminated");
    for world in [ended, failed, rejected] {
        let mut parts = world.sealed.iter();
        let (first, _) = parts.next().unwrap();
        let identity = world.instance.identity.clone();
        let mut instance = Instance::begin(identity, first).unwrap();
        for (entry, hash) in parts {
            instance.apply(entry, *hash).unwrap();
            found.push((instance.clone(), 0));
        }
    }
    found
}

/// Sensible entries of one kind for this instance, and a few variants that other situations need.
fn candidates(instance: &Instance, kind: EventKind, now: u64) -> Vec<Event> {
    let launches = || {
        let one = |executor, context, lease, cause| Launch { executor, context, lease, cause };
        vec![
            one(Some(executor()), Some(digest("context")), Some(secs(60)), None),
            one(Some(executor()), None, None, None),
            one(None, None, None, Some(Cause::Cancelled)),
            one(None, None, None, Some(Cause::Expired)),
        ]
    };
    let granted = |decision| {
        let terms = GrantTerms { id: grant(50), expires_at: at(now + 60) };
        ballots(instance, decision)
            .into_iter()
            .map(|ballot| Granted { ballot, grant: terms })
            .collect::<Vec<_>>()
    };
    match kind {
        EventKind::Created => vec![Event::Created(created())],
        EventKind::Started => launches().into_iter().map(Event::Started).collect(),
        EventKind::Resumed => launches().into_iter().map(Event::Resumed).collect(),
        EventKind::Running => launches().into_iter().map(Event::Running).collect(),
        EventKind::AttemptAssigned => launches().into_iter().map(Event::AttemptAssigned).collect(),
        EventKind::HumanRequired => vec![Event::HumanRequired(required(now))],
        EventKind::Approved => granted(DecisionKind::Approve).into_iter().map(Event::Approved).collect(),
        EventKind::Overridden => granted(DecisionKind::Override).into_iter().map(Event::Overridden).collect(),
        EventKind::Vote => [DecisionKind::Approve, DecisionKind::Reject]
            .into_iter()
            .flat_map(|decision| ballots(instance, decision))
            .map(Event::Vote)
            .collect(),
        EventKind::Rejected => rejections(instance),
        EventKind::Completed => vec![Event::Completed(Ended { cause: None, policy: None })],
        EventKind::Terminated => endings(),
        EventKind::AttemptEnded => [(Cause::Exited, Some(0)), (Cause::Lost, None)]
            .map(|(cause, exit_status)| AttemptEnded { executor: executor(), cause, exit_status })
            .map(Event::AttemptEnded)
            .to_vec(),
        EventKind::Allowed => vec![Event::Allowed(allowed(Some(now)))],
        EventKind::Observed => vec![Event::Observed(allowed(None))],
        EventKind::Escalated | EventKind::Extended => moved(instance, kind, now),
        EventKind::Consumed => vec![Event::Consumed(consumed(now))],
        EventKind::Outcome => outcomes(),
        EventKind::Reconciled => vec![Event::Reconciled(Reconciled {
            grant: grant(1),
            status: OutcomeStatus::Failed,
            next: NextStep::Continue,
            justification: None,
        })],
        EventKind::EvaluatorFailed => {
            vec![Event::EvaluatorFailed(policy("p1", Verdict::Deny, Some(EvalFailure::Conflict)))]
        }
    }
}

fn ballots(instance: &Instance, decision: DecisionKind) -> Vec<gantral_core::event::Ballot> {
    let world = World { instance: instance.clone(), ..World::created() };
    let approved = match decision {
        DecisionKind::Override => digest("refund 480"),
        DecisionKind::Approve | DecisionKind::Reject => digest("refund 4800"),
    };
    vec![world.ballot_of("LEAD", decision, approved)]
}

fn required(now: u64) -> HumanRequired {
    let advice = lead();
    let ask = World::running().ask_of("refund 4800", lead());
    HumanRequired {
        gate: ask.gate,
        rule: advice.plan.unwrap().rule,
        deadline: at(now + 60),
        escalation: Vec::new(),
        latest_deadline: at(now + 60),
        policy: advice.policy,
    }
}

fn rejections(instance: &Instance) -> Vec<Event> {
    let ballot = ballots(instance, DecisionKind::Reject).pop();
    let open = instance.gate().map_or(gate(1), |open| open.asked.id);
    let engine = [Cause::Timeout, Cause::Withdrawn, Cause::Cancelled];
    let mut all: Vec<Event> =
        engine.map(|cause| Event::Rejected(Rejected { gate: open, ballot: None, cause })).to_vec();
    all.push(Event::Rejected(Rejected { gate: open, ballot, cause: Cause::Rejected }));
    all
}

fn endings() -> Vec<Event> {
    Cause::ALL
        .iter()
        .map(|cause| {
            let policy = (*cause == Cause::Denied).then(|| policy("p1", Verdict::Deny, None));
            Event::Terminated(Ended { cause: Some(*cause), policy })
        })
        .collect()
}

fn allowed(now: Option<u64>) -> Allowed {
    Allowed {
        action: digest("read"),
        context: digest("context"),
        policy: policy("p1", Verdict::Allow, None),
        grant: now.map(|now| GrantTerms { id: grant(60), expires_at: at(now + 60) }),
    }
}

fn consumed(now: u64) -> Consumed {
    let policy = policy("p1", Verdict::Allow, None);
    Consumed {
        grant: grant(1),
        action: digest("read"),
        executor: executor(),
        act_by: at(now + 60),
        guard: GuardRecord {
            governance_head: None,
            freeze_epoch: 0,
            policy_version: policy.version,
            verdict: policy.verdict,
        },
        policy,
    }
}

fn outcomes() -> Vec<Event> {
    let mut all = Vec::new();
    for grant in [Some(grant(1)), None] {
        for status in OutcomeStatus::ALL {
            let evidence = Vec::new();
            all.push(Event::Outcome(Outcome { grant, status: *status, result: None, evidence, cost: None }));
        }
    }
    all
}

fn moved(instance: &Instance, kind: EventKind, now: u64) -> Vec<Event> {
    let Phase::Waiting(open) = &instance.phase else {
        let nothing =
            GateMoved { gate: gate(1), version: 2, step: None, roles: vec![role("LEAD")], deadline: at(now) };
        return vec![if kind == EventKind::Escalated {
            Event::Escalated(nothing)
        } else {
            Event::Extended(nothing)
        }];
    };
    let same = GateMoved {
        gate: open.asked.id,
        version: open.asked.version + 1,
        step: None,
        roles: open.rule.roles(),
        deadline: open.deadline.plus(secs(1)),
    };
    if kind == EventKind::Extended {
        return vec![Event::Extended(same)];
    }
    vec![Event::Escalated(GateMoved { step: Some(1), deadline: at(now + 300), ..same })]
}

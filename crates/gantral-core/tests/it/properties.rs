//! Whatever is asked, by whomever, in whatever order: what must hold after each step, and at the end.

use std::collections::BTreeSet;

use gantral_core::check::Fault;
use gantral_core::command::{Advice, Assignment, AttemptEnd, Command, Refusal, UnderGate};
use gantral_core::decide::{decide, due, next_due};
use gantral_core::digest::Digest;
use gantral_core::event::{Actor, Entry, Event, GrantTerms, Granted, Outcome, Reconciled};
use gantral_core::ids::{AttemptNo, GrantId};
use gantral_core::instance::{Instance, Origin};
use gantral_core::policy::{EvalFailure, Materiality, Verdict};
use gantral_core::state::{
    ActorKind, DecisionKind, EventKind, HumanEvidence, Mode, NextStep, OutcomeStatus, State,
};
use gantral_core::time::DurationMs;
use proptest::prelude::*;
use proptest::sample::select;

use crate::acting::counts_agree;
use crate::world::{
    GRANT_LIFETIME, LIFETIME, Refine, World, admin, agent, allow, asks, at, deny, digest, executor, failed,
    gate, grant, human, lead, machine, person, role, runner, secs, system,
};

/// One thing that happens. Numbers are interpreted against the world as it then is.
#[derive(Debug, Clone)]
enum Move {
    Assign,
    Attach { back: u32 },
    Ask { advice: u8, action: u8, shadow: bool, consume: bool, back: u32, zero: bool },
    Say { who: u8, holds: u8, decision: DecisionKind, to: u8, twist: u8 },
    Withdraw { creator: bool },
    Cancel,
    Extend { who: u8, holds: u8, seconds: u64 },
    Consume { which: u8, advice: u8, under_gate: Option<u8>, changed: bool, back: u32 },
    Report { which: u8, status: OutcomeStatus, back: u32, shadow: bool },
    Reconcile { which: u8, status: OutcomeStatus, next: NextStep },
    Exit { status: i32, back: u32 },
    Lose { may_retry: bool, back: u32 },
    Complete { back: u32 },
    Fail { back: u32 },
    Wait { seconds: u64 },
    WaitUntilDue { less_ms: u64 },
    Tick,
}

const PEOPLE: [&str; 6] = ["lea", "leo", "rita", "dana", "oscar", "olivia"];
const ROLES: [&str; 4] = ["LEAD", "RISK", "DIRECTOR", "DUTY"];
const ACTIONS: [&str; 3] = ["refund 4800", "refund 480", "read"];

fn pick<T: Copy>(from: &[T], index: u8) -> T {
    from[usize::from(index) % from.len()]
}

fn advice(index: u8) -> Advice {
    match index % 12 {
        0 | 1 => allow(),
        2 | 3 => lead(),
        4 => asks(&["LEAD", "RISK"], 2),
        5 => lead().then_asks(&["DIRECTOR"]).then_asks(&["LEAD", "RISK"]),
        6 => lead().and_stage(&["RISK"], 1),
        7 => asks(&["LEAD"], 2).plan(|plan| plan.rule.break_glass_roles = vec![role("DUTY")]),
        8 => deny(),
        9 => asks(&["LEAD", "RISK"], 2).unless(2).then_asks(&["DIRECTOR"]),
        10 => failed(EvalFailure::Unavailable, Verdict::Allow),
        _ => failed(EvalFailure::Conflict, Verdict::RequireHuman),
    }
}

fn moves() -> impl Strategy<Value = Move> {
    let status = || select(OutcomeStatus::ALL);
    let next = || select(NextStep::ALL);
    let decision = || {
        select(
            &[DecisionKind::Approve, DecisionKind::Approve, DecisionKind::Override, DecisionKind::Reject][..],
        )
    };
    let back = || prop_oneof![9 => Just(0u32), 1 => 1u32..3];
    prop_oneof![
        12 => Just(Move::Assign),
        12 => back().prop_map(|back| Move::Attach { back }),
        14 => (any::<u8>(), any::<u8>(), prop::bool::weighted(0.1), any::<bool>(), back(), prop::bool::weighted(0.1))
            .prop_map(|(advice, action, shadow, consume, back, zero)| Move::Ask { advice, action, shadow, consume, back, zero }),
        20 => (any::<u8>(), any::<u8>(), decision(), any::<u8>(), any::<u8>())
            .prop_map(|(who, holds, decision, to, twist)| Move::Say { who, holds, decision, to, twist }),
        1 => any::<bool>().prop_map(|creator| Move::Withdraw { creator }),
        1 => Just(Move::Cancel),
        2 => (any::<u8>(), any::<u8>(), 0u64..3_000).prop_map(|(who, holds, seconds)| Move::Extend { who, holds, seconds }),
        14 => (any::<u8>(), any::<u8>(), prop::option::weighted(0.2, any::<u8>()), prop::bool::weighted(0.1), back())
            .prop_map(|(which, advice, under_gate, changed, back)| Move::Consume { which, advice, under_gate, changed, back }),
        8 => (any::<u8>(), status(), back(), prop::bool::weighted(0.2))
            .prop_map(|(which, status, back, shadow)| Move::Report { which, status, back, shadow }),
        4 => (any::<u8>(), status(), next()).prop_map(|(which, status, next)| Move::Reconcile { which, status, next }),
        5 => (select(&[0, 1, 3, 3, 3, -9][..]), back()).prop_map(|(status, back)| Move::Exit { status, back }),
        3 => (prop::bool::weighted(0.9), back()).prop_map(|(may_retry, back)| Move::Lose { may_retry, back }),
        1 => back().prop_map(|back| Move::Complete { back }),
        1 => back().prop_map(|back| Move::Fail { back }),
        4 => (0u64..700).prop_map(|seconds| Move::Wait { seconds }),
        2 => (0u64..3).prop_map(|less_ms| Move::WaitUntilDue { less_ms }),
        3 => Just(Move::Tick),
    ]
}

/// Who gives a command, and the command, for a move; `None` when the move is time alone.
fn command_of(world: &World, step: &Move) -> Option<(Actor, Command)> {
    let newest = world.instance.attempt;
    let behind = |back: &u32| AttemptNo(newest.0.saturating_sub(*back));
    let known = |which: u8| {
        let ids: Vec<GrantId> =
            world.instance.grants.keys().chain(world.instance.consumptions.keys()).copied().collect();
        if ids.is_empty() { grant(200) } else { pick(&ids, which) }
    };
    Some(match step {
        Move::Assign => {
            let executor = executor();
            let assignment = Assignment { executor, context: digest("context"), lease: secs(60) };
            (runner(), Command::Assign(assignment))
        }
        Move::Attach { back } => (runner(), Command::Attach { attempt: behind(back) }),
        Move::Ask { advice: index, action, shadow, consume, back, zero } => {
            let mut ask = world.ask_of(pick(&ACTIONS, *action), advice(*index));
            ask.attempt = behind(back);
            ask.mode = if *shadow { Mode::Shadow } else { Mode::Enforce };
            ask.consume = consume.then(World::consumer);
            if *zero {
                ask.grant_lifetime = DurationMs::new(0);
            }
            (agent(), Command::Ask(Box::new(ask)))
        }
        Move::Say { who, holds, decision, to, twist } => say(world, *who, *holds, *decision, *to, *twist),
        Move::Withdraw { creator: true } => (agent(), Command::Withdraw),
        Move::Withdraw { creator: false } => (machine("agent-8", ActorKind::Workload), Command::Withdraw),
        Move::Cancel => (admin(), Command::Cancel),
        Move::Extend { who, holds, seconds } => {
            let open = world.instance.gate();
            let id = open.map_or(gate(1), |open| open.asked.id);
            let gate_version = open.map_or(1, |open| open.asked.version);
            let command =
                Command::Extend { gate: id, gate_version, deadline: world.now.plus(secs(*seconds)) };
            (human(pick(&PEOPLE, *who), pick(&ROLES, *holds)), command)
        }
        Move::Consume { which, advice: index, under_gate, changed, back } => {
            let id = known(*which);
            let mut consume = world.consumption_of(1, "another action", advice(*index));
            consume.grant = id;
            consume.attempt = behind(back);
            let under_gate = under_gate.map(advice);
            consume.under_gate = under_gate.map(|advice| UnderGate { advice, context: digest("under gate") });
            if let (false, Some(grant)) = (*changed, world.instance.grants.get(&id)) {
                consume.action = grant.action;
            }
            (agent(), Command::Consume(Box::new(consume)))
        }
        Move::Report { which, status, back, shadow } => {
            let of = (!shadow).then(|| known(*which));
            let consumer = of.and_then(|id| world.instance.consumptions.get(&id)).map(|found| found.attempt);
            let attempt = consumer.filter(|_| *back == 0).unwrap_or_else(|| behind(back));
            let outcome =
                Outcome { grant: of, status: *status, result: None, evidence: Vec::new(), cost: None };
            (agent(), Command::Report { attempt, outcome })
        }
        Move::Reconcile { which, status, next } => {
            let unknown: Vec<GrantId> = world.instance.unknown_outcomes().collect();
            let grant = if unknown.is_empty() { known(*which) } else { pick(&unknown, *which) };
            let reconciled = Reconciled { grant, status: *status, next: *next, justification: None };
            (admin(), Command::Reconcile(reconciled))
        }
        Move::Exit { status, back } => {
            let end = AttemptEnd::Exited(*status);
            (runner(), Command::EndAttempt { attempt: behind(back), end, may_retry: true })
        }
        Move::Lose { may_retry, back } => {
            let command =
                Command::EndAttempt { attempt: behind(back), end: AttemptEnd::Lost, may_retry: *may_retry };
            (system(), command)
        }
        Move::Complete { back } => (agent(), Command::Complete { attempt: behind(back) }),
        Move::Fail { back } => (agent(), Command::Fail { attempt: behind(back) }),
        Move::Wait { .. } | Move::WaitUntilDue { .. } | Move::Tick => return None,
    })
}

/// A ballot, with one thing wrong in some of them.
fn say(world: &World, who: u8, holds: u8, decision: DecisionKind, to: u8, twist: u8) -> (Actor, Command) {
    let (name, holds) = (pick(&PEOPLE, who), pick(&ROLES, holds));
    let mut ballot = world.ballot_of(holds, decision, digest("refund 4800"));
    ballot.approved = match decision {
        DecisionKind::Override => digest(["refund 100", "refund 200"][usize::from(to % 2)]),
        DecisionKind::Approve | DecisionKind::Reject => ballot.asked,
    };
    let mut actor = human(name, holds);
    let mut expires_at = world.now.plus(secs(GRANT_LIFETIME));
    match twist % 32 {
        0 => ballot.break_glass = true,
        1 => ballot.gate_version += 1,
        2 => ballot.request_artifact_hash = digest("another"),
        3 => ballot.approved = digest("another"),
        4 => ballot.evidence = HumanEvidence::Development,
        5 => actor.role = None,
        6 => actor.kind = ActorKind::Workload,
        7 => expires_at = world.now,
        8 => expires_at = at(10 * LIFETIME),
        9..=11 => {
            ballot.acts_for = Some(person(pick(&PEOPLE, to)));
            ballot.delegation = (twist % 32 != 9).then(|| digest("delegation"));
        }
        12 => actor.id = agent().id,
        _ => {}
    }
    let terms = GrantTerms { id: grant(world.grants + 1), expires_at };
    (actor, Command::Decide(Box::new(Granted { ballot, grant: terms })))
}

/// Does one move and checks what must hold of any step. Returns whether anything was sealed.
pub fn step(world: &mut World, actor: &Actor, command: Command) -> Result<bool, Refusal> {
    let before = world.instance.clone();
    let result = decide(&before, actor, command.clone(), world.now);
    assert_eq!(result, decide(&before, actor, command, world.now), "equal inputs give equal results");
    let decided = match result {
        Ok(decided) => decided,
        Err(refusal) => {
            assert!(!matches!(refusal, Refusal::Defect { .. }), "{refusal}");
            return Err(refusal);
        }
    };
    assert!(!before.state().is_final(), "nothing is decided after the end");
    seal_checked(world, decided.events.clone());
    Ok(!decided.events.is_empty())
}

/// Folds entries one by one, asking of each what no entry may break.
fn seal_checked(world: &mut World, entries: Vec<Entry>) {
    for entry in entries {
        assert!(!world.instance.state().is_final(), "{:?} after a final state", entry.event);
        if let Event::Consumed(consumed) = &entry.event {
            let live = world.instance.grants.get(&consumed.grant).expect("a live grant");
            assert!(entry.at < live.expires_at && consumed.action == live.action);
            match &live.origin {
                Origin::Policy { attempt } => assert_eq!(*attempt, entry.attempt),
                Origin::Humans(origin) => assert!(entry.attempt > origin.retired),
            }
        }
        world.fold(vec![entry]);
        counts_agree(&world.instance);
    }
}

/// Seals what is due; time must come to rest, and what is due must be in the past.
pub fn tick(world: &mut World) {
    for _ in 0..20 {
        let entries = due(&world.instance, &system(), world.now);
        let waits = next_due(&world.instance).is_none_or(|next| world.now.max(world.instance.last_at) < next);
        assert_eq!(entries.is_empty(), waits, "what is due is what `next_due` says");
        if entries.is_empty() {
            return;
        }
        seal_checked(world, entries);
    }
    panic!("time does not come to rest");
}

fn run(world: &mut World, step_to_do: &Move) {
    match step_to_do {
        Move::Wait { seconds } => world.wait(*seconds),
        Move::WaitUntilDue { less_ms } => {
            if let Some(next) = next_due(&world.instance).filter(|next| *next > world.now) {
                let wait = next.since(world.now).get().saturating_sub(*less_ms);
                world.now = world.now.plus(DurationMs::new(wait));
            }
        }
        Move::Tick => tick(world),
        _ => {
            let Some((actor, command)) = command_of(world, step_to_do) else { return };
            // Identifiers are fresh, whatever comes of the command.
            world.gates = world.gates.wrapping_add(1) % 150;
            world.grants = world.grants.wrapping_add(1) % 150;
            let _ = step(world, &actor, command);
        }
    }
}

/// Whatever the state, somebody can bring the instance to an end, and so can time once nothing is owed.
pub fn has_a_way_to_an_end(world: &World) {
    for by_time in [false, true] {
        let mut world = world.clone();
        for _ in 0..40 {
            if world.instance.state().is_final() {
                break;
            }
            let unknown = world.instance.unknown_outcomes().next();
            if world.instance.open_consumptions().next().is_some() {
                let attempt = world.instance.attempt;
                let lost = Command::EndAttempt { attempt, end: AttemptEnd::Lost, may_retry: true };
                step(&mut world, &system(), lost).expect("a lost attempt can be ended");
            } else if let Some(grant) = unknown {
                let (status, next) = (OutcomeStatus::Failed, NextStep::Continue);
                let reconciled = Reconciled { grant, status, next, justification: None };
                step(&mut world, &admin(), Command::Reconcile(reconciled)).expect("a human can settle");
            } else if by_time {
                world.now = next_due(&world.instance).expect("time can end it").max(world.now);
                tick(&mut world);
            } else {
                step(&mut world, &admin(), Command::Cancel).expect("an administrator can cancel");
            }
        }
        assert!(world.instance.state().is_final(), "stuck in {:#?}", world.instance);
    }
}

/// Folds sealed entries from nothing.
fn refold(world: &World, entries: &[(Entry, Digest)]) -> Instance {
    let ((first, _), rest) = entries.split_first().expect("at least `created`");
    let mut instance = Instance::begin(world.instance.identity.clone(), first).expect("begins");
    for (entry, hash) in rest {
        instance.apply(entry, *hash).expect("folds again");
    }
    instance
}

/// What must hold of a whole chain, read without the machine.
fn chain_is_lawful(entries: &[(Entry, Digest)]) {
    let mut needs_human = false;
    let mut consumed = BTreeSet::new();
    let mut granted = BTreeSet::new();
    let (mut needed, mut against) = (1, BTreeSet::new());
    let mut last = at(0);
    for (entry, _) in entries {
        assert!(entry.at >= last, "time goes back");
        last = entry.at;
        match &entry.event {
            Event::HumanRequired(detail) => {
                needs_human = true;
                (needed, against) = (detail.rule.rejections as usize, BTreeSet::new());
            }
            Event::Vote(ballot) if ballot.decision == DecisionKind::Reject => {
                assert!(against.insert(entry.actor.id.clone()), "somebody rejects twice");
                assert!(against.len() < needed, "enough had rejected, and nothing was closed");
            }
            Event::Rejected(detail) if detail.ballot.as_ref().is_some_and(|ballot| !ballot.break_glass) => {
                assert!(against.insert(entry.actor.id.clone()), "somebody rejects twice");
                assert_eq!(against.len(), needed, "too few rejected");
            }
            Event::Approved(detail) | Event::Overridden(detail) => {
                assert_eq!(entry.actor.kind, ActorKind::Human);
                assert!(!against.contains(&entry.actor.id), "who rejected agrees");
                assert!(!PEOPLE[4..].iter().any(|name| entry.actor.id == person(name).actor()));
                needs_human = false;
                granted.insert(detail.grant.id);
            }
            Event::Running(launch) if launch.cause.is_none() => {
                assert!(!needs_human, "RUNNING after a gate without a human");
            }
            Event::Allowed(detail) => {
                assert_eq!(entry.mode, Mode::Enforce);
                granted.extend(detail.grant.map(|terms| terms.id));
            }
            Event::Consumed(detail) => {
                assert!(!needs_human, "consumed while a gate is open");
                assert!(granted.contains(&detail.grant), "consumed what nobody granted");
                assert!(consumed.insert(detail.grant), "consumed twice");
            }
            _ => {}
        }
    }
}

fn materialities() -> impl Strategy<Value = Materiality> {
    select(&[Materiality::Low, Materiality::Medium][..])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 800, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_rules_hold(
        materiality in materialities(),
        script in prop::collection::vec(moves(), 1..70),
        timer in any::<bool>(),
    ) {
        let mut world = World::of(materiality);
        let mut snapshots = vec![(1, world.instance.clone())];
        for step_to_do in &script {
            if timer {
                tick(&mut world);
            }
            run(&mut world, step_to_do);
            if snapshots.last().is_some_and(|(length, _)| *length < world.sealed.len()) {
                snapshots.push((world.sealed.len(), world.instance.clone()));
            }
        }
        chain_is_lawful(&world.sealed);
        for (length, instance) in &snapshots {
            prop_assert_eq!(&refold(&world, &world.sealed[..*length]), instance);
        }
        if world.state().is_final() {
            nothing_follows(&world);
        } else {
            has_a_way_to_an_end(&world);
        }
    }

    #[test]
    fn random_runs_reach_what_matters(script in prop::collection::vec(moves(), 70)) {
        // The property above is worth as much as the runs it sees: after a prelude, each of these lives on.
        let mut world = World::waiting(lead());
        for step_to_do in &script {
            run(&mut world, step_to_do);
        }
        chain_is_lawful(&world.sealed);
        prop_assert!(world.sealed.len() > 4);
    }
}

/// After the end nothing can be folded, whatever it is.
fn nothing_follows(world: &World) {
    assert_eq!(next_due(&world.instance), None);
    assert!(due(&world.instance, &system(), at(100 * LIFETIME)).is_empty());
    for (entry, hash) in &world.sealed {
        let mut instance = world.instance.clone();
        let later = Entry { at: world.instance.last_at, ..entry.clone() };
        assert_eq!(instance.apply(&later, *hash), Err(vec![Fault::AfterTerminal]));
    }
}

/// The generator above must not be blind: over a fixed set of runs it visits every state and every event.
#[test]
fn the_random_scripts_visit_every_state_and_event() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[42; 32]);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let (mut states, mut events) = (BTreeSet::new(), BTreeSet::new());
    for _ in 0..400 {
        let script = prop::collection::vec(moves(), 70).new_tree(&mut runner).unwrap().current();
        let mut world = World::created();
        for step_to_do in &script {
            run(&mut world, step_to_do);
            states.insert(world.state());
        }
        events.extend(world.sealed.iter().map(|(entry, _)| entry.event.kind()));
    }
    // REJECTED stands only within one append.
    let missing: Vec<State> =
        State::ALL.iter().copied().filter(|s| !states.contains(s) && *s != State::Rejected).collect();
    assert!(missing.is_empty(), "never in {missing:?}");
    let unseen: Vec<_> = EventKind::ALL.iter().filter(|e| !events.contains(e)).collect();
    assert!(unseen.is_empty(), "never sealed {unseen:?}");
}

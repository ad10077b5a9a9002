//! Who is told of a gate, and when approvers are reminded: in the transaction that changes it, and once.

use std::collections::BTreeMap;

use gantral_core::ids::{GateId, Name};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_engine::{EngineConfig, NoticeKind, Recipient, Recipients};
use gantral_store::fault::Fault;
use gantral_store::{Duty, DutyTaken, Holder, LEASE, OutboxRow, OutboxTurn};
use gantral_testkit::workflows::{REFUND, read};
use gantral_testkit::{AGENT, World, WorldOptions, policy};

use crate::script::{Learned, SELF, Script, Step};
use crate::time::{AT_ONCE, gates_at_once, tick};

fn pager(kinds: &[NoticeKind]) -> Recipient {
    Recipient {
        name: Name::parse("pager").unwrap(),
        tenant: gantral_testkit::People::default().tenant(),
        roles: Vec::new(),
        teams: Vec::new(),
        workflows: Vec::new(),
        kinds: kinds.to_vec(),
    }
}

async fn world(recipients: Vec<Recipient>) -> World {
    let config = EngineConfig { recipients: Recipients(recipients), ..EngineConfig::default() };
    let world = World::with(WorldOptions { config, ..WorldOptions::default() });
    let text = REFUND.replace("\"timeout\":", "\"on_timeout\": \"escalate\", \"timeout\":");
    world.apply(read(&text), &policy::example("refunds")).await;
    world
}

/// Plays to where a gate is open.
async fn open(recipients: Vec<Recipient>) -> Script {
    let world = world(recipients).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    for step in &SELF[..3] {
        script.step(*step).await.unwrap();
    }
    script
}

/// Returns what was told and is not delivered, oldest first, and delivers it.
pub async fn told(world: &World) -> Vec<OutboxRow> {
    let (store, recipient) = (world.engine().store(), Name::parse("pager").unwrap());
    let now = UnixMillis::new(world.clock.now().get() + 86_400_000_000).unwrap();
    let mut all = Vec::new();
    loop {
        let turn = OutboxTurn { recipient: recipient.clone(), now, latest: now };
        let rows = store.outbox(turn, 200).await.unwrap();
        if rows.is_empty() {
            all.sort_by_key(|row: &OutboxRow| row.number);
            return all;
        }
        let delivered = |row: &OutboxRow| gantral_store::Attempted::Delivered { number: row.number };
        let (duty, holder) = (Duty::Courier(recipient.clone()), Holder::from_random([1; 16]));
        let DutyTaken::Held(held) = store.take_duty(&duty, holder, LEASE).await.unwrap() else {
            panic!("nobody else carries")
        };
        assert!(store.settle_outbox(&held, rows.iter().map(delivered).collect(), None).await.unwrap());
        all.extend(rows);
    }
}

pub fn words(rows: &[OutboxRow]) -> Vec<(&str, Option<u8>, u32)> {
    rows.iter().map(|row| (row.kind.as_str(), row.percent, row.about.gate().unwrap().version)).collect()
}

/// Goes to where this share of the open gate's stage has passed, and ticks.
async fn pass(script: &Script, percent: u64) {
    let gate = script.facts().await.instance.gate().cloned().unwrap();
    let passed = gate.deadline.since(gate.since).get() * percent / 100;
    script.world.clock.advance_to(gate.since.plus(DurationMs::new(passed)));
    tick(script).await;
}

#[tokio::test]
async fn what_happens_to_a_gate_is_told_with_it_and_approvers_are_reminded_of_each_stage() {
    let mut script = open(vec![pager(&[])]).await;
    pass(&script, 49).await;
    assert_eq!(words(&told(&script.world).await), [("gate.opened", None, 1)]);
    pass(&script, 50).await;
    tick(&script).await;
    pass(&script, 90).await;
    tick(&script).await;
    let rows = told(&script.world).await;
    assert_eq!(words(&rows), [("gate.reminder", Some(50), 1), ("gate.reminder", Some(90), 1)]);
    pass(&script, 100).await;
    let rows = told(&script.world).await;
    assert_eq!(words(&rows), [("gate.escalated", None, 2)]);
    let facts = script.facts().await;
    let gate = facts.instance.gate().unwrap();
    assert_eq!(
        (rows[0].about.gate().unwrap().deadline, rows[0].about.gate().unwrap().id),
        (gate.deadline, gate.asked.id)
    );
    assert_eq!(gate.since, rows[0].at);
    pass(&script, 50).await;
    assert_eq!(words(&told(&script.world).await), [("gate.reminder", Some(50), 2)]);
    pass(&script, 100).await;
    let rows = told(&script.world).await;
    assert_eq!(words(&rows), [("gate.expired", None, 2)], "it was closed before it could be reminded of");
    assert_eq!(rows[0].resolution.as_ref().unwrap().as_str(), "timeout");
    script.is_valid().await;

    script = open(vec![pager(&[])]).await;
    script.step(Step::Approve).await.unwrap();
    script.world.clock.advance(DurationMs::from_secs(7_200));
    tick(&script).await;
    let rows = told(&script.world).await;
    assert_eq!(words(&rows), [("gate.opened", None, 1), ("gate.decided", None, 1)]);
    assert_eq!(rows[1].resolution.as_ref().unwrap().as_str(), "approved");
}

#[tokio::test]
async fn a_withdrawn_and_a_cancelled_gate_are_called_so() {
    let script = open(vec![pager(&[])]).await;
    let (world, now) = (&script.world, script.world.clock.now());
    let agent = world.people.requester(AGENT, now);
    world.engine().withdraw(world.call(), &agent, script.id()).await.unwrap();
    assert_eq!(words(&told(world).await)[1..], [("gate.withdrawn", None, 1)]);
    let script = open(vec![pager(&[])]).await;
    let (world, now) = (&script.world, script.world.clock.now());
    let dave = world.people.administrator("dave", now);
    world.engine().cancel(world.call(), &dave, script.id()).await.unwrap();
    assert_eq!(words(&told(world).await)[1..], [("gate.cancelled", None, 1)]);
}

#[tokio::test]
async fn an_extension_schedules_reminders_anew_and_drops_what_it_has_overtaken() {
    let script = open(vec![pager(&[])]).await;
    pass(&script, 80).await;
    assert_eq!(told(&script.world).await.len(), 2);
    let world = &script.world;
    let gate = script.facts().await.instance.gate().cloned().unwrap();
    let fiona = world.people.approver("fiona", world.clock.now());
    let span = gate.deadline.since(gate.since).get();
    let later = gate.since.plus(DurationMs::new(span * 3 / 2));
    world.engine().extend(world.call(), &fiona, gate.asked.id, 1, later).await.unwrap();
    // Half of the new time had passed already; the old nine tenths mean nothing any more.
    for percent in [53, 62] {
        pass(&script, percent).await;
    }
    assert_eq!(words(&told(world).await), [("gate.extended", None, 2)]);
    pass(&script, 90).await;
    assert_eq!(words(&told(world).await), [("gate.reminder", Some(90), 2)]);
}

#[tokio::test]
async fn nothing_is_written_that_nobody_takes() {
    let stranger =
        Recipient { teams: vec![gantral_core::ids::TeamId::parse("claims").unwrap()], ..pager(&[]) };
    for recipients in [vec![], vec![stranger]] {
        let script = open(recipients).await;
        for percent in [50, 90] {
            pass(&script, percent).await;
        }
        assert_eq!(script.world.engine().store().outbox_counts().await.unwrap(), []);
        let end = script.facts().await.instance.gate().unwrap().deadline;
        let just_before = UnixMillis::new(end.get() - 1).unwrap();
        assert_eq!(script.world.engine().store().due_reminders(just_before, 10).await.unwrap(), []);
    }
    let script = open(vec![pager(&[NoticeKind::Reminder])]).await;
    pass(&script, 100).await;
    assert_eq!(words(&told(&script.world).await), [], "the gate moved before anybody could be reminded");
}

#[tokio::test]
async fn a_message_is_there_exactly_when_its_change_is() {
    for fault in [Fault::Failed, Fault::FailedUnknown, Fault::FailedButPersisted] {
        let script = open(vec![pager(&[])]).await;
        assert_eq!(told(&script.world).await.len(), 1);
        let deadline = script.facts().await.instance.gate().unwrap().deadline;
        script.world.clock.advance_to(deadline);
        script.world.faults.fail_next(fault);
        assert_eq!(tick(&script).await.failed, 1);
        let kept = fault == Fault::FailedButPersisted;
        assert_eq!(told(&script.world).await.len(), usize::from(kept), "{fault:?}");
        assert_eq!(tick(&script).await.due, usize::from(!kept));
        assert_eq!(told(&script.world).await.len(), usize::from(!kept), "{fault:?}");
    }
}

#[tokio::test]
async fn a_thousand_gates_are_reminded_of_once_each_over_a_restart_and_a_clock_step() {
    let mut world = world(vec![pager(&[NoticeKind::Reminder])]).await;
    let gates = gates_at_once(&world).await;
    let gate = world.engine().instance(&world.tenant(), gates[0]).await.unwrap();
    let gate = gate.instance.gate().cloned().unwrap();
    let span = gate.deadline.since(gate.since).get();
    let half = gate.since.plus(DurationMs::new(span / 2 + 1_000));
    let tick = async |world: &World, now| world.engine().tick(now, world.seed()).await.unwrap();
    let first = tick(&world, half).await.reminded;
    assert!(first > 0 && first < AT_ONCE, "{first}");
    // Some are written when the server is started anew, and its clock stands an hour back for a while.
    world.restart();
    let back = UnixMillis::new(half.get() - 3_600_000).unwrap();
    assert_eq!(tick(&world, back).await.reminded, 0);
    loop {
        let (one, other) = tokio::join!(tick(&world, half), tick(&world, half));
        if one.reminded + other.reminded == 0 {
            break;
        }
    }
    let late = gate.since.plus(DurationMs::new(span * 95 / 100));
    while tick(&world, late).await.reminded > 0 {}
    assert_eq!(tick(&world, back).await.reminded, 0);
    world.clock.advance_to(late);
    let mut counted: BTreeMap<(GateId, Option<u8>), usize> = BTreeMap::new();
    for row in told(&world).await {
        *counted.entry((row.about.gate().unwrap().id, row.percent)).or_default() += 1;
    }
    assert_eq!(counted.len(), 2 * AT_ONCE);
    assert!(counted.values().all(|count| *count == 1));
}

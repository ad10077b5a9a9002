//! Gates, grants and snapshots.

use gantral_core::ids::AttemptNo;
use gantral_store::{
    AppendOutcome, Cursor, Effect, GateFilter, GovernanceOutcome, Guard, SnapshotContent, Store, StoreError,
};

use crate::conformance::conformance;
use crate::world::{
    Chain, actor, at, erasure, gate, gate_row, govern, governed, grant, name, role, snapshot_effect, team,
    tenant, workflow,
};

conformance!(
    a_gate_is_read_back_as_it_moves_and_closes,
    an_instance_has_one_open_gate,
    a_gate_of_another_instance_is_not_closed,
    open_gates_run_by_deadline_and_closed_ones_from_the_newest_through_their_cursors,
    a_gate_moves_from_one_inbox_to_another,
    a_grant_is_consumed_once,
    a_grant_made_and_consumed_at_once_is_consumed,
    a_snapshot_is_kept_until_it_is_erased,
);

async fn a_gate_is_read_back_as_it_moves_and_closes(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let mut expected = gate_row(gate(), &["approver", "lead"], 5_000);
    chain.commit(store, vec![Effect::OpenGate(expected.clone())]).await;
    let read = store.gate(&chain.tenant, expected.id).await.unwrap().unwrap();
    assert_eq!((read.instance, &read.gate, read.closing), (chain.id, &expected, None));

    (expected.version, expected.roles, expected.deadline) = (2, vec![role("head")], at(8_000));
    let moved =
        Effect::MoveGate { id: expected.id, version: 2, roles: vec![role("head")], deadline: at(8_000) };
    chain.commit(store, vec![moved]).await;
    assert_eq!(store.gate(&chain.tenant, expected.id).await.unwrap().unwrap().gate, expected);

    let decided_by = Some(actor("person"));
    let close = |id| Effect::CloseGate {
        id,
        resolution: name("overridden"),
        decided_by: decided_by.clone(),
        at: at(6_000),
    };
    chain.commit(store, vec![close(expected.id)]).await;
    let read = store.gate(&chain.tenant, expected.id).await.unwrap().unwrap();
    assert_eq!(read.gate, expected);
    let closing = read.closing.unwrap();
    assert_eq!(
        (closing.resolution.as_str(), closing.decided_by, closing.at),
        ("overridden", decided_by.clone(), at(6_000))
    );

    let again = store.append(chain.with(vec![close(expected.id)])).await;
    assert!(matches!(again, Err(StoreError::Contradiction { .. })), "{again:?}");
    chain.stands(store).await;
}

async fn an_instance_has_one_open_gate(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![Effect::OpenGate(gate_row(gate(), &["approver"], 5_000))]).await;
    let second =
        store.append(chain.with(vec![Effect::OpenGate(gate_row(gate(), &["approver"], 5_000))])).await;
    assert!(matches!(second, Err(StoreError::Contradiction { .. })), "{second:?}");
    chain.stands(store).await;
}

async fn a_gate_of_another_instance_is_not_closed(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let id = gate();
    chain.commit(store, vec![Effect::OpenGate(gate_row(id, &["approver"], 5_000))]).await;
    let other = Chain::new(&tenant("acme"));
    let close = Effect::CloseGate { id, resolution: name("approved"), decided_by: None, at: at(2) };
    let answer = store.append(other.with(vec![close])).await;
    assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
    other.stands(store).await;
    assert_eq!(store.gate(&chain.tenant, id).await.unwrap().unwrap().closing, None);
}

async fn open_gates_run_by_deadline_and_closed_ones_from_the_newest_through_their_cursors(store: &Store) {
    let mut made = Vec::new();
    for number in 0..24usize {
        let mut chain = Chain::new(&tenant("acme"));
        let roles: &[&str] =
            [&["approver"] as &[&str], &["approver", "lead"], &["lead"], &["auditor"]][number % 4];
        let mut row = gate_row(gate(), roles, 5_000 + (number as u64 * 7) % 5);
        row.team = team(["payments", "claims", "legal"][number % 3]);
        row.action_name = name(["refund.create", "refund.cancel"][number / 2 % 2]);
        chain.commit(store, vec![Effect::OpenGate(row.clone())]).await;
        // Closed in another order than that of the deadlines, and some at once.
        let closed = (number % 3 == 0).then(|| at(9 + (number as u64 * 5) % 7 / 2));
        if let Some(at) = closed {
            let close = Effect::CloseGate { id: row.id, resolution: name("x"), decided_by: None, at };
            chain.commit(store, vec![close]).await;
        }
        made.push((row, closed));
    }
    let some = |names: &[&str]| Some(names.iter().map(|text| role(text)).collect::<Vec<_>>());
    let filters = [
        GateFilter::default(),
        GateFilter { closed: true, ..GateFilter::default() },
        GateFilter { roles: some(&["approver", "lead"]), ..GateFilter::default() },
        GateFilter { roles: some(&["lead"]), closed: true, ..GateFilter::default() },
        GateFilter { roles: some(&[]), ..GateFilter::default() },
        GateFilter {
            roles: some(&["approver"]),
            teams: Some(vec![team("claims"), team("legal")]),
            workflow: Some(workflow("refund")),
            closed: false,
            action: Some(name("refund.create")),
        },
        GateFilter {
            workflow: Some(workflow("refund")),
            action: Some(name("refund.cancel")),
            teams: Some(vec![team("payments"), team("legal")]),
            closed: true,
            ..GateFilter::default()
        },
        GateFilter { action: Some(name("another")), ..GateFilter::default() },
        GateFilter { workflow: Some(workflow("another")), ..GateFilter::default() },
    ];
    for filter in filters {
        let mut expected: Vec<_> = made
            .iter()
            .filter(|(_, closed)| closed.is_some() == filter.closed)
            .filter(|(row, _)| {
                filter.roles.as_ref().is_none_or(|roles| row.roles.iter().any(|role| roles.contains(role)))
            })
            .filter(|(row, _)| filter.teams.as_ref().is_none_or(|teams| teams.contains(&row.team)))
            .filter(|(row, _)| filter.workflow.as_ref().is_none_or(|workflow| *workflow == row.workflow))
            .filter(|(row, _)| filter.action.as_ref().is_none_or(|action| *action == row.action_name))
            .map(|(row, closed)| (closed.unwrap_or(row.deadline), row.id))
            .collect();
        expected.sort_unstable();
        if filter.closed {
            expected.reverse();
        }
        let mut seen = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let page = store.list_gates(&tenant("acme"), filter.clone(), after, 3).await.unwrap();
            seen.extend(page.items.iter().map(|row| {
                let closed = row.closing.as_ref().map(|closing| closing.at);
                (closed.unwrap_or(row.gate.deadline), row.gate.id)
            }));
            match page.next {
                Some(next) => after = Some(next.to_string().parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{filter:?}");
    }
}

async fn a_gate_moves_from_one_inbox_to_another(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let id = gate();
    chain.commit(store, vec![Effect::OpenGate(gate_row(id, &["approver"], 5_000))]).await;
    let inbox = async |text: &str| {
        let filter = GateFilter { roles: Some(vec![role(text)]), ..GateFilter::default() };
        store.list_gates(&tenant("acme"), filter, None, 10).await.unwrap().items.len()
    };
    assert_eq!((inbox("approver").await, inbox("head").await), (1, 0));
    let moved = Effect::MoveGate { id, version: 2, roles: vec![role("head")], deadline: at(5_000) };
    chain.commit(store, vec![moved]).await;
    assert_eq!((inbox("approver").await, inbox("head").await), (0, 1));
}

async fn a_grant_is_consumed_once(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let id = grant();
    chain.commit(store, vec![Effect::PutGrant { id, expires_at: at(9_000) }]).await;
    let read = store.grant(&chain.tenant, chain.id, id).await.unwrap().unwrap();
    assert_eq!((read.instance, read.expires_at, read.consumed_by), (chain.id, at(9_000), None));

    chain.commit(store, vec![Effect::ConsumeGrant { id, attempt: AttemptNo(2) }]).await;
    let read = store.grant(&chain.tenant, chain.id, id).await.unwrap().unwrap();
    assert_eq!(read.consumed_by, Some(AttemptNo(2)));

    let again =
        store.append(chain.with(vec![Effect::ConsumeGrant { id, attempt: AttemptNo(3) }])).await.unwrap();
    assert_eq!(again, AppendOutcome::GuardFailed(Guard::GrantUnconsumed(id)));
    let other = Chain::new(&tenant("acme"));
    let stolen =
        store.append(other.with(vec![Effect::ConsumeGrant { id, attempt: AttemptNo(1) }])).await.unwrap();
    assert_eq!(stolen, AppendOutcome::GuardFailed(Guard::GrantUnconsumed(id)));
    chain.stands(store).await;
    other.stands(store).await;
}

async fn a_grant_made_and_consumed_at_once_is_consumed(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let (once, twice) = (grant(), grant());
    let put = |id| Effect::PutGrant { id, expires_at: at(9_000) };
    let consume = |id| Effect::ConsumeGrant { id, attempt: AttemptNo(1) };
    chain.commit(store, vec![put(once), consume(once)]).await;
    let read = store.grant(&chain.tenant, chain.id, once).await.unwrap().unwrap();
    assert_eq!(read.consumed_by, Some(AttemptNo(1)));
    let outcome = store.append(chain.with(vec![put(twice), consume(twice), consume(twice)])).await.unwrap();
    assert_eq!(outcome, AppendOutcome::GuardFailed(Guard::GrantUnconsumed(twice)));
    assert_eq!(store.grant(&chain.tenant, chain.id, twice).await.unwrap(), None);
}

async fn a_snapshot_is_kept_until_it_is_erased(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let (kept, keep) = snapshot_effect(b"the context");
    let (other, keep_other) = snapshot_effect(b"another");
    chain.commit(store, vec![keep, keep_other]).await;
    let read = store.snapshot(&chain.tenant, chain.id, kept).await.unwrap().unwrap();
    assert!(matches!(&read.content, SnapshotContent::Kept { plaintext, .. } if plaintext == b"the context"));
    assert_eq!(store.snapshots_of(&chain.tenant, chain.id, None, 10).await.unwrap().len(), 2);
    let first = store.snapshots_of(&chain.tenant, chain.id, None, 1).await.unwrap();
    let rest = store.snapshots_of(&chain.tenant, chain.id, Some(first[0].place), 10).await.unwrap();
    assert_eq!(rest.len(), 1);
    assert!(rest[0].place > first[0].place);

    governed(store, &chain.tenant, erasure(chain.id, kept, 7_000)).await;
    let again = erasure(chain.id, kept, 8_000);
    let refused = govern(store, &chain.tenant, vec![again.clone()]).await.unwrap();
    assert_eq!(refused, GovernanceOutcome::Refused(again));
    let read = store.snapshot(&chain.tenant, chain.id, kept).await.unwrap().unwrap();
    assert_eq!(read.content, SnapshotContent::Erased { at: at(7_000) });
    let read = store.snapshot(&chain.tenant, chain.id, other).await.unwrap().unwrap();
    assert!(matches!(read.content, SnapshotContent::Kept { .. }));
    chain.stands(store).await;
}

//! Append-if-head-is.

use gantral_core::digest::Digest;
use gantral_core::ids::AttemptNo;
use gantral_store::{
    Append, AppendOutcome, Cursor, Effect, Guard, Head, InstanceFilter, StateCode, Store, StoreError, Wake,
};
use tokio::task::JoinSet;

use crate::conformance::conformance;
use crate::world::{
    Chain, actor, at, fresh, gate, gate_row, grant, idempotency, name, snapshot_effect, team, tell, tenant,
};

conformance!(
    an_append_is_read_back_as_it_was_written,
    a_moved_head_is_an_answer_and_writes_nothing,
    the_same_sequence_with_another_hash_is_a_moved_head,
    an_existing_instance_is_not_created_again,
    a_missing_instance_is_not_extended,
    of_many_appends_on_one_head_exactly_one_commits,
    many_writers_at_once_lose_nothing,
    appends_that_come_at_once_are_each_answered_as_if_alone,
    rows_that_are_asked_for_at_once_are_each_answered_to_who_asked,
    an_append_that_contradicts_itself_spoils_no_other,
    artifacts_that_leave_a_gap_are_refused,
    an_open_call_key_belongs_to_one_instance,
    lists_run_from_the_newest_through_their_cursors,
    due_instances_are_found_until_they_are_done,
    commits_are_announced_in_order,
    counts_follow_the_rows,
);

async fn an_append_is_read_back_as_it_was_written(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.index.session = Some(gantral_core::ids::SessionId::parse("s-1").unwrap());
    chain.index.waiting_since = Some(at(7));
    chain.index.due_at = Some(at(9));
    chain.index.call_key = Some(Digest::of(b"call"));
    let append = chain.append_of(3);
    chain.committed(store, append.clone()).await;

    let row = store.instance(&chain.tenant, chain.id).await.unwrap().unwrap();
    assert_eq!((row.id, Some(row.head)), (chain.id, chain.head));
    assert_eq!(row.index, chain.index);
    let sealed: Vec<_> = append.artifacts.iter().map(|artifact| artifact.sealed.clone()).collect();
    assert_eq!(store.chain(&chain.tenant, chain.id, 0, 10).await.unwrap(), sealed);
    assert_eq!(store.chain(&chain.tenant, chain.id, 1, 1).await.unwrap(), sealed[1..2]);

    chain.index.state = StateCode(4);
    chain.index.waiting_since = None;
    chain.index.open = false;
    chain.commit(store, vec![]).await;
    chain.commit(store, vec![]).await;
    let row = store.instance(&chain.tenant, chain.id).await.unwrap().unwrap();
    assert_eq!((Some(row.head), row.index), (chain.head, chain.index.clone()));
}

async fn a_moved_head_is_an_answer_and_writes_nothing(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![]).await;
    let stale = chain.clone();
    chain.commit(store, vec![]).await;
    let late = stale.with(vec![
        Effect::OpenGate(gate_row(gate(), &["approver"], 5_000)),
        Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(1) },
    ]);
    assert_eq!(store.append(late).await.unwrap(), AppendOutcome::Moved(chain.head));
    chain.stands(store).await;
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.open_gates, counts.tasks), (0, 0));
}

async fn the_same_sequence_with_another_hash_is_a_moved_head(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![]).await;
    let forged = Chain { head: Some(Head { sequence: 0, hash: Digest::of(b"another") }), ..chain.clone() };
    assert_eq!(store.append(forged.append()).await.unwrap(), AppendOutcome::Moved(chain.head));
    chain.stands(store).await;
}

async fn an_existing_instance_is_not_created_again(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let create = chain.append();
    chain.committed(store, create.clone()).await;
    assert_eq!(store.append(create).await.unwrap(), AppendOutcome::Moved(chain.head));
    chain.stands(store).await;
}

async fn a_missing_instance_is_not_extended(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.head = Some(Head { sequence: 4, hash: Digest::of(b"nothing") });
    assert_eq!(store.append(chain.append()).await.unwrap(), AppendOutcome::Moved(None));
    assert_eq!(store.instance(&chain.tenant, chain.id).await.unwrap(), None);
}

async fn of_many_appends_on_one_head_exactly_one_commits(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![]).await;
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (store, append) = (store.clone(), chain.append());
        tasks.spawn(async move { store.append(append).await.unwrap() });
    }
    let outcomes = tasks.join_all().await;
    let committed = outcomes.iter().filter(|outcome| **outcome == AppendOutcome::Committed).count();
    assert_eq!(committed, 1);
    chain.head = chain.append().head();
    let moved = outcomes.iter().filter(|outcome| **outcome == AppendOutcome::Moved(chain.head)).count();
    assert_eq!(moved, 63);
    chain.stands(store).await;
}

async fn many_writers_at_once_lose_nothing(store: &Store) {
    let mut tasks = JoinSet::new();
    for writer in 0..256 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut chain = Chain::new(&tenant(&format!("tenant-{}", writer % 3)));
            for step in 0..20 {
                chain.index.state = StateCode(step % 5);
                chain.commit(&store, vec![]).await;
            }
            chain
        });
    }
    for chain in tasks.join_all().await {
        chain.stands(store).await;
    }
    let counts = store.counts().await.unwrap();
    assert_eq!(counts.instances, [(StateCode(4), 256)]);
}

async fn appends_that_come_at_once_are_each_answered_as_if_alone(store: &Store) {
    let mut writers = JoinSet::new();
    for writer in 0..96 {
        let store = store.clone();
        writers.spawn(async move {
            let mut chain = Chain::new(&tenant(&format!("tenant-{}", writer / 2 % 2)));
            let put = chain.with(vec![Effect::PutGrant { id: grant(), expires_at: at(9_000) }]);
            chain.committed(&store, put).await;
            let (strange, elsewhere) = (grant(), Some(Digest::of(b"elsewhere")));
            let (append, refusal) = match writer % 6 {
                0 => {
                    let gate = gate();
                    let effects = vec![
                        Effect::OpenGate(gate_row(gate, &["approver"], 5_000)),
                        tell(gate, "opened", &["desk", "phone"]),
                        Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(1) },
                        snapshot_effect(&fresh()).1,
                        Effect::Settle { grant: strange, cost: None },
                    ];
                    let append = Append { effects, ..chain.guarded(Guard::GovernanceHead(None)) };
                    (append, None)
                }
                1 => {
                    let guard = Guard::Lease { attempt: AttemptNo(1), now: at(1) };
                    (chain.guarded(guard.clone()), Some(AppendOutcome::GuardFailed(guard)))
                }
                2 => {
                    let consume = Effect::ConsumeGrant { id: strange, attempt: AttemptNo(1) };
                    let refusal = AppendOutcome::GuardFailed(Guard::GrantUnconsumed(strange));
                    (chain.with(vec![consume]), Some(refusal))
                }
                3 => {
                    let guard = Guard::GovernanceHead(elsewhere);
                    (chain.guarded(guard.clone()), Some(AppendOutcome::GuardFailed(guard)))
                }
                4 => (Chain { head: None, ..chain.clone() }.append(), Some(AppendOutcome::Moved(chain.head))),
                _ => {
                    chain = Chain::new(&chain.tenant);
                    (Append { idempotency: Some(idempotency("the same", b"body")), ..chain.append() }, None)
                }
            };
            let head = append.head();
            let answer = store.append(append).await.unwrap();
            match (&answer, refusal) {
                (AppendOutcome::Committed, None) => chain.head = head,
                (AppendOutcome::Replayed(_), None) => assert_eq!(writer % 6, 5),
                (answer, refusal) => assert_eq!(Some(answer), refusal.as_ref()),
            }
            (chain, answer)
        });
    }
    let answered = writers.join_all().await;
    for (chain, _) in &answered {
        chain.stands(store).await;
    }
    // Of those with one key the first of each tenant was committed, and the others were told of it.
    let told = answered.iter().filter(|(_, answer)| matches!(answer, AppendOutcome::Replayed(_))).count();
    assert_eq!(told, 16 - 2);
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.open_gates, counts.tasks), (16, 16));
    let waiting = store.outbox_counts().await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|one| (one.recipient.as_str(), one.waiting)).collect();
    assert_eq!(waiting, [("desk", 16), ("phone", 16)]);
}

async fn rows_that_are_asked_for_at_once_are_each_answered_to_who_asked(store: &Store) {
    let mut readers = JoinSet::new();
    for reader in 0..64 {
        let mut chain = Chain::new(&tenant(&format!("tenant-{}", reader % 3)));
        let gate = gate();
        if reader % 4 != 0 {
            chain.commit(store, vec![Effect::OpenGate(gate_row(gate, &["approver"], 5_000))]).await;
        }
        let store = store.clone();
        readers.spawn(async move {
            for _ in 0..8 {
                let row = store.instance(&chain.tenant, chain.id).await.unwrap();
                assert_eq!(
                    row.as_ref().map(|row| (row.id, row.head)),
                    chain.head.map(|head| (chain.id, head))
                );
                let row = store.gate(&chain.tenant, gate).await.unwrap();
                assert_eq!(row.map(|row| (row.gate.id, row.instance)), chain.head.map(|_| (gate, chain.id)));
                // The same gate is none of another tenant's.
                assert_eq!(store.gate(&tenant("other"), gate).await.unwrap(), None);
            }
        });
    }
    readers.join_all().await;
}

async fn an_append_that_contradicts_itself_spoils_no_other(store: &Store) {
    let id = gate();
    let mut tasks = JoinSet::new();
    for writer in 0..32 {
        let store = store.clone();
        tasks.spawn(async move {
            let mut chain = Chain::new(&tenant("acme"));
            if writer % 8 == 0 {
                let close =
                    Effect::CloseGate { id, resolution: name("approved"), decided_by: None, at: at(2) };
                let answer = store.append(chain.with(vec![close])).await;
                assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
            } else {
                chain.commit(&store, vec![]).await;
            }
            chain
        });
    }
    for chain in tasks.join_all().await {
        chain.stands(store).await;
    }
    store.healthy().unwrap();
}

async fn artifacts_that_leave_a_gap_are_refused(store: &Store) {
    let chain = Chain::new(&tenant("acme"));
    let mut gap = chain.append_of(3);
    gap.artifacts.remove(1);
    let mut late = chain.append_of(2);
    late.artifacts.remove(0);
    let mut ended = chain.append_of(2);
    ended.artifacts[0].ends_chain = true;
    for wrong in [gap, late, ended, Append { artifacts: vec![], ..chain.append() }] {
        let answer = store.append(wrong).await;
        assert!(matches!(answer, Err(StoreError::Contradiction { .. })), "{answer:?}");
    }
    chain.stands(store).await;
}

async fn an_open_call_key_belongs_to_one_instance(store: &Store) {
    let key = Digest::of(b"call");
    let [mut first, mut second, mut elsewhere] =
        [tenant("acme"), tenant("acme"), tenant("other")].map(|tenant| {
            let mut chain = Chain::new(&tenant);
            chain.index.call_key = Some(key);
            chain
        });
    first.commit(store, vec![]).await;
    assert_eq!(store.append(second.append()).await.unwrap(), AppendOutcome::CallKeyTaken(first.id));
    second.stands(store).await;
    elsewhere.commit(store, vec![]).await;
    assert_eq!(store.find_call(&first.tenant, key).await.unwrap(), Some(first.id));

    let ended = async |state| store.ended_call(&tenant("acme"), key, StateCode(state)).await.unwrap();
    assert_eq!(ended(8).await, None);
    first.index.open = false;
    first.index.state = StateCode(8);
    first.commit(store, vec![]).await;
    assert_eq!(store.find_call(&first.tenant, key).await.unwrap(), None);
    assert_eq!((ended(8).await, ended(7).await), (Some(first.id), None));
    second.commit(store, vec![]).await;
    assert_eq!(store.find_call(&first.tenant, key).await.unwrap(), Some(second.id));
}

async fn lists_run_from_the_newest_through_their_cursors(store: &Store) {
    let mut made = Vec::new();
    for number in 0..25u64 {
        let mut chain = Chain::new(&tenant("acme"));
        // Equal instants, so that the identifier must break the tie.
        chain.index.created_at = at(1_000 + number / 3);
        chain.index.state = StateCode((number % 2) as u8);
        chain.index.team = team(["payments", "claims", "legal"][number as usize % 3]);
        chain.commit(store, vec![]).await;
        made.push(chain);
    }
    let filters = [
        InstanceFilter::default(),
        InstanceFilter { state: Some(StateCode(1)), ..InstanceFilter::default() },
        InstanceFilter {
            teams: Some(vec![team("claims"), team("legal"), team("claims")]),
            ..InstanceFilter::default()
        },
        InstanceFilter { teams: Some(vec![]), ..InstanceFilter::default() },
        InstanceFilter {
            state: Some(StateCode(0)),
            teams: Some(vec![team("legal")]),
            workflow: Some(crate::world::workflow("refund")),
            session: None,
        },
    ];
    for filter in filters {
        let mut expected: Vec<_> = made
            .iter()
            .filter(|chain| filter.state.is_none_or(|state| state == chain.index.state))
            .filter(|chain| filter.teams.as_ref().is_none_or(|teams| teams.contains(&chain.index.team)))
            .map(|chain| (chain.index.created_at, chain.id))
            .collect();
        expected.sort_unstable();
        expected.reverse();
        let mut seen = Vec::new();
        let mut after: Option<Cursor> = None;
        loop {
            let page = store.list_instances(&tenant("acme"), filter.clone(), after, 4).await.unwrap();
            assert!(page.items.len() <= 4);
            seen.extend(page.items.iter().map(|row| (row.index.created_at, row.id)));
            match page.next {
                Some(next) => after = Some(next.to_string().parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(seen, expected, "{filter:?}");
    }
}

async fn due_instances_are_found_until_they_are_done(store: &Store) {
    let mut late = Chain::new(&tenant("acme"));
    late.index.due_at = Some(at(2_000));
    late.commit(store, vec![]).await;
    let mut later = Chain::new(&tenant("other"));
    later.index.due_at = Some(at(3_000));
    later.commit(store, vec![]).await;
    let (first, second) = ((late.tenant.clone(), late.id), (later.tenant.clone(), later.id));
    assert_eq!(store.due(at(1_999), 10).await.unwrap(), []);
    assert_eq!(store.due(at(2_000), 10).await.unwrap(), vec![first.clone()]);
    assert_eq!(store.due(at(9_000), 10).await.unwrap(), [first, second.clone()]);
    late.index.due_at = None;
    late.commit(store, vec![]).await;
    assert_eq!(store.due(at(9_000), 10).await.unwrap(), [second]);
}

async fn commits_are_announced_in_order(store: &Store) {
    let mut changes = store.subscribe();
    let mut chain = Chain::new(&tenant("acme"));
    chain
        .commit(store, vec![Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(1) }])
        .await;
    assert_eq!(
        store.append(Chain::append(&Chain { head: None, ..chain.clone() })).await.unwrap(),
        AppendOutcome::Moved(chain.head)
    );
    chain.index.state = StateCode(3);
    chain.commit(store, vec![]).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        match changes.next().await {
            Wake::Committed(batch) => seen.extend(batch.iter().cloned()),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(seen.iter().map(|change| change.head.sequence).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((seen[0].queue.clone(), seen[1].queue.clone()), (Some(name("q")), None));
    assert_eq!((seen[1].instance, seen[1].state), (chain.id, StateCode(3)));
    assert_eq!(seen.iter().map(|change| change.first).collect::<Vec<_>>(), [0, 1]);
    assert_eq!((seen[1].team.as_str(), seen[1].workflow.as_str()), ("payments", "refund"));
}

async fn counts_follow_the_rows(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let (gate_id, grant_id) = (gate(), grant());
    chain
        .commit(
            store,
            vec![
                Effect::OpenGate(gate_row(gate_id, &["approver"], 5_000)),
                Effect::PutGrant { id: grant_id, expires_at: at(9) },
                Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(1) },
            ],
        )
        .await;
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.open_gates, counts.tasks), (1, 1));
    assert_eq!((counts.oldest_gate, counts.oldest_task), (Some(at(1_000)), Some(at(1))));
    let mut later = Chain::new(&tenant("other"));
    let mut gate_later = gate_row(gate(), &["approver"], 5_000);
    gate_later.opened_at = at(2_000);
    later
        .commit(
            store,
            vec![
                Effect::OpenGate(gate_later),
                Effect::PutTask { queue: name("q"), team: team("payments"), ready_at: at(2) },
            ],
        )
        .await;
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.oldest_gate, counts.oldest_task), (Some(at(1_000)), Some(at(1))));
    let close = Effect::CloseGate {
        id: gate_id,
        resolution: name("approved"),
        decided_by: Some(actor("p")),
        at: at(2),
    };
    chain.commit(store, vec![close, Effect::DropTask]).await;
    let counts = store.counts().await.unwrap();
    assert_eq!((counts.open_gates, counts.tasks), (1, 1));
    assert_eq!((counts.oldest_gate, counts.oldest_task), (Some(at(2_000)), Some(at(2))));
    assert_eq!(
        store.append(chain.guarded(Guard::GrantUnconsumed(grant_id))).await.unwrap(),
        AppendOutcome::Committed
    );
}

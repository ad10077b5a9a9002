//! Many writers at once: what one may do, one does; what may not be exceeded is not; and no log leaves anything out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, ProposalId};
use gantral_core::policy::PolicyVersionId;
use gantral_store::{
    Append, AppendOutcome, CANDIDATES_MAX, CandidateOutcome, CandidateScope, ChainId, ENROLMENTS_MAX, Effect,
    EnrolmentOutcome, GovernanceOutcome, Guard, InstanceFilter, NewEnrolment, NewProposal, PolicyCandidate,
    ProposalOutcome, Reminded, Store, StoreError, SwapOutcome, Tell,
};
use tokio::task::JoinSet;

use crate::conformance::conformance;
use crate::conformance::governance::governance;
use crate::conformance::logs::Logs;
use crate::world::{
    Chain, at, claim, gate, gate_row, governed, grant, idempotency, name, team, tell, tenant,
};

conformance!(
    of_many_that_open_a_call_one_does,
    of_many_twins_of_a_request_one_is_committed_and_the_others_are_answered_alike,
    of_many_requests_under_one_key_one_is_committed,
    a_budget_is_not_exceeded_by_spending_at_once,
    of_many_that_append_to_one_head_of_governance_one_does,
    nobody_appends_under_a_head_of_governance_that_was_replaced,
    a_tenant_gets_no_more_open_proposals_by_making_them_at_once,
    of_many_that_propose_the_same_one_does,
    of_many_that_end_a_proposal_one_does,
    a_tenant_gets_no_more_candidates_by_naming_them_at_once,
    a_person_gets_no_more_enrolments_by_asking_at_once,
    of_many_that_remind_of_a_gate_one_does,
    of_many_swaps_of_one_round_one_is_done,
    a_log_leaves_out_nothing_however_commits_overlap,
);

/// How many come at once.
const CROWD: u8 = 12;

/// Lets everybody do something at once, and returns what came of it.
async fn all<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    store: &Store,
    act: impl Fn(Store, u8) -> F,
) -> Vec<T> {
    let mut tasks = JoinSet::new();
    for number in 0..CROWD {
        tasks.spawn(act(store.clone(), number));
    }
    tasks.join_all().await
}

fn counted<T>(outcomes: &[T], is: impl Fn(&T) -> bool) -> usize {
    outcomes.iter().filter(|outcome| is(outcome)).count()
}

async fn of_many_that_open_a_call_one_does(store: &Store) {
    let outcomes = all(store, |store, _| async move {
        let mut chain = Chain::new(&tenant("acme"));
        chain.index.call_key = Some(Digest::of(b"the same call"));
        (chain.id, store.append(chain.append()).await.unwrap())
    })
    .await;
    let won = outcomes.iter().find(|(_, outcome)| *outcome == AppendOutcome::Committed).unwrap().0;
    let others = counted(&outcomes, |(_, outcome)| *outcome == AppendOutcome::CallKeyTaken(won));
    assert_eq!(others, usize::from(CROWD) - 1, "{outcomes:?}");
    let found = store.list_instances(&tenant("acme"), InstanceFilter::default(), None, 100).await.unwrap();
    assert_eq!(found.items.len(), 1, "who joins writes nothing");
}

async fn of_many_twins_of_a_request_one_is_committed_and_the_others_are_answered_alike(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![]).await;
    // Upon one instance, and each upon an instance of its own that it would create.
    for (key, same) in [("one", true), ("many", false)] {
        let chain = chain.clone();
        let outcomes = all(store, move |store, _| {
            let chain = if same { chain.clone() } else { Chain::new(&tenant("acme")) };
            async move {
                let append = Append { idempotency: Some(idempotency(key, b"body")), ..chain.append() };
                (chain.id, store.append(append).await.unwrap())
            }
        })
        .await;
        let won: Vec<_> =
            outcomes.iter().filter(|(_, outcome)| *outcome == AppendOutcome::Committed).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        let others = counted(
            &outcomes,
            |(_, outcome)| matches!(outcome, AppendOutcome::Replayed(answer) if answer.instance == won[0].0),
        );
        assert_eq!(others, usize::from(CROWD) - 1, "{outcomes:?}");
    }
}

async fn of_many_requests_under_one_key_one_is_committed(store: &Store) {
    let outcomes = all(store, |store, number| async move {
        let chain = Chain::new(&tenant("acme"));
        let append = Append { idempotency: Some(idempotency("one", &[number])), ..chain.append() };
        store.append(append).await.unwrap()
    })
    .await;
    assert_eq!(counted(&outcomes, |outcome| *outcome == AppendOutcome::Committed), 1);
    let others = counted(&outcomes, |outcome| *outcome == AppendOutcome::KeyReused);
    assert_eq!(others, usize::from(CROWD) - 1, "{outcomes:?}");
}

async fn a_budget_is_not_exceeded_by_spending_at_once(store: &Store) {
    const BUDGET: u64 = 55;
    let spend = |store: Store, _| async move {
        let mut chain = Chain::new(&tenant("acme"));
        let (workflow, team) = (chain.index.workflow.clone(), chain.index.team.clone());
        loop {
            let seen = store.spending(&chain.tenant, chain.id, &workflow, &team, at(1_000)).await.unwrap();
            if seen.team.always.reserved + 10 > BUDGET {
                return false;
            }
            let guard = Guard::Totals {
                workflow: workflow.clone(),
                workflow_changes: seen.workflow.changes,
                team: team.clone(),
                team_changes: seen.team.changes,
            };
            let effects = vec![Effect::Reserve { grant: grant(), amount: 10, at: at(1_000) }];
            let append = Append { effects, ..chain.guarded(guard.clone()) };
            let then = append.head();
            match store.append(append).await.unwrap() {
                AppendOutcome::Committed => {
                    chain.head = then;
                    return true;
                }
                AppendOutcome::GuardFailed(failed) => assert_eq!(failed, guard),
                other => panic!("{other:?}"),
            }
        }
    };
    let spent = all(store, spend).await;
    assert_eq!(counted(&spent, |spent| *spent), 5);
    let any = Chain::new(&tenant("acme"));
    let seen =
        store.spending(&any.tenant, any.id, &any.index.workflow, &any.index.team, at(1_000)).await.unwrap();
    assert_eq!((seen.team.always.reserved, seen.workflow.day.reserved), (50, 50));
}

async fn of_many_that_append_to_one_head_of_governance_one_does(store: &Store) {
    let mut head = None;
    for round in 0..4 {
        let outcomes = all(store, |store, number| async move {
            let append = governance(head, &format!("{round} {number}"), vec![]);
            let then = append.artifact.head();
            (store.append_governance(append).await.unwrap(), then)
        })
        .await;
        let won: Vec<_> =
            outcomes.iter().filter(|(outcome, _)| *outcome == GovernanceOutcome::Committed).collect();
        assert_eq!(won.len(), 1, "{outcomes:?}");
        head = Some(won[0].1);
        let others = counted(&outcomes, |(outcome, _)| *outcome == GovernanceOutcome::Moved(head));
        assert_eq!(others, usize::from(CROWD) - 1, "{outcomes:?}");
    }
    let chain = store.governance_chain(&tenant("acme"), 0, 10).await.unwrap();
    assert_eq!((chain.len(), chain.last().map(|artifact| artifact.head())), (4, head));
}

async fn nobody_appends_under_a_head_of_governance_that_was_replaced(store: &Store) {
    let acme = tenant("acme");
    // How many changes of governance were answered.
    let answered = Arc::new(AtomicU64::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        let (store, answered) = (store.clone(), Arc::clone(&answered));
        tasks.spawn(async move {
            let (mut chain, mut committed) = (Chain::new(&tenant("acme")), 0u32);
            while answered.load(Ordering::SeqCst) < 20 {
                let head = store.governance_head(&chain.tenant).await.unwrap();
                tokio::task::yield_now().await;
                let before = answered.load(Ordering::SeqCst);
                let append = chain.guarded(Guard::GovernanceHead(head.map(|head| head.hash)));
                let then = append.head();
                match store.append(append).await.unwrap() {
                    AppendOutcome::Committed => {
                        let known = head.map_or(0, |head| head.sequence + 1);
                        assert!(known >= before, "appended under change {known} after {before} was answered");
                        chain.head = then;
                        committed += 1;
                    }
                    AppendOutcome::GuardFailed(_) => {}
                    other => panic!("{other:?}"),
                }
            }
            committed
        });
    }
    for _ in 0..20 {
        governed(store, &acme, None).await;
        answered.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(tasks.join_all().await.iter().sum::<u32>() > 0, "nothing was ever appended");
}

fn proposal(number: u8, same: u8) -> NewProposal {
    NewProposal {
        tenant: tenant("acme"),
        id: ProposalId::from_random([number; 16]),
        same: Digest::of(&[same]),
        proposer: ActorId::parse("bob").unwrap(),
        body: vec![number],
        reason: None,
        at: at(10),
        expires_at: at(20),
        tell: None,
    }
}

async fn a_tenant_gets_no_more_open_proposals_by_making_them_at_once(store: &Store) {
    let outcomes =
        all(
            store,
            |store, number| async move { store.put_proposal(proposal(number, number), 5).await.unwrap() },
        )
        .await;
    assert_eq!(counted(&outcomes, |outcome| *outcome == ProposalOutcome::Made), 5);
    assert_eq!(counted(&outcomes, |outcome| *outcome == ProposalOutcome::Full), usize::from(CROWD) - 5);
    assert_eq!(store.list_proposals(&tenant("acme"), None, None, 100).await.unwrap().len(), 5);
}

async fn of_many_that_propose_the_same_one_does(store: &Store) {
    let outcomes =
        all(store, |store, number| async move { store.put_proposal(proposal(number, 1), 5).await.unwrap() })
            .await;
    assert_eq!(counted(&outcomes, |outcome| *outcome == ProposalOutcome::Made), 1);
    let same = counted(&outcomes, |outcome| matches!(outcome, ProposalOutcome::Same(_)));
    assert_eq!(same, usize::from(CROWD) - 1);
}

async fn of_many_that_end_a_proposal_one_does(store: &Store) {
    for round in 0..4 {
        store.put_proposal(proposal(round, round), 5).await.unwrap();
        let outcomes = all(store, move |store, number| async move {
            let id = ProposalId::from_random([round; 16]);
            match number % 3 {
                0 => {
                    let by = ActorId::parse("bob").unwrap();
                    store.withdraw_proposal(&tenant("acme"), id, at(11), by).await.unwrap()
                }
                _ => {
                    let by = ActorId::parse("carol").unwrap();
                    let end = gantral_store::GovernanceEffect::ConfirmProposal { id, at: at(11), by };
                    let head = store.governance_head(&tenant("acme")).await.unwrap();
                    let append = governance(head, &format!("{round} {number}"), vec![end]);
                    store.append_governance(append).await.unwrap() == GovernanceOutcome::Committed
                }
            }
        })
        .await;
        assert_eq!(counted(&outcomes, |ended| *ended), 1, "in round {round}");
    }
}

async fn a_tenant_gets_no_more_candidates_by_naming_them_at_once(store: &Store) {
    let outcomes = all(store, |store, number| async move {
        let candidate = PolicyCandidate {
            tenant: tenant("acme"),
            scope: CandidateScope::Team(team(&format!("team-{number}"))),
            version: PolicyVersionId(Digest::of(b"one")),
            set_at: at(1),
        };
        store.set_policy_candidate(candidate).await.unwrap()
    })
    .await;
    assert_eq!(counted(&outcomes, |outcome| *outcome == CandidateOutcome::Set), CANDIDATES_MAX);
    assert_eq!(store.policy_candidates().await.unwrap().len(), CANDIDATES_MAX);
}

async fn a_person_gets_no_more_enrolments_by_asking_at_once(store: &Store) {
    let outcomes = all(store, |store, number| async move {
        let mut outcomes = Vec::new();
        for entry in 0..4 {
            let new = NewEnrolment {
                tenant: tenant("acme"),
                entry: Digest::of(&[number, entry]),
                person: ActorId::parse("alice").unwrap(),
                issuer: "https://id".to_owned(),
                subject: "alice".to_owned(),
                payload: vec![1],
                assertion: vec![2],
                at: at(10),
            };
            outcomes.push(store.ask_for_enrolment(new).await.unwrap());
        }
        outcomes
    })
    .await;
    let outcomes = outcomes.concat();
    assert_eq!(counted(&outcomes, |outcome| *outcome == EnrolmentOutcome::Waits), ENROLMENTS_MAX);
    assert_eq!(store.list_enrolments(&tenant("acme"), None, None, 100).await.unwrap().len(), ENROLMENTS_MAX);
}

async fn of_many_that_remind_of_a_gate_one_does(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let ids = [gate(), gate(), gate()];
    for id in ids {
        let mut chain = Chain::new(&tenant("acme"));
        let remind = Effect::Remind { gate: id, since: at(1_000), at: at(3_000) };
        chain.commit(store, vec![Effect::OpenGate(gate_row(id, &["approver"], 5_000)), remind]).await;
    }
    chain.commit(store, vec![]).await;
    let found = store.due_reminders(at(3_000), 10).await.unwrap();
    assert_eq!(found.len(), ids.len());
    let written = all(store, |store, number| {
        let mut reminded: Vec<_> = found
            .iter()
            .map(|found| {
                let to = vec![name("pager").into()];
                let (gate, kind) = (found.gate, name("gate.reminder"));
                let message = Tell { gate, kind, percent: Some(50), at: at(3_000), to };
                Reminded { found: found.clone(), next: None, tell: vec![message] }
            })
            .collect();
        // Each in another order.
        reminded.rotate_left(usize::from(number) % ids.len());
        async move { store.remind(reminded).await.unwrap() }
    })
    .await;
    assert_eq!(written.iter().sum::<usize>(), ids.len());
    assert_eq!(store.outbox_counts().await.unwrap()[0].waiting, ids.len() as u64);
}

async fn of_many_swaps_of_one_round_one_is_done(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let append = chain.append_of(3);
    chain.committed(store, append).await;
    let fence = claim(store).await.fence;
    let page = store.committed(0, 10).await.unwrap().artifacts;
    let swap = Logs::default().swap(fence, 0, &page);
    let outcomes = all(store, |store, _| {
        let swap = swap.clone();
        async move { store.swap_logs(swap).await.unwrap() }
    })
    .await;
    assert_eq!(counted(&outcomes, |outcome| *outcome == SwapOutcome::Swapped), 1);
    assert_eq!(counted(&outcomes, |outcome| *outcome == SwapOutcome::Moved), usize::from(CROWD) - 1);
    assert_eq!(store.log(&tenant("acme")).await.unwrap().unwrap().size, 3);
}

async fn a_log_leaves_out_nothing_however_commits_overlap(store: &Store) {
    const TENANTS: [&str; 3] = ["a", "b", "c"];
    let writing = Arc::new(AtomicU64::new(u64::from(CROWD)));
    let mut writers = JoinSet::new();
    for number in 0..CROWD {
        let (store, writing) = (store.clone(), Arc::clone(&writing));
        writers.spawn(async move {
            let mut chains: Vec<_> = (0..4usize)
                .map(|place| Chain::new(&tenant(TENANTS[(usize::from(number) + place) % 3])))
                .collect();
            for round in 0..12u64 {
                for (place, chain) in chains.iter_mut().enumerate() {
                    // What is rolled back after it has written leaves a gap where numbers are taken from a sequence.
                    if (round + place as u64).is_multiple_of(5) {
                        let nowhere =
                            store.append(chain.with(vec![tell(gate(), "gate.opened", &["pager"])])).await;
                        assert!(matches!(nowhere, Err(StoreError::Contradiction { .. })), "{nowhere:?}");
                    }
                    let append = chain.append_of(1 + (round + u64::from(number)) % 3);
                    chain.committed(&store, append).await;
                }
            }
            writing.fetch_sub(1, Ordering::SeqCst);
            chains
        });
    }
    let mut logs = Logs::default();
    let mut rounds = 0u64;
    while writing.load(Ordering::SeqCst) > 0 {
        logs.take(store, [7, 50, 1_000][usize::try_from(rounds % 3).unwrap()]).await;
        rounds += 1;
    }
    logs.take(store, 1_000).await;
    let mut sizes = [0u64; 3];
    for chain in writers.join_all().await.concat() {
        let positions =
            store.log_positions(&chain.tenant, ChainId::Instance(chain.id), 0, 1_000).await.unwrap();
        assert_eq!(
            positions.len() as u64,
            chain.head.unwrap().sequence + 1,
            "all of the chain is in its log"
        );
        assert!(positions.is_sorted_by(|one, next| one < next), "in its order: {positions:?}");
        let place = TENANTS.iter().position(|name| *name == chain.tenant.as_str()).unwrap();
        sizes[place] += positions.len() as u64;
    }
    for (name, size) in TENANTS.iter().zip(sizes) {
        assert_eq!(store.log(&tenant(name)).await.unwrap().unwrap().size, size, "and nothing else is");
    }
}

//! Every write fails as planned: without a trace, or with all of it.

use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::AttemptNo;
use gantral_core::policy::PolicyVersionId;
use gantral_store::fault::{Fault, FaultPlan};
use gantral_store::{
    AppendOutcome, Attempted, Duty, Effect, GovernanceOutcome, OutboxTurn, PutOutcome, Store, StoreError,
    SwapOutcome, WorkflowRow,
};

use crate::conformance::governance::governance;
use crate::conformance::logs::Logs;
use crate::world::{
    Chain, actor, at, courier, erasure, gate, gate_row, govern, idempotency, name, on_duty, reason,
    snapshot_effect, team, tell, tenant, workflow,
};
use gantral_testkit::cluster::{Ledger, shared};

const FAULTS: [Fault; 3] = [Fault::Failed, Fault::FailedButPersisted, Fault::FailedUnknown];

/// Which database fails.
#[derive(Clone, Copy)]
enum Backend {
    Sqlite,
    Postgres,
}

struct Faulty {
    store: Store,
    plan: FaultPlan,
    home: Home,
}

enum Home {
    Folder { _folder: tempfile::TempDir },
    Database(String),
}

/// Makes a store whose writes fail as planned.
async fn faulty(backend: Backend) -> Faulty {
    let plan = FaultPlan::new();
    match backend {
        Backend::Sqlite => {
            let folder = tempfile::tempdir().unwrap();
            let store = Store::with_faults(&folder.path().join("gantral.db"), plan.clone()).unwrap();
            Faulty { store, plan, home: Home::Folder { _folder: folder } }
        }
        Backend::Postgres => {
            let Ledger { store, database } = Ledger::faulty(Some(plan.clone())).await;
            Faulty { store, plan, home: Home::Database(database) }
        }
    }
}

/// Removes what a store stood in.
async fn gone(store: Store, home: Home) {
    drop(store);
    if let Home::Database(database) = home {
        shared().remove(&database).await;
    }
}

/// Runs each case as one test per backend.
macro_rules! faults {
    ($($case:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Backend::Sqlite).await;
                }
            )*
        }
        mod postgres {
            $(
                #[tokio::test]
                async fn $case() {
                    super::$case(super::Backend::Postgres).await;
                }
            )*
        }
    };
}

faults!(
    a_failed_append_is_there_or_is_not_and_its_retry_is_answered_right,
    the_nth_write_fails_and_no_other,
    a_renewal_and_an_erasure_fail_as_planned,
    what_is_put_once_fails_as_planned_and_is_put_again,
    a_claim_a_swap_and_a_signature_fail_as_planned,
    a_governance_append_fails_as_planned_with_all_that_it_changes,
);

/// Expects the error that a fault reports, and returns whether the write must be there.
fn told<T: std::fmt::Debug>(fault: Fault, answer: Result<T, StoreError>) -> bool {
    let error = answer.unwrap_err();
    match fault {
        Fault::Failed => assert!(matches!(error, StoreError::Failed { .. }) && !error.may_be_kept()),
        Fault::FailedButPersisted | Fault::FailedUnknown => {
            assert!(matches!(error, StoreError::Unknown { .. }) && error.may_be_kept());
        }
    }
    fault == Fault::FailedButPersisted
}

async fn a_failed_append_is_there_or_is_not_and_its_retry_is_answered_right(backend: Backend) {
    for fault in FAULTS {
        let Faulty { store, plan, home } = faulty(backend).await;
        let mut chain = Chain::new(&tenant("acme"));
        let mut append = chain.append_of(2);
        append.idempotency = Some(idempotency("k", b"body"));
        plan.fail_next(fault);
        let kept = told(fault, store.append(append.clone()).await);
        if kept {
            chain.head = append.head();
        }
        chain.stands(&store).await;
        let retried = store.append(append.clone()).await.unwrap();
        assert_eq!(matches!(retried, AppendOutcome::Replayed(_)), kept, "{retried:?}");
        assert_eq!(retried == AppendOutcome::Committed, !kept, "{retried:?}");
        chain.head = append.head();
        chain.stands(&store).await;
        store.healthy().unwrap();
        gone(store, home).await;
    }
}

async fn the_nth_write_fails_and_no_other(backend: Backend) {
    let Faulty { store, plan, home } = faulty(backend).await;
    plan.fail(3, Fault::Failed);
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(&store, vec![]).await;
    chain.commit(&store, vec![]).await;
    told(Fault::Failed, store.append(chain.append()).await);
    chain.commit(&store, vec![]).await;
    assert_eq!(plan.writes(), 4);
    chain.stands(&store).await;
    gone(store, home).await;
}

async fn a_renewal_and_an_erasure_fail_as_planned(backend: Backend) {
    for fault in FAULTS {
        let Faulty { store, plan, home } = faulty(backend).await;
        let mut chain = Chain::new(&tenant("acme"));
        let (commitment, snapshot) = snapshot_effect(b"bytes");
        let assign =
            Effect::AssignTask { attempt: AttemptNo(1), executor: actor("runner"), lease_until: at(1_000) };
        let id = gate();
        let opened = Effect::OpenGate(gate_row(id, &["approver"], 5_000));
        chain.commit(&store, vec![assign, snapshot, opened, tell(id, "t", &["pager"])]).await;

        plan.fail_next(fault);
        let renewed = store
            .renew_lease(&chain.tenant, chain.id, AttemptNo(1), &actor("runner"), at(1), at(5_000))
            .await;
        let kept = told(fault, renewed);
        let until = store.lease(&chain.tenant, chain.id).await.unwrap().unwrap().until;
        assert_eq!(until == at(5_000), kept);

        plan.fail_next(fault);
        let erase = erasure(chain.id, commitment, 9);
        let kept = told(fault, govern(&store, &chain.tenant, vec![erase.clone()]).await);
        let again = govern(&store, &chain.tenant, vec![erase.clone()]).await.unwrap();
        let refused = GovernanceOutcome::Refused(erase);
        assert_eq!(again, if kept { refused } else { GovernanceOutcome::Committed });

        let pager = courier(&store, "pager").await;
        plan.fail_next(fault);
        let delivered = vec![Attempted::Delivered { number: 1 }];
        let kept = told(fault, store.settle_outbox(&pager, delivered, None).await);
        let turn = OutboxTurn { recipient: name("pager"), now: at(9_000), latest: at(9_000) };
        assert_eq!(store.outbox(turn, 10).await.unwrap().is_empty(), kept);
        gone(store, home).await;
    }
}

async fn what_is_put_once_fails_as_planned_and_is_put_again(backend: Backend) {
    for fault in FAULTS {
        let Faulty { store, plan, home } = faulty(backend).await;
        let acme = tenant("acme");
        let row = WorkflowRow {
            id: workflow("refund"),
            version: name("1"),
            digest: Digest::of(b"d"),
            team: team("payments"),
            definition: b"d".to_vec(),
            created_at: at(1),
        };
        let again = |kept| if kept { PutOutcome::Same } else { PutOutcome::Stored };
        plan.fail_next(fault);
        let kept = told(fault, store.put_workflow(&acme, row.clone()).await);
        assert_eq!(store.put_workflow(&acme, row).await.unwrap(), again(kept));

        let version = PolicyVersionId(Digest::of(b"p"));
        plan.fail_next(fault);
        let kept = told(fault, store.put_policy_bundle(&acme, version, vec![1], at(1)).await);
        assert_eq!(store.put_policy_bundle(&acme, version, vec![1], at(1)).await.unwrap(), again(kept));

        let [first, second] = [Salt::from_bytes([1; 32]), Salt::from_bytes([2; 32])];
        plan.fail_next(fault);
        let kept = told(fault, store.person(&acme, "https://id", "alice", first).await);
        let salt = store.person(&acme, "https://id", "alice", second).await.unwrap();
        assert_eq!(salt == first, kept);

        let mut chain = Chain::new(&acme);
        let mut append = chain.append();
        append.idempotency = Some(idempotency("k", b"body"));
        chain.committed(&store, append).await;
        plan.fail_next(fault);
        let kept = told(fault, store.forget_idempotency(at(90_000), 10).await);
        assert_eq!(store.forget_idempotency(at(90_000), 10).await.unwrap(), usize::from(!kept));
        gone(store, home).await;
    }
}

async fn a_claim_a_swap_and_a_signature_fail_as_planned(backend: Backend) {
    for fault in FAULTS {
        let Faulty { store, plan, home } = faulty(backend).await;
        let mut chain = Chain::new(&tenant("acme"));
        chain.commit(&store, vec![]).await;

        let held = on_duty(&store, Duty::Logs).await;
        plan.fail_next(fault);
        let kept = told(fault, store.claim_logs(&held).await);
        let claim = store.log_claim().await.unwrap();
        assert_eq!(claim.fence, u64::from(kept));

        let page = store.committed(0, 10).await.unwrap().artifacts;
        let swap = Logs::default().swap(claim.fence, 0, &page);
        let row = swap.growths[0].row.clone();
        plan.fail_next(fault);
        let kept = told(fault, store.swap_logs(swap.clone()).await);
        assert_eq!(store.log(&chain.tenant).await.unwrap(), kept.then(|| row.clone()));
        let again = store.swap_logs(swap).await.unwrap();
        assert_eq!(again, if kept { SwapOutcome::Moved } else { SwapOutcome::Swapped });

        plan.fail_next(fault);
        let lines = vec!["a line\n".to_owned()];
        let kept = told(fault, store.add_log_signatures(&chain.tenant, (1, row.root), lines).await);
        let checkpoint = store.log(&chain.tenant).await.unwrap().unwrap().checkpoint;
        assert_eq!(checkpoint.ends_with("a line\n"), kept);

        plan.fail_next(fault);
        let row = store.log(&chain.tenant).await.unwrap().unwrap();
        let kept = told(fault, store.keep_cosigned(2, row).await);
        for witnesses in [1, 2] {
            assert_eq!(store.cosigned(&chain.tenant, witnesses).await.unwrap().is_some(), kept);
        }
        gone(store, home).await;
    }
}

async fn a_governance_append_fails_as_planned_with_all_that_it_changes(backend: Backend) {
    for fault in FAULTS {
        let Faulty { store, plan, home } = faulty(backend).await;
        let acme = tenant("acme");
        let (commitment, put) = reason("the auditors asked for it");
        let append = governance(None, "activate", vec![put]);
        plan.fail_next(fault);
        let kept = told(fault, store.append_governance(append.clone()).await);
        assert_eq!(store.governance_snapshot(&acme, commitment).await.unwrap().is_some(), kept);
        assert_eq!(store.governance_head(&acme).await.unwrap().is_some(), kept);
        let again = store.append_governance(append.clone()).await.unwrap();
        let moved = GovernanceOutcome::Moved(Some(append.artifact.head()));
        assert_eq!(again, if kept { moved } else { GovernanceOutcome::Committed });
        assert!(store.governance_snapshot(&acme, commitment).await.unwrap().is_some());
        gone(store, home).await;
    }
}

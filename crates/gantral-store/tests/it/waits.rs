//! Who waits for whom on a PostgreSQL server, seen by holding a row that somebody needs.

use std::time::Duration;

use gantral_store::{Append, AppendOutcome, Effect, GovernanceOutcome, Guard};
use gantral_testkit::cluster::Ledger;

use crate::world::{Chain, at, gate, gate_row, govern, governed, role, tenant};

/// Long enough for everybody who need not wait.
const A_WHILE: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_changes_governance_waits_for_nobody_who_comes_later() {
    let ledger = Ledger::fresh().await;
    let (store, acme) = (ledger.store.clone(), tenant("acme"));
    let head = governed(&store, &acme, None).await;
    let id = gate();
    let mut first = Chain::new(&acme);
    first.commit(&store, vec![Effect::OpenGate(gate_row(id, &["approver"], 5_000))]).await;

    let mut other = ledger.raw().await;
    let row = other.transaction().await.unwrap();
    row.execute("SELECT 1 FROM gantral.gate FOR UPDATE", &[]).await.unwrap();
    // This append has seen the head, and waits for the row of its gate; the change waits for the append.
    let guard = Guard::GovernanceHead(head);
    let effects =
        vec![Effect::MoveGate { id, version: 2, roles: vec![role("approver")], deadline: at(9_000) }];
    let append = Append { effects, ..first.guarded(guard.clone()) };
    let under_way = tokio::spawn({
        let store = store.clone();
        async move { store.append(append).await.unwrap() }
    });
    tokio::time::sleep(A_WHILE).await;
    let change = tokio::spawn({
        let (store, acme) = (store.clone(), acme.clone());
        async move { govern(&store, &acme, vec![]).await.unwrap() }
    });
    tokio::time::sleep(A_WHILE).await;
    let later = tokio::spawn({
        let (store, append) = (store.clone(), Chain::new(&acme).guarded(guard.clone()));
        async move { store.append(append).await.unwrap() }
    });
    tokio::time::sleep(A_WHILE).await;
    assert!(!under_way.is_finished() && !change.is_finished(), "they wait");
    assert!(!later.is_finished(), "it does not overtake the change");
    row.rollback().await.unwrap();
    assert_eq!(under_way.await.unwrap(), AppendOutcome::Committed);
    assert_eq!(change.await.unwrap(), GovernanceOutcome::Committed);
    assert_eq!(later.await.unwrap(), AppendOutcome::GuardFailed(guard));
    drop((other, store));
    ledger.gone().await;
}

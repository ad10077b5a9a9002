//! What clients counted while no server answered them.

use gantral_core::ids::{Name, WorkflowId};
use gantral_store::{Store, Unobserved};

use crate::conformance::conformance;
use crate::world::{at, tenant};

conformance!(reports_add_up_and_one_that_comes_again_counts_once, hours_and_tenants_are_kept_apart,);

const HOUR: u64 = 3_600_000;

fn line(hour: u64, action: &str, asks: u64) -> Unobserved {
    let workflow = WorkflowId::parse("refund").unwrap();
    Unobserved { hour: at(hour * HOUR), workflow, action: Name::parse(action).unwrap(), asks }
}

async fn reports_add_up_and_one_that_comes_again_counts_once(store: &Store) {
    let tenant = tenant("acme");
    for _ in 0..2 {
        store
            .count_unobserved(&tenant, [1; 16], vec![line(1, "refund", 3), line(1, "close", 1)])
            .await
            .unwrap();
    }
    store.count_unobserved(&tenant, [2; 16], vec![line(1, "refund", 4)]).await.unwrap();
    let found = store.unobserved(&tenant, (at(0), at(2 * HOUR))).await.unwrap();
    assert_eq!(found, [line(1, "close", 1), line(1, "refund", 7)]);
}

async fn hours_and_tenants_are_kept_apart(store: &Store) {
    let (acme, other) = (tenant("acme"), tenant("other"));
    store.count_unobserved(&acme, [1; 16], vec![line(1, "refund", 1), line(2, "refund", 2)]).await.unwrap();
    let of = |tenant, from: u64, to: u64| store.unobserved(tenant, (at(from * HOUR), at(to * HOUR)));
    assert_eq!(of(&acme, 1, 2).await.unwrap(), [line(1, "refund", 1)]);
    assert_eq!(of(&acme, 2, 9).await.unwrap(), [line(2, "refund", 2)]);
    assert_eq!(of(&other, 0, 9).await.unwrap(), []);
}

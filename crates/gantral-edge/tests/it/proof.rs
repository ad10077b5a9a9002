//! What the evidence of an instance proves of a grant, before anything is handed out against it.

use std::time::Duration;

use gantral_core::ids::{AttemptNo, GrantId, TenantId, WorkflowId};
use gantral_core::state::{DecisionKind, OutcomeStatus};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_edge::runner::{Asks, Unproved, prove};
use gantral_evidence::trust::Trust;

use crate::place::{Place, gantral_now, numbers, runs};
use crate::roles;

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_proves_its_action_to_the_attempt_that_used_it_up_and_only_in_time() {
    let place = Place::open().await;
    let ledger = place.folder.path().join("ledger");
    place.apply(&runs(&roles::agent(&ledger, "vanish"), "30s")).await;
    let id = place.create().await;
    let running = place.run(|config| config.drain = Duration::from_millis(100)).await;
    place.decide(DecisionKind::Approve, None).await;
    // It has used the grant up, acts, and does not say what came of it.
    numbers(&ledger, 1).await;
    let view = place.show(id).await;
    let grant: GrantId = *view.outcomes[0].grant_id;
    let bundle = place.client("refund-agent").evidence(id.into()).await.unwrap();
    let pinned = place.pinned().await;
    let now = UnixMillis::new(gantral_now()).unwrap();
    let asks = Asks { instance: id, workflow: WorkflowId::parse("refund").unwrap(), attempt: AttemptNo(2) };
    assert_eq!(prove(&bundle, &pinned, &asks, grant, now).unwrap().as_str(), "refund");

    let refused = |asks: &Asks, grant, at| prove(&bundle, &pinned, asks, grant, at).unwrap_err();
    let late = now.plus(DurationMs::from_secs(120));
    assert_eq!(refused(&asks, grant, late), Unproved::TooLate(grant));
    let other = GrantId::from_random([7; 16]);
    assert_eq!(refused(&asks, other, now), Unproved::NotConsumed(other));
    let earlier = Asks { attempt: AttemptNo(1), ..asks.clone() };
    assert_eq!(refused(&earlier, grant, now), Unproved::Standing);
    let elsewhere = Asks { instance: place.create().await, ..asks.clone() };
    assert_eq!(refused(&elsewhere, grant, now), Unproved::Other("instance"));
    let workflow = Asks { workflow: WorkflowId::parse("another").unwrap(), ..asks.clone() };
    assert_eq!(refused(&workflow, grant, now), Unproved::Other("instance"));

    // Nobody but the pinned key is believed, and not for another tenant.
    let mut tenant = pinned.clone();
    tenant.tenant = TenantId::parse("another").unwrap();
    assert!(prove(&bundle, &tenant, &asks, grant, now).is_err());
    let stranger = include_bytes!("../../../../spec/vectors/bundles/002-overridden/trust.json");
    let mut trust = pinned.clone();
    trust.trust = Trust::parse(stranger).unwrap();
    assert!(matches!(prove(&bundle, &trust, &asks, grant, now), Err(Unproved::Chain(_))));
    // Another byte anywhere proves the same action or nothing.
    for at in (0..bundle.len()).step_by(211) {
        let mut damaged = bundle.clone();
        damaged[at] ^= 1;
        if let Ok(action) = prove(&damaged, &pinned, &asks, grant, now) {
            assert_eq!(action.as_str(), "refund", "byte {at}");
        }
    }

    running.stop().await;
    let view = place.show(id).await;
    assert_eq!(view.outcomes[0].status, Some(OutcomeStatus::Unknown.into()));
    let bundle = place.client("refund-agent").evidence(id.into()).await.unwrap();
    let ended = prove(&bundle, &pinned, &asks, grant, now).unwrap_err();
    assert!(matches!(ended, Unproved::Standing | Unproved::Settled(_)), "{ended}");
}

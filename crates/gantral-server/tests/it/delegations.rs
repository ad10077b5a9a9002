//! Delegations over HTTP: given, seen, used, revoked.

use gantral_api::problem::Code;
use gantral_api::wire::{Decide, Delegate, GateList, MineQuery, RevokeDelegation, text};
use gantral_testkit::AGENT;
use serde_json::json;

use crate::place::{Place, code, decision, minutes, to};

fn lending(place: &Place, to_whom: &str, role: &str) -> Delegate {
    let not_after = text::Time::from(place.clock.now().plus(minutes(60)));
    to(
        json!({"to": {"subject": to_whom}, "roles": [role], "not_after": not_after, "justification": "on holiday"}),
    )
}

#[tokio::test]
async fn a_delegate_sees_the_gates_of_the_lent_role_and_decides_until_it_is_revoked() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    let (fiona, eve) = (place.human("fiona"), place.human("eve"));
    assert_eq!(code(eve.gate(waits.gate).await), Code::GateUnknown);
    let sealed = fiona.delegate(&lending(&place, "eve", "FINANCE_LEAD")).await.unwrap().sealed;
    assert_eq!(sealed[0].event, "delegated");
    assert_eq!(fiona.delegate(&lending(&place, "eve", "FINANCE_LEAD")).await.unwrap().sealed, []);
    let mine = GateList { mine: Some(true), ..GateList::default() };
    assert_eq!(eve.gates(&mine).await.unwrap().items.len(), 1);
    eve.gate(waits.gate).await.unwrap();
    assert_eq!(code(eve.decide(waits.gate, &decision("APPROVE", 1)).await), Code::NotEligible);

    let hash = sealed[0].hash;
    let by = Decide { delegation: Some(hash), ..decision("APPROVE", 1) };
    fiona.revoke_delegation(hash, &RevokeDelegation::default()).await.unwrap();
    assert_eq!(code(eve.decide(waits.gate, &by).await), Code::GateUnknown, "nothing is lent any more");
    let again = fiona.delegate(&lending(&place, "eve", "FINANCE_LEAD")).await.unwrap().sealed[0].hash;
    assert_eq!(code(eve.decide(waits.gate, &by).await), Code::DelegationNotInForce);
    let by = Decide { delegation: Some(again), ..by };
    assert!(eve.decide(waits.gate, &by).await.unwrap().grant_id.is_some());
}

#[tokio::test]
async fn delegations_are_listed_for_humans_of_the_tenant_and_revoked_by_giver_and_administrators() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (fiona, frank) = (place.human("fiona"), place.human("frank"));
    let first = fiona.delegate(&lending(&place, "eve", "FINANCE_LEAD")).await.unwrap().sealed[0].hash;
    let second = frank.delegate(&lending(&place, "grace", "FINANCE_LEAD")).await.unwrap().sealed[0].hash;
    let page = MineQuery { limit: Some(1), ..MineQuery::default() };
    let page = frank.delegations(&page).await.unwrap();
    assert_eq!((page.items[0].delegation, page.items.len()), (first, 1));
    assert_eq!(page.items[0].justification.as_deref(), Some("on holiday"));
    assert_eq!(page.items[0].from, fiona.me().await.unwrap().id);
    let rest = MineQuery { cursor: page.next, ..MineQuery::default() };
    assert_eq!(frank.delegations(&rest).await.unwrap().items[0].delegation, second);
    let mine = MineQuery { mine: Some(true), ..MineQuery::default() };
    assert_eq!(place.human("grace").delegations(&mine).await.unwrap().items[0].delegation, second);
    assert_eq!(place.human("mallory").delegations(&MineQuery::default()).await.unwrap().items, []);
    assert_eq!(code(place.machine(AGENT).delegations(&mine).await), Code::Forbidden);

    let why = RevokeDelegation::default();
    assert_eq!(code(frank.revoke_delegation(first, &why).await), Code::Forbidden);
    assert_eq!(code(place.human("mallory").revoke_delegation(first, &why).await), Code::NotFound);
    assert_eq!(code(place.machine(AGENT).revoke_delegation(first, &why).await), Code::Forbidden);
    assert_eq!(
        place.human("dave").revoke_delegation(first, &why).await.unwrap().sealed[0].event,
        "delegation_revoked"
    );
    assert_eq!(code(fiona.revoke_delegation(first, &why).await), Code::NotFound);
}

#[tokio::test]
async fn nobody_delegates_what_is_not_theirs() {
    let place = Place::start().await;
    for (who, role, expected) in [
        ("eve", "FINANCE_LEAD", Code::Forbidden),
        ("fiona", "PLATFORM_ADMIN", Code::Forbidden),
        ("frank", "FINANCE_LEAD", Code::InvalidBody),
    ] {
        let answer = place.human(who).delegate(&lending(&place, "frank", role)).await;
        assert_eq!(code(answer), expected, "{who}");
    }
    let machine = place.machine(AGENT).delegate(&lending(&place, "frank", "FINANCE_LEAD")).await;
    assert_eq!(code(machine), Code::Forbidden);
    let mut late = lending(&place, "eve", "FINANCE_LEAD");
    late.not_after = place.clock.now().plus(minutes(60 * 24 * 15)).into();
    assert_eq!(code(place.human("fiona").delegate(&late).await), Code::InvalidBody);
}

//! Breaking the glass over HTTP.

use gantral_api::problem::Code;
use gantral_api::wire::{Ask, Attach, Decide, GateList};
use gantral_testkit::AGENT;
use gantral_testkit::policy::example;
use gantral_testkit::workflows::REFUND;

use crate::place::{Place, code, decision, refund, to};

const WHY: &str = "the site is down and nobody of finance answers the phone";

#[tokio::test]
async fn who_may_break_the_glass_sees_the_gate_and_decides_alone_with_a_reason() {
    let place = Place::start().await;
    let definition = REFUND.replace(
        "\"timeout\": \"30m\"",
        "\"break_glass_roles\": [\"CLERK\", \"DEVELOPER\"], \"timeout\": \"30m\"",
    );
    place.apply(&definition, &example("refunds")).await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let ask: Ask = refund(480_000);
    attempt.ask(id, &ask).await.unwrap();
    let eve = place.human("eve");
    let mine = GateList { mine: Some(true), ..GateList::default() };
    assert_eq!(eve.gates(&mine).await.unwrap().items, [], "she is not asked");
    let gate = eve.gates(&GateList::default()).await.unwrap().items.remove(0).gate_id;
    let seen = eve.gate(gate).await.unwrap();
    assert_eq!(seen.break_glass_roles, [to(serde_json::json!("CLERK")), to(serde_json::json!("DEVELOPER"))]);
    assert_eq!(seen.break_glass_justification_min, 50);

    let alone = Decide { break_glass: true, justification: WHY.parse().unwrap(), ..decision("APPROVE", 1) };
    let short = Decide { break_glass: true, ..decision("APPROVE", 1) };
    assert_eq!(code(eve.decide(gate, &short).await), Code::JustificationRequired);
    assert_eq!(code(eve.decide(gate, &decision("APPROVE", 1)).await), Code::NotEligible);
    assert_eq!(code(place.human("heidi").decide(gate, &alone).await), Code::NotEligible);
    assert_eq!(code(place.human("mallory").decide(gate, &alone).await), Code::GateUnknown);
    assert_eq!(code(place.human_under("bob", "DEVELOPER").decide(gate, &alone).await), Code::SelfApproval);
    assert_eq!(code(place.machine(AGENT).decide(gate, &alone).await), Code::Forbidden);
    assert!(eve.decide(gate, &alone).await.unwrap().grant_id.is_some());
    place.machine(AGENT).attach(id, Attach::SelfRun).await.unwrap();
}

//! Policies beside those in force, over HTTP: what is counted, that no answer is another or later for it, and who may.

use std::time::{Duration, Instant};

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{
    Activate, AuthorityAnswer, NameCandidate, PageQuery, PolicyCandidate, Scope, Transition, text,
};
use gantral_testkit::AGENT;
use gantral_testkit::policy::rules;
use serde_json::{Value, json};

use crate::place::{Place, code, minutes, problem, refund, to};

/// Denies above 40,000, contradicts itself at 300, and lets the rest pass.
const STRICTER: &str = "amount := input.action.parameters.amount_minor\n\
     decision := \"DENY\" if amount > 40000\n\
     decision := \"ALLOW\" if amount <= 40000\n\
     decision := \"REQUIRE_HUMAN\" if amount == 300\n\
     reasons contains \"too much\" if amount > 40000";
/// Takes longer than any evaluation may.
const ENDLESS: &str = r#"r := numbers.range(1, 2000)
decision := "ALLOW" if count([1 | some a in r; some b in r; some c in r]) == 0"#;

async fn publish(place: &Place, module: &str) -> text::PolicyVersionId {
    let archive = rules(module).to_archive().unwrap();
    place.human("bob").publish_policy(archive).await.unwrap().policy_version_id
}

fn named(scope: Value, version: Option<text::PolicyVersionId>) -> NameCandidate {
    to(json!({"scope": scope, "policy_version_id": version}))
}

fn workflow() -> Value {
    json!({"kind": "workflow", "name": "refund"})
}

/// Returns the only candidate of a caller, once it has been evaluated, has dropped or has left out so many asks.
async fn counted(client: &Client, asks: u64) -> PolicyCandidate {
    for _ in 0..600 {
        let items = client.policy_candidates().await.unwrap().items;
        let [one] = &items[..] else { panic!("{items:?}") };
        if one.evaluated + one.dropped + one.left_out >= asks {
            return one.clone();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", client.policy_candidates().await);
}

async fn asked(place: &Place, amount: u64) -> (text::InstanceId, AuthorityAnswer) {
    let id = place.create("refund").await.instance_id;
    let answer = place.begin(id).await.0.ask(id, &refund(amount)).await.unwrap();
    (id, answer)
}

/// The transitions as `A -> B: count`.
fn transitions(candidate: &PolicyCandidate) -> Vec<(&str, &str, u64)> {
    let rows = candidate.transitions.iter();
    rows.map(|Transition { a, b, gates, .. }| (a.as_str(), b.as_str(), *gates)).collect()
}

#[tokio::test]
async fn a_candidate_shows_what_it_would_do_and_changes_no_answer() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (bob, version) = (place.human("bob"), publish(&place, STRICTER).await);
    asked(&place, 48_000).await;
    let governance = bob.governance(&PageQuery::default()).await.unwrap();
    let set = bob.name_candidate(&named(workflow(), Some(version))).await.unwrap().items;
    assert_eq!((set.len(), set[0].policy_version_id, set[0].evaluated), (1, version, 0));
    place.clock.advance(minutes(1));

    let mut waiting = None;
    for (amount, word) in [(100, "ALLOW"), (300, "ALLOW"), (48_000, "REQUIRE_HUMAN"), (20_000_000, "DENY")] {
        let (id, answer) = asked(&place, amount).await;
        let said = match answer {
            AuthorityAnswer::Allow(_) => "ALLOW",
            AuthorityAnswer::RequireHuman(_) => "REQUIRE_HUMAN",
            AuthorityAnswer::Deny(_) => "DENY",
        };
        assert_eq!(said, word, "{amount}");
        if amount == 48_000 {
            waiting = Some(id);
        }
    }
    let one = counted(&bob, 4).await;
    assert_eq!((one.evaluated, one.waiting, one.dropped, one.left_out), (4, 0, 0, 0));
    assert_eq!(
        transitions(&one),
        [("ALLOW", "ALLOW", 1), ("ALLOW", "FAILED", 1), ("REQUIRE_HUMAN", "DENY", 1), ("DENY", "DENY", 1)]
    );
    let stopped = &one.transitions[2].samples[0];
    assert_eq!(Some(stopped.instance_id), waiting);
    assert_eq!(
        (json!(stopped)["recorded"].clone(), &stopped.reasons[..]),
        (json!("REQUIRE_HUMAN"), &["too much".to_owned()][..])
    );
    assert_eq!(json!(one.failures), json!([{"failure": "CONFLICT", "a": 0, "b": 1}]));
    // One of the four pages a FINANCE_LEAD, under the candidate only the one that fails; in less than an hour, which counts as one.
    let lead = one.pages.iter().find(|row| json!(row)["role"] == "FINANCE_LEAD").unwrap();
    assert_eq!((lead.a, lead.b, lead.a_per_day_tenths, lead.b_per_day_tenths), (1, 1, 240, 240));

    // The gate is open as if nothing had been, and nothing was sealed.
    assert_eq!(json!(place.show(waiting.unwrap()).await)["state"], "WAITING_FOR_HUMAN");
    assert_eq!(bob.governance(&PageQuery::default()).await.unwrap(), governance);
    let metrics = String::from_utf8(bob.metrics().await.unwrap()).unwrap();
    for line in ["{outcome=\"evaluated\"} 3", "{outcome=\"failed\"} 1"] {
        assert!(metrics.contains(&format!("gantral_policy_candidate_asks_total{line}\n")), "{metrics}");
    }
    // What follows an ask is none.
    assert_eq!(counted(&bob, 4).await.evaluated, 4);
}

#[tokio::test]
async fn a_candidate_outlives_a_restart_and_counts_anew() {
    let mut place = Place::start().await;
    place.apply_refunds().await;
    let version = publish(&place, STRICTER).await;
    let set = place.human("bob").name_candidate(&named(workflow(), Some(version))).await.unwrap();
    asked(&place, 48_000).await;
    assert_eq!(counted(&place.human("bob"), 1).await.evaluated, 1);
    place.clock.advance(minutes(1));
    place.restart().await;
    let bob = place.human("bob");
    let after = bob.policy_candidates().await.unwrap().items;
    assert_eq!((after.len(), after[0].policy_version_id, after[0].evaluated), (1, version, 0));
    assert_eq!(after[0].set_at, set.items[0].set_at);
    assert!(after[0].counted_from.into_inner() > set.items[0].counted_from.into_inner());
    asked(&place, 48_000).await;
    assert_eq!(transitions(&counted(&bob, 1).await), [("REQUIRE_HUMAN", "DENY", 1)]);
    // The same again changes nothing, another one counts anew.
    bob.name_candidate(&named(workflow(), Some(version))).await.unwrap();
    assert_eq!(counted(&bob, 1).await.evaluated, 1);
    let other = publish(&place, "decision := \"ALLOW\"").await;
    let set = bob.name_candidate(&named(workflow(), Some(other))).await.unwrap().items;
    assert_eq!((set.len(), set[0].policy_version_id, set[0].evaluated), (1, other, 0));
    // What is cleared is evaluated no more.
    assert!(bob.name_candidate(&named(workflow(), None)).await.unwrap().items.is_empty());
    asked(&place, 48_000).await;
    assert!(bob.policy_candidates().await.unwrap().items.is_empty());
    let again = bob.name_candidate(&named(workflow(), Some(other))).await.unwrap().items;
    assert_eq!(again[0].evaluated, 0);
    asked(&place, 48_000).await;
    assert_eq!(transitions(&counted(&bob, 1).await), [("REQUIRE_HUMAN", "ALLOW", 1)]);
}

#[tokio::test]
async fn a_candidate_that_takes_too_long_delays_no_answer_and_what_it_misses_is_counted() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (bob, version) = (place.human("bob"), publish(&place, ENDLESS).await);
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let ask = || async {
        let begun = Instant::now();
        let answer = attempt.ask(id, &refund(100)).await.unwrap();
        assert!(matches!(answer, AuthorityAnswer::Allow(_)), "{answer:?}");
        begun.elapsed()
    };
    let median = |mut taken: Vec<Duration>| {
        taken.sort();
        taken[taken.len() / 2]
    };
    let mut before = Vec::new();
    for _ in 0..40 {
        before.push(ask().await);
    }
    bob.name_candidate(&named(workflow(), Some(version))).await.unwrap();
    let mut beside = Vec::new();
    for _ in 0..320 {
        beside.push(ask().await);
    }
    let (before, beside) = (median(before), median(beside));
    assert!(beside < before * 5 + Duration::from_millis(100), "{before:?} without, {beside:?} with it");
    let one = counted(&bob, 1).await;
    assert!(one.dropped > 0, "no more than 256 wait: {one:?}");
    assert!(one.waiting > 0, "{one:?}");
    for _ in 0..600 {
        let one = bob.policy_candidates().await.unwrap().items.remove(0);
        if one.evaluated > 0 {
            assert_eq!(transitions(&one), [("ALLOW", "FAILED", one.evaluated)]);
            assert_eq!(one.failures[0].failure, "RESOURCE_LIMIT");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the limit ends no evaluation");
}

#[tokio::test]
async fn an_ask_counts_where_the_candidate_would_be_in_force() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let (dave, version) = (place.human("dave"), publish(&place, STRICTER).await);
    let tenant = dave.name_candidate(&named(json!({"kind": "tenant"}), Some(version))).await.unwrap();
    assert_eq!(tenant.items[0].scope, Scope::Tenant);
    // The workflow has a policy of its own, which one for the tenant would not reach.
    asked(&place, 48_000).await;
    let both = dave.name_candidate(&named(workflow(), Some(version))).await.unwrap().items;
    assert_eq!(both.len(), 2);
    asked(&place, 48_000).await;
    for _ in 0..600 {
        let items = dave.policy_candidates().await.unwrap().items;
        let own = items.iter().find(|one| one.scope != Scope::Tenant).unwrap();
        if own.evaluated == 1 {
            let wide = items.iter().find(|one| one.scope == Scope::Tenant).unwrap();
            assert_eq!((wide.evaluated, wide.dropped, wide.left_out), (0, 0, 0));
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{:?}", dave.policy_candidates().await);
}

#[tokio::test]
async fn only_those_who_may_put_it_in_force_name_a_candidate_and_see_what_it_does() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let version = publish(&place, STRICTER).await;
    let (bob, dave, mallory) = (place.human("bob"), place.human("dave"), place.human("mallory"));
    for caller in [place.human("fiona"), place.machine(AGENT)] {
        assert_eq!(code(caller.name_candidate(&named(workflow(), Some(version))).await), Code::Forbidden);
        assert_eq!(code(caller.policy_candidates().await), Code::Forbidden);
    }
    for scope in [json!({"kind": "tenant"}), json!({"kind": "team", "name": "support"})] {
        assert_eq!(code(bob.name_candidate(&named(scope, Some(version))).await), Code::Forbidden);
    }
    // Neither the workflow nor the policy is there for another tenant.
    assert_eq!(code(mallory.name_candidate(&named(workflow(), None)).await), Code::WorkflowUnknown);
    let tenant = || json!({"kind": "tenant"});
    assert_eq!(code(mallory.name_candidate(&named(tenant(), Some(version))).await), Code::PolicyUnknown);
    dave.name_candidate(&named(tenant(), Some(version))).await.unwrap();
    bob.name_candidate(&named(workflow(), Some(version))).await.unwrap();
    assert_eq!(bob.policy_candidates().await.unwrap().items.len(), 1);
    assert_eq!(dave.policy_candidates().await.unwrap().items.len(), 2);
    assert_eq!(mallory.policy_candidates().await.unwrap().items.len(), 0);
    // What is in force is no candidate, and a tenant has no more of them than it may.
    let in_force = bob.activations().await.unwrap().items[0].policy_version_id;
    let refused = problem(bob.name_candidate(&named(workflow(), Some(in_force))).await);
    assert_eq!(refused.code(), Code::InvalidBody);
    assert_eq!(refused.member("path").unwrap(), "policy_version_id");
    for number in 0..6 {
        let team = json!({"kind": "team", "name": format!("team-{number}")});
        dave.name_candidate(&named(team, Some(version))).await.unwrap();
    }
    let ninth = json!({"kind": "team", "name": "team-9"});
    assert_eq!(code(dave.name_candidate(&named(ninth, Some(version))).await), Code::CandidatesFull);
    // To be put in force it need not be cleared.
    let activate: Activate = to(json!({"scope": workflow(), "policy_version_id": version}));
    bob.activate(&activate).await.unwrap();
    assert_eq!(bob.policy_candidates().await.unwrap().items.len(), 1);
}

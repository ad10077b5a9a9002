//! Shadow mode over HTTP: what an agent is answered, what is counted, and what is asked before it ends.

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{
    Allowed, Approvers, AuthorityAnswer, GateList, Governed, ModesInForce, ReportOutcome, SetMode,
    ShadowReportQuery, ShadowRow, text,
};
use gantral_core::policy::Verdict;
use gantral_core::state::State;
use gantral_core::time::DurationMs;
use gantral_testkit::policy::rules;
use gantral_testkit::{AGENT, workflows};
use serde_json::{Value, json};

use crate::place::{Place, code, minutes, problem, refund, to};

pub fn body(scope: Value, mode: &str) -> SetMode {
    to(json!({"scope": scope, "mode": mode}))
}

pub fn workflow() -> Value {
    json!({"kind": "workflow", "name": "refund"})
}

pub async fn observing() -> Place {
    let place = Place::start().await;
    place.apply_refunds().await;
    place.human("bob").set_mode(&body(workflow(), "SHADOW")).await.unwrap();
    place
}

async fn observed(attempt: &Client, id: text::InstanceId, amount: u64) -> Allowed {
    let answer = attempt.ask(id, &refund(amount)).await.unwrap();
    let AuthorityAnswer::Allow(allowed) = answer else { panic!("{answer:?}") };
    assert!(!allowed.enforced, "{allowed:?}");
    allowed
}

fn outcome() -> ReportOutcome {
    to(json!({"status": "SUCCEEDED", "result": {"refund": "r-1"}}))
}

#[tokio::test]
async fn the_agent_is_answered_at_once_and_told_what_it_would_have_been() {
    let place = observing().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    for (amount, verdict, roles) in [
        (100, Verdict::Allow, &[][..]),
        (48_000, Verdict::RequireHuman, &["FINANCE_LEAD"]),
        (20_000_000, Verdict::Deny, &[]),
    ] {
        let allowed = observed(&attempt, id, amount).await;
        assert!(allowed.grant_id.is_none() && allowed.grant.is_none() && allowed.act_by.is_none());
        let said = allowed.observed.unwrap();
        assert_eq!(said.verdict.into_inner(), verdict, "{amount}");
        assert_eq!(said.roles.iter().map(|role| role.as_str()).collect::<Vec<_>>(), roles);
        assert_eq!(allowed.reasons.is_empty(), verdict == Verdict::Allow, "{:?}", allowed.reasons);
        attempt.report_observed(id, &outcome()).await.unwrap();
    }
    assert_eq!(place.human("fiona").gates(&GateList::default()).await.unwrap().items, []);
    let ended = attempt.complete(id).await.unwrap();
    assert_eq!(ended.state.into_inner(), State::Completed);
}

#[tokio::test]
async fn what_is_enforced_says_so_too() {
    let place = Place::start().await;
    let waits = place.waiting().await;
    assert!(waits.waiting.enforced);
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    let answer = attempt.ask(id, &refund(100)).await.unwrap();
    let AuthorityAnswer::Allow(allowed) = answer else { panic!("{answer:?}") };
    assert!(allowed.enforced && allowed.observed.is_none(), "{allowed:?}");
    // Nothing was observed, so there is nothing to report without a grant.
    assert_eq!(code(attempt.report_observed(id, &outcome()).await), Code::WrongState);
    let answer = attempt.ask(id, &refund(20_000_000)).await.unwrap();
    assert!(matches!(&answer, AuthorityAnswer::Deny(denied) if denied.enforced), "{answer:?}");
}

#[tokio::test]
async fn a_running_agent_is_held_from_the_switch_on() {
    let place = observing().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    observed(&attempt, id, 48_000).await;
    let bob = place.human("bob");
    let mut enable = body(workflow(), "ENFORCE");
    enable.justification = Some(to(json!("two weeks of looking")));
    let sealed = bob.set_mode(&enable).await.unwrap().sealed;
    assert_eq!(sealed[0].event, "mode_changed");
    assert_eq!(sealed[0].justification.as_deref(), Some("two weeks of looking"));
    assert_eq!(bob.set_mode(&enable).await.unwrap(), Governed { sealed: vec![], proposal: None });
    let answer = attempt.ask(id, &refund(48_000)).await.unwrap();
    assert!(matches!(answer, AuthorityAnswer::RequireHuman(_)), "{answer:?}");
    let ModesInForce { items } = bob.modes().await.unwrap();
    assert_eq!(json!(items), json!([{"scope": workflow(), "mode": "ENFORCE"}]));
}

#[tokio::test]
async fn one_action_is_enforced_where_its_workflow_is_only_observed() {
    let place = observing().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    observed(&attempt, id, 48_000).await;
    let of_action =
        |scope: Value, action: &str| to(json!({"scope": scope, "action": action, "mode": "ENFORCE"}));
    let bob = place.human("bob");
    let of_team = of_action(json!({"kind": "team", "name": "payments"}), "refund");
    let refused = problem(bob.set_mode(&of_team).await);
    assert_eq!((refused.code(), refused.member("path")), (Code::InvalidBody, Some(&json!("action"))));
    assert_eq!(code(bob.set_mode(&of_action(workflow(), "refnud")).await), Code::NotFound);
    let sealed = bob.set_mode(&of_action(workflow(), "refund")).await.unwrap().sealed;
    assert_eq!(to::<Value>(json!(sealed[0].detail))["action"], "refund");
    let ModesInForce { items } = bob.modes().await.unwrap();
    let expected = json!([{"scope": workflow(), "mode": "SHADOW"}, {"scope": workflow(), "action": "refund", "mode": "ENFORCE"}]);
    assert_eq!(json!(items), expected);
    let answer = attempt.ask(id, &refund(48_000)).await.unwrap();
    assert!(matches!(answer, AuthorityAnswer::RequireHuman(_)), "{answer:?}");
}

#[tokio::test]
async fn a_mode_is_changed_by_its_owners_and_administrators_only() {
    let place = Place::start().await;
    place.apply_refunds().await;
    let tenant = json!({"kind": "tenant"});
    for caller in [place.human("fiona"), place.machine(AGENT)] {
        assert_eq!(code(caller.set_mode(&body(workflow(), "SHADOW")).await), Code::Forbidden);
    }
    assert_eq!(code(place.human("bob").set_mode(&body(tenant.clone(), "SHADOW")).await), Code::Forbidden);
    let mallory = place.human("mallory");
    assert_eq!(code(mallory.set_mode(&body(workflow(), "SHADOW")).await), Code::WorkflowUnknown);
    mallory.set_mode(&body(tenant.clone(), "SHADOW")).await.unwrap();
    assert_eq!(place.human("bob").modes().await.unwrap().items, [], "another tenant's");
    place.human("dave").set_mode(&body(tenant, "SHADOW")).await.unwrap();
}

#[tokio::test]
async fn nothing_is_enforced_before_somebody_is_known_who_could_approve() {
    let place = Place::start().await;
    // One workflow asks somebody whom nobody knows by its policy, the other by its floors.
    place
        .apply(workflows::REFUND, &rules("decision := \"REQUIRE_HUMAN\"\napprover_roles := [\"GHOST\"]"))
        .await;
    let floors = workflows::REFUND.replace("\"refund\", \"version\"", "\"other\", \"version\"");
    let floors = floors.replace("[\"FINANCE_LEAD\"]", "[\"PHANTOM\", \"SPIRIT\"]");
    place.apply(&floors, &rules("decision := \"ALLOW\"")).await;
    let (bob, team) = (place.human("bob"), json!({"kind": "team", "name": "payments"}));
    bob.set_mode(&body(team.clone(), "SHADOW")).await.unwrap();
    let unknown = |of: &[&[&str]]| -> Vec<Approvers> {
        to(json!(of.iter().map(|roles| json!({"any_of": roles, "possible": false})).collect::<Vec<_>>()))
    };
    let refused = |mode: SetMode| {
        let bob = bob.clone();
        async move {
            let problem = problem(bob.set_mode(&mode).await);
            assert_eq!(problem.code(), Code::ApproversUnconfirmed);
            to::<Vec<Approvers>>(problem.member("approvers").unwrap().clone())
        }
    };
    assert_eq!(refused(body(team.clone(), "ENFORCE")).await, unknown(&[&["PHANTOM", "SPIRIT"]]));
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    observed(&attempt, id, 1).await;
    assert_eq!(refused(body(team.clone(), "ENFORCE")).await, unknown(&[&["GHOST"], &["PHANTOM", "SPIRIT"]]));
    assert_eq!(refused(body(workflow(), "ENFORCE")).await, unknown(&[&["GHOST"]]));
    // Nothing was changed, and whoever knows better says so.
    observed(&attempt, id, 1).await;
    let confirmed = SetMode { confirmed: true, ..body(team, "ENFORCE") };
    bob.set_mode(&confirmed).await.unwrap();
    let answer = attempt.ask(id, &refund(1)).await.unwrap();
    assert!(matches!(answer, AuthorityAnswer::RequireHuman(_)), "{answer:?}");
}

/// Reads the report page by page, and adds it up.
async fn report(client: &Client, query: &ShadowReportQuery) -> (Vec<ShadowRow>, u32) {
    let (mut query, mut rows, mut instances) = (query.clone(), Vec::<ShadowRow>::new(), 0);
    loop {
        let page = client.shadow_report(&query).await.unwrap();
        instances += page.instances;
        for row in page.rows {
            let like = |known: &&mut ShadowRow| {
                ShadowRow { asks: 0, ..(*known).clone() } == ShadowRow { asks: 0, ..row.clone() }
            };
            match rows.iter_mut().find(like) {
                Some(known) => known.asks += row.asks,
                None => rows.push(row),
            }
        }
        match page.next {
            Some(next) => query.cursor = Some(next),
            None => return (rows, instances),
        }
    }
}

#[tokio::test]
async fn the_report_counts_what_would_have_happened_by_hour_role_and_reason() {
    let place = observing().await;
    let begun = place.clock.now();
    for hour in 0..2 {
        for _ in 0..3 {
            let id = place.create("refund").await.instance_id;
            let (attempt, _) = place.begin(id).await;
            for amount in [100, 48_000, 48_000, 20_000_000] {
                observed(&attempt, id, amount).await;
            }
        }
        if hour == 0 {
            place.clock.advance(DurationMs::from_secs(3_600));
        }
    }
    // What was enforced is not in it.
    place
        .human("dave")
        .set_mode(&body(json!({"kind": "workflow", "name": "refund"}), "ENFORCE"))
        .await
        .unwrap();
    let id = place.create("refund").await.instance_id;
    place.begin(id).await.0.ask(id, &refund(100)).await.unwrap();

    let bob = place.human("bob");
    let all = ShadowReportQuery { limit: Some(2), ..ShadowReportQuery::default() };
    let (rows, instances) = report(&bob, &all).await;
    assert_eq!(instances, 6, "what was enforced is in none of them");
    let count = |wanted: &dyn Fn(&ShadowRow) -> bool| -> u64 {
        rows.iter().filter(|row| wanted(row)).map(|row| row.asks).sum()
    };
    assert_eq!(count(&|_| true), 24);
    for (verdict, asks) in [(Verdict::Allow, 6), (Verdict::RequireHuman, 12), (Verdict::Deny, 6)] {
        assert_eq!(count(&|row| row.verdict.into_inner() == verdict), asks, "{verdict:?}");
    }
    let lead = |row: &ShadowRow| row.roles.iter().any(|role| role.as_str() == "FINANCE_LEAD");
    assert_eq!(count(&lead), 12);
    assert!(rows.iter().all(|row| row.action.as_ref().is_some_and(|name| name.as_str() == "refund")));
    let above = |row: &ShadowRow| row.reasons.iter().any(|why| why.contains("48000 is above 5000"));
    assert_eq!(count(&above), 12);
    let mut hours: Vec<u64> = rows.iter().map(|row| row.hour.into_inner().get()).collect();
    hours.sort_unstable();
    hours.dedup();
    assert_eq!(hours.len(), 2);
    assert!(hours.iter().all(|hour| hour % 3_600_000 == 0), "{hours:?}");

    // What the caller may not see is not counted.
    let later = ShadowReportQuery { from: Some(begun.plus(minutes(30)).into()), ..all.clone() };
    assert_eq!(report(&bob, &later).await.0.iter().map(|row| row.asks).sum::<u64>(), 12);
    let earlier = ShadowReportQuery { to: Some(begun.plus(minutes(30)).into()), ..all.clone() };
    assert_eq!(report(&bob, &earlier).await.0.iter().map(|row| row.asks).sum::<u64>(), 12);
    for stranger in ["eve", "mallory"] {
        assert_eq!(report(&place.human(stranger), &all).await, (vec![], 0), "{stranger}");
    }
    assert_eq!(code(place.machine(AGENT).shadow_report(&all).await), Code::Forbidden);
}

#[tokio::test]
async fn the_report_is_of_the_asks_of_its_span_whenever_their_instances_were_created() {
    let place = observing().await;
    let mut instances = Vec::new();
    for _ in 0..4 {
        let id = place.create("refund").await.instance_id;
        instances.push((id, place.begin(id).await.0));
    }
    let ask = |which: usize| {
        let (id, attempt) = instances[which].clone();
        let place = &place;
        async move {
            observed(&attempt, id, 48_000).await;
            place.clock.advance(DurationMs::from_secs(1));
        }
    };
    let begun = place.clock.now();
    for which in [0, 1, 2] {
        ask(which).await;
    }
    let from = place.clock.now();
    for which in [0, 1, 0, 3] {
        ask(which).await;
    }
    let to = place.clock.now();
    for which in [1, 2, 3] {
        ask(which).await;
    }
    let bob = place.human("bob");
    for (from, to, asks, of) in [
        (begun, from, 3, 3),
        (from, to, 4, 3),
        (to, place.clock.now(), 3, 3),
        (begun, place.clock.now(), 10, 4),
        (from, from.plus(DurationMs::new(1)), 1, 1),
        (from.plus(DurationMs::new(1)), from.plus(DurationMs::from_secs(1)), 0, 0),
    ] {
        for limit in [1, 2, 50] {
            let query = ShadowReportQuery {
                from: Some(from.into()),
                to: Some(to.into()),
                limit: Some(limit),
                ..ShadowReportQuery::default()
            };
            let (rows, instances) = report(&bob, &query).await;
            assert_eq!(rows.iter().map(|row| row.asks).sum::<u64>(), asks, "pages of {limit}");
            assert_eq!(instances, of, "pages of {limit}");
        }
    }
    // A cursor is worth something for whom it was given only.
    let first = ShadowReportQuery { limit: Some(1), ..ShadowReportQuery::default() };
    let next = bob.shadow_report(&first).await.unwrap().next;
    let theirs = ShadowReportQuery { cursor: next, ..first.clone() };
    assert_eq!(code(place.human("mallory").shadow_report(&theirs).await), Code::InvalidParameter);
    let wrong = ShadowReportQuery { cursor: Some("0".repeat(48)), ..first };
    assert_eq!(code(bob.shadow_report(&wrong).await), Code::InvalidParameter);
}

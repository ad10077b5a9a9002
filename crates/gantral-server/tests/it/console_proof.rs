//! What was observed and what is published, as pages of the console.

use gantral_api::wire::text;
use gantral_core::time::DurationMs;
use serde_json::json;

use crate::browser::Browser;
use crate::place::{Place, refund};
use crate::shadow::observing;

#[tokio::test]
async fn what_was_observed_is_drawn_and_stands_in_a_table_too() {
    let place = observing().await;
    for amount in [100, 200, 48_000, 48_000, 48_000, 20_000_000] {
        let id = place.create("refund").await.instance_id;
        let (attempt, _) = place.begin(id).await;
        attempt.ask(id, &refund(amount)).await.unwrap();
    }
    let mut fiona = Browser::of(&place, "fiona").await;
    let shown = fiona.get("/console/observed").await;
    shown.shows("6 asks in 6 executions");
    shown.shows("<th scope=\"row\">would have waited for a human</th><td>3</td><td>50&nbsp;%</td>");
    shown.shows("<td>refund</td><td>refund</td><td>2</td><td>3</td><td>1</td>");
    shown.shows("<th scope=\"row\">FINANCE_LEAD</th><td>3</td>");
    shown.shows("aria-label=\"How often FINANCE_LEAD would have been asked, by day\"");
    assert!(!shown.text.contains(" style=") && shown.text.matches("<script").count() == 1);
    fiona.get("/console/observed?workflow=refund&team=payments&days=1").await.shows("6 asks");
    for nothing in ["workflow=another", "until=2020-01-31", "team=logistics"] {
        fiona.get(&format!("/console/observed?{nothing}")).await.shows("Nothing was only observed.");
    }
    for wrong in ["days=0", "days=999999", "until=tomorrow", "team=no such", "workflow=%22%3E%3Cscript%3E"] {
        let refused = fiona.get(&format!("/console/observed?{wrong}")).await;
        assert_eq!(refused.status, 400, "{wrong}");
        assert_eq!(refused.text.matches("<script").count(), 1);
    }
    place.clock.advance(DurationMs::from_secs(3 * 3_600));
    // Of other teams and tenants nothing is seen.
    for who in ["eve", "mallory"] {
        let mut browser = Browser::of(&place, who).await;
        browser.get("/console/observed?days=30").await.shows("Nothing was only observed.");
    }
}

#[tokio::test]
async fn what_agents_did_alone_is_told_apart_and_names_nothing_harmful() {
    let place = observing().await;
    let hour = text::Time::from(place.clock.now());
    let items = json!([{"hour": hour, "workflow": "refund", "action": "refund", "asks": 7}]);
    let count =
        crate::place::to(json!({"report_id": "00000000-0000-4000-8000-000000000001", "items": items}));
    place.machine(gantral_testkit::AGENT).count_unobserved(&count).await.unwrap();
    let shown = Browser::of(&place, "fiona").await.get("/console/observed").await;
    shown.shows("Nobody observed, because no server answered");
    shown.shows("<td>7</td>");
}

#[tokio::test]
async fn a_server_without_a_log_says_so() {
    let place = Place::start().await;
    Browser::of(&place, "fiona").await.get("/console/log").await.shows("This server keeps no log.");
}

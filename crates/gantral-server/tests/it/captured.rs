//! References to captured evidence: sealed, shown, and never a place in which a credential is kept for ever.

use gantral_api::problem::Code;
use gantral_api::wire::ReportOutcome;
use gantral_core::digest::Digest;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::place::{Place, problem, to};

fn report(name: &str, url: &Value) -> ReportOutcome {
    let digest = Digest::of(b"what came back").to_hex();
    to(json!({"status": "SUCCEEDED", "evidence": [
        {"name": "question", "digest": digest},
        {"name": name, "digest": digest, "url": url},
    ]}))
}

#[tokio::test]
async fn what_would_seal_a_credential_is_refused_by_its_place_and_the_rest_is_sealed_and_shown() {
    let place = Place::start().await;
    let (id, attempt, allowed) = place.allowed().await;
    let grant = allowed.grant_id.unwrap();
    let head = place.show(id).await.head;

    let token = format!("ghp_{}", "a".repeat(36));
    for (name, url, member, reason) in [
        ("answer", json!("https://me:hunter2@host/x"), "url", "user"),
        ("answer", json!("https://host/x?X-Amz-Signature=hunter2"), "url", "query"),
        ("answer", json!("https://host/x#hunter2"), "url", "query"),
        ("answer", json!("hunter2"), "url", "scheme"),
        ("answer", json!("https://"), "url", "empty"),
        ("answer", json!("https://host/hunter 2"), "url", "character"),
        ("answer", json!(format!("https://host/{}", "hunter2".repeat(200))), "url", "too_long"),
        ("answer", json!(format!("https://host/{token}/x")), "url", "secret"),
        ("https://me:hunter2@host/x", Value::Null, "name", "user"),
        (&token, Value::Null, "name", "secret"),
    ] {
        let refused = problem(attempt.report_outcome(id, grant, &report(name, &url)).await);
        assert_eq!(refused.code(), Code::EvidenceRefused, "{name} {url}");
        assert_eq!(refused.member("path").unwrap(), &json!(format!("evidence[1].{member}")), "{name} {url}");
        assert_eq!(refused.member("reason").unwrap(), reason, "{name} {url}");
        let said = serde_json::to_string(&refused).unwrap();
        assert!(!said.contains("hunter2") && !said.contains(&token), "{said}");
    }
    assert_eq!(place.show(id).await.head, head, "what is refused seals nothing");

    let url = "s3://audit/2026/a,b='1'&2.json";
    attempt.report_outcome(id, grant, &report("answer", &json!(url))).await.unwrap();
    let seen = place.show(id).await.outcomes.remove(0);
    let shown: Vec<_> = seen.evidence.iter().map(|item| (item.name.as_str(), item.url.as_deref())).collect();
    assert_eq!(shown, [("question", None), ("answer", Some(url))]);

    let mut fiona = Browser::of(&place, "fiona").await;
    let page = fiona.get(&format!("/console/instances/{id}")).await;
    page.shows("s3://audit/2026/a,b=&#39;1&#39;&amp;2.json");
    page.shows(&Digest::of(b"what came back").to_hex());
    assert!(!page.text.contains("href=\"s3:"), "an address of others is no link");
}

#[tokio::test]
async fn as_much_as_one_report_may_name_fits_into_an_artifact_and_one_more_is_refused() {
    let place = Place::start().await;
    let (id, attempt, allowed) = place.allowed().await;
    let grant = allowed.grant_id.unwrap();
    let url = format!("https://host/{}", "u".repeat(1024 - 13));
    let digest = Digest::of(b"x").to_hex();
    let report = |count: usize| -> ReportOutcome {
        let item = json!({"name": "n".repeat(128), "digest": digest, "url": url});
        to(json!({"status": "FAILED", "evidence": vec![item; count]}))
    };
    let refused = problem(attempt.report_outcome(id, grant, &report(33)).await);
    assert_eq!((refused.code(), refused.member("path").unwrap()), (Code::InvalidBody, &json!("evidence")));
    attempt.report_outcome(id, grant, &report(32)).await.unwrap();
    assert_eq!(place.show(id).await.outcomes[0].evidence.len(), 32);
}

//! Providers that say what they should not.

use serde_json::json;

use super::*;
use crate::told::{Told, client};

async fn provider(told: &Told) -> Provider {
    Provider::discover(&told.issuer, None).await.unwrap()
}

fn token(text: &str) -> Token {
    Token::new(text.to_owned()).unwrap()
}

/// Refreshes against one answer, which must be refused with these words.
async fn check(status: u16, answer: impl ToString, expected: &str) {
    let (told, _serving) = Told::start().await;
    told.answers(status, answer);
    let refused = provider(&told).await.refresh(&client(), &token("old")).await.unwrap_err();
    assert_eq!(refused.to_string(), expected);
}

#[tokio::test]
async fn answers_that_are_none_give_no_token() {
    let tokens = "its answer is not one with tokens";
    for answer in [
        json!({"access_token": "a b", "token_type": "Bearer"}),
        json!({"access_token": "a\r\nb", "token_type": "Bearer"}),
        json!({"access_token": "a", "token_type": "DPoP"}),
        json!({"access_token": "a"}),
        json!({"access_token": "a", "token_type": "Bearer", "refresh_token": ""}),
        json!([]),
    ] {
        check(200, answer, tokens).await;
    }
    check(200, "<html>", tokens).await;
    check(200, "x".repeat(ANSWER_BYTES_MAX + 1), "the answer is larger than any good one").await;
    check(500, r#"{"error":"server_error"}"#, "it answered with status 500 Internal Server Error").await;
    check(400, "{}", "it answered with status 400 Bad Request").await;
    check(
        400,
        r#"{"error":"invalid_grant","error_description":"\u001b[2Jold"}"#,
        "it refuses: `invalid_grant` (?[2Jold)",
    )
    .await;
}

#[tokio::test]
async fn tokens_go_nowhere_else_by_a_redirect() {
    let (told, _serving) = Told::start().await;
    told.answers(307, "");
    told.grants("stolen", 300);
    let refused = provider(&told).await.refresh(&client(), &token("old")).await.unwrap_err();
    assert!(matches!(refused, GrantError::Status(StatusCode::TEMPORARY_REDIRECT)), "{refused}");
    assert_eq!(told.came().len(), 1);
}

#[tokio::test]
async fn document_of_another_issuer_or_with_plain_endpoints_is_not_believed() {
    let (told, _serving) = Told::start().await;
    told.says("issuer", "https://id.example.com");
    let refused = Provider::discover(&told.issuer, None).await.unwrap_err();
    assert!(matches!(refused, GrantError::Discovery(FetchError::OtherIssuer)), "{refused}");
    told.says("issuer", told.issuer.clone());
    for plain in ["http://id.example.com/token", "ftp://127.0.0.1/token", "https://user@id.example.com/"] {
        told.says("token_endpoint", plain);
        let refused = Provider::discover(&told.issuer, None).await.unwrap_err();
        assert!(matches!(refused, GrantError::Discovery(FetchError::Member { .. })), "{refused}");
    }
}

#[tokio::test]
async fn issuer_elsewhere_cannot_have_tokens_sent_to_plain_ports_of_this_machine() {
    let (told, _serving) = Told::start().await;
    let metadata = provider(&told).await.metadata;
    assert_eq!(unprotected(&told.issuer, &metadata), None);
    assert_eq!(unprotected("https://id.example.com", &metadata), Some("authorization_endpoint"));
    let authorization = Some(url("https://id.example.com/auth").unwrap());
    let metadata = Metadata { authorization, device_authorization: None, ..metadata };
    assert_eq!(unprotected("https://id.example.com", &metadata), Some("token_endpoint"));
}

#[tokio::test]
async fn refresh_says_who_and_for_what_and_a_refusal_is_told_from_an_outage() {
    let (told, _serving) = Told::start().await;
    told.answers(
        200,
        json!({"access_token": "new", "token_type": "bearer", "expires_in": "300", "refresh_token": "r2"}),
    );
    let granted = provider(&told).await.refresh(&client(), &token("r1")).await.unwrap();
    assert_eq!(granted.expires_in, Some(Duration::from_secs(300)));
    assert_eq!(granted.refresh.unwrap().expose(), "r2");
    let form = &told.came()[0].form;
    let said = |name: &str| form.get(name).map(String::as_str);
    assert_eq!(said("grant_type"), Some("refresh_token"));
    assert_eq!((said("refresh_token"), said("client_id")), (Some("r1"), Some("cli")));
    assert_eq!(said("resource"), Some("urn:gantral"));
    for (status, error, refusal) in
        [(400, "invalid_grant", true), (400, "temporarily_unavailable", false), (503, "invalid_grant", false)]
    {
        told.answers(status, json!({"error": error}));
        let refused = provider(&told).await.refresh(&client(), &token("r2")).await.unwrap_err();
        assert_eq!(refused.is_refusal(), refusal, "{refused}");
    }
}

#[tokio::test]
async fn provider_is_told_that_a_token_is_not_used_any_more_if_it_can_be() {
    let (told, _serving) = Told::start().await;
    assert!(!provider(&told).await.revoke(&client(), &token("r1")).await.unwrap());
    told.says("revocation_endpoint", format!("{}/revoke", told.issuer));
    told.answers(200, "");
    assert!(provider(&told).await.revoke(&client(), &token("r1")).await.unwrap());
    let came = &told.came()[0];
    assert_eq!((came.path.as_str(), came.form["token"].as_str()), ("/revoke", "r1"));
}

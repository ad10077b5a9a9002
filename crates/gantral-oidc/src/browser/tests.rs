//! Browsers that come back with this and that.

use std::collections::BTreeMap;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::*;
use crate::told::{Told, client, form};

/// Follows a redirect to the port that waits, as a browser does.
async fn come_back(redirect: &str, query: &str) {
    let url = Url::parse(redirect).unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", url.port().unwrap())).await.unwrap();
    let request = format!("GET {}?{query} HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n", url.path());
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
}

/// Logs in; `back` makes the query of the redirect from what the address said.
async fn login(
    told: &Told,
    back: impl FnOnce(&BTreeMap<String, String>) -> String,
) -> Result<Granted, GrantError> {
    let provider = Provider::discover(&told.issuer, None).await.unwrap();
    let (tell, shown) = oneshot::channel();
    let client = client();
    let logging_in = provider.login_with_browser(&client, Duration::from_secs(30), |address| {
        tell.send(address.clone()).unwrap();
    });
    let browsing = async {
        let address = shown.await.unwrap();
        let said = form(address.query().unwrap());
        come_back(&said["redirect_uri"], &back(&said)).await;
    };
    tokio::join!(logging_in, browsing).0
}

#[tokio::test]
async fn code_is_exchanged_with_the_verifier_of_the_challenge() {
    let (told, _serving) = Told::start().await;
    told.grants("access", 300);
    let mut challenge = String::new();
    let granted = login(&told, |said| {
        assert_eq!((said["realm"].as_str(), said["response_type"].as_str()), ("main", "code"));
        assert_eq!(
            (said["code_challenge_method"].as_str(), said["resource"].as_str()),
            ("S256", "urn:gantral")
        );
        challenge = said["code_challenge"].clone();
        format!("code=the-code&state={}", said["state"])
    });
    assert_eq!(granted.await.unwrap().access.expose(), "access");
    let form = &told.came()[0].form;
    assert_eq!((form["code"].as_str(), form["client_id"].as_str()), ("the-code", "cli"));
    assert_eq!(Pkce::of(&form["code_verifier"]).challenge(), challenge);
}

#[tokio::test]
async fn code_of_another_issuer_is_never_sent_anywhere() {
    for (says, iss) in
        [(false, Some("https://evil.example")), (true, Some("https://evil.example")), (true, None)]
    {
        let (told, _serving) = Told::start().await;
        told.says("authorization_response_iss_parameter_supported", says);
        let refused = login(&told, |said| {
            let iss = iss.map(|iss| format!("&iss={iss}")).unwrap_or_default();
            format!("code=the-code&state={}{iss}", said["state"])
        });
        assert!(matches!(refused.await, Err(GrantError::OtherIssuer)));
        assert!(told.came().is_empty());
    }
}

#[tokio::test]
async fn refusal_of_the_provider_is_shown_inert() {
    let (told, _serving) = Told::start().await;
    let refused = login(&told, |said| {
        format!(
            "error=access_denied&error_description=no%1B[2J%E2%80%AE&state={}&iss={}",
            said["state"], told.issuer
        )
    });
    assert_eq!(refused.await.unwrap_err().to_string(), "it refuses: `access_denied` (no?[2J?)");
    let refused = login(&told, |said| format!("state={}", said["state"]));
    assert!(matches!(refused.await, Err(GrantError::Document(_))));
}

#[tokio::test]
async fn code_that_the_provider_gave_for_another_client_is_refused_by_it() {
    let (told, _serving) = Told::start().await;
    told.answers(400, json!({"error": "invalid_grant"}));
    let refused = login(&told, |said| format!("code=of-another&state={}", said["state"]));
    assert!(refused.await.unwrap_err().is_refusal());
}

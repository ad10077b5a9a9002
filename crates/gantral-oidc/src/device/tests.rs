//! Providers that make a device wait.

use serde_json::json;

use super::*;
use crate::told::{Told, client};

fn begins(told: &Told, expires_in: u64) {
    told.answers(
        200,
        json!({
            "device_code": "the-device", "user_code": "ABCD-EFGH", "verification_uri": "https://id.example.com/device",
            "expires_in": expires_in, "interval": 1,
        }),
    );
}

async fn login(told: &Told) -> Result<Granted, GrantError> {
    let provider = Provider::discover(&told.issuer, None).await.unwrap();
    let mut shown = None;
    let ended = provider.login_with_device(&client(), |code| shown = Some(code.clone())).await;
    assert!(shown.is_none_or(|code| code.user_code == "ABCD-EFGH"));
    ended
}

#[tokio::test]
async fn device_asks_until_it_is_let_in() {
    let (told, _serving) = Told::start().await;
    begins(&told, 120);
    told.answers(400, json!({"error": "authorization_pending"}));
    told.grants("access", 300);
    assert_eq!(login(&told).await.unwrap().access.expose(), "access");
    let came = told.came();
    assert_eq!((came[0].path.as_str(), came[0].form["scope"].as_str()), ("/device", "openid"));
    assert_eq!((came.len(), came[2].form["device_code"].as_str()), (3, "the-device"));
}

#[tokio::test]
async fn device_that_is_told_to_slow_down_does() {
    let (told, _serving) = Told::start().await;
    begins(&told, 120);
    told.answers(400, json!({"error": "slow_down"}));
    told.grants("access", 300);
    let begun = Instant::now();
    login(&told).await.unwrap();
    assert!(begun.elapsed() >= Duration::from_secs(7), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn device_stops_when_it_is_refused_or_nobody_comes() {
    let (told, _serving) = Told::start().await;
    for error in ["access_denied", "expired_token"] {
        begins(&told, 120);
        told.answers(400, json!({"error": error}));
        let refused = login(&told).await.unwrap_err();
        assert_eq!(refused.to_string(), format!("it refuses: `{error}`"));
    }
    begins(&told, 2);
    told.answers(400, json!({"error": "authorization_pending"}));
    assert!(matches!(login(&told).await, Err(GrantError::Nobody(2))));
}

#[tokio::test]
async fn codes_and_addresses_that_could_mislead_are_not_shown() {
    let (told, _serving) = Told::start().await;
    let good = json!({"device_code": "d", "user_code": "ABCD-EFGH", "verification_uri": "https://id.example.com/", "expires_in": 9});
    for (member, value) in [
        ("user_code", "ABCD\u{1b}[2J"),
        ("user_code", ""),
        ("verification_uri", "http://id.example.com/"),
        ("verification_uri", "javascript:alert(1)"),
        ("verification_uri_complete", "https://user:pass@id.example.com/"),
    ] {
        let mut answer = good.clone();
        answer[member] = json!(value);
        told.answers(200, answer);
        assert!(matches!(login(&told).await, Err(GrantError::Document(_))), "{member}: {value}");
    }
}

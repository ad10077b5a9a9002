//! Sessions: which token begins one, and who that is afterwards.

use gantral_identity::{SessionClaims, SessionToken, TokenError, Verifier};
use serde_json::{Value, json};

use crate::forge::{ISSUER, Key, NOW_SECONDS, at, config, human, identity, machine, now, verifier, with};

const NONCE: &str = "n-0S6_WzA2Mj";

/// Claims of the ID token that a login through the console brings.
fn id_claims(changes: Value) -> Value {
    with(with(human(), json!({"aud": "console", "client_id": null, "nonce": NONCE})), changes)
}

fn begin(verifier: &Verifier, token: &str) -> Result<SessionClaims, TokenError> {
    let login = SessionToken::Id { token, issuer: ISSUER, client: "console", nonce: NONCE };
    verifier.begin_session(login, now())
}

#[test]
fn an_id_token_of_this_login_begins_a_session_of_a_person() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let session = begin(&verifier, &key.sign(&id_claims(json!({})))).unwrap();
    let window = (now(), at(NOW_SECONDS + 1_800));
    let principal = verifier.resume_session(&session, window, at(NOW_SECONDS + 1_799)).unwrap();
    assert_eq!((principal.subject(), principal.tenant().as_str()), ("alice", "example"));
    assert_eq!(principal.roles().iter().map(|role| role.as_str()).collect::<Vec<_>>(), ["RISK_OFFICER"]);
    assert!(principal.approver().is_ok());
    let late = verifier.resume_session(&session, window, at(NOW_SECONDS + 1_800));
    assert_eq!(late.map(|_| ()), Err(TokenError::Expired), "a session has no allowance for skew");
}

#[test]
fn a_token_of_another_login_client_or_kind_begins_nothing() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    for (changes, expected) in [
        (json!({"nonce": "another"}), TokenError::Claim { name: "nonce" }),
        (json!({"nonce": null}), TokenError::Claim { name: "nonce" }),
        (json!({"aud": "gantral"}), TokenError::Audience),
        (json!({"aud": ["console", "other"]}), TokenError::Audience),
        (json!({"aud": ["console", "other"], "azp": "other"}), TokenError::Audience),
        (json!({"azp": "other"}), TokenError::Audience),
        (json!({"exp": NOW_SECONDS - 61, "iat": NOW_SECONDS - 100}), TokenError::Expired),
        (json!({"iss": "https://other.example"}), TokenError::UnknownIssuer),
        (json!({"act": {"sub": "agent"}}), TokenError::Delegated),
        (json!({"org": "Nobody"}), TokenError::Tenant),
    ] {
        let token = key.sign(&id_claims(changes.clone()));
        assert_eq!(begin(&verifier, &token).map(|_| ()), Err(expected), "{changes}");
    }
    assert!(
        begin(&verifier, &key.sign(&id_claims(json!({"aud": ["console", "other"], "azp": "console"}))))
            .is_ok()
    );
    let access =
        key.sign_raw(r#"{"alg":"EdDSA","kid":"a","typ":"at+jwt"}"#, &id_claims(json!({})).to_string());
    assert_eq!(begin(&verifier, &access).map(|_| ()), Err(TokenError::Type));
    let stranger = Key::ed25519("a").sign(&id_claims(json!({})));
    assert_eq!(begin(&verifier, &stranger).map(|_| ()), Err(TokenError::Signature));
}

#[test]
fn a_machine_has_no_session() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&machine("agent"));
    let refused = verifier.begin_session(SessionToken::Access(&token), now());
    assert_eq!(refused.map(|_| ()), Err(TokenError::Requirement));
    let token = key.sign(&with(machine("agent"), json!({"aud": "agent", "nonce": NONCE})));
    let login = SessionToken::Id { token: &token, issuer: ISSUER, client: "agent", nonce: NONCE };
    assert_eq!(verifier.begin_session(login, now()).map(|_| ()), Err(TokenError::Requirement));
}

#[test]
fn a_session_means_what_the_configuration_says_now() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let session = begin(&verifier, &key.sign(&id_claims(json!({})))).unwrap();
    let resume = || verifier.resume_session(&session, (now(), at(NOW_SECONDS + 600)), now());
    let mapped = with(config(&[&key]), json!({"claims": {"roles": ["realm", "roles"], "role_map": {}}}));
    verifier.replace(&identity(&[mapped])).unwrap();
    assert!(resume().unwrap().roles().is_empty());
    let mut removed = config(&[&key]);
    removed["clients"].as_object_mut().unwrap().remove("console");
    verifier.replace(&identity(&[removed])).unwrap();
    assert_eq!(resume().map(|_| ()), Err(TokenError::UnknownClient));
    verifier.replace(&identity(&[])).unwrap();
    assert_eq!(resume().map(|_| ()), Err(TokenError::UnknownIssuer));
}

#[test]
fn what_is_kept_shows_nobody_in_a_log() {
    let key = Key::ed25519("a");
    let session = begin(&verifier(&[config(&[&key])]), &key.sign(&id_claims(json!({})))).unwrap();
    assert!(!format!("{session:?}").to_lowercase().contains("alice"));
}

//! Tokens of the server itself, each for one attempt.

use std::sync::Arc;

use gantral_core::ids::{ActorId, AttemptNo, InstanceId, Role, TenantId};
use gantral_core::time::DurationMs;
use gantral_identity::{
    ATTEMPT_TTL, ATTEMPT_TTL_MAX, ActingWorkload, AttemptScope, AttemptTokens, MintError, NotPermitted,
    PrincipalKind, TokenError, TokenKey, Verifier,
};
use serde_json::json;

use crate::forge::{
    ISSUER, Key, NOW_SECONDS, accepted, at, config, human, identity, machine, now, refused, verifier,
};

const SERVER: &str = "https://gantral.example";

fn tokens() -> AttemptTokens {
    AttemptTokens::new(TokenKey::generate().unwrap(), SERVER).unwrap()
}

fn scope() -> AttemptScope {
    AttemptScope { instance: InstanceId::from_random([7; 16]), attempt: AttemptNo(2) }
}

/// The verifier of the provider and these tokens, and the provider's key.
fn world(tokens: &Arc<AttemptTokens>) -> (Verifier, Key) {
    let key = Key::ed25519("a");
    (verifier(&[config(&[&key])]).with_attempts(Arc::clone(tokens)), key)
}

fn workload(verifier: &Verifier) -> ActingWorkload {
    let (tenant, client) = (TenantId::parse("example").unwrap(), ActorId::parse("agent").unwrap());
    verifier.acting_workload(&tenant, ISSUER, &client).unwrap()
}

#[test]
fn an_attempt_token_is_its_workload_within_one_attempt() {
    let tokens = Arc::new(tokens());
    let (verifier, key) = world(&tokens);
    let token = tokens.mint(&workload(&verifier), scope(), now()).unwrap();
    assert_eq!(token.expires_at(), now().plus(ATTEMPT_TTL));
    let principal = accepted(&verifier, token.expose());
    let agent = accepted(&verifier, &key.sign(&machine("agent")));
    assert_eq!(principal.kind(), PrincipalKind::Workload);
    assert_eq!(principal.attempt(), Some(scope()));
    assert_eq!(principal.attempt_bearer().unwrap().scope(), scope());
    assert_eq!(principal.tenant(), agent.tenant());
    assert_eq!((principal.issuer(), principal.client()), (agent.issuer(), agent.client()));
    assert_eq!((principal.roles(), principal.teams()), (agent.roles(), agent.teams()));
    assert_eq!(principal.owner(), agent.owner());
}

#[test]
fn an_attempt_token_neither_decides_nor_creates_nor_claims() {
    let tokens = Arc::new(tokens());
    let (verifier, _) = world(&tokens);
    let mut workload = workload(&verifier);
    workload.roles = ["RISK_OFFICER", "PLATFORM_ADMIN"].map(|role| Role::parse(role).unwrap()).into();
    let principal = accepted(&verifier, tokens.mint(&workload, scope(), now()).unwrap().expose());
    let human_needed = NotPermitted::HumanNeeded { found: PrincipalKind::Workload };
    assert_eq!(principal.approver().unwrap_err(), human_needed);
    assert_eq!(principal.administrator().unwrap_err(), human_needed);
    assert_eq!(principal.requester().unwrap_err(), NotPermitted::AttemptOnly);
    assert_eq!(
        principal.runner().unwrap_err(),
        NotPermitted::RunnerNeeded { found: PrincipalKind::Workload }
    );
}

#[test]
fn the_attempt_token_of_another_server_is_refused() {
    let (ours, theirs) = (Arc::new(tokens()), tokens());
    let (verifier, _) = world(&ours);
    let token = theirs.mint(&workload(&verifier), scope(), now()).unwrap();
    refused(&verifier, token.expose(), TokenError::UnknownKey);
    assert!(theirs.verify(token.expose(), now()).is_ok());
}

#[test]
fn the_attempt_token_of_another_deployment_with_the_same_key_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("attempt.key");
    let key = || TokenKey::load_or_generate(&path).unwrap();
    let ours = Arc::new(AttemptTokens::new(key(), SERVER).unwrap());
    let theirs = AttemptTokens::new(key(), "https://staging.gantral.example").unwrap();
    let (verifier, _) = world(&ours);
    let token = theirs.mint(&workload(&verifier), scope(), now()).unwrap();
    refused(&verifier, token.expose(), TokenError::UnknownIssuer);
    let same = AttemptTokens::new(key(), SERVER).unwrap();
    accepted(&verifier, same.mint(&workload(&verifier), scope(), now()).unwrap().expose());
}

#[test]
fn an_attempt_token_ends_within_minutes_and_is_renewed_by_another() {
    let tokens = Arc::new(tokens());
    let (verifier, _) = world(&tokens);
    let token = tokens.mint(&workload(&verifier), scope(), now()).unwrap();
    accepted(&verifier, token.expose());
    let end = NOW_SECONDS + 300;
    assert!(verifier.verify(token.expose(), at(end + 59)).is_ok());
    assert_eq!(verifier.verify(token.expose(), at(end + 60)).map(|_| ()), Err(TokenError::Expired));
    assert_eq!(tokens.verify(token.expose(), at(end + 60)).map(|_| ()), Err(TokenError::Expired));
    let renewed = tokens.mint(&workload(&verifier), scope(), at(end)).unwrap();
    assert!(verifier.verify(renewed.expose(), at(end + 60)).is_ok());
}

#[test]
fn an_attempt_token_never_lives_longer_than_an_hour() {
    let tokens = tokens().with_ttl(DurationMs::from_secs(1_000_000));
    let (verifier, _) = world(&Arc::new(self::tokens()));
    let token = tokens.mint(&workload(&verifier), scope(), now()).unwrap();
    assert_eq!(token.expires_at(), now().plus(ATTEMPT_TTL_MAX));
}

#[test]
fn an_issuer_cannot_make_attempt_tokens_nor_the_server_human_ones() {
    let tokens = Arc::new(tokens());
    let (verifier, key) = world(&tokens);
    let claims = json!({
        "iss": SERVER, "aud": "gantral-attempt", "sub": "agent", "iat": NOW_SECONDS, "exp": NOW_SECONDS + 300,
        "tenant": "example", "instance": scope().instance.to_string(), "attempt": 2, "client_issuer": ISSUER,
        "name": "agent", "roles": [], "teams": [], "owner": null,
    });
    let header = json!({"alg": "EdDSA", "kid": "a", "typ": "gantral-attempt+jwt"}).to_string();
    refused(&verifier, &key.sign_raw(&header, &claims.to_string()), TokenError::UnknownKey);
    refused(&verifier, &key.sign(&claims), TokenError::UnknownIssuer);
    // An issuer's token is no attempt token, wherever it is shown.
    assert_eq!(tokens.verify(&key.sign(&human()), now()).map(|_| ()), Err(TokenError::Type));
}

#[test]
fn a_verifier_without_attempt_tokens_refuses_them() {
    let tokens = Arc::new(tokens());
    let (with_attempts, key) = world(&tokens);
    let token = tokens.mint(&workload(&with_attempts), scope(), now()).unwrap();
    refused(&verifier(&[config(&[&key])]), token.expose(), TokenError::Type);
}

#[test]
fn a_workload_that_is_no_longer_configured_gets_no_token() {
    let (verifier, key) = world(&Arc::new(tokens()));
    let find = |tenant: &str, issuer: &str, client: &str| {
        verifier.acting_workload(&TenantId::parse(tenant).unwrap(), issuer, &ActorId::parse(client).unwrap())
    };
    assert!(find("example", ISSUER, "agent").is_some());
    assert!(find("other", ISSUER, "agent").is_none());
    assert!(find("example", "https://other.example", "agent").is_none());
    assert!(find("example", ISSUER, "machine").is_none());
    assert!(find("example", ISSUER, "console").is_none());
    let mut without = config(&[&key]);
    without["clients"].as_object_mut().unwrap().remove("agent");
    verifier.replace(&identity(&[without])).unwrap();
    assert!(find("example", ISSUER, "agent").is_none());
}

#[test]
fn a_token_that_nobody_would_accept_is_not_made() {
    let tokens = tokens();
    let (verifier, _) = world(&Arc::new(self::tokens()));
    let mut workload = workload(&verifier);
    let none = AttemptScope { attempt: AttemptNo::NONE, ..scope() };
    assert_eq!(tokens.mint(&workload, none, now()), Err(MintError::NoAttempt));
    workload.roles = (0..100).map(|number| Role::parse(&format!("{number:0128}")).unwrap()).collect();
    assert_eq!(tokens.mint(&workload, scope(), now()), Err(MintError::TooLong));
}

#[test]
fn debug_of_an_issued_token_does_not_show_it() {
    let tokens = tokens();
    let (verifier, _) = world(&Arc::new(self::tokens()));
    let token = tokens.mint(&workload(&verifier), scope(), now()).unwrap();
    let shown = format!("{token:?} {tokens:?}");
    assert!(token.expose().split('.').all(|part| !shown.contains(part)), "{shown}");
}

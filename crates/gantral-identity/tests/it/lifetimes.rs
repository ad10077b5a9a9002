//! How long a verification counts: never longer than the token, and never longer than the configuration.

use gantral_core::time::UnixMillis;
use gantral_identity::{IdentityConfig, TokenError};
use serde_json::json;

use crate::forge::{Key, NOW_SECONDS, accepted, at, config, human, identity, now, refused, verifier, with};

#[test]
fn a_remembered_token_does_not_outlive_its_expiry() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&human());
    let end = NOW_SECONDS + 3_600;
    assert_eq!(accepted(&verifier, &token).expires_at(), at(end));
    let last = UnixMillis::new((end + 60) * 1_000 - 1).unwrap();
    assert!(verifier.verify(&token, last).is_ok());
    for seconds in [end + 60, end + 61, end + 86_400] {
        assert_eq!(verifier.verify(&token, at(seconds)).map(|_| ()), Err(TokenError::Expired));
    }
}

#[test]
fn a_remembered_token_counts_no_earlier_than_a_new_one() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&with(human(), json!({"nbf": NOW_SECONDS})));
    accepted(&verifier, &token);
    assert_eq!(verifier.verify(&token, at(NOW_SECONDS - 61)).map(|_| ()), Err(TokenError::NotYetValid));
    assert!(verifier.verify(&token, at(NOW_SECONDS - 60)).is_ok());
}

#[test]
fn a_removed_key_is_out_at_once() {
    let (old, new) = (Key::ed25519("old"), Key::ed25519("new"));
    let verifier = verifier(&[config(&[&old, &new])]);
    let (first, second) = (old.sign(&human()), new.sign(&human()));
    accepted(&verifier, &first);
    accepted(&verifier, &second);
    verifier.replace(&identity(&[config(&[&new])])).unwrap();
    refused(&verifier, &first, TokenError::UnknownKey);
    accepted(&verifier, &second);
}

#[test]
fn a_removed_issuer_client_or_role_is_out_at_once() {
    let key = Key::ed25519("a");
    let full = config(&[&key]);
    let verifier = verifier(std::slice::from_ref(&full));
    let token = key.sign(&human());
    let mut without_client = full.clone();
    without_client["clients"].as_object_mut().unwrap().remove("console");
    let mut without_roles = full.clone();
    without_roles["claims"].as_object_mut().unwrap().remove("roles");
    assert_eq!(accepted(&verifier, &token).roles().len(), 1);
    verifier.replace(&identity(&[without_client])).unwrap();
    refused(&verifier, &token, TokenError::UnknownClient);
    verifier.replace(&identity(&[without_roles])).unwrap();
    assert!(accepted(&verifier, &token).roles().is_empty());
    verifier.replace(&IdentityConfig::default()).unwrap();
    refused(&verifier, &token, TokenError::UnknownIssuer);
}

#[test]
fn a_configuration_that_is_refused_changes_nothing() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&human());
    let broken = with(config(&[&key]), json!({"audiences": []}));
    assert!(verifier.replace(&identity(&[broken])).is_err());
    accepted(&verifier, &token);
}

#[test]
fn threads_that_verify_while_the_configuration_changes_never_see_the_old_one_again() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&human());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut gone = false;
                for _ in 0..2_000 {
                    let accepted = verifier.verify(&token, now()).is_ok();
                    assert!(!(gone && accepted), "accepted after it was refused");
                    gone |= !accepted;
                }
            });
        }
        verifier.replace(&IdentityConfig::default()).unwrap();
        assert!(verifier.verify(&token, now()).is_err());
    });
    assert!(verifier.verify(&token, now()).is_err());
}

//! Tokens that must not get in, each one step away from a good one.

use std::collections::BTreeSet;

use gantral_identity::{NotPermitted, TOKEN_BYTES_MAX, TokenError};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::forge::{
    ISSUER, Key, NOW_SECONDS, accepted, b64, config, human, machine, refused, verifier, with,
};

const CLAIM: fn(&'static str) -> TokenError = |name| TokenError::Claim { name };

#[test]
fn a_good_token_of_each_algorithm_is_accepted() {
    let keys = [Key::ed25519("a"), Key::p256("b"), Key::rsa("c"), Key::rsa("d").using(Algorithm::PS256)];
    let algorithms = json!({"algorithms": ["EdDSA", "ES256", "RS256", "PS256"]});
    let verifier = verifier(&[with(config(&keys.each_ref()), algorithms)]);
    for key in &keys {
        accepted(&verifier, &key.sign(&human()));
    }
}

#[test]
fn claims_one_step_from_good_are_refused() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let cases = [
        (json!({"iss": "https://id.example/"}), TokenError::UnknownIssuer),
        (json!({"iss": "https://evil.example"}), TokenError::UnknownIssuer),
        (json!({"iss": null}), CLAIM("iss")),
        (json!({"iss": [ISSUER]}), CLAIM("iss")),
        (json!({"aud": "gantral-attempt"}), TokenError::Audience),
        (json!({"aud": ["elsewhere", "gantral2"]}), TokenError::Audience),
        (json!({"aud": []}), TokenError::Audience),
        (json!({"aud": null}), CLAIM("aud")),
        (json!({"aud": {"gantral": true}}), CLAIM("aud")),
        (json!({"aud": ["gantral", 1]}), CLAIM("aud")),
        (json!({"iat": NOW_SECONDS - 3_660, "exp": NOW_SECONDS - 60}), TokenError::Expired),
        (json!({"exp": null}), CLAIM("exp")),
        (json!({"exp": "1999999999"}), CLAIM("exp")),
        (json!({"exp": -1}), CLAIM("exp")),
        (json!({"exp": u64::MAX}), CLAIM("exp")),
        (json!({"exp": NOW_SECONDS}), CLAIM("exp")),
        (json!({"exp": NOW_SECONDS + 86_401}), TokenError::Lifetime),
        (json!({"nbf": NOW_SECONDS + 61}), TokenError::NotYetValid),
        (json!({"nbf": "now"}), CLAIM("nbf")),
        (json!({"iat": NOW_SECONDS + 61}), TokenError::NotYetValid),
        (json!({"iat": NOW_SECONDS + 61, "nbf": NOW_SECONDS - 10}), TokenError::NotYetValid),
        (json!({"iat": null}), CLAIM("iat")),
        (json!({"sub": null}), CLAIM("sub")),
        (json!({"sub": ""}), CLAIM("sub")),
        (json!({"sub": "al\nice"}), CLAIM("sub")),
        (json!({"sub": "x".repeat(513)}), CLAIM("sub")),
        (json!({"sub": 7}), CLAIM("sub")),
        (json!({"client_id": null}), CLAIM("client")),
        (json!({"client_id": ["console"]}), CLAIM("client")),
        (json!({"client_id": "stranger"}), TokenError::UnknownClient),
        (json!({"azp": "agent"}), CLAIM("client")),
        (json!({"act": {"sub": "agent"}}), TokenError::Delegated),
        (json!({"cnf": {"jkt": "x"}}), TokenError::Delegated),
        (json!({"realm": {"roles": {"RISK_OFFICER": true}}}), CLAIM("roles")),
        (json!({"realm": {"roles": (0..257).map(|n| format!("R{n}")).collect::<Vec<_>>()}}), CLAIM("roles")),
    ];
    for (change, expected) in cases {
        let token = key.sign(&with(human(), change.clone()));
        for _ in 0..2 {
            let found = verifier.verify(&token, crate::forge::now()).map(|_| ());
            assert_eq!(found, Err(expected), "{change}");
        }
    }
    accepted(&verifier, &key.sign(&human()));
}

#[test]
fn the_audience_may_stand_in_a_list() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    accepted(&verifier, &key.sign(&with(human(), json!({"aud": ["elsewhere", "gantral"]}))));
}

#[test]
fn alg_none_is_refused_in_every_spelling() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    for alg in ["none", "None", "NONE", "nOnE", ""] {
        let header = json!({"alg": alg, "kid": "a", "typ": "JWT"}).to_string();
        let message = format!("{}.{}", b64(header), b64(human().to_string()));
        refused(&verifier, &format!("{message}."), TokenError::Algorithm);
        refused(&verifier, &format!("{message}.{}", b64([0; 64])), TokenError::Algorithm);
    }
    let header = json!({"kid": "a"}).to_string();
    refused(&verifier, &key.sign_raw(&header, &human().to_string()), TokenError::Algorithm);
}

#[test]
fn a_public_key_is_no_hmac_secret() {
    let key = Key::rsa("a");
    let all = json!({"algorithms": ["EdDSA", "ES256", "RS256", "PS256"]});
    let verifier = verifier(&[with(config(&[&key]), all)]);
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some("a".to_owned());
    let jwk = key.public.to_string();
    let modulus = key.public["n"].as_str().unwrap();
    for secret in [jwk.as_bytes(), modulus.as_bytes()] {
        let token = jsonwebtoken::encode(&header, &human(), &EncodingKey::from_secret(secret)).unwrap();
        refused(&verifier, &token, TokenError::Algorithm);
    }
}

#[test]
fn a_key_answers_to_its_own_algorithm_only() {
    let (ed, ec, rsa) = (Key::ed25519("ed"), Key::p256("ec"), Key::rsa("rsa"));
    let all = json!({"algorithms": ["EdDSA", "ES256", "RS256", "PS256"]});
    let verifier = verifier(&[with(config(&[&ed, &ec, &rsa]), all)]);
    for key in [&ed, &ec, &rsa] {
        for (alg, kid) in [("EdDSA", "ed"), ("ES256", "ec"), ("RS256", "rsa"), ("PS256", "rsa")] {
            let header = json!({"alg": alg, "kid": key.kid()}).to_string();
            let token = key.sign_raw(&with_typ(&header), &human().to_string());
            let right = serde_json::to_value(key.algorithm).unwrap() == alg;
            match (right, kid == key.kid()) {
                (true, _) => drop(accepted(&verifier, &token)),
                // An RSA key is for PS256 too; but this signature is not.
                (false, true) => refused(&verifier, &token, TokenError::Signature),
                (false, false) => refused(&verifier, &token, TokenError::Algorithm),
            }
        }
    }
}

#[test]
fn an_algorithm_that_is_not_pinned_is_refused_even_with_a_good_signature() {
    let key = Key::rsa("a");
    let pinned = with(config(&[&key]), json!({"algorithms": ["PS256"]}));
    refused(&verifier(&[pinned]), &key.sign(&human()), TokenError::Algorithm);
    let mut bound = config(&[&key]);
    bound["algorithms"] = json!(["RS256", "PS256"]);
    bound["keys"]["static"]["keys"][0]["alg"] = json!("PS256");
    refused(&verifier(&[bound]), &key.sign(&human()), TokenError::Algorithm);
}

#[test]
fn a_token_names_a_published_key() {
    let (key, stranger) = (Key::ed25519("a"), Key::ed25519("a"));
    let verifier = verifier(&[config(&[&key])]);
    for header in [r#"{"alg":"EdDSA","typ":"JWT"}"#, r#"{"alg":"EdDSA","typ":"JWT","kid":1}"#] {
        refused(&verifier, &key.sign_raw(header, &human().to_string()), TokenError::KeyMissing);
    }
    for kid in ["b", "", "../a", "A"] {
        let header = json!({"alg": "EdDSA", "typ": "JWT", "kid": kid}).to_string();
        refused(&verifier, &key.sign_raw(&header, &human().to_string()), TokenError::UnknownKey);
    }
    refused(&verifier, &stranger.sign(&human()), TokenError::Signature);
}

#[test]
fn a_key_that_the_token_brings_along_is_not_used() {
    let (key, own) = (Key::ed25519("a"), Key::ed25519("a"));
    let verifier = verifier(&[config(&[&key])]);
    let header = json!({
        "alg": "EdDSA", "typ": "JWT", "kid": "a", "jwk": own.public, "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/chain",
    });
    refused(&verifier, &own.sign_raw(&header.to_string(), &human().to_string()), TokenError::Signature);
}

#[test]
fn one_issuers_key_does_not_sign_for_another() {
    let (key, other) = (Key::ed25519("a"), Key::ed25519("b"));
    let second = with(
        config(&[&other]),
        json!({
            "issuer": "https://other.example", "tenant": "other", "clients": {"console": {"kind": "human"}},
        }),
    );
    let verifier = verifier(&[config(&[&key]), second]);
    refused(&verifier, &other.sign(&human()), TokenError::UnknownKey);
    let theirs = with(human(), json!({"iss": "https://other.example"}));
    refused(&verifier, &key.sign(&theirs), TokenError::UnknownKey);
    assert_eq!(accepted(&verifier, &other.sign(&theirs)).tenant().as_str(), "other");
    assert_eq!(accepted(&verifier, &key.sign(&human())).tenant().as_str(), "example");
}

#[test]
fn a_token_changed_in_any_part_is_refused() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&human());
    let [header, payload, signature] = parts(&token);
    let richer = b64(with(human(), json!({"realm": {"roles": ["PLATFORM_ADMIN"]}})).to_string());
    refused(&verifier, &format!("{header}.{richer}.{signature}"), TokenError::Signature);
    let retyped = b64(json!({"typ": "at+jwt", "alg": "EdDSA", "kid": "a"}).to_string());
    refused(&verifier, &format!("{retyped}.{payload}.{signature}"), TokenError::Signature);
    for cut in [b64([0; 64]), b64([0; 63]), String::new()] {
        refused(&verifier, &format!("{header}.{payload}.{cut}"), TokenError::Signature);
    }
    for at in 0..token.len() {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        assert!(verifier.verify(&changed, crate::forge::now()).is_err(), "byte {at}");
    }
}

#[test]
fn what_is_not_a_compact_token_is_refused() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&human());
    let [header, payload, signature] = parts(&token);
    for malformed in [
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "a.b.c".to_owned(),
        format!("{header}.{payload}"),
        format!("{token}.x"),
        format!(" {token}"),
        format!("{token}\n"),
        format!("{token}="),
        format!("Bearer {token}"),
        format!("{header}.{payload}=.{signature}"),
        format!("{header}..{signature}"),
        key.sign_raw(r#"["alg","EdDSA"]"#, "{}"),
        key.sign_raw(&good_header(), "[]"),
        key.sign_raw(&good_header(), "{\"iss\":"),
        key.sign_raw(&good_header(), &format!("{} ", "[".repeat(2_000))),
        key.sign_raw(&good_header(), "\u{feff}{}"),
    ] {
        refused(&verifier, &malformed, TokenError::Malformed);
    }
}

#[test]
fn an_oversized_token_is_refused_before_it_is_read() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&with(human(), json!({"padding": "x".repeat(TOKEN_BYTES_MAX)})));
    refused(&verifier, &token, TokenError::TooLong);
    refused(&verifier, &"x".repeat(10 << 20), TokenError::TooLong);
}

#[test]
fn a_member_that_stands_twice_is_refused_at_any_depth() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let good = human().to_string();
    let body = good.strip_prefix('{').unwrap();
    for twice in [
        format!(r#"{{"sub":"mallory",{body}"#),
        format!(r#"{{"s\u0075b":"mallory",{body}"#),
        format!(r#"{{"deep":[{{"x":{{"a":1,"a":2}}}}],{body}"#),
    ] {
        refused(&verifier, &key.sign_raw(&good_header(), &twice), TokenError::Malformed);
    }
    for header in [r#"{"alg":"EdDSA","alg":"none","kid":"a"}"#, r#"{"alg":"EdDSA","kid":"b","kid":"a"}"#] {
        refused(&verifier, &key.sign_raw(header, &good), TokenError::Malformed);
    }
}

#[test]
fn a_header_that_asks_for_an_extension_or_another_type_is_refused() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    for (more, expected) in [
        (json!({"crit": ["b64"], "b64": false}), TokenError::Extension),
        (json!({"crit": []}), TokenError::Extension),
        (json!({"typ": null}), TokenError::Type),
        (json!({"typ": "secevent+jwt"}), TokenError::Type),
        (json!({"typ": "dpop+jwt"}), TokenError::Type),
        (json!({"typ": "gantral-attempt+jwt"}), TokenError::Type),
        (json!({"typ": ["JWT"]}), TokenError::Type),
    ] {
        let header = with(serde_json::from_str(&good_header()).unwrap(), more);
        refused(&verifier, &key.sign_raw(&header.to_string(), &human().to_string()), expected);
    }
    for typ in ["jwt", "JWT", "at+jwt", "application/at+JWT"] {
        let header = with(serde_json::from_str(&good_header()).unwrap(), json!({"typ": typ}));
        accepted(&verifier, &key.sign_raw(&header.to_string(), &human().to_string()));
    }
}

#[test]
fn a_token_without_a_type_is_accepted_where_the_issuer_is_configured_so() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[with(config(&[&key]), json!({"token_types": ["none"]}))]);
    accepted(&verifier, &key.sign_raw(r#"{"alg":"EdDSA","kid":"a"}"#, &machine("agent").to_string()));
    refused(&verifier, &key.sign(&machine("agent")), TokenError::Type);
}

#[test]
fn neither_errors_nor_debug_output_show_the_token() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let token = key.sign(&with(human(), json!({"sub": "canary-subject", "name": "canary-name"})));
    let principal = accepted(&verifier, &token);
    let approver = principal.approver().unwrap();
    let mut shown = format!("{verifier:?} {principal:?} {approver:?}");
    for error in TokenError::ALL {
        shown.push_str(&format!("{error} {error:?} {}", error.code()));
    }
    assert!(!shown.contains("canary"), "{shown}");
    assert!(parts(&token).iter().all(|part| !shown.contains(part)), "{shown}");
}

#[test]
fn every_refusal_has_its_own_code() {
    let tokens = TokenError::ALL.iter().map(|error| error.code());
    let standing = NotPermitted::ALL.iter().map(|error| error.code());
    let codes: Vec<_> = tokens.chain(standing).collect();
    assert_eq!(codes.iter().collect::<BTreeSet<_>>().len(), codes.len());
}

fn good_header() -> String {
    with_typ(r#"{"alg":"EdDSA","kid":"a"}"#)
}

fn with_typ(header: &str) -> String {
    with(serde_json::from_str::<Value>(header).unwrap(), json!({"typ": "JWT"})).to_string()
}

fn parts(token: &str) -> [&str; 3] {
    token.split('.').collect::<Vec<_>>().try_into().unwrap()
}

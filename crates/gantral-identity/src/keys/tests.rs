use super::*;
use crate::signing::TokenKey;

fn ed25519() -> Jwk {
    TokenKey::generate().unwrap().public_jwk()
}

fn ring(keys: Vec<Jwk>) -> Result<KeyRing, KeyError> {
    KeyRing::new(&JwkSet { keys })
}

#[test]
fn a_key_set_with_a_secret_part_is_refused() {
    let secret = Jwk { d: Some("AA".to_owned()), ..ed25519() };
    assert!(matches!(ring(vec![secret]), Err(KeyError::Secret { .. })));
    let shared = Jwk { kty: "oct".to_owned(), k: Some("AA".to_owned()), ..Jwk::default() };
    assert!(matches!(ring(vec![ed25519(), shared]), Err(KeyError::Secret { .. })));
}

#[test]
fn a_key_without_a_name_or_with_a_taken_name_is_refused() {
    assert!(matches!(ring(vec![Jwk { kid: None, ..ed25519() }]), Err(KeyError::KeyId)));
    assert!(matches!(ring(vec![Jwk { kid: Some(String::new()), ..ed25519() }]), Err(KeyError::KeyId)));
    let first = ed25519();
    let second = Jwk { kid: first.kid.clone(), ..ed25519() };
    assert!(matches!(ring(vec![first, second]), Err(KeyError::Twice { .. })));
}

#[test]
fn one_bad_key_of_a_published_set_leaves_the_others_alone() {
    let (good, first) = (ed25519(), ed25519());
    let second = Jwk { kid: first.kid.clone(), ..ed25519() };
    let secret = Jwk { d: Some("AA".to_owned()), ..ed25519() };
    let broken = Jwk { x: Some("AAAA".to_owned()), ..ed25519() };
    let nameless = Jwk { kid: None, ..ed25519() };
    let keys = vec![good.clone(), first, second, secret.clone(), broken, nameless];
    let (ring, left_out) = KeyRing::published(&JwkSet { keys }).unwrap();
    assert_eq!(
        ring.0.keys().collect::<Vec<_>>(),
        [&good.kid.unwrap()],
        "of two keys with one name neither is believed"
    );
    assert_eq!(left_out.len(), 4, "{left_out:?}");
    let none = KeyRing::published(&JwkSet { keys: vec![secret] }).err();
    assert!(matches!(none, Some(KeyError::Secret { .. })), "{none:?}");
    assert!(matches!(KeyRing::published(&JwkSet::default()), Err(KeyError::None)));
    let many = JwkSet { keys: (0..65).map(|_| Jwk { kty: "oct".to_owned(), ..Jwk::default() }).collect() };
    assert!(matches!(KeyRing::published(&many), Err(KeyError::TooMany)));
}

#[test]
fn keys_for_other_uses_and_algorithms_are_skipped() {
    let other = |change: fn(&mut Jwk)| {
        let mut jwk = ed25519();
        change(&mut jwk);
        jwk
    };
    let skipped = vec![
        other(|jwk| jwk.usage = Some("enc".to_owned())),
        other(|jwk| jwk.alg = Some("RS256".to_owned())),
        other(|jwk| jwk.crv = Some("Ed448".to_owned())),
        other(|jwk| jwk.kty = "EC".to_owned()),
        other(|jwk| jwk.kty = "oct".to_owned()),
    ];
    assert!(matches!(ring(skipped), Err(KeyError::None)));
}

#[test]
fn short_and_broken_keys_are_refused() {
    let broken = Jwk { x: Some("AAAA".to_owned()), ..ed25519() };
    assert!(matches!(ring(vec![broken]), Err(KeyError::Malformed { .. })));
    let rsa_1024 = Jwk {
        kty: "RSA".to_owned(),
        kid: Some("short".to_owned()),
        n: Some(URL_SAFE_NO_PAD.encode([0xc5; 128])),
        e: Some("AQAB".to_owned()),
        ..Jwk::default()
    };
    assert!(matches!(ring(vec![rsa_1024]), Err(KeyError::Malformed { .. })));
    let off_the_curve = Jwk {
        kty: "EC".to_owned(),
        kid: Some("off".to_owned()),
        crv: Some("P-256".to_owned()),
        x: Some(URL_SAFE_NO_PAD.encode([1; 32])),
        y: Some(URL_SAFE_NO_PAD.encode([1; 32])),
        ..Jwk::default()
    };
    assert!(matches!(ring(vec![off_the_curve]), Err(KeyError::Malformed { .. })));
}

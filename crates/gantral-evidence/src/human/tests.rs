use alloc::string::String;
use alloc::vec::Vec;
use alloc::{format, vec};

use ed25519_dalek::Signer as _;
use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{LogOrigin, PersonId, TenantId};
use gantral_core::time::UnixMillis;

use super::*;
use crate::keys::{KeyError, PublicKey};

/// RFC 6979 §A.2.5: the key, and its signatures with SHA-256 over `sample` and `test`.
const KEY: &str = "04\
    60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
    7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
const SECRET: &str = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721";
const SIGNED: [(&str, &str); 2] = [
    (
        "sample",
        "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716\
         022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ),
    (
        "test",
        "3045022100f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367\
         0220019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    ),
];
/// The order of the curve.
const ORDER: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";

const FLAGS: u8 = 0b0000_0101;

fn bytes(hex: &str) -> Vec<u8> {
    hex::decode(hex).unwrap()
}

fn key() -> ApproverKey {
    ApproverKey::parse(Algorithm::Es256, KEY).unwrap()
}

fn relying_party() -> RelyingParty {
    let origins = vec![Origin::parse("https://approvals.example").unwrap()];
    RelyingParty::new(RelyingPartyId::parse("approvals.example").unwrap(), origins).unwrap()
}

fn enrolment() -> Enrolment {
    Enrolment {
        aaguid: [0xab; 16],
        backup_eligible: false,
        created_at: UnixMillis::new(1_772_355_600_000).unwrap(),
        credential_id: CredentialId::new(vec![1, 2, 3]).unwrap(),
        key: key(),
        label: None,
        origin: LogOrigin::parse("log.example/acme").unwrap(),
        person: PersonId(Digest::of(b"person")),
        relying_party: relying_party().id,
        tenant: TenantId::parse("acme").unwrap(),
    }
}

fn client_data(challenge: &Digest) -> String {
    let challenge = to_base64url(challenge.as_bytes());
    format!(
        "{{\"type\":\"webauthn.get\",\"challenge\":\"{challenge}\",\"origin\":\"https://approvals.example\",\"crossOrigin\":false}}"
    )
}

fn authenticator_data(flags: u8) -> Vec<u8> {
    [relying_party().id.hash().as_bytes().as_slice(), &[flags, 0, 0, 0, 7]].concat()
}

/// What the authenticator of [`enrolment`] answers, whatever it is asked.
fn answer(authenticator_data: Vec<u8>, client_data: &str) -> Assertion {
    let secret = p256::ecdsa::SigningKey::from_slice(&bytes(SECRET)).unwrap();
    let message = [&authenticator_data[..], Digest::of(client_data.as_bytes()).as_bytes()].concat();
    let signature: p256::ecdsa::Signature = secret.sign(&message);
    Assertion {
        entry: enrolment().digest(),
        credential_id: enrolment().credential_id,
        authenticator_data,
        client_data: client_data.as_bytes().to_vec(),
        signature: der(&signature.to_bytes()),
    }
}

/// Writes a signature as authenticators do.
fn der(signature: &[u8]) -> Vec<u8> {
    let integer = |digits: &[u8]| {
        let from = digits.iter().position(|digit| *digit != 0).unwrap();
        let sign: &[u8] = if digits[from] >= 0x80 { &[0] } else { &[] };
        let content = [sign, &digits[from..]].concat();
        [&[2, content.len() as u8], &content[..]].concat()
    };
    let (r, s) = signature.split_at(32);
    let content = [integer(r), integer(s)].concat();
    [&[0x30, content.len() as u8], &content[..]].concat()
}

fn check(assertion: &Assertion) -> Result<(), AssertionFault> {
    assertion.check(&enrolment(), &relying_party(), &Digest::of(b"decision"))
}

#[test]
fn signatures_of_the_published_vectors_verify() {
    assert_eq!(key().to_hex(), KEY);
    for (message, signature) in SIGNED {
        assert_eq!(key().verify(message.as_bytes(), &bytes(signature)), Ok(()), "{message}");
        assert!(key().verify(b"other", &bytes(signature)).is_err());
    }
}

#[test]
fn a_signature_has_one_encoding() {
    let (message, good) = SIGNED[1];
    let (r, s) = (&good[10..74], &good[78..]);
    let signed = |hex: &str| key().verify(message.as_bytes(), &bytes(hex)).is_ok();
    assert!(signed(&format!("3045022100{r}0220{s}")));
    for (what, hex) in [
        ("a byte behind it", format!("3045022100{r}0220{s}00")),
        ("a byte behind it inside", format!("3046022100{r}0220{s}00")),
        ("a length in two bytes", format!("308145022100{r}0220{s}")),
        ("a number that looks negative", format!("30440220{r}0220{s}")),
        ("a zero too many", format!("3046022100{r}022100{s}")),
        ("cut", format!("3045022100{r}0220{}", &s[..62])),
        ("another tag", format!("3145022100{r}0220{s}")),
        ("zero", format!("3026022100{r}020100")),
        ("the order of the curve", format!("3046022100{r}022100{ORDER}")),
        ("no DER at all", format!("{r}{s}")),
        ("nothing", String::new()),
    ] {
        assert!(!signed(&hex), "{what}");
    }
}

#[test]
fn a_key_is_a_point_in_its_one_spelling() {
    let parsed = |hex: &str| ApproverKey::parse(Algorithm::Es256, hex);
    assert_eq!(parsed(&KEY[2..]), Err(ApproverKeyError::Syntax));
    assert_eq!(parsed(&KEY.to_uppercase()), Err(ApproverKeyError::Syntax));
    assert_eq!(parsed(&format!("03{}", &KEY[2..])), Err(ApproverKeyError::Point));
    assert_eq!(parsed(&format!("{}98", &KEY[..128])), Err(ApproverKeyError::Point));
    assert_eq!(parsed(&format!("04{}", "0".repeat(128))), Err(ApproverKeyError::Point));
    let small = "0".repeat(64);
    assert!(matches!(ApproverKey::parse(Algorithm::Ed25519, &small), Err(ApproverKeyError::Ed25519(_))));
}

#[test]
fn the_owner_of_an_enrolled_key_agrees() {
    let decision = Digest::of(b"decision");
    assert_eq!(check(&answer(authenticator_data(FLAGS), &client_data(&decision))), Ok(()));
    // Extensions are covered by the signature and not looked at; members that browsers add are not either.
    let extended = [authenticator_data(FLAGS | 0x80), vec![0xa0]].concat();
    let added = client_data(&decision)
        .replace("false}", "false,\"other_keys_can_be_added_here\":\"do not compare\"}");
    assert_eq!(check(&answer(extended, &added)), Ok(()));
    assert_eq!(
        check(&answer(
            authenticator_data(FLAGS),
            &client_data(&decision).replace(",\"crossOrigin\":false", "")
        )),
        Ok(())
    );
}

#[test]
fn ed25519_authenticators_agree_too() {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[7; 32]);
    let public = PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap();
    let enrolment = Enrolment { key: ApproverKey::Ed25519(public), ..enrolment() };
    let decision = Digest::of(b"decision");
    let mut assertion = answer(authenticator_data(FLAGS), &client_data(&decision));
    assertion.entry = enrolment.digest();
    assert_eq!(assertion.check(&enrolment, &relying_party(), &decision), Err(AssertionFault::Signature));
    let message = [&assertion.authenticator_data[..], Digest::of(&assertion.client_data).as_bytes()].concat();
    assertion.signature = secret.sign(&message).to_bytes().to_vec();
    assert_eq!(assertion.check(&enrolment, &relying_party(), &decision), Ok(()));
}

#[test]
fn what_was_asked_elsewhere_or_about_something_else_is_no_agreement() {
    let good = client_data(&Digest::of(b"decision"));
    let faults = [
        (client_data(&Digest::of(b"another")), ClientDataFault::Challenge),
        (good.replace("webauthn.get", "webauthn.create"), ClientDataFault::Type),
        (
            good.replace("https://approvals.example", "https://approvals.example.evil"),
            ClientDataFault::Origin,
        ),
        (
            good.replace("https://approvals.example", "https://approvals.example:8443"),
            ClientDataFault::Origin,
        ),
        (good.replace("\"crossOrigin\":false", "\"crossOrigin\":true"), ClientDataFault::Embedded),
        (
            good.replace("false}", "false,\"topOrigin\":\"https://approvals.example\"}"),
            ClientDataFault::Embedded,
        ),
    ];
    for (data, fault) in faults {
        assert_eq!(check(&answer(authenticator_data(FLAGS), &data)), Err(fault.into()), "{data}");
    }
    for data in [
        good.replace("\"type\":\"webauthn.get\",", "\"type\":\"webauthn.get\",\"type\":\"webauthn.get\","),
        good.replace("\"crossOrigin\":false", "\"crossOrigin\":null"),
        good.replace(",\"crossOrigin\":false", &format!(",\"x\":\"{}\"", "x".repeat(CLIENT_DATA_BYTES_MAX))),
        good.replace("\"origin\":", "\"origins\":"),
        String::new(),
    ] {
        let found = check(&answer(authenticator_data(FLAGS), &data));
        assert!(matches!(found, Err(AssertionFault::ClientData(_))), "{data}: {found:?}");
    }
}

#[test]
fn an_authenticator_that_did_not_verify_its_owner_says_nothing() {
    let good = client_data(&Digest::of(b"decision"));
    for (flags, fault) in [
        (0b0000_0001, AssertionFault::Unverified),
        (0b0000_0100, AssertionFault::Unverified),
        (FLAGS | 0b0000_1000, AssertionFault::Backup),
        (FLAGS | 0b0001_0000, AuthenticatorDataError::Backup.into()),
        (FLAGS | 0b0100_0000, AuthenticatorDataError::Attested.into()),
        (FLAGS | 0b1000_0000, AuthenticatorDataError::Length.into()),
    ] {
        assert_eq!(check(&answer(authenticator_data(flags), &good)), Err(fault), "{flags:#010b}");
    }
    let tail = [authenticator_data(FLAGS), vec![0]].concat();
    assert_eq!(check(&answer(tail, &good)), Err(AuthenticatorDataError::Length.into()));
    assert_eq!(
        check(&answer(authenticator_data(FLAGS)[..36].to_vec(), &good)),
        Err(AuthenticatorDataError::Length.into())
    );
    let elsewhere =
        [Digest::of(b"evil.example").as_bytes().as_slice(), &authenticator_data(FLAGS)[32..]].concat();
    assert_eq!(check(&answer(elsewhere, &good)), Err(AssertionFault::SignedFor));
}

#[test]
fn an_assertion_is_by_the_key_that_it_names() {
    let good = answer(authenticator_data(FLAGS), &client_data(&Digest::of(b"decision")));
    let changed = |change: fn(&mut Assertion)| {
        let mut assertion = good.clone();
        change(&mut assertion);
        check(&assertion)
    };
    assert_eq!(changed(|it| it.entry = Digest::of(b"other")), Err(AssertionFault::Entry));
    assert_eq!(
        changed(|it| it.credential_id = CredentialId::new(vec![1, 2]).unwrap()),
        Err(AssertionFault::Entry)
    );
    assert_eq!(changed(|it| it.authenticator_data[36] ^= 1), Err(AssertionFault::Signature));
    let elsewhere = RelyingParty { id: RelyingPartyId::parse("example").unwrap(), ..relying_party() };
    assert_eq!(
        good.check(&enrolment(), &elsewhere, &Digest::of(b"decision")),
        Err(AssertionFault::RelyingParty)
    );
}

#[test]
fn an_assertion_has_one_encoding() {
    let assertion = answer(authenticator_data(FLAGS), &client_data(&Digest::of(b"decision")));
    let file = assertion.encode();
    assert_eq!(Assertion::parse(&file), Ok(assertion));
    let text = String::from_utf8(file).unwrap();
    let with = |from: &str, to: &str| Assertion::parse(text.replace(from, to).as_bytes());
    assert_eq!(with("assertion/v1", "assertion/v2"), Err(AssertionError::Format));
    assert_eq!(with("\"AQID\"", "\"AQID=\""), Err(AssertionError::Bytes("credential_id")));
    assert_eq!(with("\"AQID\"", "\"\""), Err(AssertionError::Bytes("credential_id")));
    let long = to_base64url(&[0; CREDENTIAL_ID_BYTES_MAX + 1]);
    assert_eq!(with("\"AQID\"", &format!("\"{long}\"")), Err(AssertionError::Bytes("credential_id")));
    assert!(matches!(with("\",\"", "\", \""), Err(AssertionError::Json(_))));
    assert!(matches!(with("\"signature\"", "\"signatures\""), Err(AssertionError::Field(_))));
}

#[test]
fn an_enrolment_is_named_by_its_payload_and_signed_beside_it() {
    let secret = ed25519_dalek::SigningKey::from_bytes(&[8; 32]);
    let directory = PublicKey::from_bytes(secret.verifying_key().as_bytes()).unwrap();
    let enrolment =
        Enrolment { label: Some(label_commitment(&Salt::from_bytes([3; 32]), "yellow key")), ..enrolment() };
    let envelope = enrolment.signed(&directory.id(), &secret.sign(&enrolment.message()).to_bytes());
    let read = SignedEnrolment::parse(&envelope).unwrap();
    assert_eq!(read.digest(), enrolment.digest());
    assert_eq!(read.enrolment(), Ok(enrolment.clone()));
    assert!(read.is_signed_by(&directory));
    assert_eq!(read.claimed().collect::<Vec<_>>(), [directory.id()]);
    let forged = enrolment.signed(&directory.id(), &secret.sign(b"something else").to_bytes());
    assert!(!SignedEnrolment::parse(&forged).unwrap().is_signed_by(&directory));
    let stranger = ed25519_dalek::SigningKey::from_bytes(&[9; 32]);
    let stranger = PublicKey::from_bytes(stranger.verifying_key().as_bytes()).unwrap();
    assert!(!read.is_signed_by(&stranger));
}

#[test]
fn an_enrolment_has_one_encoding() {
    let enrolment = Enrolment { backup_eligible: true, ..enrolment() };
    let text = String::from_utf8(enrolment.encode()).unwrap();
    assert_eq!(Enrolment::decode(text.as_bytes()), Ok(enrolment));
    let with = |from: &str, to: &str| Enrolment::decode(text.replace(from, to).as_bytes());
    let aaguid = "abababab-abab-abab-abab-abababababab";
    assert!(text.contains(aaguid), "{text}");
    assert_eq!(with("enrolment/v1", "enrolment/v2"), Err(EnrolmentError::Format));
    assert_eq!(with("es256", "ed25519"), Err(EnrolmentError::Key(KeyError::Syntax.into())));
    for (from, to) in [
        ("es256", "rs256"),
        (aaguid, &aaguid.to_uppercase()),
        (aaguid, "abababababababababababababababab"),
        (aaguid, "ababababa-bab-abab-abab-abababababab"),
        ("\"AQID\"", "\"AQID==\""),
        ("\"approvals.example\"", "\"approvals example\""),
        ("\"label_commitment\":null,", ""),
        ("{", "{\"a\":1,"),
    ] {
        assert!(matches!(with(from, to), Err(EnrolmentError::Field(_))), "{to}");
    }
    assert!(matches!(with(":", ": "), Err(EnrolmentError::Json(_))));
}

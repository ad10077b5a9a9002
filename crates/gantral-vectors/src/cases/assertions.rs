//! Assertions that do not show what they should: asked elsewhere, answered by others, changed.

use gantral_core::digest::Digest;
use gantral_evidence::human::{Assertion, CredentialId, RelyingPartyId};

use super::guards::and;
use super::passkeys::{Scene, TWIN, approved, naming, retell, scene};
use crate::authenticator::*;
use crate::case::Case;

pub(super) fn all() -> Vec<Case> {
    let mut cases = client_data_of_others();
    cases.extend(answers_of_others());
    cases.extend(files_of_others());
    cases
}

fn forged(
    number: u16,
    slug: &'static str,
    about: &'static str,
    change: impl Fn(&Authenticator, &mut Assertion),
) -> Case {
    scene(change).case(number, slug, about).invalid(&and(["E_WEBAUTHN"]), TWIN)
}

fn client_data_of_others() -> Vec<Case> {
    let told = |number, slug, about, from: &'static str, to: &'static str| {
        forged(number, slug, about, move |authenticator, assertion| {
            retell(authenticator, assertion, from, to);
        })
    };
    vec![
        forged(
            630,
            "passkey-for-another-decision",
            "It signed another decision",
            |authenticator, assertion| {
                *assertion = authenticator.answer(assertion.entry, &Digest::of(b"another decision"));
            },
        ),
        told(
            631,
            "passkey-asked-elsewhere",
            "It was asked on a page of somebody else",
            ORIGIN,
            "https://evil.example",
        ),
        told(
            632,
            "passkey-asked-at-another-port",
            "It was asked at another port",
            ORIGIN,
            "https://approvals.example:8443",
        ),
        told(
            633,
            "passkey-asked-in-a-frame",
            "It was asked inside a page of somebody else",
            "\"crossOrigin\":false",
            "\"crossOrigin\":true",
        ),
        told(
            634,
            "passkey-asked-below-another",
            "The page stood below another",
            "false}",
            "false,\"topOrigin\":\"https://approvals.example\"}",
        ),
        told(
            635,
            "passkey-of-a-registration",
            "It was asked to make a key",
            "webauthn.get",
            "webauthn.create",
        ),
        told(
            636,
            "passkey-asked-twice",
            "The client data says its challenge twice",
            "{",
            "{\"challenge\":\"AAAA\",",
        ),
        told(637, "passkey-without-json", "The client data is no JSON", "}", ""),
        told(
            638,
            "passkey-with-an-odd-frame",
            "Whether it stood in a frame is not said as true or false",
            "false}",
            "null}",
        ),
    ]
}

fn answers_of_others() -> Vec<Case> {
    let flagged = |number, slug, about, flags: u8| {
        forged(number, slug, about, move |authenticator, assertion| {
            assertion.authenticator_data[32] = flags;
            authenticator.sign(assertion);
        })
    };
    vec![
        forged(
            640,
            "passkey-for-another-party",
            "It signed for another relying party",
            |authenticator, assertion| {
                let other = RelyingPartyId::parse("evil.example").unwrap();
                assertion.authenticator_data = authenticator_data(&other, VERIFIED);
                authenticator.sign(assertion);
            },
        ),
        flagged(641, "passkey-unverified", "It was not made sure who was there", VERIFIED & !0b100),
        flagged(642, "passkey-of-nobody", "Nobody was there", VERIFIED & !1),
        flagged(
            643,
            "passkey-no-longer-bound",
            "The key is not bound to its device any more",
            VERIFIED | BACKUP_ELIGIBLE,
        ),
        flagged(644, "passkey-with-a-credential", "It brings a credential", VERIFIED | 0x40),
        flagged(
            645,
            "passkey-without-its-extensions",
            "Extensions are announced, and not there",
            VERIFIED | 0x80,
        ),
        Scene::of(
            approved(),
            |_| Authenticator::synced(1),
            |authenticator, assertion| {
                assertion.authenticator_data[32] = VERIFIED | 0b1_0000;
                authenticator.sign(assertion);
            },
        )
        .case(646, "passkey-copied-and-not", "The key was copied, and cannot be")
        .invalid(&and(["E_WEBAUTHN"]), "621-passkey-synced"),
        forged(
            647,
            "passkey-of-a-thief",
            "A thief of the issuer's key signs with an authenticator of their own",
            |_, assertion| {
                Authenticator::device_bound(9).sign(assertion);
            },
        ),
        forged(648, "passkey-changed", "The authenticator data is not what was signed", |_, assertion| {
            assertion.authenticator_data[36] += 1;
        }),
        forged(649, "passkey-of-another-name", "The assertion names another key", |_, assertion| {
            assertion.credential_id = CredentialId::new(vec![9; 16]).unwrap();
        }),
        forged(
            674,
            "passkey-with-a-long-number",
            "A number of the signature has a zero too many",
            |_, assertion| {
                let at = 3 + usize::from(assertion.signature[3]) + 1;
                let length = assertion.signature[at + 1] + 1;
                assertion.signature[at + 1] = length;
                assertion.signature.insert(at + 2, 0);
                assertion.signature[1] += 1;
            },
        ),
        Scene::of(approved(), |_| Authenticator::ed25519(1), |_, assertion| assertion.signature[63] ^= 1)
            .case(675, "passkey-ed25519-changed", "The signature of an Ed25519 key does not verify")
            .invalid(&and(["E_WEBAUTHN"]), "622-passkey-ed25519"),
    ]
}

/// The files of evidence as they should not be.
fn files_of_others() -> Vec<Case> {
    let whole = || {
        let scene = scene(|_, _| ());
        let (path, file) = scene.files.iter().find(|(path, _)| path.starts_with("human/")).unwrap();
        let (path, file) = (path.clone(), String::from_utf8(file.clone()).unwrap());
        (scene, path, file)
    };
    let spelled = |number, slug, about, from: &str, to: &str| {
        let (scene, _, file) = whole();
        assert!(file.contains(from), "the file holds what is changed in it");
        naming(scene, file.replacen(from, to, 1).into_bytes())
            .case(number, slug, about)
            .invalid(&and(["E_WEBAUTHN"]), TWIN)
    };
    let (mut withheld, path, _) = whole();
    withheld.files.remove(&path);
    let (mut exchanged, path, file) = whole();
    exchanged.files.insert(path, file.replacen("AQEBAQ", "AQEBAg", 1).into_bytes());
    vec![
        spelled(
            650,
            "assertion-not-canonical",
            "The assertion is not in its canonical form",
            "\",\"",
            "\", \"",
        ),
        spelled(651, "assertion-of-another-format", "The assertion has another format", "n/v1", "n/v2"),
        spelled(652, "assertion-with-more", "The assertion has another member", "{", "{\"a\":1,"),
        spelled(
            653,
            "assertion-padded",
            "A member of the assertion is padded",
            "AQ\",\"entry",
            "AQ==\",\"entry",
        ),
        withheld
            .case(654, "assertion-withheld", "The assertion is not there")
            .inconclusive(&and(["E_EVIDENCE_WITHHELD"])),
        exchanged
            .case(655, "assertion-exchanged", "The assertion is not the one that the decision names")
            .invalid(&and(["E_CONTAINER"]), TWIN),
    ]
}

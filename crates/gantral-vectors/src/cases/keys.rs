//! Whose signatures count.

use ed25519_dalek::SigningKey;
use gantral_core::ids::TenantId;
use gantral_evidence::container::Scope;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustedKey};

use crate::case::{Case, FileMap, lean};
use crate::cast::*;
use crate::tales;

const TWIN: &str = "025-never-asked";
const KEPT: &[&str] = &["N_UNGATED", "N_WITHHELD"];

fn pinned(keys: impl IntoIterator<Item = TrustedKey>) -> Trust {
    Trust::new(keys, Some(Require::signed())).unwrap()
}

fn key() -> TrustedKey {
    TrustedKey::issuer(public(&issuer()))
}

fn changed(number: u16, slug: &'static str, about: &'static str, change: impl FnOnce(&mut FileMap)) -> Case {
    let story = tales::ungated();
    let mut files = lean(&story);
    change(&mut files);
    Case::from_files(number, slug, about, &story, Scope::Complete, files)
}

fn under(number: u16, slug: &'static str, about: &'static str, trust: &Trust) -> Case {
    changed(number, slug, about, |_| {}).under(trust)
}

fn plus<const N: usize>(code: &'static str, more: [&'static str; N]) -> Vec<&'static str> {
    std::iter::once(code).chain(more).collect()
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = signatures();
    cases.extend(trusted());
    cases.extend(second_signatures());
    cases
}

fn signatures() -> Vec<Case> {
    let touched = |number, slug, about, touch: fn(&mut Envelope)| {
        changed(number, slug, about, |files| {
            let mut envelope = Envelope::parse(&files[&artifact(2)]).unwrap();
            touch(&mut envelope);
            files.insert(artifact(2), envelope.encode());
        })
    };
    vec![
        touched(300, "changed-payload", "One bit of a payload is another", |envelope| {
            let at = envelope.payload.len() / 2;
            envelope.payload[at] ^= 1;
        })
        .invalid(&["E_SIG", "N_WITHHELD"], TWIN),
        touched(301, "changed-signature", "One bit of a signature is another", |envelope| {
            envelope.signatures[0].signature[40] ^= 1;
        })
        .invalid(&["E_SIG", "N_WITHHELD"], TWIN),
        touched(
            302,
            "signature-beyond-the-order",
            "S is S + L, which a loose verifier accepts",
            |envelope| {
                add_order(&mut envelope.signatures[0].signature[32..]);
            },
        )
        .invalid(&["E_SIG", "N_WITHHELD"], TWIN),
        touched(
            303,
            "another-key-id",
            "The key id that is claimed names no key that is pinned",
            |envelope| {
                envelope.signatures[0].key_id = "somebody".to_owned();
            },
        )
        .inconclusive(&["E_KEY_UNKNOWN", "N_WITHHELD"]),
    ]
}

/// Adds the order of the group to a little-endian number.
fn add_order(scalar: &mut [u8]) {
    const ORDER: [u8; 32] = [
        0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0,
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
    ];
    let mut carry = 0_u16;
    for (digit, addend) in scalar.iter_mut().zip(ORDER) {
        let sum = u16::from(*digit) + u16::from(addend) + carry;
        [*digit, _] = sum.to_le_bytes();
        carry = sum >> 8;
    }
}

fn trusted() -> Vec<Case> {
    let tenant = |name| Some(vec![TenantId::parse(name).unwrap()]);
    let without_trust = changed(310, "no-trust-file", "Nothing is pinned", |_| {});
    let directory = pinned([TrustedKey { role: KeyRole::Directory, ..key() }]);
    vec![
        Case { trust: None, ..without_trust }.inconclusive(&["E_NO_TRUST"]),
        under(
            311,
            "no-profile",
            "The trust file does not say what is required",
            &Trust::new([key()], None).unwrap(),
        )
        .inconclusive(&plus("E_NO_REQUIRE", ["N_UNGATED", "N_WITHHELD"])),
        under(
            312,
            "unknown-key",
            "Nobody pinned the key",
            &pinned([TrustedKey::issuer(public(&stranger()))]),
        )
        .inconclusive(&["E_KEY_UNKNOWN"]),
        under(313, "key-of-another-role", "The key is pinned for something else", &directory)
            .invalid(&["E_KEY_ROLE"], TWIN),
        under(
            314,
            "key-of-this-tenant",
            "The key speaks for this tenant",
            &pinned([TrustedKey { tenants: tenant("acme"), ..key() }]),
        )
        .valid(KEPT),
        under(
            315,
            "key-of-another-tenant",
            "The key speaks for another tenant",
            &pinned([TrustedKey { tenants: tenant("other"), ..key() }]),
        )
        .invalid(&plus("E_KEY_ROLE", ["N_UNGATED", "N_WITHHELD"]), "314-key-of-this-tenant"),
        under(
            316,
            "compromised-key",
            "The key is compromised, and nothing is logged",
            &pinned([TrustedKey { compromised_from: Some(9), ..key() }]),
        )
        .inconclusive(&plus("E_KEY_COMPROMISED", ["N_UNGATED", "N_WITHHELD"])),
        under(
            317,
            "key-with-a-window",
            "The key has a window, and nothing is logged",
            &pinned([TrustedKey { valid_until: Some(9), ..key() }]),
        )
        .inconclusive(&plus("E_UNLOGGED", ["N_UNGATED", "N_WITHHELD"])),
    ]
}

fn second_signatures() -> Vec<Case> {
    let with = |number, slug, about, by: &SigningKey, of: Option<&'static [u8]>| {
        changed(number, slug, about, |files| {
            let envelope = countersign(&files[&artifact(2)], by, of);
            files.insert(artifact(2), envelope);
        })
    };
    let second = TrustedKey::issuer(public(&stranger()));
    let both = pinned([key(), second.clone()]);
    let other_role = pinned([key(), TrustedKey { role: KeyRole::Directory, ..second }]);
    vec![
        with(320, "signature-of-a-stranger-beside", "A stranger signed too", &stranger(), None)
            .valid(&plus("N_EXTRA_SIG", ["N_UNGATED", "N_WITHHELD"])),
        with(321, "two-good-signatures", "Two trusted keys signed", &stranger(), None)
            .under(&both)
            .valid(KEPT),
        with(
            322,
            "bad-signature-beside",
            "A second signature does not verify",
            &stranger(),
            Some(b"another message"),
        )
        .under(&both)
        .valid(&plus("N_UNAUTH", ["N_UNGATED", "N_WITHHELD"])),
        with(323, "signature-of-another-role-beside", "A key of another role signed too", &stranger(), None)
            .under(&other_role)
            .valid(&plus("N_EXTRA_SIG", ["N_UNGATED", "N_WITHHELD"])),
    ]
}

//! Who vouches for a window.

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use gantral_evidence::delegation::{KeyDelegation, delegation_path};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustedKey};
use gantral_evidence::window::STATEMENT_PATH;

use super::{EMPTY, WHOLE, changed, empty, story, whole};
use crate::case::{FileMap, lean};
use crate::cast::{countersign, issuer, public, stranger};
use crate::window::{DAY_MS, Window, WindowCase, instance, instant};

const FIT: &str = "072-key-of-this-tenant";
const IN_TIME: &str = "075-key-that-was-retired-later";
const DELEGATED: &str = "090-delegated";

pub(super) fn all() -> Vec<WindowCase> {
    let mut cases = signatures();
    cases.extend(keys());
    cases.extend(beside());
    cases.extend(delegates());
    cases
}

fn pinned(keys: impl IntoIterator<Item = TrustedKey>) -> Trust {
    Trust::new(keys, Some(Require::signed())).unwrap()
}

fn key() -> TrustedKey {
    TrustedKey::issuer(public(&issuer()))
}

fn tenants(name: &str) -> Option<Vec<TenantId>> {
    Some(vec![TenantId::parse(name).unwrap()])
}

fn signatures() -> Vec<WindowCase> {
    let case = |number, slug, about, files| WindowCase::of(number, slug, &["X5"], about, files);
    let without_bundles = || {
        let mut window = whole();
        window.files.clear();
        window
    };
    let by_stranger = Window { key: stranger(), ..without_bundles() };
    let changed_payload = changed(&empty(), |files| {
        let mut envelope = Envelope::parse(&files[STATEMENT_PATH]).unwrap();
        let at = envelope.payload.len() / 2;
        envelope.payload[at] ^= 1;
        files.insert(STATEMENT_PATH.to_owned(), envelope.encode());
    });
    let no_trust = case(60, "no-trust-file", "Nothing is pinned", whole().whole());
    let no_profile = Trust::new([key()], None).unwrap();
    vec![
        WindowCase { trust: None, ..no_trust }.says("E_NO_TRUST").inconclusive(WHOLE),
        WindowCase::of(
            61,
            "no-profile",
            &["X9"],
            "The trust file does not say what is required",
            empty().whole(),
        )
        .under(&no_profile)
        .says("E_NO_REQUIRE")
        .inconclusive(EMPTY),
        case(
            62,
            "signed-by-a-stranger",
            "A stranger signed; no bundle is there either, of which nothing more is said",
            by_stranger.whole(),
        )
        .says("E_KEY_UNKNOWN")
        .inconclusive(WHOLE),
        case(63, "changed-payload", "One bit of the statement is another", changed_payload)
            .says("E_SIG")
            .invalid(EMPTY),
        case(64, "key-of-another-role", "The key is pinned for something else", empty().whole())
            .under(&pinned([TrustedKey { role: KeyRole::Directory, ..key() }]))
            .says("E_KEY_ROLE")
            .invalid(EMPTY),
    ]
}

fn keys() -> Vec<WindowCase> {
    let under = |number, slug, about, files: FileMap, key: TrustedKey| {
        WindowCase::of(number, slug, &["X5"], about, files).under(&pinned([key]))
    };
    let anchored = || {
        let mut window = empty();
        window.said.anchor = Some(TreeHead { size: 10, root: Digest::of(b"root") });
        window.whole()
    };
    let until = |valid_until| TrustedKey { valid_until: Some(valid_until), ..key() };
    vec![
        under(70, "compromised-key", "The key is compromised", anchored(), {
            TrustedKey { compromised_from: Some(100), ..key() }
        })
        .says("E_KEY_COMPROMISED")
        .inconclusive("022-anchored"),
        under(71, "key-of-another-tenant", "The key speaks for another tenant", whole().whole(), {
            TrustedKey { tenants: tenants("other"), ..key() }
        })
        .says("E_KEY_ROLE")
        .invalid(FIT),
        under(72, "key-of-this-tenant", "The key speaks for this tenant", whole().whole(), {
            TrustedKey { tenants: tenants("acme"), ..key() }
        }),
        under(73, "retired-key", "The log was as large as where the key ends", anchored(), until(10))
            .says("E_KEY_WINDOW")
            .invalid(IN_TIME),
        under(
            74,
            "retired-key-and-no-anchor",
            "The key was never valid, and no checkpoint is named",
            empty().whole(),
            until(0),
        )
        .says("E_KEY_WINDOW")
        .invalid("076-valid-key-and-no-anchor"),
        under(
            75,
            "key-that-was-retired-later",
            "The log was smaller than where the key ends",
            anchored(),
            until(11),
        ),
        under(
            76,
            "valid-key-and-no-anchor",
            "No checkpoint is named, and the key ends later",
            empty().whole(),
            until(1),
        ),
        under(
            77,
            "key-that-begins-later",
            "The key begins behind the checkpoint that is named, which may be an old one",
            anchored(),
            TrustedKey { valid_from: Some(100), ..key() },
        ),
        under(
            78,
            "compromised-and-retired",
            "The key is compromised and was retired: the first is said",
            anchored(),
            TrustedKey { compromised_from: Some(100), ..until(10) },
        )
        .says("E_KEY_COMPROMISED")
        .inconclusive("022-anchored"),
    ]
}

fn beside() -> Vec<WindowCase> {
    let countersigned = |window: &Window, of: Option<&'static [u8]>| {
        changed(window, |files| {
            let statement = countersign(&files[STATEMENT_PATH], &stranger(), of);
            files.insert(STATEMENT_PATH.to_owned(), statement);
        })
    };
    let case = |number, slug, about, of, trust: &Trust| {
        WindowCase::of(number, slug, &["X9"], about, countersigned(&whole(), of)).under(trust)
    };
    let second = || TrustedKey::issuer(public(&stranger()));
    let both = pinned([key(), second()]);
    let other_role = pinned([key(), TrustedKey { role: KeyRole::Directory, ..second() }]);
    let compromised = TrustedKey { compromised_from: Some(0), ..key() };
    vec![
        case(80, "signature-of-a-stranger-beside", "A stranger signed too", None, &pinned([key()]))
            .says("N_EXTRA_SIG"),
        case(
            81,
            "bad-signature-beside",
            "A second signature does not verify",
            Some(b"another message"),
            &both,
        )
        .says("N_UNAUTH"),
        case(82, "two-good-signatures", "Two trusted keys signed", None, &both),
        case(83, "key-of-another-role-beside", "A key of another role signed too", None, &other_role)
            .says("N_EXTRA_SIG"),
        WindowCase::of(
            84,
            "better-key-beside",
            &["X5"],
            "A key without limits signed beside a compromised one",
            countersigned(&empty(), None),
        )
        .under(&pinned([compromised, second()])),
    ]
}

fn delegates() -> Vec<WindowCase> {
    let delegate = || SigningKey::from_bytes(&[4; 32]);
    let path = || delegation_path(&public(&delegate()).id());
    let delegation = |change: fn(&mut KeyDelegation)| {
        let mut delegation = KeyDelegation {
            delegator: public(&issuer()).id(),
            delegate: public(&delegate()),
            tenants: None,
            origins: None,
            not_before: instant(8 * DAY_MS),
            not_after: instant(9 * DAY_MS),
        };
        change(&mut delegation);
        delegation
    };
    let by = |delegation: &KeyDelegation, key: &SigningKey| {
        delegation.signed(&key.sign(&delegation.message()).to_bytes())
    };
    let delegated = |change| by(&delegation(change), &issuer());
    let signed = |number, slug, about, given: Option<Vec<u8>>| {
        let mut window = Window { key: delegate(), ..whole() };
        window.files.extend(given.map(|delegation| (path(), delegation)));
        WindowCase::of(number, slug, &["X1", "X5"], about, window.whole())
    };
    let inside = || {
        let mut window = Window { key: delegate(), ..whole() };
        for number in [7, 8] {
            let story = story(number);
            let mut files = lean(&story);
            files.insert(path(), delegated(|_| {}));
            window.put(instance(&story), &story.bundle(story.scope(), files));
        }
        window.whole()
    };
    vec![
        signed(90, "delegated", "A delegate signs for its issuer", Some(delegated(|_| {}))),
        signed(91, "delegation-missing", "The delegation is not there", None)
            .says("E_KEY_UNKNOWN")
            .inconclusive(DELEGATED),
        WindowCase::of(
            92,
            "delegation-in-the-bundles",
            &["X1", "X5"],
            "The delegation is in the bundles, and not beside the statement",
            inside(),
        )
        .says("E_KEY_UNKNOWN")
        .inconclusive(DELEGATED),
        signed(
            93,
            "delegation-that-is-over",
            "The delegation was over when the statement was made",
            Some(delegated(|delegation| {
                delegation.not_before = instant(7 * DAY_MS);
                delegation.not_after = instant(8 * DAY_MS);
            })),
        )
        .says("E_KEY_WINDOW")
        .invalid(DELEGATED),
        signed(
            94,
            "delegation-for-another-tenant",
            "The delegation is for another tenant, and over",
            Some(delegated(|delegation| {
                delegation.tenants = tenants("other");
                delegation.not_before = instant(7 * DAY_MS);
                delegation.not_after = instant(8 * DAY_MS);
            })),
        )
        .says("E_KEY_ROLE")
        .invalid(DELEGATED),
        signed(
            95,
            "delegation-by-a-stranger",
            "A stranger signed the delegation",
            Some(by(&delegation(|_| {}), &stranger())),
        )
        .says("E_KEY_UNKNOWN")
        .inconclusive(DELEGATED),
    ]
}

//! What all leaves of a log show that no bundle can, and what receipts show beside them.

use gantral_evidence::log::consistency::LogConsistency;

use super::log::{changed, complete, told, twin, with};
use crate::case::{Case, FileMap};
use crate::cast::*;
use crate::log::*;
use crate::tales;

const TWIN: &str = "800-mirrored";

/// Lays out the leaves of a log as a plain downloader leaves them.
pub(super) fn mirror(log: &Log, checkpoint: &str) -> FileMap {
    let bundle: Vec<u8> = log.leaves.iter().flat_map(|leaf| [&[0, 83][..], leaf].concat()).collect();
    let entries = format!("tile/entries/000.p/{}", log.leaves.len());
    [("checkpoint".to_owned(), checkpoint.as_bytes().to_vec()), (entries, bundle)].into()
}

fn mirrored(
    number: u16,
    slug: &'static str,
    about: &'static str,
    told: &Logged,
    change: impl FnOnce(&mut FileMap),
) -> Case {
    let case = changed(number, slug, about, told, change);
    Case { mirror: mirror(&told.log, &told.newest), ..case }
}

/// The story without its last artifact, in the log that holds all of it.
fn cut() -> Logged {
    let mut told = told();
    let kept = told.story.statements.len() - 1;
    told.story.statements.truncate(kept);
    told.places.truncate(kept);
    told
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = mirrors();
    cases.extend(receipts());
    cases.extend(delegates());
    cases
}

fn mirrors() -> Vec<Case> {
    let whole = told();
    let bare = |files: &mut FileMap| files.retain(|path, _| path.starts_with("artifacts/"));
    let Logged { story, mut log, places, .. } = told();
    log.add(&leaf(&twin().statements[story.statements.len() - 1]));
    let forked = Logged::sealed(log, story, places);
    let mut other = told();
    other.log.leaves[0][50] ^= 1;
    let at = other.story.now / 1_000 + 20;
    let history = other.log.checkpoint(other.log.size(), &[(1, at), (2, at)]);
    let split = changed(805, "mirror-of-another-history", "The mirror is of another history", &whole, |_| {});
    vec![
        mirrored(800, "mirrored", "A mirror proves that nothing was left out", &whole, |_| {})
            .under(&complete())
            .valid(&with([])),
        changed(801, "complete-without-a-mirror", "Nothing proves that nothing was left out", &whole, |_| {})
            .under(&complete())
            .inconclusive(&with(["E_COMPLETENESS_UNPROVED"])),
        mirrored(802, "mirror-instead-of-proofs", "A mirror proves places without proofs", &whole, bare)
            .under(&complete())
            .valid(&with([])),
        mirrored(
            803,
            "damage-beside-a-mirror",
            "Damaged proofs take nothing away from a mirror",
            &whole,
            |files| {
                files.insert("proofs/000003.tlog-proof".to_owned(), b"no proof".to_vec());
                files.insert(LogConsistency::path(STRANGERS), b"no hash".to_vec());
            },
        )
        .valid(&with(["N_UNAUTH"])),
        mirrored(808, "mirrored-twice", "An artifact is there twice, and has one place", &whole, |files| {
            files.insert("artifacts/copy.dsse.json".to_owned(), files[&artifact(1)].clone());
        })
        .valid(&with(["N_DUP"])),
        mirrored(804, "fork-in-the-log", "The log holds two artifacts for one place", &forked, |_| {})
            .invalid(&with(["E_FORK", "E_LOG_ORDER"]), TWIN),
        Case { mirror: mirror(&other.log, &history), ..split }
            .invalid(&with(["E_ANCHOR", "E_SPLIT_VIEW", "N_UNAUTH"]), TWIN),
        mirrored(806, "more-exists", "The log holds more than the prefix shows", &cut(), |_| {}).valid(&[
            "N_MORE_EXISTS",
            "N_PREFIX",
            "N_WITHHELD",
        ]),
        {
            let case = mirrored(
                807,
                "cut-end-in-the-log",
                "The log holds more than what claims to be all",
                &cut(),
                |_| {},
            );
            claimed_whole(case).invalid(&["E_OPEN", "E_TRUNCATED", "N_WITHHELD"], "806-more-exists")
        },
    ]
}

/// Has the list claim a complete chain.
fn claimed_whole(mut case: Case) -> Case {
    let list = String::from_utf8(case.bundle["bundle.json"].clone()).unwrap();
    case.bundle.insert("bundle.json".to_owned(), list.replace("\"prefix\"", "\"complete\"").into_bytes());
    Case { scope: Some(gantral_evidence::container::Scope::Complete), ..case }
}

fn receipts() -> Vec<Case> {
    let whole = told();
    let last = whole.story.statements.len() - 1;
    let line = receipt_line(&whole.story.statements[last]).into_bytes();
    let other = receipt_line(&twin().statements[last]).into_bytes();
    let stranger = sign(&twin().statements[last], &stranger()).envelope;
    let by_stranger = [b"{\"envelope\":", stranger.as_slice(), b"}\n"].concat();
    let with_receipts = |case: Case, receipts: &[u8]| Case { receipts: Some(receipts.to_vec()), ..case };
    let plain = |number, slug, about| changed(number, slug, about, &whole, |_| {});
    vec![
        with_receipts(
            mirrored(820, "receipt-kept", "The log holds what a receipt promises", &whole, |_| {}),
            &line,
        )
        .valid(&with([])),
        with_receipts(
            plain(821, "receipt-of-another", "A receipt is of another artifact for the same place"),
            &other,
        )
        .invalid(&with(["E_FORK"]), "820-receipt-kept"),
        with_receipts(
            mirrored(822, "receipt-broken", "The log does not hold what a receipt promises", &whole, |_| {}),
            &other,
        )
        .invalid(&with(["E_FORK", "E_RECEIPT"]), "820-receipt-kept"),
        with_receipts(
            plain(823, "receipt-by-a-stranger", "A receipt that nobody trusted signed"),
            &by_stranger,
        )
        .valid(&with(["N_UNAUTH"])),
        with_receipts(
            changed(824, "receipt-above-the-end", "A receipt shows more than the prefix", &cut(), |_| {}),
            &line,
        )
        .valid(&["N_MORE_EXISTS", "N_PREFIX", "N_WITHHELD"]),
    ]
}

fn delegates() -> Vec<Case> {
    use ed25519_dalek::{Signer as _, SigningKey};
    use gantral_core::time::DurationMs;
    use gantral_evidence::delegation::KeyDelegation;

    let delegate = SigningKey::from_bytes(&[4; 32]);
    let story = tales::ungated();
    let begin = story.statements[0].entry.at;
    let made = |seconds| KeyDelegation {
        delegator: public(&issuer()).id(),
        delegate: public(&delegate),
        tenants: None,
        origins: None,
        not_before: begin,
        not_after: begin.plus(DurationMs::from_secs(seconds)),
    };
    let signed = |number, slug, about, delegation: Option<(KeyDelegation, SigningKey)>| {
        let mut files = FileMap::new();
        for (sequence, statement) in story.statements.iter().enumerate() {
            files.insert(artifact(sequence), sign(statement, &delegate).envelope);
        }
        if let Some((delegation, by)) = delegation {
            let bytes = delegation.signed(&by.sign(&delegation.message()).to_bytes());
            files.insert(format!("keys/{}.delegation.json", public(&delegate).id()), bytes);
        }
        Case::from_files(number, slug, about, &story, story.scope(), files)
    };
    vec![
        signed(840, "delegated", "A delegate signs for its issuer", Some((made(86_400), issuer())))
            .valid(&with([])),
        signed(841, "delegation-missing", "The delegation is not there", None)
            .inconclusive(&["E_KEY_UNKNOWN"]),
        signed(
            842,
            "delegation-by-a-stranger",
            "A stranger signed the delegation",
            Some((made(86_400), stranger())),
        )
        .inconclusive(&["E_KEY_UNKNOWN"]),
        signed(
            843,
            "delegation-that-is-over",
            "The delegation was over before the last artifact",
            Some((made(2), issuer())),
        )
        .invalid(&with(["E_KEY_WINDOW"]), "840-delegated"),
    ]
}

//! From when a grant may be used: what the anchor of a consumption must hold; and governance chains in the log.

use gantral_core::event::Event;
use gantral_core::state::EventKind;
use gantral_evidence::bundle::governance_proof_path;
use gantral_evidence::trust::{Require, TrustedKey};

use super::guards::{KEPT, and, moded, used};
use super::log::changed;
use super::mirror::mirror;
use crate::case::{Case, FileMap};
use crate::cast::*;
use crate::governance::{Governance, defined, leaf as governance_leaf};
use crate::log::*;
use crate::story::Story;

const SEQUENCED: &str = r#"{"release":"sequenced"}"#;
const WITNESSED: &str = r#"{"release":"witnessed(2)"}"#;
const BOTH: [(u8, u64); 2] = [(1, 0), (2, 0)];

pub(super) fn all() -> Vec<Case> {
    let mut cases = releases();
    cases.extend(stale());
    cases.extend(places());
    cases
}

/// A consumption under a definition, anchored so many leaves after its grant; witnesses cosign that tree.
fn held(
    number: u16,
    slug: &'static str,
    about: &'static str,
    definition: &str,
    after: Option<u64>,
    witnesses: &[(u8, u64)],
) -> Case {
    let (mut story, path) = defined(used(), definition);
    let (granted, consumed) =
        (story.position(EventKind::Allowed) as u64, story.position(EventKind::Consumed));
    // Every artifact stands alone, so that its index is its sequence.
    let mut log = Log::default();
    let mut places = Vec::new();
    for at in 0..story.statements.len() {
        if at == consumed {
            story.statements[at].anchor = after.map(|after| log.tree(granted + after));
            story.relink();
        }
        places.push(log.add(&leaf(&story.statements[at])));
    }
    let size = granted + after.unwrap_or_default();
    let time = story.now / 1_000 - 30;
    let seen: Vec<(u8, u64)> = witnesses.iter().map(|(witness, later)| (*witness, time + later)).collect();
    let mut told = Logged::sealed(log, story, places);
    told.kept = [(size, told.log.checkpoint(size, &seen))].into();
    changed(number, slug, about, &told, |files| _ = files.insert(path, definition.as_bytes().to_vec()))
}

fn releases() -> Vec<Case> {
    let twin = "980-grant-held";
    let (unanchored, path) = defined(used(), SEQUENCED);
    let bare =
        |number, slug, about, files: FileMap| super::guards::beside(number, slug, about, &unanchored, files);
    let definition: FileMap = [(path, SEQUENCED.as_bytes().to_vec())].into();
    vec![
        held(980, "grant-held", "The anchor of a consumption holds its grant", SEQUENCED, Some(1), &BOTH)
            .valid(&KEPT),
        held(981, "grant-not-held", "The anchor does not hold the grant", SEQUENCED, Some(0), &BOTH)
            .invalid(&and(["E_ANCHOR"]), twin),
        bare(982, "grant-not-anchored", "A consumption without an anchor", definition)
            .invalid(&and(["E_ANCHOR"]), "983-definition-not-there"),
        bare(983, "definition-not-there", "Nothing says that the grant had to wait", FileMap::new())
            .valid(&KEPT),
        held(984, "grant-witnessed", "Two witnesses have seen the grant", WITNESSED, Some(1), &BOTH)
            .valid(&KEPT),
        held(
            985,
            "grant-not-witnessed",
            "No witness is shown to have seen the grant",
            WITNESSED,
            Some(1),
            &[],
        )
        .inconclusive(&and(["E_REQUIRE", "N_UNAUTH"])),
        held(
            986,
            "grant-not-witnessed-and-not-asked",
            "The same, and no witness is required",
            WITNESSED,
            Some(1),
            &[],
        )
        .under(&trust_logged(Require { witnessed: 0, ..logged() }))
        .valid(&and(["N_UNAUTH"])),
    ]
}

/// A consumption in the log, with a governance chain of two before it, anchored at a tree of so many leaves.
fn anchored(head: Option<usize>, anchor: u64) -> (Logged, Governance, Vec<u64>) {
    let governance = Governance::begin().then(moded());
    let mut log = Log::default();
    let places = governance.log(&mut log);
    log.add_stranger();
    let tree = log.tree(anchor);
    let mut story: Story = governance.under(used());
    for statement in &mut story.statements {
        if let Event::Consumed(detail) = &mut statement.entry.event {
            detail.guard.governance_head = head.map(|head| governance.hash(head));
            statement.anchor = Some(tree);
        }
    }
    story.relink();
    (Logged::as_told(log, story), governance, places)
}

/// Files of a governance chain beside a logged story, whose mirror is given if `mirrored`.
fn logged_case(
    number: u16,
    slug: &'static str,
    about: &'static str,
    told: &Logged,
    added: FileMap,
    mirrored: bool,
) -> Case {
    let case = changed(number, slug, about, told, |files| files.extend(added));
    if mirrored { Case { mirror: mirror(&told.log, &told.newest), ..case } } else { case }
}

fn stale() -> Vec<Case> {
    let case = |number, slug, about, head, anchor, mirrored: bool| {
        let (told, governance, places) = anchored(head, anchor);
        let mut files = governance.files();
        if !mirrored {
            files.extend(governance.proofs(&told, &places));
        }
        logged_case(number, slug, about, &told, files, mirrored)
    };
    let unknown = |number, slug, about, with_leaves: bool| {
        let governance = Governance::begin();
        let mut log = Log::default();
        log.add_stranger();
        if with_leaves {
            governance.log(&mut log);
        }
        let told = Logged::as_told(log, governance.under(used()));
        logged_case(number, slug, about, &told, FileMap::new(), true)
    };
    vec![
        case(870, "newest-head", "The head is the newest that the anchor holds", Some(0), 1, true)
            .valid(&KEPT),
        case(871, "stale-head", "The anchor holds a newer governance artifact", Some(0), 2, true)
            .invalid(&and(["E_GUARD"]), "870-newest-head"),
        case(872, "newest-head-by-proofs", "The same as 870, by proofs", Some(0), 1, false).valid(&KEPT),
        case(873, "stale-head-by-proofs", "The same as 871, by proofs", Some(0), 2, false)
            .invalid(&and(["E_GUARD"]), "872-newest-head-by-proofs"),
        case(874, "no-head-and-leaves", "No head is named, and the anchor holds one", None, 1, true)
            .invalid(&and(["E_GUARD"]), "875-no-head-and-no-leaves"),
        case(875, "no-head-and-no-leaves", "No head is named, and the anchor holds none", None, 0, true)
            .valid(&KEPT),
        unknown(876, "head-that-no-leaf-has", "The log does not hold the head that is named", false)
            .inconclusive(&and(["E_GUARD"])),
        unknown(877, "head-that-a-leaf-has", "The log holds the head that is named", true).valid(&KEPT),
    ]
}

fn places() -> Vec<Case> {
    let (told, governance, places) = anchored(Some(1), 2);
    let proofs = governance.proofs(&told, &places);
    let mut whole = governance.files();
    whole.extend(proofs.clone());
    let with = |path: &str, content: &[u8]| {
        let mut files = whole.clone();
        files.insert(path.to_owned(), content.to_vec());
        files
    };
    let keyed = |number, slug, about, change: fn(&mut TrustedKey), files: &FileMap| {
        let mut key = TrustedKey::issuer(public(&issuer()));
        change(&mut key);
        logged_case(number, slug, about, &told, files.clone(), false).under(&trust_keyed(key, logged()))
    };
    let (Logged { story, mut log, places, .. }, ..) = anchored(Some(1), 2);
    log.add(&governance_leaf(&governance.clone().retell(1, |next| next.blind = [0; 32]).statements[1]));
    let forked = Logged::sealed(log, story, places);
    let (first, second) = (governance_proof_path(0), governance_proof_path(1));
    vec![
        logged_case(
            880,
            "governance-logged",
            "The governance chain is in the log",
            &told,
            whole.clone(),
            false,
        )
        .valid(&KEPT),
        logged_case(
            881,
            "governance-proof-of-another",
            "A proof leads from another artifact",
            &told,
            with(&first, &proofs[&second]),
            false,
        )
        .invalid(&and(["E_INCLUSION"]), "880-governance-logged"),
        logged_case(
            882,
            "governance-proof-of-nothing",
            "A proof of no artifact",
            &told,
            with(&governance_proof_path(9), b"anything"),
            false,
        )
        .valid(&and(["N_UNAUTH"])),
        logged_case(
            883,
            "governance-forked",
            "The log holds two for one place",
            &forked,
            whole.clone(),
            true,
        )
        .invalid(&and(["E_FORK"]), "870-newest-head"),
        keyed(
            884,
            "governance-in-the-window",
            "The key was valid where the chain stands",
            |key| {
                key.valid_from = Some(0);
            },
            &whole,
        )
        .valid(&KEPT),
        keyed(
            885,
            "governance-outside-the-window",
            "The key was not yet valid where the chain begins",
            |key| {
                key.valid_from = Some(1);
            },
            &whole,
        )
        .invalid(&and(["E_KEY_WINDOW"]), "884-governance-in-the-window"),
        keyed(
            886,
            "governance-without-its-places",
            "Nothing shows where the chain stands",
            |key| {
                key.valid_from = Some(0);
            },
            &governance.files(),
        )
        .inconclusive(&and(["E_UNLOGGED"])),
    ]
}

//! What all leaves of a log show that no bundle can, and what receipts show beside them.

use gantral_core::state::EventKind;
use gantral_evidence::bundle::proof_path;
use gantral_evidence::container::Scope;
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::report::to_text;
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use gantral_evidence::verify::{
    CompleteBy, Mirror, MirrorError, MirrorReader, Questions, Receipt, Report, Verdict, parse_receipts,
};
use gantral_vectors::log::*;

use crate::story::*;

fn complete() -> Require {
    Require { complete: true, scope: Scope::Complete, ..logged() }
}

fn trust() -> Trust {
    trust_logged(complete())
}

fn refunded() -> Logged {
    Logged::of(Story::refund())
}

/// Adds a leaf behind the story, and what it takes to see it.
fn with_leaf(told: Logged, leaf: &Leaf) -> Logged {
    let Logged { story, mut log, places, .. } = told;
    log.add(leaf);
    Logged::sealed(log, story, places)
}

#[test]
fn a_mirror_proves_that_nothing_was_left_out() {
    let told = refunded();
    assert_answer(&told.verify(&trust()), "INCONCLUSIVE", &["E_COMPLETENESS_UNPROVED"]);
    let report = told.verify_mirrored(&trust());
    assert_valid(&report);
    let assurance = report.assurance.clone().unwrap();
    assert_eq!(assurance.complete, Some(CompleteBy::Mirror));
    let strangers = STRANGERS + told.places.len() as u64;
    assert_eq!(assurance.log.unwrap().instances, Some(strangers + 1));
    let text = to_text(&report);
    assert!(text.contains("by the mirror of the log: this is the only chain of the execution"), "{text}");
    assert!(text.contains("the whole story by the log"), "{text}");
    assert!(!text.contains("no mirror of the log was given"), "{text}");
}

#[test]
fn a_mirror_proves_places_without_proofs_and_trees_without_consistency() {
    let told = refunded();
    let mirror = told.mirror(&trust());
    let verify = |change: fn(&mut std::collections::BTreeMap<String, Vec<u8>>)| {
        told.verify_beside(Scope::Complete, &trust(), Some(&mirror), &[], change)
    };
    let bare =
        verify(|files| files.retain(|path, _| !path.starts_with("proofs/") && !path.starts_with("log/")));
    assert_valid(&bare);
    assert_eq!(bare.assurance.unwrap().witnessed, 2);
    // What is damaged beside it takes nothing away.
    let damaged = verify(|files| {
        files.insert(proof_path(3), b"no proof".to_vec());
        let other = files[&proof_path(5)].clone();
        files.insert(proof_path(4), other);
        files.insert(LogConsistency::path(STRANGERS), b"no hash".to_vec());
    });
    assert_valid(&damaged);
    assert_eq!(damaged.codes(), ["N_UNAUTH"]);
}

#[test]
fn an_execution_that_has_not_ended_is_not_complete() {
    let mut story = Story::begin();
    story.launch();
    let told = Logged::of(story);
    let require = Require { complete: true, ..logged() };
    let report = told.verify_mirrored(&trust_logged(require));
    assert_answer(&report, "INCONCLUSIVE", &["E_COMPLETENESS_UNPROVED"]);
    assert_valid(&told.verify_mirrored(&trust_logged(logged())));
}

/// The refund without its last artifacts, in the log that holds all of them.
fn cut(count: usize) -> Logged {
    let mut told = refunded();
    let kept = told.story.statements.len() - count;
    told.story.statements.truncate(kept);
    told.places.truncate(kept);
    told
}

#[test]
fn a_cut_end_shows_in_the_mirror() {
    let told = cut(2);
    let mirror = told.mirror(&trust_logged(logged()));
    let verify = |scope| told.verify_beside(scope, &trust_logged(logged()), Some(&mirror), &[], |_| {});
    let prefix = verify(Scope::Prefix);
    assert_valid(&prefix);
    assert_eq!(prefix.codes(), ["N_MORE_EXISTS", "N_PREFIX"]);
    assert_answer(&verify(Scope::Complete), "INVALID", &["E_OPEN", "E_TRUNCATED"]);
    // Without a mirror nobody can know.
    assert_valid(&told.verify_beside(Scope::Prefix, &trust_logged(logged()), None, &[], |_| {}));
}

/// A second telling of the refund that differs in the outcome alone.
fn twin() -> Story {
    refunded().story.retell(EventKind::Outcome, |statement| statement.blind = [0; 32])
}

#[test]
fn a_fork_shows_in_the_leaves() {
    let at = twin().position(EventKind::Outcome);
    let told = with_leaf(refunded(), &leaf(&twin().statements[at]));
    assert_answer(
        &told.verify_mirrored(&trust()),
        "INVALID",
        &["E_COMPLETENESS_UNPROVED", "E_FORK", "E_LOG_ORDER"],
    );
    assert_valid(&told.verify(&trust_logged(logged())));
    // The bundle of a chain whose place another one has in the log.
    let Logged { log, places, newest, kept, .. } = refunded();
    let hidden = Logged { story: twin(), log, places, newest, kept };
    let report = hidden.verify_mirrored(&trust_logged(Require::signed()));
    assert!(report.codes().contains(&"E_FORK"), "{:?}", report.codes());
    assert_eq!(report.verdict, Verdict::Invalid);
}

#[test]
fn a_log_that_holds_a_chain_out_of_order_is_at_fault() {
    let again = with_leaf(refunded(), &leaf(&refunded().story.statements[2]));
    let report = again.verify_mirrored(&trust_logged(logged()));
    assert_answer(&report, "INVALID", &["E_LOG_ORDER"]);
    // A place of the chain that the log never had, though the chain goes on.
    let Logged { story, .. } = refunded();
    let mut log = Log::default();
    (0..STRANGERS).for_each(|_| _ = log.add_stranger());
    let mut places = Vec::new();
    for (at, statement) in story.statements.iter().enumerate() {
        places.push(if at == 3 { 0 } else { log.add(&leaf(statement)) });
    }
    let gap = Logged::sealed(log, story, places);
    let mirror = gap.mirror(&trust());
    let report =
        gap.verify_beside(Scope::Complete, &trust_logged(Require::signed()), Some(&mirror), &[], |files| {
            files.remove(&proof_path(3));
        });
    assert_answer(&report, "INVALID", &["E_LOG_ORDER"]);
}

#[test]
fn what_was_promised_to_be_in_the_log_by_now_must_be_there() {
    let told = refunded();
    let last = told.story.statements.len() - 1;
    let size = told.places[last];
    let seen = |after: u64| {
        let at = told.story.now / 1_000 + after;
        let checkpoint = told.log.checkpoint(size, &[(1, at), (2, at)]);
        let trust = trust_logged(Require::signed());
        let bundle = told.story.bundle(Scope::Complete, told.files());
        let mirror = told.log.mirror(&checkpoint, trust.log().unwrap(), &bundle.as_files().unwrap()).unwrap();
        told.verify_beside(Scope::Complete, &trust, Some(&mirror), &[], |files| {
            files.retain(|path, _| !path.starts_with("proofs/"));
        })
    };
    assert_valid(&seen(65));
    assert_answer(&seen(66), "INCONCLUSIVE", &["E_UNLOGGED"]);
}

#[test]
fn a_bundle_and_a_mirror_of_two_histories_are_a_split_view() {
    let told = refunded();
    let mut other = told.log.clone();
    // Another leaf of a stranger: nothing of the chain differs.
    other.leaves[0][50] ^= 1;
    let at = told.story.now / 1_000 + 20;
    let mirror_of = |size: u64| {
        let checkpoint = other.checkpoint(size, &[(1, at), (2, at)]);
        let bundle = told.story.bundle(Scope::Complete, told.files());
        let trust = trust();
        other.mirror(&checkpoint, trust.log().unwrap(), &bundle.as_files().unwrap()).unwrap()
    };
    let verify = |mirror: &Mirror| {
        told.verify_beside(Scope::Complete, &trust_logged(logged()), Some(mirror), &[], |_| {})
    };
    let report = verify(&mirror_of(told.log.size()));
    assert_answer(&report, "INVALID", &["E_ANCHOR", "E_SPLIT_VIEW"]);
    // A mirror that is older than the bundle, with another leaf where the proof shows one.
    let mut third = told.log.clone();
    let place = usize::try_from(told.places[3]).unwrap();
    third.leaves[place][50] ^= 1;
    let checkpoint = third.checkpoint(told.places[4], &[(1, at), (2, at)]);
    let bundle = told.story.bundle(Scope::Complete, told.files());
    let trust = trust();
    let mirror = third.mirror(&checkpoint, trust.log().unwrap(), &bundle.as_files().unwrap()).unwrap();
    let report = verify(&mirror);
    assert!(report.codes().contains(&"E_SPLIT_VIEW"), "{:?}", report.codes());
}

#[test]
fn an_older_mirror_of_the_same_history_agrees() {
    let told = refunded();
    let at = told.story.now / 1_000 + 20;
    let checkpoint = told.log.checkpoint(told.places[4], &[(1, at), (2, at)]);
    let bundle = told.story.bundle(Scope::Complete, told.files());
    let trust = trust_logged(logged());
    let mirror = told.log.mirror(&checkpoint, trust.log().unwrap(), &bundle.as_files().unwrap()).unwrap();
    assert_valid(&told.verify_beside(Scope::Complete, &trust, Some(&mirror), &[], |_| {}));
}

#[test]
fn a_mirror_of_another_log_says_nothing() {
    let told = refunded();
    let other = gantral_core::ids::LogOrigin::parse("log.example/other").unwrap();
    let key = gantral_evidence::log::note::NoteKey::new(
        other.as_str(),
        gantral_evidence::log::note::NoteKeyKind::Text,
        public(&stranger()),
    );
    let text = policy(2, 2).replace("group", &format!("log {}\ngroup", key.unwrap()));
    let log = gantral_evidence::trust::TrustedLog::new(&text, DELAY_MS, SKEW_MS).unwrap();
    let issuer = TrustedKey::issuer(public(&issuer()));
    let trust = Trust::new([issuer], Some(logged())).unwrap().with_log(log).unwrap();
    let at = told.story.now / 1_000;
    let tree = told.log.tree(told.log.size());
    let checkpoint = note(&stranger(), &other, tree, &[(1, at), (2, at)]);
    let bundle = told.story.bundle(Scope::Complete, told.files());
    let mirror = told.log.mirror(&checkpoint, trust.log().unwrap(), &bundle.as_files().unwrap()).unwrap();
    let report = told.verify_beside(Scope::Complete, &trust, Some(&mirror), &[], |_| {});
    assert_answer(&report, "INCONCLUSIVE", &["E_LOG_UNKNOWN"]);
}

#[test]
fn only_all_leaves_under_a_vouched_checkpoint_are_a_mirror() {
    let told = refunded();
    let size = told.log.size();
    let log = trusted_log(2, 2);
    let begin = |checkpoint: &str| MirrorReader::new(checkpoint.as_bytes(), &log, Questions::default());
    assert_eq!(begin(&told.log.checkpoint(size, &[(1, 9)])).unwrap_err(), MirrorError::Quorum);
    let forged = note(&stranger(), &origin(), told.log.tree(size), &[]);
    assert!(matches!(begin(&forged).unwrap_err(), MirrorError::Checkpoint(_)));

    let mut short = begin(&told.newest).unwrap();
    short.leaf(&told.log.leaves[0]);
    assert_eq!(short.finish().unwrap_err(), MirrorError::Size { found: 1, expected: size });
    let mut other = begin(&told.newest).unwrap();
    (0..size).for_each(|_| other.leaf(b"another leaf"));
    assert_eq!(other.finish().unwrap_err(), MirrorError::Root);

    let bundle: Vec<u8> = told.log.leaves.iter().flat_map(|leaf| [&[0, 83][..], leaf].concat()).collect();
    let mut whole = begin(&told.newest).unwrap();
    whole.entries(&[bundle.as_slice(), &[0, 1, 2]].concat()).unwrap();
    assert!(whole.finish().is_ok());
    let mut torn = begin(&told.newest).unwrap();
    assert_eq!(torn.entries(&bundle[..200]), Err(MirrorError::Cut { after: 2 }));
}

#[test]
fn leaves_are_read_from_the_objects_of_a_mirror_bundle_by_bundle() {
    let mut log = Log::default();
    (0..600).for_each(|_| _ = log.add_stranger());
    let checkpoint = log.checkpoint(590, &[(1, 1), (2, 1)]);
    let mut reader =
        MirrorReader::new(checkpoint.as_bytes(), &trusted_log(2, 2), Questions::default()).unwrap();
    let mut names = Vec::new();
    while let Some(objects) = reader.next_objects() {
        let from = usize::try_from(reader.read()).unwrap();
        let bundle = log.leaves.iter().skip(from).take(256);
        let bytes: Vec<u8> = bundle.flat_map(|leaf| [&[0, 83][..], leaf].concat()).collect();
        assert!(reader.entries(&[]).is_err());
        reader.entries(&bytes).unwrap();
        names.push(objects.join(" "));
    }
    assert_eq!(names, ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/78 tile/entries/002"]);
    assert_eq!(reader.finish().unwrap().instances(), 590);
}

#[test]
fn roots_of_a_streamed_mirror_are_those_of_rfc_6962_at_every_size() {
    let mut log = Log::default();
    for size in 0..70 {
        let checkpoint = log.checkpoint(size, &[(1, 1), (2, 1)]);
        let mut reader =
            MirrorReader::new(checkpoint.as_bytes(), &trusted_log(2, 2), Questions::default()).unwrap();
        log.leaves.iter().for_each(|leaf| reader.leaf(leaf));
        assert!(reader.finish().is_ok(), "{size}");
        log.add_stranger();
    }
}

fn receipts(statements: &[&Statement]) -> Vec<Receipt> {
    let lines: String = statements.iter().map(|statement| receipt_line(statement)).collect();
    parse_receipts(lines.as_bytes()).unwrap()
}

fn with_receipts(told: &Logged, scope: Scope, is_mirrored: bool, receipts: &[Receipt]) -> Report {
    let trust = trust_logged(logged());
    let mirror = is_mirrored.then(|| told.mirror(&trust));
    told.verify_beside(scope, &trust, mirror.as_ref(), receipts, |_| {})
}

#[test]
fn receipts_of_what_the_log_holds_change_nothing() {
    let told = refunded();
    let all: Vec<&Statement> = told.story.statements.iter().collect();
    for is_mirrored in [false, true] {
        let report = with_receipts(&told, Scope::Complete, is_mirrored, &receipts(&all));
        assert_valid(&report);
        assert_eq!(report.codes(), Vec::<&str>::new());
    }
}

#[test]
fn a_receipt_of_another_artifact_for_the_same_place_is_a_fork() {
    let told = refunded();
    let at = twin().position(EventKind::Outcome);
    let other = receipts(&[&twin().statements[at]]);
    assert_answer(&with_receipts(&told, Scope::Complete, false, &other), "INVALID", &["E_FORK"]);
    assert_answer(&with_receipts(&told, Scope::Complete, true, &other), "INVALID", &["E_FORK", "E_RECEIPT"]);
}

#[test]
fn a_receipt_above_the_last_artifact_shows_a_cut_end() {
    let told = cut(2);
    let whole = refunded().story;
    let later = receipts(&[whole.statements.last().unwrap()]);
    let prefix = with_receipts(&told, Scope::Prefix, false, &later);
    assert_valid(&prefix);
    assert_eq!(prefix.codes(), ["N_MORE_EXISTS", "N_PREFIX"]);
    let claimed = with_receipts(&told, Scope::Complete, false, &later);
    assert_answer(&claimed, "INVALID", &["E_OPEN", "E_TRUNCATED"]);
}

/// The refund cut by its last artifact, in a log that never had it, seen so many seconds after it was issued.
fn never_logged(after: u64) -> (Logged, Vec<Receipt>) {
    let whole = refunded().story;
    let mut told = refunded();
    told.story.statements.pop();
    told.places.pop();
    let promised = whole.statements.last().unwrap();
    let size = told.log.size() - 2;
    told.log.leaves.truncate(usize::try_from(size).unwrap());
    let at = promised.entry.at.get() / 1_000 + after;
    told.newest = told.log.checkpoint(size, &[(1, at), (2, at)]);
    (told, receipts(&[promised]))
}

#[test]
fn a_receipt_older_than_the_promise_must_be_in_the_log() {
    let (told, promised) = never_logged(65);
    assert_valid(&with_receipts(&told, Scope::Prefix, true, &promised));
    let (told, promised) = never_logged(66);
    assert_answer(&with_receipts(&told, Scope::Prefix, true, &promised), "INVALID", &["E_RECEIPT"]);
    // Without a mirror nobody can know.
    assert_valid(&with_receipts(&told, Scope::Prefix, false, &promised));
    // Nobody says when a log without witnesses was seen.
    let unseen = Trust::new(
        [TrustedKey::issuer(public(&issuer()))],
        Some(Require { logged: true, ..Require::signed() }),
    );
    let unseen = unseen.unwrap().with_log(trusted_log(0, 0)).unwrap();
    let mirror = told.mirror(&unseen);
    let report = told.verify_beside(Scope::Prefix, &unseen, Some(&mirror), &promised, |_| {});
    assert_answer(&report, "INCONCLUSIVE", &["E_RECEIPT"]);
}

#[test]
fn a_receipt_that_nobody_believed_signed_is_nobodys_word() {
    let (told, promised) = never_logged(66);
    let stolen = TrustedKey { compromised_from: Some(1_000), ..TrustedKey::issuer(public(&issuer())) };
    let windowed = TrustedKey { valid_until: Some(1_000), ..TrustedKey::issuer(public(&issuer())) };
    let verify = |key| {
        let trust = trust_keyed(key, logged());
        told.verify_beside(Scope::Prefix, &trust, Some(&told.mirror(&trust)), &promised, |_| {})
    };
    assert_valid(&verify(stolen));
    assert_answer(&verify(windowed), "INCONCLUSIVE", &["E_RECEIPT"]);
    let sealed = sign(told.story.statements.last().unwrap(), &stranger());
    let line = [b"{\"envelope\":", sealed.envelope.as_slice(), b"}"].concat();
    let report = with_receipts(&told, Scope::Prefix, true, &parse_receipts(&line).unwrap());
    assert_valid(&report);
    assert!(report.codes().contains(&"N_UNAUTH"));
}

#[test]
fn text_that_is_no_receipts_is_refused() {
    let refused = |text: &str| parse_receipts(text.as_bytes()).unwrap_err().to_string();
    assert!(refused("\n{").starts_with("line 2 of the receipts is not acceptable JSON"));
    assert_eq!(refused("{\"hash\":\"00\"}"), "line 1 of the receipts has no `envelope`");
    assert!(refused("{\"envelope\":{}}\n").starts_with("line 1 of the receipts: "));
    assert_eq!(parse_receipts(b"\n\n").unwrap(), []);
}

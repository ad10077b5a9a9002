//! What proofs, checkpoints, witnesses and anchors say of a chain: each rule beside the twin that breaks nothing.

use std::collections::BTreeMap;

use gantral_core::digest::Digest;
use gantral_core::ids::LogOrigin;
use gantral_core::state::EventKind;
use gantral_core::time::UnixMillis;
use gantral_evidence::bundle::proof_path;
use gantral_evidence::container::Scope;
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::proof::LogProof;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use gantral_evidence::verify::{Report, Verdict};
use gantral_vectors::log::*;

use crate::story::*;

type FileMap = BTreeMap<String, Vec<u8>>;

fn refunded() -> Logged {
    Logged::of(Story::refund())
}

fn trust() -> Trust {
    trust_logged(logged())
}

/// Changes the proof of an artifact.
fn change_proof(files: &mut FileMap, sequence: usize, change: impl FnOnce(&mut LogProof)) {
    let path = proof_path(sequence);
    let mut proof = LogProof::parse(&files[&path]).unwrap();
    change(&mut proof);
    files.insert(path, proof.encode().into_bytes());
}

fn change_proofs(files: &mut FileMap, change: impl Fn(&mut LogProof)) {
    let count = files.keys().filter(|path| path.starts_with("proofs/")).count();
    (0..count).for_each(|sequence| change_proof(files, sequence, &change));
}

fn issuer_key() -> TrustedKey {
    TrustedKey::issuer(public(&issuer()))
}

/// Verifies with another entry for the issuer's key.
fn verify_keyed(told: &Logged, change: impl FnOnce(&mut TrustedKey), require: Require) -> Report {
    let mut key = issuer_key();
    change(&mut key);
    told.verify(&trust_keyed(key, require))
}

#[test]
fn a_chain_in_a_witnessed_log_is_valid_and_says_where_it_stands() {
    let told = refunded();
    let report = told.verify(&trust());
    assert_valid(&report);
    assert_eq!(report.codes(), Vec::<&str>::new());
    let assurance = report.assurance.clone().unwrap();
    let log = assurance.log.unwrap();
    assert_eq!((assurance.logged, assurance.witnessed, assurance.complete), (true, 2, None));
    assert_eq!(log.indexes, told.places.iter().map(|index| Some(*index)).collect::<Vec<_>>());
    let sizes: Vec<u64> = log.checkpoints.iter().map(|seen| seen.tree.size).collect();
    assert_eq!((sizes, log.instances), (vec![STRANGERS, told.log.size()], None));
    let text = to_text(&report);
    for line in [
        "every artifact is in log.example/acme, at places 5 to",
        "seen by witness.example/w1 at 2026-03-01T",
        "no mirror of the log was given",
    ] {
        assert!(text.contains(line), "`{line}` is not in:\n{text}");
    }
    let json = String::from_utf8(to_json(&report)).unwrap();
    assert!(json.contains("\"witnesses\":[{\"at\":\"2026-03-01T"), "{json}");
}

#[test]
fn without_a_need_for_the_log_a_relying_party_may_leave_it_aside() {
    let told = refunded();
    let report = told.verify(&crate::story::trust());
    assert_valid(&report);
    assert_eq!((report.codes(), report.assurance.unwrap().logged), (vec![], false));
}

#[test]
fn an_artifact_without_a_proof_is_not_logged() {
    let told = refunded();
    let without = |files: &mut FileMap| _ = files.remove(&proof_path(4));
    assert_answer(&told.verify_changed(&trust(), without), "INCONCLUSIVE", &["E_REQUIRE", "E_UNLOGGED"]);
    let report = told.verify_changed(&trust_logged(Require::signed()), without);
    assert_valid(&report);
    let assurance = report.assurance.clone().unwrap();
    assert_eq!((assurance.logged, assurance.witnessed), (false, 0));
    assert!(to_text(&report).contains("artifacts are in log.example/acme; the others are asserted"));
    let none = |files: &mut FileMap| files.retain(|path, _| !path.starts_with("proofs/"));
    assert_answer(&told.verify_changed(&trust(), none), "INCONCLUSIVE", &["E_REQUIRE", "E_UNLOGGED"]);
}

#[test]
fn a_log_that_is_required_must_be_pinned() {
    let unpinned = trust_with(Require { logged: true, ..Require::signed() });
    let report = refunded().verify(&unpinned);
    assert_answer(&report, "INCONCLUSIVE", &["E_LOG_UNKNOWN"]);
    assert_answer(&Story::refund().verify_under(&unpinned), "INCONCLUSIVE", &["E_UNLOGGED"]);
}

#[test]
fn a_proof_leads_from_the_artifact_itself_to_the_checkpoint() {
    let told = refunded();
    let cases: [fn(&mut LogProof); 4] = [
        |proof| proof.index += 1,
        |proof| _ = proof.hashes.pop(),
        |proof| proof.hashes.reverse(),
        |proof| proof.index = 1 << 52,
    ];
    for change in cases {
        let report = told.verify_changed(&trust(), |files| change_proof(files, 3, change));
        assert_answer(&report, "INVALID", &["E_INCLUSION", "E_REQUIRE"]);
    }
    let swapped = told.verify_changed(&trust(), |files| {
        let other = files[&proof_path(4)].clone();
        files.insert(proof_path(3), other);
    });
    assert_answer(&swapped, "INVALID", &["E_INCLUSION", "E_REQUIRE"]);
}

#[test]
fn a_proof_that_cannot_be_read_is_damage_and_one_that_is_too_large_is_not() {
    let told = refunded();
    let with =
        |content: Vec<u8>| told.verify_changed(&trust(), |files| _ = files.insert(proof_path(3), content));
    assert_answer(&with(b"c2sp.org/tlog-proof@v1\n".to_vec()), "INVALID", &["E_CONTAINER", "E_REQUIRE"]);
    let unsigned = told.verify_changed(&trust(), |files| {
        change_proof(files, 3, |proof| proof.checkpoint = "log.example/acme\n1\nx\n".to_owned());
    });
    assert_answer(&unsigned, "INVALID", &["E_CONTAINER", "E_REQUIRE"]);
    assert_answer(&with(vec![b'x'; 41 << 10]), "INCONCLUSIVE", &["E_LIMIT", "E_REQUIRE"]);
}

#[test]
fn a_proof_of_nothing_in_the_chain_is_ignored() {
    let report = refunded().verify_changed(&trust(), |files| {
        files.insert("proofs/009999.tlog-proof".to_owned(), b"anything".to_vec());
        files.insert("proofs/readme".to_owned(), b"anything".to_vec());
        files.insert("log/7.tlog-consistency".to_owned(), b"anything".to_vec());
    });
    assert_valid(&report);
    assert_eq!(report.codes(), ["N_UNAUTH"]);
}

#[test]
fn a_checkpoint_counts_if_a_known_log_signed_it() {
    let told = refunded();
    let tree = told.log.tree(told.log.size());
    let stranger_log = note(&stranger(), &origin(), tree, &[]);
    let by_stranger = told.verify_changed(&trust(), |files| {
        change_proofs(files, |proof| proof.checkpoint = stranger_log.clone());
    });
    assert_answer(&by_stranger, "INCONCLUSIVE", &["E_LOG_UNKNOWN", "E_REQUIRE"]);
    let unneeded = told.verify_changed(&trust_logged(Require::signed()), |files| {
        change_proofs(files, |proof| proof.checkpoint = stranger_log.clone());
    });
    assert_valid(&unneeded);
    assert_eq!(unneeded.codes(), ["N_UNAUTH"]);

    let elsewhere = LogOrigin::parse("log.example/other").unwrap();
    let other_log = note(&log_key(), &elsewhere, tree, &[]);
    let report = told.verify_changed(&trust(), |files| {
        change_proofs(files, |proof| proof.checkpoint = other_log.clone());
    });
    assert_answer(&report, "INVALID", &["E_INCLUSION", "E_REQUIRE"]);

    let size = format!("\n{}\n", told.log.size());
    let forged = told.newest.replace(&size, &format!("\n{}\n", told.log.size() + 1));
    let report = told.verify_changed(&trust(), |files| {
        change_proofs(files, |proof| proof.checkpoint = forged.clone());
    });
    assert_answer(&report, "INVALID", &["E_CHECKPOINT", "E_REQUIRE"]);
}

#[test]
fn a_signature_line_that_anybody_can_add_takes_nothing_away() {
    let told = refunded();
    let line = told.newest.lines().find(|line| line.starts_with("\u{2014} log.example")).unwrap();
    let mut forged = line.to_owned();
    forged.replace_range(line.len() - 8..line.len() - 4, "AAAA");
    let noted = format!("{}{forged}\n", told.newest);
    let report = told.verify_changed(&trust(), |files| {
        change_proofs(files, |proof| proof.checkpoint = noted.clone());
    });
    assert_valid(&report);
}

#[test]
fn stripping_a_witness_leaves_the_quorum_unmet() {
    let told = refunded().witnessed(&[(1, 20)]);
    assert_answer(&told.verify(&trust()), "INCONCLUSIVE", &["E_QUORUM", "E_REQUIRE"]);
    let one_is_enough =
        |require| Trust::new([issuer_key()], Some(require)).unwrap().with_log(trusted_log(2, 1)).unwrap();
    let report = told.verify(&one_is_enough(Require { witnessed: 1, ..logged() }));
    assert_valid(&report);
    assert_eq!(report.assurance.unwrap().witnessed, 1);
    assert_answer(&told.verify(&one_is_enough(logged())), "INCONCLUSIVE", &["E_REQUIRE"]);
    // A witness that nobody pinned, and one that cosigns twice, are not two.
    let strangers = refunded().witnessed(&[(1, 20), (9, 20), (1, 21)]);
    assert_answer(&strangers.verify(&one_is_enough(logged())), "INCONCLUSIVE", &["E_REQUIRE"]);
    assert_answer(&strangers.verify(&trust()), "INCONCLUSIVE", &["E_QUORUM", "E_REQUIRE"]);
}

#[test]
fn two_trees_of_one_size_that_the_quorum_vouches_for_are_a_split_view() {
    let told = refunded();
    let mut other = told.log.clone();
    let last = other.leaves.len() - 1;
    other.leaves[last][50] ^= 1;
    let split = |witnesses: &[(u8, u64)]| {
        let checkpoint = other.checkpoint(other.size(), witnesses);
        let proof = other.proof(told.places[3], other.size(), &checkpoint);
        told.verify_changed(&trust(), |files| {
            files.insert(proof_path(3), proof.encode().into_bytes());
        })
    };
    let at = told.story.now / 1_000 + 20;
    let report = split(&[(1, at), (2, at)]);
    assert_eq!(report.verdict, Verdict::Invalid);
    assert!(report.codes().contains(&"E_SPLIT_VIEW"), "{:?}", report.codes());
    // Without the quorum it is nobody's history but the log's, and does not count.
    assert_answer(&split(&[(1, at)]), "INCONCLUSIVE", &["E_QUORUM", "E_REQUIRE"]);
}

#[test]
fn older_checkpoints_must_lead_to_the_newest() {
    let told = refunded();
    let older = told.places[4];
    let at = told.story.now / 1_000 + 10;
    let checkpoint = told.log.checkpoint(older, &[(1, at), (2, at)]);
    let proof = told.log.proof(told.places[3], older, &checkpoint);
    let hashes = told.log.consistency(older, told.log.size());
    let with = |consistency: Option<LogConsistency>, trust: &Trust| {
        told.verify_changed(trust, |files| {
            files.insert(proof_path(3), proof.encode().into_bytes());
            if let Some(consistency) = consistency {
                files.insert(LogConsistency::path(older), consistency.encode().into_bytes());
            }
        })
    };
    let good = LogConsistency { hashes: hashes.clone(), checkpoint: None };
    assert_valid(&with(Some(good), &trust()));
    assert_answer(&with(None, &trust()), "INCONCLUSIVE", &["E_ANCHOR"]);
    assert_valid(&with(None, &trust_logged(Require::signed())));
    let bad = LogConsistency { hashes: hashes.into_iter().rev().collect(), checkpoint: None };
    assert_answer(&with(Some(bad), &trust()), "INVALID", &["E_ANCHOR"]);
}

#[test]
fn an_anchor_must_be_a_tree_of_the_log() {
    let told = refunded();
    assert_valid(&told.verify(&trust()));
    let without = |files: &mut FileMap| _ = files.remove(&LogConsistency::path(STRANGERS));
    assert_answer(&told.verify_changed(&trust(), without), "INCONCLUSIVE", &["E_ANCHOR"]);
    assert_valid(&told.verify_changed(&trust_logged(Require::signed()), without));
    let damaged = |content: &'static [u8]| {
        told.verify_changed(&trust(), |files| {
            files.insert(LogConsistency::path(STRANGERS), content.to_vec());
        })
    };
    assert_answer(&damaged(b"\n"), "INVALID", &["E_ANCHOR"]);
    assert_answer(&damaged(b"no hash\n\n"), "INVALID", &["E_ANCHOR", "E_CONTAINER"]);
}

/// Tells the refund with other anchors, for the artifacts from some place on.
fn anchored(change: impl Fn(usize, &mut Option<TreeHead>)) -> Logged {
    let Logged { mut story, log, .. } = refunded();
    let mut before = Log::default();
    before.leaves.extend(log.leaves.into_iter().take(usize::try_from(STRANGERS).unwrap()));
    for (at, statement) in story.statements.iter_mut().enumerate() {
        change(at, &mut statement.anchor);
    }
    story.relink();
    Logged::as_told(before, story)
}

#[test]
fn an_anchor_that_the_log_never_had_is_a_contradiction() {
    let told = anchored(|_, anchor| {
        if let Some(anchor) = anchor {
            anchor.root = Digest::of(b"another history");
        }
    });
    assert_answer(&told.verify(&trust()), "INVALID", &["E_ANCHOR"]);
}

#[test]
fn anchors_never_fall_and_never_hold_their_own_artifact() {
    let tree = |size| refunded().log.tree(size);
    assert_valid(&anchored(|_, _| {}).verify(&trust()));
    let falls = anchored(|at, anchor| *anchor = Some(tree(if at < 3 { 5 } else { 3 })));
    assert_answer(&falls.verify(&trust()), "INVALID", &["E_ANCHOR"]);
    // Also without anything known of the log.
    assert_answer(&falls.verify(&crate::story::trust()), "INVALID", &["E_ANCHOR"]);
    let rises = anchored(|at, anchor| *anchor = Some(tree(if at < 3 { 3 } else { 5 })));
    assert_valid(&rises.verify(&trust()));
    let empty = anchored(|_, anchor| *anchor = Some(TreeHead::empty()));
    assert_valid(&empty.verify(&trust()));
    let false_empty = anchored(|_, anchor| *anchor = Some(TreeHead { size: 0, root: tree(3).root }));
    assert_answer(&false_empty.verify(&trust()), "INVALID", &["E_ANCHOR"]);
    // One leaf more than there were when it was sealed. That the log has no such tree is left aside: nothing asks for it.
    let told = |more: u64| {
        let told = anchored(|at, anchor| {
            let size = STRANGERS + 2 * at as u64 + more;
            *anchor = Some(TreeHead { size, root: Digest::of(&size.to_be_bytes()) });
        });
        told.verify_changed(&trust_logged(Require::signed()), |files| {
            files.retain(|path, _| !path.starts_with("log/"));
        })
    };
    assert_valid(&told(0));
    assert_answer(&told(1), "INVALID", &["E_ANCHOR"]);
}

#[test]
fn places_rise_with_the_sequence() {
    let story = refunded().story;
    let mut log = Log::default();
    (0..STRANGERS).for_each(|_| _ = log.add_stranger());
    let count = story.statements.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.swap(2, 3);
    let mut places = vec![0; count];
    for at in order {
        places[at] = log.add(&leaf(&story.statements[at]));
    }
    let told = Logged::sealed(log, story, places);
    assert_answer(&told.verify(&trust()), "INVALID", &["E_LOG_ORDER"]);
}

#[test]
fn the_flags_and_the_issuer_of_a_leaf_are_part_of_it() {
    let cases: [fn(&mut gantral_evidence::log::leaf::Leaf); 2] =
        [|leaf| leaf.terminal = !leaf.terminal, |leaf| leaf.issuer = [0; 8]];
    for change in cases {
        let (story, mut log) = (refunded().story, Log::default());
        (0..STRANGERS).for_each(|_| _ = log.add_stranger());
        let mut places = Vec::new();
        for (at, statement) in story.statements.iter().enumerate() {
            let mut leaf = leaf(statement);
            if at == 3 {
                change(&mut leaf);
            }
            places.push(log.add(&leaf));
        }
        let told = Logged::sealed(log, story, places);
        assert_answer(&told.verify(&trust()), "INVALID", &["E_INCLUSION", "E_REQUIRE"]);
    }
}

#[test]
fn a_key_is_judged_by_the_place_in_the_log() {
    let told = refunded();
    let (first, last) = (told.places[0], *told.places.last().unwrap());
    let codes = |change: fn(&mut TrustedKey, u64, u64)| {
        let report = verify_keyed(&told, |key| change(key, first, last), logged());
        (report.verdict.as_str(), report.codes())
    };
    assert_eq!(codes(|key, first, _| key.valid_from = Some(first)), ("VALID", vec![]));
    assert_eq!(codes(|key, first, _| key.valid_from = Some(first + 1)), ("INVALID", vec!["E_KEY_WINDOW"]));
    assert_eq!(
        codes(|key, _, last| key.valid_until = Some(last + 1)),
        ("VALID", vec!["N_KEY_EXPIRED_LATER"])
    );
    assert_eq!(
        codes(|key, _, last| key.valid_until = Some(last)),
        ("INVALID", vec!["E_KEY_WINDOW", "N_KEY_EXPIRED_LATER"])
    );
    assert_eq!(
        codes(|key, _, last| key.compromised_from = Some(last + 1)),
        ("VALID", vec!["N_KEY_COMPROMISED"])
    );
    assert_eq!(
        codes(|key, _, last| key.compromised_from = Some(last)),
        ("INCONCLUSIVE", vec!["E_KEY_COMPROMISED", "N_KEY_COMPROMISED"])
    );
}

#[test]
fn a_limited_key_needs_the_log_though_nothing_else_does() {
    let told = refunded().witnessed(&[(1, 20)]);
    let windowed = verify_keyed(&told, |key| key.valid_until = Some(1_000), Require::signed());
    assert_answer(&windowed, "INCONCLUSIVE", &["E_QUORUM", "E_UNLOGGED"]);
    let compromised = verify_keyed(&told, |key| key.compromised_from = Some(1_000), Require::signed());
    assert_answer(&compromised, "INCONCLUSIVE", &["E_KEY_COMPROMISED", "E_QUORUM"]);
}

/// The refund with a second artifact for the place of the outcome.
fn forked(files: &mut FileMap) {
    let twin = Story::refund().retell(EventKind::Outcome, |statement| statement.blind = [0; 32]);
    let sequence = twin.position(EventKind::Outcome);
    let sealed = sign(&twin.statements[sequence], &issuer());
    files.insert("artifacts/twin.json".to_owned(), sealed.envelope);
}

#[test]
fn an_unlogged_artifact_never_displaces_a_logged_one() {
    let told = refunded();
    let report = told.verify_changed(&trust(), forked);
    assert_answer(&report, "INVALID", &["E_FORK"]);
    assert!(report.assurance.unwrap().logged);
    // A thief has a key and no log.
    let stolen = TrustedKey { compromised_from: Some(told.log.size()), ..issuer_key() };
    let report = told.verify_changed(&trust_keyed(stolen, logged()), forked);
    assert_valid(&report);
    assert_eq!(report.codes(), ["N_KEY_COMPROMISED", "N_UNAUTH"]);
}

/// Tells the refund with the first artifact issued so many milliseconds later or earlier.
fn begun(shift_ms: i64) -> Story {
    Story::refund().retell(EventKind::Created, |statement| {
        let at = statement.entry.at.get().saturating_add_signed(shift_ms);
        statement.entry.at = UnixMillis::new(at).unwrap();
    })
}

#[test]
fn a_backdated_chain_contradicts_the_trees_that_do_not_hold_it() {
    // The kept anchor was seen 30 s before the story; promise and skew are 65 s.
    let kept_at = |told: &mut Logged, after: i64| {
        let at = (told.story.statements[0].entry.at.get() / 1_000).saturating_add_signed(after);
        told.kept = [(STRANGERS, told.log.checkpoint(STRANGERS, &[(1, at), (2, at)]))].into();
    };
    let mut told = refunded();
    kept_at(&mut told, 65);
    assert_valid(&told.verify(&trust()));
    kept_at(&mut told, 66);
    assert_answer(&told.verify(&trust()), "INVALID", &["E_TIME_WINDOW"]);
    let backdated = Logged::of(begun(-96_000));
    assert_answer(&backdated.verify(&trust()), "INVALID", &["E_TIME_WINDOW"]);
    assert_valid(&Logged::of(begun(-95_000)).verify(&trust()));
}

#[test]
fn a_chain_from_the_future_contradicts_the_checkpoint_that_holds_it() {
    // The last artifact was issued at the end of the story; the skew is 5 s, and a time stands for its whole second.
    let seen = |after| refunded().witnessed(&[(1, after), (2, after)]).verify(&trust());
    assert_valid(&seen(-5));
    assert_answer(&seen(-6), "INVALID", &["E_TIME_WINDOW"]);
}

#[test]
fn one_lying_witness_accuses_nobody() {
    let liars: [&[(u8, i64)]; 3] =
        [&[(1, -1_000_000), (2, 20)], &[(1, 20), (2, 1_000_000)], &[(1, -1_000_000), (2, 20), (3, 20)]];
    for witnesses in liars {
        let three = Trust::new([issuer_key()], Some(logged())).unwrap().with_log(trusted_log(3, 2)).unwrap();
        assert_valid(&refunded().witnessed(witnesses).verify(&three));
    }
    let majority = refunded().witnessed(&[(1, -1_000_000), (2, -1_000_000), (3, 20)]);
    let three = Trust::new([issuer_key()], Some(logged())).unwrap().with_log(trusted_log(3, 2)).unwrap();
    assert_answer(&majority.verify(&three), "INVALID", &["E_TIME_WINDOW"]);
    // The largest time that a cosignature can carry overflows nothing.
    let mut told = refunded();
    told.newest = told.log.checkpoint(told.log.size(), &[(1, u64::MAX), (2, u64::MAX)]);
    assert_valid(&told.verify(&trust()));
}

#[test]
fn no_flipped_byte_of_a_proof_stays_valid_with_the_same_assurance() {
    let told = Logged::of({
        let mut story = Story::begin();
        story.launch();
        story
    });
    let whole = told.verify(&trust());
    assert_valid(&whole);
    let files = told.files();
    let of_log = |path: &&String| path.starts_with("proofs/") || path.starts_with("log/");
    for path in files.keys().filter(of_log) {
        for at in 0..files[path].len() {
            let mask = [1, 0x20, 0x80][at % 3];
            let report = told.verify_changed(&trust(), |files| {
                files.get_mut(path).unwrap()[at] ^= mask;
            });
            let same = report.verdict == Verdict::Valid && report.assurance == whole.assurance;
            assert!(!same, "byte {at} of {path} with mask {mask:#x}: {:?}", report.codes());
        }
    }
}

#[test]
fn a_claimed_scope_changes_nothing_about_the_log() {
    let told = refunded();
    assert_valid(&told.verify_beside(Scope::Prefix, &trust(), None, &[], |_| {}));
}

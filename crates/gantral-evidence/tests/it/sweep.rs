//! Damage: no byte of a valid bundle can change without the verdict or its assurance changing, and nothing panics.

use std::collections::BTreeMap;

use gantral_evidence::container::{Files, write_tar};
use gantral_evidence::trust::{Trust, TrustedKey};
use gantral_evidence::verify::{Verdict, verify, verify_tar};
use gantral_vectors::governance::{Governance, activated, other_policy, own};
use gantral_vectors::log::{Log, Logged, logged, trust_keyed};
use proptest::prelude::*;

use crate::story::*;

fn tar_of(story: &Story) -> Vec<u8> {
    write_tar(&story.bundle(story.scope(), story.files()).as_files().unwrap())
}

#[track_caller]
fn assert_damage_shows(tar: &[u8], at: usize, mask: u8) {
    let mut damaged = tar.to_vec();
    damaged[at] ^= mask;
    let report = verify_tar(&damaged, Some(&trust()));
    assert_ne!(report.verdict, Verdict::Valid, "byte {at} with mask {mask}");
}

#[test]
fn no_flipped_byte_of_a_small_bundle_stays_valid() {
    let tar = tar_of(&Story::begin());
    assert_eq!(verify_tar(&tar, Some(&trust())).verdict, Verdict::Valid);
    (0..tar.len()).for_each(|at| assert_damage_shows(&tar, at, 1));
}

#[test]
fn no_flipped_byte_of_a_whole_story_stays_valid() {
    let tar = tar_of(&Story::refund());
    assert_eq!(verify_tar(&tar, Some(&trust())).verdict, Verdict::Valid);
    // Strides without a common factor with the blocks of the tar reach headers, padding and content.
    (0..tar.len()).step_by(211).for_each(|at| assert_damage_shows(&tar, at, 0x20));
    (7..tar.len()).step_by(199).for_each(|at| assert_damage_shows(&tar, at, 0x80));
}

#[test]
fn no_flipped_byte_of_a_file_stays_valid_with_the_same_assurance_though_the_list_is_made_anew() {
    let mut story = Story::begin();
    story.launch();
    let files = story.files();
    let whole = story.verify();
    for (path, content) in &files {
        // Keys are for information: trust never comes from the bundle.
        if path.starts_with("keys/") {
            continue;
        }
        for at in (0..content.len()).step_by(if path.starts_with("artifacts/") { 7 } else { 3 }) {
            let mut damaged = files.clone();
            damaged.get_mut(path).unwrap()[at] ^= 1;
            let bundle = story.bundle(story.scope(), damaged);
            let report = verify(&bundle.as_files().unwrap(), Some(&trust()));
            let same = report.verdict == Verdict::Valid && report.assurance == whole.assurance;
            assert!(!same, "byte {at} of {path}: {:?}", report.codes());
        }
    }
}

#[test]
fn no_flipped_byte_of_the_governance_chain_stays_valid_with_the_same_assurance() {
    let governance = Governance::begin().then(activated(own(), other_policy(), Some(policy_version())));
    let governance = governance.then(activated(own(), policy_version(), Some(other_policy())));
    let mut log = Log::default();
    let places = governance.log(&mut log);
    let told = Logged::as_told(log, governance.under(Story::allowed()));
    let mut added = governance.files();
    added.extend(governance.proofs(&told, &places));
    // A key with a window: each artifact counts by its place only.
    let key = TrustedKey { valid_from: Some(0), ..TrustedKey::issuer(public(&issuer())) };
    let trust = trust_keyed(key, logged());
    let with =
        |added: &BTreeMap<String, Vec<u8>>| told.verify_changed(&trust, |files| files.extend(added.clone()));
    let whole = with(&added);
    assert_eq!(whole.verdict, Verdict::Valid);
    for (path, content) in &added {
        for at in (0..content.len()).step_by(13) {
            let mut damaged = added.clone();
            damaged.get_mut(path).unwrap()[at] ^= 1;
            let report = with(&damaged);
            let same = report.verdict == Verdict::Valid && report.assurance == whole.assurance;
            assert!(!same, "byte {at} of {path}: {:?}", report.codes());
        }
        let mut without = added.clone();
        without.remove(path);
        let report = with(&without);
        let same = report.verdict == Verdict::Valid && report.assurance == whole.assurance;
        assert!(!same, "without {path}: {:?}", report.codes());
    }
}

#[test]
fn no_removed_file_of_the_chain_stays_valid() {
    let story = Story::refund();
    let files = story.files();
    for path in files.keys().filter(|path| path.starts_with("artifacts/")) {
        let mut without = files.clone();
        without.remove(path);
        let bundle = story.bundle(story.scope(), without);
        let report = verify(&bundle.as_files().unwrap(), Some(&trust()));
        assert_ne!(report.verdict, Verdict::Valid, "{path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_bytes_get_a_verdict(bytes in prop::collection::vec(any::<u8>(), 0..4_096)) {
        prop_assert_ne!(verify_tar(&bytes, Some(&trust())).verdict, Verdict::Valid);
        prop_assert!(Trust::parse(&bytes).is_err());
    }

    #[test]
    fn any_files_get_a_verdict(
        artifact in prop::collection::vec(any::<u8>(), 0..512),
        disclosure in ".{0,200}",
    ) {
        let story = Story::begin();
        let path = format!("disclosures/{}.json", "a".repeat(64));
        let list = [
            ("artifacts/000000.dsse.json".to_owned(), artifact),
            (path, disclosure.into_bytes()),
        ];
        let bundle = story.bundle(story.scope(), list.into_iter().collect());
        let files: Files<'_> = bundle.as_files().unwrap();
        prop_assert_ne!(verify(&files, Some(&trust())).verdict, Verdict::Valid);
    }
}

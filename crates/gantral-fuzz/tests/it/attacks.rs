//! Attacks on whole bundles that every verifier calls valid: whatever is done to their files, the result is not valid to the same
//! degree, unless it proves the same.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use gantral_core::ids::InstanceId;
use gantral_evidence::container::{Files, MANIFEST_PATH, Manifest, OwnedFiles, Scope, write_tar};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Report, Verdict, verify, verify_tar};
use gantral_fuzz::framed::FileMap;
use gantral_fuzz::seeds::Vectors;

use crate::beside;

/// A bundle that is valid, and for whom.
struct Whole {
    case: String,
    files: FileMap,
    trust: Trust,
    instance: InstanceId,
    scope: Scope,
    report: Report,
}

impl Whole {
    fn of(vectors: &Vectors, case: &str) -> Option<Self> {
        let files = vectors.bundle(case);
        let trust = Trust::parse(vectors.get(&format!("bundles/{case}/trust.json"))?).ok()?;
        let manifest = Manifest::parse(files.get(MANIFEST_PATH)?).ok()?;
        let report = judge(&files, &trust).ok()?;
        // What needs a mirror or receipts beside it is not valid here; and a file that counts for nothing counts for no less when it
        // is damaged.
        let is_valid = report.verdict == Verdict::Valid && !report.codes().contains(&"N_UNAUTH");
        let (instance, scope) = (manifest.instance, manifest.scope);
        is_valid.then(|| Self { case: case.to_owned(), files, trust, instance, scope, report })
    }

    /// Where files of the bundle are and how they are called, without what differs from bundle to bundle.
    fn kinds(&self) -> BTreeSet<String> {
        self.files.keys().map(|path| kind(path)).collect()
    }

    /// Returns the files with a list that names them as they are.
    fn listed_anew(&self, files: &FileMap) -> Option<FileMap> {
        let mut owned = OwnedFiles::new();
        for (path, content) in files.iter().filter(|(path, _)| *path != MANIFEST_PATH) {
            owned.insert(path, content.clone()).ok()?;
        }
        owned.seal(self.instance, self.scope).ok()?;
        let files = owned.as_files().ok()?;
        Some(files.iter().map(|(path, content)| (path.to_owned(), content.to_vec())).collect())
    }

    /// The bundle as somebody left it who did not touch the list: never valid.
    #[track_caller]
    fn assert_refused(&self, files: &FileMap, what: &impl Debug) {
        let Ok(report) = judge(files, &self.trust) else { return };
        assert_ne!(report.verdict, Verdict::Valid, "{}: {what:?}", self.case);
    }

    /// The bundle with the list made anew: valid only if it proves less, or if `touched` counts for nothing.
    /// A list that is made anew repairs itself.
    #[track_caller]
    fn assert_no_stronger(&self, files: &FileMap, touched: &str, what: &impl Debug) {
        let Some(files) = self.listed_anew(files) else { return };
        let Ok(report) = judge(&files, &self.trust) else { return };
        if report.verdict == Verdict::Valid && touched != MANIFEST_PATH && !is_for_information(touched) {
            let same = (report.scope, &report.assurance, &report.findings, &report.timeline)
                == (self.report.scope, &self.report.assurance, &self.report.findings, &self.report.timeline);
            assert!(!same, "{}: {what:?} of `{touched}` changes nothing: {:?}", self.case, report.codes());
        }
    }
}

/// Files from which no verdict takes anything, as if they had not been exported: keys and a trust file, which a relying party may
/// compare with what it has pinned, and rules, of which every verifier has its own copy. If they are there they must be what their name
/// says.
fn is_for_information(path: &str) -> bool {
    path.starts_with("keys/") && !path.ends_with(".delegation.json") || path.starts_with("semantics/")
}

/// A definition may be left out: then nothing is said about what it waits for (V63). If it is there it must be what its name says.
fn may_be_left_out(path: &str) -> bool {
    path.starts_with("workflow/")
}

fn kind(path: &str) -> String {
    let (folder, name) = path.split_once('/').unwrap_or_default();
    let end = name.split_once('.').map(|(_, end)| end).unwrap_or_default();
    format!("{folder}/{end}")
}

fn judge(files: &FileMap, trust: &Trust) -> Result<Report, gantral_evidence::container::ContainerError> {
    let list = files.iter().map(|(path, content)| (path.as_str(), content.as_slice()));
    let files = Files::from_list(list)?;
    Ok(verify(&files, Some(trust)))
}

/// Returns bundles that together have files of every kind that any valid bundle has: those that prove most to whoever asks most, and
/// among them the small ones.
fn wholes() -> Vec<Whole> {
    let vectors = Vectors::load().unwrap();
    let cases = vectors.cases().into_iter().filter(|case| vectors.is_valid(case));
    let mut all: Vec<Whole> = cases.filter_map(|case| Whole::of(&vectors, case)).collect();
    let mut missing: BTreeSet<String> = all.iter().flat_map(Whole::kinds).collect();
    let mut chosen = Vec::new();
    while !missing.is_empty() {
        let gain = |whole: &Whole| whole.kinds().intersection(&missing).count();
        let asked = |whole: &Whole| {
            let require = whole.trust.require.as_ref();
            require.map(|require| (require.logged, require.witnessed))
        };
        all.sort_by_key(|whole| (gain(whole), asked(whole), Reverse(whole.files.len())));
        let best = all.pop().unwrap();
        missing = missing.difference(&best.kinds()).cloned().collect();
        chosen.push(best);
    }
    chosen
}

#[test]
fn bundles_under_attack_have_files_of_every_kind() {
    let _beside = beside();
    let kinds: BTreeSet<String> = wholes().iter().flat_map(Whole::kinds).collect();
    for kind in [
        "artifacts/dsse.json",
        "governance/dsse.json",
        "proofs/tlog-proof",
        "log/tlog-consistency",
        "disclosures/json",
        "keys/delegation.json",
    ] {
        assert!(kinds.contains(kind), "{kind}: {kinds:?}");
    }
}

#[test]
fn a_file_that_is_dropped_is_missed() {
    let _beside = beside();
    for whole in wholes() {
        for path in whole.files.keys() {
            let mut files = whole.files.clone();
            files.remove(path);
            whole.assert_refused(&files, &("drop", path));
            if !may_be_left_out(path) {
                whole.assert_no_stronger(&files, path, &"drop");
            }
        }
    }
}

#[test]
fn a_file_under_another_name_is_not_what_it_was() {
    let _beside = beside();
    for whole in wholes() {
        for (path, content) in whole.files.iter().filter(|(path, _)| *path != MANIFEST_PATH) {
            for name in other_names(path) {
                let mut files = whole.files.clone();
                files.insert(name.clone(), content.clone());
                whole.assert_refused(&files, &("duplicate", path, &name));
                files.remove(path);
                whole.assert_refused(&files, &("rename", path, &name));
                // Artifacts are in the order of their own sequence, whatever their files are called.
                let artifact = path.starts_with("artifacts/") && name.starts_with("artifacts/");
                if !artifact && !may_be_left_out(path) {
                    whole.assert_no_stronger(&files, path, &("rename", &name));
                }
            }
        }
    }
}

/// Returns names that are near, that mean something else, and that mean nothing.
fn other_names(path: &str) -> Vec<String> {
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let near: String = name.chars().map(|c| if c == '0' { '1' } else { c }).collect();
    let names = [
        format!("{folder}/{near}"),
        format!("human/{name}"),
        format!("artifacts/{name}"),
        "other/file".to_owned(),
    ];
    names.into_iter().filter(|name| name != path && !name.starts_with('/')).collect()
}

#[test]
fn files_that_trade_their_contents_are_not_what_they_were() {
    let _beside = beside();
    for whole in wholes() {
        let paths: Vec<&String> = whole.files.keys().collect();
        for pair in paths.windows(2) {
            let (a, b) = (whole.files[pair[0]].clone(), whole.files[pair[1]].clone());
            let mut files = whole.files.clone();
            files.insert(pair[0].clone(), b);
            files.insert(pair[1].clone(), a);
            whole.assert_refused(&files, &("swap", pair));
            // As above: the order of artifacts is their own.
            let artifacts = pair.iter().all(|path| path.starts_with("artifacts/"));
            if !artifacts && !is_for_information(pair[1]) {
                whole.assert_no_stronger(&files, pair[0], &("swap", pair[1]));
            }
        }
    }
}

#[test]
fn a_file_that_is_cut_or_grown_is_not_what_it_was() {
    let _beside = beside();
    for whole in wholes() {
        for (path, content) in &whole.files {
            let cut = |length: usize| content[..length].to_vec();
            let grown = |byte: u8| [content.as_slice(), &[byte]].concat();
            let changed = [
                cut(0),
                cut(content.len() / 2),
                cut(content.len().saturating_sub(1)),
                grown(b' '),
                grown(0),
                grown(b'\n'),
            ];
            for (index, bytes) in changed.into_iter().enumerate().filter(|(_, bytes)| bytes != content) {
                let mut files = whole.files.clone();
                files.insert(path.clone(), bytes);
                whole.assert_refused(&files, &("change", index, path));
                // An envelope may be spelled with space around it: what is signed is inside.
                let spaced = index > 2 && path.ends_with(".dsse.json") | path.ends_with(".delegation.json");
                if !spaced {
                    whole.assert_no_stronger(&files, path, &("change", index));
                }
            }
        }
    }
}

/// How many bytes lie between two that are flipped: a number without a factor in common with blocks and encodings.
const STRIDE: usize = 97;

#[test]
fn a_flipped_byte_is_noticed() {
    let _beside = beside();
    for whole in wholes() {
        let mut start = 0;
        for (path, content) in &whole.files {
            start = (start + 31) % STRIDE;
            let mask = 1 << (start % 7);
            for at in (start % content.len().max(1)..content.len()).step_by(STRIDE) {
                let mut files = whole.files.clone();
                files.get_mut(path).unwrap()[at] ^= mask;
                whole.assert_refused(&files, &("flip", path, at));
                whole.assert_no_stronger(&files, path, &("flip", at));
            }
        }
    }
}

#[test]
fn no_flipped_byte_of_a_tar_stays_valid() {
    let _beside = beside();
    for whole in wholes() {
        let list = whole.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()));
        let tar = write_tar(&Files::from_list(list).unwrap());
        assert_eq!(verify_tar(&tar, Some(&whole.trust)), whole.report, "{}", whole.case);
        for at in (0..tar.len()).step_by(499) {
            let mut damaged = tar.clone();
            damaged[at] ^= 1 << (at % 8);
            let report = verify_tar(&damaged, Some(&whole.trust));
            assert_ne!(report.verdict, Verdict::Valid, "{}: byte {at}", whole.case);
        }
    }
}

#[test]
fn artifacts_in_another_order_are_the_same_chain() {
    let _beside = beside();
    // Proofs are named after the sequence of their artifact, and other files after what they hold.
    let whole = wholes().into_iter().max_by_key(|whole| whole.report.timeline.len()).unwrap();
    let is_artifact = |path: &str| path.starts_with("artifacts/");
    let artifacts: Vec<Vec<u8>> = whole
        .files
        .iter()
        .filter(|(path, _)| is_artifact(path))
        .map(|(_, content)| content.clone())
        .collect();
    let mut files: BTreeMap<String, Vec<u8>> = whole.files.clone();
    let paths: Vec<String> = files.keys().filter(|path| is_artifact(path)).cloned().collect();
    files.extend(paths.into_iter().zip(artifacts.into_iter().rev()));
    whole.assert_refused(&files, &"reverse");
    let files = whole.listed_anew(&files).unwrap();
    let report = judge(&files, &whole.trust).unwrap();
    let head = |report: &Report| report.execution.as_ref().map(|execution| execution.head);
    assert_eq!((report.verdict, head(&report)), (Verdict::Valid, head(&whole.report)));
}

#[test]
fn files_of_two_executions_are_no_third() {
    let _beside = beside();
    let wholes = wholes();
    for pair in wholes.windows(2) {
        let [a, b] = pair else { continue };
        let mut files = a.files.clone();
        files.extend(b.files.iter().map(|(path, content)| (path.clone(), content.clone())));
        a.assert_refused(&files, &("together with", &b.case));
        let Some(files) = a.listed_anew(&files) else { continue };
        let report = judge(&files, &a.trust).unwrap();
        let own = |report: &Report| report.execution.as_ref().map(|execution| execution.head);
        let known = [own(&a.report), own(&b.report)];
        assert!(
            report.verdict != Verdict::Valid || known.contains(&own(&report)),
            "{} and {}",
            a.case,
            b.case
        );
    }
}

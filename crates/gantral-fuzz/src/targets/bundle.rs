//! Bundles: the container, its list, and the whole of it under fixed trust files.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::json::{self, Profile, Value};
use gantral_evidence::container::{Files, MANIFEST_PATH, Manifest, OwnedFiles, Scope, read_tar, write_tar};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::report::to_text;
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Report, Verdict, verify, verify_tar};

use crate::framed::{FileMap, frame, unframe};
use crate::seeds::Vectors;
use crate::target::{Answer, Broken, Seen, Target, ensure, refused, twice};

/// What a relying party pins who asks for little, and one who asks for a log with two witnesses.
const TRUST_FILES: [&[u8]; 2] = [
    include_bytes!("../../../../spec/vectors/bundles/048-snapshots-there/trust.json"),
    include_bytes!("../../../../spec/vectors/bundles/700-logged/trust.json"),
];
/// How much of a bundle is worth damaging at a time.
const BYTES_MAX: usize = 96 << 10;

const TOKENS: &[&str] = &[
    "artifacts/000000.dsse.json",
    "proofs/000001.tlog-proof",
    "governance/000000.dsse.json",
    "bundle.json",
    "trust.json",
    "../",
    "\"scope\":\"prefix\"",
    "\"scope\":\"complete\"",
    "ustar\x0000",
    "00000000000\0",
    "77777777777\0",
];

pub const TAR: Target =
    Target { name: "tar", bytes_max: BYTES_MAX, tokens: TOKENS, seeds: tars, check: check_tar };
pub const MANIFEST: Target = Target {
    name: "manifest",
    bytes_max: 32 << 10,
    tokens: TOKENS,
    seeds: |vectors| vectors.ending("/bundle/bundle.json"),
    check: check_manifest,
};
pub const WHOLE: Target =
    Target { name: "bundle", bytes_max: BYTES_MAX, tokens: TOKENS, seeds: tars, check: check_whole };
pub const FILES: Target = Target {
    name: "bundle_files",
    bytes_max: BYTES_MAX,
    tokens: TOKENS,
    seeds: |vectors| few(vectors).iter().map(frame).collect(),
    check: check_files,
};

/// Some of the bundles: half of those that are valid for somebody, because only they can stay valid, and some of the others.
fn few(vectors: &Vectors) -> Vec<FileMap> {
    let (valid, others): (Vec<&str>, Vec<&str>) =
        vectors.cases().into_iter().partition(|case| vectors.is_valid(case));
    let cases = valid.into_iter().step_by(2).chain(others.into_iter().step_by(4));
    cases.map(|case| vectors.bundle(case)).collect()
}

fn tars(vectors: &Vectors) -> Vec<Vec<u8>> {
    few(vectors).iter().filter_map(tar).collect()
}

fn tar(files: &FileMap) -> Option<Vec<u8>> {
    let files = Files::from_list(files.iter().map(|(path, content)| (path.as_str(), content.as_slice())));
    files.ok().map(|files| write_tar(&files))
}

fn check_tar(bytes: &[u8]) -> Answer {
    let files = match twice(|| read_tar(bytes))? {
        Ok(files) => files,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(write_tar(&files) == bytes, "a tar is the only one of its files")?;
    ensure(
        Files::from_list(files.iter()).as_ref() == Ok(&files),
        "the files of a tar are files of a bundle",
    )?;
    Ok(Seen::Accepted)
}

fn check_manifest(bytes: &[u8]) -> Answer {
    let manifest = match twice(|| Manifest::parse(bytes))? {
        Ok(manifest) => manifest,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(manifest.encode() == bytes, "a list has one spelling")?;
    let alone = Files::from_list([(MANIFEST_PATH, bytes)]);
    let missing = alone.map(|files| manifest.faults(&files).len()).ok();
    ensure(missing == Some(manifest.files.len()), "every listed file that is not there is a fault")?;
    Ok(Seen::Accepted)
}

/// The trust files, parsed.
fn trusts() -> &'static [Trust] {
    static TRUSTS: LazyLock<Vec<Trust>> =
        LazyLock::new(|| TRUST_FILES.iter().filter_map(|file| Trust::parse(file).ok()).collect());
    &TRUSTS
}

/// The hashes of everything that the issuer of the vectors has signed: only they can stand at the end of a chain that is believed.
fn sealed() -> &'static BTreeSet<Digest> {
    static SEALED: LazyLock<BTreeSet<Digest>> = LazyLock::new(|| {
        let envelopes = Vectors::load().unwrap_or_default().ending(".dsse.json");
        let payloads = envelopes.iter().filter_map(|envelope| Some(Envelope::parse(envelope).ok()?.payload));
        payloads.map(|payload| artifact_hash(&payload)).collect()
    });
    &SEALED
}

fn check_whole(bytes: &[u8]) -> Answer {
    let mut seen = Seen::Refused(0);
    for trust in trusts() {
        seen = judged(&twice(|| verify_tar(bytes, Some(trust)))?)?;
    }
    let without = verify_tar(bytes, None);
    ensure(without.verdict != Verdict::Valid, "nothing is valid without trust")?;
    Ok(seen)
}

/// Reads any files, and makes their list anew: a stranger would not leave a wrong one.
fn check_files(bytes: &[u8]) -> Answer {
    let mut files = OwnedFiles::new();
    let mut scope = Scope::Prefix;
    for (path, content) in unframe(bytes) {
        if path == MANIFEST_PATH && content.windows(10).any(|window| window == b"\"complete\"") {
            scope = Scope::Complete;
        }
        if let Err(error) = files.insert(&path, content) {
            return Ok(refused(&error));
        }
    }
    let instance = files.as_files().ok().and_then(|files| instance_of(&files));
    let instance = instance.unwrap_or_else(|| InstanceId::from_random([7; 16]));
    if let Err(error) = files.seal(instance, scope) {
        return Ok(refused(&error));
    }
    let files = match files.as_files() {
        Ok(files) => files,
        Err(error) => return Ok(refused(&error)),
    };
    let tar = write_tar(&files);
    let mut seen = Seen::Refused(0);
    for trust in trusts() {
        let report = verify(&files, Some(trust));
        ensure(report == verify_tar(&tar, Some(trust)), "files and their tar get the same report")?;
        seen = judged(&report)?;
    }
    Ok(seen)
}

fn instance_of(files: &Files<'_>) -> Option<InstanceId> {
    let list = json::parse(files.get(MANIFEST_PATH)?, &Profile::DOCUMENT).ok()?;
    InstanceId::parse(list.get("instance_id").and_then(Value::as_str)?).ok()
}

/// What every report promises.
fn judged(report: &Report) -> Result<Seen, Broken> {
    let text = to_text(report);
    ensure(text.contains(report.verdict.as_str()), "a report says its verdict")?;
    if report.verdict != Verdict::Valid {
        ensure(!report.codes().is_empty(), "what is not valid has a code that says why")?;
        return Ok(refused(&report.codes().join(" ")));
    }
    let head = report.execution.as_ref().map(|execution| execution.head);
    ensure(head.is_some_and(|head| sealed().contains(&head)), "only what the issuer has signed is valid")?;
    ensure(report.assurance.is_some(), "what is valid says how far")?;
    Ok(Seen::Accepted)
}

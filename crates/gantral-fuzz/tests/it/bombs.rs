//! Inputs that are small for what they claim, or as large as a limit allows: answered in bounded time and memory.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use gantral_core::ids::InstanceId;
use gantral_core::json::{self, DOCUMENT_BYTES_MAX, Profile};
use gantral_evidence::container::{
    ARTIFACTS_MAX, FILES_MAX, Files, MANIFEST_BYTES_MAX, OwnedFiles, Scope, read_tar, write_tar,
};
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::note::Note;
use gantral_evidence::log::policy::LogPolicy;
use gantral_evidence::log::proof::LogProof;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Verdict, parse_receipts, verify, verify_tar};
use gantral_fuzz::peak_growth;
use gantral_fuzz::seeds::Vectors;
use gantral_fuzz::targets::TARGETS;
use gantral_policy::bundle::Bundle;

use crate::alone;

/// The most memory that reading an input within the limits of its format may add, in bytes, beside the input.
const GROWTH_BYTES_MAX: u64 = 64 << 20;
/// The most that a document of JSON may add, as long as a document may be: lists in lists are the worst, each with room for four values.
const JSON_GROWTH_BYTES_MAX: u64 = 2 * GROWTH_BYTES_MAX;
/// The longest that it may take, without optimisation and beside other work.
const TIME_MAX: Duration = Duration::from_secs(20);

#[track_caller]
fn bounded<T>(what: &str, growth_max: u64, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let (answer, grown) = peak_growth(work);
    let took = start.elapsed();
    println!("{what}: {took:?}, {:?} MiB", grown.map(|grown| grown >> 20));
    assert!(took < TIME_MAX, "{what} took {took:?}");
    assert!(grown.is_none_or(|grown| grown <= growth_max), "{what} took {grown:?} bytes");
    answer
}

fn trust() -> Trust {
    let vectors = Vectors::load().unwrap();
    Trust::parse(vectors.get("bundles/700-logged/trust.json").unwrap()).unwrap()
}

/// JSON of about this length, each in a shape that is costly in its own way.
fn json_bombs(length: usize) -> Vec<(&'static str, Vec<u8>)> {
    let list = |element: &str| {
        let count = length / (element.len() + 1) - 1;
        format!("[{}{element}]", format!("{element},").repeat(count - 1)).into_bytes()
    };
    let names =
        |count: usize| (0..count).map(|number| format!("\"{number}\":0")).collect::<Vec<_>>().join(",");
    vec![
        ("nesting", b"[".repeat(length)),
        ("nesting of objects", b"{\"a\":".repeat(length / 5)),
        ("closed nesting", [b"[".repeat(length / 2), b"]".repeat(length / 2)].concat()),
        ("a long number", b"9".repeat(length)),
        ("a long fraction", [b"0.", b"1".repeat(length - 2).as_slice()].concat()),
        ("a large exponent", list("1e999999999")),
        ("numbers that grow when they are written", list("1e20")),
        ("numbers", list("0")),
        ("empty lists", list("[]")),
        ("empty objects", list("{}")),
        ("deep lists", list(&format!("{}{}", "[".repeat(60), "]".repeat(60)))),
        ("a long text", [b"\"", b"a".repeat(length - 2).as_slice(), b"\""].concat()),
        ("a text of escapes", [b"\"", b"\\u0001".repeat(length / 6 - 1).as_slice(), b"\""].concat()),
        ("a text that never ends", [b"\"", b"\\\\".repeat(length / 2 - 1).as_slice()].concat()),
        ("many members", format!("{{{}}}", names(length / 12)).into_bytes()),
        ("one member many times", [b"{", b"\"a\":0,".repeat(length / 7).as_slice(), b"\"a\":0}"].concat()),
        ("combining marks", format!("\"{}\"", "e\u{301}\u{323}".repeat(length / 5 - 1)).into_bytes()),
        ("marks out of order", format!("\"a{}\"", "\u{301}\u{323}".repeat(length / 4 - 2)).into_bytes()),
    ]
}

#[test]
fn json_of_any_shape_is_read_in_bounded_memory() {
    let _alone = alone();
    for (what, bytes) in json_bombs(DOCUMENT_BYTES_MAX) {
        for profile in [Profile::DOCUMENT, Profile::ARTIFACT.with_bytes_max(DOCUMENT_BYTES_MAX)] {
            let answer =
                bounded(what, JSON_GROWTH_BYTES_MAX, || json::parse_canonical(&bytes, &profile).is_ok());
            let shape = what.contains("nest") || what.contains("never");
            assert!(!(shape && answer), "{what}");
        }
    }
}

#[test]
fn every_decoder_survives_json_of_any_shape() {
    let _alone = alone();
    for (what, bytes) in json_bombs(DOCUMENT_BYTES_MAX / 8) {
        for target in TARGETS {
            let answer = bounded(&format!("{what} as {}", target.name), 2 * GROWTH_BYTES_MAX, || {
                (target.check)(&bytes)
            });
            assert!(answer.is_ok(), "{what} as {}: {answer:?}", target.name);
        }
    }
}

/// How much memory the longest list of a bundle may take for each of its bytes: a value takes far more than the digit it was.
const LIST_GROWTH_MAX: u64 = 20;

#[test]
fn a_list_of_nothing_takes_memory_in_proportion_to_its_length() {
    let _alone = alone();
    // A quarter of what a list may be: without optimisation it takes long.
    let length = MANIFEST_BYTES_MAX / 4;
    let list =
        [b"{\"files\":[".as_slice(), &b"0,".repeat(length / 2), b"0],\"format\":\"gantral/bundle/v1\"}"]
            .concat();
    let files = Files::from_list([("bundle.json", list.as_slice())]).unwrap();
    let trust = trust();
    let growth_max = LIST_GROWTH_MAX * length as u64;
    let report = bounded("a list of nothing", growth_max, || verify(&files, Some(&trust)));
    assert_ne!(report.verdict, Verdict::Valid);
}

#[test]
fn as_many_files_as_there_may_be_are_judged_in_bounded_time() {
    let _alone = alone();
    let mut files = OwnedFiles::new();
    for number in 0..ARTIFACTS_MAX {
        files.insert(&format!("artifacts/{number:06}.dsse.json"), b"{}".to_vec()).unwrap();
    }
    for number in ARTIFACTS_MAX..FILES_MAX - 1 {
        let folder = ["proofs", "log", "disclosures", "keys", "human", "governance", "parents", "workflow"]
            [number % 8];
        files.insert(&format!("{folder}/{number}.tlog-proof"), b"{}".to_vec()).unwrap();
    }
    files.seal(InstanceId::from_random([7; 16]), Scope::Prefix).unwrap();
    let trust = trust();
    let tar = write_tar(&files.as_files().unwrap());
    let report = bounded("a hundred thousand files", 128 << 20, || verify_tar(&tar, Some(&trust)));
    assert_ne!(report.verdict, Verdict::Valid);
    files.insert("zzz", Vec::new()).unwrap_err();
}

#[test]
fn a_tar_that_lies_about_its_sizes_is_refused() {
    let _alone = alone();
    let files = Files::from_list([("a", b"a".as_slice()), ("b", b"b".as_slice())]).unwrap();
    let tar = write_tar(&files);
    for size in ["77777777777", "00000000000", "37777777777", "-0000000001", "\u{7f}0000000000"] {
        let mut lying = tar.clone();
        lying[124..135].copy_from_slice(&size.as_bytes()[..11]);
        // With the checksum put right, so that it is the size that is refused.
        lying[148..156].copy_from_slice(b"        ");
        let sum: u32 = lying[..512].iter().map(|byte| u32::from(*byte)).sum();
        lying[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        bounded(size, GROWTH_BYTES_MAX, || read_tar(&lying).map(drop)).unwrap_err();
    }
}

#[test]
fn a_policy_bundle_that_unpacks_to_gigabytes_is_refused_at_its_limit() {
    let _alone = alone();
    let bomb = |name: &str, kind: u8, size: u64| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let mut header = [0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = kind;
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        encoder.write_all(&header).unwrap();
        let zeros = vec![0; 1 << 20];
        for _ in 0..size >> 20 {
            encoder.write_all(&zeros).unwrap();
        }
        encoder.finish().unwrap()
    };
    let file = b'0';
    for (name, kind, size) in [
        ("policy.rego", file, 256 << 20),
        ("policy.rego", file, 3 << 20),
        ("folder/", b'5', 256 << 20),
        ("policy.rego", b'L', 256 << 20),
        ("policy.rego", b'x', 256 << 20),
        ("unknown", file, 256 << 20),
    ] {
        let archive = bomb(name, kind, size);
        bounded(name, GROWTH_BYTES_MAX, || Bundle::from_archive(&archive).map(drop)).unwrap_err();
    }
    let zeros = bomb("", file, 200 << 20);
    let twice = {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&zeros).unwrap();
        encoder.finish().unwrap()
    };
    bounded("packed twice", GROWTH_BYTES_MAX, || Bundle::from_archive(&twice).map(drop)).unwrap_err();
}

#[test]
fn notes_and_proofs_with_thousands_of_lines_are_refused() {
    let _alone = alone();
    let line = "\u{2014} witness.example/w1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    let note = format!("log.example/acme\n1\nroot\n\n{}", line.repeat(10_000));
    bounded("signatures", GROWTH_BYTES_MAX, || Note::parse(note.as_bytes()).map(drop)).unwrap_err();
    let hash = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
    for count in [64, 700, 1_000_000] {
        let hashes = hash.repeat(count);
        let proof = format!("c2sp.org/tlog-proof@v1\nindex 0\n{hashes}\n{note}");
        bounded("hashes of a proof", GROWTH_BYTES_MAX, || LogProof::parse(proof.as_bytes()).map(drop))
            .unwrap_err();
        let consistency = format!("{hashes}\n");
        let read = bounded("hashes of consistency", GROWTH_BYTES_MAX, || {
            LogConsistency::parse(consistency.as_bytes())
        });
        assert!(read.is_err(), "{count}");
    }
    let groups: String = (0..10_000).map(|number| format!("group g{number} any g{}\n", number - 1)).collect();
    bounded("groups", GROWTH_BYTES_MAX, || LogPolicy::parse(groups.as_bytes()).map(drop)).unwrap_err();
}

#[test]
fn receipts_without_end_are_refused_at_their_limits() {
    let _alone = alone();
    let many = b"{\"envelope\":1}\n".repeat(1_000_000);
    bounded("many receipts", GROWTH_BYTES_MAX, || parse_receipts(&many).map(drop)).unwrap_err();
    let long = [b"{\"envelope\":\"".as_slice(), &b"A".repeat(32 << 20), b"\"}\n"].concat();
    bounded("a long receipt", GROWTH_BYTES_MAX, || parse_receipts(&long).map(drop)).unwrap_err();
    let empty = b"\n".repeat(64 << 20);
    assert_eq!(bounded("empty lines", GROWTH_BYTES_MAX, || parse_receipts(&empty)), Ok(Vec::new()));
}

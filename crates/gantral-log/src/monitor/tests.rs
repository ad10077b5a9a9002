//! Logs with everything that an attacker with all keys does to them, each beside its clean twin.

use std::cell::RefCell;
use std::collections::BTreeSet;

use ed25519_dalek::{Signer as _, SigningKey};
use gantral_core::digest::Digest;
use gantral_core::ids::instance_tag;
use gantral_evidence::container::Scope;
use gantral_evidence::log::leaf::{LEAF_BYTES, Leaf, LeafKind};
use gantral_evidence::log::note::{NoteKey, NoteKeyKind, cosignature, cosigned, signature_line};
use gantral_evidence::statement::artifact_hash;
use gantral_evidence::trust::{Trust, TrustedKey};
use gantral_evidence::verify::{Code, parse_receipts};
use gantral_vectors::cast::{issuer, public, sign, stranger};
use gantral_vectors::story::Story;

use super::*;
use crate::testing::Memory;

mod handed;

const ORIGIN: &str = "log.example/acme";
/// Long after everything in the stories, in milliseconds since 1970.
const LATER: u64 = 1_800_000_000_000;

fn key(seed: u8, name: &str, kind: NoteKeyKind) -> (SigningKey, NoteKey) {
    let secret = SigningKey::from_bytes(&[seed; 32]);
    let public = public(&secret);
    (secret, NoteKey::new(name, kind, public).unwrap())
}

fn policy(text: &str) -> LogPolicy {
    let log = key(31, ORIGIN, NoteKeyKind::Text).1;
    let witness = key(32, "w.example", NoteKeyKind::Cosignature).1;
    LogPolicy::parse(format!("log {log}\nwitness w {witness}\n{text}\n").as_bytes()).unwrap()
}

fn signed(seed: u8, checkpoint: &Checkpoint) -> String {
    let text = checkpoint.text();
    let (secret, key) = key(seed, checkpoint.origin.as_str(), NoteKeyKind::Text);
    format!("{text}\n{}", signature_line(&key, &secret.sign(text.as_bytes()).to_bytes()))
}

/// A log whose keeper may do as he likes.
#[derive(Clone, Default)]
struct Log {
    objects: Memory,
    edge: Edge,
}

impl Log {
    fn of(leaves: &[Leaf]) -> Self {
        Self::default().grown(leaves)
    }

    fn grown(mut self, leaves: &[Leaf]) -> Self {
        let encoded: Vec<_> = leaves.iter().map(Leaf::encode).collect();
        self = self.grown_raw(&encoded);
        self
    }

    fn grown_raw(mut self, leaves: &[[u8; LEAF_BYTES]]) -> Self {
        self.objects.put(self.edge.append_encoded(leaves.iter().copied()).unwrap());
        let note = self.note();
        self.show(&note);
        self
    }

    fn note(&self) -> String {
        signed(31, &Checkpoint { origin: LogOrigin::parse(ORIGIN).unwrap(), tree: self.edge.head() })
    }

    fn show(&mut self, note: &str) {
        self.objects.0.insert(CHECKPOINT.to_owned(), note.as_bytes().to_vec());
    }

    fn object(&mut self, name: &str) -> &mut Vec<u8> {
        self.objects.0.get_mut(name).unwrap()
    }
}

fn leaf(chain: u64, sequence: u64) -> Leaf {
    Leaf { sequence, ..crate::testing::leaf(chain) }
}

/// The leaves of so many chains of four, the last of which ends its chain, one chain after the other.
fn chains(from: u64, to: u64) -> Vec<Leaf> {
    let chain = |chain| (0..4).map(move |at| Leaf { terminal: at == 3, ..leaf(chain, at) });
    (from..to).flat_map(chain).collect()
}

fn monitor() -> Monitor {
    Monitor::new(policy("quorum none"))
}

const LIVE: Occasion = Occasion { now_ms: LATER, is_live: true };

fn pass(monitor: &mut Monitor, log: &Log) -> Report {
    monitor.pass(&log.objects, &Questions::default(), LIVE).unwrap()
}

fn again(monitor: &mut Monitor, log: &Log) -> Report {
    monitor.pass(&log.objects, &Questions { again: true, ..Questions::default() }, LIVE).unwrap()
}

fn codes(report: &Report) -> BTreeSet<&'static str> {
    report.findings.iter().map(|finding| finding.code.as_str()).collect()
}

#[track_caller]
fn found(report: &Report, expected: &[&str]) {
    assert_eq!(codes(report), expected.iter().copied().collect(), "{report:#?}");
    assert_eq!(report.is_clean(), expected.iter().all(|code| code.starts_with("N_")), "{report:#?}");
}

/// Counts what is read.
struct Counting<'a>(&'a Memory, RefCell<usize>);

impl ReadObjects for Counting<'_> {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        *self.1.borrow_mut() += 1;
        self.0.read(name)
    }
}

#[test]
fn a_log_that_only_grows_is_followed_at_the_cost_of_what_is_new() {
    let mut monitor = monitor();
    let mut log = Log::default();
    let mut to = 0;
    for more in [1, 2, 61, 64, 300, 1, 0, 2_000] {
        log = log.grown(&chains(to, to + more));
        to += more;
        let report = pass(&mut monitor, &log);
        found(&report, &[]);
        assert_eq!((report.instances, report.ended), (to, to));
        // A restart forgets nothing.
        let state = monitor.state().unwrap();
        monitor = Monitor::resume(policy("quorum none"), &state).unwrap();
        assert_eq!(monitor.state().unwrap(), state);
    }
    log = log.grown(&chains(to, to + 3));
    let objects = Counting(&log.objects, RefCell::new(0));
    let report = monitor.pass(&objects, &Questions::default(), LIVE).unwrap();
    found(&report, &[]);
    assert_eq!((report.known, report.read_from), (to * 4, to * 4));
    let cost = objects.1.into_inner();
    assert!(cost < 8, "{cost} objects were read for twelve leaves");
    assert_eq!(again(&mut monitor, &log).read_from, 0);
}

#[test]
fn what_no_sequencer_may_write_is_found_and_stays_found() {
    let other = Leaf { hash: Digest::from_bytes([8; 32]), ..leaf(900, 1) };
    let start = [leaf(900, 0), leaf(900, 1)];
    let ended = [leaf(901, 0), Leaf { terminal: true, ..leaf(901, 1) }];
    let governance = Leaf { kind: LeafKind::Governance, ..leaf(902, 0) };
    let cases: &[(&str, Vec<Leaf>, &[&str])] = &[
        ("clean", [start.as_slice(), &[leaf(900, 2)], &ended, &[governance]].concat(), &[]),
        ("fork", [start.as_slice(), &[other]].concat(), &["E_FORK"]),
        ("fork of the first", vec![leaf(900, 0), Leaf { sequence: 0, ..other }], &["E_FORK"]),
        ("twice", [start.as_slice(), &[leaf(900, 1)]].concat(), &["E_LOG_ORDER"]),
        ("gap", [start.as_slice(), &[leaf(900, 3)]].concat(), &["E_LOG_ORDER"]),
        ("no genesis", vec![leaf(900, 1)], &["E_LOG_ORDER"]),
        ("out of order", vec![leaf(900, 0), leaf(900, 2), leaf(900, 1)], &["E_LOG_ORDER"]),
        ("after the end", [ended.as_slice(), &[leaf(901, 2)]].concat(), &["E_LOG_ORDER"]),
        (
            "fork of the end",
            [ended.as_slice(), &[Leaf { terminal: true, ..other }]].concat(),
            &["E_LOG_ORDER"],
        ),
        ("a governance chain that ends", vec![Leaf { terminal: true, ..governance }], &["E_LEAF"]),
        ("two kinds", vec![leaf(902, 0), Leaf { sequence: 1, ..governance }], &["E_LEAF"]),
    ];
    for (what, leaves, expected) in cases {
        for before in [0, 63, 64, 70] {
            let mut monitor = monitor();
            let log = Log::of(&chains(0, before));
            found(&pass(&mut monitor, &log), &[]);
            let log = log.grown(leaves);
            let report = pass(&mut monitor, &log);
            assert!(report.verified, "{what}");
            assert_eq!(codes(&report), expected.iter().copied().collect(), "{what}: {report:#?}");
            let state = monitor.state().unwrap();
            let mut monitor = Monitor::resume(policy("quorum none"), &state).unwrap();
            let log = log.grown(&chains(1_000, 1_100));
            assert_eq!(pass(&mut monitor, &log).findings, report.findings, "{what}");
            assert_eq!(again(&mut monitor, &log).findings, report.findings, "{what}");
        }
    }
}

#[test]
fn a_fork_names_both_of_its_leaves() {
    let fork = Leaf { hash: Digest::from_bytes([8; 32]), ..leaf(3, 1) };
    let log = Log::of(&chains(0, 200)).grown(&[fork]);
    let report = pass(&mut monitor(), &log);
    let [finding] = report.findings.as_slice() else { panic!("{report:#?}") };
    assert_eq!(finding.place, "leaf 800");
    assert!(finding.message.ends_with("has another artifact of sequence 1 at leaf 13"), "{finding:?}");
}

#[test]
fn leaves_of_later_versions_count_in_the_tree_and_say_nothing() {
    let mut later = leaf(1, 0).encode();
    later[3] = 2;
    found(&pass(&mut monitor(), &Log::of(&chains(0, 5)).grown_raw(&[later])), &[]);
    let mut flags = leaf(1, 0).encode();
    flags[4] = 0;
    found(&pass(&mut monitor(), &Log::of(&chains(0, 5)).grown_raw(&[flags])), &["E_LEAF"]);
    let mut magic = leaf(1, 0).encode();
    magic[0] = b'X';
    found(&pass(&mut monitor(), &Log::of(&chains(0, 5)).grown_raw(&[magic])), &["E_LEAF"]);
}

#[test]
fn a_log_that_shrinks_is_found_and_may_come_back() {
    let (log, mut monitor) = (Log::of(&chains(0, 100)), monitor());
    let short = log.clone();
    let log = log.grown(&chains(100, 101));
    found(&pass(&mut monitor, &log), &[]);
    let report = pass(&mut monitor, &short);
    found(&report, &["E_ROLLBACK"]);
    assert_eq!(report.findings[0].checkpoints, [log.note(), short.note()]);
    found(&pass(&mut monitor, &log), &[]);
}

#[test]
fn a_history_that_was_written_anew_is_found_and_never_forgiven() {
    let log = Log::of(&chains(0, 100));
    let mut forged = chains(0, 100);
    forged[7].hash = Digest::from_bytes([8; 32]);
    let forged = Log::of(&forged);
    for rewritten in [forged.clone(), forged.grown(&chains(100, 300))] {
        let mut monitor = monitor();
        found(&pass(&mut monitor, &log), &[]);
        let report = pass(&mut monitor, &rewritten);
        found(&report, &["E_SPLIT_VIEW"]);
        assert_eq!(report.findings[0].checkpoints, [log.note(), rewritten.note()]);
        // The rewritten history itself is without fault, and the old one is what is remembered.
        found(&pass(&mut tests::monitor(), &rewritten), &[]);
        let mut monitor = Monitor::resume(policy("quorum none"), &monitor.state().unwrap()).unwrap();
        let report = pass(&mut monitor, &log.clone().grown(&chains(100, 110)));
        found(&report, &["E_SPLIT_VIEW"]);
        assert!(report.verified);
    }
}

#[test]
fn tiles_that_are_not_those_of_the_tree_are_found() {
    let log = Log::of(&chains(0, 200));
    // Each: how the files change, and whether the next pass sees it although it reads only what is new.
    type Change = fn(&mut Log);
    let cases: &[(&str, Change, bool)] = &[
        ("an old leaf", |log| log.object("tile/entries/000")[50] ^= 1, false),
        ("an old hash", |log| log.object("tile/0/001")[50] ^= 1, false),
        ("a hash above", |log| log.object("tile/1/000.p/3")[50] ^= 1, true),
        ("a new leaf", |log| log.object("tile/entries/003.p/72")[5_000] ^= 1, true),
        ("a leaf beside new ones", |log| log.object("tile/entries/003.p/72")[50] ^= 1, true),
        ("the length of a leaf", |log| log.object("tile/entries/003.p/72")[1] ^= 1, true),
        ("a tile that is gone", |log| drop(log.objects.0.remove("tile/entries/002")), false),
        ("hashes that are gone", |log| drop(log.objects.0.remove("tile/0/002")), false),
        ("new hashes that are gone", |log| drop(log.objects.0.remove("tile/0/003.p/72")), true),
        ("a tile that is cut", |log| log.object("tile/entries/001").truncate(100), false),
    ];
    for (what, change, seen) in cases {
        let mut monitor = monitor();
        found(&pass(&mut monitor, &log), &[]);
        let grown = log.clone().grown(&chains(200, 210));
        let mut changed = grown.clone();
        change(&mut changed);
        let mut other = Monitor::resume(policy("quorum none"), &monitor.state().unwrap()).unwrap();
        let expected: &[&str] = if *seen { &["E_TILE"] } else { &[] };
        assert_eq!(codes(&pass(&mut other, &changed)), expected.iter().copied().collect(), "{what}");
        let report = again(&mut monitor, &changed);
        assert_eq!(codes(&report), BTreeSet::from(["E_TILE"]), "{what}: {report:#?}");
        // Files can be mended: the log has signed nothing wrong.
        found(&again(&mut monitor, &grown), &[]);
    }
}

#[test]
fn a_reader_takes_the_beginning_of_a_full_tile_once_the_partial_one_is_gone() {
    let log = Log::of(&chains(0, 100));
    let checkpoint = log.note();
    let mut grown = log.grown(&chains(100, 500));
    grown.objects.0.retain(|name, _| !name.contains(".p/"));
    grown.show(&checkpoint);
    // The tile above has no full twin yet: the hashes of it are all that is missing.
    let report = pass(&mut monitor(), &grown);
    assert!(report.verified);
    assert_eq!(report.findings.len(), 1, "{report:#?}");
    assert_eq!(report.findings[0].place, "tile/1/000.p/1");
}

#[test]
fn a_checkpoint_counts_only_under_the_policy() {
    let log = Log::of(&chains(0, 10));
    let shown = |note: &str, policy: LogPolicy| {
        let mut log = log.clone();
        log.show(note);
        pass(&mut Monitor::new(policy), &log)
    };
    let note = log.note();
    let text = note.split("\n\n").next().unwrap().to_owned() + "\n";
    let (secret, witness) = key(32, "w.example", NoteKeyKind::Cosignature);
    let time = 1_700_000_000;
    let signature = secret.sign(cosigned(time, &text).as_bytes()).to_bytes();
    let witnessed = note.clone() + &signature_line(&witness, &cosignature(time, &signature));
    found(&shown(&note, policy("quorum none")), &[]);
    let report = shown(&witnessed, policy("quorum w"));
    found(&report, &[]);
    assert_eq!(report.witnesses, [("w.example".to_owned(), time)]);
    found(&shown(&note, policy("quorum w")), &["E_QUORUM"]);
    found(&shown(&note.replace("\n40\n", "\n39\n"), policy("quorum none")), &["E_CHECKPOINT"]);
    found(&shown("nonsense", policy("quorum none")), &["E_CHECKPOINT"]);
    let tree = log.edge.head();
    let origin = LogOrigin::parse("log.example/other").unwrap();
    found(&shown(&signed(31, &Checkpoint { origin, tree }), policy("quorum none")), &["E_LOG_UNKNOWN"]);
    let by_another = signed(33, &Checkpoint { origin: LogOrigin::parse(ORIGIN).unwrap(), tree });
    found(&shown(&by_another, policy("quorum none")), &["E_LOG_UNKNOWN"]);
}

#[test]
fn what_cannot_be_read_is_no_finding_and_is_not_remembered() {
    struct Broken<'a>(&'a Memory, &'a str);
    impl ReadObjects for Broken<'_> {
        fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            if name.starts_with(self.1) { Err(io::Error::other("gone")) } else { self.0.read(name) }
        }
    }
    let (mut monitor, log) = (monitor(), Log::of(&chains(0, 100)));
    for broken in ["checkpoint", "tile/entries/001", "tile/0/000", "tile/1"] {
        let error = monitor.pass(&Broken(&log.objects, broken), &Questions::default(), LIVE).unwrap_err();
        assert!(matches!(error, MonitorError::Source(_)), "{broken}: {error}");
        assert_eq!(monitor.state(), None);
    }
    let error = monitor.pass(&Memory::default(), &Questions::default(), LIVE).unwrap_err();
    assert!(matches!(error, MonitorError::NoCheckpoint), "{error}");
}

#[test]
fn what_a_pass_read_and_could_not_finish_is_not_remembered() {
    let (mut monitor, log) = (monitor(), Log::of(&chains(0, 100)));
    let half = log.grown(&[leaf(900, 0), leaf(900, 1), leaf(901, 0)]);
    found(&pass(&mut monitor, &half), &[]);
    let state = monitor.state();
    let mut rest: Vec<Leaf> = vec![leaf(900, 2), leaf(902, 0), leaf(902, 1), leaf(900, 3)];
    rest.extend(chains(100, 300));
    let grown = half.grown(&rest);
    // The last leaves are damaged, so that everything before them was read in vain; or cannot be had at all.
    let mut damaged = grown.clone();
    let last =
        damaged.objects.0.keys().filter(|name| name.starts_with("tile/entries/")).max().unwrap().clone();
    damaged.object(&last)[1] ^= 1;
    found(&pass(&mut monitor, &damaged), &["E_TILE"]);
    assert_eq!(monitor.state(), state);
    struct Without<'a>(&'a Memory, &'a str);
    impl ReadObjects for Without<'_> {
        fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
            if name == self.1 { Err(io::Error::other("gone")) } else { self.0.read(name) }
        }
    }
    assert!(monitor.pass(&Without(&grown.objects, &last), &Questions::default(), LIVE).is_err());
    assert_eq!(monitor.state(), state);
    let report = pass(&mut monitor, &grown);
    found(&report, &[]);
    assert_eq!((report.read_from, report.instances), (size_of(&state), 303));
    let mut anew = tests::monitor();
    found(&pass(&mut anew, &grown), &[]);
    assert_eq!(anew.state(), monitor.state());
}

/// Returns how many leaves a state remembers.
fn size_of(state: &Option<Vec<u8>>) -> u64 {
    State::decode(state.as_ref().unwrap()).unwrap().checkpoint.tree.size
}

#[test]
fn what_is_remembered_is_of_one_log_and_undamaged() {
    let (mut monitor, log) = (monitor(), Log::of(&chains(0, 100)));
    found(&pass(&mut monitor, &log), &[]);
    let state = monitor.state().unwrap();
    for at in (0..state.len()).step_by(37) {
        let mut damaged = state.clone();
        damaged[at] ^= 1;
        assert!(Monitor::resume(policy("quorum none"), &damaged).is_err(), "{at}");
    }
    assert!(Monitor::resume(policy("quorum none"), &state[..state.len() - 1]).is_err());
    let origin = LogOrigin::parse("log.example/other").unwrap();
    let known = key(31, "log.example/other", NoteKeyKind::Text).1;
    let other = LogPolicy::parse(format!("log {known}\nquorum none\n").as_bytes()).unwrap();
    let mut log = log.clone();
    log.show(&signed(31, &Checkpoint { origin, tree: log.edge.head() }));
    let mut monitor = Monitor::resume(other, &state).unwrap();
    let error = monitor.pass(&log.objects, &Questions::default(), LIVE).unwrap_err();
    assert!(matches!(error, MonitorError::OtherLog { .. }), "{error}");
}

#[test]
fn a_folder_is_used_by_one_monitor_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(&dir.path().join("m")).unwrap();
    assert_eq!(folder.load().unwrap(), None);
    folder.store(b"one".to_vec()).unwrap();
    folder.store(b"two".to_vec()).unwrap();
    let refused = StateFolder::open(&dir.path().join("m"));
    assert!(matches!(refused, Err(StateFolderError::Locked(_))));
    drop(folder);
    assert_eq!(StateFolder::open(&dir.path().join("m")).unwrap().load().unwrap().unwrap(), b"two");
}

#[test]
fn more_findings_than_are_kept_are_counted() {
    let log = Log::of(&(0..1_500).map(|chain| leaf(chain, 1)).collect::<Vec<_>>());
    let mut monitor = monitor();
    for _ in 0..2 {
        let report = again(&mut monitor, &log);
        assert_eq!((report.findings.len(), report.more), (1_000, 500));
        assert!(!report.is_clean());
    }
    let report = pass(&mut monitor, &log.grown(&[leaf(2_000, 1)]));
    assert_eq!((report.findings.len(), report.more), (1_000, 501));
}

#[test]
fn codes_mean_what_they_mean_in_a_verdict() {
    let own = ["E_HIDDEN", "E_LEAF", "E_ROLLBACK", "E_TILE"];
    for code in MonitorCode::ALL {
        assert_eq!(Code::parse(code.as_str()).is_none(), own.contains(&code.as_str()), "{code:?}");
        assert_eq!(MonitorCode::parse(code.as_str()), Some(*code));
        assert_eq!(code.is_note(), code.as_str().starts_with("N_"));
        let row = format!("| `{}` | {} |", code.as_str(), code.meaning());
        assert!(include_str!("../../../../spec/log.md").contains(&row), "spec/log.md lacks: {row}");
    }
}

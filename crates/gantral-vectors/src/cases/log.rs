//! What proofs, checkpoints, witnesses and anchors say of a chain.

use gantral_core::ids::LogOrigin;
use gantral_core::state::EventKind;
use gantral_core::time::UnixMillis;
use gantral_evidence::bundle::proof_path;
use gantral_evidence::log::consistency::LogConsistency;
use gantral_evidence::log::proof::LogProof;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::trust::{Require, Trust, TrustedKey};

use crate::case::{Case, FileMap};
use crate::cast::*;
use crate::log::*;
use crate::story::Story;
use crate::tales;

const TWIN: &str = "700-logged";
const KEPT: [&str; 2] = ["N_UNGATED", "N_WITHHELD"];

pub(super) fn told() -> Logged {
    Logged::of(tales::ungated())
}

/// A logged story whose files were changed before they were listed.
pub(super) fn changed(
    number: u16,
    slug: &'static str,
    about: &'static str,
    told: &Logged,
    change: impl FnOnce(&mut FileMap),
) -> Case {
    let mut files = told.files();
    files.retain(|path, _| ["artifacts/", "proofs/", "log/"].iter().any(|folder| path.starts_with(folder)));
    change(&mut files);
    Case::from_files(number, slug, about, &told.story, told.story.scope(), files)
        .under(&trust_logged(logged()))
}

pub(super) fn with<const N: usize>(codes: [&'static str; N]) -> Vec<&'static str> {
    codes.into_iter().chain(KEPT).collect()
}

fn change_proof(files: &mut FileMap, sequence: usize, change: impl FnOnce(&mut LogProof)) {
    let path = proof_path(sequence);
    let mut proof = LogProof::parse(&files[&path]).unwrap();
    change(&mut proof);
    files.insert(path, proof.encode().into_bytes());
}

fn change_proofs(files: &mut FileMap, checkpoint: &str) {
    let count = files.keys().filter(|path| path.starts_with("proofs/")).count();
    (0..count)
        .for_each(|sequence| change_proof(files, sequence, |proof| proof.checkpoint = checkpoint.to_owned()));
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = proofs();
    cases.extend(checkpoints());
    cases.extend(trees());
    cases.extend(keys());
    cases.extend(times());
    cases
}

fn proofs() -> Vec<Case> {
    let told = told();
    let proof = |number, slug, about, change: fn(&mut LogProof)| {
        changed(number, slug, about, &told, |files| change_proof(files, 3, change))
    };
    let put = |number, slug, about, content: Vec<u8>| {
        changed(number, slug, about, &told, |files| _ = files.insert(proof_path(3), content))
    };
    let without = |files: &mut FileMap| _ = files.remove(&proof_path(3));
    let mild = trust_logged(Require::signed());
    vec![
        changed(700, "logged", "Every artifact is in a witnessed log", &told, |_| {}).valid(&KEPT),
        changed(701, "logged-and-not-asked", "The trust file knows no log and asks for none", &told, |_| {})
            .under(&trust())
            .valid(&KEPT),
        changed(702, "proof-missing", "One artifact has no proof", &told, without)
            .inconclusive(&with(["E_REQUIRE", "E_UNLOGGED"])),
        changed(703, "proof-missing-and-not-asked", "One has no proof, and none is required", &told, without)
            .under(&mild)
            .valid(&KEPT),
        proof(704, "proof-of-another-place", "A proof names another index", |proof| proof.index += 1)
            .invalid(&with(["E_INCLUSION", "E_REQUIRE"]), TWIN),
        proof(705, "proof-with-a-hash-too-few", "A proof lacks its last hash", |proof| {
            _ = proof.hashes.pop()
        })
        .invalid(&with(["E_INCLUSION", "E_REQUIRE"]), TWIN),
        put(706, "proof-that-is-none", "A proof cannot be read", b"c2sp.org/tlog-proof@v1\n".to_vec())
            .invalid(&with(["E_CONTAINER", "E_REQUIRE"]), TWIN),
        put(707, "proof-over-its-limit", "A proof is larger than a verifier reads", vec![b'x'; 41 << 10])
            .inconclusive(&with(["E_LIMIT", "E_REQUIRE"])),
        changed(708, "proof-of-nothing", "A proof of no artifact of the chain", &told, |files| {
            files.insert("proofs/009999.tlog-proof".to_owned(), b"anything".to_vec());
            files.insert("log/7.tlog-consistency".to_owned(), b"anything".to_vec());
        })
        .valid(&with(["N_UNAUTH"])),
    ]
}

fn checkpoints() -> Vec<Case> {
    let told = told();
    let tree = told.log.tree(told.log.size());
    let under = |number, slug, about, checkpoint: &str| {
        changed(number, slug, about, &told, |files| change_proofs(files, checkpoint))
    };
    let elsewhere = LogOrigin::parse("log.example/other").unwrap();
    let size = format!("\n{}\n", told.log.size());
    let forged = told.newest.replace(&size, &format!("\n{}\n", told.log.size() + 1));
    let line = told.newest.lines().find(|line| line.starts_with("\u{2014} log.example")).unwrap();
    let mut bad = line.to_owned();
    bad.replace_range(line.len() - 8..line.len() - 4, "AAAA");
    let one = self::told().witnessed(&[(1, 20)]);
    let mut other = told.log.clone();
    let last = other.leaves.len() - 1;
    other.leaves[last][50] ^= 1;
    let at = told.story.now / 1_000 + 20;
    let split = other.checkpoint(other.size(), &[(1, at), (2, at)]);
    let second = other.proof(told.places[3], other.size(), &split);
    vec![
        under(
            720,
            "checkpoint-of-a-stranger",
            "No known log signed",
            &note(&stranger(), &origin(), tree, &[]),
        )
        .inconclusive(&with(["E_LOG_UNKNOWN", "E_REQUIRE", "N_UNAUTH"])),
        under(
            721,
            "checkpoint-of-another-log",
            "The checkpoint is of another log",
            &note(&log_key(), &elsewhere, tree, &[]),
        )
        .invalid(&with(["E_INCLUSION", "E_REQUIRE", "N_UNAUTH"]), TWIN),
        under(722, "forged-checkpoint", "The signature of a known log does not verify", &forged)
            .invalid(&with(["E_CHECKPOINT", "E_REQUIRE", "N_UNAUTH"]), TWIN),
        under(
            723,
            "bad-line-beside",
            "A line that does not verify stands beside one that does",
            &format!("{}{bad}\n", told.newest),
        )
        .valid(&KEPT),
        changed(724, "witness-missing", "One witness has cosigned where two must", &one, |_| {})
            .inconclusive(&with(["E_QUORUM", "E_REQUIRE", "N_UNAUTH"])),
        changed(725, "split-view", "Two trees of one size have been cosigned", &told, |files| {
            files.insert(proof_path(3), second.encode().into_bytes());
        })
        .invalid(&with(["E_SPLIT_VIEW"]), TWIN),
    ]
}

/// Tells a story with one anchor for every artifact but the first.
fn anchored(anchor: impl Fn(usize, &Log) -> TreeHead) -> Logged {
    let Logged { mut story, log, .. } = told();
    let before =
        Log { leaves: log.leaves.iter().take(usize::try_from(STRANGERS).unwrap()).cloned().collect() };
    for (at, statement) in story.statements.iter_mut().enumerate().skip(1) {
        statement.anchor = Some(anchor(at, &log));
    }
    story.relink();
    Logged::as_told(before, story)
}

fn trees() -> Vec<Case> {
    let told = told();
    let path = LogConsistency::path(STRANGERS);
    let put = |number, slug, about, content: &[u8]| {
        changed(number, slug, about, &told, |files| _ = files.insert(path.clone(), content.to_vec()))
    };
    let never = anchored(|_, log| TreeHead { root: tales::elsewhere(), ..log.tree(3) });
    let other = anchored(|_, _| TreeHead { size: STRANGERS, root: tales::elsewhere() });
    let falls = anchored(|at, log| log.tree(if at < 2 { 5 } else { 3 }));
    let story = self::told().story;
    let mut log = Log::default();
    (0..STRANGERS).for_each(|_| _ = log.add_stranger());
    let mut order: Vec<usize> = (0..story.statements.len()).collect();
    let mut places = vec![0; order.len()];
    order.swap(2, 3);
    order.iter().for_each(|at| places[*at] = log.add(&leaf(&story.statements[*at])));
    let swapped = Logged::sealed(log, story, places);
    vec![
        changed(
            740,
            "anchor-not-shown",
            "Nothing shows that an anchor is a tree of the log",
            &told,
            |files| {
                files.remove(&path);
            },
        )
        .inconclusive(&with(["E_ANCHOR"])),
        put(
            741,
            "consistency-that-does-not-lead",
            "A consistency proof does not lead to the newest tree",
            b"\n",
        )
        .invalid(&with(["E_ANCHOR"]), TWIN),
        put(742, "consistency-that-is-none", "A consistency file cannot be read", b"no hash\n\n")
            .invalid(&with(["E_ANCHOR", "E_CONTAINER"]), TWIN),
        changed(743, "anchor-that-never-was", "An anchor that the log never had", &never, |_| {})
            .invalid(&with(["E_ANCHOR"]), TWIN),
        changed(
            746,
            "anchor-beside-the-tree-that-was",
            "The log had another tree of that size",
            &other,
            |_| {},
        )
        .invalid(&with(["E_ANCHOR"]), TWIN),
        changed(744, "anchors-that-fall", "An anchor is older than the one before it", &falls, |_| {})
            .invalid(&with(["E_ANCHOR"]), TWIN),
        changed(745, "log-out-of-order", "A later artifact stands earlier in the log", &swapped, |_| {})
            .invalid(&with(["E_LOG_ORDER"]), TWIN),
    ]
}

fn keyed(number: u16, slug: &'static str, about: &'static str, change: impl FnOnce(&mut TrustedKey)) -> Case {
    let mut key = TrustedKey::issuer(public(&issuer()));
    change(&mut key);
    changed(number, slug, about, &told(), |_| {}).under(&trust_keyed(key, logged()))
}

fn keys() -> Vec<Case> {
    let places = told().places;
    let (first, last) = (places[0], places[places.len() - 1]);
    let valid = "760-key-that-expired-later";
    vec![
        keyed(760, "key-that-expired-later", "The key was valid there, and is no longer", |key| {
            key.valid_until = Some(last + 1)
        })
        .valid(&with(["N_KEY_EXPIRED_LATER"])),
        keyed(761, "key-that-had-expired", "The key had expired before the last artifact", |key| {
            key.valid_until = Some(last)
        })
        .invalid(&with(["E_KEY_WINDOW", "N_KEY_EXPIRED_LATER"]), valid),
        keyed(762, "key-that-was-not-yet-valid", "The key was not yet valid", |key| {
            key.valid_from = Some(first + 1)
        })
        .invalid(&with(["E_KEY_WINDOW"]), valid),
        keyed(763, "key-compromised-later", "The key was compromised later", |key| {
            key.compromised_from = Some(last + 1)
        })
        .valid(&with(["N_KEY_COMPROMISED"])),
        keyed(764, "key-compromised-before", "The key was compromised before the last artifact", |key| {
            key.compromised_from = Some(last);
        })
        .inconclusive(&with(["E_KEY_COMPROMISED", "N_KEY_COMPROMISED"])),
    ]
}

fn times() -> Vec<Case> {
    let backdated = tales::ungated().retell(EventKind::Created, |statement| {
        statement.entry.at = UnixMillis::new(statement.entry.at.get() - 96_000).unwrap();
    });
    let at_limit = tales::ungated().retell(EventKind::Created, |statement| {
        statement.entry.at = UnixMillis::new(statement.entry.at.get() - 95_000).unwrap();
    });
    let seen = |after| told().witnessed(&[(1, after), (2, after)]);
    vec![
        changed(
            780,
            "as-late-as-promised",
            "The log was seen without it, as long before as its promise allows",
            &Logged::of(at_limit),
            |_| {},
        )
        .valid(&KEPT),
        changed(
            781,
            "backdated",
            "The log was seen without it, later than its promise allows",
            &Logged::of(backdated),
            |_| {},
        )
        .invalid(&with(["E_TIME_WINDOW"]), "780-as-late-as-promised"),
        changed(
            782,
            "as-early-as-skew-allows",
            "Witnesses saw it before it says, within the skew",
            &seen(-5),
            |_| {},
        )
        .valid(&KEPT),
        changed(783, "from-the-future", "Witnesses saw it before it says that it was", &seen(-6), |_| {})
            .invalid(&with(["E_TIME_WINDOW"]), "782-as-early-as-skew-allows"),
    ]
}

/// Returns a trust file that asks for completeness too.
pub(super) fn complete() -> Trust {
    trust_logged(Require { complete: true, ..logged() })
}

/// Returns the story of [`told`] with another last artifact.
pub(super) fn twin() -> Story {
    told().story.retell(EventKind::Completed, |statement| statement.blind = [0; 32])
}

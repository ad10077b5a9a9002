//! What others were given, compared with a log.

use gantral_core::time::UnixMillis;
use gantral_evidence::container::OwnedFiles;
use gantral_evidence::delegation::KeyDelegation;
use gantral_evidence::statement::Statement;

use super::*;

fn leaves(story: &Story) -> Vec<Leaf> {
    let of = |statement| {
        let hash = artifact_hash(&Statement::encode(statement));
        Leaf::of_artifact(statement, hash, public(&issuer()).id())
    };
    story.statements.iter().map(of).collect()
}

fn trust() -> Trust {
    Trust::new([TrustedKey::issuer(public(&issuer()))], None).unwrap()
}

/// Compares bundles that claim a scope with a log.
fn with_bundles(log: &Log, bundles: &[(&Story, Scope)], window: Option<Range<u64>>) -> Report {
    let trust = trust();
    let mut reception = Reception::new(&trust);
    for (number, (story, scope)) in bundles.iter().enumerate() {
        let files = story.bundle(*scope, story.files());
        reception.bundle(&number.to_string(), files.as_files());
    }
    ask(log, reception.finish(), window, LATER)
}

fn ask(log: &Log, handed_over: HandedOver, window: Option<Range<u64>>, now_ms: u64) -> Report {
    let questions = Questions { handed_over, window, again: false, patience_ms: 60_000 };
    monitor().pass(&log.objects, &questions, Occasion { now_ms, is_live: true }).unwrap()
}

fn receipts(stories: &[&Story], signer: &SigningKey) -> String {
    let statements = stories.iter().flat_map(|story| &story.statements);
    let line = |statement| {
        let envelope = String::from_utf8(sign(statement, signer).envelope).unwrap();
        format!("{{\"envelope\":{envelope},\"hash\":\"of no account\"}}\n")
    };
    statements.map(line).collect()
}

fn with_receipts(log: &Log, text: &str, now_ms: u64) -> Report {
    let trust = trust();
    let mut reception = Reception::new(&trust);
    reception.receipts("kept", parse_receipts(text.as_bytes()).unwrap());
    ask(log, reception.finish(), None, now_ms)
}

fn with_checkpoint(log: &Log, note: &str) -> Report {
    let trust = trust();
    let mut reception = Reception::new(&trust);
    reception.checkpoint("of another", note.as_bytes().to_vec());
    ask(log, reception.finish(), None, LATER)
}

/// Two executions among others.
fn world() -> (Log, Story, Story) {
    let (one, two) = (Story::numbered(1), Story::numbered(2));
    let log = Log::of(&[chains(0, 70), leaves(&one), chains(70, 80), leaves(&two)].concat());
    (log, one, two)
}

#[test]
fn bundles_that_are_in_the_log_are_clean() {
    let (log, one, two) = world();
    let report = with_bundles(&log, &[(&one, Scope::Complete), (&two, Scope::Complete)], None);
    found(&report, &[]);
    assert_eq!((report.handed_over, report.instances, report.pending), (2, 82, 0));
}

#[test]
fn a_cut_tail_is_found_where_the_bundle_claims_to_be_complete() {
    let (log, mut one, _) = world();
    one.statements.pop();
    found(&with_bundles(&log, &[(&one, Scope::Complete)], None), &["E_TRUNCATED"]);
    found(&with_bundles(&log, &[(&one, Scope::Prefix)], None), &["N_MORE_EXISTS"]);
}

#[test]
fn a_chain_that_was_told_anew_is_a_fork() {
    let (log, mut one, _) = world();
    one.statements[2].blind = [9; 32];
    one.relink();
    let report = with_bundles(&log, &[(&one, Scope::Complete)], None);
    found(&report, &["E_FORK"]);
    assert_eq!(report.findings.len(), one.statements.len() - 2);
    assert_eq!(report.findings[0].place, "bundle 0: artifact 10");
}

#[test]
fn an_execution_that_was_never_logged_is_found_when_its_time_is_over() {
    let (log, _, _) = world();
    let absent = Story::numbered(3);
    found(&with_bundles(&log, &[(&absent, Scope::Complete)], None), &["E_UNLOGGED"]);
}

#[test]
fn a_leaf_under_another_key_is_found() {
    let one = Story::numbered(1);
    let by_another: Vec<Leaf> = leaves(&one)
        .into_iter()
        .map(|leaf| Leaf { issuer: public(&stranger()).id().short(), ..leaf })
        .collect();
    found(&with_bundles(&Log::of(&by_another), &[(&one, Scope::Complete)], None), &["E_INCLUSION"]);
}

#[test]
fn an_execution_that_nobody_handed_over_is_found() {
    let (one, two) = (Story::numbered(1), Story::numbered(2));
    let log = Log::of(&[leaves(&one), leaves(&two)].concat());
    let (first, all) = (leaves(&one).len() as u64, log.edge.size());
    let both = [(&one, Scope::Complete), (&two, Scope::Complete)];
    let report = with_bundles(&log, &both, Some(0..all));
    found(&report, &[]);
    assert_eq!((report.window, report.handed_over), (Some(2), 2));
    let report = with_bundles(&log, &both[..1], Some(0..all));
    found(&report, &["E_HIDDEN"]);
    let identity = &two.instance.identity;
    let tag = instance_tag(&identity.tenant, &identity.instance);
    assert_eq!(report.findings[0].place, format!("chain {tag}"));
    // Outside the window nothing was asked for, and one leaf inside is enough.
    found(&with_bundles(&log, &both[..1], Some(0..first)), &[]);
    found(&with_bundles(&log, &both[..1], Some(0..first + 1)), &["E_HIDDEN"]);
    // A bundle that nobody trusted signed hands over nothing.
    let trust = Trust::new([TrustedKey::issuer(public(&stranger()))], None).unwrap();
    let mut reception = Reception::new(&trust);
    let files = two.bundle(Scope::Complete, two.files());
    reception.bundle("two", files.as_files());
    found(&ask(&log, reception.finish(), Some(first..all), LATER), &["E_HIDDEN", "N_UNAUTH"]);
}

#[test]
fn a_damaged_bundle_is_said_to_be() {
    let (log, one, _) = world();
    let trust = trust();
    let mut reception = Reception::new(&trust);
    let mut files = one.bundle(Scope::Complete, one.files());
    files.remove("artifacts/000003.dsse.json");
    reception.bundle("one", files.as_files());
    found(&ask(&log, reception.finish(), None, LATER), &["E_CONTAINER"]);
}

#[test]
fn what_a_receipt_promised_and_nobody_logged_is_found_when_its_time_is_over() {
    let (log, one, two) = world();
    let kept = receipts(&[&one, &two], &issuer());
    found(&with_receipts(&log, &kept, LATER), &[]);
    let absent = Story::numbered(3);
    let promised = receipts(&[&one, &absent], &issuer());
    let report = with_receipts(&log, &promised, LATER);
    found(&report, &["E_RECEIPT"]);
    assert_eq!(report.findings.len(), absent.statements.len());
    // The promise of the first is older than the last by more than the log may take; that of the last has not run out.
    let last = absent.statements.last().unwrap().entry.at.get();
    let report = with_receipts(&log, &promised, last + 60_000);
    found(&report, &["E_RECEIPT"]);
    assert!(report.pending > 0 && report.pending < absent.statements.len() as u64, "{report:#?}");
    let first = absent.statements[0].entry.at.get();
    let report = with_receipts(&log, &promised, first);
    found(&report, &[]);
    assert_eq!(report.pending, absent.statements.len() as u64);
}

#[test]
fn a_receipt_for_something_else_than_what_was_logged_is_found_at_once() {
    let (log, mut one, _) = world();
    one.statements.last_mut().unwrap().blind = [9; 32];
    one.relink();
    let first = one.statements[0].entry.at.get();
    found(&with_receipts(&log, &receipts(&[&one], &issuer()), first), &["E_RECEIPT"]);
}

#[test]
fn a_receipt_that_nobody_trusted_signed_accuses_nobody() {
    let (log, _, _) = world();
    found(&with_receipts(&log, &receipts(&[&Story::numbered(3)], &stranger()), LATER), &["N_UNAUTH"]);
}

#[test]
fn a_mirror_is_as_old_as_its_witnesses_say() {
    let (mut log, _, _) = world();
    let absent = Story::numbered(3);
    let last = absent.statements.last().unwrap().entry.at.get();
    let (secret, witness) = key(32, "w.example", NoteKeyKind::Cosignature);
    let note = log.note();
    let text = note.split("\n\n").next().unwrap().to_owned() + "\n";
    let time = absent.statements[0].entry.at.get() / 1_000;
    let signature = secret.sign(cosigned(time, &text).as_bytes()).to_bytes();
    log.show(&(note + &signature_line(&witness, &cosignature(time, &signature))));
    let trust = trust();
    let pass = |is_live| {
        let mut reception = Reception::new(&trust);
        let kept = receipts(&[&absent], &issuer());
        reception.receipts("kept", parse_receipts(kept.as_bytes()).unwrap());
        let handed_over = reception.finish();
        let questions = Questions { handed_over, patience_ms: 60_000, ..Questions::default() };
        monitor().pass(&log.objects, &questions, Occasion { now_ms: last + 600_000, is_live }).unwrap()
    };
    found(&pass(false), &[]);
    // What is published now must hold it, however old the cosignatures are.
    found(&pass(true), &["E_RECEIPT"]);
}

/// Returns the note of a log, cosigned by the witness at an instant in seconds since 1970.
fn cosigned_at(log: &Log, time: u64) -> String {
    let (secret, witness) = key(32, "w.example", NoteKeyKind::Cosignature);
    let note = log.note();
    let text = note.split("\n\n").next().unwrap().to_owned() + "\n";
    let signature = secret.sign(cosigned(time, &text).as_bytes()).to_bytes();
    note + &signature_line(&witness, &cosignature(time, &signature))
}

#[test]
fn what_was_dated_back_is_found_by_a_tree_that_was_seen_without_it() {
    let late = Story::numbered(3);
    let earlier = Log::of(&chains(0, 70));
    let log = earlier.clone().grown(&leaves(&late));
    let (first, last) = (late.statements[0].entry.at.get(), late.statements.last().unwrap().entry.at.get());
    let trust = trust();
    let pass = |monitor: &mut Monitor, shown: Option<String>, patience_ms| {
        let mut reception = Reception::new(&trust);
        reception.bundle("one", late.bundle(Scope::Complete, late.files()).as_files());
        let kept = receipts(&[&late], &issuer());
        reception.receipts("kept", parse_receipts(kept.as_bytes()).unwrap());
        if let Some(note) = shown {
            reception.checkpoint("of another", note.into_bytes());
        }
        let questions = Questions { handed_over: reception.finish(), patience_ms, ..Questions::default() };
        monitor.pass(&log.objects, &questions, LIVE).unwrap()
    };
    let seen_at = last / 1_000 + 60;
    let patience_ms = seen_at * 1_000 - first;
    // By a checkpoint that another was shown; of each artifact, as bundle and as receipt.
    let shown = || Some(cosigned_at(&earlier, seen_at));
    let report = pass(&mut monitor(), shown(), 0);
    found(&report, &["E_TIME_WINDOW"]);
    assert_eq!(report.findings.len(), 2 * late.statements.len());
    assert_eq!(pass(&mut monitor(), shown(), patience_ms - 1).findings.len(), 2);
    // The twins: just within its promise, seen with all of it, and seen by no witness.
    found(&pass(&mut monitor(), shown(), patience_ms), &[]);
    found(&pass(&mut monitor(), Some(cosigned_at(&log, seen_at)), 0), &[]);
    found(&pass(&mut monitor(), Some(earlier.note()), 0), &[]);
    // Too few witnesses accuse nobody.
    let two = key(33, "v.example", NoteKeyKind::Cosignature).1;
    let both = format!("witness v {two}\ngroup both all w v\nquorum both");
    let report = pass(&mut Monitor::new(policy(&both)), shown(), 0);
    found(&report, &["E_QUORUM"]);
    // A tree that is not a beginning of this log says nothing of when.
    let other = Log::of(&chains(100, 170));
    found(&pass(&mut monitor(), Some(cosigned_at(&other, seen_at)), 0), &["E_SPLIT_VIEW"]);
    // By what the monitor remembers itself.
    let mut followed = monitor();
    let mut seen = earlier.clone();
    seen.show(&cosigned_at(&earlier, seen_at));
    found(&super::pass(&mut followed, &seen), &[]);
    let mut followed = Monitor::resume(policy("quorum none"), &followed.state().unwrap()).unwrap();
    found(&pass(&mut followed, None, 0), &["E_TIME_WINDOW"]);
    found(&pass(&mut monitor(), None, 0), &[]);
}

#[test]
fn two_auditors_who_compare_their_checkpoints_find_two_histories() {
    let log = Log::of(&chains(0, 100));
    let mut forged = chains(0, 100);
    forged[399].hash = Digest::from_bytes([8; 32]);
    let other = Log::of(&forged);
    // Each of them is without fault.
    found(&pass(&mut monitor(), &log), &[]);
    found(&pass(&mut monitor(), &other), &[]);
    let report = with_checkpoint(&log, &other.note());
    found(&report, &["E_SPLIT_VIEW"]);
    assert_eq!(report.findings[0].checkpoints, [other.note(), log.note()]);
    // The twins: the same history, at any size.
    found(&with_checkpoint(&log, &log.note()), &[]);
    let longer = log.clone().grown(&chains(100, 200));
    found(&with_checkpoint(&longer, &log.note()), &[]);
    found(&with_checkpoint(&longer, &other.note()), &["E_SPLIT_VIEW"]);
    // One that the log no longer shows, and one that it never signed.
    found(&with_checkpoint(&log, &longer.note()), &["E_ROLLBACK"]);
    let forged = other.note().replace("\n400\n", "\n401\n");
    found(&with_checkpoint(&log, &forged), &["N_UNAUTH"]);
}

#[test]
fn a_split_view_that_another_auditor_showed_is_remembered() {
    let log = Log::of(&chains(0, 100));
    let mut forged = chains(0, 100);
    forged[0].hash = Digest::from_bytes([8; 32]);
    let trust = trust();
    let mut reception = Reception::new(&trust);
    reception.checkpoint("of another", Log::of(&forged).note().into_bytes());
    let questions = Questions { handed_over: reception.finish(), ..Questions::default() };
    let mut monitor = monitor();
    found(&monitor.pass(&log.objects, &questions, LIVE).unwrap(), &["E_SPLIT_VIEW"]);
    let mut monitor = Monitor::resume(policy("quorum none"), &monitor.state().unwrap()).unwrap();
    found(&pass(&mut monitor, &log), &["E_SPLIT_VIEW"]);
}

#[test]
fn receipts_of_a_delegate_count_once_its_delegation_is_known() {
    let (log, _, _) = world();
    let absent = Story::numbered(3);
    let (from, to) = (absent.statements.first().unwrap(), absent.statements.last().unwrap());
    let after = |at: UnixMillis| UnixMillis::new(at.get() + 1).unwrap();
    let delegation = KeyDelegation {
        delegator: public(&issuer()).id(),
        delegate: public(&stranger()),
        tenants: None,
        origins: None,
        not_before: from.entry.at,
        not_after: after(to.entry.at),
    };
    let envelope = |by: &SigningKey| delegation.signed(&by.sign(&delegation.message()).to_bytes());
    let trust = trust();
    let pass = |delegations: &[Vec<u8>], bundle: Option<&OwnedFiles>| {
        let mut reception = Reception::new(&trust);
        let kept = receipts(&[&absent], &stranger());
        reception.receipts("kept", parse_receipts(kept.as_bytes()).unwrap());
        for delegation in delegations {
            reception.delegation(delegation).unwrap();
        }
        if let Some(bundle) = bundle {
            reception.bundle("one", bundle.as_files());
        }
        ask(&log, reception.finish(), None, LATER)
    };
    found(&pass(&[], None), &["N_UNAUTH"]);
    let report = pass(&[envelope(&issuer()), envelope(&issuer())], None);
    found(&report, &["E_RECEIPT"]);
    assert_eq!(report.findings.len(), absent.statements.len());
    assert!(report.findings.iter().any(|finding| finding.place == "receipt kept:1"), "{report:#?}");
    assert!(Reception::new(&trust).delegation(&envelope(&stranger())).is_err());
    // Any bundle that brings it will do.
    let one = Story::numbered(1);
    let mut files = one.files();
    files.insert(format!("keys/{}.delegation.json", public(&stranger()).id()), envelope(&issuer()));
    found(&pass(&[], Some(&one.bundle(Scope::Complete, files))), &["E_RECEIPT"]);
}

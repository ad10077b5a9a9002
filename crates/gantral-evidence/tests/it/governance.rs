//! What a consumption rests on: each rule of the governance chain beside the twin that breaks nothing.

use std::collections::BTreeMap;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::*;
use gantral_core::ids::TeamId;
use gantral_core::policy::Verdict;
use gantral_core::state::*;
use gantral_core::time::UnixMillis;
use gantral_evidence::bundle::{BundleWriter, governance_path, governance_proof_path};
use gantral_evidence::container::Scope as Claim;
use gantral_evidence::governance::{Detail, Scope};
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use gantral_evidence::verify::{GovernanceAssurance, Report};
use gantral_vectors::governance::*;
use gantral_vectors::log::{Log, Logged, logged, trust_keyed, trust_logged};

use crate::story::*;

type FileMap = BTreeMap<String, Vec<u8>>;

/// Verifies a story with files of a governance chain beside its own.
fn verify(story: &Story, trust: &Trust, governance: FileMap) -> Report {
    story.verify_changed(story.scope(), Some(trust), |files| files.extend(governance))
}

fn shown(report: &Report) -> GovernanceAssurance {
    report.assurance.clone().unwrap().governance
}

/// Verifies the refund that rests on the newest artifact of a chain.
fn refund_under(governance: &Governance) -> Report {
    verify(&governance.under(Story::refund()), &trust(), governance.files())
}

fn frozen(scope: Scope, epoch: u64) -> Detail {
    Detail::Frozen { scope, epoch }
}

fn lifted(scope: Scope, epoch: u64) -> Detail {
    Detail::Lifted { scope, epoch }
}

fn team() -> Scope {
    Scope::Team(TeamId::parse("payments").unwrap())
}

#[test]
fn a_consumption_under_what_was_in_force_is_valid_and_says_so() {
    let report = refund_under(&Governance::begin());
    assert_valid(&report);
    let expected = GovernanceAssurance { artifacts: 1, checked: 1, ..GovernanceAssurance::default() };
    assert_eq!(shown(&report), expected);
    let text = to_text(&report);
    assert!(text.contains("nothing was frozen, and its policy was the one in force"), "{text}");
    assert!(!text.contains("That the policy version was the active one"), "{text}");
    let json = String::from_utf8(to_json(&report)).unwrap();
    assert!(json.contains("\"governance\":{\"artifacts\":1,\"checked\":1,"), "{json}");
}

#[test]
fn a_chain_that_is_not_there_is_said_and_matters_where_completeness_is_required() {
    let governance = Governance::begin();
    let story = governance.under(Story::refund());
    let report = story.verify();
    assert_valid(&report);
    assert_eq!((shown(&report).checked, shown(&report).unchecked), (0, 1));
    assert!(to_text(&report).contains("That the policy version was the active one"));
    let complete = trust_with(Require { complete: true, ..Require::signed() });
    let codes = ["E_COMPLETENESS_UNPROVED", "E_GUARD"];
    assert_answer(&story.verify_under(&complete), "INCONCLUSIVE", &codes);
    assert_answer(&verify(&story, &complete, governance.files()), "INCONCLUSIVE", &codes[..1]);
}

#[test]
fn what_was_consumed_while_frozen_is_invalid() {
    for scope in [Scope::Tenant, own()] {
        let governance = Governance::begin().then(frozen(scope.clone(), 1));
        assert_answer(&refund_under(&governance), "INVALID", &["E_GUARD"]);
        assert_valid(&refund_under(&governance.then(lifted(scope, 2))));
    }
}

#[test]
fn another_epoch_or_policy_than_the_one_in_force_is_invalid() {
    let governance = Governance::begin();
    let changed = |change: fn(&mut GuardRecord)| {
        let story = governance.under(Story::refund()).retell(EventKind::Consumed, |statement| {
            let Event::Consumed(detail) = &mut statement.entry.event else { panic!("consumes") };
            change(&mut detail.guard);
        });
        verify(&story, &trust(), governance.files())
    };
    assert_answer(&changed(|guard| guard.freeze_epoch = 1), "INVALID", &["E_GUARD"]);
    assert_valid(&changed(|_| {}));
    let replaced = governance.clone().then(activated(own(), other_policy(), Some(policy_version())));
    assert_answer(&refund_under(&replaced), "INVALID", &["E_GUARD"]);
    let of_tenant = Governance::default().then(activated(Scope::Tenant, policy_version(), None));
    assert_valid(&refund_under(&of_tenant));
    assert_answer(
        &refund_under(&of_tenant.then(activated(own(), other_policy(), None))),
        "INVALID",
        &["E_GUARD"],
    );
}

#[test]
fn a_freeze_without_a_governance_chain_is_invalid() {
    let story = Story::refund().retell(EventKind::Consumed, |statement| {
        let Event::Consumed(detail) = &mut statement.entry.event else { panic!("consumes") };
        detail.guard.freeze_epoch = 1;
    });
    assert_answer(&story.verify(), "INVALID", &["E_GUARD"]);
    assert_valid(&Story::refund().verify());
}

#[test]
fn an_ask_under_a_policy_that_was_never_in_force_is_invalid() {
    let governance = Governance::begin();
    let asked_under = |version| {
        let story = governance.under(Story::refund()).retell(EventKind::HumanRequired, |statement| {
            let Event::HumanRequired(detail) = &mut statement.entry.event else { panic!("asks") };
            detail.policy.version = version;
        });
        let files = |files: &mut FileMap| {
            files.extend(governance.files());
            // What policy evaluated names the version as well; it is not what this is about.
            files.retain(|path, _| !path.starts_with("disclosures/"));
        };
        story.verify_changed(Claim::Complete, Some(&trust()), files)
    };
    assert_answer(&asked_under(other_policy()), "INVALID", &["E_POLICY_VERSION"]);
    assert_valid(&asked_under(policy_version()));
    // A policy that was replaced before the consumption was in force when it was asked.
    let replaced = Governance::default().then(activated(own(), other_policy(), None));
    let replaced = replaced.then(activated(own(), policy_version(), Some(other_policy())));
    let story = replaced.under(Story::refund()).retell(EventKind::HumanRequired, |statement| {
        let Event::HumanRequired(detail) = &mut statement.entry.event else { panic!("asks") };
        detail.policy.version = other_policy();
    });
    let report = story.verify_changed(Claim::Complete, Some(&trust()), |files| {
        files.extend(replaced.files());
        files.retain(|path, _| !path.starts_with("disclosures/"));
    });
    assert_valid(&report);
}

#[test]
fn whose_team_a_workflow_is_stands_in_its_definition() {
    let governance = Governance::begin().then(frozen(team(), 1));
    let (story, path) = defined(governance.under(Story::refund()), r#"{"team":"payments"}"#);
    let report = verify(&story, &trust(), governance.files());
    assert_valid(&report);
    assert_eq!(shown(&report).unchecked, 1);
    let with = |definition: &[u8]| {
        let mut files = governance.files();
        files.insert(path.clone(), definition.to_vec());
        verify(&story, &trust(), files)
    };
    assert_answer(&with(br#"{"team":"payments"}"#), "INVALID", &["E_GUARD"]);
    assert_answer(&with(br#"{"team":"treasury"}"#), "INVALID", &["E_CONTAINER"]);
    let (story, path) = defined(governance.under(Story::refund()), r#"{"team":"treasury"}"#);
    let mut files = governance.files();
    files.insert(path, br#"{"team":"treasury"}"#.to_vec());
    let report = verify(&story, &trust(), files);
    assert_valid(&report);
    assert_eq!(shown(&report).checked, 1);
}

#[test]
fn heads_never_go_back() {
    let governance =
        Governance::begin().then(Detail::ModeChanged { scope: own(), action: None, mode: Mode::Shadow });
    let heads = |first: usize, second: usize| {
        let mut story = Story::begin();
        story.launch().ask(&refund(20), Verdict::Allow, None).act(&refund(20));
        story.ask(&refund(30), Verdict::Allow, None).act(&refund(30)).exit(0);
        let mut heads = [first, second].into_iter();
        for statement in &mut story.statements {
            if let Event::Consumed(detail) = &mut statement.entry.event {
                detail.guard.governance_head = Some(governance.hash(heads.next().unwrap()));
            }
        }
        story.relink();
        verify(&story, &trust(), governance.files())
    };
    assert_valid(&heads(0, 1));
    assert_answer(&heads(1, 0), "INVALID", &["E_GUARD"]);
}

/// A refund in the log, with a governance chain of two before it; its consumption is anchored at a tree of so many leaves.
fn anchored(head: Option<usize>, anchor: u64) -> (Logged, Governance, Vec<u64>) {
    let governance =
        Governance::begin().then(Detail::ModeChanged { scope: own(), action: None, mode: Mode::Enforce });
    let mut log = Log::default();
    let places = governance.log(&mut log);
    log.add_stranger();
    let tree = log.tree(anchor);
    let mut story = governance.under(Story::refund());
    for statement in &mut story.statements {
        if let Event::Consumed(detail) = &mut statement.entry.event {
            detail.guard.governance_head = head.map(|head| governance.hash(head));
            statement.anchor = Some(tree);
        }
    }
    story.relink();
    (Logged::as_told(log, story), governance, places)
}

fn check_anchored(
    head: impl Into<Option<usize>>,
    anchor: u64,
    with_mirror: bool,
    with_proofs: bool,
) -> Report {
    let (told, governance, places) = anchored(head.into(), anchor);
    let trust = trust_logged(logged());
    let mut added = governance.files();
    if with_proofs {
        added.extend(governance.proofs(&told, &places));
    }
    let mirror = with_mirror.then(|| told.mirror(&trust));
    told.verify_beside(Claim::Complete, &trust, mirror.as_ref(), &[], |files| files.extend(added))
}

#[test]
fn a_head_that_the_anchor_knows_to_be_stale_is_invalid() {
    for (mirror, proofs) in [(true, false), (false, true), (true, true)] {
        assert_answer(&check_anchored(0, 2, mirror, proofs), "INVALID", &["E_GUARD"]);
        assert_valid(&check_anchored(0, 1, mirror, proofs));
        assert_valid(&check_anchored(1, 2, mirror, proofs));
    }
    // Nobody knows where the newer one stands.
    assert_valid(&check_anchored(0, 2, false, false));
}

#[test]
fn saying_that_there_was_no_governance_chain_is_refuted_by_its_leaves() {
    for (mirror, proofs) in [(true, false), (false, true)] {
        assert_answer(&check_anchored(None, 1, mirror, proofs), "INVALID", &["E_GUARD"]);
        // What a tree without leaves holds, nobody could know.
        let report = check_anchored(None, 0, mirror, proofs);
        assert_valid(&report);
        assert_eq!(shown(&report).unnamed, 1);
    }
}

#[test]
fn a_head_that_no_leaf_of_the_mirror_has_is_not_proved() {
    let governance = Governance::begin();
    let trust = trust_logged(logged());
    let check = |with_leaves: bool| {
        let mut log = Log::default();
        log.add_stranger();
        if with_leaves {
            governance.log(&mut log);
        }
        let told = Logged::as_told(log, governance.under(Story::refund()));
        let mirror = told.mirror(&trust);
        told.verify_beside(Claim::Complete, &trust, Some(&mirror), &[], |_| {})
    };
    assert_answer(&check(false), "INCONCLUSIVE", &["E_GUARD"]);
    assert_valid(&check(true));
}

#[test]
fn damaged_and_foreign_files_of_the_chain_say_what_they_are() {
    let governance =
        Governance::begin().then(Detail::ModeChanged { scope: own(), action: None, mode: Mode::Enforce });
    let story = governance.under(Story::refund());
    let with = |change: &dyn Fn(&mut FileMap)| {
        let mut files = governance.files();
        change(&mut files);
        answer(&verify(&story, &trust(), files))
    };
    let replaced =
        |content: Vec<u8>| with(&move |files| _ = files.insert(governance_path(1), content.clone()));
    assert_eq!(with(&|_| {}), ("VALID", vec![]));
    let mut bent = governance.files()[&governance_path(1)].clone();
    let at = bent.len() / 2;
    bent[at] ^= 1;
    assert!(matches!(replaced(bent).0, "INVALID" | "INCONCLUSIVE"));
    assert_eq!(replaced(b"{}".to_vec()), ("INVALID", vec!["E_CONTAINER"]));
    let payload = governance.statements[1].encode();
    assert_eq!(replaced(envelope(payload.clone(), &stranger())), ("INCONCLUSIVE", vec!["E_KEY_UNKNOWN"]));
    let forged = countersign(&envelope(payload, &stranger()), &issuer(), Some(b"other bytes"));
    assert_eq!(replaced(forged), ("INVALID", vec!["E_SIG"]));
    assert_eq!(
        replaced(sign(&story.statements[1], &issuer()).envelope),
        ("INCONCLUSIVE", vec!["E_UNSUPPORTED"])
    );
    assert_eq!(replaced(governance.files()[&governance_path(0)].clone()), ("INVALID", vec!["E_CONTAINER"]));
    let foreign = governance.clone().retell(1, |statement| {
        statement.tenant = gantral_core::ids::TenantId::parse("other").unwrap();
    });
    assert_eq!(replaced(foreign.files()[&governance_path(1)].clone()), ("INVALID", vec!["E_MIXED"]));
    let stray = |files: &mut FileMap| _ = files.insert("governance/notes.txt".to_owned(), b"hello".to_vec());
    assert_eq!(with(&stray), ("VALID", vec![]));
}

#[test]
fn a_chain_with_holes_is_inconclusive() {
    let change = || Detail::ModeChanged { scope: own(), action: None, mode: Mode::Enforce };
    let governance = Governance::begin().then(change()).then(change());
    let story = governance.under(Story::refund());
    let without = |sequence: usize| {
        let mut files = governance.files();
        files.remove(&governance_path(sequence));
        verify(&story, &trust(), files)
    };
    assert_answer(&without(0), "INCONCLUSIVE", &["E_NO_GENESIS"]);
    assert_answer(&without(1), "INCONCLUSIVE", &["E_GAP"]);
    // A chain that ends before the head is only shorter.
    assert_valid(&without(2));
    assert_eq!(shown(&without(2)).unchecked, 1);
}

#[test]
fn a_chain_that_contradicts_itself_is_invalid() {
    let change = || Detail::ModeChanged { scope: own(), action: None, mode: Mode::Enforce };
    let governance = Governance::begin().then(change());
    let told = |change: fn(&mut gantral_evidence::governance::GovernanceStatement)| {
        refund_under(&governance.clone().retell(1, change))
    };
    assert_valid(&told(|_| {}));
    assert_answer(&told(|next| next.previous = None), "INVALID", &["E_GENESIS"]);
    assert_answer(&told(|next| next.previous = Some(Digest::of(b"x"))), "INVALID", &["E_CHAIN"]);
    assert_answer(&told(|next| next.at = UnixMillis::EPOCH), "INVALID", &["E_TIME_BACK"]);
    let faults = [
        frozen(own(), 2),
        lifted(own(), 1),
        activated(own(), other_policy(), None),
        Detail::KeyRetired { key: public(&issuer()).id() },
        Detail::DelegationRevoked { delegation: Digest::of(b"none") },
    ];
    for fault in faults {
        assert_answer(&refund_under(&governance.clone().then(fault)), "INVALID", &["E_GUARD"]);
    }
}

#[test]
fn keys_of_the_chain_are_judged_by_their_own_place_in_the_log() {
    let keyed = |change: fn(&mut TrustedKey), with_proofs: bool| {
        let (told, governance, places) = anchored(Some(1), 2);
        let mut key = TrustedKey::issuer(public(&issuer()));
        change(&mut key);
        let mut added = governance.files();
        if with_proofs {
            added.extend(governance.proofs(&told, &places));
        }
        told.verify_changed(&trust_keyed(key, logged()), |files| files.extend(added))
    };
    assert_valid(&keyed(|key| key.valid_from = Some(0), true));
    assert_answer(&keyed(|key| key.valid_from = Some(0), false), "INCONCLUSIVE", &["E_UNLOGGED"]);
    assert_answer(&keyed(|key| key.valid_from = Some(1), true), "INVALID", &["E_KEY_WINDOW"]);
    assert_answer(
        &keyed(|key| key.compromised_from = Some(1 << 40), false),
        "INCONCLUSIVE",
        &["E_KEY_COMPROMISED"],
    );
    assert_valid(&keyed(|key| key.compromised_from = Some(1 << 40), true));
}

#[test]
fn a_proof_that_does_not_lead_from_the_governance_artifact_is_invalid() {
    let (told, governance, places) = anchored(Some(1), 2);
    let mut added = governance.files();
    added.extend(governance.proofs(&told, &places));
    added.insert(
        governance_proof_path(0),
        governance.proofs(&told, &places)[&governance_proof_path(1)].clone(),
    );
    let report = told.verify_changed(&trust_logged(logged()), |files| files.extend(added));
    assert_answer(&report, "INVALID", &["E_INCLUSION"]);
}

#[test]
fn a_fork_of_the_governance_chain_shows_in_the_mirror() {
    let trust = trust_logged(logged());
    let check = |forked: bool| {
        let (Logged { story, mut log, places, .. }, governance, _) = anchored(Some(1), 2);
        let fork = governance.clone().retell(1, |statement| statement.blind = [0; 32]);
        if forked {
            log.add(&leaf(&fork.statements[1]));
        }
        let told = Logged::sealed(log, story, places);
        let mirror = told.mirror(&trust);
        let added = governance.files();
        told.verify_beside(Claim::Complete, &trust, Some(&mirror), &[], |files| files.extend(added))
    };
    assert_answer(&check(true), "INVALID", &["E_FORK"]);
    assert_valid(&check(false));
}

#[test]
fn what_was_erased_by_right_is_not_withheld_and_not_disclosed_either() {
    let story = Story::refund();
    let erased = story.disclosures.iter().find(|one| one.label == CommitmentLabel::Justification).unwrap();
    let commitment = erased.commitment();
    let path = gantral_evidence::disclosure::Disclosure::path(&commitment);
    let check = |instance, label, require: Require| {
        let governance = Governance::begin().then(Detail::Erased { instance, commitment, label });
        let story = governance.under(Story::refund());
        story.verify_changed(Claim::Complete, Some(&trust_with(require)), |files| {
            files.extend(governance.files());
            files.remove(&path);
        })
    };
    let ours = Some(story.instance.identity.instance);
    let right = check(ours, CommitmentLabel::Justification, Require::signed());
    assert_eq!((answer(&right), right.codes()), (("VALID", vec![]), vec![]));
    assert_eq!(shown(&right).erased, 1);
    assert!(to_text(&right).contains("it was erased, as the governance chain says"));
    for (instance, label) in [
        (Some(gantral_core::ids::InstanceId::from_random([8; 16])), CommitmentLabel::Justification),
        (ours, CommitmentLabel::Outcome),
    ] {
        let other = check(instance, label, Require::signed());
        assert_eq!((other.verdict.as_str(), other.codes()), ("VALID", vec!["N_WITHHELD"]));
    }
    // It cannot be shown to whoever requires it.
    let action = story.disclosures.iter().find(|one| one.label == CommitmentLabel::Action).unwrap();
    let governance = Governance::begin().then(Detail::Erased {
        instance: None,
        commitment: action.commitment(),
        label: CommitmentLabel::Action,
    });
    let path = gantral_evidence::disclosure::Disclosure::path(&action.commitment());
    let require = Require { snapshots: true, ..Require::signed() };
    let report = governance.under(Story::refund()).verify_changed(
        Claim::Complete,
        Some(&trust_with(require)),
        |files| {
            files.extend(governance.files());
            files.remove(&path);
        },
    );
    assert_answer(&report, "INCONCLUSIVE", &["E_REQUIRE"]);
}

/// What person 9 gave person 1 for the role of finance.
fn delegated(change: impl FnOnce(&mut Detail)) -> Detail {
    let at = |offset: u64| UnixMillis::new(Story::begin().now + offset).unwrap();
    let (not_before, not_after) = (at(0), at(3_600_000));
    let roles = vec![role("finance")];
    let mut detail = Detail::Delegated { from: person(9), to: person(1), roles, not_before, not_after };
    change(&mut detail);
    detail
}

/// The refund whose approver acts for person 9.
fn by_delegate(delegation: Digest) -> Story {
    Story::refund().retell(EventKind::Overridden, |statement: &mut Statement| {
        let ballot = ballot_mut(&mut statement.entry.event).unwrap();
        ballot.acts_for = Some(person(9));
        ballot.delegation = Some(delegation);
    })
}

#[test]
fn a_decision_for_another_rests_on_their_delegation() {
    let check = |detail: Detail| {
        let governance = Governance::begin().then(detail);
        verify(&governance.under(by_delegate(governance.hash(1))), &trust(), governance.files())
    };
    assert_valid(&check(delegated(|_| {})));
    assert_answer(&by_delegate(Digest::of(b"unknown")).verify(), "INCONCLUSIVE", &["E_GUARD"]);
    let changes: [fn(&mut Detail); 5] = [
        |detail| {
            let Detail::Delegated { from, .. } = detail else { panic!("delegates") };
            *from = person(8);
        },
        |detail| {
            let Detail::Delegated { to, .. } = detail else { panic!("delegates") };
            *to = person(8);
        },
        |detail| {
            let Detail::Delegated { roles, .. } = detail else { panic!("delegates") };
            *roles = vec![role("legal")];
        },
        |detail| {
            let Detail::Delegated { not_after, .. } = detail else { panic!("delegates") };
            *not_after = UnixMillis::new(Story::begin().now + 1).unwrap();
        },
        |detail| *detail = Detail::ModeChanged { scope: own(), action: None, mode: Mode::Enforce },
    ];
    for change in changes {
        assert_answer(&check(delegated(change)), "INVALID", &["E_GUARD"]);
    }
}

#[test]
fn a_delegation_that_was_revoked_before_the_decision_is_invalid() {
    let governance = Governance::begin().then(delegated(|_| {}));
    let revocation = Detail::DelegationRevoked { delegation: governance.hash(1) };
    let governance = governance.then(revocation);
    let story = governance.under(by_delegate(governance.hash(1)));
    assert_answer(&verify(&story, &trust(), governance.files()), "INVALID", &["E_GUARD"]);
    let later = governance.retell(2, |statement| statement.at = UnixMillis::new(story.now).unwrap());
    let story = later.under(by_delegate(later.hash(1)));
    assert_valid(&verify(&story, &trust(), later.files()));
}

#[test]
fn what_the_chain_says_of_keys_is_said_and_decides_nothing() {
    let (key, role) = (public(&issuer()), gantral_evidence::trust::KeyRole::Issuer);
    let id = key.id();
    let check = |from_index: u64, trusted: fn(&mut TrustedKey)| {
        let governance = Governance::begin()
            .then(Detail::KeyAdded { key: key.clone(), role })
            .then(Detail::KeyCompromised { key: id, from_index });
        let mut log = Log::default();
        let places = governance.log(&mut log);
        let told = Logged::as_told(log, governance.under(Story::refund()));
        let mut key = TrustedKey::issuer(public(&issuer()));
        trusted(&mut key);
        let mut added = governance.files();
        added.extend(governance.proofs(&told, &places));
        told.verify_changed(&trust_keyed(key, logged()), |files| files.extend(added))
    };
    let doubted = check(4, |_| {});
    assert_valid(&doubted);
    assert_eq!(shown(&doubted).doubted_keys, [id]);
    assert!(to_text(&doubted).contains("your trust file does not"));
    let later = check(1 << 40, |_| {});
    assert_valid(&later);
    assert_eq!(shown(&later).doubted_keys, []);
    assert_eq!(shown(&check(4, |key| key.compromised_from = Some(1 << 40))).doubted_keys, []);
}

#[test]
fn an_exporter_numbers_the_chain_and_its_proofs_from_zero() {
    let (told, governance, places) = anchored(Some(1), 2);
    let mut writer = BundleWriter::new(told.story.instance.identity.instance).unwrap();
    for statement in &told.story.statements {
        writer.artifact(sign(statement, &issuer()).envelope).unwrap();
    }
    for (at, envelope) in governance.files().into_values().enumerate() {
        let proof = told.log.proof(places[at], told.log.size(), &told.newest);
        writer.governance(envelope).unwrap().governance_proof(at, &proof).unwrap();
        assert!(writer.governance_proof(at, &proof).is_err(), "there is one proof for each place");
    }
    let files = writer.finish(Claim::Complete).unwrap();
    let files = files.as_files().unwrap();
    let paths: Vec<&str> = files.within("governance/").map(|(path, _)| path).collect();
    assert_eq!(
        paths,
        [
            "governance/000000.dsse.json",
            "governance/000001.dsse.json",
            "governance/proofs/000000.tlog-proof",
            "governance/proofs/000001.tlog-proof",
        ]
    );
    let report = gantral_evidence::verify::verify(&files, Some(&trust_logged(Require::signed())));
    assert_valid(&report);
    assert_eq!(shown(&report).checked, 1);
}

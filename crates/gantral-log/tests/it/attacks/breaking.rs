//! Attacks that record, as they happen, what the rules forbid. The log holds them as they are.

use gantral_core::digest::CommitmentLabel;
use gantral_core::event::Event;
use gantral_core::ids::{AttemptNo, TenantId};
use gantral_core::policy::Verdict;
use gantral_core::state::{DecisionKind, EventKind, HumanEvidence, Mode};
use gantral_evidence::statement::Statement;
use gantral_evidence::trust::{Require, TrustedKey};
use gantral_evidence::verify::Enforcement;
use gantral_vectors::cast::{human, refund};
use gantral_vectors::story::{Story, ballot_mut};
use gantral_vectors::tales;

use super::Attack;
use super::attacker::{allowed, asked, execution, overridden};
use super::auditor::Scene;
use super::rewriting::Honest;

pub fn all() -> Vec<Attack> {
    vec![
        replayed(),
        moved(),
        moved_whole(),
        another_action(),
        shadow_relabelled(),
        shadow_shown(),
        false_input(),
        false_input_withheld(),
        old_attempt(),
        invented(),
    ]
}

/// An attack that is told as a story, and logged.
fn told(number: u8, what: &'static str, rules: &'static str, honest: Story, attacked: Story) -> Attack {
    let (honest, attacked) = (Honest::of(honest).scene(), Honest::of(attacked).scene());
    Attack { number, what, rules, honest, attacked }
}

fn retold(story: Story, kind: EventKind, change: impl FnOnce(&mut Statement)) -> Story {
    story.retell(kind, change)
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn replayed() -> Attack {
    let first = overridden(7);
    let decision = first.statements[first.position(EventKind::Overridden)].entry.event.clone();
    let second = retold(overridden(8), EventKind::Overridden, |statement| statement.entry.event = decision);
    told(8, "replays an approval into another execution", "V17, S26", overridden(8), second)
}

fn moved() -> Attack {
    let story = retold(overridden(7), EventKind::Overridden, |statement| {
        statement.identity.tenant = tenant("other");
    });
    told(9, "moves an artifact between tenants", "V12", overridden(7), story)
}

fn moved_whole() -> Attack {
    let mut story = overridden(7);
    for statement in &mut story.statements {
        statement.identity.tenant = tenant("other");
    }
    story.relink();
    let limited = |scene: Scene| {
        let tenants = Some(vec![tenant("acme")]);
        Scene { issuer: TrustedKey { tenants, ..scene.issuer.clone() }, ..scene }
    };
    let Attack { number, what, rules, honest, attacked } = told(
        9,
        "moves a whole execution to a tenant for which the trust file does not let the key speak",
        "V10",
        overridden(7),
        story,
    );
    Attack { number, what, rules, honest: limited(honest), attacked: limited(attacked) }
}

fn approved() -> Story {
    let mut story = asked(7);
    story.decide(1, DecisionKind::Approve, None).launch().act(&refund(4_800)).exit(0);
    story
}

fn another_action() -> Attack {
    let mut story = approved();
    let other = story.keep(CommitmentLabel::Action, refund(48_000).to_canonical());
    let story = retold(story, EventKind::Approved, |statement| {
        if let Some(ballot) = ballot_mut(&mut statement.entry.event) {
            ballot.approved = other;
        }
    });
    let story = retold(story, EventKind::Consumed, |statement| {
        if let Event::Consumed(detail) = &mut statement.entry.event {
            detail.action = other;
        }
    });
    told(10, "has one action approved and grants another", "V17, S26", approved(), story)
}

fn shadow_relabelled() -> Attack {
    let mut story = tales::observed();
    story.statements.iter_mut().for_each(|statement| statement.entry.mode = Mode::Enforce);
    story.relink();
    told(11, "signs what was only observed again as enforced", "V17, S38", allowed(7), story)
}

fn shadow_shown() -> Attack {
    told(11, "presents what was only observed, as it is", "V23, `enforced`", allowed(7), tales::observed())
}

fn deceived() -> Story {
    let mut story = execution(7);
    story.launch();
    let (advice, context) = story.advise(&refund(20), Verdict::Allow, None);
    story.ask_with(&refund(4_800), advice, context, Mode::Enforce).act(&refund(4_800)).exit(0);
    story
}

fn false_input() -> Attack {
    told(12, "has policy judge 20 where 4,800 is asked for", "V19", allowed(7), deceived())
}

fn false_input_withheld() -> Attack {
    let world = Honest::of(deceived());
    let mut attacked = world.scene();
    attacked.bundle.files.retain(|path, _| !path.starts_with("disclosures/"));
    Attack {
        number: 12,
        what: "the same, and discloses nothing",
        rules: "V23, `snapshots`",
        honest: Honest::of(allowed(7)).scene(),
        attacked,
    }
}

fn old_attempt() -> Attack {
    let story =
        retold(overridden(7), EventKind::Consumed, |statement| statement.entry.attempt = AttemptNo(1));
    told(13, "lets an old attempt consume", "V17, S10, S34", overridden(7), story)
}

/// Who decided is the word of the issuer, unless the human's own key has signed it.
fn invented() -> Attack {
    let story = retold(overridden(7), EventKind::Overridden, |statement| {
        statement.entry.actor = human(2, "finance");
    });
    told(
        15,
        "names another approver from the first, before anything is logged",
        "not found: V24 says that the server vouches; V23, `human_evidence`",
        overridden(7),
        story,
    )
}

/// What is signed as it was, and logged as it was signed, shows nothing to a monitor and to witnesses.
fn found_by_the_rules(attack: &Attack, alone: &str, everything: &str, mirrored: &str) {
    attack.shows([alone, everything, mirrored, "clean", "cosign"]);
}

#[test]
fn an_approval_counts_in_its_own_execution_only() {
    found_by_the_rules(
        &replayed(),
        "INVALID E_ACTION_BINDING E_DECISION N_UNAUTH N_WITHHELD",
        "INVALID E_ACTION_BINDING E_COMPLETENESS_UNPROVED E_DECISION E_REQUIRE N_UNAUTH N_WITHHELD",
        "INVALID E_ACTION_BINDING E_COMPLETENESS_UNPROVED E_DECISION E_REQUIRE N_UNAUTH N_WITHHELD",
    );
}

#[test]
fn an_artifact_of_another_tenant_is_no_part_of_the_chain() {
    moved().shows([
        "INVALID E_GAP E_MIXED N_UNAUTH",
        "INVALID E_COMPLETENESS_UNPROVED E_GAP E_MIXED E_REQUIRE N_UNAUTH",
        "INVALID E_COMPLETENESS_UNPROVED E_GAP E_LOG_ORDER E_MIXED E_REQUIRE N_UNAUTH",
        "found E_LOG_ORDER",
        "cosign",
    ]);
}

#[test]
fn a_key_speaks_for_no_tenant_that_the_trust_file_does_not_name() {
    moved_whole().shows([
        "INVALID E_KEY_ROLE",
        "INVALID E_COMPLETENESS_UNPROVED E_KEY_ROLE",
        "INVALID E_KEY_ROLE",
        "clean N_UNAUTH",
        "cosign",
    ]);
}

#[test]
fn what_is_granted_is_what_was_approved() {
    let everything = "INVALID E_ACTION_BINDING E_COMPLETENESS_UNPROVED E_REQUIRE";
    found_by_the_rules(&another_action(), "INVALID E_ACTION_BINDING", everything, everything);
}

#[test]
fn what_was_observed_was_not_enforced() {
    let everything = "INVALID E_COMPLETENESS_UNPROVED E_MODE E_REQUIRE";
    found_by_the_rules(&shadow_relabelled(), "INVALID E_MODE", everything, everything);
    let shown = shadow_shown();
    let everything = "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_REQUIRE";
    found_by_the_rules(&shown, "VALID", everything, "INCONCLUSIVE E_REQUIRE");
    let enforcement = shown.attacked.believed().assurance.map(|assurance| assurance.enforcement);
    assert_eq!(enforcement, Some(Enforcement::Shadow));
}

#[test]
fn policy_judged_what_was_asked_for() {
    let everything = "INVALID E_COMPLETENESS_UNPROVED E_INPUT_BINDING";
    found_by_the_rules(&false_input(), "INVALID E_INPUT_BINDING", everything, "INVALID E_INPUT_BINDING");
    found_by_the_rules(
        &false_input_withheld(),
        "VALID N_WITHHELD",
        "INCONCLUSIVE E_COMPLETENESS_UNPROVED E_REQUIRE N_WITHHELD",
        "INCONCLUSIVE E_REQUIRE N_WITHHELD",
    );
}

#[test]
fn an_attempt_that_was_replaced_consumes_nothing() {
    let everything = "INVALID E_ATTEMPT E_COMPLETENESS_UNPROVED E_GRANT E_REQUIRE";
    found_by_the_rules(&old_attempt(), "INVALID E_ATTEMPT E_GRANT", everything, everything);
}

#[test]
fn who_approved_is_the_word_of_the_operator_and_the_report_says_so() {
    let attack = invented();
    found_by_the_rules(&attack, "VALID", "INCONCLUSIVE E_COMPLETENESS_UNPROVED", "VALID");
    let evidence = attack.attacked.believed().assurance.and_then(|assurance| assurance.human_evidence);
    assert_eq!(evidence, Some(HumanEvidence::Operator));
    let asks = |evidence| Require { human_evidence: Some(evidence), ..Require::signed() };
    let report = attack.attacked.alone(&attack.attacked.trust(asks(HumanEvidence::Webauthn)));
    assert_eq!((report.verdict.as_str(), report.codes()), ("INCONCLUSIVE", vec!["E_HUMAN_ASSURANCE"]));
}

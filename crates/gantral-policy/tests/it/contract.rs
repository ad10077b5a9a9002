//! The contract of the seed: its example, the answers of the example policies, and how failures are resolved.

use gantral_core::ids::{Name, Role};
use gantral_core::policy::{
    Approvers, Closed, Escalation, EvalFailure, Evaluation, FailurePolicy, Materiality, Verdict,
    resolve_failure,
};
use gantral_core::rule::{Group, Stage};
use gantral_core::state::HumanEvidence;
use gantral_core::time::DurationMs;
use gantral_policy::bundle::Bundle;

use crate::support::{Point, examples, policy};

fn seed_input(materiality: &str, cost: u64) -> String {
    format!(
        r#"{{"instance":{{"materiality":"{materiality}"}},"execution":{{"cost_estimate":{cost}}},"context":{{"attributes":{{}}}}}}"#
    )
}

#[tokio::test]
async fn the_seeds_example_answers_as_the_guide_says() {
    let point = Point::with_workers(1);
    let bundle = Bundle::from_directory(&examples().join("seed-example")).unwrap();
    let roles = |evaluation: &Evaluation| match &evaluation.approvers {
        Approvers::Some { roles, .. } => roles.iter().map(ToString::to_string).collect::<Vec<_>>(),
        stages @ Approvers::Stages(_) => panic!("{stages:?}"),
    };
    let low = point.ask(&bundle, &seed_input("LOW", 10)).await.unwrap();
    assert_eq!((low.verdict, roles(&low)), (Verdict::Allow, vec![]));
    let medium = point.ask(&bundle, &seed_input("MEDIUM", 200_000)).await.unwrap();
    assert_eq!((medium.verdict, roles(&medium)), (Verdict::Deny, vec!["TECH_LEAD".to_owned()]));
    let high = point.ask(&bundle, &seed_input("HIGH", 10)).await.unwrap();
    assert_eq!((high.verdict, roles(&high)), (Verdict::RequireHuman, vec!["RISK_OFFICER".to_owned()]));
    assert_eq!(high.decision, br#"{"approver_roles":["RISK_OFFICER"],"decision":"REQUIRE_HUMAN"}"#);
    let both = point.ask(&bundle, &seed_input("HIGH", 200_000)).await;
    assert_eq!(both, Err(EvalFailure::Conflict));
}

fn named(names: &[&str]) -> Vec<Role> {
    names.iter().map(|name| Role::parse(name).unwrap()).collect()
}

#[tokio::test]
async fn stages_and_steps_are_read_from_rules_and_from_sets() {
    let point = Point::with_workers(1);
    let rules = r#"decision := "REQUIRE_HUMAN"
stages := [{"all_of": [{"any_of": {"B", "A"}, "count": 2}]}, {"all_of": [{"any_of": ["C"]}]}]
escalation := [{"roles": {"D"}, "timeout": "5m"}, {"roles": ["E"]}]"#;
    let evaluation = point.ask(&policy(rules), "{}").await.unwrap();
    let group = |names: &[&str], required| Stage { groups: vec![Group { roles: named(names), required }] };
    assert_eq!(evaluation.approvers, Approvers::Stages(vec![group(&["A", "B"], 2), group(&["C"], 1)]));
    let step = |name, timeout| Escalation { roles: named(&[name]), timeout };
    assert_eq!(evaluation.escalation, [step("D", Some(DurationMs::from_secs(300))), step("E", None)]);
    let both = format!("{rules}\napprover_roles := [\"A\"]");
    assert_eq!(point.ask(&policy(&both), "{}").await, Err(EvalFailure::Malformed));
}

#[tokio::test]
async fn every_member_of_the_output_is_read() {
    let point = Point::with_workers(1);
    let rules = r#"decision := "REQUIRE_HUMAN"
approver_roles := {"B", "A"}
required_approvals := 2
required_rejections := 3
required_evidence := "webauthn"
timeout := "30m"
escalation_roles := ["ADMIN"]
standing_rules contains "r-1"
reasons contains "second"
reasons contains "first"
helper := "not read""#;
    let evaluation = point.ask(&policy(rules), "{}").await.unwrap();
    assert_eq!(evaluation.verdict, Verdict::RequireHuman);
    assert_eq!(evaluation.approvers, Approvers::Some { roles: named(&["A", "B"]), required: 2 });
    assert_eq!(evaluation.rejections, 3);
    assert_eq!(evaluation.required_evidence, Some(HumanEvidence::Webauthn));
    assert_eq!(evaluation.timeout, Some(DurationMs::from_secs(1_800)));
    assert_eq!(evaluation.escalation, [Escalation { roles: named(&["ADMIN"]), timeout: None }]);
    assert_eq!(evaluation.reasons, ["first", "second"]);
    assert_eq!(evaluation.standing_rules, [Name::parse("r-1").unwrap()]);
    let text = String::from_utf8(evaluation.decision).unwrap();
    assert!(text.starts_with(r#"{"approver_roles":["A","B"],"decision":"REQUIRE_HUMAN","#), "{text}");
    assert!(!text.contains("helper"));
}

#[tokio::test]
async fn an_answer_outside_the_contract_is_malformed_and_none_at_all_undefined() {
    let point = Point::with_workers(1);
    for (rules, expect) in [
        (r#"decision := "MAYBE""#, EvalFailure::Malformed),
        (r#"decision := "allow""#, EvalFailure::Malformed),
        (r#"decision := true"#, EvalFailure::Malformed),
        (r#"decision := {"a": 1}"#, EvalFailure::Malformed),
        (r#"decision contains "ALLOW""#, EvalFailure::Malformed),
        ("decision := \"REQUIRE_HUMAN\"\napprover_roles := []", EvalFailure::Malformed),
        ("decision := \"ALLOW\"\ntimeout := 30", EvalFailure::Malformed),
        ("decision := \"ALLOW\"\nrequired_approvals := 0", EvalFailure::Malformed),
        ("decision := \"REQUIRE_HUMAN\"\nrequired_rejections := 0", EvalFailure::Malformed),
        ("decision := \"REQUIRE_HUMAN\"\nrequired_rejections := 17", EvalFailure::Malformed),
        ("decision := \"REQUIRE_HUMAN\"\nrequired_evidence := \"passkey\"", EvalFailure::Malformed),
        ("decision := \"REQUIRE_HUMAN\"\nrequired_evidence := \"development\"", EvalFailure::Malformed),
        ("decision := \"REQUIRE_HUMAN\"\nrequired_evidence contains \"webauthn\"", EvalFailure::Malformed),
        ("decision := \"ALLOW\"\nstanding_rules := \"r-1\"", EvalFailure::Malformed),
        ("decision := \"ALLOW\" if false", EvalFailure::Undefined),
        ("allow := true", EvalFailure::Undefined),
        ("decision := \"ALLOW\" if input.missing.member == 1", EvalFailure::Undefined),
    ] {
        assert_eq!(point.ask(&policy(rules), "{}").await, Err(expect), "{rules}");
    }
    let elsewhere = crate::support::module("package other\ndecision := \"ALLOW\"");
    assert_eq!(point.ask(&elsewhere, "{}").await, Err(EvalFailure::Undefined));
}

#[tokio::test]
async fn the_clock_of_a_policy_is_the_instant_in_its_input() {
    let point = Point::with_workers(1);
    let bundle =
        policy("default decision := \"DENY\"\ndecision := \"ALLOW\" if time.now_ns() == 1700000000123000000");
    let at = |now: &str| format!(r#"{{"now":"{now}"}}"#);
    let verdict = |answer: Result<Evaluation, _>| answer.map(|e| e.verdict);
    assert_eq!(verdict(point.ask(&bundle, &at("2023-11-14T22:13:20.123Z")).await), Ok(Verdict::Allow));
    assert_eq!(verdict(point.ask(&bundle, &at("2023-11-14T22:13:20.124Z")).await), Ok(Verdict::Deny));
    assert_eq!(verdict(point.ask(&bundle, "{}").await), Ok(Verdict::Deny));
}

#[tokio::test]
async fn data_stands_below_the_folders_of_its_files() {
    let point = Point::with_workers(1);
    let bundle = Bundle::from_files([
        ("policy.rego", b"package gantral.policy\ndecision := data.team.rules.word".to_vec()),
        ("team/rules/data.json", br#"{"word": "ALLOW"}"#.to_vec()),
        ("data.json", br#"{"team": {"other": 1}}"#.to_vec()),
    ])
    .unwrap();
    assert_eq!(point.ask(&bundle, "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
}

#[tokio::test]
async fn the_recorded_engine_is_the_one_that_the_workspace_pins() {
    let id = Point::with_workers(1).rego.id();
    let manifest = include_str!("../../../../Cargo.toml");
    assert!(manifest.contains(&format!("regorus = {{ version = \"={}\"", id.version)));
}

/// For each failure what a workflow may choose: at HIGH, at MEDIUM and at LOW.
const MATRIX: [(EvalFailure, [&str; 3]); 9] = [
    (EvalFailure::Unavailable, ["closed", "configurable", "configurable"]),
    (EvalFailure::DeadlineExceeded, ["closed", "configurable", "configurable"]),
    (EvalFailure::VersionMismatch, ["closed", "configurable", "configurable"]),
    (EvalFailure::VersionUnknown, ["closed", "configurable", "configurable"]),
    (EvalFailure::Conflict, ["closed", "closed", "closed"]),
    (EvalFailure::Undefined, ["closed", "closed", "closed"]),
    (EvalFailure::Malformed, ["closed", "closed", "closed"]),
    (EvalFailure::Evaluation, ["closed", "closed", "closed"]),
    (EvalFailure::ResourceLimit, ["closed", "closed", "closed"]),
];

/// Holds how a failure is resolved at every materiality and under every configuration against the matrix.
pub fn check_cells(failure: EvalFailure) {
    let (_, cells) = MATRIX.into_iter().find(|(row, _)| *row == failure).expect("each failure has a row");
    for (materiality, cell) in [Materiality::High, Materiality::Medium, Materiality::Low].iter().zip(cells) {
        for (closed, shut) in [(Closed::Deny, Verdict::Deny), (Closed::RequireHuman, Verdict::RequireHuman)] {
            let resolve = |open_on_outage| {
                resolve_failure(*materiality, failure, FailurePolicy { closed, open_on_outage })
            };
            let opened = if cell == "configurable" { Verdict::Allow } else { shut };
            assert_eq!((resolve(false), resolve(true)), (shut, opened), "{failure:?} at {materiality:?}");
        }
    }
}

#[test]
fn every_failure_at_every_materiality_is_resolved_as_the_matrix_says() {
    assert_eq!(MATRIX.map(|(failure, _)| failure), EvalFailure::ALL);
    EvalFailure::ALL.into_iter().for_each(check_cells);
}

//! What policy authors see: checks, tests, one explained evaluation.

use std::time::Duration;

use gantral_core::policy::{EvalFailure, Verdict};
use gantral_policy::bundle::Bundle;
use gantral_policy::check::{CheckError, LintRule, TestOutcome, Weight, check, eval, lint, test};

use crate::support::{PATIENT, examples, policy, worker_command};

#[test]
fn every_example_may_be_published_and_passes_its_own_tests() {
    for name in ["refunds", "deploys", "seed-example"] {
        let bundle = Bundle::from_directory(&examples().join(name)).unwrap();
        let report = check(&worker_command(), &bundle).unwrap();
        assert!(report.passed(), "{name}: {report:#?}");
        assert!(report.tests.count(TestOutcome::Passed) >= 4, "{name}");
        assert_eq!(report.warnings.is_empty(), name != "seed-example", "{name}: {:?}", report.warnings);
    }
}

const OPEN: &str = "policy.rego:3: the default decision is ALLOW: an input that no rule expects passes";
const CONTRADICTION: &str = "policy.rego:5: `decision` is \"REQUIRE_HUMAN\" here and \"DENY\" at policy.rego:9: where both \
                             hold the evaluation is a conflict, which fails closed";

#[test]
fn the_seeds_example_is_published_with_warnings() {
    let bundle = Bundle::from_directory(&examples().join("seed-example")).unwrap();
    let report = check(&worker_command(), &bundle).unwrap();
    let warnings: Vec<String> = report.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(warnings, [OPEN, CONTRADICTION]);
    assert_eq!(report.tests.count(TestOutcome::Skipped), 1);
}

#[test]
fn lint_names_the_contradiction_and_the_open_default_of_the_seeds_example() {
    let bundle = Bundle::from_directory(&examples().join("seed-example")).unwrap();
    let report = lint(&worker_command(), &bundle).unwrap();
    let found: Vec<(LintRule, Weight, String)> =
        report.findings.iter().map(|finding| (finding.rule, finding.weight, finding.text())).collect();
    assert_eq!(
        found,
        [
            (LintRule::FailOpenDefault, Weight::Warning, OPEN.to_owned()),
            (LintRule::Contradiction, Weight::Problem, CONTRADICTION.to_owned()),
        ]
    );
    let other = report.findings[1].other.as_ref().map(|place| (place.file.as_str(), place.line));
    assert_eq!(other, Some(("policy.rego", 9)));
    assert!(!report.is_clean(Weight::Problem) && !report.is_clean(Weight::Warning));
}

#[test]
fn lint_has_nothing_to_say_of_our_other_examples() {
    for name in ["demo", "refunds", "deploys"] {
        let bundle = Bundle::from_directory(&examples().join(name)).unwrap();
        let report = lint(&worker_command(), &bundle).unwrap();
        assert_eq!(report.findings, [], "{name}");
        assert!(report.is_clean(Weight::Warning));
    }
}

#[test]
fn what_may_not_be_published_is_a_problem_for_the_lint_too() {
    for (rules, expect) in [
        ("decision := \"ALLOW\" if {", "policy.rego:"),
        ("decision := f(1)\nf(x) := f(x)", "policy.rego:3: rules must not be recursive"),
        ("allowed := true", "no rule `decision` in `package gantral.policy`"),
    ] {
        let report = lint(&worker_command(), &policy(rules)).unwrap();
        let first = report.findings.first().unwrap();
        assert_eq!((first.rule, first.weight), (LintRule::Refused, Weight::Problem));
        assert!(first.text().starts_with(expect), "{rules}: {}", first.text());
    }
    let warned = lint(&worker_command(), &policy("default decision := \"ALLOW\"")).unwrap();
    assert!(warned.is_clean(Weight::Problem) && !warned.is_clean(Weight::Warning));
}

#[test]
fn what_may_not_be_published_is_named_with_its_line() {
    for (rules, expect) in [
        ("x := 1", "no rule `decision` in `package gantral.policy`"),
        (
            "decision := \"ALLOW\"\nx := http.send({})",
            "policy.rego:3: the function `http.send` is not available to policies",
        ),
        (
            "decision := f(1)\nf(x) := g(x)\ng(x) := f(x)",
            "policy.rego:3: rules must not be recursive: gantral.policy.f -> gantral.policy.g -> gantral.policy.f",
        ),
        ("decision := [[[[[[[[[[[1]]]]]]]]]]]", "policy.rego:2: brackets nest deeper than 10"),
        ("decision := \"ALLOW\" if {", "policy.rego:"),
    ] {
        let report = check(&worker_command(), &policy(rules)).unwrap();
        assert!(!report.passed());
        let first = report.problems.first().map(ToString::to_string).unwrap_or_default();
        assert!(first.starts_with(expect), "{rules}: {first}");
    }
}

#[test]
fn the_package_of_the_answer_is_reserved() {
    let bundle = Bundle::from_files([
        ("a.rego", b"package gantral.policy\ndecision := \"DENY\"".to_vec()),
        ("b.rego", b"package gantral_answer\ndocument := {\"decision\": \"ALLOW\"}".to_vec()),
    ])
    .unwrap();
    let report = check(&worker_command(), &bundle).unwrap();
    assert!(report.problems.iter().any(|problem| problem.file == "b.rego"), "{report:?}");
}

#[test]
fn a_test_module_outside_a_test_package_is_not_published() {
    let bundle = Bundle::from_files([
        ("policy.rego", b"package gantral.policy\ndefault decision := \"DENY\"".to_vec()),
        ("sly_test.rego", b"package gantral.policy\ndecision := \"ALLOW\" if true".to_vec()),
    ])
    .unwrap();
    let report = check(&worker_command(), &bundle).unwrap();
    assert!(report.problems.iter().any(|problem| problem.file == "sly_test.rego"), "{report:?}");
}

#[test]
fn only_true_passes_a_test_and_todo_skips_it() {
    let tests = r#"package gantral.policy_test
test_true if data.gantral.policy.decision == "ALLOW"
test_false := false
test_undefined if 1 == 2
test_number := 1
test_error if data.gantral.policy.word == 1
test_builtin if to_number("x") == 1
test_builtin_denied if not to_number("x") == 1
todo_test_later if false
helper := 1"#;
    let bundle = Bundle::from_files([
        (
            "policy.rego",
            b"package gantral.policy\ndecision := \"ALLOW\"\nword := 1 if true\nword := 2 if true".to_vec(),
        ),
        ("policy_test.rego", tests.as_bytes().to_vec()),
    ])
    .unwrap();
    let report = test(&worker_command(), &bundle).unwrap();
    let outcomes: Vec<(&str, TestOutcome)> =
        report.tests.iter().map(|test| (test.name.as_str(), test.outcome)).collect();
    assert_eq!(
        outcomes,
        [
            ("test_true", TestOutcome::Passed),
            ("test_false", TestOutcome::Failed),
            ("test_undefined", TestOutcome::Failed),
            ("test_number", TestOutcome::Failed),
            ("test_error", TestOutcome::Errored),
            ("test_builtin", TestOutcome::Failed),
            ("test_builtin_denied", TestOutcome::Errored),
            ("todo_test_later", TestOutcome::Skipped),
        ]
    );
    assert!(!report.passed());
    let denied = report.tests[6].detail.as_deref().unwrap();
    assert!(denied.starts_with("true only because this counts as undefined:"), "{denied}");
}

#[test]
fn a_test_that_eats_memory_ends_the_check_and_nothing_else() {
    let doubling =
        (1..40).map(|n| format!("s{n} := concat(\"\", [s{0}, s{0}])\n", n - 1)).collect::<String>();
    let tests =
        format!("package gantral.policy_test\ns0 := \"aaaaaaaa\"\n{doubling}test_bomb if count(s39) > 0");
    let bundle = Bundle::from_files([
        ("policy.rego", b"package gantral.policy\ndecision := \"ALLOW\"".to_vec()),
        ("policy_test.rego", tests.into_bytes()),
    ])
    .unwrap();
    match check(&worker_command(), &bundle) {
        Err(CheckError::Refused(refused)) => assert_eq!(refused.failure, EvalFailure::ResourceLimit),
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_evaluation_is_explained() {
    let bundle = Bundle::from_directory(&examples().join("refunds")).unwrap();
    let ask = |amount: i64| {
        format!(
            r#"{{"instance":{{"materiality":"LOW"}},"action":{{"parameters":{{"amount_minor":{amount},"currency":"EUR"}}}}}}"#
        )
    };
    let evaluation = eval(&worker_command(), &bundle, ask(480).as_bytes(), PATIENT).unwrap();
    assert_eq!(evaluation.verdict, Verdict::Allow);
    let evaluation = eval(&worker_command(), &bundle, ask(480_000).as_bytes(), PATIENT).unwrap();
    assert_eq!(evaluation.verdict, Verdict::RequireHuman);
    assert_eq!(evaluation.reasons, ["a refund of 480000 is above 5000"]);
}

#[test]
fn a_failed_evaluation_says_where() {
    let conflict = policy("decision := \"ALLOW\" if true\ndecision := \"DENY\" if true");
    match eval(&worker_command(), &conflict, b"{}", PATIENT) {
        Err(CheckError::Refused(refused)) => {
            assert_eq!(refused.failure, EvalFailure::Conflict);
            assert!(refused.detail.contains("policy.rego:3"), "{}", refused.detail);
        }
        other => panic!("{other:?}"),
    }
    for (rules, expect) in [
        ("decision := \"ALLOW\" if false", EvalFailure::Undefined),
        ("decision := \"MAYBE\"", EvalFailure::Malformed),
    ] {
        match eval(&worker_command(), &policy(rules), b"{}", PATIENT) {
            Err(CheckError::Refused(refused)) => {
                assert_eq!(refused.failure, expect, "as the engine records it")
            }
            other => panic!("{other:?}"),
        }
    }
    let endless = policy(
        "r := numbers.range(1, 2000)\ndecision := \"ALLOW\" if count([1 | some a in r; some b in r; some c in r]) == 0",
    );
    match eval(&worker_command(), &endless, b"{}", Duration::from_millis(200)) {
        Err(CheckError::Refused(refused)) => assert_eq!(refused.failure, EvalFailure::ResourceLimit),
        other => panic!("{other:?}"),
    }
}

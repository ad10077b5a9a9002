//! `gantral policy test` against the real `opa test`: test by test, the same results.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

use gantral_policy::bundle::Bundle;
use gantral_policy::check::{TestOutcome, test};
use serde_json::Value;

use crate::opa::service::program;
use crate::support::{examples, worker_command};

/// What became of each test, by package and name.
type Results = BTreeMap<(String, String), TestOutcome>;

/// Runs `opa test` on a folder.
fn by_opa(folder: &Path) -> Results {
    let program = program().canonicalize().unwrap_or_default();
    assert!(program.exists(), "the part `opa` is missing\nhint: `cargo xtask parts`");
    let ran = Command::new(program)
        // OPA puts data in the wrong place where the path of the folder has `..` in it.
        .args(["test", "--format", "json", "--bundle", "."])
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ran.stderr)));
    let text = |test: &Value, name: &str| test[name].as_str().unwrap().to_owned();
    let tests = report.as_array().cloned().unwrap_or_default();
    let tests = tests.iter().map(|test| {
        let outcome = match (test.get("skip"), test.get("error"), test.get("fail")) {
            (Some(Value::Bool(true)), ..) => TestOutcome::Skipped,
            (_, Some(error), _) if !error.is_null() => TestOutcome::Errored,
            (_, _, Some(Value::Bool(true))) => TestOutcome::Failed,
            _ => TestOutcome::Passed,
        };
        let package = text(test, "package").strip_prefix("data.").unwrap().to_owned();
        ((package, text(test, "name")), outcome)
    });
    tests.collect()
}

fn by_us(folder: &Path) -> Results {
    let report = test(&worker_command(), &Bundle::from_directory(folder).unwrap()).unwrap();
    let results: Results =
        report.tests.iter().map(|test| ((test.package.clone(), test.name.clone()), test.outcome)).collect();
    assert_eq!(results.len(), report.tests.len(), "each test has a name of its own");
    results
}

/// Holds both against each other and returns how many tests ended how: passed, failed, errored, skipped.
fn check(folder: &Path) -> [usize; 4] {
    let (ours, theirs) = (by_us(folder), by_opa(folder));
    assert_eq!(ours, theirs, "{}", folder.display());
    let all = [TestOutcome::Passed, TestOutcome::Failed, TestOutcome::Errored, TestOutcome::Skipped];
    all.map(|wanted| ours.values().filter(|outcome| **outcome == wanted).count())
}

#[test]
fn our_policies_have_the_results_that_opa_gives_them() {
    let mut folders = 0;
    for entry in std::fs::read_dir(examples()).unwrap() {
        let folder = entry.unwrap().path();
        if folder.is_dir() {
            let [passed, failed, errored, _] = check(&folder);
            assert!(passed >= 3 && failed + errored == 0, "{}", folder.display());
            folders += 1;
        }
    }
    assert!(folders >= 4);
}

const RULES: &str = r#"package gantral.policy
default decision := "ALLOW"
decision := "DENY" if input.a
decision := "REQUIRE_HUMAN" if input.b
"#;

const TESTS: &str = r#"package gantral.policy_test
test_true if data.gantral.policy.decision == "ALLOW"
test_false := false
test_undefined if 1 == 2
test_number := 1
test_zero := 0
test_text := "true"
test_null := null
test_object := {"a": true}
test_set contains true
test_list := [true]
test_else if { false } else := true
test_dot.inner if true
test_conflict if data.gantral.policy.decision == "DENY" with input as {"a": true, "b": true}
test_not_the_conflict if not data.gantral.policy.decision == "DENY" with input as {"a": true, "b": true}
test_builtin if to_number("x") == 1
test_division if 1 / 0 == 1
test_twice if input.x
test_twice if not input.x
test_twice if false
test_with if data.gantral.policy.decision == "DENY" with input as {"a": true}
test_negated if not data.gantral.policy.missing
todo_test_later if false
todo_test_conflict if data.gantral.policy.decision == "DENY" with input as {"a": true, "b": true}
todo_no_test if false
helper if true
"#;

const MORE_TESTS: &str = r#"package gantral.more_test
import data.gantral.policy
test_true if policy.decision == "REQUIRE_HUMAN" with input.b as true
test_false if policy.decision == "DENY"
"#;

#[test]
fn tests_that_pass_fail_err_or_wait_have_the_results_that_opa_gives_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in
        [("policy.rego", RULES), ("policy_test.rego", TESTS), ("more/more_test.rego", MORE_TESTS)]
    {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    assert_eq!(check(folder.path()), [6, 15, 2, 2]);
}

#[test]
fn tests_in_rego_v0_have_the_results_that_opa_gives_them() {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        (".manifest", "{\"rego_version\": 0}"),
        ("policy.rego", "package gantral.policy\ndefault decision = \"DENY\"\n"),
        (
            "policy_test.rego",
            "package gantral.policy_test\ntest_pass { data.gantral.policy.decision == \"DENY\" }\n\
             test_fail { data.gantral.policy.decision == \"ALLOW\" }\ntest_twice { true }\ntest_twice { false }\n\
             todo_test_later { false }\n",
        ),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    assert_eq!(check(folder.path()), [2, 2, 0, 1]);
}

/// What only OPA can run: here it never passes, whatever OPA says of it.
#[test]
fn tests_of_a_form_that_only_opa_runs_do_not_pass() {
    let folder = tempfile::tempdir().unwrap();
    let cases = "package a_test\ntest_case[name] if {\n\tsome name, number in {\"one\": 1, \"two\": 1}\n\tnumber == 1\n}\n";
    std::fs::write(folder.path().join("a_test.rego"), cases).unwrap();
    let name = ("a_test".to_owned(), "test_case".to_owned());
    assert_eq!(by_opa(folder.path()).get(&name), Some(&TestOutcome::Passed));
    assert_eq!(by_us(folder.path()).get(&name), Some(&TestOutcome::Failed));
    let swallowed = "package a_test\nfails if to_number(\"x\") == 1\ntest_swallowed if not fails\n";
    std::fs::write(folder.path().join("a_test.rego"), swallowed).unwrap();
    let name = ("a_test".to_owned(), "test_swallowed".to_owned());
    assert_eq!(by_opa(folder.path()).get(&name), Some(&TestOutcome::Passed));
    assert_eq!(by_us(folder.path()).get(&name), Some(&TestOutcome::Errored));
    let bodies = "package a_test\ntest_bodies { false } { true }\n";
    std::fs::write(folder.path().join(".manifest"), "{\"rego_version\": 0}").unwrap();
    std::fs::write(folder.path().join("a_test.rego"), bodies).unwrap();
    let name = ("a_test".to_owned(), "test_bodies".to_owned());
    assert_eq!(by_us(folder.path()).get(&name), Some(&TestOutcome::Errored));
}

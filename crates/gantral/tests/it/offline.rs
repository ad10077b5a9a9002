//! What needs no server: verifying, and what policy authors do.

use crate::support::{repository, run};

#[test]
fn bundle_that_cannot_be_read_has_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["verify", "missing.gantral"]).status(3);
    assert!(ran.data.is_empty(), "{ran:?}");
    assert!(ran.talk.starts_with("error: cannot read `missing.gantral`"), "{ran:?}");
}

#[test]
fn something_that_is_no_bundle_is_invalid() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), "something else").unwrap();
    let ran = run(folder.path(), &["verify", "x", "--json"]).status(1);
    assert_eq!(ran.json()["verdict"], "INVALID");
}

#[test]
fn trust_file_that_is_none_is_not_used() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("x"), "something else").unwrap();
    std::fs::write(folder.path().join("trust.json"), "{}").unwrap();
    let ran = run(folder.path(), &["verify", "x", "--trust", "trust.json"]).status(3);
    assert!(ran.talk.contains("cannot use `trust.json`"), "{ran:?}");
}

#[test]
fn example_policies_pass_their_own_tests() {
    for name in ["access", "commands", "demo", "deploys", "http", "mcp", "refunds", "seed-example", "tools"] {
        let ran = run(&repository(), &["policy", "test", &format!("policies/{name}")]).status(0);
        assert!(ran.data.contains(" passed, 0 failed"), "{name}: {ran:?}");
    }
}

#[test]
fn policy_that_fails_its_tests_says_which_and_why() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("policy.rego"),
        "package gantral.policy\ndefault decision := \"DENY\"\n",
    )
    .unwrap();
    let test = "package gantral.policy_test\ntest_passes if data.gantral.policy.decision == \"ALLOW\"\n";
    std::fs::write(folder.path().join("policy_test.rego"), test).unwrap();
    let ran = run(folder.path(), &["policy", "test", "."]).status(1);
    assert!(ran.data.contains("failed"), "{ran:?}");
    assert!(ran.data.contains("gantral.policy_test.test_passes"), "{ran:?}");
    let ran = run(folder.path(), &["policy", "test", ".", "--json"]).status(1);
    assert_eq!(ran.json()["passed"], false);
}

#[test]
fn lint_fails_on_problems_and_where_it_is_strict_on_warnings() {
    let seed = run(&repository(), &["policy", "lint", "policies/seed-example"]).status(1).data;
    assert!(seed.contains("warning  policy.rego:3: the default decision is ALLOW"), "{seed}");
    assert!(seed.contains("problem  policy.rego:5: `decision` is \"REQUIRE_HUMAN\" here"), "{seed}");
    assert!(seed.ends_with("\nproblems: 1, warnings: 1\n"), "{seed}");
    let ran = run(&repository(), &["policy", "lint", "policies/seed-example", "--json"]).status(1).json();
    assert_eq!(ran["passed"], false);
    assert_eq!(ran["findings"][1]["rule"], "contradiction");
    assert_eq!(ran["findings"][1]["weight"], "problem");
    assert_eq!(ran["findings"][1]["other"]["line"], 9);
    for name in ["access", "commands", "demo", "deploys", "http", "refunds", "tools"] {
        run(&repository(), &["policy", "lint", &format!("policies/{name}"), "--strict"]).status(0);
    }
    let folder = tempfile::tempdir().unwrap();
    let open = "package gantral.policy\ndefault decision := \"ALLOW\"\n";
    std::fs::write(folder.path().join("policy.rego"), open).unwrap();
    assert_eq!(run(folder.path(), &["policy", "lint", ".", "--json"]).status(0).json()["passed"], true);
    run(folder.path(), &["policy", "lint", ".", "--strict"]).status(1);
}

#[test]
fn policy_is_asked_about_one_input() {
    let folder = tempfile::tempdir().unwrap();
    let policy = repository().join("policies/demo").display().to_string();
    let ask = |amount: &str| {
        let input = format!(r#"{{"action":{{"name":"refund","parameters":{{"amount":{amount}}}}}}}"#);
        std::fs::write(folder.path().join("ask.json"), input).unwrap();
        run(folder.path(), &["policy", "eval", &policy, "--input", "ask.json"]).status(0)
    };
    assert!(ask("50").data.starts_with("ALLOW\n"));
    let ran = ask("4800");
    assert!(ran.data.starts_with("REQUIRE_HUMAN\n"), "{ran:?}");
    assert!(ran.data.contains(r#"["RISK_OFFICER"]"#), "{ran:?}");
    assert!(ran.talk.contains("the engine would refuse this input"), "{ran:?}");
}

#[test]
fn no_server_is_an_error_that_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(folder.path(), &["instances", "ls"]).status(1);
    assert_eq!(
        ran.talk,
        "error: no server is named\nhint: log in with `gantral login --url URL`, or set GANTRAL_URL, or start `gantral dev` in this \
         folder and leave it running\n"
    );
    let ran = run(folder.path(), &["ask", "refund", "--target", "x"]).status(1);
    assert!(ran.talk.contains("[not_an_attempt]"), "{ran:?}");
}

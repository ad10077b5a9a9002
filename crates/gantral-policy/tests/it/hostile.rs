//! Policies that try to take the server down: each ends in a recorded failure, and the next evaluation works.

use std::time::{Duration, Instant};

use gantral_core::policy::{EvalFailure, Verdict};
use gantral_engine::policy_point::PolicyPoint;
use gantral_policy::bundle::Bundle;

use crate::support::{PATIENT, Point, policy};

/// What the server would allow an evaluation, and what it may take beyond on a busy machine.
const LIMIT: Duration = Duration::from_millis(250);
const SLACK: Duration = Duration::from_millis(750);

const GOOD: &str = r#"decision := "ALLOW""#;

/// Evaluates a hostile policy under a tight limit, then a good one.
async fn check(hostile: Bundle, expect: &[EvalFailure]) {
    check_within(hostile, "{}", LIMIT, expect).await;
}

async fn check_within(hostile: Bundle, input: &str, limit: Duration, expect: &[EvalFailure]) {
    let point = Point::with_workers(1);
    let good = policy(GOOD);
    assert_eq!(point.ask(&good, "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
    let started = Instant::now();
    let failure = point.ask_within(&hostile, input, limit).await.expect_err("a hostile policy gives nothing");
    assert!(started.elapsed() < limit + SLACK, "took {:?}", started.elapsed());
    assert!(expect.contains(&failure), "{failure:?} is none of {expect:?}");
    assert_eq!(point.ask(&good, "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
}

#[tokio::test]
async fn a_recursive_function_is_refused_before_it_runs() {
    check(policy("f(x) := f(x + 1)\ndecision := f(1)"), &[EvalFailure::Evaluation]).await;
    let circle = "f(x) := g(x)\ng(x) := data.gantral.policy.f(x)\ndecision := g(1)";
    check(policy(circle), &[EvalFailure::Evaluation]).await;
}

#[tokio::test]
async fn doubling_a_text_runs_into_the_memory_limit() {
    let doubling =
        (1..40).map(|n| format!("s{n} := concat(\"\", [s{0}, s{0}])\n", n - 1)).collect::<String>();
    let bomb = policy(&format!("s0 := \"aaaaaaaa\"\n{doubling}decision := s39"));
    check_within(bomb, "{}", PATIENT, &[EvalFailure::ResourceLimit]).await;
}

#[tokio::test]
async fn replacing_everything_by_more_ends() {
    let replacing =
        (1..12).map(|n| format!("s{n} := replace(s{0}, \"a\", s{0})\n", n - 1)).collect::<String>();
    let bomb = policy(&format!("s0 := \"aaaa\"\n{replacing}decision := s11"));
    check(bomb, &[EvalFailure::ResourceLimit]).await;
}

#[tokio::test]
async fn nested_loops_are_killed_at_the_deadline() {
    let loops = r#"r := numbers.range(1, 2000)
decision := "ALLOW" if count([1 | some a in r; some b in r; some c in r; a + b + c < 0]) == 0"#;
    check(policy(loops), &[EvalFailure::ResourceLimit]).await;
}

#[tokio::test]
async fn a_builtin_that_never_looks_at_the_clock_is_killed_too() {
    let shift = r#"decision := "ALLOW" if bits.lsh(1, 4000000000) > 0"#;
    check(policy(shift), &[EvalFailure::ResourceLimit, EvalFailure::Evaluation]).await;
    let range = r#"decision := "ALLOW" if count(numbers.range(1, 100000000000)) > 0"#;
    check(policy(range), &[EvalFailure::ResourceLimit, EvalFailure::Evaluation]).await;
}

#[tokio::test]
async fn deep_nesting_in_source_is_refused_before_it_is_parsed() {
    let deep = format!("x := {}1{}\n{GOOD}", "[".repeat(30), "]".repeat(30));
    check(policy(&deep), &[EvalFailure::Evaluation]).await;
    let calls = format!("x := {}1{}\n{GOOD}", "abs(".repeat(5_000), ")".repeat(5_000));
    check(policy(&calls), &[EvalFailure::Evaluation]).await;
}

#[tokio::test]
async fn a_long_chain_of_operators_hurts_nobody() {
    let point = Point::with_workers(1);
    let lines = vec!["1 +\n"; 50_000].concat();
    let _ = point.ask(&policy(&format!("x := {lines} 1\n{GOOD}")), "{}").await;
    assert_eq!(point.ask(&policy(GOOD), "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
}

#[tokio::test]
async fn deep_nesting_in_the_input_is_a_failure() {
    let input = format!("{{\"a\":{}1{}}}", "[".repeat(100_000), "]".repeat(100_000));
    check_within(policy(GOOD), &input, PATIENT, &[EvalFailure::Evaluation]).await;
}

#[tokio::test]
async fn contradicting_rules_are_a_conflict_and_not_undefined() {
    check(policy("decision := \"ALLOW\" if true\ndecision := \"DENY\" if true"), &[EvalFailure::Conflict])
        .await;
    let helper =
        "decision := \"ALLOW\"\napprover_roles := [\"A\"] if true\napprover_roles := [\"B\"] if true";
    check(policy(helper), &[EvalFailure::Conflict]).await;
    let function = "f(x) := 1 if x > 0\nf(x) := 2 if x > 1\ndecision := \"ALLOW\" if f(5) > 0";
    check(policy(function), &[EvalFailure::Conflict]).await;
}

#[tokio::test]
async fn an_output_without_end_is_a_resource_limit() {
    let huge =
        "decision := \"ALLOW\"\nreasons := [sprintf(\"reason %d\", [n]) | some n in numbers.range(1, 9000)]";
    check_within(policy(huge), "{}", PATIENT, &[EvalFailure::ResourceLimit]).await;
}

#[tokio::test]
async fn a_failing_builtin_is_an_error_and_not_undefined() {
    let rules = "default decision := \"ALLOW\"\ndecision := \"DENY\" if to_number(\"x\") > 1";
    check(policy(rules), &[EvalFailure::Evaluation]).await;
}

#[tokio::test]
async fn network_randomness_and_unknown_functions_are_not_available() {
    for call in ["http.send({\"method\": \"get\"})", "rand.intn(\"a\", 5)", "opa.runtime()", "nothing(1)"] {
        check(policy(&format!("x := {call}\n{GOOD}")), &[EvalFailure::Evaluation]).await;
    }
    let renamed = "x if { count([1]) == 1 with count as rand.intn }";
    check(policy(&format!("{renamed}\n{GOOD}")), &[EvalFailure::Evaluation]).await;
}

#[tokio::test]
async fn an_archive_that_decompresses_without_end_is_refused() {
    let point = Point::with_workers(1);
    let good = policy(GOOD);
    let mut header = tar_header("policy.rego", 1 << 34);
    header.extend(vec![0_u8; 64 << 20]);
    let bomb = gzip(&header);
    assert!(bomb.len() < 1 << 20);
    point.shelf.put_as(good.version(), bomb);
    let failure =
        point.rego.evaluate(good.version(), b"{}", PATIENT).await.result.expect_err("nothing to evaluate");
    assert_eq!(failure, EvalFailure::Evaluation);
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    use std::io::Write;
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn tar_header(path: &str, size: u64) -> Vec<u8> {
    let mut header = tar::Header::new_gnu();
    header.set_path(path).unwrap();
    header.set_size(size);
    header.set_cksum();
    header.as_bytes().to_vec()
}

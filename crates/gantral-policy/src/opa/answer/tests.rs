use gantral_core::digest::Digest;
use gantral_core::policy::Verdict;

use super::*;

fn version() -> PolicyVersionId {
    PolicyVersionId(Digest::of(b"policy"))
}

/// A body as OPA 1.9 writes it: `bundles` and what stands beside the provenance are given.
fn body(bundles: &str, rest: &str) -> String {
    format!(
        r#"{{"provenance":{{"version":"1.9.0","build_commit":"","build_timestamp":"","build_hostname":"","bundles":{bundles}}}{rest}}}"#
    )
}

fn ours() -> String {
    format!(r#"{{"b":{{"revision":"{}"}}}}"#, version().0.to_hex())
}

fn told(status: u16, body: &str, bundle: Option<&str>) -> Told {
    read(status, body.as_bytes(), &Expected { version: version(), bundle })
}

fn check(status: u16, body: &str, expect: Result<Verdict, EvalFailure>) {
    assert_eq!(told(status, body, None).result.map(|told| told.verdict), expect, "{status} {body}");
}

fn check_rest(rest: &str, expect: Result<Verdict, EvalFailure>) {
    check(200, &body(&ours(), rest), expect);
}

#[test]
fn an_evaluation_names_the_version_of_opa_that_it_says_itself() {
    let body = body(&ours(), r#","result":{"decision":"DENY","helper":{"a":[1]},"reasons":["why"]}"#);
    let told = told(200, &body, None);
    assert_eq!(told.opa, Name::parse("1.9.0").ok());
    let evaluation = told.result.unwrap();
    assert_eq!(evaluation.verdict, Verdict::Deny);
    assert_eq!(evaluation.decision, br#"{"decision":"DENY","reasons":["why"]}"#);
}

#[test]
fn what_is_missing_is_undefined_and_what_is_odd_is_malformed() {
    check_rest("", Err(EvalFailure::Undefined));
    check_rest(r#","result":{}"#, Err(EvalFailure::Undefined));
    check_rest(r#","result":{"reasons":[]}"#, Err(EvalFailure::Undefined));
    for odd in ["7", "null", "[]", r#""ALLOW""#, r#"{"decision":"allow"}"#, r#"{"decision":["ALLOW"]}"#] {
        check_rest(&format!(r#","result":{odd}"#), Err(EvalFailure::Malformed));
    }
    for complaint in ["warning", "warnings", "error", "errors", "code"] {
        check_rest(
            &format!(r#","result":{{"decision":"ALLOW"}},"{complaint}":{{"code":"api_usage_warning"}}"#),
            Err(EvalFailure::Malformed),
        );
    }
    check_rest(r#","result":{"decision":"DENY"},"result":{"decision":"ALLOW"}"#, Err(EvalFailure::Malformed));
    let deep = format!(r#","result":{{"a":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    check_rest(&deep, Err(EvalFailure::Malformed));
    for other in ["", "<html>", "null", "[]", "{"] {
        check(200, other, Err(EvalFailure::Malformed));
    }
}

#[test]
fn an_output_beyond_its_limit_is_over_a_limit_and_helper_rules_do_not_count() {
    let long = |name: &str| {
        let text = "x".repeat(OUTPUT_BYTES_MAX);
        format!(r#","result":{{"decision":"ALLOW","{name}":["{text}"]}}"#)
    };
    check_rest(&long("reasons"), Err(EvalFailure::ResourceLimit));
    check_rest(&long("helper"), Ok(Verdict::Allow));
}

#[test]
fn an_answer_counts_only_under_the_version_that_was_asked_for() {
    let rest = r#","result":{"decision":"ALLOW"}"#;
    let ours_hex = version().0.to_hex();
    let two = |first: &str, second: &str| {
        format!(r#"{{"a":{{"revision":"{first}"}},"b":{{"revision":"{second}"}}}}"#)
    };
    let other = PolicyVersionId(Digest::of(b"other")).0.to_hex();
    let judge = |bundles: &str, bundle: Option<&str>| {
        told(200, &body(bundles, rest), bundle).result.map(|told| told.verdict)
    };
    let mismatch = Err(EvalFailure::VersionMismatch);
    assert_eq!(judge(&two(&ours_hex, &ours_hex), None), Ok(Verdict::Allow));
    assert_eq!(judge(&two(&other, &ours_hex), None), mismatch);
    assert_eq!(judge(&two(&other, &ours_hex), Some("b")), Ok(Verdict::Allow));
    assert_eq!(judge(&two(&other, &ours_hex), Some("a")), mismatch);
    assert_eq!(judge(&ours(), Some("c")), mismatch);
    for none in ["{}", "null", "[]", r#"{"b":{}}"#, r#"{"b":{"revision":null}}"#] {
        assert_eq!(judge(none, None), mismatch, "{none}");
    }
    let upper = format!(r#"{{"b":{{"revision":"{}"}}}}"#, ours_hex.to_uppercase());
    assert_eq!(judge(&upper, None), mismatch);
    check(200, r#"{"result":{"decision":"ALLOW"}}"#, mismatch);
    let unnamed = body(&ours(), rest).replace(r#""version":"1.9.0","#, "");
    check(200, &unnamed, mismatch);
    let wrong = told(200, &body("{}", rest), None);
    assert_eq!(wrong.opa, Name::parse("1.9.0").ok(), "who answered is known all the same");
}

#[test]
fn errors_of_an_evaluation_are_the_policys_and_any_other_is_an_outage() {
    let error = |code: &str| {
        format!(
            r#"{{"code":"internal_error","message":"error(s) occurred while evaluating query","errors":[{{"code":"{code}","message":"m","location":{{"file":"policy.rego","row":1,"col":1}}}}]}}"#
        )
    };
    for (code, failure) in [
        ("eval_conflict_error", EvalFailure::Conflict),
        ("eval_builtin_error", EvalFailure::Evaluation),
        ("eval_type_error", EvalFailure::Evaluation),
        ("eval_internal_error", EvalFailure::Evaluation),
        ("rego_type_error", EvalFailure::Evaluation),
        ("eval_cancel_error", EvalFailure::ResourceLimit),
        ("storage_not_found_error", EvalFailure::Unavailable),
    ] {
        check(500, &error(code), Err(failure));
    }
    for other in ["", "<html>", "{}", r#"{"code":"internal_error","message":"m"}"#, r#"{"errors":[7]}"#] {
        check(500, other, Err(EvalFailure::Unavailable));
    }
}

#[test]
fn a_status_that_the_input_may_have_caused_is_never_an_outage() {
    for status in [301, 302, 307, 308, 401, 403, 404, 407, 408, 429, 502, 503, 504] {
        check(status, &body(&ours(), r#","result":{"decision":"ALLOW"}"#), Err(EvalFailure::Unavailable));
    }
    for status in [400, 405, 411, 413, 414, 415, 422, 431] {
        check(status, "{}", Err(EvalFailure::Evaluation));
    }
    for status in [201, 202, 204, 206, 600, 999] {
        check(status, &body(&ours(), r#","result":{"decision":"ALLOW"}"#), Err(EvalFailure::Malformed));
    }
}

#[test]
fn readiness_asks_for_the_version_and_for_nothing_else() {
    let ready = |status, body: &str| {
        read_version(status, body.as_bytes(), &Expected { version: version(), bundle: None })
    };
    assert_eq!(ready(200, &body(&ours(), "")), Ok(()));
    assert_eq!(ready(200, &body("{}", "")), Err(EvalFailure::VersionMismatch));
    assert_eq!(ready(200, "{}"), Err(EvalFailure::VersionMismatch));
    assert_eq!(ready(200, "no"), Err(EvalFailure::Malformed));
    assert_eq!(ready(503, ""), Err(EvalFailure::Unavailable));
}

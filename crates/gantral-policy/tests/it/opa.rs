//! Policies in a real OPA: the same verdicts as the embedded engine, and a failure for everything else.

mod matrix;
mod rogue;
pub mod service;

use std::time::{Duration, Instant};

use gantral_core::digest::Digest;
use gantral_core::ids::Name;
use gantral_core::policy::{EvalFailure, PolicyVersionId, Verdict};
use gantral_core::state::HumanEvidence;
use gantral_core::time::UnixMillis;
use gantral_engine::policy_point::PolicyPoint;
use gantral_policy::bundle::Bundle;
use gantral_policy::opa::{BreakerState, OpaConfig, OpaPolicyPoint};

use crate::support::{PATIENT, Point, examples, policy};
use service::{BUNDLE, Opa, answered, ask, tampering};

/// One policy that does whatever its input says.
const ANYTHING: &str = r#"r := numbers.range(1, 2000)
decision := "ALLOW" if input.do == "allow"
decision := "DENY" if input.do in {"deny", "both"}
decision := "REQUIRE_HUMAN" if input.do in {"ask", "both"}
decision := "MAYBE" if input.do == "odd"
decision := "ALLOW" if { input.do == "break"; to_number("x") > 1 }
decision := "ALLOW" if { input.do == "loop"; count([1 | some a in r; some b in r; some c in r; some d in r; a + b + c + d < 0]) == 0 }
reasons contains "somebody asked"
"#;

/// More than a good answer needs on a busy machine, and little enough to wait for.
const LIMIT: Duration = Duration::from_millis(500);
/// As long as an open breaker lets nothing through, and a bit.
const PAUSE: Duration = Duration::from_millis(2_100);

fn act(what: &str) -> String {
    format!(r#"{{"do":"{what}"}}"#)
}

fn other_version() -> PolicyVersionId {
    PolicyVersionId(Digest::of(b"another policy"))
}

fn parameters(members: &str) -> String {
    format!(r#"{{"action":{{"parameters":{{{members}}}}}}}"#)
}

/// Inputs for each example policy; the instant is now, which is what OPA's own clock says too.
fn example_inputs(name: &str) -> Vec<String> {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = UnixMillis::new(u64::try_from(since.as_millis()).unwrap()).unwrap().to_text();
    let inputs: Vec<String> = match name {
        "demo" => ["100", "4800", "100001", "0", "-1", "\"4800\"", "0.5"]
            .iter()
            .map(|amount| format!(r#"{{"action":{{"parameters":{{"amount":{amount}}}}}}}"#))
            .collect(),
        "refunds" => ["480", "5000", "5001", "1000001", "10000001", "-480", "\"480\""]
            .iter()
            .flat_map(|amount| {
                ["LOW", "HIGH"].map(|materiality| {
                    format!(
                        r#"{{"action":{{"parameters":{{"amount_minor":{amount},"currency":"EUR"}}}},"instance":{{"materiality":"{materiality}"}}}}"#
                    )
                })
            })
            .collect(),
        "deploys" => ["staging", "production", "prod-eu"]
            .iter()
            .flat_map(|environment| {
                ["PR", "INCIDENT"].map(|trigger| {
                    format!(
                        r#"{{"action":{{"parameters":{{"environment":"{environment}"}}}},"context":{{"trigger":"{trigger}"}},"instance":{{"materiality":"MEDIUM"}},"now":"{now}"}}"#
                    )
                })
            })
            .collect(),
        "seed-example" => ["LOW", "MEDIUM", "HIGH"]
            .iter()
            .flat_map(|materiality| {
                [10, 200_000].map(|cost| {
                    format!(
                        r#"{{"context":{{"attributes":{{}}}},"execution":{{"cost_estimate":{cost}}},"instance":{{"materiality":"{materiality}"}}}}"#
                    )
                })
            })
            .collect(),
        "commands" => [
            ("/usr/bin/ls", r#"["-l"]"#),
            ("/usr/bin/git", r#"["status"]"#),
            ("/usr/bin/git", r#"["push"]"#),
            ("/usr/bin/git", "[]"),
            ("/tmp/ls", "[]"),
            ("/usr/bin/dd", "[]"),
        ]
        .iter()
        .map(|(executable, arguments)| {
            parameters(&format!(r#""executable":"{executable}","arguments":{arguments}"#))
        })
        .collect(),
        "access" => ["can_read", "can_update", "can_erase"]
            .iter()
            .map(|name| {
                let subject = r#""subject":{"type":"agent","id":"a"},"resource":{"type":"todo","id":"1"}"#;
                parameters(&format!(r#"{subject},"action":{{"name":"{name}"}}"#))
            })
            .collect(),
        "http" => [
            ("GET", "/orders/7", "{}"),
            ("GET", "/internal/a", "{}"),
            ("DELETE", "/orders/7", "{}"),
            ("POST", "/orders/7/refunds", r#"{"amount_minor":5000}"#),
            ("POST", "/orders/7/refunds", r#"{"amount_minor":5001}"#),
            ("POST", "/orders/7/refunds", r#"{"amount_minor":"1"}"#),
            ("POST", "/orders/7/refunds/all", r#"{"amount_minor":1}"#),
        ]
        .iter()
        .map(|(method, path, body)| {
            parameters(&format!(r#""method":"{method}","path":"{path}","body":{body}"#))
        })
        .collect(),
        "mcp" => [("filesystem", "read_text_file"), ("filesystem", "write_file"), ("memory", "delete_entities"), ("other", "a")]
            .iter()
            .map(|(server, tool)| parameters(&format!(r#""server":"{server}","tool":"{tool}","arguments":{{}}"#)))
            .collect(),
        "tools" => [
            ("Read", r#"{"file_path":"/etc/hosts"}"#),
            ("Write", r#"{"file_path":"/project/a"}"#),
            ("Write", r#"{"file_path":"/project/../a"}"#),
            ("Bash", r#"{"command":"git status"}"#),
            ("Bash", r#"{"command":"git status; rm a"}"#),
            ("pay", "{}"),
        ]
        .iter()
        .map(|(tool, input)| parameters(&format!(r#""tool":"{tool}","input":{input},"directory":"/project""#)))
        .collect(),
        other => panic!("no inputs for the example `{other}`"),
    };
    [inputs, vec!["{}".to_owned()]].concat()
}

#[tokio::test]
async fn the_example_policies_answer_as_in_the_embedded_engine() {
    let embedded = Point::with_workers(1);
    let (mut verdicts, mut evidence) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(examples()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let bundle = Bundle::from_directory(&folder).unwrap();
        let opa = Opa::start(&bundle);
        let point = opa.point();
        for input in example_inputs(folder.file_name().unwrap().to_str().unwrap()) {
            let there = ask(&point, bundle.version(), &input).await;
            assert_eq!(there, embedded.ask(&bundle, &input).await, "{} {input}", folder.display());
            evidence.extend(there.as_ref().ok().and_then(|evaluation| evaluation.required_evidence));
            verdicts.push(there.map(|evaluation| evaluation.verdict));
        }
    }
    for verdict in Verdict::ALL {
        assert!(verdicts.contains(&Ok(verdict)), "{verdict:?} was never compared");
    }
    assert!(verdicts.contains(&Err(EvalFailure::Conflict)));
    assert_eq!(evidence, [HumanEvidence::Webauthn], "a passkey is asked for once");
}

#[tokio::test]
async fn each_way_not_to_answer_is_told_apart() {
    let bundle = policy(ANYTHING);
    let opa = Opa::start(&bundle);
    let point = opa.point();
    for (what, expect) in [
        ("allow", Ok(Verdict::Allow)),
        ("deny", Ok(Verdict::Deny)),
        ("ask", Ok(Verdict::RequireHuman)),
        ("both", Err(EvalFailure::Conflict)),
        ("nothing", Err(EvalFailure::Undefined)),
        ("odd", Err(EvalFailure::Malformed)),
        ("break", Err(EvalFailure::Evaluation)),
    ] {
        let told = ask(&point, bundle.version(), &act(what)).await;
        assert_eq!(told.map(|evaluation| evaluation.verdict), expect, "{what}");
    }
    let broken = ask(&point, bundle.version(), r#"{"do":"#).await;
    assert_eq!(broken, Err(EvalFailure::Evaluation), "what is no JSON is our own mistake");
    let elsewhere = OpaConfig { decision: "gantral/nobody".to_owned(), ..opa.config() };
    let elsewhere = OpaPolicyPoint::new(&elsewhere).unwrap();
    assert_eq!(ask(&elsewhere, bundle.version(), "{}").await, Err(EvalFailure::Undefined));
    assert_eq!(point.status().breaker, BreakerState::Closed, "a policy's failures are no outages");
}

#[tokio::test]
async fn a_misspelt_input_is_a_failure_though_opa_answers_it() {
    let bundle = policy("default decision := \"ALLOW\"");
    let opa = Opa::start(&bundle);
    let misspelt = tampering(opa.port(), |request| request.replace(r#"{"input":"#, r#"{"inptu":"#));
    let point = OpaPolicyPoint::new(&service::config(misspelt)).unwrap();
    assert_eq!(ask(&point, bundle.version(), "{}").await, Err(EvalFailure::Malformed));
    let untouched = OpaPolicyPoint::new(&service::config(tampering(opa.port(), str::to_owned))).unwrap();
    assert_eq!(ask(&untouched, bundle.version(), "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
}

#[tokio::test]
async fn the_engine_is_known_by_what_it_says_of_itself() {
    let bundle = policy(ANYTHING);
    let mut opa = Opa::stopped(&bundle, &["--bundle", BUNDLE]);
    let point = opa.point();
    let name = |text| Name::parse(text).unwrap();
    let before = answered(&point, bundle.version(), "{}", LIMIT).await;
    assert_eq!((before.by.engine, before.by.version), (name("opa"), Name::unknown()));
    assert_eq!(before.result, Err(EvalFailure::Unavailable));
    opa.go();
    opa.wait();
    let after = answered(&point, bundle.version(), &act("deny"), PATIENT).await;
    assert_eq!((after.by.engine, after.by.version), (name("opa"), name("1.9.0")));
    let conflict = answered(&point, bundle.version(), &act("both"), PATIENT).await;
    assert_eq!(conflict.by.version, name("1.9.0"), "an error does not say it, and nothing changed");
}

#[tokio::test]
async fn another_bundle_than_the_one_asked_for_is_a_mismatch_until_it_is_replaced() {
    let (first, second) = (policy(ANYTHING), policy("decision := \"DENY\""));
    let mut opa = Opa::start(&first);
    let point = opa.point();
    assert_eq!(point.ready(first.version()).await, Ok(()));
    for version in [second.version(), other_version()] {
        assert_eq!(ask(&point, version, &act("allow")).await, Err(EvalFailure::VersionMismatch));
        assert_eq!(point.ready(version).await, Err(EvalFailure::VersionMismatch));
    }
    opa.publish(&second);
    opa.stop();
    opa.go();
    opa.wait();
    assert_eq!(ask(&point, second.version(), "{}").await.map(|e| e.verdict), Ok(Verdict::Deny));
    assert_eq!(ask(&point, first.version(), "{}").await, Err(EvalFailure::VersionMismatch));
    let misnamed = OpaConfig { bundle: Some("another".to_owned()), ..opa.config() };
    let misnamed = OpaPolicyPoint::new(&misnamed).unwrap();
    assert_eq!(ask(&misnamed, second.version(), "{}").await, Err(EvalFailure::VersionMismatch));
}

#[tokio::test]
async fn an_opa_without_a_bundle_is_a_mismatch_though_it_has_the_rules() {
    let bundle = policy("decision := \"ALLOW\"");
    let mut opa = Opa::stopped(&bundle, &["policy.rego"]);
    let rules = "package gantral.policy\ndecision := \"ALLOW\"";
    std::fs::write(opa.folder.path().join("policy.rego"), rules).unwrap();
    opa.go();
    opa.wait();
    assert_eq!(ask(&opa.point(), bundle.version(), "{}").await, Err(EvalFailure::VersionMismatch));
}

#[tokio::test]
async fn a_policy_that_does_not_end_is_over_its_limit_and_opa_stops_it() {
    let bundle = policy(ANYTHING);
    let opa = Opa::start(&bundle);
    let point = opa.point();
    assert!(ask(&point, bundle.version(), &act("allow")).await.is_ok());
    for _ in 0..8 {
        let endless = answered(&point, bundle.version(), &act("loop"), Duration::from_millis(100)).await;
        assert_eq!(endless.result, Err(EvalFailure::ResourceLimit));
    }
    let after = ask(&point, bundle.version(), &act("allow")).await;
    assert_eq!(after.map(|evaluation| evaluation.verdict), Ok(Verdict::Allow));
    assert_eq!(point.status().breaker, BreakerState::Closed, "slow policies are no outage");
}

#[tokio::test]
async fn an_evaluation_that_opa_dies_over_is_the_policys_doing_and_the_next_one_works() {
    let bundle = policy(ANYTHING);
    let mut opa = Opa::start(&bundle);
    let point = opa.point();
    assert!(ask(&point, bundle.version(), &act("allow")).await.is_ok());
    let endless = act("loop");
    let (died, ()) = tokio::join!(answered(&point, bundle.version(), &endless, PATIENT), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        opa.stop();
    });
    assert_eq!(died.result, Err(EvalFailure::ResourceLimit));
    assert_eq!(ask(&point, bundle.version(), &act("allow")).await, Err(EvalFailure::Unavailable));
    opa.go();
    opa.wait();
    let after = ask(&point, bundle.version(), &act("allow")).await;
    assert_eq!(after.map(|evaluation| evaluation.verdict), Ok(Verdict::Allow));
}

#[tokio::test]
async fn an_opa_that_is_gone_is_soon_left_alone_and_found_again_when_it_is_back() {
    let bundle = policy(ANYTHING);
    let mut opa = Opa::start(&bundle);
    let point = opa.point();
    opa.stop();
    let mut asks = 0;
    while point.status().breaker != BreakerState::Open {
        assert_eq!(ask(&point, bundle.version(), &act("allow")).await, Err(EvalFailure::Unavailable));
        asks += 1;
        assert!(asks < 10, "the breaker does not open");
    }
    assert_eq!((asks, point.status().opened), (5, 1));
    let begun = Instant::now();
    for _ in 0..1_000 {
        assert_eq!(ask(&point, bundle.version(), &act("allow")).await, Err(EvalFailure::Unavailable));
    }
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    opa.go();
    opa.wait();
    tokio::time::sleep(PAUSE).await;
    assert_eq!(point.status().breaker, BreakerState::HalfOpen);
    let back = ask(&point, bundle.version(), &act("allow")).await;
    assert_eq!(back.map(|evaluation| evaluation.verdict), Ok(Verdict::Allow));
    assert_eq!(point.status().breaker, BreakerState::Closed);
}

#[tokio::test]
async fn a_slow_input_does_not_keep_a_breaker_open() {
    let bundle = policy(ANYTHING);
    let mut opa = Opa::stopped(&bundle, &["--bundle", BUNDLE]);
    let point = opa.point();
    while point.status().breaker != BreakerState::Open {
        assert_eq!(ask(&point, bundle.version(), "{}").await, Err(EvalFailure::Unavailable));
    }
    opa.go();
    opa.wait();
    tokio::time::sleep(PAUSE).await;
    let slow = answered(&point, bundle.version(), &act("loop"), LIMIT).await;
    assert_eq!(slow.result, Err(EvalFailure::ResourceLimit));
    assert_eq!(point.status().breaker, BreakerState::Closed);
}

#[tokio::test]
async fn an_opa_that_hangs_is_closed_until_it_is_known_to_hang_and_then_an_outage() {
    let bundle = policy(ANYTHING);
    let opa = Opa::start(&bundle);
    let point = opa.point();
    assert!(ask(&point, bundle.version(), &act("allow")).await.is_ok());
    opa.freeze(true);
    let limit = Duration::from_millis(100);
    let hung = answered(&point, bundle.version(), &act("allow"), limit).await;
    assert_eq!(hung.result, Err(EvalFailure::ResourceLimit), "the policy may be at work for all we know");
    tokio::time::sleep(PAUSE).await;
    let known = answered(&point, bundle.version(), &act("allow"), limit).await;
    assert_eq!(known.result, Err(EvalFailure::DeadlineExceeded));
    while point.status().breaker != BreakerState::Open {
        let known = answered(&point, bundle.version(), &act("allow"), limit).await;
        assert_eq!(known.result, Err(EvalFailure::DeadlineExceeded));
    }
    opa.freeze(false);
    tokio::time::sleep(PAUSE).await;
    let back = ask(&point, bundle.version(), &act("allow")).await;
    assert_eq!(back.map(|evaluation| evaluation.verdict), Ok(Verdict::Allow));
}

#[tokio::test]
async fn a_central_opa_is_asked_over_tls_with_a_token_for_one_of_its_bundles() {
    let rules = format!("package gantral.policy\n{ANYTHING}");
    let manifest = br#"{"roots":["gantral"]}"#.to_vec();
    let bundle = Bundle::from_files([("policy.rego", rules.into_bytes()), (".manifest", manifest)]).unwrap();
    let arguments = ["--tls-cert-file=cert.pem", "--tls-private-key-file=key.pem", "--authentication=token"];
    let arguments = [&arguments[..], &["--authorization=basic", "--bundle", BUNDLE, "access"]].concat();
    let mut opa = Opa::stopped(&bundle, &arguments);
    let folder = opa.folder.path().to_owned();
    std::fs::create_dir(folder.join("access")).unwrap();
    std::fs::write(folder.join("access/.manifest"), r#"{"roots":["system"],"revision":"7"}"#).unwrap();
    let access = "package system.authz\ndefault allow := false\nallow if input.identity == \"open-sesame\"\nallow if input.path == [\"health\"]\n";
    std::fs::write(folder.join("access/authz.rego"), access).unwrap();
    certificate(&folder);
    opa.go();
    opa.wait();
    let token = |word: &str| {
        use std::os::unix::fs::PermissionsExt as _;
        let path = folder.join(format!("token-{word}"));
        std::fs::write(&path, word).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        Some(path)
    };
    let good = OpaConfig {
        url: format!("https://localhost:{}", opa.port()),
        token_file: token("open-sesame"),
        ca_file: Some(folder.join("cert.pem")),
        bundle: Some(BUNDLE.to_owned()),
        ..opa.config()
    };
    let told = |config: OpaConfig| {
        let point = OpaPolicyPoint::new(&config).unwrap();
        let version = bundle.version();
        async move { ask(&point, version, &act("deny")).await.map(|evaluation| evaluation.verdict) }
    };
    assert_eq!(told(good.clone()).await, Ok(Verdict::Deny));
    assert_eq!(OpaPolicyPoint::new(&good).unwrap().ready(bundle.version()).await, Ok(()));
    let unnamed = OpaConfig { bundle: None, ..good.clone() };
    assert_eq!(told(unnamed).await, Err(EvalFailure::VersionMismatch), "the other bundle is not the policy");
    for stranger in [None, token("guess")] {
        let stranger = OpaConfig { token_file: stranger, ..good.clone() };
        assert_eq!(told(stranger).await, Err(EvalFailure::Unavailable));
    }
    let untrusted = OpaConfig { ca_file: None, ..good };
    assert_eq!(told(untrusted).await, Err(EvalFailure::Unavailable));
}

/// Makes `cert.pem` and `key.pem` for `localhost`.
fn certificate(folder: &std::path::Path) {
    let made = std::process::Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-days",
            "2",
        ])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-subj", "/CN=localhost"])
        .args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

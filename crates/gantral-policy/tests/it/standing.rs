//! Standing rules in both engines: they let pass what is like the call at the gate, and nothing else.

use gantral_core::ids::{ActorId, GateId, Name, WorkflowId};
use gantral_core::json::{Object, Pointer, Profile, Value, parse};
use gantral_core::policy::{EvalFailure, Evaluation, Verdict};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_policy::bundle::{Bundle, RegoVersion};
use gantral_policy::standing::{CallAtGate, Reach, StandingRule};

use crate::opa::service::{Opa, ask};
use crate::support::{Point, examples};

const NOW: &str = "2026-03-01T10:15:00.000Z";
const PUSH: &str =
    r#"{"arguments":{"branch":"main","depth":3,"note":"first"},"server":"git","tool":"git_push"}"#;

fn object(text: &str) -> Object {
    match parse(text.as_bytes(), &Profile::DOCUMENT).unwrap() {
        Value::Object(members) => members,
        _ => panic!("an object"),
    }
}

fn rule(uses: Option<u32>) -> StandingRule {
    let pointer = |text: &str| Pointer::parse(text).unwrap();
    let call = CallAtGate {
        gate: GateId::parse("01890a5d-ac96-4b7c-8f00-000000000001").unwrap(),
        workflow: WorkflowId::parse("mcp").unwrap(),
        agent: ActorId::parse("dev-mcp").unwrap(),
        action: Name::parse("mcp.call").unwrap(),
        target: "git/git_push".to_owned(),
        parameters: object(PUSH),
        seen: object(PUSH),
    };
    let reach = Reach {
        free: vec![pointer("/arguments/note")],
        at_most: vec![(pointer("/arguments/depth"), 5)],
        lasts: DurationMs::from_secs(3_600),
        uses,
    };
    StandingRule::new(&call, &reach, UnixMillis::parse(NOW).unwrap()).unwrap()
}

fn input(change: impl FnOnce(&mut String)) -> String {
    let mut text = format!(
        r#"{{"action":{{"name":"mcp.call","parameters":{PUSH},"target":"git/git_push"}},"identity":{{"actor_id":"dev-mcp"}},"instance":{{"workflow_id":"mcp"}},"now":"{NOW}","totals":{{"rules":{{}}}}}}"#
    );
    change(&mut text);
    text
}

fn replaced(old: &str, new: &str) -> String {
    input(|text| {
        assert!(text.contains(old), "{old}");
        *text = text.replacen(old, new, 1);
    })
}

/// Asks both engines, which agree.
async fn both(bundle: &Bundle, inputs: &[String]) -> Vec<Result<Evaluation, EvalFailure>> {
    let embedded = Point::with_workers(1);
    let opa = Opa::start(bundle);
    let point = opa.point();
    let mut answers = Vec::new();
    for input in inputs {
        let answer = ask(&point, bundle.version(), input).await;
        assert_eq!(answer, embedded.ask(bundle, input).await, "{input}");
        answers.push(answer);
    }
    answers
}

#[tokio::test]
async fn a_call_like_the_one_at_the_gate_passes_and_names_the_rule_and_every_other_waits_for_a_human() {
    let now = UnixMillis::parse(NOW).unwrap();
    let rule = rule(Some(2));
    let bundle = Bundle::from_directory(&examples().join("mcp")).unwrap().with_rule(&rule, now).unwrap();
    let used = |uses: &str| replaced(r#""rules":{}"#, &format!(r#""rules":{{"{}":{uses}}}"#, rule.name));
    let like = [
        input(|_| {}),
        replaced(r#""note":"first""#, r#""note":["another"]"#),
        replaced(r#""depth":3"#, r#""depth":5"#),
        replaced(r#""depth":3"#, r#""depth":0"#),
        used("1"),
    ];
    for answer in both(&bundle, &like).await {
        let answer = answer.unwrap();
        assert_eq!((answer.verdict, answer.standing_rules), (Verdict::Allow, vec![rule.name.clone()]));
    }
    let others = [
        replaced(r#""depth":3"#, r#""depth":6"#),
        replaced(r#""depth":3"#, r#""depth":-1"#),
        replaced(r#""depth":3"#, r#""depth":"3""#),
        replaced(r#""note":"first""#, r#""note":"first","force":true"#),
        replaced(r#","note":"first""#, ""),
        replaced("main", "release"),
        replaced(r#"{"branch":"main","depth":3,"note":"first"}"#, r#""all of it""#),
        replaced(r#""tool":"git_push""#, r#""tool":"git_push","schema_digest":"other""#),
        replaced("git/git_push", "git/git_reset"),
        replaced("dev-mcp", "other-agent"),
        replaced(r#""workflow_id":"mcp""#, r#""workflow_id":"other""#),
        replaced("2026-03-01T10", "2026-03-01T12"),
        replaced(r#""now""#, r#""then""#),
        used("2"),
        replaced(r#""rules":{}"#, r#""instance":{}"#),
    ];
    for (answer, input) in both(&bundle, &others).await.into_iter().zip(&others) {
        let answer = answer.unwrap();
        assert_eq!((answer.verdict, answer.standing_rules), (Verdict::RequireHuman, Vec::new()), "{input}");
    }
}

#[tokio::test]
async fn a_rule_joins_a_policy_in_the_older_language() {
    let now = UnixMillis::parse(NOW).unwrap();
    let source = "package gantral.policy\ndefault decision = \"REQUIRE_HUMAN\"\ndecision = \"ALLOW\" { data.gantral.standing.applies[_] }";
    let files =
        [("policy.rego", source.as_bytes().to_vec()), (".manifest", br#"{"rego_version":0}"#.to_vec())];
    let bundle = Bundle::from_files(files).unwrap().with_rule(&rule(None), now).unwrap();
    assert_eq!(bundle.rego_version(), RegoVersion::V0);
    let answers = both(&bundle, &[input(|_| {}), replaced("main", "release")]).await;
    let verdicts: Vec<Verdict> = answers.into_iter().map(|answer| answer.unwrap().verdict).collect();
    assert_eq!(verdicts, [Verdict::Allow, Verdict::RequireHuman]);
}

//! Evaluating the policies of a bundle again, with the engine itself.

use std::collections::BTreeMap;
use std::path::Path;

use gantral_core::ids::Name;
use gantral_core::json::Object;
use gantral_core::policy::{PolicyVersionId, Verdict};
use gantral_core::state::Mode;
use gantral_evidence::container::write_tar;
use gantral_policy::ENGINE_VERSION;
use gantral_policy::bundle::Bundle;
use gantral_vectors::cast::{refund, trust};
use gantral_vectors::story::Story;

use crate::support::{Ran, part, run};

/// An ask that policy is said to have allowed, under a policy of these rules, by an engine of this version.
fn told(rules: &str, version: &str) -> (Story, PolicyVersionId, Vec<u8>) {
    told_by(rules, "regorus", version)
}

/// The same, by another engine.
fn told_by(rules: &str, engine: &str, engine_version: &str) -> (Story, PolicyVersionId, Vec<u8>) {
    let source = format!("package gantral.policy\n{rules}\n").into_bytes();
    let policy = Bundle::from_files([("policy.rego", source)]).unwrap();
    let version = policy.version();
    let mut story = Story::begin();
    story.launch();
    let action = refund(20);
    let named = Object::new().with("policy_version_id", version.0.to_hex());
    let input = story.input(&action).with("policy", named);
    let (mut advice, context) = story.advise_on(input, Verdict::Allow, None);
    advice.policy.version = version;
    advice.policy.evaluator.engine = Name::parse(engine).unwrap();
    advice.policy.evaluator.version = Name::parse(engine_version).unwrap();
    story.ask_with(&action, advice, context, Mode::Enforce);
    (story, version, policy.to_archive().unwrap())
}

/// Writes a story's bundle and its trust file after a change of the files; verifies it, and evaluates again.
fn replay(
    folder: &Path,
    (story, version, archive): &(Story, PolicyVersionId, Vec<u8>),
    change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>),
) -> Ran {
    let mut files = story.files();
    files.insert(format!("policy/{}.tar", version.0), archive.clone());
    // What the story says that policy answered is no document of a real engine.
    files.retain(|_, content| !content.windows(19).any(|window| window == b"\"label\":\"decision\","));
    change(&mut files);
    let bundle = story.bundle(story.scope(), files);
    std::fs::write(folder.join("x.gantral"), write_tar(&bundle.as_files().unwrap())).unwrap();
    std::fs::write(folder.join("trust.json"), trust().encode()).unwrap();
    run(folder, &["verify", "x.gantral", "--trust", "trust.json", "--replay", "--json"])
}

fn codes(ran: &Ran) -> Vec<String> {
    let codes = ran.json()["codes"].as_array().unwrap().clone();
    let codes = codes.iter().map(|code| code.as_str().unwrap().to_owned());
    codes.filter(|code| code.starts_with("E_")).collect()
}

#[test]
fn demo_evaluated_again_gives_what_it_recorded() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["demo", "--out", "kept"]).status(0);
    let ran = run(
        folder.path(),
        &["verify", "kept/demo.gantral", "--trust", "kept/trust.json", "--replay", "--json"],
    );
    let ran = ran.status(0);
    assert!(ran.json()["assurance"]["replayed"].as_u64().unwrap() >= 2, "{ran:?}");
    // Without the option nothing is evaluated.
    let ran = run(folder.path(), &["verify", "kept/demo.gantral", "--trust", "kept/trust.json", "--json"]);
    assert!(ran.status(0).json()["assurance"]["replayed"].is_null());
}

#[test]
fn policy_that_gives_another_answer_is_a_contradiction() {
    let folder = tempfile::tempdir().unwrap();
    let same = replay(folder.path(), &told("decision := \"ALLOW\"", ENGINE_VERSION), |_| {}).status(0);
    assert_eq!(same.json()["assurance"]["replayed"], 1);
    for rules in ["decision := \"DENY\"", "decision := \"ALLOW\" if false", "decision := input.nothing.there"]
    {
        let ran = replay(folder.path(), &told(rules, ENGINE_VERSION), |_| {}).status(1);
        assert_eq!(codes(&ran), ["E_REPLAY_MISMATCH"], "{rules}");
    }
}

#[test]
fn what_cannot_be_evaluated_as_it_was_is_inconclusive() {
    let folder = tempfile::tempdir().unwrap();
    let story = told("decision := \"ALLOW\"", ENGINE_VERSION);
    let unavailable = |ran: Ran, why: &str| {
        let ran = ran.status(2);
        assert_eq!(codes(&ran), ["E_REPLAY_UNAVAILABLE"]);
        assert!(ran.data.contains(why), "{why}: {ran:?}");
    };
    let without = |directory: &'static str| {
        replay(folder.path(), &story, move |files| files.retain(|path, _| !path.starts_with(directory)))
    };
    unavailable(without("policy/"), "the bundle does not hold the policy");
    unavailable(without("disclosures/"), "what policy evaluated is not disclosed");
    let other = told("decision := \"ALLOW\"", "0.0.1");
    unavailable(replay(folder.path(), &other, |_| {}), "it was evaluated by regorus 0.0.1");
    let exchanged = |content: Vec<u8>| {
        let path = format!("policy/{}.tar", story.1.0);
        replay(folder.path(), &story, move |files| _ = files.insert(path, content))
    };
    unavailable(exchanged(told("decision := \"DENY\"", ENGINE_VERSION).2), "is not what its name says");
    unavailable(exchanged(b"no archive".to_vec()), "is not what its name says");
    let endless = "decision := \"ALLOW\" if count([1 | some a in numbers.range(1, 9999); some b in numbers.range(1, 9999); a == b + 0.5]) == 0";
    unavailable(replay(folder.path(), &told(endless, ENGINE_VERSION), |_| {}), "did not succeed");
}

/// The pinned OPA.
fn opa() -> String {
    part("opa/opa").display().to_string()
}

#[test]
fn what_an_opa_evaluated_is_evaluated_again_by_an_opa_of_the_same_version() {
    let folder = tempfile::tempdir().unwrap();
    let opa = opa();
    let with_opa = |rules: &str, version: &str| {
        replay(folder.path(), &told_by(rules, "opa", version), |_| {});
        let verify = ["verify", "x.gantral", "--trust", "trust.json", "--replay", "--opa", &opa, "--json"];
        run(folder.path(), &verify)
    };
    let same = with_opa("decision := \"ALLOW\"", "1.9.0").status(0);
    assert_eq!(same.json()["assurance"]["replayed"], 1);
    let conflict = "decision := \"ALLOW\"\n\ndecision := \"DENY\"";
    for rules in ["decision := \"DENY\"", "decision := \"ALLOW\" if false", conflict] {
        assert_eq!(codes(&with_opa(rules, "1.9.0").status(1)), ["E_REPLAY_MISMATCH"], "{rules}");
    }
    let unavailable = |ran: Ran, why: &str| {
        let ran = ran.status(2);
        assert_eq!(codes(&ran), ["E_REPLAY_UNAVAILABLE"]);
        assert!(ran.data.contains(why), "{why}: {ran:?}");
    };
    unavailable(with_opa("decision := \"ALLOW\"", "1.8.0"), "evaluated by opa 1.8.0, and here is regorus");
    // What reaches out, or asks what time it is, gives something else each time: none of it runs.
    let reaching = "decision := \"ALLOW\" if http.send({\"method\": \"get\", \"url\": \"http://127.0.0.1:9\"}).status_code == 200";
    for rules in [
        reaching,
        "decision := \"ALLOW\" if time.now_ns() > 0",
        "decision := \"ALLOW\" if opa.runtime().env.HOME",
    ] {
        unavailable(with_opa(rules, "1.9.0"), "OPA does not evaluate it: rego_type_error");
    }
    let endless = "decision := \"ALLOW\" if count([1 | some a in numbers.range(1, 99999); some b in numbers.range(1, 99999); a == b + 0.5]) == 0";
    unavailable(with_opa(endless, "1.9.0"), "did not succeed");
    let none = ["verify", "x.gantral", "--trust", "trust.json", "--replay", "--opa", "/bin/true"];
    assert!(run(folder.path(), &none).status(2).data.contains("does not speak as an OPA does"));
}

#[test]
fn evaluating_again_needs_somebody_to_trust() {
    let folder = tempfile::tempdir().unwrap();
    run(folder.path(), &["verify", "x.gantral", "--replay"]).status(3);
}

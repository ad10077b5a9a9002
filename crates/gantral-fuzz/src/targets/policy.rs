//! Policy bundles, what policy answers and is asked, and workflow definitions.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use gantral_core::ids::Name;
use gantral_core::json::{self, Object, Profile};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_engine::policy_input::{ActionInput, patched};
use gantral_evidence::disclosure::Disclosure;
use gantral_policy::bundle::signature::VerificationKeys;
use gantral_policy::bundle::{BUNDLE_BYTES_MAX, BUNDLE_FILES_MAX, Bundle, FILE_BYTES_MAX, PATH_BYTES_MAX};
use gantral_policy::opa::answer::{ANSWER_BYTES_MAX, Expected, read, read_version};
use gantral_policy::output;

use crate::seeds::Vectors;
use crate::target::{Answer, Seen, Target, ensure, refused, twice};

const TAR_TOKENS: &[&str] = &[
    "ustar",
    "policy.rego",
    ".manifest",
    "data.json",
    "../",
    "/",
    "{\"rego_version\":0}",
    "{\"roots\":[\"\"]}",
    "77777777777\0",
    "L",
    "x",
    "5",
];

pub const ARCHIVE: Target = Target {
    name: "policy_archive",
    bytes_max: 16 << 10,
    tokens: TAR_TOKENS,
    seeds: archives,
    check: check_archive,
};
pub const UNPACKED: Target = Target {
    name: "policy_tar",
    bytes_max: 16 << 10,
    tokens: TAR_TOKENS,
    seeds: |vectors| archives(vectors).iter().filter_map(|archive| unpacked(archive)).collect(),
    check: |bytes| packed(bytes).map_or(Ok(Seen::Refused(0)), |archive| check_archive(&archive)),
};
pub const OUTPUT: Target = Target {
    name: "policy_output",
    bytes_max: output::OUTPUT_BYTES_MAX + 64,
    tokens: &[
        "\"decision\":\"ALLOW\"",
        "\"approver_roles\":[]",
        "\"timeout\":\"30m\"",
        "\"required_approvals\":16",
        "\"required_rejections\":16",
        "\"required_evidence\":\"webauthn\"",
        "\"reasons\":[\"\"]",
        "REQUIRE_HUMAN",
        "DENY",
    ],
    seeds: outputs,
    check: check_output,
};
pub const OPA: Target = Target {
    name: "opa_answer",
    bytes_max: 32 << 10,
    tokens: &[
        "\"result\":{\"decision\":\"ALLOW\"}",
        "\"result\":{}",
        "\"provenance\":{",
        "\"bundles\":{}",
        "\"revision\":\"\"",
        "\"version\":\"1.9.0\"",
        "\"warning\":{}",
        "\"errors\":[]",
        "\"code\":\"eval_conflict_error\"",
    ],
    seeds: opa_answers,
    check: check_opa,
};
pub const INPUT: Target = Target {
    name: "policy_input",
    bytes_max: 64 << 10,
    tokens: &[
        "\"instance\":{",
        "\"identity\":{",
        "\"action\":{",
        "\"policy\":{",
        "\"now\":\"2026-03-01T09:00:00.000Z\"",
        "\"totals\":",
    ],
    seeds: inputs,
    check: check_input,
};
pub const WORKFLOW: Target = Target {
    name: "workflow",
    bytes_max: 32 << 10,
    tokens: &[
        "\"materiality\":\"critical\"",
        "\"release\":\"sequenced\"",
        "\"type\":\"number\"",
        "\"required\":true",
        "\"actions\":{",
        "\"floors\":{",
        "\"30m\"",
    ],
    seeds: |vectors| vectors.matching(|path| path.contains("/bundle/workflow/")),
    check: check_workflow,
};

/// A public key; its private one was never kept.
const NOBODYS_KEY: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAk0aGmHfk7zqbqGStOCSdXNPf6pMs8G40oFhsoCBvZfY=
-----END PUBLIC KEY-----
";

fn archives(_: &Vectors) -> Vec<Vec<u8>> {
    let rego = "package gantral\n\nimport rego.v1\n\ndefault decision := \"ALLOW\"\n".as_bytes().to_vec();
    let manifest = br#"{"revision":"1","roots":["gantral"],"rego_version":1}"#.to_vec();
    let small = vec![("policy.rego", rego.clone())];
    let whole = vec![
        ("a/policy.rego", rego.clone()),
        ("a/data.json", b"{\"limit\":1}".to_vec()),
        (".manifest", manifest),
    ];
    // Signed by a key that is not the one below.
    let token = "eyJhbGciOiJFZERTQSJ9.eyJmaWxlcyI6W3sibmFtZSI6InBvbGljeS5yZWdvIiwiaGFzaCI6IjAwIiwiYWxnb3JpdGhtIjoiU0hBLTI1NiJ9XX0.AAAA";
    let signatures = format!(r#"{{"signatures":["{token}"]}}"#).into_bytes();
    let signed = vec![("policy.rego", rego), (".signatures.json", signatures)];
    let archive =
        |files: Vec<(&str, Vec<u8>)>| Bundle::from_files(files).and_then(|bundle| bundle.to_archive()).ok();
    [small, whole, signed].into_iter().filter_map(archive).collect()
}

/// Packs what a mutator damaged before it was packed: a damaged stream would be refused by its checksum.
fn packed(tar: &[u8]) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(tar).ok()?;
    encoder.finish().ok()
}

fn unpacked(archive: &[u8]) -> Option<Vec<u8>> {
    let mut tar = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(archive), &mut tar).ok()?;
    Some(tar)
}

fn check_archive(bytes: &[u8]) -> Answer {
    let bundle = match twice(|| Bundle::from_archive(bytes).map_err(|error| error.to_string()))? {
        Ok(bundle) => bundle,
        Err(error) => return Ok(refused(&error)),
    };
    let mut total = 0;
    for (path, content) in bundle.files() {
        ensure(
            path.len() <= PATH_BYTES_MAX && content.len() <= FILE_BYTES_MAX,
            "no file of a bundle is over its limits",
        )?;
        let climbs = path.starts_with('/') || path.split('/').any(|part| matches!(part, "" | "." | ".."));
        ensure(!climbs, "no file stands outside the bundle")?;
        total += content.len();
    }
    ensure(
        total <= BUNDLE_BYTES_MAX && bundle.files().count() <= BUNDLE_FILES_MAX,
        "no bundle is over its limits",
    )?;
    let archive = bundle.to_archive().map_err(|error| error.to_string());
    let again = archive.and_then(|archive| Bundle::from_archive(&archive).map_err(|error| error.to_string()));
    ensure(again.as_ref() == Ok(&bundle), "a bundle is written as one that is read as the same")?;
    if let Ok(published) = bundle.as_published() {
        ensure(published.version() == bundle.version(), "the revision is no part of the version")?;
    }
    let mut keys = VerificationKeys::default();
    let added = keys.add("default", "EdDSA", NOBODYS_KEY.as_bytes(), None);
    ensure(added.is_ok(), "a public key is one")?;
    let signed_by = twice(|| bundle.verify(&keys, UnixMillis::EPOCH))?;
    ensure(
        matches!((bundle.is_signed(), signed_by), (false, Ok(None)) | (true, Err(_))),
        "nobody signs in the name of a key",
    )?;
    Ok(Seen::Accepted)
}

fn outputs(_: &Vectors) -> Vec<Vec<u8>> {
    let outputs = [
        r#"{"decision":"ALLOW"}"#,
        r#"{"decision":"DENY","reasons":["over the limit"],"helper":{"a":[1,2]}}"#,
        r#"{"approver_roles":["RISK_OFFICER"],"decision":"REQUIRE_HUMAN","escalation_roles":["CFO"],"reasons":[],"required_approvals":2,"required_rejections":2,"timeout":"30m"}"#,
        r#"{"approver_roles":[],"decision":"REQUIRE_HUMAN"}"#,
    ];
    outputs.iter().map(|output| output.as_bytes().to_vec()).collect()
}

fn check_output(bytes: &[u8]) -> Answer {
    let advice = match twice(|| output::read(bytes))? {
        Ok(advice) => advice,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(
        output::read(&advice.decision).as_ref() == Ok(&advice),
        "what is kept of an answer is read as the same",
    )?;
    Ok(Seen::Accepted)
}

/// The version that answers are held against.
fn asked() -> PolicyVersionId {
    PolicyVersionId(gantral_core::digest::Digest::of(b"policy"))
}

/// Returns answers of an OPA, each behind its status.
fn opa_answers(vectors: &Vectors) -> Vec<Vec<u8>> {
    let answer = |status: u16, body: &str| [&status.to_be_bytes(), body.as_bytes()].concat();
    let revision = asked().0.to_hex();
    let documents = outputs(vectors).into_iter().filter_map(|output| String::from_utf8(output).ok());
    let evaluated = documents.map(|output| {
        let bundles = format!(r#"{{"b.tar.gz":{{"revision":"{revision}"}}}}"#);
        answer(
            200,
            &format!(r#"{{"provenance":{{"version":"1.9.0","bundles":{bundles}}},"result":{output}}}"#),
        )
    });
    let failed =
        r#"{"code":"internal_error","errors":[{"code":"eval_conflict_error","message":"m"}],"message":"m"}"#;
    evaluated.chain([answer(500, failed), answer(503, ""), answer(200, "{}")]).collect()
}

/// Nothing but a whole answer under the version that was asked for is an evaluation.
fn check_opa(bytes: &[u8]) -> Answer {
    let Some((status, body)) = bytes.split_first_chunk::<2>() else { return Ok(Seen::Refused(0)) };
    let status = u16::from_be_bytes(*status);
    let expected = Expected { version: asked(), bundle: None };
    let other =
        Expected { version: PolicyVersionId(gantral_core::digest::Digest::of(b"other")), bundle: None };
    let told = twice(|| read(status, body, &expected))?;
    ensure(read(status, body, &other).result.is_err(), "no answer counts under two versions")?;
    let evaluation = match told.result {
        Ok(evaluation) => evaluation,
        Err(failure) => return Ok(refused(&failure)),
    };
    ensure(status == 200 && body.len() <= ANSWER_BYTES_MAX, "only a whole answer is an evaluation")?;
    ensure(told.opa.is_some(), "an evaluation says who gave it")?;
    ensure(
        read_version(status, body, &expected) == Ok(()),
        "an evaluation is under the version that is loaded",
    )?;
    ensure(
        output::read(&evaluation.decision).as_ref() == Ok(&evaluation),
        "what is kept of an answer is read as the same",
    )?;
    Ok(Seen::Accepted)
}

/// Returns what artifacts of the vectors say that policy was asked: the snapshot and the input are the same bytes.
fn inputs(vectors: &Vectors) -> Vec<Vec<u8>> {
    let disclosures = vectors.matching(|path| path.contains("/disclosures/")).into_iter();
    disclosures.filter_map(|file| Disclosure::parse(&file).ok()).map(|opened| opened.plaintext).collect()
}

/// An input of earlier is evaluated again with what holds now, and nothing else changed in it.
fn check_input(bytes: &[u8]) -> Answer {
    let asked = match twice(|| json::parse(bytes, &Profile::DOCUMENT))? {
        Ok(asked) => asked,
        Err(error) => return Ok(refused(&error)),
    };
    let version = PolicyVersionId(gantral_core::digest::Digest::of(b"policy"));
    let (Ok(name), Ok(now)) = (Name::parse("refund"), UnixMillis::new(1_800_000_000_000)) else {
        return Ok(Seen::Refused(0));
    };
    let action = ActionInput { name, target: "target".to_owned(), parameters: Object::new() };
    let again = match patched(&asked, &action, version, None, now) {
        Ok(again) => again,
        Err(error) => return Ok(refused(&error)),
    };
    let Ok(patched_value) = json::parse_canonical(&again, &Profile::DOCUMENT) else {
        return ensure(false, "what is evaluated is canonical").map(|()| Seen::Accepted);
    };
    let same = ["identity", "instance"].iter().all(|member| asked.get(member) == patched_value.get(member));
    ensure(same, "what is not patched stays as it was asked")?;
    ensure(
        patched(&patched_value, &action, version, None, now).as_ref() == Ok(&again),
        "patching twice changes nothing more",
    )?;
    Ok(Seen::Accepted)
}

fn check_workflow(bytes: &[u8]) -> Answer {
    let value = match json::parse(bytes, &Profile::DOCUMENT) {
        Ok(value) => value,
        Err(error) => return Ok(refused(&error)),
    };
    let workflow = match twice(|| Workflow::read(&value))? {
        Ok(workflow) => workflow,
        Err(error) => return Ok(refused(&error)),
    };
    let canonical = json::parse(&value.to_canonical(), &Profile::DOCUMENT.with_bytes_max(64 << 20));
    let again = canonical.ok().and_then(|value| Workflow::read(&value).ok());
    ensure(again.as_ref() == Some(&workflow), "a definition means the same in every spelling")?;
    Ok(Seen::Accepted)
}

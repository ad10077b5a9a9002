//! An approver's own authenticator, from the page on which it is added to the verdict of two verifiers.

use std::process::Command;

use gantral_evidence::human::Enrolment;
use gantral_evidence::trust::KeyRole;
use gantral_keys::{LocalSigner, Signer as _, SigningContext};
use serde_json::{Value, json};

use crate::console::{nothing_wrong, play_at};
use crate::machines::{agent, apply, ran, start_runner};
use crate::provider::{Followed, curl};
use crate::support::{Ran, part, repository, run, wait_until};

/// Asks for a refund of 4800 in its first life, and does in its second what was approved.
const AGENT: &str = "set -eu
if [ \"$GANTRAL_ATTEMPT\" = 1 ]; then exec gantral ask refund --target order/1001 --set amount=4800; fi
gantral consume > approved.json
gantral outcome SUCCEEDED\n";

/// Signs whatever waits for the directory, as the security team does elsewhere.
fn enrol(url: &str, token: &str, signer: &LocalSigner) {
    let bearer = format!("authorization: Bearer {token}");
    let get = |path: &str| -> Value {
        let text = curl(&["-H", &bearer, &format!("{url}/v1/passkeys{path}")]);
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
    };
    let entry = get("")["items"][0]["entry_digest"].as_str().unwrap().to_owned();
    let asked = get(&format!("/{entry}"));
    assert_eq!(asked["requested_by"]["subject"], "ada");
    let enrolment = Enrolment::decode(asked["enrolment"].to_string().as_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let signature = runtime.block_on(signer.sign(SigningContext::Enrolment, &enrolment.message())).unwrap();
    let envelope = enrolment.signed(&signature.key_id, &signature.bytes);
    let body = format!("{{\"envelope\":{}}}", String::from_utf8(envelope).unwrap());
    let path = format!("{url}/v1/passkeys/{entry}/enrol");
    let headers =
        ["-H", bearer.as_str(), "-H", "content-type: application/json", "-H", "idempotency-key: enrol-1"];
    let answer = curl(&[&headers[..], &["--data", &body, &path]].concat());
    assert!(answer.contains("\"enrolled\""), "{answer}");
}

/// Writes a trust file that takes nothing but passkeys of this directory, used on this origin.
fn strict(site: &Followed, signer: &LocalSigner) {
    let text = std::fs::read_to_string(site.path("trust.json")).unwrap();
    let mut trust: Value = serde_json::from_str(&text).unwrap();
    let key = signer.public_key();
    trust["keys"].as_array_mut().unwrap().push(json!({
        "algorithm": "ed25519", "compromised_from": null, "key_id": key.id().to_string(), "origins": null,
        "public_key": key.to_hex(), "role": "directory", "tenants": null, "valid_from": null, "valid_until": null,
    }));
    trust["keys"].as_array_mut().unwrap().sort_by_key(|key| key["key_id"].to_string());
    trust["relying_party"] = json!({"id": "localhost", "origins": [site.public_url()]});
    trust["require"] = json!({
        "complete": false, "enforced": false, "human_device_bound": true, "human_evidence": "webauthn",
        "logged": false, "scope": "prefix", "snapshots": false, "witnessed": 0,
    });
    std::fs::write(site.path("strict.json"), trust.to_string()).unwrap();
}

/// Returns what both verifiers say, which must be the same.
fn verdict(site: &Followed, id: &str, url: &str) -> String {
    ran(agent(site, url).args(["evidence", "export", id, "--output", "signed.gantral"])).status(0);
    let ours = run(&site.path(""), &["verify", "signed.gantral", "--trust", "strict.json", "--json"]).json();
    let mut command = Command::new(part("python/bin/python"));
    command.arg("-B").arg(repository().join("verifiers/python/gantral_verify.py")).arg("signed.gantral");
    command.args(["--trust", "strict.json", "--json"]).current_dir(site.path(""));
    let theirs = Ran::of(command.output().unwrap()).json();
    assert_eq!(ours["verdict"], theirs["verdict"], "{ours:#}\n{theirs:#}");
    ours["verdict"].as_str().unwrap().to_owned()
}

#[test]
fn person_adds_a_passkey_and_what_they_change_and_approve_is_signed_by_it_for_every_verifier() {
    let site = Followed::reached_at("localhost");
    let signer = LocalSigner::from_pkcs8(KeyRole::Directory, &LocalSigner::generate().unwrap()).unwrap();
    site.configure(&format!("[passkeys]\ndirectory = ['{}']\n", signer.public_key().to_hex()));
    let (_server, url) = site.serve();
    let script = site.path("agent.sh");
    std::fs::write(&script, AGENT).unwrap();
    apply(&site, &url, &["sh", script.to_str().unwrap()]);
    let demanding = std::fs::read_to_string(site.path("workflow.toml")).unwrap();
    let demanding = demanding.replace("version = '1'", "version = '2'").replace("'operator'", "'webauthn'");
    std::fs::write(site.path("workflow.toml"), demanding).unwrap();
    let admin = site.provider.human_token("pia");
    site.run(&url, &admin, &["workflows", "apply", "workflow.toml"]).status(0);
    let _runner = start_runner(&site, &url);
    let mut id = String::new();
    let seen = play_at("passkeys.mjs", site.public_url(), "-", |at| match at {
        "asked" => enrol(&url, &admin, &signer),
        "inbox" => id = ran(agent(&site, &url).args(["instances", "create", "refund"])).status(0).word(),
        other => panic!("{other}"),
    });
    nothing_wrong(&seen);
    let looked: Vec<&str> = seen.iter().filter_map(|what| what["looked"].as_str()).collect();
    assert_eq!(looked, ["passkeys-none", "passkeys-asked", "passkeys", "gate-passkey", "decided-passkey"]);
    let state = || ran(agent(&site, &url).args(["instances", "show", &id, "--json"])).status(0).json();
    assert!(wait_until(|| state()["state"] == "COMPLETED"), "{}", state());
    strict(&site, &signer);
    assert_eq!(verdict(&site, &id, &url), "VALID");
}

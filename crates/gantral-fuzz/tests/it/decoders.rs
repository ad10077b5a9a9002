//! Every public function of a crate that makes something of bytes, and the target that feeds it, or the decoders that it is made of, or why none
//! does. One that is new and stands nowhere here is named.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use gantral_fuzz::targets;

use self::Fed::{By, Not};

/// Who feeds a decoder.
#[derive(Debug, Clone, Copy)]
enum Fed {
    /// A target, directly or by what it calls first.
    By(&'static str),
    /// Nobody needs to, because of this.
    Not(&'static str),
}

/// Crates of which nobody is sent anything.
const OWN: [&str; 4] = ["gantral-fuzz", "gantral-sim", "gantral-testkit", "gantral-vectors"];

const DECODERS: &[(&str, &str, Fed)] = &[
    ("gantral-api/src/wire/body.rs", "read_body", By("api_body")),
    ("gantral-api/src/wire/document.rs", "from_bytes", By("json_document")),
    ("gantral-archive/src/layout.rs", "parse", By("archive_segment")),
    ("gantral-core/src/json/parse.rs", "parse", By("json_document")),
    ("gantral-core/src/json/parse.rs", "parse_canonical", By("json_artifact")),
    ("gantral-edge/src/hook.rs", "read", By("hook")),
    ("gantral-edge/src/private.rs", "replace", Not("writes")),
    ("gantral-edge/src/runner/proof.rs", "prove", By("bundle")),
    ("gantral-edge/src/secret.rs", "parse", By("secret_request")),
    ("gantral-engine/src/policy_input/schema.rs", "validate", By("policy_input")),
    ("gantral-evidence/src/container.rs", "from_list", By("bundle_files")),
    ("gantral-evidence/src/container/manifest.rs", "parse", By("manifest")),
    ("gantral-evidence/src/container/tar.rs", "read_tar", By("tar")),
    ("gantral-evidence/src/delegation.rs", "open", By("delegation")),
    ("gantral-evidence/src/disclosure.rs", "parse", By("disclosure")),
    ("gantral-evidence/src/dsse.rs", "parse", By("envelope")),
    ("gantral-evidence/src/governance.rs", "decode", By("governance")),
    ("gantral-evidence/src/governance.rs", "decode_extended", By("governance")),
    ("gantral-evidence/src/governance/proposal.rs", "decode", By("proposal")),
    ("gantral-evidence/src/human/assertion.rs", "parse", By("assertion")),
    ("gantral-evidence/src/human/authenticator.rs", "parse", By("authenticator_data")),
    ("gantral-evidence/src/human/client_data.rs", "parse", By("client_data")),
    ("gantral-evidence/src/human/enrolment.rs", "decode", By("enrolment")),
    ("gantral-evidence/src/human/enrolment.rs", "parse", By("enrolment")),
    ("gantral-evidence/src/log/consistency.rs", "parse", By("log_consistency")),
    ("gantral-evidence/src/log/leaf.rs", "parse", By("leaf")),
    ("gantral-evidence/src/log/note.rs", "parse", By("note")),
    ("gantral-evidence/src/log/policy.rs", "parse", By("log_policy")),
    ("gantral-evidence/src/log/proof.rs", "parse", By("log_proof")),
    ("gantral-evidence/src/mode_lease.rs", "open", By("mode_lease")),
    ("gantral-evidence/src/mode_lease/statement.rs", "decode", By("mode_lease")),
    ("gantral-evidence/src/seal.rs", "seal", Not("seals")),
    ("gantral-evidence/src/statement.rs", "decode", By("statement")),
    ("gantral-evidence/src/statement.rs", "decode_extended", By("statement")),
    ("gantral-evidence/src/trust.rs", "parse", By("trust")),
    ("gantral-evidence/src/verify/mirror.rs", "new", By("mirror")),
    ("gantral-evidence/src/verify/receipts.rs", "parse_receipts", By("receipts")),
    ("gantral-evidence/src/window.rs", "open", By("window")),
    ("gantral-evidence/src/window/list.rs", "parse", By("instances")),
    ("gantral-evidence/src/window/statement.rs", "decode", By("window")),
    ("gantral-http/src/authz/access.rs", "many", By("http_access")),
    ("gantral-http/src/authz/access.rs", "one", By("http_access")),
    ("gantral-http/src/authz/envoy.rs", "came", By("http_envoy_logs")),
    ("gantral-http/src/authz/envoy.rs", "read", By("http_envoy_check")),
    ("gantral-keys/src/file.rs", "replace_private", Not("writes")),
    ("gantral-keys/src/file.rs", "write_private", Not("writes")),
    ("gantral-keys/src/local.rs", "from_pkcs8", Not("our own private key, mode 0600, read by aws-lc")),
    ("gantral-log/src/monitor.rs", "resume", By("monitor_state")),
    ("gantral-log/src/monitor/chains.rs", "decode", By("monitor_state")),
    ("gantral-log/src/monitor/state.rs", "decode", By("monitor_state")),
    ("gantral-log/src/regrow.rs", "told", By("envelope")),
    ("gantral-log/src/sequencer/leaves.rs", "leaf_of_envelope", By("envelope")),
    ("gantral-log/src/witness/request.rs", "parse", By("witness_request")),
    ("gantral-mcp/src/state.rs", "read", By("mcp_state")),
    (
        "gantral-mcp/src/withheld.rs",
        "read",
        Not("a member of JSON that we sealed, and that was opened before"),
    ),
    ("gantral-policy/src/bundle/archive.rs", "from_archive", By("policy_archive")),
    (
        "gantral-policy/src/check.rs",
        "eval",
        Not("hands the input on to a worker, whose answer `policy_output` feeds"),
    ),
    ("gantral-policy/src/opa/answer.rs", "read_version", By("opa_answer")),
    ("gantral-policy/src/output.rs", "read", By("policy_output")),
    ("gantral-witness/src/logs.rs", "parse_logs", By("log_key")),
    ("gantral/src/bundle_files.rs", "unpack", By("tar")),
    ("gantral/src/commands/demo/forgery.rs", "disclosure", Not("the demo's own bundle")),
    ("gantral/src/commands/demo/forgery.rs", "payload", Not("the demo's own bundle")),
    ("gantral/src/commands/evidence.rs", "write_new", Not("writes")),
    ("gantral/src/dev_tokens.rs", "write_private", Not("writes")),
];

/// Returns every public function in a text that is given bytes, belongs to no value, and may fail.
fn decoders_in(text: &str) -> Vec<&str> {
    let functions = text.split("\npub ").chain(text.split("    pub ")).skip(1);
    let mut found = Vec::new();
    for rest in functions {
        let words = ["const fn ", "async fn ", "fn "];
        let Some(rest) = words.iter().find_map(|words| rest.strip_prefix(words)) else { continue };
        let Some((name, rest)) = rest.split_once('(') else { continue };
        let Some((parameters, rest)) = rest.split_once("->") else { continue };
        let returned = rest.split('{').next().unwrap_or_default();
        let given_bytes = parameters.contains("[u8]") && !parameters.contains("self");
        // What goes on behind the end of the function belongs to the next one.
        let its_own = !parameters.contains('{') && !parameters.contains(';');
        if given_bytes && its_own && (returned.contains("Result<") || returned.contains("Option<")) {
            found.push(name.split('<').next().unwrap_or(name));
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") && !path.ends_with("tests.rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_decoder_has_a_target_or_a_reason_why_not() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files = Vec::new();
    for entry in fs::read_dir(crates).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if !OWN.contains(&name.as_str()) && path.join("src").is_dir() {
            sources(&path.join("src"), &mut files);
        }
    }
    let mut found = BTreeSet::new();
    for file in &files {
        let within = file.strip_prefix(crates).unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(file).unwrap();
        found.extend(decoders_in(&text).into_iter().map(|name| (within.clone(), name.to_owned())));
    }
    let listed: BTreeSet<_> =
        DECODERS.iter().map(|(file, name, _)| ((*file).to_owned(), (*name).to_owned())).collect();
    let new: Vec<_> = found.difference(&listed).collect();
    assert!(new.is_empty(), "these read bytes, and no target feeds them: {new:#?}");
    let gone: Vec<_> = listed.difference(&found).collect();
    assert!(gone.is_empty(), "these are listed, and read nothing: {gone:#?}");
    for (file, name, fed) in DECODERS {
        match fed {
            By(target) => assert!(targets::find(target).is_some(), "{file}: {name}: no target `{target}`"),
            Not(reason) => assert!(!reason.is_empty(), "{file}: {name}"),
        }
    }
}

#[test]
fn a_decoder_is_told_from_what_only_looks_like_one() {
    let text = "\npub fn parse(bytes: &[u8]) -> Result<Self, Error> {\n}\nimpl A {\n    pub fn open<'a>(\n        bytes: &'a [u8],\n    ) -> Option<A> {\n    }\n\
                    pub fn of(&self, bytes: &[u8]) -> Option<A> {}\n    pub fn hash(bytes: &[u8]) -> Digest {}\n    pub fn new() { }\n    fn own(bytes: &[u8]) -> Option<A> {}\n";
    assert_eq!(decoders_in(text), ["parse", "open"]);
}

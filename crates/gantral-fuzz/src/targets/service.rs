//! What a server is sent, and what it reads at its start: bodies of the API, tokens, key sets, the list of its keys.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer as _, SigningKey};
use gantral_api::wire;
use gantral_core::time::UnixMillis;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::trust::KeyRole;
use gantral_identity::{IdentityConfig, TOKEN_BYTES_MAX, Verifier};
use gantral_keys::KeyFolder;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::target::{Answer, Broken, Seen, Target, ensure, refused, twice};

/// The longest message about a body that may be shown, in bytes: some levels of names that are cut, and a sentence.
const MESSAGE_BYTES_MAX: usize = 16 << 10;

pub const BODY: Target = Target {
    name: "api_body",
    bytes_max: 32 << 10,
    tokens: &[
        "\"action\":{",
        "\"parameters\":{",
        "\"what\":\"",
        "\"decision\":\"approve\"",
        "\"attempt\":",
        "\"self\":true",
        "\"cursor\":",
        "\"envelope\":",
        "$serde_json::private::RawValue",
        "$serde_json::private::Number",
    ],
    seeds: |_| Vec::new(),
    check: check_body,
};
pub const TOKEN: Target = Target {
    name: "token",
    bytes_max: TOKEN_BYTES_MAX + 64,
    tokens: &[".", "eyJ", "bnVsbA", "e30", "none", "HS256", "_", "-"],
    seeds: |_| tokens().into_iter().map(String::into_bytes).collect(),
    check: check_token,
};
pub const KEY_SET: Target = Target {
    name: "key_set",
    bytes_max: 8 << 10,
    tokens: &[
        "\"kty\":\"OKP\"",
        "\"kty\":\"EC\"",
        "\"crv\":\"P-256\"",
        "\"d\":\"AA\"",
        "\"use\":\"enc\"",
        "\"alg\":\"PS256\"",
    ],
    seeds: |_| vec![json!({ "keys": [public_jwk()] }).to_string().into_bytes()],
    check: check_key_set,
};
pub const KEY_FOLDER: Target = Target {
    name: "keys_json",
    bytes_max: 16 << 10,
    tokens: &[
        "\"held\":null",
        "\"held\":{\"file\":\"../x.pk8\"}",
        "\"role\":\"issuer\"",
        "\"role\":\"log\"",
        "\"index\":0",
        "\"log\":null",
        "gantral/keys/v1",
    ],
    seeds: |_| key_files(),
    check: check_key_folder,
};

/// Reads a body as one type, and says whether it is one.
type Reader = fn(&[u8]) -> Result<Option<String>, Broken>;

/// Every body that is sent to a server, and the larger answers that clients read.
const READERS: &[Reader] = &[
    body::<wire::CreateInstance>,
    body::<wire::Ask>,
    body::<wire::Consume>,
    body::<wire::ReportOutcome>,
    body::<wire::Attach>,
    body::<wire::EndAttempt>,
    body::<wire::Decide>,
    body::<wire::Extend>,
    body::<wire::Reconcile>,
    body::<wire::Claim>,
    body::<wire::PresentJournal>,
    body::<wire::ApplyWorkflow>,
    body::<wire::WorkflowDefinition>,
    body::<wire::SetFreeze>,
    body::<wire::Erase>,
    body::<wire::AuthorityAnswer>,
    body::<wire::GateView>,
    body::<wire::InstanceView>,
    body::<wire::Task>,
    body::<wire::Moved>,
];

fn check_body(bytes: &[u8]) -> Answer {
    let mut errors = String::new();
    let mut accepted = false;
    for reader in READERS {
        match reader(bytes)? {
            None => accepted = true,
            Some(error) => errors.push_str(&error),
        }
    }
    Ok(if accepted { Seen::Accepted } else { refused(&errors) })
}

/// Returns why a body is not of this type; `None` if it is.
fn body<T: DeserializeOwned + Serialize + PartialEq>(bytes: &[u8]) -> Result<Option<String>, Broken> {
    let value: T = match twice(|| wire::read_body::<T>(bytes))? {
        Ok(value) => value,
        Err(error) => {
            let message = format!("{}{}", error.path, error.why);
            let short = message.len() <= MESSAGE_BYTES_MAX && !message.chars().any(char::is_control);
            ensure(short, "an error is one short line, whatever the body is")?;
            return Ok(Some(error.why));
        }
    };
    let text = serde_json::to_vec(&value).unwrap_or_default();
    ensure(
        wire::read_body::<T>(&text).as_ref() == Ok(&value),
        "a body is written as one that is read as the same",
    )?;
    Ok(None)
}

/// The key of an issuer that signs nothing else.
fn issuer_key() -> SigningKey {
    SigningKey::from_bytes(&[88; 32])
}

fn public_jwk() -> Value {
    let x = URL_SAFE_NO_PAD.encode(issuer_key().verifying_key().as_bytes());
    json!({ "kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "use": "sig", "kid": "1", "x": x })
}

fn config(keys: &Value) -> Option<IdentityConfig> {
    let client = json!({ "kind": "human" });
    let issuer = json!({
        "issuer": "https://id.example", "audiences": ["gantral"], "algorithms": ["EdDSA"], "keys": { "static": keys },
        "tenant": "acme", "claims": { "roles": "roles" }, "clients": { "console": client },
    });
    serde_json::from_value(json!({ "issuers": [issuer] })).ok()
}

/// Tokens of the issuer that are good, and one that it signed for somebody else.
fn tokens() -> Vec<String> {
    let token = |audience: &str| {
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let header = part(json!({ "alg": "EdDSA", "kid": "1", "typ": "JWT" }));
        let claims = part(json!({
            "iss": "https://id.example", "aud": audience, "sub": "alice", "client_id": "console", "iat": 1_800_000_000_u64,
            "exp": 1_800_000_900_u64, "name": "Alice", "roles": ["RISK_OFFICER"],
        }));
        let message = format!("{header}.{claims}");
        let signature = URL_SAFE_NO_PAD.encode(issuer_key().sign(message.as_bytes()).to_bytes());
        format!("{message}.{signature}")
    };
    vec![token("gantral"), token("another")]
}

/// Nothing but what the issuer signed for us is a principal.
fn check_token(bytes: &[u8]) -> Answer {
    let Ok(token) = std::str::from_utf8(bytes) else { return Ok(Seen::Refused(0)) };
    let verifier = config(&json!({ "keys": [public_jwk()] })).and_then(|config| Verifier::new(&config).ok());
    let (Some(verifier), Ok(now)) = (verifier, UnixMillis::new(1_800_000_100_000)) else {
        return Ok(Seen::Refused(1));
    };
    // The second time a token that was good is found in memory.
    match twice(|| verifier.verify(token, now).map(drop))? {
        Ok(()) => {
            ensure(tokens().iter().any(|good| good == token), "only what the issuer signed is believed")?;
            Ok(Seen::Accepted)
        }
        Err(error) => Ok(refused(&error)),
    }
}

fn check_key_set(bytes: &[u8]) -> Answer {
    let Ok(keys) = serde_json::from_slice::<Value>(bytes) else { return Ok(Seen::Refused(0)) };
    let Some(config) = config(&keys) else { return Ok(Seen::Refused(1)) };
    let verifier = match Verifier::new(&config) {
        Ok(verifier) => verifier,
        Err(error) => return Ok(refused(&error)),
    };
    let shown = format!("{config:?}{verifier:?}");
    ensure(!shown.contains("\"d\""), "no private part of a key is shown")?;
    let again = serde_json::to_value(&config).ok().and_then(|value| serde_json::from_value(value).ok());
    ensure(again.as_ref() == Some(&config), "a configuration is written as one that is read as the same")?;
    Ok(Seen::Accepted)
}

fn key_files() -> Vec<Vec<u8>> {
    let entry = |seed: u8, role: &str, held: Value| {
        let key = SigningKey::from_bytes(&[seed; 32]).verifying_key();
        let key = PublicKey::from_bytes(key.as_bytes()).ok();
        let (id, hex) = key.map(|key| (key.id().to_string(), key.to_hex())).unwrap_or_default();
        let limits = json!([{ "log": "log.example/acme", "index": 7 }, { "log": null, "index": 9 }]);
        json!({
            "role": role, "key_id": id, "public_key": hex, "held": held, "valid_from": [], "valid_until": limits,
            "compromised_from": [],
        })
    };
    let file = |name: &str| json!({ "file": name });
    let bao = json!({ "openbao": { "url": "http://127.0.0.1:8200", "mount": "transit", "key": "issuer", "token_file": "/token", "ca_file": null } });
    let issuer = entry(1, "issuer", file("issuer.pk8"));
    let log = entry(3, "log", file("log.pk8"));
    let old = entry(5, "issuer", Value::Null);
    let files = [json!([issuer, log.clone()]), json!([entry(1, "issuer", bao), log, old])];
    files
        .iter()
        .map(|keys| json!({ "format": "gantral/keys/v1", "keys": keys }).to_string().into_bytes())
        .collect()
}

/// Looks at a folder with such a list, as every command does before it does anything.
fn check_key_folder(bytes: &[u8]) -> Answer {
    let folder = std::env::temp_dir().join(format!("gantral-fuzz-{}", std::process::id()));
    let written = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .and_then(|()| write(&folder, bytes));
    if written.is_err() {
        return Ok(Seen::Refused(0));
    }
    let entries = match KeyFolder::look(&folder) {
        Ok(entries) => entries,
        Err(error) => return Ok(refused(&error)),
    };
    for role in [KeyRole::Issuer, KeyRole::Log] {
        let current = entries.iter().filter(|entry| entry.role == role && entry.is_current()).count();
        ensure(current == 1, "one key of each role signs")?;
    }
    let mut keys: Vec<String> = entries.iter().map(|entry| entry.public_key.to_hex()).collect();
    keys.sort_unstable();
    keys.dedup();
    ensure(keys.len() == entries.len(), "no key stands twice")?;
    Ok(Seen::Accepted)
}

fn write(folder: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let path = folder.join("keys.json");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(path)?;
    file.write_all(bytes)
}

//! Strict JSON under both profiles, and the words that everything else is made of.

use std::fmt::Display;

use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{ActorId, InstanceId, LogOrigin, Name, Role, TenantId};
use gantral_core::json::{self, Number, Profile, Value};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::keys::{KeyId, PublicKey};

use crate::seeds::Vectors;
use crate::target::{Answer, Broken, Seen, Target, ensure, refused, twice};

/// Room for the canonical form of whatever a target reads, in bytes: a number grows when it is written out.
const CANONICAL_BYTES_MAX: usize = 64 << 20;
const TOKENS: &[&str] = &[
    "\"a\":",
    "{\"a\":1,\"a\":2}",
    "[[[[[[[[",
    "1e512",
    "1e-512",
    "123456789012345678901234567890",
    "\\ud83d\\ude00",
    "false",
];

pub const DOCUMENT: Target = Target {
    name: "json_document",
    bytes_max: 64 << 10,
    tokens: TOKENS,
    seeds,
    check: |bytes| check(bytes, &Profile::DOCUMENT),
};
pub const ARTIFACT: Target = Target {
    name: "json_artifact",
    bytes_max: 65 << 10,
    tokens: TOKENS,
    seeds,
    check: |bytes| check(bytes, &Profile::ARTIFACT),
};
pub const WORDS: Target = Target {
    name: "words",
    bytes_max: 512,
    tokens: &["T", "Z", ":", "-02-29", "23:59:60"],
    seeds: words,
    check: check_word,
};

fn check(bytes: &[u8], profile: &Profile) -> Answer {
    let strictly = twice(|| json::parse_canonical(bytes, profile))?;
    let value = match twice(|| json::parse(bytes, profile))? {
        Ok(value) => value,
        Err(error) => {
            ensure(
                strictly == Err(error),
                "what is refused is refused in its canonical form for the same reason",
            )?;
            return Ok(refused(&error));
        }
    };
    let canonical = value.to_canonical();
    let wide = profile.with_bytes_max(CANONICAL_BYTES_MAX);
    ensure(
        json::parse_canonical(&canonical, &wide).as_ref() == Ok(&value),
        "the canonical form is read as the same value",
    )?;
    ensure(strictly.is_ok() == (canonical == bytes), "exactly the canonical form is accepted as canonical")?;
    if *profile == Profile::ARTIFACT {
        ensure(json::parse(bytes, &Profile::DOCUMENT).as_ref() == Ok(&value), "an artifact is a document")?;
    }
    Ok(Seen::Accepted)
}

fn seeds(vectors: &Vectors) -> Vec<Vec<u8>> {
    let mut seeds = hex_members(vectors.get("primitives/json.json").unwrap_or_default(), "hex");
    seeds.extend(
        vectors
            .matching(|path| path.ends_with("trust.json") || path.ends_with("bundle.json"))
            .into_iter()
            .take(20),
    );
    seeds
}

/// Returns a member of each case of a list of primitives, out of hexadecimal.
pub(super) fn hex_members(list: &[u8], member: &str) -> Vec<Vec<u8>> {
    members(list, member).iter().filter_map(|text| unhex(text)).collect()
}

/// Returns a member of each case of a list of primitives.
pub(super) fn members(list: &[u8], member: &str) -> Vec<String> {
    let list = json::parse(list, &Profile::DOCUMENT).unwrap_or(Value::Null);
    let cases = list.as_array().unwrap_or_default().iter();
    cases.filter_map(|case| case.get(member)?.as_str().map(str::to_owned)).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok());
    digits.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect()
}

/// What each kind of word promises: written again, it is the text that was read.
fn check_word(bytes: &[u8]) -> Answer {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(Seen::Refused(0)) };
    let mut accepted = false;
    accepted |= spelled(text, Digest::parse(text).ok().map(|digest| digest.to_hex()))?;
    accepted |= spelled(text, KeyId::parse(text).ok())?;
    accepted |= spelled(text, PublicKey::parse(text).ok().map(|key| key.to_hex()))?;
    accepted |= spelled(text, InstanceId::parse(text).ok())?;
    accepted |= spelled(text, TenantId::parse(text).ok())?;
    accepted |= spelled(text, LogOrigin::parse(text).ok())?;
    accepted |= spelled(text, ActorId::parse(text).ok())?;
    accepted |= spelled(text, Role::parse(text).ok())?;
    accepted |= spelled(text, Name::parse(text).ok())?;
    accepted |= spelled(text, UnixMillis::parse(text).ok().map(UnixMillis::to_text))?;
    accepted |= DurationMs::parse(text).is_some() | Salt::parse(text).is_ok();
    if let Ok(number) = Number::parse(text) {
        let normal = number.to_string();
        ensure(Number::parse(&normal) == Ok(number), "the normal form of a number is the same number")?;
        accepted = true;
    }
    Ok(if accepted { Seen::Accepted } else { Seen::Refused(1) })
}

fn spelled(text: &str, word: Option<impl Display>) -> Result<bool, Broken> {
    let Some(word) = word else { return Ok(false) };
    ensure(word.to_string() == text, "a word has one spelling")?;
    Ok(true)
}

fn words(_: &Vectors) -> Vec<Vec<u8>> {
    let words = [
        "fe2328ca1a8bde55c7794691cd2f6361627056072f9cbee1be4f1934b3adc23e",
        "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c",
        "0f0e0d0c-0b0a-4908-8706-050403020100",
        "acme",
        "log.example/acme",
        "RISK_OFFICER",
        "2026-03-01T09:00:00.000Z",
        "2028-02-29T23:59:59.999Z",
        "30m",
        "250ms",
        "7d",
        "-12.50e+3",
        "9007199254740993",
        "0.000001",
    ];
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

//! What authenticators and browsers say, and what a directory says of them.

use gantral_core::digest::Digest;
use gantral_core::json::{self, Profile, Value};
use gantral_evidence::human::{
    ASSERTION_BYTES_MAX, AUTHENTICATOR_DATA_BYTES_MAX, Algorithm, ApproverKey, Assertion, AuthenticatorData,
    CLIENT_DATA_BYTES_MAX, ClientData, ENROLMENT_PAYLOAD_TYPE, Enrolment, Origin, RelyingParty,
    RelyingPartyId, SignedEnrolment, from_base64url, to_base64url,
};
use gantral_evidence::keys::PublicKey;

use crate::seeds::Vectors;
use crate::target::{Answer, Broken, Seen, Target, ensure, refused, twice};

/// The directory of the vectors.
const DIRECTORY: &str = "6e7a1cdd29b0b78fd13af4c5598feff4ef2a97166e3ca6f2e4fbfccd80505bf1";
/// RFC 6979 §A.2.5: the key, a signature over `test`, and its negative.
const KEY: &str = "0460fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6\
    7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299";
const SIGNATURES: [&str; 2] = [
    "3045022100f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367\
     0220019f4113742a2b14bd25926b49c649155f267e60d3814b4c0cc84250e46f0083",
    "3046022100f1abb023518351cd71d881567b1ea663ed3efcf6c5132b354f28d3b0b7d38367\
     022100fe60beeb8bd5d4ec42da6d94b639b6ea5dc07c4cd3965338e6f1887217f424ce",
];

/// What a browser says of the challenge that the target asks about, the SHA-256 of nothing.
const ASKED: &str = "{\"type\":\"webauthn.get\",\"challenge\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\",\
    \"origin\":\"https://approvals.example\",\"crossOrigin\":false}";

pub const ASSERTION: Target = Target {
    name: "assertion",
    bytes_max: ASSERTION_BYTES_MAX + 64,
    tokens: &["gantral/assertion/v1", "gantral/assertion/v2", "\"signature\":\"\"", "AA", "AB", "AA=="],
    seeds: |vectors| vectors.matching(|path| path.contains("/human/") && path.ends_with(".json")),
    check: check_assertion,
};
pub const ENROLMENT: Target = Target {
    name: "enrolment",
    bytes_max: 16 << 10,
    tokens: &[
        ENROLMENT_PAYLOAD_TYPE,
        "\"algorithm\":\"ed25519\"",
        "\"backup_eligible\":true",
        "\"label_commitment\":null",
        "00000000-0000-0000-0000-000000000000",
        "\"signatures\":[",
    ],
    seeds: |vectors| vectors.matching(|path| path.contains("/directory/")),
    check: check_enrolment,
};
pub const CLIENT_DATA: Target = Target {
    name: "client_data",
    bytes_max: CLIENT_DATA_BYTES_MAX + 64,
    tokens: &[
        "\"type\":\"webauthn.get\"",
        "\"challenge\":\"47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU\"",
        "\"origin\":\"https://approvals.example\"",
        "\"crossOrigin\":true",
        "\"topOrigin\":\"\"",
        "webauthn.create",
    ],
    seeds: |vectors| {
        let asked = answers(vectors, |assertion| assertion.client_data);
        asked.into_iter().chain([ASKED.as_bytes().to_vec()]).collect()
    },
    check: check_client_data,
};
pub const AUTHENTICATOR: Target = Target {
    name: "authenticator_data",
    bytes_max: AUTHENTICATOR_DATA_BYTES_MAX + 64,
    tokens: &[],
    seeds: |vectors| answers(vectors, |assertion| assertion.authenticator_data),
    check: check_authenticator,
};
pub const ES256: Target = Target {
    name: "es256",
    bytes_max: 160,
    tokens: &[],
    seeds: |vectors| {
        let published = SIGNATURES.iter().filter_map(|hex| unhex(hex));
        published.chain(answers(vectors, |assertion| assertion.signature)).collect()
    },
    check: check_es256,
};

/// Returns parts of what the authenticators of the vectors answered.
fn answers(vectors: &Vectors, part: impl Fn(Assertion) -> Vec<u8>) -> Vec<Vec<u8>> {
    let files = (ASSERTION.seeds)(vectors);
    files.iter().filter_map(|file| Assertion::parse(file).ok()).map(part).collect()
}

fn unhex(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits.map(|two| u8::from_str_radix(std::str::from_utf8(two).ok()?, 16).ok()).collect()
}

fn relying_party() -> Result<RelyingParty, Broken> {
    let id = RelyingPartyId::parse("approvals.example");
    let origin = Origin::parse("https://approvals.example");
    id.and_then(|id| RelyingParty::new(id, vec![origin?])).map_err(|error| Broken(error.to_string()))
}

fn check_assertion(bytes: &[u8]) -> Answer {
    let assertion = match twice(|| Assertion::parse(bytes))? {
        Ok(assertion) => assertion,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(assertion.encode() == bytes, "an assertion has one spelling")?;
    ensure(bytes.len() <= ASSERTION_BYTES_MAX, "an assertion is within its limit")?;
    Ok(Seen::Accepted)
}

/// The directory's signature covers the payload, so what it is accepted to have signed is what the payload says.
fn check_enrolment(bytes: &[u8]) -> Answer {
    let signed = match twice(|| SignedEnrolment::parse(bytes))? {
        Ok(signed) => signed,
        Err(error) => return Ok(refused(&error)),
    };
    let enrolment = match twice(|| signed.enrolment())? {
        Ok(enrolment) => enrolment,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(enrolment.digest() == signed.digest(), "an enrolment has one spelling")?;
    ensure(Enrolment::decode(&enrolment.encode()) == Ok(enrolment.clone()), "it is read as it is written")?;
    let key = ApproverKey::parse(enrolment.key.algorithm(), &enrolment.key.to_hex());
    ensure(key == Ok(enrolment.key), "a key has one spelling")?;
    let directory = PublicKey::parse(DIRECTORY).map_err(|error| Broken(error.to_string()))?;
    let is_claimed = signed.claimed().any(|id| id == directory.id());
    ensure(is_claimed || !signed.is_signed_by(&directory), "nobody signs without saying so")?;
    Ok(Seen::Accepted)
}

fn check_client_data(bytes: &[u8]) -> Answer {
    let client_data = match twice(|| ClientData::parse(bytes))? {
        Ok(client_data) => client_data,
        Err(error) => return Ok(refused(&error)),
    };
    let challenge = Digest::of(b"");
    match client_data.check(&challenge, &relying_party()?) {
        Err(fault) => Ok(refused(&fault)),
        Ok(()) => {
            let value = json::parse(bytes, &Profile::DOCUMENT).unwrap_or(Value::Null);
            let text = |member: &str| value.get(member).and_then(Value::as_str).unwrap_or_default();
            ensure(text("type") == "webauthn.get", "what is accepted was asked to sign")?;
            let asked = from_base64url(text("challenge"));
            ensure(
                asked.as_deref() == Some(challenge.as_bytes()),
                "what is accepted is about the challenge",
            )?;
            ensure(text("origin") == "https://approvals.example", "what is accepted was asked there")?;
            let crossed = value.get("crossOrigin").is_none_or(|crossed| crossed.as_bool() == Some(false));
            ensure(crossed && value.get("topOrigin").is_none(), "what is accepted was not asked in a frame")?;
            Ok(Seen::Accepted)
        }
    }
}

fn check_authenticator(bytes: &[u8]) -> Answer {
    let data = match twice(|| AuthenticatorData::parse(bytes))? {
        Ok(data) => data,
        Err(error) => return Ok(refused(&error)),
    };
    let flag = |is_set: bool, bit: u8| u8::from(is_set) << bit;
    let flags = flag(data.user_present, 0)
        | flag(data.user_verified, 2)
        | flag(data.backup_eligible, 3)
        | flag(data.backed_up, 4)
        | flag(bytes.len() > 37, 7);
    let head = [data.relying_party.as_bytes().as_slice(), &[flags], &data.sign_count.to_be_bytes()].concat();
    // Bits 1 and 5 are reserved, and say nothing.
    let said = bytes.iter().enumerate().map(|(at, byte)| if at == 32 { byte & !0b10_0010 } else { *byte });
    ensure(said.take(37).eq(head), "authenticator data is read bit by bit")?;
    ensure(!data.backed_up || data.backup_eligible, "only what can be copied was copied")?;
    Ok(Seen::Accepted)
}

/// Nobody signs with the published key here, so what verifies is what was published, or its negative.
fn check_es256(bytes: &[u8]) -> Answer {
    let key = ApproverKey::parse(Algorithm::Es256, KEY).map_err(|error| Broken(error.to_string()))?;
    ensure(from_base64url(&to_base64url(bytes)).as_deref() == Some(bytes), "bytes are read as written")?;
    if let Err(error) = twice(|| key.verify(b"test", bytes))? {
        return Ok(refused(&error));
    }
    let known = SIGNATURES.iter().filter_map(|hex| unhex(hex)).any(|known| known == bytes);
    ensure(known, "a signature has one encoding, and nobody forges one")?;
    Ok(Seen::Accepted)
}

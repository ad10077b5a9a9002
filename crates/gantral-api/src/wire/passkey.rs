//! Passkeys: the authenticators of approvers, and what they sign.

use gantral_core::time::UnixMillis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Document, text};

/// How a passkey stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PasskeyState {
    /// It waits for the directory, for a week.
    Requested,
    /// It counts at gates that opened after `enrolled_at`.
    Enrolled,
    /// It counts no longer.
    Revoked,
}

/// One passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Passkey {
    /// Its name: the digest of its enrolment.
    pub entry_digest: text::Digest,
    /// Whose it is.
    pub person: text::ActorId,
    /// How it stands.
    pub state: PasskeyState,
    /// Since when it counts; present when enrolled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolled_at: Option<text::Time>,
    /// When it was asked for.
    pub requested_at: text::Time,
    /// How the authenticator names the key: base64url without padding.
    pub credential_id: String,
    /// `es256` or `ed25519`.
    pub algorithm: String,
    /// Whether it may be copied to other devices of its owner.
    pub backup_eligible: bool,
    /// For whom it signs.
    pub relying_party_id: String,
}

impl Passkey {
    /// Tells whether it counts at a gate that opened at `opened_at`: it stands, and was enrolled before.
    pub fn counts_at(&self, opened_at: UnixMillis) -> bool {
        let since = self.enrolled_at.filter(|_| self.state == PasskeyState::Enrolled);
        since.is_some_and(|since| since.into_inner() < opened_at)
    }
}

/// Answer of `GET /v1/passkeys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeyPage {
    /// The passkeys, newest first.
    pub items: Vec<Passkey>,
    /// `cursor` of the next page; absent on the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Body of `POST /v1/passkeys/draft`: a key that an authenticator made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPasskey {
    /// How the authenticator names the key: base64url without padding, of 1 to 1023 bytes.
    pub credential_id: String,
    /// `es256` or `ed25519`.
    pub algorithm: String,
    /// The key in hexadecimal: of `es256` the uncompressed point, 65 bytes; of `ed25519` 32 bytes.
    pub public_key: String,
    /// The model of the authenticator: 32 hexadecimal digits; zeros where it does not say.
    pub aaguid: String,
    /// Whether the key may be copied to other devices of its owner.
    pub backup_eligible: bool,
}

/// Answer of `POST /v1/passkeys/draft`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeyDraft {
    /// The digest that the authenticator signs next, as the challenge.
    pub entry_digest: text::Digest,
    /// What the directory is to sign.
    #[schema(value_type = Object)]
    pub enrolment: Document,
}

/// Body of `POST /v1/passkeys`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RequestPasskey {
    /// As it was drafted, not more than ten minutes ago.
    #[schema(value_type = Object)]
    pub enrolment: Document,
    /// What the authenticator said of its `entry_digest`: an assertion, as the specification of human decisions has it.
    #[schema(value_type = Object)]
    pub assertion: Document,
}

/// Who asked for a passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeyOwner {
    /// The issuer of their tokens.
    pub issuer: String,
    /// The subject in them.
    pub subject: String,
    /// The salt behind their `person_id`.
    pub salt: text::Salt,
}

/// Answer of `GET /v1/passkeys/{entry_digest}`: what the directory needs to judge it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PasskeyRequest {
    /// The passkey.
    pub passkey: Passkey,
    /// What the directory signs.
    #[schema(value_type = Object)]
    pub enrolment: Document,
    /// What the authenticator said of it.
    #[schema(value_type = Object)]
    pub assertion: Document,
    /// Who asked; absent once they are anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_by: Option<PasskeyOwner>,
}

/// Body of `POST /v1/passkeys/{entry_digest}/enrol`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrolPasskey {
    /// The enrolment in its envelope, signed by a key of the directory.
    #[schema(value_type = Object)]
    pub envelope: Document,
}

/// Body of `POST /v1/passkeys/{entry_digest}/revoke`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokePasskey {
    /// Why; kept beside the chain and erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub justification: Option<text::Prose>,
}

/// Answer of `POST /v1/gates/{gate_id}/statement`: what the human's own authenticator is to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ToSign {
    /// The digest of the statement: the challenge.
    pub decision_digest: text::Digest,
    /// The statement, as anybody can make it from the evidence.
    #[schema(value_type = Object)]
    pub statement: Document,
    /// For whom it is signed.
    pub relying_party_id: String,
    /// Which of the caller's passkeys count at this gate.
    pub passkeys: Vec<Passkey>,
}

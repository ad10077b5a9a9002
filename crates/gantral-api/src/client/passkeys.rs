//! Calls about passkeys.

use super::{Client, ClientError};
use crate::wire::{
    Decide, EnrolPasskey, Governed, MineQuery, NewPasskey, Passkey, PasskeyDraft, PasskeyPage,
    PasskeyRequest, RequestPasskey, RevokePasskey, ToSign, text,
};

impl Client {
    /// Lists passkeys, newest first.
    pub async fn passkeys(&self, query: &MineQuery) -> Result<PasskeyPage, ClientError> {
        self.list(&["v1", "passkeys"], query).await
    }

    /// Shows a passkey with what the directory needs to judge it.
    pub async fn passkey(&self, entry: text::Digest) -> Result<PasskeyRequest, ClientError> {
        self.get(&["v1", "passkeys", &entry.to_string()]).await
    }

    /// Says what the directory is to sign of a key that an authenticator made; keeps nothing.
    pub async fn draft_passkey(&self, body: &NewPasskey) -> Result<PasskeyDraft, ClientError> {
        self.post(&["v1", "passkeys", "draft"], body).await
    }

    /// Asks the directory to enrol an authenticator of the caller.
    pub async fn request_passkey(&self, body: &RequestPasskey) -> Result<Passkey, ClientError> {
        self.post(&["v1", "passkeys"], body).await
    }

    /// Brings what the directory signed.
    pub async fn enrol_passkey(
        &self,
        entry: text::Digest,
        body: &EnrolPasskey,
    ) -> Result<Governed, ClientError> {
        self.post(&["v1", "passkeys", &entry.to_string(), "enrol"], body).await
    }

    /// Ends a passkey, as its owner or as an administrator.
    pub async fn revoke_passkey(
        &self,
        entry: text::Digest,
        body: &RevokePasskey,
    ) -> Result<Governed, ClientError> {
        self.post(&["v1", "passkeys", &entry.to_string(), "revoke"], body).await
    }

    /// Says what the caller's own authenticator is to sign for a decision; decides nothing.
    pub async fn decision_to_sign(&self, gate: text::GateId, body: &Decide) -> Result<ToSign, ClientError> {
        self.post(&["v1", "gates", &gate.to_string(), "statement"], body).await
    }
}

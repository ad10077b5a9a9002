//! Erasing by right: the content goes, the chain stays and says so.

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::ids::{InstanceId, PersonId, TenantId};
use gantral_evidence::governance::Detail;
use gantral_identity::HumanSubject;
use gantral_store::{GovernanceEffect, SnapshotContent};

use super::{Act, GovernanceReceipt, Governor};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

impl Engine {
    /// Erases what a commitment of an instance stands for. Every chain still verifies; what was erased is named, so that it
    /// does not look like hiding.
    ///
    /// # Errors
    /// `NotFound` when there is nothing to erase; `Conflict`: repeat; the signer's and the store's.
    pub async fn erase_snapshot(
        &self,
        mut call: Call,
        tenant: &TenantId,
        by: Governor<'_>,
        instance: InstanceId,
        commitment: Digest,
    ) -> Result<GovernanceReceipt, EngineError> {
        let missing = || EngineError::NotFound { what: "the snapshot" };
        let snapshot = self.0.store.snapshot(tenant, instance, commitment).await?.ok_or_else(missing)?;
        let (label, at) = (snapshot.label, call.now);
        // The context that an approver is shown and the input that policy evaluated are one row under two labels.
        let twin = match &snapshot.content {
            SnapshotContent::Kept { salt, plaintext } if label == CommitmentLabel::Context => {
                Some(commit(CommitmentLabel::Input, salt, plaintext))
            }
            SnapshotContent::Kept { .. } | SnapshotContent::Erased { .. } => None,
        };
        // Said first: where the server ends in between, the content is still there and whoever repeats this finds it.
        if let Some(commitment) = twin {
            let label = CommitmentLabel::Input;
            let said = self.govern(tenant, &mut call, by, |_| {
                let detail = Detail::Erased { instance: Some(instance), commitment, label };
                Ok(Some(detail.into()))
            });
            said.await?;
        }
        let erased = self.govern(tenant, &mut call, by, |_| {
            let detail = Detail::Erased { instance: Some(instance), commitment, label };
            let effect = GovernanceEffect::EraseSnapshot { instance: Some(instance), commitment, at };
            Ok(Some(Act::with(detail, vec![effect])))
        });
        erased.await?.ok_or_else(missing)
    }

    /// Erases what somebody wrote to justify a change of the rules.
    ///
    /// # Errors
    /// `NotFound` when there is nothing to erase; `Conflict`: repeat; the signer's and the store's.
    pub async fn erase_justification(
        &self,
        mut call: Call,
        tenant: &TenantId,
        by: Governor<'_>,
        commitment: Digest,
    ) -> Result<GovernanceReceipt, EngineError> {
        let (label, at) = (CommitmentLabel::Justification, call.now);
        let erased = self.govern(tenant, &mut call, by, |_| {
            let detail = Detail::Erased { instance: None, commitment, label };
            let effect = GovernanceEffect::EraseSnapshot { instance: None, commitment, at };
            Ok(Some(Act::with(detail, vec![effect])))
        });
        erased.await?.ok_or(EngineError::NotFound { what: "the snapshot" })
    }

    /// Makes a human anonymous for ever: the salt behind their `person_id` is erased. Should they act again, they are another
    /// person; what they proposed and nobody confirmed yet ends.
    ///
    /// # Errors
    /// `NotFound` when nobody is known under this subject; `Conflict`: repeat; the signer's and the store's.
    pub async fn erase_person(
        &self,
        mut call: Call,
        tenant: &TenantId,
        by: Governor<'_>,
        human: &HumanSubject,
    ) -> Result<GovernanceReceipt, EngineError> {
        let missing = || EngineError::NotFound { what: "the person" };
        let at = call.now;
        let salt = self.0.store.known_person(tenant, human.issuer(), human.subject()).await?;
        let commitment = commit(CommitmentLabel::Person, &salt.ok_or_else(missing)?, &human.person_bytes());
        let (issuer, subject) = (human.issuer().to_owned(), human.subject().to_owned());
        let erased = self.govern(tenant, &mut call, by, |_| {
            let detail = Detail::Erased { instance: None, commitment, label: CommitmentLabel::Person };
            let (issuer, subject) = (issuer.clone(), subject.clone());
            let person = GovernanceEffect::ErasePerson { issuer, subject };
            // As another person they could confirm what they have proposed.
            let proposals = GovernanceEffect::EndProposalsOf { proposer: PersonId(commitment).actor(), at };
            Ok(Some(Act::with(detail, vec![person, proposals])))
        });
        let erased = erased.await?.ok_or_else(missing)?;
        self.0.registry.forget_person(tenant, human);
        Ok(erased)
    }
}

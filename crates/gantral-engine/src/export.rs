//! Evidence leaves the building: one instance as a bundle that a stranger verifies without us.

use std::collections::BTreeSet;
use std::sync::Arc;

use gantral_core::digest::{CommitmentLabel, commit};
use gantral_core::event::Event;
use gantral_core::ids::{InstanceId, TenantId};
use gantral_evidence::bundle::BundleWriter;
use gantral_evidence::container::{ContainerError, OwnedFiles, Scope};
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use gantral_keys::KeptDelegation;
use gantral_store::{SealedArtifact, SnapshotContent};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{open, signers};

impl Engine {
    /// Returns an instance as the files of a bundle: its chain, what is not erased of its disclosures, the definition
    /// of its workflow, its policy bundles, the issuer's keys and their delegations.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn export(&self, tenant: &TenantId, id: InstanceId) -> Result<OwnedFiles, EngineError> {
        let facts = self.instance(tenant, id).await?;
        let artifacts = self.chain(tenant, id).await?;
        let broken = |error: ContainerError| EngineError::Damaged { what: error.to_string() };
        let mut bundle = BundleWriter::new(id).map_err(broken)?;
        let mut inputs = Vec::new();
        for artifact in &artifacts {
            let event = open(artifact)?.entry.event;
            inputs.extend(policy_of(&event).map(|policy| (policy.input, policy.version)));
            bundle.artifact(artifact.envelope.clone()).map_err(broken)?;
        }
        for snapshot in self.snapshots(tenant, id).await? {
            let SnapshotContent::Kept { salt, plaintext } = snapshot.content else { continue };
            // The context snapshot is the policy input: one row opens both commitments.
            let input = commit(CommitmentLabel::Input, &salt, &plaintext);
            if snapshot.label == CommitmentLabel::Context && inputs.iter().any(|(known, _)| *known == input) {
                let disclosure =
                    Disclosure { label: CommitmentLabel::Input, salt, plaintext: plaintext.clone() };
                bundle.disclosure(&disclosure).map_err(broken)?;
            }
            bundle.disclosure(&Disclosure { label: snapshot.label, salt, plaintext }).map_err(broken)?;
        }
        bundle.workflow(&facts.workflow.digest, facts.workflow.canonical.clone()).map_err(broken)?;
        for (_, version) in &inputs {
            if let Some(archive) = self.0.store.policy_bundle(tenant, *version).await? {
                bundle.policy(version, archive).map_err(broken)?;
            }
        }
        for delegation in self.kept_delegations(&artifacts)? {
            let delegate = delegation.delegation.delegate.id();
            bundle.delegation(&delegate, delegation.envelope.clone()).map_err(broken)?;
        }
        for key in self.issuer_keys() {
            bundle.key(key).map_err(broken)?;
        }
        let trusted = self.issuer_keys().map(|key| TrustedKey::issuer(key.clone()));
        if let Ok(hint) = Trust::new(trusted, Some(Require::signed())) {
            bundle.trust_hint(&hint).map_err(broken)?;
        }
        let scope = if facts.instance.state().is_final() { Scope::Complete } else { Scope::Prefix };
        bundle.finish(scope).map_err(broken)
    }

    /// Returns the delegations of the keys that signed a chain, as envelopes.
    pub(crate) fn delegations_of(&self, chain: &[SealedArtifact]) -> Result<Vec<Vec<u8>>, EngineError> {
        Ok(self.kept_delegations(chain)?.into_iter().map(|kept| kept.envelope.clone()).collect())
    }

    fn kept_delegations(&self, chain: &[SealedArtifact]) -> Result<Vec<Arc<KeptDelegation>>, EngineError> {
        let Some(kept) = &self.0.config.delegations else { return Ok(Vec::new()) };
        let mut ids = BTreeSet::new();
        for artifact in chain {
            ids.extend(signers(&artifact.envelope)?);
        }
        Ok(ids.iter().filter_map(|id| kept.find(id)).collect())
    }
}

/// Returns the policy that an event stands under.
fn policy_of(event: &Event) -> Option<&gantral_core::event::PolicyRecord> {
    match event {
        Event::HumanRequired(detail) => Some(&detail.policy),
        Event::Allowed(detail) | Event::Observed(detail) => Some(&detail.policy),
        Event::Consumed(detail) => Some(&detail.policy),
        Event::Terminated(detail) | Event::Completed(detail) => detail.policy.as_ref(),
        Event::EvaluatorFailed(policy) => Some(policy),
        Event::Created(_)
        | Event::Started(_)
        | Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Resumed(_)
        | Event::Running(_)
        | Event::AttemptAssigned(_)
        | Event::AttemptEnded(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Outcome(_)
        | Event::Reconciled(_) => None,
    }
}

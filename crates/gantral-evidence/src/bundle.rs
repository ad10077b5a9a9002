//! Exporting: envelopes, disclosures, keys and definitions become the files of a bundle.
//!
//! Equal content gives equal bytes, in whatever order it was added. What the files mean is in `spec/bundle.md`.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::policy::PolicyVersionId;
use gantral_core::table::{published, semantics_digest};

use crate::container::{
    ARTIFACTS_DIRECTORY, ARTIFACTS_MAX, ContainerError, KEYS_DIRECTORY, OwnedFiles, Scope, write_tar,
};
use crate::delegation::delegation_path;
use crate::disclosure::Disclosure;
use crate::human::{Assertion, Enrolment};
use crate::keys::{KeyId, PublicKey};
use crate::log::consistency::LogConsistency;
use crate::log::proof::LogProof;
use crate::trust::Trust;
use crate::verify::TRUST_HINT_PATH;

/// A bundle that is being put together.
#[derive(Debug, Clone)]
pub struct BundleWriter {
    instance: InstanceId,
    files: OwnedFiles,
    artifacts: usize,
    governance: usize,
    /// Content-addressed files that are there: adding one again changes nothing.
    addressed: BTreeSet<String>,
}

impl BundleWriter {
    /// Begins the bundle of an instance. The rules that it was made under are part of it.
    ///
    /// # Errors
    /// None in practice: those of the container.
    pub fn new(instance: InstanceId) -> Result<Self, ContainerError> {
        let mut writer = Self {
            instance,
            files: OwnedFiles::new(),
            artifacts: 0,
            governance: 0,
            addressed: BTreeSet::new(),
        };
        let path = alloc::format!("semantics/{}.txt", semantics_digest());
        writer.addressed(path, || published().into_bytes())?;
        Ok(writer)
    }

    /// Adds the next artifact: call it in the order of the chain, from the first.
    ///
    /// # Errors
    /// More artifacts than an instance may have; nothing was added.
    pub fn artifact(&mut self, envelope: Vec<u8>) -> Result<&mut Self, ContainerError> {
        if self.artifacts >= ARTIFACTS_MAX {
            return Err(ContainerError::Limit("artifacts"));
        }
        self.files.insert(&artifact_path(self.artifacts), envelope)?;
        self.artifacts = self.artifacts.saturating_add(1);
        Ok(self)
    }

    /// Adds what opens a commitment. The file is named by the commitment under the disclosure's own label.
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn disclosure(&mut self, disclosure: &Disclosure) -> Result<&mut Self, ContainerError> {
        self.addressed(Disclosure::path(&disclosure.commitment()), || disclosure.encode())
    }

    /// Adds a public key, for information: trust never comes from a bundle.
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn key(&mut self, key: &PublicKey) -> Result<&mut Self, ContainerError> {
        self.addressed(alloc::format!("{KEYS_DIRECTORY}{}.pub", key.id()), || key.to_hex().into_bytes())
    }

    /// Adds the delegation of a key that signed an artifact (`spec/keys.md` K18).
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn delegation(&mut self, delegate: &KeyId, envelope: Vec<u8>) -> Result<&mut Self, ContainerError> {
        self.addressed(delegation_path(delegate), || envelope)
    }

    /// Adds a trust file, for information: a verifier compares it with the pinned one and otherwise ignores it.
    ///
    /// # Errors
    /// A second one, or a limit of the container; nothing was added.
    pub fn trust_hint(&mut self, trust: &Trust) -> Result<&mut Self, ContainerError> {
        self.files.insert(TRUST_HINT_PATH, trust.encode())?;
        Ok(self)
    }

    /// Adds a workflow definition: the canonical bytes behind `workflow_version_id`.
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn workflow(&mut self, digest: &Digest, definition: Vec<u8>) -> Result<&mut Self, ContainerError> {
        self.addressed(alloc::format!("workflow/{digest}.json"), || definition)
    }

    /// Adds a policy bundle, as the archive that was registered.
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn policy(
        &mut self,
        version: &PolicyVersionId,
        archive: Vec<u8>,
    ) -> Result<&mut Self, ContainerError> {
        self.addressed(alloc::format!("policy/{}.tar", version.0), || archive)
    }

    /// Adds an assertion, as the file that a decision names by its digest (`spec/human.md` H11).
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn assertion(&mut self, file: Vec<u8>) -> Result<&mut Self, ContainerError> {
        self.addressed(Assertion::path(&Digest::of(&file)), || file)
    }

    /// Adds the envelope of an enrolment, by the entry digest of its payload (`spec/human.md` H17).
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn enrolment(&mut self, entry: &Digest, envelope: Vec<u8>) -> Result<&mut Self, ContainerError> {
        self.addressed(Enrolment::path(entry), || envelope)
    }

    /// Adds the proof that the artifact with this sequence is in the log.
    ///
    /// All proofs should be to one checkpoint, the same byte for byte: a verifier then checks its signatures once.
    ///
    /// # Errors
    /// A second one for the sequence, or a limit of the container; nothing was added.
    pub fn proof(&mut self, sequence: usize, proof: &LogProof) -> Result<&mut Self, ContainerError> {
        self.files.insert(&proof_path(sequence), proof.encode().into_bytes())?;
        Ok(self)
    }

    /// Adds what shows that the tree of `size` leaves is a beginning of the newest one of the bundle's proofs: for every anchor
    /// of the chain, and for every older checkpoint of a proof.
    ///
    /// # Errors
    /// A second one for the size, or a limit of the container; nothing was added.
    pub fn consistency(
        &mut self,
        size: u64,
        consistency: &LogConsistency,
    ) -> Result<&mut Self, ContainerError> {
        self.files.insert(&LogConsistency::path(size), consistency.encode().into_bytes())?;
        Ok(self)
    }

    /// Adds the next artifact of the tenant's governance chain: call it in the order of the chain, from the first, at least up to the
    /// newest head that a consumption of the instance's chain names.
    ///
    /// # Errors
    /// A limit of the container; nothing was added.
    pub fn governance(&mut self, envelope: Vec<u8>) -> Result<&mut Self, ContainerError> {
        self.files.insert(&governance_path(self.governance), envelope)?;
        self.governance = self.governance.saturating_add(1);
        Ok(self)
    }

    /// Adds the proof that the governance artifact with this sequence is in the log. It should be to the checkpoint of the other proofs.
    ///
    /// # Errors
    /// A second one for the sequence, or a limit of the container; nothing was added.
    pub fn governance_proof(
        &mut self,
        sequence: usize,
        proof: &LogProof,
    ) -> Result<&mut Self, ContainerError> {
        self.files.insert(&governance_proof_path(sequence), proof.encode().into_bytes())?;
        Ok(self)
    }

    /// Adds an artifact of the chain of an execution on whose behalf this one ran (B14).
    ///
    /// # Errors
    /// A second one for the place, or a limit of the container; nothing was added.
    pub fn parent(
        &mut self,
        instance: InstanceId,
        sequence: usize,
        envelope: Vec<u8>,
    ) -> Result<&mut Self, ContainerError> {
        self.files.insert(&parent_path(&instance, sequence), envelope)?;
        Ok(self)
    }

    fn addressed(
        &mut self,
        path: String,
        content: impl FnOnce() -> Vec<u8>,
    ) -> Result<&mut Self, ContainerError> {
        if !self.addressed.contains(&path) {
            self.files.insert(&path, content())?;
            self.addressed.insert(path);
        }
        Ok(self)
    }

    /// Writes the list of files and returns them all, for a directory.
    ///
    /// # Errors
    /// The whole is over a limit of the container.
    pub fn finish(mut self, scope: Scope) -> Result<OwnedFiles, ContainerError> {
        self.files.seal(self.instance, scope)?;
        Ok(self.files)
    }

    /// Writes the list of files and returns the deterministic tar.
    ///
    /// # Errors
    /// The whole is over a limit of the container.
    pub fn finish_tar(self, scope: Scope) -> Result<Vec<u8>, ContainerError> {
        Ok(write_tar(&self.finish(scope)?.as_files()?))
    }
}

/// Returns the path of an artifact: `artifacts/000007.dsse.json`.
pub fn artifact_path(sequence: usize) -> String {
    let mut path = ARTIFACTS_DIRECTORY.to_string();
    path.push_str(&alloc::format!("{sequence:06}.dsse.json"));
    path
}

/// Where the proofs are.
pub const PROOFS_DIRECTORY: &str = "proofs/";

/// Returns the path of the proof of an artifact: `proofs/000007.tlog-proof`.
pub fn proof_path(sequence: usize) -> String {
    alloc::format!("{PROOFS_DIRECTORY}{sequence:06}.tlog-proof")
}

/// Returns the sequence that the path of a proof names; `None` if the path is not of that form.
pub(crate) fn sequence_of_proof(directory: &str, path: &str) -> Option<u64> {
    sequence_of(path.strip_prefix(directory)?.strip_suffix(".tlog-proof")?)
}

/// Returns the sequence that the path of an artifact names; `None` if the path is not of that form.
pub(crate) fn sequence_of_artifact(path: &str) -> Option<u64> {
    sequence_of_envelope(ARTIFACTS_DIRECTORY, path)
}

/// Returns the sequence that the path of an envelope in this directory names; `None` if the path is not of that form.
pub(crate) fn sequence_of_envelope(directory: &str, path: &str) -> Option<u64> {
    sequence_of(path.strip_prefix(directory)?.strip_suffix(".dsse.json")?)
}

/// Where the artifacts of the governance chain are; their proofs are in a directory below.
pub const GOVERNANCE_DIRECTORY: &str = "governance/";
/// Where the proofs of governance artifacts are.
pub const GOVERNANCE_PROOFS_DIRECTORY: &str = "governance/proofs/";

/// Where the chains of parents are, each under its instance.
pub const PARENTS_DIRECTORY: &str = "parents/";

/// Returns the path of a governance artifact: `governance/000007.dsse.json`.
pub fn governance_path(sequence: usize) -> String {
    alloc::format!("{GOVERNANCE_DIRECTORY}{sequence:06}.dsse.json")
}

/// Returns the path of the proof of a governance artifact: `governance/proofs/000007.tlog-proof`.
pub fn governance_proof_path(sequence: usize) -> String {
    alloc::format!("{GOVERNANCE_PROOFS_DIRECTORY}{sequence:06}.tlog-proof")
}

/// Returns the path of an artifact of a parent.
pub fn parent_path(instance: &InstanceId, sequence: usize) -> String {
    alloc::format!("{PARENTS_DIRECTORY}{instance}/{}", artifact_path(sequence))
}

/// Reads six digits.
fn sequence_of(number: &str) -> Option<u64> {
    (number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.parse().ok()).flatten()
}

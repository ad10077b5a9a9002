//! Randomness as a value: one seed for a call, expanded as needed, so that a simulation repeats exactly.

use gantral_core::digest::{Hasher, Salt};
use gantral_core::ids::{ArtifactId, GateId, GrantId, InstanceId, ProposalId};
use gantral_core::time::UnixMillis;

/// The randomness of one call: 32 bytes from the system's generator, expanded by SHA-256 over a counter.
pub struct Fresh {
    seed: [u8; 32],
    drawn: u64,
}

impl Fresh {
    /// Wraps 32 bytes that nobody can guess and nobody uses twice.
    pub const fn new(seed: [u8; 32]) -> Self {
        Self { seed, drawn: 0 }
    }

    /// Draws 32 bytes.
    pub fn bytes32(&mut self) -> [u8; 32] {
        self.drawn = self.drawn.wrapping_add(1);
        let digest =
            Hasher::new("gantral/fresh/v1").bytes(&self.seed).bytes(&self.drawn.to_be_bytes()).finish();
        *digest.as_bytes()
    }

    fn bytes16(&mut self) -> [u8; 16] {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = self.bytes32();
        [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
    }

    /// Draws the salt of a commitment.
    pub fn salt(&mut self) -> Salt {
        Salt::from_bytes(self.bytes32())
    }

    /// Draws the identifier of an instance that begins at an instant.
    pub fn instance(&mut self, at: UnixMillis) -> InstanceId {
        InstanceId::at(at.get(), self.bytes16())
    }

    /// Draws the identifier of a gate that is asked for at an instant.
    pub fn gate(&mut self, at: UnixMillis) -> GateId {
        GateId::at(at.get(), self.bytes16())
    }

    /// Draws a grant identifier.
    pub fn grant(&mut self) -> GrantId {
        GrantId::from_random(self.bytes16())
    }

    /// Draws a proposal identifier.
    pub fn proposal(&mut self) -> ProposalId {
        ProposalId::from_random(self.bytes16())
    }

    /// Draws an artifact identifier for an instant.
    pub fn artifact(&mut self, at: UnixMillis) -> ArtifactId {
        ArtifactId::at(at.get(), self.bytes16())
    }
}

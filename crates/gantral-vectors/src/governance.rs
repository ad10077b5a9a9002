//! Governance chains as an engine seals them, and stories that rest on them.

use std::collections::BTreeMap;

use ed25519_dalek::SigningKey;
use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::{Actor, Event};
use gantral_core::ids::*;
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::ActorKind;
use gantral_core::time::UnixMillis;
use gantral_evidence::bundle::{governance_path, governance_proof_path};
use gantral_evidence::governance::{Detail, GovernanceStatement, InForce, Proposer, Scope};
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::statement::artifact_hash;

use crate::cast::*;
use crate::log::{Log, Logged, origin};
use crate::story::{Story, policy_version};

/// A governance chain as it grows.
#[derive(Debug, Clone, Default)]
pub struct Governance {
    /// Every statement so far, linked.
    pub statements: Vec<GovernanceStatement>,
}

/// Returns the workflow of the stories as a scope.
pub fn own() -> Scope {
    Scope::Workflow(WorkflowId::parse("refunds").unwrap())
}

/// Returns the activation of a policy.
pub fn activated(scope: Scope, version: PolicyVersionId, previous: Option<PolicyVersionId>) -> Detail {
    Detail::PolicyActivated { scope, version, previous }
}

/// Returns a policy that no story was evaluated under.
pub fn other_policy() -> PolicyVersionId {
    PolicyVersionId(Digest::of(b"another policy"))
}

impl Governance {
    /// Begins a chain in which the policy of the stories is in force for their workflow.
    pub fn begin() -> Self {
        let mut governance = Self::default();
        governance.seal(activated(own(), policy_version(), None));
        governance
    }

    /// Returns the chain with one more artifact.
    pub fn then(mut self, detail: Detail) -> Self {
        self.seal(detail);
        self
    }

    /// Adds an artifact, a millisecond after the one before; returns its hash.
    pub fn seal(&mut self, detail: Detail) -> Digest {
        let sequence = self.statements.len() as u64;
        let at = START - 60_000 + sequence;
        let issuer = Some("https://issuer.example".to_owned());
        let id = person(201).actor();
        let statement = GovernanceStatement {
            artifact_id: ArtifactId::at(at, [9; 16]),
            tenant: TenantId::parse("acme").unwrap(),
            origin: origin(),
            sequence,
            previous: self.head(),
            actor: Actor { id, kind: ActorKind::Human, issuer, role: None },
            detail,
            justification: None,
            proposed_by: None,
            at: UnixMillis::new(at).unwrap(),
            anchor: None,
            blind: *Digest::of(&sequence.to_be_bytes()).as_bytes(),
        };
        self.statements.push(statement);
        self.head().unwrap()
    }

    /// Returns the chain with one more artifact, which a person proposed and another put in force.
    pub fn proposed(mut self, detail: Detail) -> Self {
        self.seal(detail);
        let at = self.statements.len() - 1;
        self.retell(at, |statement| {
            let actor = Actor { id: person(202).actor(), ..statement.actor.clone() };
            let at = UnixMillis::new(START - 3_600_000).unwrap();
            statement.proposed_by = Some(Proposer { actor, at, justification: None });
        })
    }

    /// Changes one statement, then links everything behind it anew.
    pub fn retell(mut self, at: usize, change: impl FnOnce(&mut GovernanceStatement)) -> Self {
        change(&mut self.statements[at]);
        for next in at + 1..self.statements.len() {
            self.statements[next].previous = Some(hash(&self.statements[next - 1]));
        }
        self
    }

    /// Returns the hash of the newest artifact.
    pub fn head(&self) -> Option<Digest> {
        self.statements.last().map(hash)
    }

    /// Returns the hash of the artifact with a sequence.
    pub fn hash(&self, sequence: usize) -> Digest {
        hash(&self.statements[sequence])
    }

    /// Returns the epoch after the newest artifact.
    pub fn epoch(&self) -> u64 {
        let mut in_force = InForce::default();
        for statement in &self.statements {
            let _ = in_force.apply(&statement.detail, hash(statement));
        }
        in_force.epoch()
    }

    /// Returns the files of the chain.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        self.files_by(&issuer())
    }

    /// Returns the files of the chain, signed by a key.
    pub fn files_by(&self, key: &SigningKey) -> BTreeMap<String, Vec<u8>> {
        let files = self.statements.iter().enumerate();
        files.map(|(at, statement)| (governance_path(at), envelope(statement.encode(), key))).collect()
    }

    /// Adds the leaves of the chain to a log; returns their places.
    pub fn log(&self, log: &mut Log) -> Vec<u64> {
        self.statements.iter().map(|statement| log.add(&leaf(statement))).collect()
    }

    /// Returns the proofs of the chain to the newest checkpoint of a story.
    pub fn proofs(&self, told: &Logged, places: &[u64]) -> BTreeMap<String, Vec<u8>> {
        let proof = |index: &u64| told.log.proof(*index, told.log.size(), &told.newest).encode().into_bytes();
        places.iter().enumerate().map(|(at, index)| (governance_proof_path(at), proof(index))).collect()
    }

    /// Has every consumption of a story name the newest artifact, and its epoch.
    pub fn under(&self, mut story: Story) -> Story {
        for statement in &mut story.statements {
            if let Event::Consumed(detail) = &mut statement.entry.event {
                detail.guard.governance_head = self.head();
                detail.guard.freeze_epoch = self.epoch();
            }
        }
        story.relink();
        story
    }
}

/// Returns the identity of a governance artifact.
pub fn hash(statement: &GovernanceStatement) -> Digest {
    artifact_hash(&statement.encode())
}

/// Returns the leaf of a statement that the issuer signed.
pub fn leaf(statement: &GovernanceStatement) -> Leaf {
    Leaf::of_governance(statement, hash(statement), public(&issuer()).id())
}

/// Has a story run under a definition, and returns it with the path of the definition's file.
pub fn defined(mut story: Story, definition: &str) -> (Story, String) {
    let digest = Hasher::new("gantral/workflow/v1").bytes(definition.as_bytes()).finish();
    for statement in &mut story.statements {
        statement.identity.workflow.digest = digest;
    }
    story.instance.identity.workflow.digest = digest;
    story.relink();
    (story, format!("workflow/{digest}.json"))
}

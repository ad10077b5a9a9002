//! The index, made again from sealed artifacts: what committed with each of them when it was decided commits with it again.
//!
//! Decides nothing and signs nothing. What stood only beside the artifacts is not made again: disclosures, keys of requests and of calls,
//! messages, reminders, and what was spent. Each artifact is an append of its own, so that a grant that was made and used up in one is here a grant that is used up.

use std::collections::HashMap;
use std::sync::Arc;

use gantral_core::decide::next_due;
use gantral_core::digest::Digest;
use gantral_core::event::Event;
use gantral_core::ids::{InstanceId, Name, TenantId};
use gantral_core::instance::Instance;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::keys::KeyId;
use gantral_store::{Append, Effect, Head, InstanceIndex, NewArtifact, SealedArtifact};

use crate::commit::first_index;
use crate::effects::effects;
use crate::engine::{mode_code, state_code};
use crate::error::EngineError;
use crate::loaded::{open, since};
use crate::notice::Recipients;

/// What an action is called where nobody has kept its name.
const UNNAMED: &str = "unknown";

/// Instances that are made again, folded as far as they are. Holds those that have not ended.
#[derive(Default)]
pub struct Rebuilding(HashMap<(TenantId, InstanceId), Folded>);

struct Folded {
    instance: Instance,
    head: Head,
    workflow: Arc<Workflow>,
    waiting_since: Option<UnixMillis>,
    index: InstanceIndex,
}

/// One artifact that is brought back.
pub struct Brought {
    /// The artifact.
    pub sealed: SealedArtifact,
    /// The definition of its workflow.
    pub workflow: Arc<Workflow>,
    /// The name of the action, if the artifact opens a gate and somebody has kept it.
    pub action: Option<Name>,
    /// What an authenticator said, if the artifact refers to it and it was kept.
    pub evidence: Option<(Digest, Vec<u8>)>,
}

impl Rebuilding {
    /// Returns the append that brings the next artifact of a chain back.
    ///
    /// # Errors
    /// `Damaged`: the artifact does not follow the one before it by the rules. The caller has verified the chain, so that it cannot be.
    pub fn append(
        &mut self,
        tenant: &TenantId,
        id: InstanceId,
        brought: Brought,
    ) -> Result<Append, EngineError> {
        let damaged = |what: &str| EngineError::Damaged { what: what.to_owned() };
        let Brought { sealed, workflow, action, evidence } = brought;
        let statement = open(&sealed)?;
        let entry = statement.entry;
        let key = (tenant.clone(), id);
        let head = sealed.head();
        let (expected, folded) = match self.0.remove(&key) {
            None => {
                let begun = Instance::begin(statement.identity, &entry);
                let instance = begun.map_err(|_| damaged("the first event breaks a rule"))?;
                let index = first_index(&instance, &workflow, entry.at);
                (None, Folded { instance, head, workflow, waiting_since: None, index })
            }
            Some(mut folded) => {
                let expected = folded.head;
                folded.instance.apply(&entry, sealed.hash).map_err(|faults| EngineError::Damaged {
                    what: format!("event {}: {faults:?}", sealed.sequence),
                })?;
                folded.head = head;
                (Some(expected), folded)
            }
        };
        let waiting_since = since(folded.waiting_since, &entry);
        let instance = &folded.instance;
        let ends_chain = instance.state().is_final();
        let index = InstanceIndex {
            state: state_code(instance.state()),
            mode: mode_code(instance.weakest_mode),
            waiting_since,
            due_at: next_due(instance),
            open: !ends_chain,
            ..folded.index.clone()
        };
        let asks = matches!(entry.event, Event::HumanRequired(_));
        let action = if asks { Some(action.map_or_else(unnamed, Ok)?) } else { None };
        let mut all: Vec<Effect> =
            evidence.map(|(digest, content)| Effect::PutEvidence { digest, content }).into_iter().collect();
        all.extend(effects(&[entry], instance, &folded.workflow, action.as_ref(), &Recipients::default()));
        // What was spent is told by nobody any more.
        all.retain(|effect| !matches!(effect, Effect::Settle { .. }));
        let signer = signer(&sealed)?;
        if !ends_chain {
            let folded = Folded { waiting_since, index: index.clone(), ..folded };
            self.0.insert(key, folded);
        }
        Ok(Append {
            tenant: tenant.clone(),
            instance: id,
            expected,
            artifacts: vec![NewArtifact { sealed, ends_chain, signer }],
            index,
            guards: Vec::new(),
            effects: all,
            idempotency: None,
        })
    }

    /// Returns how many instances have not ended.
    pub fn unfinished(&self) -> usize {
        self.0.len()
    }

    /// Returns how many of them wait for humans.
    pub fn waiting(&self) -> usize {
        self.0.values().filter(|folded| folded.instance.gate().is_some()).count()
    }
}

fn unnamed() -> Result<Name, EngineError> {
    Name::parse(UNNAMED).map_err(|error| EngineError::Damaged { what: error.to_string() })
}

/// Returns the beginning of the id of the key that signed an artifact.
pub fn signer(sealed: &SealedArtifact) -> Result<[u8; 8], EngineError> {
    let damaged = |what: String| EngineError::Damaged { what };
    let envelope = Envelope::parse(&sealed.envelope).map_err(|error| damaged(error.to_string()))?;
    let signature = envelope.signatures.first().ok_or_else(|| damaged("nobody has signed it".to_owned()))?;
    Ok(KeyId::parse(&signature.key_id).map_err(|error| damaged(error.to_string()))?.short())
}

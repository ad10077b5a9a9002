//! Believing the answer that lets a call start: what was signed says it of this call, this action and this grant.

use gantral_api::wire::{CallAllowed, Document};
use gantral_core::action::{Action, ActionError};
use gantral_core::ids::WorkflowId;
use gantral_core::json::ParseError;
use gantral_core::state::State;

use crate::chain::{ChainError, Folded, fold, keyring};
use crate::runner::Pinned;

/// Why an answer is not believed. The server, or whoever is between, is at fault; nothing may be done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unbelieved {
    /// The chain itself.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain is about something else than was asked.
    #[error("the chain is about another {what}")]
    Other {
        /// What differs.
        what: &'static str,
    },
    /// The chain does not say that the call is being carried out.
    #[error("the chain says that the call is {state}")]
    State {
        /// The state.
        state: State,
    },
    /// The chain consumed another grant, none, or for somebody else.
    #[error("the grant is not the one that was used up for this caller")]
    Grant,
    /// The action is not JSON.
    #[error("the action is not acceptable JSON: {0}")]
    ActionJson(ParseError),
    /// The action is not one.
    #[error("the action: {0}")]
    NoAction(#[from] ActionError),
    /// The action is not what was authorised.
    #[error("the action does not open the commitment that was authorised")]
    Action,
}

/// Verifies that pinned keys signed what the answer says.
///
/// # Errors
/// The first thing that is wrong; the same for the same bytes.
pub fn verify(allowed: &CallAllowed, pinned: &Pinned, workflow: &WorkflowId) -> Result<(), Unbelieved> {
    let sealed = allowed.artifacts.iter().map(|receipt| receipt.envelope.clone());
    let chain: Vec<Document> = allowed.earlier.iter().cloned().chain(sealed).collect();
    let keys = keyring(&pinned.trust, &allowed.delegations);
    let Folded { instance, consumed, observed, .. } = fold(&chain, &keys)?;
    let identity = &instance.identity;
    let other = |what| Err(Unbelieved::Other { what });
    if identity.tenant != pinned.tenant {
        return other("tenant");
    }
    if identity.instance != *allowed.instance_id {
        return other("call");
    }
    if identity.workflow.id != *workflow {
        return other("workflow");
    }
    if instance.state() != State::Running {
        return Err(Unbelieved::State { state: instance.state() });
    }
    let action = Action::read(&allowed.action.to_value().map_err(Unbelieved::ActionJson)?)?;
    let commitment = action.commitment(&allowed.action_salt);
    let authorised = match (&allowed.grant_id, consumed, observed) {
        (Some(grant), Some(consumed), _) if allowed.enforced => {
            let own = consumed.executor.id == instance.created_by;
            let same = consumed.grant == **grant && allowed.act_by.is_some_and(|at| *at == consumed.act_by);
            if !own || !same {
                return Err(Unbelieved::Grant);
            }
            consumed.action
        }
        (None, None, Some(observed)) if !allowed.enforced => observed,
        _ => return Err(Unbelieved::Grant),
    };
    if commitment == authorised { Ok(()) } else { Err(Unbelieved::Action) }
}

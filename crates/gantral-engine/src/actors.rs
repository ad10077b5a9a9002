//! Who acts: principals become actors and requesters. The only place where an actor is made of a caller.

use gantral_core::event::{Actor, Requester};
use gantral_core::ids::{PersonId, Role};
use gantral_core::state::{ActorKind, HumanEvidence};
use gantral_identity::{Principal, PrincipalKind};

use crate::engine::{Call, Engine};
use crate::error::EngineError;

impl Engine {
    /// Returns the actor that a principal is. Humans act under their `person_id`, everybody else under their client.
    ///
    /// # Errors
    /// The store's, while a human is made known.
    pub async fn actor(
        &self,
        call: &mut Call,
        principal: &Principal,
        role: Option<Role>,
    ) -> Result<Actor, EngineError> {
        let kind = match principal.kind() {
            PrincipalKind::Human => ActorKind::Human,
            // It holds no proof by which anything is sealed, so that no artifact ever names one.
            PrincipalKind::Workload | PrincipalKind::Orchestrator => ActorKind::Workload,
            PrincipalKind::Runner => ActorKind::Runner,
        };
        let id = match principal.human() {
            Some(human) => {
                let salt = call.fresh.salt();
                self.0.registry.person(principal.tenant(), &human, salt).await?.actor()
            }
            None => principal.client().clone(),
        };
        Ok(Actor { id, kind, issuer: Some(principal.issuer().to_owned()), role })
    }

    /// Returns the requester chain of what a principal creates: the principal, with the human who owns it.
    pub(crate) async fn requester(
        &self,
        call: &mut Call,
        principal: &Principal,
        actor: &Actor,
    ) -> Result<Vec<Requester>, EngineError> {
        let owner: Option<PersonId> = match principal.owner() {
            Some(human) => {
                let salt = call.fresh.salt();
                Some(self.0.registry.person(principal.tenant(), human, salt).await?)
            }
            None => None,
        };
        let issuer = principal.issuer().to_owned();
        Ok(vec![Requester { id: actor.id.clone(), kind: actor.kind, issuer, owner }])
    }
}

/// How strong the evidence of a decision is when the server itself checked the token.
pub(crate) fn token_evidence(principal: &Principal) -> HumanEvidence {
    if principal.is_development() { HumanEvidence::Development } else { HumanEvidence::Operator }
}

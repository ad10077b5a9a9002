//! Asking, acting and deciding.

use super::{Client, ClientError};
use crate::wire::{
    Ask, AuthorityAnswer, Consume, ConsumeAnswer, Decide, Decided, Extend, Extended, GateList, GatePage,
    GateView, Moved, ProposeRule, ProposedRule, Reconcile, ReportOutcome, text,
};

/// # Errors
/// Each call as [`ClientError`] describes; the pages of the codes say what to do. Without an answer nothing is
/// authorised: never act on an error.
impl Client {
    /// Asks whether an action may be done, before it is done.
    pub async fn ask(&self, id: text::InstanceId, body: &Ask) -> Result<AuthorityAnswer, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "authority"], body).await
    }

    /// Uses a grant up, before the action starts.
    pub async fn consume(
        &self,
        id: text::InstanceId,
        grant: text::GrantId,
        body: &Consume,
    ) -> Result<ConsumeAnswer, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "grants", &grant.to_string(), "consume"], body).await
    }

    /// Reports what came of a consumed grant, also late.
    pub async fn report_outcome(
        &self,
        id: text::InstanceId,
        grant: text::GrantId,
        body: &ReportOutcome,
    ) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "grants", &grant.to_string(), "outcome"], body).await
    }

    /// Reports what came of an action that was only observed.
    pub async fn report_observed(
        &self,
        id: text::InstanceId,
        body: &ReportOutcome,
    ) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "outcome"], body).await
    }

    /// Settles an outcome that nobody knows, as an administrator.
    pub async fn reconcile(
        &self,
        id: text::InstanceId,
        grant: text::GrantId,
        body: &Reconcile,
    ) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "grants", &grant.to_string(), "reconcile"], body)
            .await
    }

    /// Lists open gates, earliest deadline first.
    pub async fn gates(&self, query: &GateList) -> Result<GatePage, ClientError> {
        self.list(&["v1", "gates"], query).await
    }

    /// Shows a gate with everything that an approver must see.
    pub async fn gate(&self, id: text::GateId) -> Result<GateView, ClientError> {
        self.get(&["v1", "gates", &id.to_string()]).await
    }

    /// Decides at a gate, or votes.
    pub async fn decide(&self, id: text::GateId, body: &Decide) -> Result<Decided, ClientError> {
        self.post(&["v1", "gates", &id.to_string(), "decisions"], body).await
    }

    /// Proposes a standing rule that lets pass what is like the call at a gate.
    pub async fn propose_rule(
        &self,
        id: text::GateId,
        body: &ProposeRule,
    ) -> Result<ProposedRule, ClientError> {
        self.post(&["v1", "gates", &id.to_string(), "rules"], body).await
    }

    /// Gives humans more time.
    pub async fn extend(&self, id: text::GateId, body: &Extend) -> Result<Extended, ClientError> {
        self.post(&["v1", "gates", &id.to_string(), "extend"], body).await
    }
}

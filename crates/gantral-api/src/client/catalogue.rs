//! Service, policies and workflows.

use std::time::Duration;

use super::send::Call;
use super::{Client, ClientError};
use crate::routes::Method;
use crate::wire::{
    Activate, AppliedWorkflow, ApplyWorkflow, AskDiff, AskWindow, ConfirmProposal, CountUnobserved, Counted,
    DeadLetterPage, Delegate, DelegationPage, Empty, Erase, Freezes, GovernancePage, Governed, Health,
    Issuers, Keys, Logins, Me, MineQuery, ModeLeaseView, ModesInForce, NameCandidate, PageQuery,
    PoliciesInForce, PolicyCandidates, PolicyDiff, PolicyPage, PolicyView, Proposal, ProposalPage,
    ProposalsQuery, PublishedPolicy, RefreshedIssuers, RetriedDeadLetters, RetryDeadLetters,
    RevokeDelegation, Scope, SetFreeze, SetMode, ShadowReport, ShadowReportQuery, UnobservedCounts,
    UnobservedQuery, WindowView, WorkflowPage, WorkflowView, text,
};

/// How long a comparison of policies is waited for: the minute that the server gives it, and some slack.
const COMPARED_WITHIN: Duration = Duration::from_secs(90);

/// # Errors
/// Each call as [`ClientError`] describes; the pages of the codes say what to do.
impl Client {
    /// Shows the caller as the server sees it.
    pub async fn me(&self) -> Result<Me, ClientError> {
        self.get(&["v1", "me"]).await
    }

    /// Shows how people log in. Needs no token.
    pub async fn logins(&self) -> Result<Logins, ClientError> {
        self.get(&["v1", "login"]).await
    }

    /// Lists the public keys that sign artifacts.
    pub async fn keys(&self) -> Result<Keys, ClientError> {
        self.get(&["v1", "keys"]).await
    }

    /// Asks whether the process answers. Tried once: whoever asks, asks again.
    pub async fn health(&self) -> Result<Health, ClientError> {
        self.without_retries().get(&["healthz"]).await
    }

    /// Asks whether the server may act. Tried once: whoever asks, asks again.
    pub async fn ready(&self) -> Result<Health, ClientError> {
        self.without_retries().get(&["readyz"]).await
    }

    /// Fetches the OpenAPI document of the server.
    pub async fn openapi(&self) -> Result<Vec<u8>, ClientError> {
        Ok(self.send(self.call(Method::Get, &["v1", "openapi.json"])?).await?.body)
    }

    /// Fetches metrics in the Prometheus text format.
    pub async fn metrics(&self) -> Result<Vec<u8>, ClientError> {
        Ok(self.send(self.call(Method::Get, &["metrics"])?).await?.body)
    }

    /// Publishes a policy bundle, a gzip-compressed tar archive.
    pub async fn publish_policy(&self, bundle: Vec<u8>) -> Result<PublishedPolicy, ClientError> {
        self.send(self.call(Method::Put, &["v1", "policies"])?.body(bundle, "application/gzip")).await?.read()
    }

    /// Lists policy bundles, newest first.
    pub async fn policies(&self, query: &PageQuery) -> Result<PolicyPage, ClientError> {
        self.list(&["v1", "policies"], query).await
    }

    /// Fetches a policy bundle as published.
    pub async fn policy(&self, version: text::PolicyVersionId) -> Result<Vec<u8>, ClientError> {
        self.archive(&["v1", "policies", &version.to_string()]).await
    }

    /// Shows when a policy bundle was published and who signed it.
    pub async fn policy_record(&self, version: text::PolicyVersionId) -> Result<PolicyView, ClientError> {
        self.get(&["v1", "policies", &version.to_string(), "record"]).await
    }

    /// Says what two policies make of recorded asks. Tried once, and waited for longer than it may take.
    pub async fn compare_policies(&self, body: &AskDiff) -> Result<PolicyDiff, ClientError> {
        let call = self.call(Method::Post, &["v1", "policy-diffs"])?.json(body)?;
        let timeout = call.timeout.max(COMPARED_WITHIN);
        self.without_retries().send(Call { timeout, ..call }).await?.read()
    }

    /// Says what policies make of the asks that come in beside the ones in force.
    pub async fn policy_candidates(&self) -> Result<PolicyCandidates, ClientError> {
        self.get(&["v1", "policy-candidates"]).await
    }

    /// Has a published policy evaluated beside the one in force for a scope, or no longer.
    pub async fn name_candidate(&self, body: &NameCandidate) -> Result<PolicyCandidates, ClientError> {
        self.write(Method::Post, &["v1", "policy-candidates"], body).await
    }

    /// Registers a workflow version, or activates another policy for it.
    pub async fn apply_workflow(
        &self,
        id: &text::WorkflowId,
        body: &ApplyWorkflow,
    ) -> Result<AppliedWorkflow, ClientError> {
        self.write(Method::Put, &["v1", "workflows", id.as_str()], body).await
    }

    /// Lists the governance chain from its beginning.
    pub async fn governance(&self, query: &PageQuery) -> Result<GovernancePage, ClientError> {
        self.list(&["v1", "governance"], query).await
    }

    /// Lists the policies in force, by scope.
    pub async fn activations(&self) -> Result<PoliciesInForce, ClientError> {
        self.get(&["v1", "activations"]).await
    }

    /// Fetches the bundle in force for a scope.
    pub async fn bundle_in_force(&self, scope: &Scope) -> Result<Vec<u8>, ClientError> {
        match scope {
            Scope::Tenant => self.archive(&["v1", "bundles", "tenant"]).await,
            Scope::Team { name } => self.archive(&["v1", "bundles", "teams", name.as_str()]).await,
            Scope::Workflow { name } => self.archive(&["v1", "bundles", "workflows", name.as_str()]).await,
        }
    }

    /// Puts a policy in force for a scope, or the one before it; where that takes two persons, proposes it.
    pub async fn activate(&self, body: &Activate) -> Result<Governed, ClientError> {
        self.post(&["v1", "activations"], body).await
    }

    /// Lists changes of the rules that wait, or waited, for a second person, newest first.
    pub async fn proposals(&self, query: &ProposalsQuery) -> Result<ProposalPage, ClientError> {
        self.list(&["v1", "proposals"], query).await
    }

    /// Shows a proposal. Confirms nothing.
    pub async fn proposal(&self, id: text::ProposalId) -> Result<Proposal, ClientError> {
        self.get(&["v1", "proposals", &id.to_string()]).await
    }

    /// Puts in force what another person proposed.
    pub async fn confirm_proposal(
        &self,
        id: text::ProposalId,
        body: &ConfirmProposal,
    ) -> Result<Governed, ClientError> {
        self.post(&["v1", "proposals", &id.to_string(), "confirm"], body).await
    }

    /// Takes a proposal back, as its author.
    pub async fn withdraw_proposal(&self, id: text::ProposalId) -> Result<Proposal, ClientError> {
        self.post(&["v1", "proposals", &id.to_string(), "withdraw"], &Empty {}).await
    }

    /// Lists where what policy says is enforced, and where only observed, by scope.
    pub async fn modes(&self) -> Result<ModesInForce, ClientError> {
        self.get(&["v1", "modes"]).await
    }

    /// Says whether what policy says of a scope is enforced or only observed; where that takes two persons, proposes it.
    pub async fn set_mode(&self, body: &SetMode) -> Result<Governed, ClientError> {
        self.post(&["v1", "modes"], body).await
    }

    /// Counts what would have been answered to asks that were only observed: one page.
    pub async fn shadow_report(&self, query: &ShadowReportQuery) -> Result<ShadowReport, ClientError> {
        self.list(&["v1", "shadow-report"], query).await
    }

    /// Fetches a signed lease of the modes of a workflow. It is believed by pinned keys only.
    pub async fn mode_lease(&self, workflow: &text::WorkflowId) -> Result<ModeLeaseView, ClientError> {
        self.get(&["v1", "workflows", workflow.as_str(), "mode-lease"]).await
    }

    /// Counts what was done while no server answered. May be sent again until it succeeds.
    pub async fn count_unobserved(&self, body: &CountUnobserved) -> Result<Counted, ClientError> {
        self.post(&["v1", "unobserved"], body).await
    }

    /// Lists what clients did while no server answered them.
    pub async fn unobserved(&self, query: &UnobservedQuery) -> Result<UnobservedCounts, ClientError> {
        self.list(&["v1", "unobserved"], query).await
    }

    /// Lists who may decide for whom.
    pub async fn delegations(&self, query: &MineQuery) -> Result<DelegationPage, ClientError> {
        self.list(&["v1", "delegations"], query).await
    }

    /// Lets another human decide under roles of the caller.
    pub async fn delegate(&self, body: &Delegate) -> Result<Governed, ClientError> {
        self.post(&["v1", "delegations"], body).await
    }

    /// Ends a delegation, as whoever gave it or as an administrator.
    pub async fn revoke_delegation(
        &self,
        delegation: text::Digest,
        body: &RevokeDelegation,
    ) -> Result<Governed, ClientError> {
        self.post(&["v1", "delegations", &delegation.to_string(), "revoke"], body).await
    }

    /// Lists what is frozen.
    pub async fn freezes(&self) -> Result<Freezes, ClientError> {
        self.get(&["v1", "freezes"]).await
    }

    /// Freezes a scope, as an administrator or one of its team, or lifts its freeze, as an administrator; where lifting takes two persons, proposes it.
    pub async fn set_freeze(&self, body: &SetFreeze) -> Result<Governed, ClientError> {
        self.post(&["v1", "freeze"], body).await
    }

    /// Erases content, or who a person is, as an administrator.
    pub async fn erase(&self, body: &Erase) -> Result<Governed, ClientError> {
        self.post(&["v1", "erasures"], body).await
    }

    /// Lists the identity providers whose keys are fetched, as an administrator.
    pub async fn issuers(&self) -> Result<Issuers, ClientError> {
        self.get(&["v1", "issuers"]).await
    }

    /// Fetches the keys of all identity providers now, as an administrator.
    pub async fn refresh_issuers(&self) -> Result<RefreshedIssuers, ClientError> {
        self.post(&["v1", "issuers", "refresh"], &Empty {}).await
    }

    /// Lists messages that no channel took, as an administrator.
    pub async fn dead_letters(&self, query: &PageQuery) -> Result<DeadLetterPage, ClientError> {
        self.list(&["v1", "dead-letters"], query).await
    }

    /// Lets messages that were given up wait again, as an administrator.
    pub async fn retry_dead_letters(
        &self,
        body: &RetryDeadLetters,
    ) -> Result<RetriedDeadLetters, ClientError> {
        self.post(&["v1", "dead-letters", "retry"], body).await
    }

    /// Asks which executions there were in a span of time, as an administrator.
    pub async fn window(&self, body: &AskWindow) -> Result<WindowView, ClientError> {
        self.post(&["v1", "windows"], body).await
    }

    /// Lists workflows by name.
    pub async fn workflows(&self, query: &PageQuery) -> Result<WorkflowPage, ClientError> {
        self.list(&["v1", "workflows"], query).await
    }

    /// Shows the active version of a workflow.
    pub async fn workflow(&self, id: &text::WorkflowId) -> Result<WorkflowView, ClientError> {
        self.get(&["v1", "workflows", id.as_str()]).await
    }
}

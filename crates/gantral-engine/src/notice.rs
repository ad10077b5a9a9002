//! Who is told of gates and proposals, and when approvers are reminded.
//!
//! What is told is written with the change that it is about, and says no more than where to look: it leaves the deployment. How it is
//! delivered is not the engine's matter.

use gantral_core::ids::{Name, Role, TeamId, TenantId, WorkflowId};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_core::workflow::Workflow;
use gantral_evidence::governance::{Detail, Scope};
use gantral_store::{Addressee, TellProposal};

use crate::engine::Engine;
use crate::error::EngineError;

/// After how much of a gate's stage approvers are reminded, in percent, rising.
const REMINDERS: [u8; 2] = [50, 90];

/// What somebody may be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NoticeKind {
    /// A gate opened.
    Opened,
    /// Half, or nine tenths, of the time of a gate's stage have passed.
    Reminder,
    /// Other roles are asked now.
    Escalated,
    /// A human gave humans more time.
    Extended,
    /// Somebody decided alone, by break-glass; told beside that it was decided.
    GlassBroken,
    /// Humans decided: approved, overridden or rejected.
    Decided,
    /// Nobody decided in time.
    Expired,
    /// Whoever asked has withdrawn it.
    Withdrawn,
    /// An administrator ended it.
    Cancelled,
    /// A change of the rules waits for a second person.
    Proposed,
}

impl NoticeKind {
    /// Every kind.
    pub const ALL: [Self; 10] = [
        Self::Opened,
        Self::Reminder,
        Self::Escalated,
        Self::Extended,
        Self::GlassBroken,
        Self::Decided,
        Self::Expired,
        Self::Withdrawn,
        Self::Cancelled,
        Self::Proposed,
    ];

    /// Returns its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "gate.opened",
            Self::Reminder => "gate.reminder",
            Self::Escalated => "gate.escalated",
            Self::Extended => "gate.extended",
            Self::GlassBroken => "gate.glass_broken",
            Self::Decided => "gate.decided",
            Self::Expired => "gate.expired",
            Self::Withdrawn => "gate.withdrawn",
            Self::Cancelled => "gate.cancelled",
            Self::Proposed => "proposal.opened",
        }
    }

    /// Returns the kind of a name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Returns its name as the store keeps it; always one.
    pub(crate) fn name(self) -> Option<Name> {
        Name::parse(self.as_str()).ok()
    }
}

/// Somebody who is told of gates and proposals of one tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    /// Its name, unique among all.
    pub name: Name,
    /// The tenant.
    pub tenant: TenantId,
    /// Only gates that ask one of these roles; all when empty. With roles, it is told of proposals only if `kinds` names them: those ask
    /// administrators.
    pub roles: Vec<Role>,
    /// Only gates of these teams; of all when empty.
    pub teams: Vec<TeamId>,
    /// Only gates of these workflows; of all when empty.
    pub workflows: Vec<WorkflowId>,
    /// Only of this; of everything when empty.
    pub kinds: Vec<NoticeKind>,
}

impl Recipient {
    fn takes(&self, tenant: &TenantId, team: &TeamId, workflow: &WorkflowId, kind: NoticeKind) -> bool {
        self.tenant == *tenant
            && (self.teams.is_empty() || self.teams.contains(team))
            && (self.workflows.is_empty() || self.workflows.contains(workflow))
            && (self.kinds.is_empty() || self.kinds.contains(&kind))
    }
}

/// Everybody who is told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recipients(pub Vec<Recipient>);

impl Recipients {
    /// Returns who is told of a proposal for a scope, and for a workflow the team that owns it: those who are told of some gate within.
    pub(crate) fn of_proposal(&self, tenant: &TenantId, scope: &Scope, team: Option<&TeamId>) -> Vec<Name> {
        let concerns = |of: &Recipient| match scope {
            Scope::Tenant => true,
            Scope::Team(team) => (of.teams.is_empty() || of.teams.contains(team)) && of.workflows.is_empty(),
            Scope::Workflow(workflow) => {
                (of.workflows.is_empty() || of.workflows.contains(workflow))
                    && (of.teams.is_empty() || team.is_some_and(|team| of.teams.contains(team)))
            }
        };
        let wants = |of: &Recipient| match of.kinds.as_slice() {
            [] => of.roles.is_empty(),
            kinds => kinds.contains(&NoticeKind::Proposed),
        };
        let told = self.0.iter().filter(|of| of.tenant == *tenant && wants(of) && concerns(of));
        told.map(|of| of.name.clone()).collect()
    }

    /// Returns who is told of something, if the roles that are asked then are theirs.
    pub(crate) fn of(
        &self,
        tenant: &TenantId,
        team: &TeamId,
        workflow: &WorkflowId,
        kind: NoticeKind,
    ) -> Vec<Addressee> {
        let told = self.0.iter().filter(|recipient| recipient.takes(tenant, team, workflow, kind));
        let addressee = |of: &Recipient| Addressee { name: of.name.clone(), roles: of.roles.clone() };
        told.map(addressee).collect()
    }
}

impl Engine {
    /// Returns the message about a proposal, if anybody is told.
    pub(crate) async fn tell_proposal(
        &self,
        tenant: &TenantId,
        detail: &Detail,
    ) -> Result<Option<TellProposal>, EngineError> {
        let (Detail::PolicyActivated { scope, .. }
        | Detail::ModeChanged { scope, .. }
        | Detail::Lifted { scope, .. }) = detail
        else {
            return Ok(None);
        };
        let owner = match scope {
            Scope::Workflow(workflow) => match self.workflow(tenant, workflow, None).await {
                Ok(found) => Some(found.team.clone()),
                Err(EngineError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            },
            Scope::Tenant | Scope::Team(_) => None,
        };
        let to = self.0.config.recipients.of_proposal(tenant, scope, owner.as_ref());
        let (word, named) = match scope {
            Scope::Tenant => ("tenant", None),
            Scope::Team(team) => ("team", Some(team.as_str())),
            Scope::Workflow(workflow) => ("workflow", Some(workflow.as_str())),
        };
        let (kind, proposes) = (NoticeKind::Proposed.name(), Name::parse(detail.kind().as_str()).ok());
        let (Some(kind), Some(proposes), Some(scope)) = (kind, proposes, Name::parse(word).ok()) else {
            return Ok(None);
        };
        let scope_name = named.and_then(|name| Name::parse(name).ok());
        Ok((!to.is_empty()).then_some(TellProposal { kind, proposes, scope, scope_name, to }))
    }

    /// Tells whether anybody is told when a gate of a workflow opens that asks its default approvers.
    pub fn is_told_of_gates(&self, tenant: &TenantId, workflow: &Workflow) -> bool {
        let told = self.0.config.recipients.of(tenant, &workflow.team, &workflow.id, NoticeKind::Opened);
        let asked = &workflow.floors.default_approvers;
        told.iter().any(|to| to.roles.is_empty() || to.roles.iter().any(|role| asked.contains(role)))
    }
}

/// Returns when the reminders of a stage are due, with their percentages. One that would come with the deadline, or with the beginning, is
/// none.
fn reminders(since: UnixMillis, deadline: UnixMillis) -> impl Iterator<Item = (u8, UnixMillis)> {
    let span = deadline.since(since).get();
    let at = move |percent: u8| {
        let passed = span.saturating_mul(u64::from(percent)).checked_div(100).unwrap_or_default();
        (percent, since.plus(DurationMs::new(passed)))
    };
    REMINDERS.into_iter().map(at).filter(move |(_, at)| *at > since && *at < deadline)
}

/// Returns when the first reminder of a stage after an instant is due.
pub(crate) fn next_reminder(
    since: UnixMillis,
    deadline: UnixMillis,
    after: UnixMillis,
) -> Option<UnixMillis> {
    reminders(since, deadline).map(|(_, at)| at).find(|at| *at > after)
}

/// Returns the percentages of the reminders that are due at `now`, from the one that was due at `first` on.
pub(crate) fn due_percents(
    since: UnixMillis,
    deadline: UnixMillis,
    first: UnixMillis,
    now: UnixMillis,
) -> impl Iterator<Item = u8> {
    reminders(since, deadline).filter(move |(_, at)| (first..=now).contains(at)).map(|(percent, _)| percent)
}

#[cfg(test)]
mod tests;

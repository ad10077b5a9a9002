//! Who is asking: made by verification of a token, and by nothing else.

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use gantral_core::ids::{ActorId, AttemptNo, InstanceId, Name, Role, TeamId, TenantId};
use gantral_core::time::{DurationMs, UnixMillis};
use serde::{Deserialize, Serialize};

use crate::capability::{
    Administrator, Approver, AttemptBearer, NotPermitted, Orchestrator, Requester, RunnerIdentity,
};
use crate::config::Executes;
use crate::dev::{DevelopmentRefused, development_allowed};
use crate::error::TokenError;
use crate::person::HumanSubject;
use crate::verifier::CLOCK_SKEW;

/// What a principal is. Comes from the configuration of issuer and client, never from a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A person.
    Human,
    /// An agent or a service that asks for authority.
    Workload,
    /// A process that starts attempts and reports their end.
    Runner,
    /// A program that keeps the time of executions and says when their work may begin. It can ask for nothing and decide nothing.
    Orchestrator,
}

impl PrincipalKind {
    /// Returns the word used in artifacts, policy input and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Human => "human",
            Self::Workload => "workload",
            Self::Runner => "runner",
            Self::Orchestrator => "orchestrator",
        }
    }
}

/// The one attempt that a token of ours is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptScope {
    /// The instance.
    pub instance: InstanceId,
    /// The attempt of that instance: the fencing number.
    pub attempt: AttemptNo,
}

/// The seconds between which a token counts, before skew.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Window {
    /// The later of `iat` and `nbf`.
    pub starts: UnixMillis,
    /// `exp`.
    pub ends: UnixMillis,
}

impl Window {
    /// Accepts from `starts - skew` to just before `ends + skew` (RFC 7519 sections 4.1.4 and 4.1.5).
    pub(crate) fn check(self, now: UnixMillis) -> Result<(), TokenError> {
        if now.plus(CLOCK_SKEW) < self.starts {
            Err(TokenError::NotYetValid)
        } else if now >= self.ends.plus(CLOCK_SKEW) {
            Err(TokenError::Expired)
        } else {
            Ok(())
        }
    }
}

/// What verification found out.
pub(crate) struct Facts {
    pub tenant: TenantId,
    pub kind: PrincipalKind,
    pub issuer: String,
    pub subject: String,
    pub client: ActorId,
    pub display_name: String,
    pub roles: BTreeSet<Role>,
    pub teams: BTreeSet<TeamId>,
    pub owner: Option<HumanSubject>,
    pub executes: Executes,
    pub queues: BTreeSet<Name>,
    pub attempt: Option<AttemptScope>,
    pub administrator: bool,
    pub development: bool,
    pub window: Window,
}

/// Who is asking. A cheap copy of one verification: an identity, not a permission; permissions are the values that
/// [`approver`](Self::approver) and its siblings give out, and those are not copied.
#[derive(Clone)]
pub struct Principal(Arc<Facts>);

impl Principal {
    pub(crate) fn new(facts: Facts) -> Self {
        Self(Arc::new(facts))
    }

    pub(crate) fn window(&self) -> Window {
        self.0.window
    }

    /// Returns the tenant, outside of which this principal sees and does nothing.
    pub fn tenant(&self) -> &TenantId {
        &self.0.tenant
    }

    /// Returns what this is: a human, a workload, a runner or an orchestrator.
    pub fn kind(&self) -> PrincipalKind {
        self.0.kind
    }

    /// Returns the issuer that vouches; for an attempt, the issuer of the workload it acts for.
    pub fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// Returns the subject as the issuer wrote it. For a human this is personal data: keep it out of logs.
    pub fn subject(&self) -> &str {
        &self.0.subject
    }

    /// Returns the client: for workloads and runners the name under which they act.
    pub fn client(&self) -> &ActorId {
        &self.0.client
    }

    /// Returns a name to show, at most 128 bytes. Untrusted: never decide, compare or join by it.
    pub fn display_name(&self) -> &str {
        &self.0.display_name
    }

    /// Returns the roles: a human's from mapped claims, a machine's from its client's configuration.
    pub fn roles(&self) -> &BTreeSet<Role> {
        &self.0.roles
    }

    /// Returns the teams: a human's from mapped claims, a machine's from its client's configuration.
    pub fn teams(&self) -> &BTreeSet<TeamId> {
        &self.0.teams
    }

    /// Returns the human who answers for a workload, from its client's configuration.
    pub fn owner(&self) -> Option<&HumanSubject> {
        self.0.owner.as_ref()
    }

    /// Returns who carries out what a workload asks for in a governed call, from its client's configuration; an attempt's own token
    /// always stands for the asking program itself.
    pub fn executes(&self) -> Executes {
        self.0.executes
    }

    /// Returns the queues that a runner may claim from, from its client's configuration.
    pub fn queues(&self) -> &BTreeSet<Name> {
        &self.0.queues
    }

    /// Returns when the token expires, without allowance for clock skew.
    pub fn expires_at(&self) -> UnixMillis {
        self.0.window.ends
    }

    /// Returns how long the token still counts at `now`, without allowance for clock skew; zero when it does not.
    pub fn remaining(&self, now: UnixMillis) -> DurationMs {
        self.0.window.ends.since(now)
    }

    /// Returns the attempt that the token is limited to, if it is.
    pub fn attempt(&self) -> Option<AttemptScope> {
        self.0.attempt
    }

    /// Returns the human, if this is one.
    pub fn human(&self) -> Option<HumanSubject> {
        match self.0.kind {
            PrincipalKind::Human => HumanSubject::new(&self.0.issuer, &self.0.subject).ok(),
            PrincipalKind::Workload | PrincipalKind::Runner | PrincipalKind::Orchestrator => None,
        }
    }

    /// Says whether a development issuer vouched, which proves nothing to anybody.
    pub fn is_development(&self) -> bool {
        self.0.development
    }

    /// Refuses a development identity that comes over anything but the loopback interface.
    pub fn allowed_from(&self, peer: &SocketAddr) -> Result<(), DevelopmentRefused> {
        if self.0.development { development_allowed(peer) } else { Ok(()) }
    }

    /// Returns the proof that this is a human, who may decide where eligible.
    pub fn approver(&self) -> Result<Approver, NotPermitted> {
        Approver::of(self)
    }

    /// Returns the proof that this may create work: a human or a workload, with a token that is not limited to an
    /// attempt.
    pub fn requester(&self) -> Result<Requester, NotPermitted> {
        Requester::of(self)
    }

    /// Returns the proof that this is a human with a configured administrator's role.
    pub fn administrator(&self) -> Result<Administrator, NotPermitted> {
        Administrator::of(self)
    }

    /// Returns the proof that this is a runner.
    pub fn runner(&self) -> Result<RunnerIdentity, NotPermitted> {
        RunnerIdentity::of(self)
    }

    /// Returns the proof that this is an orchestrator.
    pub fn orchestrator(&self) -> Result<Orchestrator, NotPermitted> {
        Orchestrator::of(self)
    }

    /// Returns the proof that this acts within one attempt.
    pub fn attempt_bearer(&self) -> Result<AttemptBearer, NotPermitted> {
        AttemptBearer::of(self)
    }

    pub(crate) fn holds_admin_role(&self) -> bool {
        self.0.administrator
    }
}

/// Shows what a log needs to tell principals apart, and nothing personal.
impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("tenant", &self.0.tenant)
            .field("kind", &self.0.kind)
            .field("client", &self.0.client)
            .field("attempt", &self.0.attempt)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Returns some principal, for tests of what carries one.
    pub(crate) fn principal() -> Principal {
        Principal::new(Facts {
            tenant: TenantId::parse("dev").unwrap(),
            kind: PrincipalKind::Human,
            issuer: "https://id.example".to_owned(),
            subject: "alice".to_owned(),
            client: ActorId::parse("console").unwrap(),
            display_name: "Alice".to_owned(),
            roles: BTreeSet::new(),
            teams: BTreeSet::new(),
            owner: None,
            executes: Executes::Itself,
            queues: BTreeSet::new(),
            attempt: None,
            administrator: false,
            development: false,
            window: Window { starts: UnixMillis::new(0).unwrap(), ends: UnixMillis::new(1_000).unwrap() },
        })
    }

    #[test]
    fn debug_of_a_principal_names_no_human() {
        let text = format!("{:?}", principal());
        assert!(!text.to_lowercase().contains("alice"), "{text}");
    }

    #[test]
    fn a_token_counts_from_a_skew_before_its_start_until_a_skew_after_its_end() {
        let at = |seconds: u64| UnixMillis::new(seconds * 1_000).unwrap();
        let window = Window { starts: at(1_000), ends: at(2_000) };
        for (seconds, expected) in [
            (939, Err(TokenError::NotYetValid)),
            (940, Ok(())),
            (2_059, Ok(())),
            (2_060, Err(TokenError::Expired)),
        ] {
            assert_eq!(window.check(at(seconds)), expected, "at {seconds}");
        }
    }
}

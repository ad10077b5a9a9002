//! The governance chain of one tenant, folded up to its head: what is in force, and which artifact said so last.

use std::collections::BTreeMap;

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, Name};
use gantral_core::time::UnixMillis;
use gantral_evidence::governance::{Detail, GovernanceStatement, InForce, Scope};
use gantral_store::Head;

/// The governance chain of one tenant, folded up to its head.
pub(super) struct Governed {
    pub(super) head: Option<Head>,
    pub(super) last_at: UnixMillis,
    pub(super) in_force: InForce,
    touched: BTreeMap<Topic, Touch>,
}

/// What one artifact can change, and a later one can change again.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Topic {
    Policy(Scope),
    Mode(Scope, Option<Name>),
    Freeze(Scope),
}

/// Which artifact was the newest about a topic, and whose it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Touch {
    sequence: u64,
    by: ActorId,
}

impl Default for Governed {
    fn default() -> Self {
        let (in_force, touched) = (InForce::default(), BTreeMap::new());
        Self { head: None, last_at: UnixMillis::EPOCH, in_force, touched }
    }
}

impl Topic {
    /// Returns what an event is about; `None` for events that nobody proposes.
    fn of(detail: &Detail) -> Option<Self> {
        match detail {
            Detail::PolicyActivated { scope, .. } => Some(Self::Policy(scope.clone())),
            Detail::ModeChanged { scope, action, .. } => Some(Self::Mode(scope.clone(), action.clone())),
            Detail::Frozen { scope, .. } | Detail::Lifted { scope, .. } => Some(Self::Freeze(scope.clone())),
            Detail::KeyAdded { .. }
            | Detail::KeyRetired { .. }
            | Detail::KeyCompromised { .. }
            | Detail::Delegated { .. }
            | Detail::DelegationRevoked { .. }
            | Detail::Enrolled { .. }
            | Detail::EnrolmentRevoked { .. }
            | Detail::Erased { .. } => None,
        }
    }
}

impl Governed {
    /// Applies the next statement of the chain, whose links were checked.
    ///
    /// # Errors
    /// The rule that it breaks; then nothing that was folded counts any more.
    pub(super) fn advance(&mut self, statement: &GovernanceStatement, hash: Digest) -> Result<(), String> {
        statement.check_proposer().map_err(|fault| fault.to_string())?;
        self.in_force.apply(&statement.detail, hash).map_err(|fault| fault.to_string())?;
        if let Some(topic) = Topic::of(&statement.detail) {
            let touch = Touch { sequence: statement.sequence, by: statement.actor.id.clone() };
            self.touched.insert(topic, touch);
        }
        self.head = Some(Head { sequence: statement.sequence, hash });
        self.last_at = statement.at;
        Ok(())
    }

    /// Returns the sequence of the newest artifact about the same thing as an event.
    pub(super) fn newest_about(&self, detail: &Detail) -> Option<u64> {
        Some(self.touched.get(&Topic::of(detail)?)?.sequence)
    }

    /// Returns every scope that is frozen, with the sequence of the artifact that says so.
    pub(super) fn freezes(&self) -> impl Iterator<Item = (&Scope, u64)> {
        self.in_force
            .frozen()
            .filter_map(|scope| Some((scope, self.touched.get(&Topic::Freeze(scope.clone()))?.sequence)))
    }

    /// Returns who froze a scope, or lifted its freeze, last.
    pub(super) fn froze(&self, scope: &Scope) -> Option<&ActorId> {
        Some(&self.touched.get(&Topic::Freeze(scope.clone()))?.by)
    }
}

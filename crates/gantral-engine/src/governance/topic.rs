//! The governance chain of one tenant, folded up to its head: what is in force, and which artifact said so last.

use std::collections::BTreeMap;

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, Name, PersonId, TenantId};
use gantral_core::time::UnixMillis;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::{Delegation, Detail, GovernanceKind, GovernanceStatement, InForce, Scope};
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::statement::artifact_hash;
use gantral_store::{Head, SealedArtifact};

use crate::loaded::{Keyring, is_signed, later};

/// The governance chain of one tenant, folded up to its head.
pub(crate) struct Governed {
    pub(crate) head: Option<Head>,
    pub(super) last_at: UnixMillis,
    /// The newest tree of the log that an artifact of the chain names.
    pub(super) anchor: Option<TreeHead>,
    pub(super) in_force: InForce,
    touched: BTreeMap<Topic, Touch>,
    /// Where the delegations stand that were not revoked.
    delegated: BTreeMap<u64, Digest>,
    /// When the enrolments were sealed that were not revoked.
    enrolled: BTreeMap<Digest, UnixMillis>,
    /// The newest instant of a ballot that rested on a delegation or an enrolment: what revokes one is not sealed before it.
    rested_at: UnixMillis,
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
        Self {
            head: None,
            last_at: UnixMillis::EPOCH,
            anchor: None,
            in_force: InForce::default(),
            touched: BTreeMap::new(),
            delegated: BTreeMap::new(),
            enrolled: BTreeMap::new(),
            rested_at: UnixMillis::EPOCH,
        }
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
    /// Applies the next artifact of the chain as it is stored, which is not trusted.
    ///
    /// # Errors
    /// What is wrong with it; then nothing that was folded counts any more.
    pub(crate) fn follow(
        &mut self,
        tenant: &TenantId,
        artifact: &SealedArtifact,
        keys: &Keyring<'_>,
    ) -> Result<(), String> {
        let envelope = Envelope::parse(&artifact.envelope).map_err(|error| error.to_string())?;
        if !is_signed(&envelope, keys) {
            return Err("an artifact is not signed by a key of this store".to_owned());
        }
        let statement = GovernanceStatement::decode(&envelope.payload).map_err(|error| error.to_string())?;
        let follows = statement.previous == self.head.map(|head| head.hash)
            && statement.sequence == artifact.sequence
            && statement.tenant == *tenant
            && artifact_hash(&envelope.payload) == artifact.hash
            && self.last_at <= statement.at;
        if !follows {
            return Err(format!("artifact {} does not follow the one before", artifact.sequence));
        }
        self.advance(&statement, artifact.hash)
    }

    /// Applies the next statement of the chain, whose links were checked.
    ///
    /// # Errors
    /// The rule that it breaks; then nothing that was folded counts any more.
    pub(super) fn advance(&mut self, statement: &GovernanceStatement, hash: Digest) -> Result<(), String> {
        statement.check_proposer().map_err(|fault| fault.to_string())?;
        self.in_force.apply(&statement.detail, hash).map_err(|fault| fault.to_string())?;
        self.anchor = later(statement.anchor, self.anchor);
        if let Some(topic) = Topic::of(&statement.detail) {
            let touch = Touch { sequence: statement.sequence, by: statement.actor.id.clone() };
            self.touched.insert(topic, touch);
        }
        if statement.detail.kind() == GovernanceKind::Delegated {
            self.delegated.insert(statement.sequence, hash);
        }
        if let Detail::DelegationRevoked { delegation } = &statement.detail {
            self.delegated.retain(|_, known| known != delegation);
        }
        match &statement.detail {
            Detail::Enrolled { entry, .. } => _ = self.enrolled.insert(*entry, statement.at),
            Detail::EnrolmentRevoked { entry } => _ = self.enrolled.remove(entry),
            _ => {}
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

    /// Returns the delegations that were neither revoked nor are over at `now`, with the sequence and the hash of each.
    pub(super) fn delegations(&self, now: UnixMillis) -> impl Iterator<Item = (u64, &Digest, &Delegation)> {
        let standing = self
            .delegated
            .iter()
            .filter_map(|(sequence, hash)| Some((*sequence, hash, self.in_force.delegation(hash)?)));
        standing.filter(move |(.., delegation)| now < delegation.not_after)
    }

    /// Returns whose an enrolment is, and since when, unless it was revoked.
    pub(super) fn enrolment(&self, entry: &Digest) -> Option<(PersonId, UnixMillis)> {
        Some((self.in_force.enrolment(entry)?, *self.enrolled.get(entry)?))
    }

    /// Remembers that a ballot of this instant rests on a delegation or an enrolment.
    pub(super) fn rested_on(&mut self, at: UnixMillis) {
        self.rested_at = self.rested_at.max(at);
    }

    /// Returns the instant of what is sealed next, by a clock that says `now`.
    pub(super) fn next_at(&self, now: UnixMillis) -> UnixMillis {
        now.max(self.last_at).max(self.rested_at)
    }

    /// Returns who froze a scope, or lifted its freeze, last.
    pub(super) fn froze(&self, scope: &Scope) -> Option<&ActorId> {
        Some(&self.touched.get(&Topic::Freeze(scope.clone()))?.by)
    }
}

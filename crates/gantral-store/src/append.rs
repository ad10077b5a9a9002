//! What one append carries, and what it answers.

use gantral_core::digest::{Digest, Hasher};
use gantral_core::ids::{
    ActorId, AttemptNo, GrantId, InstanceId, Name, SessionId, TeamId, TenantId, WorkflowId,
};
use gantral_core::time::UnixMillis;

use crate::changes::Change;
use crate::effect::{Effect, Guard};

/// The most artifacts that one append may carry.
pub const ARTIFACTS_MAX: usize = 64;
/// The most effects, and the most guards, that one append may carry.
pub const EFFECTS_MAX: usize = 256;
/// The largest signed envelope, in bytes.
pub const ENVELOPE_BYTES_MAX: usize = 1 << 20;
/// The largest snapshot, and the largest recorded answer, in bytes.
pub const SNAPSHOT_BYTES_MAX: usize = 4 << 20;
/// The longest route and the longest idempotency key, in bytes.
pub const SCOPE_BYTES_MAX: usize = 512;

/// The newest artifact of a chain: what an append is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// The number of the artifact, counted from 0.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// One signed artifact. Its bytes are stored as they are and never encoded again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedArtifact {
    /// The number in the chain, counted from 0.
    pub sequence: u64,
    /// The artifact's hash, which the next artifact names.
    pub hash: Digest,
    /// The signed envelope.
    pub envelope: Vec<u8>,
}

impl SealedArtifact {
    /// Returns the head that a chain has after this artifact.
    pub const fn head(&self) -> Head {
        Head { sequence: self.sequence, hash: self.hash }
    }
}

/// One artifact as it is appended: what is stored, and what its leaf in the log says beyond that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewArtifact {
    /// The artifact.
    pub sealed: SealedArtifact,
    /// Whether it ends its chain; then nothing may follow it.
    pub ends_chain: bool,
    /// The first eight bytes of the id of the key that signed it.
    pub signer: [u8; 8],
}

/// The caller's code for an authority state; the store compares and counts it, and knows no meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StateCode(pub u8);

/// The caller's code for an enforcement mode; opaque to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ModeCode(pub u8);

/// The columns by which an instance is found.
///
/// `state`, `mode`, `waiting_since`, `due_at`, `call_key` and `open` follow every append; the others are fixed by the
/// append that creates the instance, and ignored afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstanceIndex {
    /// The authority state after the append.
    pub state: StateCode,
    /// The weakest mode under which anything happened in the instance.
    pub mode: ModeCode,
    /// The team that owns the workflow.
    pub team: TeamId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The digest of the workflow version.
    pub workflow_version: Digest,
    /// The session that ties this instance to others.
    pub session: Option<SessionId>,
    /// Who created it.
    pub created_by: ActorId,
    /// When it was created.
    pub created_at: UnixMillis,
    /// Since when it waits for humans, if it does.
    pub waiting_since: Option<UnixMillis>,
    /// When the next step is due by itself, if any.
    pub due_at: Option<UnixMillis>,
    /// The key under which a retry of the same governed call finds this instance; unique in a tenant while `open`.
    pub call_key: Option<Digest>,
    /// Whether the instance can still move.
    pub open: bool,
}

/// Where an idempotency key is valid: another principal, attempt or route is another key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdempotencyScope {
    /// Who sent the request.
    pub principal: ActorId,
    /// The attempt on whose behalf; [`AttemptNo::NONE`] for everybody else.
    pub attempt: AttemptNo,
    /// The route, with the identifiers in its path, at most [`SCOPE_BYTES_MAX`] bytes.
    pub route: String,
    /// The key as sent, at most [`SCOPE_BYTES_MAX`] bytes.
    pub key: String,
}

impl IdempotencyScope {
    /// Returns the key under which a request of a tenant is remembered: a digest, whose first eight bytes are those of the instance or the
    /// gate in the route, where there is one. What is asked of one execution stands together then, and what is of one time does: a random key
    /// would dirty a page of the index for each request.
    pub(crate) fn digest(&self, tenant: &TenantId) -> Digest {
        let Self { principal, attempt, route, key } = self;
        let digest = Hasher::new("gantral/idempotency/v2")
            .text(tenant.as_str())
            .text(principal.as_str())
            .bytes(&attempt.0.to_be_bytes())
            .text(route)
            .text(key)
            .finish();
        // Gates are spelled as instances are.
        let Some(subject) = route.split('/').find_map(|part| InstanceId::parse(part).ok()) else {
            return digest;
        };
        let mut bytes = *digest.as_bytes();
        for (byte, of_subject) in bytes.iter_mut().zip(subject.as_bytes()).take(8) {
            *byte = *of_subject;
        }
        Digest::from_bytes(bytes)
    }
}

/// What is remembered of one keyed request, written by the append that it caused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyRow {
    /// Where the key is valid.
    pub scope: IdempotencyScope,
    /// The digest of the request body.
    pub body: Digest,
    /// The HTTP status of the first answer.
    pub status: u16,
    /// The first answer, or what is needed to build it again.
    pub answer: Vec<u8>,
    /// The instant of the request: a row that expired before it does not count.
    pub now: UnixMillis,
    /// From when the key may be used anew.
    pub expires_at: UnixMillis,
}

/// The first answer to a keyed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyAnswer {
    /// The instance whose chain was extended.
    pub instance: InstanceId,
    /// The sequence of the first artifact that the request made.
    pub first_sequence: u64,
    /// The sequence of the last artifact that the request made.
    pub last_sequence: u64,
    /// The HTTP status.
    pub status: u16,
    /// The recorded answer.
    pub answer: Vec<u8>,
}

/// What is known about an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdempotencyLookup {
    /// Nothing was committed under this key.
    Fresh,
    /// The same body was committed before; this is its answer.
    Replayed(IdempotencyAnswer),
    /// Another body was committed under this key.
    KeyReused,
}

impl IdempotencyLookup {
    /// Says what a request with this body is answered, by what was committed under its key before, if anything was.
    pub(crate) fn of(found: Option<(Digest, IdempotencyAnswer)>, body: &Digest) -> Self {
        match found {
            None => Self::Fresh,
            Some((stored, answer)) if stored == *body => Self::Replayed(answer),
            Some(_) => Self::KeyReused,
        }
    }
}

/// One durable transaction over one instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The tenant that owns the instance.
    pub tenant: TenantId,
    /// The instance whose chain grows.
    pub instance: InstanceId,
    /// The head that the caller decided upon; `None` creates the instance.
    pub expected: Option<Head>,
    /// The new artifacts, at least one, contiguous and following `expected`.
    pub artifacts: Vec<NewArtifact>,
    /// The index columns after the append.
    pub index: InstanceIndex,
    /// What must still stand, checked in order.
    pub guards: Vec<Guard>,
    /// What else commits with the artifacts, applied in order.
    pub effects: Vec<Effect>,
    /// The key of the request, if it had one.
    pub idempotency: Option<IdempotencyRow>,
}

/// How an append uses a grant up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GrantUse {
    pub(crate) id: GrantId,
    /// Whether the append has made it before.
    pub(crate) made_here: bool,
    /// Whether the append has used it up before.
    pub(crate) again: bool,
}

/// What came of an append. Only [`AppendOutcome::Committed`] wrote anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendOutcome {
    /// Everything is durable.
    Committed,
    /// The chain has another head: reload and decide again.
    Moved(Option<Head>),
    /// This guard does not stand.
    GuardFailed(Guard),
    /// Another open instance holds the call key: join it.
    CallKeyTaken(InstanceId),
    /// The same request was committed before; this is its answer.
    Replayed(IdempotencyAnswer),
    /// The idempotency key was used with another body.
    KeyReused,
}

impl Append {
    /// Returns the head that the chain has after this append; `None` when it carries no artifact.
    pub fn head(&self) -> Option<Head> {
        self.artifacts.last().map(|artifact| artifact.sealed.head())
    }

    /// Returns what is announced when this append has been committed.
    pub(crate) fn change(&self, head: Head, queue: Option<Name>) -> Change {
        Change {
            tenant: self.tenant.clone(),
            instance: self.instance,
            team: self.index.team.clone(),
            workflow: self.index.workflow.clone(),
            first: self.first(head),
            head,
            state: self.index.state,
            queue,
        }
    }

    /// Returns the sequence of the first artifact; `head` is that of the last.
    pub(crate) fn first(&self, head: Head) -> u64 {
        self.artifacts.first().map_or(head.sequence, |artifact| artifact.sealed.sequence)
    }

    /// Returns how the append uses grants up, in the order of its effects.
    pub(crate) fn uses_of_grants(&self) -> Vec<GrantUse> {
        let (mut made, mut uses) = (Vec::new(), Vec::<GrantUse>::new());
        for effect in &self.effects {
            match effect {
                Effect::PutGrant { id, .. } => made.push(*id),
                Effect::ConsumeGrant { id, .. } => {
                    let again = uses.iter().any(|earlier| earlier.id == *id);
                    uses.push(GrantUse { id: *id, made_here: made.contains(id), again });
                }
                Effect::OpenGate(_)
                | Effect::MoveGate { .. }
                | Effect::CloseGate { .. }
                | Effect::PutSnapshot { .. }
                | Effect::PutEvidence { .. }
                | Effect::Reserve { .. }
                | Effect::Settle { .. }
                | Effect::CountRule { .. }
                | Effect::PutTask { .. }
                | Effect::AssignTask { .. }
                | Effect::EndLease { .. }
                | Effect::DropTask
                | Effect::Remind { .. }
                | Effect::Tell(_) => {}
            }
        }
        uses
    }

    /// Checks what can be checked without the database; the answer names what is wrong.
    pub(crate) fn check(&self) -> Result<(), &'static str> {
        if self.artifacts.is_empty() {
            return Err("an append carries at least one artifact");
        }
        if self.artifacts.len() > ARTIFACTS_MAX
            || self.effects.len() > EFFECTS_MAX
            || self.guards.len() > EFFECTS_MAX
        {
            return Err("an append carries too many artifacts, effects or guards");
        }
        let mut next = self.expected.map_or(Some(0), |head| head.sequence.checked_add(1));
        for artifact in &self.artifacts {
            if Some(artifact.sealed.sequence) != next {
                return Err("the artifacts do not follow the head without a gap");
            }
            if artifact.sealed.envelope.len() > ENVELOPE_BYTES_MAX {
                return Err("an envelope is too large");
            }
            next = if artifact.ends_chain { None } else { artifact.sealed.sequence.checked_add(1) };
        }
        if self.effects.iter().any(|effect| effect.bytes() > SNAPSHOT_BYTES_MAX) {
            return Err("a snapshot is too large");
        }
        match &self.idempotency {
            Some(row) if row.scope.route.len() > SCOPE_BYTES_MAX || row.scope.key.len() > SCOPE_BYTES_MAX => {
                Err("the route or the idempotency key is too long")
            }
            Some(row) if row.answer.len() > SNAPSHOT_BYTES_MAX => Err("the recorded answer is too large"),
            Some(_) | None => Ok(()),
        }
    }
}

//! What the columns of an answer mean: for each kind of row the columns that are asked for, in their order, and how they are read.

use gantral_core::ids::{
    ActorId, AttemptNo, GateId, GrantId, Name, ProposalId, SessionId, TeamId, TenantId, WorkflowId,
};
use gantral_core::policy::PolicyVersionId;

use crate::append::{Head, IdempotencyAnswer, InstanceIndex, ModeCode, SealedArtifact, StateCode};
use crate::archive::{ArchiveStep, ArchivedObject, NumberedArtifact};
use crate::candidates::{CandidateScope, PolicyCandidate};
use crate::columns::{
    Cells, array, attempt, bytes, count, digest, envelope, instance, instant, label, maybe, maybe_digest,
    maybe_instant, maybe_text, name, salt, small, split, string, text, uuid,
};
use crate::commits::{Commit, Kept};
use crate::effect::GateRow;
use crate::enrolments::StoredEnrolment;
use crate::governance::NO_INSTANCE;
use crate::log::{ChainId, CommittedArtifact, CommittedSeal, LogRow};
use crate::outbox::{About, DueReminder, Gathered, OutboxCount, OutboxRow, ToldGate, ToldProposal};
use crate::proposals::{ProposalEnd, ProposalEnding, ProposalReason, StoredProposal};
use crate::rows::{
    Closing, GrantRow, InstanceRow, LeaseRow, PolicyBundleRow, PolicySignature, Snapshot, SnapshotContent,
    SnapshotPlace, StoredGate, TaskRow, WorkflowRow,
};
use crate::sessions::SessionRow;
use crate::unobserved::Unobserved;

type Read<R, T> = Result<T, <R as Cells>::Fault>;

pub(crate) const INSTANCE: &str =
    "id, head_sequence, head_hash, state, mode, open, waiting_since, due_at, call_key, team, workflow,
    workflow_version, session, created_by, created_at";

/// Reads a row of [`INSTANCE`].
pub(crate) fn instance_row<R: Cells>(row: &R) -> Read<R, InstanceRow> {
    Ok(InstanceRow {
        id: instance(row, 0)?,
        head: Head { sequence: count(row, 1)?, hash: digest(row, 2)? },
        index: InstanceIndex {
            state: StateCode(small(row, 3)?),
            mode: ModeCode(small(row, 4)?),
            open: row.flag(5)?,
            waiting_since: maybe_instant(row, 6)?,
            due_at: maybe_instant(row, 7)?,
            call_key: maybe_digest(row, 8)?,
            team: text(row, 9, TeamId::parse)?,
            workflow: text(row, 10, WorkflowId::parse)?,
            workflow_version: digest(row, 11)?,
            session: maybe_text(row, 12, SessionId::parse)?,
            created_by: text(row, 13, ActorId::parse)?,
            created_at: instant(row, 14)?,
        },
    })
}

/// Reads sequence, hash and envelope from this column on.
pub(crate) fn artifact<R: Cells>(row: &R, from: usize) -> Read<R, SealedArtifact> {
    Ok(SealedArtifact {
        sequence: count(row, from)?,
        hash: digest(row, from.saturating_add(1))?,
        envelope: envelope(row, from.saturating_add(2))?,
    })
}

/// Of the table `gate` under the name `g`.
pub(crate) const GATE: &str =
    "g.id, g.instance, g.version, g.workflow, g.team, g.roles, g.action_name, g.deadline, g.opened_at,
    g.context, g.resolution, g.decided_by, g.closed_at";

/// Reads a row of [`GATE`].
pub(crate) fn stored_gate<R: Cells>(row: &R) -> Read<R, StoredGate> {
    let closing = maybe(row, 10, |row, index| {
        Ok(Closing {
            resolution: name(row, index)?,
            decided_by: maybe_text(row, 11, ActorId::parse)?,
            at: instant(row, 12)?,
        })
    })?;
    Ok(StoredGate {
        instance: instance(row, 1)?,
        gate: GateRow {
            id: uuid(row, 0, GateId::from_bytes)?,
            version: small(row, 2)?,
            workflow: text(row, 3, WorkflowId::parse)?,
            team: text(row, 4, TeamId::parse)?,
            roles: split(row, 5)?,
            action_name: name(row, 6)?,
            deadline: instant(row, 7)?,
            opened_at: instant(row, 8)?,
            context: digest(row, 9)?,
        },
        closing,
    })
}

pub(crate) const GRANT: &str = "id, instance, expires_at, consumed_by";

/// Reads a row of [`GRANT`].
pub(crate) fn grant<R: Cells>(row: &R) -> Read<R, GrantRow> {
    Ok(GrantRow {
        id: uuid(row, 0, GrantId::from_bytes)?,
        instance: instance(row, 1)?,
        expires_at: instant(row, 2)?,
        consumed_by: maybe(row, 3, small)?.map(AttemptNo),
    })
}

pub(crate) const TASK: &str = "t.instance, t.queue, t.team, t.ready_at, t.released";

/// Reads a row of [`TASK`].
pub(crate) fn task<R: Cells>(row: &R) -> Read<R, TaskRow> {
    Ok(TaskRow {
        instance: instance(row, 0)?,
        queue: name(row, 1)?,
        team: text(row, 2, TeamId::parse)?,
        ready_at: instant(row, 3)?,
        released: row.flag(4)?,
    })
}

pub(crate) const LEASE: &str = "tenant, instance, attempt, executor, until, ended";

/// Reads a row of [`LEASE`].
pub(crate) fn lease<R: Cells>(row: &R) -> Read<R, LeaseRow> {
    Ok(LeaseRow {
        tenant: text(row, 0, TenantId::parse)?,
        instance: instance(row, 1)?,
        attempt: attempt(row, 2)?,
        executor: text(row, 3, ActorId::parse)?,
        until: instant(row, 4)?,
        ended: row.flag(5)?,
    })
}

/// Reads sequence, commitment, label, salt, plaintext and the instant of an erasure.
pub(crate) fn snapshot<R: Cells>(row: &R) -> Read<R, Snapshot> {
    let content = match maybe_instant(row, 5)? {
        None => SnapshotContent::Kept { salt: salt(row, 3)?, plaintext: bytes(row, 4)? },
        Some(at) => SnapshotContent::Erased { at },
    };
    let place = SnapshotPlace { sequence: count(row, 0)?, commitment: digest(row, 1)? };
    Ok(Snapshot { place, label: label(row, 2)?, content })
}

/// Reads commitment, label, salt and plaintext.
pub(crate) fn kept<R: Cells>(row: &R) -> Read<R, Kept> {
    Ok(Kept {
        commitment: digest(row, 0)?,
        label: label(row, 1)?,
        salt: salt(row, 2)?,
        plaintext: bytes(row, 3)?,
    })
}

/// Reads number, instance, workflow version, sequence, hash and envelope.
pub(crate) fn commit<R: Cells>(row: &R) -> Read<R, Commit> {
    Ok(Commit {
        number: count(row, 0)?,
        instance: instance(row, 1)?,
        workflow_version: digest(row, 2)?,
        artifact: artifact(row, 3)?,
    })
}

pub(crate) const SESSION: &str = "id, issuer, subject, client, claims, started, ends";

/// Reads a row of [`SESSION`].
pub(crate) fn session<R: Cells>(row: &R) -> Read<R, SessionRow> {
    Ok(SessionRow {
        id: digest(row, 0)?,
        issuer: string(row, 1)?,
        subject: string(row, 2)?,
        client: string(row, 3)?,
        claims: string(row, 4)?,
        started: instant(row, 5)?,
        ends: instant(row, 6)?,
    })
}

/// Reads instance, first and last sequence, status and answer from this column on.
pub(crate) fn answer<R: Cells>(row: &R, from: usize) -> Read<R, IdempotencyAnswer> {
    Ok(IdempotencyAnswer {
        instance: instance(row, from)?,
        first_sequence: count(row, from.saturating_add(1))?,
        last_sequence: count(row, from.saturating_add(2))?,
        status: small(row, from.saturating_add(3))?,
        answer: bytes(row, from.saturating_add(4))?,
    })
}

pub(crate) const WORKFLOW: &str = "id, version, digest, team, definition, created_at";

/// Reads a row of [`WORKFLOW`].
pub(crate) fn workflow<R: Cells>(row: &R) -> Read<R, WorkflowRow> {
    Ok(WorkflowRow {
        id: text(row, 0, WorkflowId::parse)?,
        version: name(row, 1)?,
        digest: digest(row, 2)?,
        team: text(row, 3, TeamId::parse)?,
        definition: bytes(row, 4)?,
        created_at: instant(row, 5)?,
    })
}

/// Reads version and instant of a policy bundle, and the signature that counts.
pub(crate) fn policy_bundle<R: Cells>(row: &R) -> Read<R, PolicyBundleRow> {
    Ok(PolicyBundleRow {
        version: PolicyVersionId(digest(row, 0)?),
        created_at: instant(row, 1)?,
        signature: policy_signature(row, 2)?,
    })
}

/// Reads key, algorithm, scope and pinning from this column on; nothing where there is no key.
pub(crate) fn policy_signature<R: Cells>(row: &R, from: usize) -> Read<R, Option<PolicySignature>> {
    maybe(row, from, |row, from| {
        Ok(PolicySignature {
            key: string(row, from)?,
            algorithm: string(row, from.saturating_add(1))?,
            scope: maybe(row, from.saturating_add(2), string)?,
            pinned: row.flag(from.saturating_add(3))?,
        })
    })
}

pub(crate) const CANDIDATE: &str = "tenant, kind, name, version, set_at";

/// Reads a row of [`CANDIDATE`].
pub(crate) fn candidate<R: Cells>(row: &R) -> Read<R, PolicyCandidate> {
    let scope = match row.str(1)? {
        "tenant" => CandidateScope::Tenant,
        "team" => CandidateScope::Team(text(row, 2, TeamId::parse)?),
        "workflow" => CandidateScope::Workflow(text(row, 2, WorkflowId::parse)?),
        _ => return Err(R::damage(1, "not a scope of a policy")),
    };
    Ok(PolicyCandidate {
        tenant: text(row, 0, TenantId::parse)?,
        scope,
        version: PolicyVersionId(digest(row, 3)?),
        set_at: instant(row, 4)?,
    })
}

pub(crate) const PROPOSAL: &str = "number, body, commitment, salt, why, ending, ended_at, ended_by, sealed";

/// Reads a row of [`PROPOSAL`].
pub(crate) fn proposal<R: Cells>(row: &R) -> Read<R, StoredProposal> {
    let reason = match maybe_digest(row, 2)? {
        Some(commitment) => maybe(row, 3, |row, index| {
            Ok(ProposalReason { commitment, salt: salt(row, index)?, text: bytes(row, 4)? })
        })?,
        None => None,
    };
    let end = maybe(row, 5, |row, index| {
        let how = ProposalEnding::parse(row.str(index)?);
        Ok(ProposalEnd {
            how: how.ok_or_else(|| R::damage(index, "not an ending of a proposal"))?,
            at: instant(row, 6)?,
            by: maybe_text(row, 7, ActorId::parse)?,
            sealed: maybe(row, 8, count)?,
        })
    })?;
    Ok(StoredProposal { number: count(row, 0)?, body: bytes(row, 1)?, reason, end })
}

pub(crate) const ENROLMENT: &str =
    "number, entry, person, issuer, subject, payload, assertion, asked_at, envelope";

/// Reads a row of [`ENROLMENT`].
pub(crate) fn enrolment<R: Cells>(row: &R) -> Read<R, StoredEnrolment> {
    Ok(StoredEnrolment {
        number: count(row, 0)?,
        entry: digest(row, 1)?,
        person: text(row, 2, ActorId::parse)?,
        asked_by: maybe(row, 3, |row, index| Ok((string(row, index)?, string(row, 4)?)))?,
        payload: bytes(row, 5)?,
        assertion: bytes(row, 6)?,
        asked_at: instant(row, 7)?,
        envelope: maybe(row, 8, bytes)?,
    })
}

/// Reads hour, workflow, action and how often.
pub(crate) fn unobserved<R: Cells>(row: &R) -> Read<R, Unobserved> {
    Ok(Unobserved {
        hour: instant(row, 0)?,
        workflow: text(row, 1, WorkflowId::parse)?,
        action: name(row, 2)?,
        asks: count(row, 3)?,
    })
}

/// Of the table `outbox` under the name `o`.
pub(crate) const MESSAGE: &str =
    "o.number, o.recipient, o.tenant, o.kind, o.percent, o.at, o.subject, o.opened_at, o.deadline,
    o.resolution, o.instance, o.version, o.workflow, o.team, o.roles, o.action_name, o.proposes, o.scope, o.scope_name, o.queued_at,
    o.attempts, o.failure";

/// Reads a row of [`MESSAGE`].
pub(crate) fn message<R: Cells>(row: &R) -> Read<R, OutboxRow> {
    Ok(OutboxRow {
        number: count(row, 0)?,
        recipient: name(row, 1)?,
        tenant: text(row, 2, TenantId::parse)?,
        kind: name(row, 3)?,
        percent: maybe(row, 4, small)?,
        at: instant(row, 5)?,
        about: about(row)?,
        resolution: maybe_text(row, 9, Name::parse)?,
        queued_at: instant(row, 19)?,
        attempts: count(row, 20)?,
        failure: maybe(row, 21, string)?,
    })
}

/// Reads a row of [`MESSAGE`], and how what it is about has ended by now.
pub(crate) fn gathered<R: Cells>(row: &R) -> Read<R, Gathered> {
    Ok(Gathered { row: message(row)?, ended: maybe_text(row, 22, Name::parse)? })
}

fn about<R: Cells>(row: &R) -> Read<R, About> {
    let (opened_at, deadline) = (instant(row, 7)?, instant(row, 8)?);
    if !row.is_null(16)? {
        return Ok(About::Proposal(ToldProposal {
            id: uuid(row, 6, ProposalId::from_bytes)?,
            proposes: name(row, 16)?,
            scope: name(row, 17)?,
            scope_name: maybe_text(row, 18, Name::parse)?,
            opened_at,
            deadline,
        }));
    }
    Ok(About::Gate(ToldGate {
        id: uuid(row, 6, GateId::from_bytes)?,
        instance: instance(row, 10)?,
        version: small(row, 11)?,
        workflow: text(row, 12, WorkflowId::parse)?,
        team: text(row, 13, TeamId::parse)?,
        roles: split(row, 14)?,
        action_name: name(row, 15)?,
        opened_at,
        deadline,
    }))
}

/// Reads recipient, how many wait, since when the oldest does, and how many are dead.
pub(crate) fn outbox_count<R: Cells>(row: &R) -> Read<R, OutboxCount> {
    Ok(OutboxCount {
        recipient: name(row, 0)?,
        waiting: count(row, 1)?,
        oldest: maybe_instant(row, 2)?,
        dead: count(row, 3)?,
    })
}

pub(crate) const REMINDER: &str = "tenant, id, version, workflow, team, since, deadline, remind_at";

/// Reads a row of [`REMINDER`].
pub(crate) fn reminder<R: Cells>(row: &R) -> Read<R, DueReminder> {
    Ok(DueReminder {
        tenant: text(row, 0, TenantId::parse)?,
        gate: uuid(row, 1, GateId::from_bytes)?,
        version: small(row, 2)?,
        workflow: text(row, 3, WorkflowId::parse)?,
        team: text(row, 4, TeamId::parse)?,
        since: instant(row, 5)?,
        deadline: instant(row, 6)?,
        due: instant(row, 7)?,
    })
}

pub(crate) const LOG: &str = "tenant, size, root, checkpoint";

/// Reads a row of [`LOG`].
pub(crate) fn log<R: Cells>(row: &R) -> Read<R, LogRow> {
    Ok(LogRow {
        tenant: text(row, 0, TenantId::parse)?,
        size: count(row, 1)?,
        root: digest(row, 2)?,
        checkpoint: string(row, 3)?,
    })
}

/// Reads the artifact of a number and a tenant that are read already: the number of the one before it in column 1, then from column 3 chain,
/// sequence, hash, whether it ends its chain, and its signer; where that is null, its envelope.
pub(crate) fn committed<R: Cells>(row: &R, number: u64, tenant: &TenantId) -> Read<R, CommittedArtifact> {
    let chain = chain(row, 3)?;
    let seal = if row.is_null(6)? {
        CommittedSeal::Envelope(envelope(row, 8)?)
    } else {
        CommittedSeal::Told { ends_chain: row.flag(6)?, signer: array(row, 7)? }
    };
    Ok(CommittedArtifact {
        number,
        previous: maybe(row, 1, count)?,
        tenant: tenant.clone(),
        chain,
        sequence: count(row, 4)?,
        hash: digest(row, 5)?,
        seal,
    })
}

/// Of the table `artifact`, with the envelope.
pub(crate) const SEALED: &str = "number, instance, sequence, hash, envelope";

/// Reads a row of [`SEALED`].
pub(crate) fn sealed<R: Cells>(row: &R) -> Read<R, NumberedArtifact> {
    Ok(NumberedArtifact { number: count(row, 0)?, chain: chain(row, 1)?, sealed: artifact(row, 2)? })
}

pub(crate) const ARCHIVE: &str = "segment, size, number, head, version";

/// Reads a row of [`ARCHIVE`].
pub(crate) fn archive<R: Cells>(row: &R) -> Read<R, ArchiveStep> {
    Ok(ArchiveStep {
        segment: count(row, 0)?,
        size: count(row, 1)?,
        number: count(row, 2)?,
        head: digest(row, 3)?,
        version: maybe(row, 4, string)?,
    })
}

pub(crate) const ARCHIVED: &str = "name, digest, version";

/// Reads a row of [`ARCHIVED`].
pub(crate) fn archived<R: Cells>(row: &R) -> Read<R, ArchivedObject> {
    Ok(ArchivedObject { name: string(row, 0)?, digest: digest(row, 1)?, version: maybe(row, 2, string)? })
}

fn chain<R: Cells>(row: &R, index: usize) -> Read<R, ChainId> {
    match array(row, index)? {
        NO_INSTANCE => Ok(ChainId::Governance),
        _ => Ok(ChainId::Instance(instance(row, index)?)),
    }
}

//! What stands beside the chains: the statement of a window with its list, mode leases, and proposals, which nobody signs.

use gantral_core::digest::Digest;
use gantral_core::event::Actor;
use gantral_core::ids::{LogOrigin, Name, PersonId, ProposalId, Role, TenantId, WorkflowId};
use gantral_core::json::{self, Profile, Value};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::{ActorKind, Mode};
use gantral_core::time::UnixMillis;
use gantral_evidence::dsse::PAYLOAD_TYPE;
use gantral_evidence::governance::{Detail, GovernanceStatement, Proposal, Proposer, Scope};
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::mode_lease::{self, LIFETIME_MAX, ModeLease};
use gantral_evidence::statement::{STATEMENT_TYPE, Statement};
use gantral_evidence::window::{self, InstanceList, WindowStatement};

use super::artifact::payloads;
use crate::seeds::Vectors;
use crate::target::{Answer, Broken, Seen, Target, ensure, refused, twice};

const TOKENS: &[&str] = &[
    STATEMENT_TYPE,
    window::PREDICATE_TYPE,
    mode_lease::PREDICATE_TYPE,
    "\"1.0\"",
    "\"2.0\"",
    "\"crit\":[\"x\"]",
    "\"ext\":{\"x\":1}",
    "\"anchor\":null",
    "\"SHADOW\"",
    "\"state\":\"RUNNING\"",
    "2026-03-01T09:00:00.000Z",
    "urn:gantral:tenant:",
];

pub const WINDOW: Target = Target {
    name: "window",
    bytes_max: 65 << 10,
    tokens: TOKENS,
    seeds: |vectors| payloads(vectors, PAYLOAD_TYPE),
    check: check_window,
};
pub const INSTANCES: Target = Target {
    name: "instances",
    bytes_max: 64 << 10,
    tokens: &["gantral/instances/v1", "\"head_hash\":", "\"instance_id\":", "\"sequence\":9007199254740992"],
    seeds: |vectors| vectors.ending("/instances.json"),
    check: check_instances,
};
pub const MODE_LEASE: Target =
    Target { name: "mode_lease", bytes_max: 65 << 10, tokens: TOKENS, seeds: leases, check: check_lease };

pub const PROPOSAL: Target = Target {
    name: "proposal",
    bytes_max: 16 << 10,
    tokens: &[
        "\"follows\":null",
        "\"follows\":9007199254740992",
        "\"event\":\"frozen\"",
        "\"event\":\"lifted\"",
        "\"kind\":\"workload\"",
        "\"justification_commitment\":null",
    ],
    seeds: |_| proposals().unwrap_or_default(),
    check: check_proposal,
};

/// Returns proposals of every event that can be proposed.
fn proposals() -> Option<Vec<Vec<u8>>> {
    let at = UnixMillis::new(1_772_355_600_000).ok()?;
    let scope = Scope::Workflow(WorkflowId::parse("refund").ok()?);
    let version = PolicyVersionId(Digest::of(b"policy"));
    let details = [
        Detail::PolicyActivated { scope: scope.clone(), version, previous: Some(version) },
        Detail::ModeChanged { scope, action: Some(Name::parse("refund").ok()?), mode: Mode::Shadow },
        Detail::Lifted { scope: Scope::Tenant, epoch: 2 },
    ];
    let actor = Actor {
        id: PersonId(Digest::of(b"person")).actor(),
        kind: ActorKind::Human,
        issuer: Some("https://issuer.example".to_owned()),
        role: Some(Role::parse("PLATFORM_ADMIN").ok()?),
    };
    let proposal = |(follows, detail)| -> Option<Vec<u8>> {
        let justification = (follows > 0).then(|| Digest::of(b"why"));
        let proposal = Proposal {
            id: ProposalId::from_random([7; 16]),
            tenant: TenantId::parse("acme").ok()?,
            detail,
            follows: (follows > 0).then_some(follows),
            proposer: Proposer { actor: actor.clone(), at, justification },
            expires_at: at.plus(LIFETIME_MAX),
        };
        Some(proposal.encode())
    };
    (0..).zip(details).map(proposal).collect()
}

fn check_proposal(bytes: &[u8]) -> Answer {
    let proposal = match twice(|| Proposal::decode(bytes))? {
        Ok(proposal) => proposal,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(proposal.encode() == bytes, "a proposal has one spelling")?;
    ensure(proposal.detail.kind().is_proposable(), "only what takes two persons is proposed")?;
    ensure(proposal.proposer.actor.kind == ActorKind::Human, "only humans propose")?;
    Ok(Seen::Accepted)
}

/// Returns what the vectors hold, which are no leases, and leases of several shapes.
fn leases(vectors: &Vectors) -> Vec<Vec<u8>> {
    let mut seeds = told().unwrap_or_default();
    seeds.extend(payloads(vectors, PAYLOAD_TYPE));
    seeds
}

fn told() -> Option<Vec<Vec<u8>>> {
    let at = UnixMillis::new(1_772_355_600_000).ok()?;
    let plain = ModeLease {
        tenant: TenantId::parse("acme").ok()?,
        origin: LogOrigin::parse("log.example/acme").ok()?,
        workflow: WorkflowId::parse("refund").ok()?,
        mode: Mode::Shadow,
        actions: [].into(),
        governance_head: None,
        at,
        expires_at: at.plus(LIFETIME_MAX),
        anchor: None,
        blind: [5; 32],
    };
    let detailed = ModeLease {
        actions: [(Name::parse("close").ok()?, Mode::Enforce), (Name::parse("refund").ok()?, Mode::Shadow)]
            .into(),
        governance_head: Some(Digest::of(b"head")),
        anchor: Some(TreeHead { size: 12, root: Digest::of(b"root") }),
        ..plain.clone()
    };
    Some(vec![plain.encode(), detailed.encode()])
}

/// Tells whether a statement has no extensions, so that it has one spelling.
fn is_plain(payload: &[u8]) -> bool {
    let value = json::parse(payload, &Profile::DOCUMENT).ok();
    let ext = value.as_ref().and_then(|value| value.get("predicate")).and_then(|it| it.get("ext"));
    ext.and_then(Value::as_object).is_some_and(|ext| ext.iter().next().is_none())
}

/// Checks what holds of every statement that is signed beside the chains.
fn check_beside(bytes: &[u8], encoded: &[u8], is_same: bool) -> Result<(), Broken> {
    ensure(is_same, "a statement is written as one that is read as the same")?;
    ensure(
        !is_plain(bytes) || encoded == bytes,
        "a statement without extensions is written as the same bytes",
    )?;
    let other = Statement::decode(bytes).is_ok() || GovernanceStatement::decode(bytes).is_ok();
    ensure(!other, "no statement is of two kinds")
}

fn check_window(bytes: &[u8]) -> Answer {
    let decoded = match twice(|| WindowStatement::decode(bytes))? {
        Ok(decoded) => decoded,
        Err(error) => return Ok(refused(&error)),
    };
    let encoded = decoded.encode();
    check_beside(bytes, &encoded, WindowStatement::decode(&encoded).as_ref() == Ok(&decoded))?;
    ensure(ModeLease::decode(bytes).is_err(), "no statement is of two kinds")?;
    let over = decoded.from < decoded.to && decoded.to <= decoded.at;
    ensure(over, "a window was over when it was signed")?;
    Ok(Seen::Accepted)
}

fn check_instances(bytes: &[u8]) -> Answer {
    let list = match twice(|| InstanceList::parse(bytes))? {
        Ok(list) => list,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(list.encode() == bytes, "a list has one spelling")?;
    Ok(Seen::Accepted)
}

fn check_lease(bytes: &[u8]) -> Answer {
    let lease = match twice(|| ModeLease::decode(bytes))? {
        Ok(lease) => lease,
        Err(error) => return Ok(refused(&error)),
    };
    let encoded = lease.encode();
    check_beside(bytes, &encoded, ModeLease::decode(&encoded).as_ref() == Ok(&lease))?;
    let ends = lease.at < lease.expires_at && lease.expires_at <= lease.at.plus(LIFETIME_MAX);
    ensure(ends, "a lease ends, and within a day")?;
    Ok(Seen::Accepted)
}

//! Reading a governance statement: versions first, then the closed members, then what repeats what.

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::Actor;
use gantral_core::ids::{Name, TenantId, governance_tag};
use gantral_core::json::Value;
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::ActorKind;

use super::event::{Detail, GovernanceKind, Scope};
use super::{GovernanceStatement, PREDICATE_TYPE, Proposer, SUBJECT_PREFIX};
use crate::fields::{FieldError, Fields, Scalar};
use crate::keys::{KeyId, PublicKey};
use crate::statement::{
    Extended, LIST_MAX, StatementError, read_actor, read_anchor, read_extended_with, read_subject,
};

/// The one member that may be missing (G23).
const PROPOSED_BY: &str = "proposed_by";
const PREDICATE: [&str; 17] = [
    "actor",
    "anchor",
    "artifact_id",
    "artifact_version",
    "blind",
    "crit",
    "detail",
    "event",
    "ext",
    "governance_tag",
    "issued_at",
    "justification_commitment",
    "log_origin",
    "prev_artifact_hash",
    PROPOSED_BY,
    "sequence",
    "tenant_id",
];

impl Scalar for GovernanceKind {
    const EXPECTED: &'static str = "an event of a governance chain";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::parse)
    }
}

impl Scalar for CommitmentLabel {
    const EXPECTED: &'static str = "a label of a commitment";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::parse)
    }
}

impl Scalar for PublicKey {
    const EXPECTED: &'static str = "an Ed25519 public key as 64 lower-case hexadecimal digits";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(|text| Self::parse(text).ok())
    }
}

pub(super) fn statement(payload: &[u8]) -> Result<(GovernanceStatement, Vec<String>), StatementError> {
    let read = |predicate: &Fields<'_>, subject: &Value| {
        let statement = read_predicate(predicate)?;
        check_repeated(&statement.tenant, predicate, subject)?;
        Ok(statement)
    };
    let read = read_extended_with(payload, PREDICATE_TYPE, &PREDICATE, &[PROPOSED_BY], read)?;
    let Extended { statement, extensions } = read;
    Ok((statement, extensions))
}

fn read_predicate(fields: &Fields<'_>) -> Result<GovernanceStatement, StatementError> {
    let actor: Actor = read_actor(fields.value("actor")?)?;
    if actor.kind == ActorKind::Runner {
        let expected = "a human, a workload or the system";
        return Err(FieldError::Invalid { of: "actor", member: "kind", expected }.into());
    }
    let detail = detail(fields.get("event")?, fields.value("detail")?)?;
    let proposed_by = fields.maybe(PROPOSED_BY, proposer)?;
    if proposed_by.is_some() && !detail.kind().is_proposable() {
        let expected = "there for a policy, a mode or the end of a freeze only";
        return Err(FieldError::Invalid { of: "predicate", member: PROPOSED_BY, expected }.into());
    }
    Ok(GovernanceStatement {
        artifact_id: fields.get("artifact_id")?,
        tenant: fields.get("tenant_id")?,
        origin: fields.get("log_origin")?,
        sequence: fields.get("sequence")?,
        previous: fields.opt("prev_artifact_hash")?,
        actor,
        detail,
        justification: fields.opt("justification_commitment")?,
        proposed_by,
        at: fields.get("issued_at")?,
        anchor: fields.opt_with("anchor", read_anchor)?,
        blind: *fields.get::<Digest>("blind")?.as_bytes(),
    })
}

/// Reads who proposed what somebody else put in force (G23).
pub(super) fn proposer(value: &Value) -> Result<Proposer, FieldError> {
    let fields = Fields::open(value, PROPOSED_BY, ["actor", "at", "justification_commitment"].into_iter())?;
    let actor: Actor = read_actor(fields.value("actor")?)?;
    if actor.kind != ActorKind::Human {
        return Err(FieldError::Invalid { of: PROPOSED_BY, member: "actor", expected: "a human" });
    }
    Ok(Proposer { actor, at: fields.get("at")?, justification: fields.opt("justification_commitment")? })
}

pub(super) fn detail(kind: GovernanceKind, value: &Value) -> Result<Detail, FieldError> {
    let open = |names: &[&'static str]| Fields::open(value, "detail", names.iter().copied());
    Ok(match kind {
        GovernanceKind::KeyAdded => {
            let fields = open(&["key_id", "public_key", "role"])?;
            let key: PublicKey = fields.get("public_key")?;
            if fields.get::<KeyId>("key_id")? != key.id() {
                let expected = "the id of the public key";
                return Err(FieldError::Invalid { of: "detail", member: "key_id", expected });
            }
            Detail::KeyAdded { key, role: fields.get("role")? }
        }
        GovernanceKind::KeyRetired => Detail::KeyRetired { key: open(&["key_id"])?.get("key_id")? },
        GovernanceKind::KeyCompromised => {
            let fields = open(&["from_index", "key_id"])?;
            Detail::KeyCompromised { key: fields.get("key_id")?, from_index: fields.get("from_index")? }
        }
        GovernanceKind::PolicyActivated => {
            let fields = open(&["policy_version_id", "previous", "scope"])?;
            Detail::PolicyActivated {
                scope: scope(fields.value("scope")?)?,
                version: fields.get::<PolicyVersionId>("policy_version_id")?,
                previous: fields.opt("previous")?,
            }
        }
        GovernanceKind::ModeChanged => {
            let fields = open(&["action", "mode", "scope"])?;
            let (scope, action) = (scope(fields.value("scope")?)?, fields.opt("action")?);
            if action.is_some() && !matches!(scope, Scope::Workflow(_)) {
                let expected = "`null`, or an action where the scope is a workflow";
                return Err(FieldError::Invalid { of: "detail", member: "action", expected });
            }
            Detail::ModeChanged { scope, action, mode: fields.get("mode")? }
        }
        GovernanceKind::Frozen | GovernanceKind::Lifted => {
            let fields = open(&["epoch", "scope"])?;
            let (scope, epoch) = (scope(fields.value("scope")?)?, fields.get("epoch")?);
            if kind == GovernanceKind::Frozen {
                Detail::Frozen { scope, epoch }
            } else {
                Detail::Lifted { scope, epoch }
            }
        }
        GovernanceKind::Delegated => {
            let fields = open(&["from", "not_after", "not_before", "roles", "to"])?;
            let roles: Vec<_> = fields.scalars("roles", LIST_MAX)?;
            if roles.is_empty() {
                let expected = "a list of 1 to 64 roles";
                return Err(FieldError::Invalid { of: "detail", member: "roles", expected });
            }
            Detail::Delegated {
                from: fields.get("from")?,
                to: fields.get("to")?,
                roles,
                not_before: fields.get("not_before")?,
                not_after: fields.get("not_after")?,
            }
        }
        GovernanceKind::DelegationRevoked => {
            Detail::DelegationRevoked { delegation: open(&["delegation_hash"])?.get("delegation_hash")? }
        }
        GovernanceKind::Enrolled => {
            let fields = open(&["entry_digest", "person_id"])?;
            Detail::Enrolled { person: fields.get("person_id")?, entry: fields.get("entry_digest")? }
        }
        GovernanceKind::EnrolmentRevoked => {
            Detail::EnrolmentRevoked { entry: open(&["entry_digest"])?.get("entry_digest")? }
        }
        GovernanceKind::Erased => {
            let fields = open(&["commitment", "instance_id", "label"])?;
            Detail::Erased {
                instance: fields.opt("instance_id")?,
                commitment: fields.get("commitment")?,
                label: fields.get("label")?,
            }
        }
    })
}

fn scope(value: &Value) -> Result<Scope, FieldError> {
    let fields = Fields::open(value, "scope", ["kind", "name"].into_iter())?;
    let kind: String = fields.get("kind")?;
    let name: Option<Name> = fields.opt("name")?;
    Scope::of(&kind, name.as_ref()).ok_or(FieldError::Invalid {
        of: "scope",
        member: "kind",
        expected: "`tenant` without a name, or `team` or `workflow` with one",
    })
}

/// Checks the members that follow from the tenant: a reader may use either.
fn check_repeated(tenant: &TenantId, predicate: &Fields<'_>, subject: &Value) -> Result<(), StatementError> {
    let tag = governance_tag(tenant);
    if predicate.get::<Digest>("governance_tag")? != tag {
        return Err(StatementError::Disagrees("governance_tag"));
    }
    let (name, digest) = read_subject(subject)?;
    if name.strip_prefix(SUBJECT_PREFIX) == Some(tenant.as_str()) && digest == tag {
        Ok(())
    } else {
        Err(StatementError::Disagrees("subject"))
    }
}

//! Writing a governance statement: members in canonical order, without an intermediate value.

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::ids::{Name, governance_tag};
use gantral_core::json::{ObjectWriter, Writer};

use super::event::{Detail, Scope};
use super::{GovernanceStatement, PREDICATE_TYPE, Proposer, SUBJECT_PREFIX};
use crate::statement::{
    ARTIFACT_VERSION, STATEMENT_TYPE, write_actor, write_anchor, write_opt_digest, write_uuid,
};

/// Room for a typical artifact, so that writing one does not grow the buffer.
const TYPICAL_BYTES: usize = 2 << 10;

pub(super) fn statement(statement: &GovernanceStatement) -> Vec<u8> {
    let tag = governance_tag(&statement.tenant);
    Writer::object(TYPICAL_BYTES, |out| {
        out.str("_type", STATEMENT_TYPE);
        out.object("predicate", |out| {
            out.object("actor", |out| write_actor(out, &statement.actor));
            write_anchor(out, statement.anchor);
            out.str("artifact_id", &write_uuid(statement.artifact_id.as_bytes()));
            out.str("artifact_version", ARTIFACT_VERSION);
            out.hex("blind", &statement.blind);
            out.array("crit", |_| {});
            out.object("detail", |out| detail(out, &statement.detail));
            out.str("event", statement.detail.kind().as_str());
            out.object("ext", |_| {});
            out.hex("governance_tag", tag.as_bytes());
            out.str("issued_at", &statement.at.to_text());
            write_opt_digest(out, "justification_commitment", statement.justification.as_ref());
            out.str("log_origin", statement.origin.as_str());
            write_opt_digest(out, "prev_artifact_hash", statement.previous.as_ref());
            if let Some(by) = &statement.proposed_by {
                out.object("proposed_by", |out| proposer(out, by));
            }
            out.u64("sequence", statement.sequence);
            out.str("tenant_id", statement.tenant.as_str());
        });
        out.str("predicateType", PREDICATE_TYPE);
        out.array("subject", |out| {
            out.object(|out| {
                out.object("digest", |out| _ = out.hex("sha256", tag.as_bytes()));
                let mut name = String::from(SUBJECT_PREFIX);
                name.push_str(statement.tenant.as_str());
                out.str("name", &name);
            });
        });
    })
}

/// Writes who proposed it (G23).
pub(super) fn proposer(out: &mut ObjectWriter<'_>, proposer: &Proposer) {
    out.object("actor", |out| write_actor(out, &proposer.actor)).str("at", &proposer.at.to_text());
    write_opt_digest(out, "justification_commitment", proposer.justification.as_ref());
}

impl Detail {
    /// Returns the members of the event as canonical bytes (G2).
    pub fn to_canonical(&self) -> Vec<u8> {
        Writer::object(TYPICAL_BYTES, |out| detail(out, self))
    }
}

pub(super) fn detail(out: &mut ObjectWriter<'_>, detail: &Detail) {
    match detail {
        Detail::KeyAdded { key, role } => {
            out.hex("key_id", key.id().digest().as_bytes());
            out.hex("public_key", key.as_bytes()).str("role", role.as_str());
        }
        Detail::KeyRetired { key } => _ = out.hex("key_id", key.digest().as_bytes()),
        Detail::KeyCompromised { key, from_index } => {
            out.u64("from_index", *from_index).hex("key_id", key.digest().as_bytes());
        }
        Detail::PolicyActivated { scope: of, version, previous } => {
            out.hex("policy_version_id", version.0.as_bytes());
            write_opt_digest(out, "previous", previous.as_ref().map(|version| &version.0));
            scope(out, of);
        }
        Detail::ModeChanged { scope: of, action, mode } => {
            out.opt_str("action", action.as_ref().map(Name::as_str)).str("mode", mode.as_str());
            scope(out, of);
        }
        Detail::Frozen { scope: of, epoch } | Detail::Lifted { scope: of, epoch } => {
            out.u64("epoch", *epoch);
            scope(out, of);
        }
        Detail::Delegated { from, to, roles, not_before, not_after } => {
            out.hex("from", from.0.as_bytes());
            out.str("not_after", &not_after.to_text()).str("not_before", &not_before.to_text());
            out.array("roles", |out| {
                for role in roles {
                    out.str(role.as_str());
                }
            });
            out.hex("to", to.0.as_bytes());
        }
        Detail::DelegationRevoked { delegation } => {
            out.hex("delegation_hash", delegation.as_bytes());
        }
        Detail::Enrolled { person, entry } => {
            out.hex("entry_digest", entry.as_bytes()).hex("person_id", person.0.as_bytes());
        }
        Detail::EnrolmentRevoked { entry } => _ = out.hex("entry_digest", entry.as_bytes()),
        Detail::Erased { instance, commitment, label } => {
            out.hex("commitment", commitment.as_bytes());
            out.opt_str("instance_id", instance.map(|id| write_uuid(id.as_bytes())).as_deref());
            out.str("label", label.as_str());
        }
    }
}

fn scope(out: &mut ObjectWriter<'_>, scope: &Scope) {
    let (kind, name) = scope.parts();
    out.object("scope", |out| _ = out.str("kind", kind).opt_str("name", name));
}

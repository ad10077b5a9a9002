//! The statement of a mode lease. Source: `spec/governance.md` G17.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::{LogOrigin, Name, TenantId, WorkflowId, governance_tag};
use gantral_core::json::{Value, Writer};
use gantral_core::state::Mode;
use gantral_core::time::UnixMillis;

use super::LIFETIME_MAX;
use crate::fields::{FieldError, Fields};
use crate::governance::SUBJECT_PREFIX;
use crate::log::tree::TreeHead;
use crate::statement::{
    ARTIFACT_VERSION, STATEMENT_TYPE, StatementError, read_anchor, read_extended, read_subject, write_anchor,
    write_opt_digest,
};

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://gantral.dev/mode-lease/v1";
/// The most actions of one lease that have a mode of their own.
pub const ACTIONS_MAX: usize = 256;
const PREDICATE: [&str; 14] = [
    "actions",
    "anchor",
    "artifact_version",
    "blind",
    "crit",
    "expires_at",
    "ext",
    "governance_head",
    "governance_tag",
    "issued_at",
    "log_origin",
    "mode",
    "tenant_id",
    "workflow_id",
];
/// Room for a lease, so that writing one does not grow the buffer.
const TYPICAL_BYTES: usize = 1 << 10;

/// What an issuer says of the modes of one workflow, for a short while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeLease {
    /// The tenant.
    pub tenant: TenantId,
    /// Its log.
    pub origin: LogOrigin,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The mode of every action that is not in `actions`.
    pub mode: Mode,
    /// The actions that have a mode of their own; at most [`ACTIONS_MAX`].
    pub actions: BTreeMap<Name, Mode>,
    /// The newest governance artifact when it was said: what these modes come from.
    pub governance_head: Option<Digest>,
    /// When it was said.
    pub at: UnixMillis,
    /// Until when it holds, exclusive; at most [`LIFETIME_MAX`] later.
    pub expires_at: UnixMillis,
    /// The newest published checkpoint then.
    pub anchor: Option<TreeHead>,
    /// 32 random bytes.
    pub blind: [u8; 32],
}

impl ModeLease {
    /// Returns the canonical bytes: what is signed.
    pub fn encode(&self) -> Vec<u8> {
        let tag = governance_tag(&self.tenant);
        Writer::object(TYPICAL_BYTES, |out| {
            out.str("_type", STATEMENT_TYPE);
            out.object("predicate", |out| {
                out.array("actions", |out| {
                    for (action, mode) in &self.actions {
                        out.object(|out| _ = out.str("action", action.as_str()).str("mode", mode.as_str()));
                    }
                });
                write_anchor(out, self.anchor);
                out.str("artifact_version", ARTIFACT_VERSION).hex("blind", &self.blind);
                out.array("crit", |_| {});
                out.str("expires_at", &self.expires_at.to_text());
                out.object("ext", |_| {});
                write_opt_digest(out, "governance_head", self.governance_head.as_ref());
                out.hex("governance_tag", tag.as_bytes());
                out.str("issued_at", &self.at.to_text()).str("log_origin", self.origin.as_str());
                out.str("mode", self.mode.as_str()).str("tenant_id", self.tenant.as_str());
                out.str("workflow_id", self.workflow.as_str());
            });
            out.str("predicateType", PREDICATE_TYPE);
            out.array("subject", |out| {
                out.object(|out| {
                    out.object("digest", |out| _ = out.hex("sha256", tag.as_bytes()));
                    let mut name = String::from(SUBJECT_PREFIX);
                    name.push_str(self.tenant.as_str());
                    out.str("name", &name);
                });
            });
        })
    }

    /// Reads a payload, ignoring extensions that may be ignored.
    ///
    /// # Errors
    /// The first thing that is wrong, versions first.
    pub fn decode(payload: &[u8]) -> Result<Self, StatementError> {
        let read = |predicate: &Fields<'_>, subject: &Value| {
            let lease = read_predicate(predicate)?;
            let tag = governance_tag(&lease.tenant);
            let (name, digest) = read_subject(subject)?;
            let tenant = name.strip_prefix(SUBJECT_PREFIX) == Some(lease.tenant.as_str());
            if predicate.get::<Digest>("governance_tag")? != tag || !tenant || digest != tag {
                Err(StatementError::Disagrees("subject"))
            } else if lease.expires_at <= lease.at || lease.expires_at > lease.at.plus(LIFETIME_MAX) {
                Err(StatementError::Disagrees("expires_at"))
            } else {
                Ok(lease)
            }
        };
        read_extended(payload, PREDICATE_TYPE, &PREDICATE, read).map(|read| read.statement)
    }
}

fn read_predicate(fields: &Fields<'_>) -> Result<ModeLease, FieldError> {
    let listed = fields.list("actions", ACTIONS_MAX, |value| {
        let fields = Fields::open(value, "actions", ["action", "mode"].into_iter())?;
        Ok((fields.get::<Name>("action")?, fields.get::<Mode>("mode")?))
    })?;
    if !listed.is_sorted_by(|(one, _), (next, _)| one < next) {
        let expected = "a list by rising action, each once";
        return Err(FieldError::Invalid { of: "predicate", member: "actions", expected });
    }
    Ok(ModeLease {
        tenant: fields.get("tenant_id")?,
        origin: fields.get("log_origin")?,
        workflow: fields.get("workflow_id")?,
        mode: fields.get("mode")?,
        actions: listed.into_iter().collect(),
        governance_head: fields.opt("governance_head")?,
        at: fields.get("issued_at")?,
        expires_at: fields.get("expires_at")?,
        anchor: fields.opt_with("anchor", read_anchor)?,
        blind: *fields.get::<Digest>("blind")?.as_bytes(),
    })
}

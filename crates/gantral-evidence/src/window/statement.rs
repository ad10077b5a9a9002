//! The statement of a window. Source: `spec/window.md` X3.

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::{LogOrigin, TeamId, TenantId, WorkflowId};
use gantral_core::json::{Value, Writer};
use gantral_core::state::State;
use gantral_core::time::UnixMillis;

use crate::fields::{FieldError, Fields};
use crate::governance::SUBJECT_PREFIX;
use crate::log::tree::TreeHead;
use crate::statement::{
    ARTIFACT_VERSION, STATEMENT_TYPE, StatementError, read_anchor, read_extended, read_subject, write_anchor,
};

/// The type of the predicate.
pub const PREDICATE_TYPE: &str = "https://gantral.dev/window/v1";
const PREDICATE: [&str; 13] = [
    "anchor",
    "artifact_version",
    "blind",
    "count",
    "crit",
    "ext",
    "filter",
    "from",
    "instances_digest",
    "issued_at",
    "log_origin",
    "tenant_id",
    "to",
];
/// Room for a statement, so that writing one does not grow the buffer.
const TYPICAL_BYTES: usize = 1 << 10;

/// Which instances a window is about, beside their time. What is `None` is any.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WindowFilter {
    /// In this state when the statement was made.
    pub state: Option<State>,
    /// Of this team.
    pub team: Option<TeamId>,
    /// Of this workflow.
    pub workflow: Option<WorkflowId>,
}

/// What an issuer says was in a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowStatement {
    /// The tenant.
    pub tenant: TenantId,
    /// Its log.
    pub origin: LogOrigin,
    /// From when instances were created.
    pub from: UnixMillis,
    /// To before when.
    pub to: UnixMillis,
    /// Which of them.
    pub filter: WindowFilter,
    /// How many.
    pub count: u64,
    /// SHA-256 of the list.
    pub instances_digest: Digest,
    /// When it was said.
    pub at: UnixMillis,
    /// The newest published checkpoint then.
    pub anchor: Option<TreeHead>,
    /// 32 random bytes.
    pub blind: [u8; 32],
}

impl WindowStatement {
    /// Returns the canonical bytes: what is signed.
    pub fn encode(&self) -> Vec<u8> {
        Writer::object(TYPICAL_BYTES, |out| {
            out.str("_type", STATEMENT_TYPE);
            out.object("predicate", |out| {
                write_anchor(out, self.anchor);
                out.str("artifact_version", ARTIFACT_VERSION)
                    .hex("blind", &self.blind)
                    .u64("count", self.count);
                out.array("crit", |_| {});
                out.object("ext", |_| {});
                out.object("filter", |out| {
                    out.opt_str("state", self.filter.state.map(State::as_str));
                    out.opt_str("team", self.filter.team.as_ref().map(TeamId::as_str));
                    out.opt_str("workflow", self.filter.workflow.as_ref().map(WorkflowId::as_str));
                });
                out.str("from", &self.from.to_text());
                out.hex("instances_digest", self.instances_digest.as_bytes());
                out.str("issued_at", &self.at.to_text());
                out.str("log_origin", self.origin.as_str()).str("tenant_id", self.tenant.as_str());
                out.str("to", &self.to.to_text());
            });
            out.str("predicateType", PREDICATE_TYPE);
            out.array("subject", |out| {
                out.object(|out| {
                    out.object("digest", |out| _ = out.hex("sha256", self.instances_digest.as_bytes()));
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
        Self::decode_extended(payload).map(|(statement, _)| statement)
    }

    /// Reads a payload, and names the extensions that were ignored.
    pub(super) fn decode_extended(payload: &[u8]) -> Result<(Self, Vec<String>), StatementError> {
        let read = |predicate: &Fields<'_>, subject: &Value| {
            let statement = read_predicate(predicate)?;
            let (name, digest) = read_subject(subject)?;
            let tenant = name.strip_prefix(SUBJECT_PREFIX) == Some(statement.tenant.as_str());
            if statement.from >= statement.to || statement.to > statement.at {
                Err(StatementError::Disagrees("to"))
            } else if tenant && digest == statement.instances_digest {
                Ok(statement)
            } else {
                Err(StatementError::Disagrees("subject"))
            }
        };
        read_extended(payload, PREDICATE_TYPE, &PREDICATE, read).map(|read| (read.statement, read.extensions))
    }
}

fn read_predicate(fields: &Fields<'_>) -> Result<WindowStatement, FieldError> {
    let filter = Fields::open(fields.value("filter")?, "filter", ["state", "team", "workflow"].into_iter())?;
    Ok(WindowStatement {
        tenant: fields.get("tenant_id")?,
        origin: fields.get("log_origin")?,
        from: fields.get("from")?,
        to: fields.get("to")?,
        filter: WindowFilter {
            state: filter.opt("state")?,
            team: filter.opt("team")?,
            workflow: filter.opt("workflow")?,
        },
        count: fields.get("count")?,
        instances_digest: fields.get("instances_digest")?,
        at: fields.get("issued_at")?,
        anchor: fields.opt_with("anchor", read_anchor)?,
        blind: *fields.get::<Digest>("blind")?.as_bytes(),
    })
}

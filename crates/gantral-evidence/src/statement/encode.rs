//! Writing a statement: members in canonical order, without an intermediate value.

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::event::{Actor, WorkflowRef};
use gantral_core::ids::instance_tag;
use gantral_core::json::{ObjectWriter, Writer};
use gantral_core::state::State;

use super::encode_detail::detail;
use super::{ARTIFACT_VERSION, PREDICATE_TYPE, STATEMENT_TYPE, SUBJECT_PREFIX, Statement};
use crate::log::tree::TreeHead;

/// Room for a typical artifact, so that writing one does not grow the buffer.
const TYPICAL_BYTES: usize = 4 << 10;

/// Returns the text of a UUID without the formatting machinery: several stand in every artifact.
pub(crate) fn uuid(bytes: &[u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

pub(super) fn statement(statement: &Statement) -> Vec<u8> {
    let instance = uuid(statement.identity.instance.as_bytes());
    Writer::object(TYPICAL_BYTES, |out| {
        out.str("_type", STATEMENT_TYPE);
        out.object("predicate", |out| predicate(out, statement, &instance));
        out.str("predicateType", PREDICATE_TYPE);
        out.array("subject", |out| {
            out.object(|out| {
                out.object("digest", |out| {
                    out.hex("sha256", statement.identity.workflow.digest.as_bytes());
                });
                let mut name = String::with_capacity(SUBJECT_PREFIX.len() + instance.len());
                name.push_str(SUBJECT_PREFIX);
                name.push_str(&instance);
                out.str("name", &name);
            });
        });
    })
}

fn predicate(out: &mut ObjectWriter<'_>, statement: &Statement, instance: &str) {
    let Statement { identity, entry, .. } = statement;
    out.object("actor", |out| actor(out, &entry.actor));
    anchor(out, statement.anchor);
    out.str("artifact_id", &uuid(statement.artifact_id.as_bytes()));
    out.str("artifact_version", ARTIFACT_VERSION);
    out.u64("attempt", u64::from(entry.attempt.0));
    out.str("authority_state", statement.state.as_str());
    out.hex("blind", &statement.blind);
    out.array("crit", |_| {});
    out.object("detail", |out| detail(out, &entry.event));
    out.str("event", entry.event.kind().as_str());
    out.object("ext", |_| {});
    out.opt_str("from_state", statement.from_state.map(State::as_str));
    out.str("instance_id", instance);
    out.hex("instance_tag", instance_tag(&identity.tenant, &identity.instance).as_bytes());
    out.str("issued_at", &entry.at.to_text());
    out.str("log_origin", identity.origin.as_str());
    out.str("mode", entry.mode.as_str());
    opt_digest(out, "prev_artifact_hash", statement.previous.as_ref());
    out.hex("semantics_digest", statement.semantics.as_bytes());
    out.u64("sequence", statement.sequence);
    out.str("tenant_id", identity.tenant.as_str());
    out.object("workflow", |out| workflow(out, &identity.workflow));
}

/// Writes the member `anchor`.
pub(crate) fn anchor(out: &mut ObjectWriter<'_>, anchor: Option<TreeHead>) {
    out.opt_object("anchor", anchor, |out, anchor| {
        out.hex("root", anchor.root.as_bytes()).u64("size", anchor.size);
    });
}

/// Writes a digest, or `null`.
pub(crate) fn opt_digest(out: &mut ObjectWriter<'_>, name: &'static str, digest: Option<&Digest>) {
    out.opt_hex(name, digest.map(|digest| digest.as_bytes().as_slice()));
}

/// Writes the members of an actor.
pub(crate) fn actor(out: &mut ObjectWriter<'_>, actor: &Actor) {
    out.str("id", actor.id.as_str())
        .opt_str("issuer", actor.issuer.as_deref())
        .str("kind", actor.kind.as_str())
        .opt_str("role", actor.role.as_ref().map(|role| role.as_str()));
}

fn workflow(out: &mut ObjectWriter<'_>, workflow: &WorkflowRef) {
    out.hex("digest", workflow.digest.as_bytes())
        .str("id", workflow.id.as_str())
        .str("materiality", workflow.materiality.as_str())
        .str("version", workflow.version.as_str());
}

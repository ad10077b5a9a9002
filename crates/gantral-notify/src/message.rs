//! The form of a message: CloudEvents 1.0 in JSON (`spec/notifications.md` §2).
//!
//! A message leaves the deployment, so it says no more than where to look. That nothing else can come in is a matter of types: a row of
//! the outbox holds names, numbers and instants only.

use gantral_core::digest::Hasher;
use gantral_core::ids::Role;
use gantral_store::OutboxRow;
use serde::Serialize;

use crate::words::{look, url};

/// The media type of a message.
pub(crate) const MEDIA_TYPE: &str = "application/cloudevents+json";
/// How the identifier of a message begins.
const ID_PREFIX: &str = "msg_";
/// How many hexadecimal digits follow.
const ID_DIGITS: usize = 32;
/// What the version of the data is called; another one if a member changes its meaning or goes.
const SCHEMA: &str = "gantral/notification/v1";

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: String,
    time: String,
    subject: String,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    schema: &'static str,
    tenant: &'a str,
    team: &'a str,
    workflow: &'a str,
    instance_id: String,
    gate_id: String,
    gate_version: u32,
    action: &'a str,
    roles: Vec<&'a str>,
    opened_at: String,
    deadline: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resolution: Option<&'a str>,
    url: String,
    look: String,
}

/// Returns the identifier of a message: the same for every try, and for everybody who is told.
pub fn message_id(row: &OutboxRow) -> String {
    let digest = Hasher::new(SCHEMA)
        .text(row.tenant.as_str())
        .bytes(row.gate.id.as_bytes())
        .bytes(&row.gate.version.to_be_bytes())
        .text(row.kind.as_str())
        .bytes(&[row.percent.unwrap_or_default()])
        .finish();
    let digits: String = digest.to_hex().chars().take(ID_DIGITS).collect();
    format!("{ID_PREFIX}{digits}")
}

/// Returns the body of a message. `source` is the URL under which people reach the server.
///
/// # Errors
/// Never for a row that was read.
pub(crate) fn body(row: &OutboxRow, source: &str) -> Result<Vec<u8>, serde_json::Error> {
    let gate = row.gate.id.to_string();
    serde_json::to_vec(&CloudEvent {
        specversion: "1.0",
        id: message_id(row),
        source,
        r#type: format!("gantral.{}", row.kind),
        time: row.at.to_string(),
        subject: gate.clone(),
        datacontenttype: "application/json",
        data: Data {
            schema: SCHEMA,
            tenant: row.tenant.as_str(),
            team: row.gate.team.as_str(),
            workflow: row.gate.workflow.as_str(),
            instance_id: row.instance.to_string(),
            url: url(row, source),
            look: look(row),
            gate_id: gate,
            gate_version: row.gate.version,
            action: row.gate.action_name.as_str(),
            roles: row.gate.roles.iter().map(Role::as_str).collect(),
            opened_at: row.gate.opened_at.to_string(),
            deadline: row.gate.deadline.to_string(),
            percent: row.percent,
            resolution: row.resolution.as_ref().map(gantral_core::ids::Name::as_str),
        },
    })
}

#[cfg(test)]
pub(crate) mod tests;

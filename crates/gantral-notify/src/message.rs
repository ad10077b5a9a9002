//! The form of a message: CloudEvents 1.0 in JSON (`spec/notifications.md` §2).
//!
//! A message leaves the deployment, so it says no more than where to look, and what a workflow lets it show.

use gantral_core::ids::{Name, Role};
use gantral_core::time::UnixMillis;
use gantral_store::{About, OutboxRow, ToldGate, ToldProposal};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::told::{DIGEST_SCHEMA, Member, SCHEMA, Told, message_id};
use crate::words::{console, look, url};

/// The media type of a message.
pub(crate) const MEDIA_TYPE: &str = "application/cloudevents+json";

#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    r#type: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<String>,
    datacontenttype: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Data<'a> {
    Gate(GateData<'a>),
    Proposal(ProposalData<'a>),
    Digest(DigestData<'a>),
}

#[derive(Serialize)]
struct GateData<'a> {
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
    #[serde(skip_serializing_if = "Map::is_empty")]
    shown: Map<String, Value>,
    url: String,
    look: String,
}

#[derive(Serialize)]
struct ProposalData<'a> {
    schema: &'static str,
    tenant: &'a str,
    proposal_id: String,
    proposes: &'a str,
    scope: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope_name: Option<&'a str>,
    opened_at: String,
    deadline: String,
    url: String,
    look: String,
}

#[derive(Serialize)]
struct DigestData<'a> {
    schema: &'static str,
    tenant: &'a str,
    messages: Vec<DigestItem<'a>>,
    url: String,
}

#[derive(Serialize)]
struct DigestItem<'a> {
    id: String,
    r#type: String,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<&'a str>,
    data: Data<'a>,
}

/// Returns the body of what is said. `source` is the URL under which people reach the server, `now` when it is said.
///
/// # Errors
/// Never for rows that were read.
pub(crate) fn body(told: &Told, source: &str, now: UnixMillis) -> Result<Vec<u8>, serde_json::Error> {
    let tenant = told.tenant().map_or("", |tenant| tenant.as_str());
    let (r#type, time, subject, data) = match told {
        Told::One(row, members) => {
            let subject = Some(subject(row));
            (kind(row), row.at, subject, data(row, members, source))
        }
        Told::Many(items) => {
            let messages = items.iter().map(|item| DigestItem {
                id: message_id(&item.row),
                r#type: kind(&item.row),
                time: item.row.at.to_string(),
                ended: item.ended.as_ref().map(Name::as_str),
                data: data(&item.row, &[], source),
            });
            let (schema, messages) = (DIGEST_SCHEMA, messages.collect());
            let data = DigestData { schema, tenant, messages, url: console(source) };
            ("gantral.digest".to_owned(), now, None, Data::Digest(data))
        }
    };
    serde_json::to_vec(&CloudEvent {
        specversion: "1.0",
        id: told.id(),
        source,
        r#type,
        time: time.to_string(),
        subject,
        datacontenttype: "application/json",
        data,
    })
}

fn kind(row: &OutboxRow) -> String {
    format!("gantral.{}", row.kind)
}

fn subject(row: &OutboxRow) -> String {
    match &row.about {
        About::Gate(gate) => gate.id.to_string(),
        About::Proposal(proposal) => proposal.id.to_string(),
    }
}

fn data<'a>(row: &'a OutboxRow, members: &[Member], source: &str) -> Data<'a> {
    match &row.about {
        About::Gate(gate) => Data::Gate(of_gate(row, gate, members, source)),
        About::Proposal(proposal) => Data::Proposal(of_proposal(row, proposal, source)),
    }
}

fn of_gate<'a>(row: &'a OutboxRow, gate: &'a ToldGate, members: &[Member], source: &str) -> GateData<'a> {
    let shown = members.iter().map(|member| (member.pointer.clone(), Value::from(member.value.as_str())));
    GateData {
        schema: SCHEMA,
        tenant: row.tenant.as_str(),
        team: gate.team.as_str(),
        workflow: gate.workflow.as_str(),
        instance_id: gate.instance.to_string(),
        gate_id: gate.id.to_string(),
        gate_version: gate.version,
        action: gate.action_name.as_str(),
        roles: gate.roles.iter().map(Role::as_str).collect(),
        opened_at: gate.opened_at.to_string(),
        deadline: gate.deadline.to_string(),
        percent: row.percent,
        resolution: row.resolution.as_ref().map(Name::as_str),
        shown: shown.collect(),
        url: url(row, source),
        look: look(row),
    }
}

fn of_proposal<'a>(row: &'a OutboxRow, proposal: &'a ToldProposal, source: &str) -> ProposalData<'a> {
    ProposalData {
        schema: SCHEMA,
        tenant: row.tenant.as_str(),
        proposal_id: proposal.id.to_string(),
        proposes: proposal.proposes.as_str(),
        scope: proposal.scope.as_str(),
        scope_name: proposal.scope_name.as_ref().map(Name::as_str),
        opened_at: proposal.opened_at.to_string(),
        deadline: proposal.deadline.to_string(),
        url: url(row, source),
        look: look(row),
    }
}

#[cfg(test)]
pub(crate) mod tests;

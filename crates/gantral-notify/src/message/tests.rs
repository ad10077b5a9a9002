#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

use gantral_core::ids::{GateId, InstanceId, ProposalId, TeamId, TenantId, WorkflowId};
use gantral_store::Gathered;

use super::*;

pub(crate) fn row() -> OutboxRow {
    let (name, at) = (|text| Name::parse(text).unwrap(), |millis| UnixMillis::new(millis).unwrap());
    OutboxRow {
        number: 7,
        recipient: name("pager"),
        tenant: TenantId::parse("acme").unwrap(),
        kind: name("gate.reminder"),
        percent: Some(90),
        at: at(1_767_225_600_000),
        about: About::Gate(ToldGate {
            id: GateId::from_random([2; 16]),
            instance: InstanceId::from_random([1; 16]),
            version: 3,
            workflow: WorkflowId::parse("refund").unwrap(),
            team: TeamId::parse("payments").unwrap(),
            roles: vec![Role::parse("FINANCE_LEAD").unwrap(), Role::parse("CFO").unwrap()],
            action_name: name("refund"),
            opened_at: at(1_767_225_000_000),
            deadline: at(1_767_225_660_000),
        }),
        resolution: None,
        queued_at: at(0),
        attempts: 4,
        failure: Some("answered 500".to_owned()),
    }
}

/// Returns the gate that it is about.
pub(crate) fn gate() -> ToldGate {
    row().about.gate().unwrap().clone()
}

/// Returns a message about a proposal.
pub(crate) fn proposal() -> OutboxRow {
    let (name, at) = (|text| Name::parse(text).unwrap(), |millis| UnixMillis::new(millis).unwrap());
    let proposal = ToldProposal {
        id: ProposalId::from_random([3; 16]),
        proposes: name("policy_activated"),
        scope: name("team"),
        scope_name: Some(name("payments")),
        opened_at: at(1_767_225_000_000),
        deadline: at(1_767_225_660_000),
    };
    OutboxRow { kind: name("proposal.opened"), percent: None, about: About::Proposal(proposal), ..row() }
}

pub(crate) fn told(members: Vec<Member>) -> Told {
    Told::One(Box::new(row()), members)
}

fn written(told: &Told) -> String {
    String::from_utf8(body(told, "https://gantral.example.com", row().at).unwrap()).unwrap()
}

#[test]
fn a_message_is_a_cloud_event_that_says_where_to_look() {
    let text = written(&told(Vec::new()));
    let id = message_id(&row());
    let (gate, instance) = (gate().id, gate().instance);
    let expected = format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"https://gantral.example.com","type":"gantral.gate.reminder","time":"2026-01-01T00:00:00.000Z","subject":"{gate}","datacontenttype":"application/json","data":{{"schema":"gantral/notification/v1","tenant":"acme","team":"payments","workflow":"refund","instance_id":"{instance}","gate_id":"{gate}","gate_version":3,"action":"refund","roles":["FINANCE_LEAD","CFO"],"opened_at":"2025-12-31T23:50:00.000Z","deadline":"2026-01-01T00:01:00.000Z","percent":90,"url":"https://gantral.example.com/console/gates/{gate}","look":"gantral approvals show {gate}"}}}}"#
    );
    assert_eq!(text, expected);
}

#[test]
fn an_identifier_stands_for_what_happened_and_not_for_a_try() {
    let id = message_id(&row());
    assert!(id.starts_with("msg_") && id.len() == 36, "{id}");
    let again = OutboxRow { number: 9, recipient: Name::parse("audit").unwrap(), attempts: 0, ..row() };
    assert_eq!(message_id(&again), id);
    let moved = OutboxRow { about: About::Gate(ToldGate { version: 4, ..gate() }), ..row() };
    let others = [
        OutboxRow { percent: Some(50), ..row() },
        OutboxRow { kind: Name::parse("gate.opened").unwrap(), ..row() },
        OutboxRow { tenant: TenantId::parse("other").unwrap(), ..row() },
        moved,
    ];
    assert!(others.iter().all(|other| message_id(other) != id));
}

#[test]
fn what_a_workflow_lets_messages_show_stands_under_its_pointers() {
    let members = vec![Member { pointer: "/amount_minor".to_owned(), value: "4800".to_owned() }];
    let event: Value = serde_json::from_str(&written(&told(members))).unwrap();
    assert_eq!(event["data"]["shown"], serde_json::json!({"/amount_minor": "4800"}));
}

#[test]
fn a_proposal_says_what_would_be_sealed_and_where_to_confirm_it() {
    let event: Value = serde_json::from_str(&written(&Told::One(Box::new(proposal()), Vec::new()))).unwrap();
    let id = ProposalId::from_random([3; 16]).to_string();
    assert_eq!((&event["type"], &event["subject"]), (&"gantral.proposal.opened".into(), &id.as_str().into()));
    let data = serde_json::json!({
        "schema": "gantral/notification/v1", "tenant": "acme", "proposal_id": id, "proposes": "policy_activated",
        "scope": "team", "scope_name": "payments",
        "opened_at": "2025-12-31T23:50:00.000Z", "deadline": "2026-01-01T00:01:00.000Z",
        "url": format!("https://gantral.example.com/console/proposals/{id}"),
        "look": format!("gantral proposals show {id}"),
    });
    assert_eq!(event["data"], data);
}

#[test]
fn a_digest_holds_its_messages_and_is_known_by_them() {
    let ended = Some(Name::parse("approved").unwrap());
    let items = vec![Gathered { row: row(), ended: None }, Gathered { row: proposal(), ended }];
    let digest = Told::Many(items.clone());
    let event: Value = serde_json::from_str(&written(&digest)).unwrap();
    assert_eq!((&event["type"], &event["id"]), (&"gantral.digest".into(), &digest.id().into()));
    assert!(event.get("subject").is_none());
    assert_eq!(event["data"]["schema"], "gantral/digest/v1");
    let messages = event["data"]["messages"].as_array().unwrap();
    assert_eq!(messages[0]["id"], message_id(&row()));
    assert_eq!(
        (&messages[0]["type"], &messages[1]["ended"]),
        (&"gantral.gate.reminder".into(), &"approved".into())
    );
    assert!(messages[0].get("ended").is_none());
    assert_eq!(messages[0]["data"]["gate_id"], gate().id.to_string());
    let elsewhere = items.into_iter().map(|item| Gathered {
        row: OutboxRow { number: 99, attempts: 0, recipient: Name::parse("other").unwrap(), ..item.row },
        ..item
    });
    let again = Told::Many(elsewhere.collect());
    assert_eq!(again.id(), digest.id(), "what is said counts, and not to whom or how often");
    let Told::Many(mut items) = again else { unreachable!() };
    items.pop();
    assert_ne!(Told::Many(items).id(), digest.id());
}

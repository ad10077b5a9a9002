#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use gantral_core::ids::{GateId, InstanceId, Name, TeamId, TenantId, WorkflowId};
use gantral_core::time::UnixMillis;
use gantral_store::ToldGate;

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
        instance: InstanceId::from_random([1; 16]),
        gate: ToldGate {
            id: GateId::from_random([2; 16]),
            version: 3,
            workflow: WorkflowId::parse("refund").unwrap(),
            team: TeamId::parse("payments").unwrap(),
            roles: vec![Role::parse("FINANCE_LEAD").unwrap(), Role::parse("CFO").unwrap()],
            action_name: name("refund"),
            opened_at: at(1_767_225_000_000),
            deadline: at(1_767_225_660_000),
        },
        resolution: None,
        queued_at: at(0),
        attempts: 4,
        failure: Some("answered 500".to_owned()),
    }
}

#[test]
fn a_message_is_a_cloud_event_that_says_where_to_look() {
    let text = String::from_utf8(body(&row(), "https://gantral.example.com").unwrap()).unwrap();
    let id = message_id(&row());
    let (gate, instance) = (row().gate.id, row().instance);
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
    let mut moved = row();
    moved.gate.version = 4;
    let others = [
        OutboxRow { percent: Some(50), ..row() },
        OutboxRow { kind: Name::parse("gate.opened").unwrap(), ..row() },
        OutboxRow { tenant: TenantId::parse("other").unwrap(), ..row() },
        moved,
    ];
    assert!(others.iter().all(|other| message_id(other) != id));
}

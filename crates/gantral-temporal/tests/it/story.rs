//! What an instance goes through, and what Temporal knows of it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::place::{Place, wait_until, workflow};

/// Asks for a refund that a human decides on, and carries it out when it is started again.
pub const REFUND: &str = r#"
set -e
if [ -n "$GANTRAL_GRANT" ]; then
  gantral consume >/dev/null
  echo done >> done.txt
  gantral outcome SUCCEEDED --grant "$GANTRAL_GRANT"
  exit 0
fi
gantral ask refund --target order/1001 --set amount=4800
"#;

#[test]
fn an_instance_is_run_over_a_gate_and_its_workflow_ends_with_it() {
    let mut place = Place::start();
    place.apply(REFUND);
    place.start_runner();
    let id = place.create();
    place.reach(&id, "WAITING_FOR_HUMAN");
    // Eventually: visibility is for dashboards.
    let query = "GantralState = 'WAITING_FOR_HUMAN' AND GantralTenant = 'dev' AND GantralTeam = 'payments'";
    let listed = || {
        let output = place.temporal(&["workflow", "list", "--query", query, "--output", "json"]);
        String::from_utf8(output.stdout).unwrap().contains(&workflow(&id))
    };
    assert!(wait_until(listed), "{}", place.text("bridge.log"));

    place.approve(&id);
    let ended = place.reach(&id, "COMPLETED");
    assert_eq!(
        (ended["attempt"].as_u64(), ended["outcomes"][0]["status"].as_str()),
        (Some(2), Some("SUCCEEDED"))
    );
    let completed =
        || place.workflow(&id)["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_COMPLETED";
    assert!(wait_until(completed), "{}\n{}", place.workflow(&id), place.text("bridge.log"));

    // What Temporal keeps are references: not the action, not the people, not the input.
    let output = place.temporal(&["workflow", "show", "--workflow-id", &workflow(&id), "--output", "json"]);
    let mut told = String::new();
    payloads(&serde_json::from_slice(&output.stdout).unwrap(), &mut told);
    assert!(told.contains(&id) && told.contains("WAITING_FOR_HUMAN"), "{told}");
    for secret in ["order/1001", "4800", "alice", "refund-agent", "looked at the order"] {
        assert!(!told.contains(secret), "{secret}: {told}");
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        crate::replay::keep("over-a-gate", &place.history(&id));
    }
}

/// Gathers what every payload of a history says.
fn payloads(value: &Value, told: &mut String) {
    match value {
        Value::Object(members) => {
            if let Some(data) = members.get("data").and_then(Value::as_str) {
                told.push_str(&String::from_utf8(STANDARD.decode(data).unwrap()).unwrap());
            }
            members.values().for_each(|member| payloads(member, told));
        }
        Value::Array(items) => items.iter().for_each(|item| payloads(item, told)),
        _ => {}
    }
}

#[test]
fn a_gateway_that_is_asked_to_stop_hands_its_attempts_over() {
    let mut place = Place::start();
    // It runs for as long as the test wants.
    place.apply("touch began; while [ ! -e go ]; do sleep 0.1; done");
    place.start_runner();
    let id = place.create();
    place.reach(&id, "RUNNING");
    assert_eq!(place.bridge.take().unwrap().stop(), Some(0), "{}", place.text("bridge.log"));
    place.start_bridge();
    let agent = place.run(&["instances", "show", &id, "--json"]);
    assert!(agent.contains("RUNNING"), "nothing happened to what runs: {agent}");
    place.run(&["instances", "cancel", &id, "--as", "dave"]);
    let completed =
        || place.workflow(&id)["workflowExecutionInfo"]["status"] == "WORKFLOW_EXECUTION_STATUS_COMPLETED";
    assert!(wait_until(completed), "{}\n{}", place.workflow(&id), place.text("bridge.log"));
}

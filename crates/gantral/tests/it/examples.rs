//! The examples as they stand, launched by a runner from the root of the repository.

use serde_json::Value;

use crate::support::{World, part, repository};

/// Runs an example over its gate, with 480 approved of the 4,800 that it asks for; returns its ledger.
fn over_the_gate(folder: &str, workflow: &str) -> Vec<Value> {
    let root = repository();
    let mut world = World::start();
    let definition = root.join("examples").join(folder).join("workflow.toml");
    world.run(&["workflows", "apply", &definition.display().to_string()]).status(0);
    let data = world.path("data");
    let root = root.display().to_string();
    world.start_runner_with(
        &["--command-dir", &root, "--inherit", "EXAMPLE_DATA"],
        &[("EXAMPLE_DATA", data.as_path())],
    );
    let id = world.run(&["instances", "create", workflow]).status(0).word();
    let seen = world.reach(&id, "WAITING_FOR_HUMAN");
    assert_eq!(seen["gate"]["action"]["parameters"]["amount_minor"], 480_000);
    let gate = seen["gate"]["gate_id"].as_str().unwrap();
    let change = ["--set", "amount_minor=48000", "--reason", "only the shipping is refunded"];
    world.run(&[&["approvals", "override", gate][..], &change].concat()).status(0);
    let seen = world.reach(&id, "COMPLETED");
    assert_eq!(seen["attempt"], 2);
    assert_eq!(seen["outcomes"][0]["status"], "SUCCEEDED");
    assert_eq!(world.verified(&id, "a.gantral").status(0).json()["verdict"], "VALID");
    world.text("data/ledger.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn acted_once_as_approved(ledger: &[Value]) {
    assert_eq!(ledger.len(), 1, "{ledger:?}");
    assert_eq!(ledger[0]["action"]["parameters"]["amount_minor"], 48_000, "{ledger:?}");
}

#[test]
fn two_scripts_with_a_human_between_them_act_once_as_approved() {
    acted_once_as_approved(&over_the_gate("split-agent", "split-refund"));
}

fn framework_acts_once_as_approved(example: &str) {
    part(if example == "crewai-refund" { "crewai" } else { "agents" });
    acted_once_as_approved(&over_the_gate(example, example));
}

#[test]
fn langgraph_agent_is_resumed_in_a_new_process_and_acts_once_as_approved() {
    framework_acts_once_as_approved("langgraph-refund");
}

#[test]
fn pydantic_ai_agent_is_resumed_in_a_new_process_and_acts_once_as_approved() {
    framework_acts_once_as_approved("pydantic-ai-refund");
}

#[test]
fn openai_agents_agent_is_resumed_in_a_new_process_and_acts_once_as_approved() {
    framework_acts_once_as_approved("openai-agents-refund");
}

#[test]
fn crewai_flow_is_resumed_in_a_new_process_and_acts_once_as_approved() {
    framework_acts_once_as_approved("crewai-refund");
}

#[test]
fn autogen_team_is_resumed_in_a_new_process_and_acts_once_as_approved() {
    framework_acts_once_as_approved("autogen-refund");
}

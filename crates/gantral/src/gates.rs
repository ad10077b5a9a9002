//! Workflows that `gantral dev` has from the beginning, so that a gate is one command away.
//!
//! They are examples like any other: somebody who changes one keeps the change, because only what is missing is registered.

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_policy::bundle::Bundle;

use crate::commands::{policy, workflows};
use crate::failure::Failure;

/// One gate: a workflow, and the policy that is in force for it.
struct Gate {
    id: &'static str,
    workflow: &'static str,
    policy: &'static str,
    policy_test: &'static str,
}

macro_rules! gate {
    ($id:literal) => {
        Gate {
            id: $id,
            workflow: include_str!(concat!("../../../policies/", $id, "/workflow.toml")),
            policy: include_str!(concat!("../../../policies/", $id, "/policy.rego")),
            policy_test: include_str!(concat!("../../../policies/", $id, "/policy_test.rego")),
        }
    };
}

const GATES: &[Gate] = &[gate!("access"), gate!("commands"), gate!("http"), gate!("mcp"), gate!("tools")];

/// Registers the gates that are not there, as an administrator.
pub async fn install(client: &Client) -> Result<(), Failure> {
    for gate in GATES {
        let id = gate.id.parse().map_err(Failure::new)?;
        match client.workflow(&id).await {
            Ok(_) => continue,
            Err(error) if error.problem().is_some_and(|problem| problem.code() == Code::WorkflowUnknown) => {}
            Err(error) => return Err(error.into()),
        }
        let files = [("policy.rego", gate.policy), ("policy_test.rego", gate.policy_test)];
        let bundle = Bundle::from_files(files.map(|(path, text)| (path, text.as_bytes().to_vec())))
            .map_err(|error| Failure::new(error.to_string()))?;
        let (definition, _) = workflows::parse(gate.workflow).map_err(Failure::new)?;
        let published = policy::published(client, &bundle).await?;
        workflows::register(client, &id, &definition, Some(published.policy_version_id)).await?;
    }
    Ok(())
}

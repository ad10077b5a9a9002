//! What a rule is in force for, on the command line and on the screen.

use clap::{ArgGroup, Args};
use gantral_api::wire::{Scope, text};

use crate::failure::Failure;

/// A scope, at most one.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct ScopeArgs {
    /// For one workflow
    #[arg(long)]
    workflow: Option<text::WorkflowId>,
    /// For the workflows of a team that have none of their own
    #[arg(long)]
    team: Option<text::TeamId>,
    /// For every workflow of the tenant whose team has none either
    #[arg(long)]
    tenant: bool,
}

impl ScopeArgs {
    /// Returns the scope, if one was named.
    pub fn scope(&self) -> Option<Scope> {
        match (&self.workflow, &self.team, self.tenant) {
            (Some(name), _, _) => Some(Scope::Workflow { name: name.clone() }),
            (None, Some(name), _) => Some(Scope::Team { name: name.clone() }),
            (None, None, true) => Some(Scope::Tenant),
            (None, None, false) => None,
        }
    }

    /// Returns the scope where one must be named, which [`group`] sees to.
    pub fn named(&self) -> Result<Scope, Failure> {
        self.scope().ok_or_else(|| Failure::new("name `--workflow`, `--team` or `--tenant`"))
    }
}

/// Makes a scope required in the arguments that it is flattened into.
pub fn group() -> ArgGroup {
    ArgGroup::new("scope").required(true).args(["workflow", "team", "tenant"])
}

/// Returns a scope in words.
pub fn shown(scope: &Scope) -> String {
    match scope {
        Scope::Tenant => "the tenant".to_owned(),
        Scope::Team { name } => format!("team {name}"),
        Scope::Workflow { name } => format!("workflow {name}"),
    }
}

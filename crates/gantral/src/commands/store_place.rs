//! Where a server keeps its ledger, said on the command line.

use clap::{Args, ValueEnum};
use gantral_server::settings::Orchestrator;
use gantral_server::store::StoreSettings;

/// Options of commands that serve.
#[derive(Debug, Clone, Args)]
pub struct StorePlace {
    /// The database of the ledger, `postgres://user@host:port/database`, in place of what the configuration says; for any number of servers
    #[arg(long, value_name = "URL", env = "GANTRAL_STORE", hide_env_values = true)]
    store: Option<String>,
    /// Where its password is: `env:NAME` or `file:/path`
    #[arg(
        long,
        value_name = "REF",
        env = "GANTRAL_STORE_PASSWORD",
        hide_env_values = true,
        requires = "store"
    )]
    store_password: Option<String>,
}

/// Who says when work may begin, said on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OrchestratorChoice {
    /// The server itself
    Embedded,
    /// Temporal, by `gantral-temporal`: until it has released an attempt no runner is given it
    Temporal,
}

impl From<OrchestratorChoice> for Orchestrator {
    fn from(choice: OrchestratorChoice) -> Self {
        match choice {
            OrchestratorChoice::Embedded => Self::Embedded,
            OrchestratorChoice::Temporal => Self::Temporal,
        }
    }
}

impl StorePlace {
    /// Returns what was said here, else what the configuration says. A password goes with its address: that of another one is not sent here.
    pub fn or(&self, configured: Option<&StoreSettings>) -> Option<StoreSettings> {
        let Some(url) = &self.store else { return configured.cloned() };
        let same = configured.filter(|configured| configured.url == *url);
        Some(StoreSettings {
            url: url.clone(),
            password: self.store_password.clone().or_else(|| same?.password.clone()),
            connections: configured.and_then(|configured| configured.connections),
        })
    }
}

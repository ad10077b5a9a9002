//! `gantral issuers`: identity providers and their keys.

use clap::Subcommand;
use gantral_api::wire::{IssuerView, RefreshedIssuer};

use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::table;
use gantral_core::json::text::inert;

/// Who administers in development.
const USUAL: &str = "dave";

/// Subcommands of `issuers`.
#[derive(Debug, Subcommand)]
pub enum IssuersCommand {
    /// Lists the identity providers whose keys are fetched
    Ls,
    /// Fetches their keys now: one that a provider has taken out stops at once
    Refresh,
}

/// Runs a subcommand. After a refresh in which a provider could not be asked, the exit status says so.
pub fn run(command: &IssuersCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        IssuersCommand::Ls => {
            let issuers = converse(async { Ok(client.issuers().await?) })?;
            out.show(&issuers, |issuers| listed(&issuers.items))?;
            Ok(Exit::DONE)
        }
        IssuersCommand::Refresh => {
            let refreshed = converse(async { Ok(client.refresh_issuers().await?) })?;
            out.show(&refreshed, |refreshed| told(&refreshed.items))?;
            let failed = refreshed.items.iter().filter(|issuer| issuer.failure.is_some()).count();
            if failed == 0 {
                Ok(Exit::DONE)
            } else {
                Err(Failure::new(format!("{failed} of them could not be asked; their keys are as before")))
            }
        }
    }
}

fn listed(issuers: &[IssuerView]) -> String {
    if issuers.is_empty() {
        return "the keys of every identity provider stand in the configuration".to_owned();
    }
    let mut rows = vec![["ISSUER", "KEYS FETCHED", "FAILURES"].map(str::to_owned).to_vec()];
    for issuer in issuers {
        let age = issuer.keys_age_seconds;
        let age =
            age.map_or_else(|| "not yet, its tokens are refused".to_owned(), |age| format!("{age} s ago"));
        rows.push(vec![inert(&issuer.issuer), age, issuer.failures.to_string()]);
    }
    table(&rows)
}

fn told(issuers: &[RefreshedIssuer]) -> String {
    if issuers.is_empty() {
        return listed(&[]);
    }
    let mut rows = vec![["ISSUER", "KEYS"].map(str::to_owned).to_vec()];
    for issuer in issuers {
        let what = match (&issuer.failure, issuer.changed) {
            (Some(failure), _) => inert(failure),
            (None, true) => "changed".to_owned(),
            (None, false) => "as before".to_owned(),
        };
        rows.push(vec![inert(&issuer.issuer), what]);
    }
    table(&rows)
}

//! Policies beside those in force: what they make of the asks that come in. Nothing is decided by them.

use clap::{Args, Subcommand};
use gantral_api::wire::{NameCandidate, PolicyCandidate, PolicyCandidates, text};

use super::USUAL;
use super::scope::{self, ScopeArgs};
use super::sides::{Sides, joined};
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, Out, STRONG, styled};
use gantral_core::json::text::inert;

/// Subcommands of `policy candidate`.
#[derive(Debug, Subcommand)]
pub enum CandidateCommand {
    /// Has a published bundle evaluated beside the one in force for a scope, after each ask was answered
    Set(SetArgs),
    /// Has none evaluated there any more, and forgets what was counted
    Clear(ClearArgs),
    /// Shows what each would have made of the asks since the server began to count
    Status,
}

/// Arguments of `policy candidate set`.
#[derive(Debug, Args)]
#[command(group = scope::group())]
pub struct SetArgs {
    /// The published version, not the one in force there
    version: text::PolicyVersionId,
    #[command(flatten)]
    scope: ScopeArgs,
}

/// Arguments of `policy candidate clear`.
#[derive(Debug, Args)]
#[command(group = scope::group())]
pub struct ClearArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub fn candidate(command: &CandidateCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    match command {
        CandidateCommand::Set(args) => name(&args.scope, Some(args.version), server, out),
        CandidateCommand::Clear(args) => name(&args.scope, None, server, out),
        CandidateCommand::Status => status(server, out),
    }
}

fn name(
    scope: &ScopeArgs,
    policy_version_id: Option<text::PolicyVersionId>,
    server: &Server,
    out: Out,
) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let scope = scope.named()?;
    let words = inert(&scope::shown(&scope));
    let body = NameCandidate { scope, policy_version_id };
    let named = converse(async { Ok(client.name_candidate(&body).await?) })?;
    out.show(&named, |_| match policy_version_id {
        Some(version) => {
            format!(
                "{} for {words}: nothing is decided by it\n  version  {version}",
                styled(GOOD, "candidate")
            )
        }
        None => format!("{} a candidate for {words}", styled(GOOD, "no longer")),
    })?;
    out.hint("gantral policy candidate status");
    Ok(Exit::DONE)
}

fn status(server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let found = converse(async { Ok(client.policy_candidates().await?) })?;
    out.show(&found, |PolicyCandidates { items }| {
        if items.is_empty() {
            return "no policy is a candidate".to_owned();
        }
        items.iter().map(shown).collect::<Vec<_>>().join("\n\n\n")
    })?;
    Ok(Exit::DONE)
}

fn shown(one: &PolicyCandidate) -> String {
    let place = inert(&scope::shown(&one.scope));
    let mut head = format!(
        "{}  {}\n{} asks since {}",
        styled(STRONG, format!("candidate for {place}")),
        one.policy_version_id,
        one.evaluated,
        one.counted_from
    );
    if one.waiting > 0 {
        head.push_str(&format!(", {} wait", one.waiting));
    }
    if one.dropped > 0 {
        head.push_str(&format!(", {} were not evaluated: too many at once", one.dropped));
    }
    let said = Sides {
        names: ["recorded", "candidate"],
        transitions: &one.transitions,
        failures: &one.failures,
        pages: &one.pages,
        left_out: one.left_out,
    };
    joined(std::iter::once(head).chain(said.parts()))
}

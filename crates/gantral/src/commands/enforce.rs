//! `gantral enforce`: where what policy says is enforced, and where it is only observed.

use clap::{Args, Subcommand};
use gantral_api::client::{Client, ClientError};
use gantral_api::problem::Code;
use gantral_api::wire::{Approvers, Governed, ModesInForce, Scope, SetMode, text};
use gantral_core::state::Mode;

use super::policy::scope::{self, ScopeArgs};
use super::proposals;
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, styled};
use crate::table::table;
use gantral_core::json::text::inert;

/// Who switches in development.
const USUAL: &str = "bob";

/// Subcommands of `enforce`.
#[derive(Debug, Subcommand)]
pub enum EnforceCommand {
    /// Enforces what policy says from the next ask on, once somebody is known who could approve
    Enable(EnableArgs),
    /// Only observes what policy says from the next ask on: agents go on at once, nobody is asked
    Disable(DisableArgs),
    /// Shows where what policy says is enforced, and where it is only observed
    Status,
}

/// For which asks.
#[derive(Debug, Args)]
pub struct PlaceArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// For one action of the workflow, whatever is said of the workflow
    #[arg(long, value_name = "NAME", conflicts_with_all = ["team", "tenant"])]
    action: Option<text::Name>,
}

/// Arguments of `enforce enable`.
#[derive(Debug, Args)]
#[command(group = scope::group())]
pub struct EnableArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Says that there are approvers where the server does not know any
    #[arg(long, short)]
    yes: bool,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Arguments of `enforce disable`.
#[derive(Debug, Args)]
#[command(group = scope::group())]
pub struct DisableArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

impl PlaceArgs {
    fn mode(&self, mode: Mode, confirmed: bool, why: Option<&text::Prose>) -> Result<SetMode, Failure> {
        let (scope, action) = (self.scope.named()?, self.action.clone());
        Ok(SetMode { scope, action, mode: mode.into(), confirmed, justification: why.cloned() })
    }
}

/// Runs a subcommand.
pub fn run(command: &EnforceCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        EnforceCommand::Enable(args) => {
            set(&client, args.place.mode(Mode::Enforce, args.yes, args.reason.as_ref())?, out)
        }
        EnforceCommand::Disable(args) => {
            set(&client, args.place.mode(Mode::Shadow, false, args.reason.as_ref())?, out)
        }
        EnforceCommand::Status => {
            let modes = converse(async { Ok(client.modes().await?) })?;
            out.show(&modes, listed)?;
            Ok(Exit::DONE)
        }
    }
}

fn set(client: &Client, body: SetMode, out: Out) -> Result<Exit, Failure> {
    let governed = converse(async {
        match client.set_mode(&body).await {
            Err(error) if error.code() == Some(Code::ApproversUnconfirmed) => Err(unconfirmed(error, out)),
            answer => Ok(answer?),
        }
    })?;
    let words = place(&body.scope, body.action.as_ref());
    out.show(&governed, |governed| said(governed, body.mode.into_inner(), &words))?;
    if let Some(proposal) = &governed.proposal {
        return Ok(proposals::waits(proposal, out));
    }
    match body.mode.into_inner() {
        Mode::Enforce => {
            out.talk("an agent that reaches no server may go on as before until its mode lease is over: 15 minutes, if nothing else is configured");
            out.hint("gantral enforce status");
        }
        Mode::Shadow => out.hint("gantral shadow report, after some days"),
    }
    Ok(Exit::DONE)
}

/// Says of which approvers the server knows nothing.
fn unconfirmed(error: ClientError, out: Out) -> Failure {
    let listed = error.problem().and_then(|problem| problem.member("approvers")).cloned();
    let approvers: Vec<Approvers> =
        listed.and_then(|listed| serde_json::from_value(listed).ok()).unwrap_or_default();
    for group in &approvers {
        let roles: Vec<String> = group.any_of.iter().map(ToString::to_string).collect();
        let known = if group.possible {
            "only the identity provider knows whether anybody has it"
        } else {
            "no token of any identity provider can carry it"
        };
        out.talk(format_args!("{} {}: {known}", styled(LOOK, "approver"), inert(&roles.join(" or "))));
    }
    let untold = error.problem().and_then(|problem| problem.member("untold")).cloned();
    let untold: Vec<text::WorkflowId> =
        untold.and_then(|listed| serde_json::from_value(listed).ok()).unwrap_or_default();
    for workflow in &untold {
        let workflow = inert(&workflow.to_string());
        out.talk(format_args!("{} {workflow}: nobody is told when a gate opens", styled(LOOK, "workflow")));
    }
    Failure::from(error)
        .hint("see to it that these people exist and hear of gates, then repeat it with `--yes`")
}

/// Returns for which asks, in words.
fn place(scope: &Scope, action: Option<&text::Name>) -> String {
    let scope = scope::shown(scope);
    inert(&action.map_or_else(|| scope.clone(), |action| format!("action {action} of {scope}")))
}

fn said(governed: &Governed, mode: Mode, words: &str) -> String {
    if let Some(proposal) = &governed.proposal {
        return format!("{} {}", styled(LOOK, "proposed:"), proposals::said(proposal));
    }
    let (style, word) = match mode {
        Mode::Enforce => (GOOD, "enforced"),
        Mode::Shadow => (LOOK, "only observed"),
    };
    let since = if governed.sealed.is_empty() { ": it was so already" } else { " from the next ask on" };
    format!("{} for {words}{since}", styled(style, word))
}

fn listed(modes: &ModesInForce) -> String {
    let everywhere = "everywhere else what policy says is enforced";
    if modes.items.is_empty() {
        return "what policy says is enforced everywhere".to_owned();
    }
    let mut rows = vec![["FOR", "MODE"].map(str::to_owned).to_vec()];
    for item in &modes.items {
        rows.push(vec![place(&item.scope, item.action.as_ref()), item.mode.to_string()]);
    }
    format!("{}{everywhere}", table(&rows))
}

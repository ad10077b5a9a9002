//! `gantral freeze` and `gantral unfreeze`: the emergency brake.

use clap::{ArgGroup, Args, Subcommand};
use gantral_api::client::Client;
use gantral_api::wire::{Freezes, Governed, PageQuery, Scope, SetFreeze, text};

use super::governance::say;
use super::policy::scope;
use super::proposals;
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{LOOK, Out, styled};
use crate::table::table;
use crate::when;
use gantral_core::json::text::inert;

/// Who freezes in development.
const USUAL: &str = "dave";

/// Arguments of `freeze`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, group = group())]
pub struct FreezeArgs {
    /// Which server, and as whom.
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    change: ChangeArgs,
    /// What else to do.
    #[command(subcommand)]
    command: Option<FreezeCommand>,
}

/// Subcommands of `freeze`.
#[derive(Debug, Subcommand)]
pub enum FreezeCommand {
    /// Lists what is frozen, by whom, since when and why
    Ls,
}

/// Arguments of `unfreeze`.
#[derive(Debug, Args)]
#[command(group = group())]
pub struct UnfreezeArgs {
    /// Which server, and as whom.
    #[command(flatten)]
    server: Server,
    #[command(flatten)]
    change: ChangeArgs,
}

/// What changes, and why.
#[derive(Debug, Args)]
struct ChangeArgs {
    /// One workflow
    #[arg(long)]
    workflow: Option<text::WorkflowId>,
    /// Every workflow of a team
    #[arg(long)]
    team: Option<text::TeamId>,
    /// Every workflow of your tenant, which is all that you can reach
    #[arg(long, visible_alias = "all")]
    tenant: bool,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT", required = true)]
    reason: Option<text::Prose>,
}

fn group() -> ArgGroup {
    ArgGroup::new("scope").required(true).args(["workflow", "team", "tenant"])
}

impl ChangeArgs {
    fn body(&self, frozen: bool) -> Result<SetFreeze, Failure> {
        let scope = match (&self.workflow, &self.team, self.tenant) {
            (Some(name), _, _) => Scope::Workflow { name: name.clone() },
            (None, Some(name), _) => Scope::Team { name: name.clone() },
            (None, None, true) => Scope::Tenant,
            (None, None, false) => return Err(Failure::new("name `--workflow`, `--team` or `--tenant`")),
        };
        let justification = self.reason.clone().ok_or_else(|| Failure::new("say why with `--reason`"))?;
        Ok(SetFreeze { scope, frozen, justification })
    }
}

/// Freezes, or lists what is frozen.
pub fn freeze(args: &FreezeArgs, out: Out) -> Result<Exit, Failure> {
    let client = args.server.client(out, USUAL)?;
    if matches!(args.command, Some(FreezeCommand::Ls)) {
        let freezes = converse(async { Ok(client.freezes().await?) })?;
        out.show(&freezes, listed)?;
        return Ok(Exit::DONE);
    }
    let body = args.change.body(true)?;
    let governed = converse(async { Ok(client.set_freeze(&body).await?) })?;
    say(&governed, &format!("{} is frozen", inert(&scope::shown(&body.scope))), out)?;
    if let Scope::Team { name } = &body.scope
        && !converse(has_workflows(&client, name))?
    {
        // Teams are not registered anywhere: a name that was mistyped would stop nothing.
        let team = inert(&name.to_string());
        out.talk(format_args!("{} no workflow is of team {team} now", styled(LOOK, "look:")));
    }
    out.hint("gantral freeze ls");
    Ok(Exit::DONE)
}

/// Lifts a freeze.
pub fn unfreeze(args: &UnfreezeArgs, out: Out) -> Result<Exit, Failure> {
    let client = args.server.client(out, USUAL)?;
    let body = args.change.body(false)?;
    let (governed, left) = converse(async {
        let governed: Governed = client.set_freeze(&body).await?;
        Ok((governed, client.freezes().await?))
    })?;
    if let Some(proposal) = &governed.proposal {
        out.show(&governed, |_| format!("{} {}", styled(LOOK, "proposed:"), proposals::said(proposal)))?;
        return Ok(proposals::waits(proposal, out));
    }
    say(&governed, &format!("{} is not frozen by itself", inert(&scope::shown(&body.scope))), out)?;
    if !left.items.is_empty() {
        let left: Vec<String> = left.items.iter().map(|freeze| scope::shown(&freeze.scope)).collect();
        out.talk(format_args!("{} still frozen: {}", styled(LOOK, "look:"), inert(&left.join(", "))));
    }
    Ok(Exit::DONE)
}

/// Tells whether a workflow that the caller sees is of a team.
async fn has_workflows(client: &Client, team: &text::TeamId) -> Result<bool, Failure> {
    let mut query = PageQuery::default();
    loop {
        let page = client.workflows(&query).await?;
        if page.items.iter().any(|workflow| workflow.team == *team) {
            return Ok(true);
        }
        if page.next.is_none() {
            return Ok(false);
        }
        query.cursor = page.next;
    }
}

fn listed(freezes: &Freezes) -> String {
    if freezes.items.is_empty() {
        return "nothing is frozen".to_owned();
    }
    let now = when::now();
    let mut rows = vec![["FROZEN", "BY", "SINCE", "#", "WHY"].map(str::to_owned).to_vec()];
    for freeze in &freezes.items {
        rows.push(vec![
            inert(&scope::shown(&freeze.scope)),
            freeze.actor.to_string().chars().take(16).collect(),
            when::with_distance(freeze.at.into_inner(), now),
            freeze.sequence.to_string(),
            inert(freeze.justification.as_deref().unwrap_or("erased")),
        ]);
    }
    table(&rows)
}

//! `gantral approvals`: what waits for humans, and what humans say.
//!
//! A decision names the version of the gate that was shown, so nobody decides over something that moved meanwhile.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gantral_api::client::Client;
use gantral_api::wire::{Action, Decide, Decided, Extend, GateList, GateState, GateView, text};
use gantral_core::state::{DecisionKind, EventKind};

use super::standing::{ProposeRuleArgs, propose};
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{self, Setting, setting};
use crate::out::{GOOD, Out, STRONG, styled};
use crate::{show, when};

/// Who decides in development.
const USUAL: &str = "alice";

/// Subcommands of `approvals`.
#[derive(Debug, Subcommand)]
pub enum ApprovalsCommand {
    /// Lists open gates, earliest deadline first
    Ls(LsArgs),
    /// Shows exactly what would run, and who asks
    Show(ShowArgs),
    /// Authorises the action as asked
    Approve(DecisionArgs),
    /// Refuses the action; the execution ends, once as many refuse as policy asks
    Reject(DecisionArgs),
    /// Authorises the action with changes
    Override(OverrideArgs),
    /// Moves the deadline later, so that humans have more time
    Extend(ExtendArgs),
    /// Proposes that nobody is asked about such a call for a while; another person must confirm it
    ProposeRule(ProposeRuleArgs),
}

/// Arguments of `approvals ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only gates at which you may decide now
    #[arg(long)]
    mine: bool,
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Arguments of `approvals show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The gate
    gate: text::GateId,
}

/// Arguments of every decision.
#[derive(Debug, Args)]
pub struct DecisionArgs {
    /// The gate
    gate: text::GateId,
    /// Why; sealed as a commitment, and kept erasable
    #[arg(long, default_value = "")]
    reason: text::Prose,
    /// The role under which you act, when several of yours are asked
    #[arg(long)]
    role: Option<text::Role>,
    /// The delegation by which you act for somebody else, as `gantral delegations ls --mine` names it
    #[arg(long, value_name = "HASH")]
    delegation: Option<text::Digest>,
    /// Decides alone, in an emergency, under a role that the gate names for that; everybody is told, and it is marked for ever
    #[arg(long, conflicts_with = "delegation")]
    break_glass: bool,
    /// The version of the gate that you saw; refused if it has moved
    #[arg(long, value_name = "VERSION")]
    gate_version: Option<u32>,
    /// Does not ask again on a terminal
    #[arg(long, short)]
    yes: bool,
}

/// Arguments of `approvals override`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true).args(["settings", "target", "action"])))]
pub struct OverrideArgs {
    /// What every decision takes
    #[command(flatten)]
    decision: DecisionArgs,
    /// Sets a parameter; it keeps its type
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<Setting>,
    /// Sets the target
    #[arg(long)]
    target: Option<String>,
    /// The whole changed action, JSON; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["settings", "target"])]
    action: Option<PathBuf>,
}

/// Arguments of `approvals extend`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("deadline").required(true).args(["by", "until"])))]
pub struct ExtendArgs {
    /// The gate
    gate: text::GateId,
    /// How much later than its present deadline, such as `30m` or `2h`
    #[arg(long, value_name = "DURATION")]
    by: Option<text::Duration>,
    /// The new deadline, such as `2026-01-31T12:00:00.000Z`
    #[arg(long, value_name = "TIME")]
    until: Option<text::Time>,
    /// The version of the gate that you saw; refused if it has moved
    #[arg(long, value_name = "VERSION")]
    gate_version: Option<u32>,
}

/// Runs a subcommand.
pub fn run(command: &ApprovalsCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        ApprovalsCommand::Ls(args) => list(&client, args, out),
        ApprovalsCommand::Show(args) => {
            let gate = converse(async { Ok(client.gate(args.gate).await?) })?;
            let text = show::gate::view(&gate, when::now())?;
            out.show(&gate, |_| text)?;
            if gate.state == GateState::Open {
                let id = gate.gate_id;
                out.hint(format_args!("gantral approvals approve {id} --reason '…'"));
                out.hint(format_args!("gantral approvals override {id} --set NAME=VALUE --reason '…'"));
                out.hint(format_args!("gantral approvals reject {id} --reason '…'"));
            }
            Ok(Exit::DONE)
        }
        ApprovalsCommand::Approve(args) => decide(&client, args, DecisionKind::Approve, |_| Ok(None), out),
        ApprovalsCommand::Reject(args) => decide(&client, args, DecisionKind::Reject, |_| Ok(None), out),
        ApprovalsCommand::Override(args) => {
            let change = |asked: &Action| changed(args, asked).map(Some);
            decide(&client, &args.decision, DecisionKind::Override, change, out)
        }
        ApprovalsCommand::Extend(args) => extend(&client, args, out),
        ApprovalsCommand::ProposeRule(args) => propose(&client, args, out),
    }
}

fn list(client: &Client, args: &LsArgs, out: Out) -> Result<Exit, Failure> {
    let query = GateList {
        state: None,
        mine: args.mine.then_some(true),
        cursor: args.cursor.clone(),
        limit: args.limit,
    };
    let page = converse(async { Ok(client.gates(&query).await?) })?;
    out.show(&page, |page| show::gate::page(page, when::now()))?;
    if let Some(first) = page.items.first() {
        out.hint(format_args!("gantral approvals show {}", first.gate_id));
    }
    if let Some(next) = &page.next {
        out.hint(format_args!("gantral approvals ls --cursor {next}"));
    }
    Ok(Exit::DONE)
}

fn changed(args: &OverrideArgs, asked: &Action) -> Result<Action, Failure> {
    match &args.action {
        Some(path) => input::action(path),
        None => input::changed(asked, &args.settings, args.target.as_deref()),
    }
}

/// Shows the gate, asks once more on a terminal, and decides over the version that was shown.
fn decide(
    client: &Client,
    args: &DecisionArgs,
    decision: DecisionKind,
    change: impl FnOnce(&Action) -> Result<Option<Action>, Failure>,
    out: Out,
) -> Result<Exit, Failure> {
    let gate = converse(async { Ok(client.gate(args.gate).await?) })?;
    let action = change(&gate.action)?;
    out.talk(show::gate::view(&gate, when::now())?.trim_end());
    if let Some(action) = &action {
        out.talk(format_args!("\n{}", styled(STRONG, "What you change")));
        out.talk(show::gate::changes(&gate.action, action)?.trim_end());
    }
    if !args.yes && !confirmed(decision)? {
        return Err(Failure::new("nothing was decided"));
    }
    let body = Decide {
        decision: decision.into(),
        gate_version: args.gate_version.unwrap_or(gate.version),
        role: args.role.clone(),
        action,
        justification: args.reason.clone(),
        delegation: args.delegation,
        break_glass: args.break_glass,
        assertion: None,
    };
    let decided = converse(async { Ok(client.decide(args.gate, &body).await?) })?;
    out.show(&decided, |decided| said(decided, decision))?;
    next_step(&gate, &decided, out);
    Ok(Exit::DONE)
}

/// Moves the deadline of a gate; whoever saw the version before looks again.
fn extend(client: &Client, args: &ExtendArgs, out: Out) -> Result<Exit, Failure> {
    let gate = converse(async { Ok(client.gate(args.gate).await?) })?;
    let deadline = match (args.until, args.by) {
        (Some(until), _) => until,
        (None, Some(by)) => gate.deadline.into_inner().plus(by.into_inner()).into(),
        (None, None) => return Err(Failure::new("no new deadline").hint("give `--by` or `--until`")),
    };
    let body = Extend { gate_version: args.gate_version.unwrap_or(gate.version), deadline };
    let extended = converse(async { Ok(client.extend(args.gate, &body).await?) })?;
    out.show(&extended, |extended| {
        let until = when::with_distance(extended.deadline.into_inner(), when::now());
        let (version, sealed) = (extended.gate_version, show::receipts(&extended.artifacts));
        format!("{} until {until}: the gate has version {version}, sealed {sealed}", styled(GOOD, "extended"))
    })?;
    out.hint(format_args!("gantral approvals show {}", args.gate));
    Ok(Exit::DONE)
}

/// Asks on a terminal; without one the command line itself is the answer.
fn confirmed(decision: DecisionKind) -> Result<bool, Failure> {
    let (input, mut talk) = (std::io::stdin(), std::io::stderr());
    if !input.is_terminal() || !talk.is_terminal() {
        return Ok(true);
    }
    let failed = |error| Failure::new(format!("cannot ask: {error}"));
    write!(talk, "\n{decision} this? Type `yes`: ").and_then(|()| talk.flush()).map_err(failed)?;
    let mut answer = String::new();
    input.read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim(), "yes" | "y"))
}

fn said(decided: &Decided, decision: DecisionKind) -> String {
    let sealed = show::receipts(&decided.artifacts);
    if is_counted(decided) {
        return format!("{} {decision}: the gate is still open, sealed {sealed}", styled(GOOD, "counted"));
    }
    format!("{} {decision}: the instance is {}, sealed {sealed}", styled(GOOD, "recorded"), decided.state)
}

/// Tells a ballot that was counted from one that decided.
fn is_counted(decided: &Decided) -> bool {
    decided.artifacts.iter().any(|receipt| receipt.event.into_inner() == EventKind::Vote)
}

fn next_step(gate: &GateView, decided: &Decided, out: Out) {
    if decided.state.is_final() {
        let id = gate.instance_id;
        out.hint(format_args!("gantral evidence export {id} --output {id}.gantral"));
    } else if is_counted(decided) {
        out.hint(format_args!("gantral approvals show {}", gate.gate_id));
    } else {
        out.hint(format_args!("gantral instances watch {}", gate.instance_id));
        out.hint(format_args!("gantral approvals propose-rule {} --reason '…'", gate.gate_id));
    }
}

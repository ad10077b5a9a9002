//! `gantral instances`: governed executions, from their creation to their end.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gantral_api::client::Client;
use gantral_api::wire::{CreateInstance, InstanceList, InstanceView, Moved, Reconcile, ShowInstance, text};
use gantral_core::json::{Object, Value};
use gantral_core::state::State;
use gantral_core::time::DurationMs;

use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{self, Setting, document, setting};
use crate::out::{GOOD, Out, styled};
use crate::{show, when};

/// Who creates and looks in development.
const USUAL_CREATOR: &str = "refund-agent";
const USUAL_READER: &str = "bob";
const USUAL_ADMINISTRATOR: &str = "dave";
/// How long one long poll is held while watching.
const WATCH_WAIT: DurationMs = DurationMs::from_secs(30);

/// Subcommands of `instances`.
#[derive(Debug, Subcommand)]
pub enum InstancesCommand {
    /// Creates an instance; one whose workflow has a command is queued for a runner
    Create(CreateArgs),
    /// Lists instances, newest first
    Ls(LsArgs),
    /// Shows an instance, its open gate and its grant
    Show(OneArgs),
    /// Follows an instance until it ends
    Watch(WatchArgs),
    /// Ends an instance, as an administrator
    Cancel(OneArgs),
    /// Settles an outcome that nobody knows, as an administrator
    Reconcile(ReconcileArgs),
    /// Withdraws what waits for humans, as whoever created it
    Withdraw(OneArgs),
}

/// Arguments of `instances create`.
#[derive(Debug, Args)]
pub struct CreateArgs {
    /// The workflow
    workflow: text::WorkflowId,
    /// Its version; the active one when absent
    #[arg(long = "workflow-version", value_name = "VERSION")]
    version: Option<text::Name>,
    /// The session that ties the instances of one agent run together
    #[arg(long)]
    session: Option<text::SessionId>,
    /// What set it off: PR, INCIDENT, PAYMENT or OTHER
    #[arg(long)]
    trigger: Option<text::Name>,
    /// What the process is to work on, a JSON object; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// One member of the input; a value that is not JSON is a text
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<Setting>,
}

/// Arguments of `instances ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only instances in this state
    #[arg(long)]
    state: Option<text::State>,
    /// Only instances of this team
    #[arg(long)]
    team: Option<text::TeamId>,
    /// Only instances of this workflow
    #[arg(long)]
    workflow: Option<text::WorkflowId>,
    /// Only instances of this session
    #[arg(long)]
    session: Option<text::SessionId>,
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Arguments that name one instance.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The instance
    instance: text::InstanceId,
}

/// Arguments of `instances watch`.
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// The instance
    instance: text::InstanceId,
    /// Stops as soon as it is in this state
    #[arg(long, value_name = "STATE")]
    until: Option<text::State>,
}

/// Arguments of `instances reconcile`.
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// The instance
    instance: text::InstanceId,
    /// The grant whose outcome is unknown
    grant: text::GrantId,
    /// What was found out: SUCCEEDED or FAILED
    #[arg(long)]
    status: text::OutcomeStatus,
    /// How the instance goes on: continue or terminate
    #[arg(long)]
    next: text::NextStep,
    /// How it was found out
    #[arg(long)]
    reason: text::Prose,
}

/// Runs a subcommand.
pub fn run(command: &InstancesCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    match command {
        InstancesCommand::Create(args) => create(args, server, out),
        InstancesCommand::Ls(args) => list(args, server, out),
        InstancesCommand::Show(args) => {
            let client = server.client(out, USUAL_READER)?;
            let seen = converse(shown(&client, args.instance))?;
            let text = show::instance::view(&seen, when::now())?;
            out.show(&seen, |_| text)?;
            next_step(&seen, out);
            Ok(Exit::DONE)
        }
        InstancesCommand::Watch(args) => {
            let client = server.client(out, USUAL_READER)?;
            let last = converse(watch(&client, args, out))?;
            next_step(&last, out);
            Ok(Exit::DONE)
        }
        InstancesCommand::Cancel(args) => {
            let client = server.client(out, USUAL_ADMINISTRATOR)?;
            moved(out, &converse(async { Ok(client.cancel(args.instance).await?) })?)
        }
        InstancesCommand::Reconcile(args) => {
            let client = server.client(out, USUAL_ADMINISTRATOR)?;
            let body = Reconcile { status: args.status, next: args.next, justification: args.reason.clone() };
            moved(out, &converse(async { Ok(client.reconcile(args.instance, args.grant, &body).await?) })?)
        }
        InstancesCommand::Withdraw(args) => {
            let client = server.client(out, USUAL_CREATOR)?;
            moved(out, &converse(async { Ok(client.withdraw(args.instance).await?) })?)
        }
    }
}

fn create(args: &CreateArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL_CREATOR)?;
    let body = CreateInstance {
        workflow: args.workflow.clone(),
        version: args.version.clone(),
        session_id: args.session.clone(),
        trigger: args.trigger.clone(),
        input: input_of(args)?.as_ref().map(document).transpose()?,
        call: None,
        parent: None,
    };
    let created = converse(async { Ok(client.create_instance(&body).await?) })?;
    let id = created.instance.instance_id;
    out.show(&created, |_| id.to_string())?;
    out.hint(format_args!("gantral instances watch {id}"));
    Ok(Exit::DONE)
}

fn input_of(args: &CreateArgs) -> Result<Option<Value>, Failure> {
    let mut members = match args.input.as_deref().map(input::value).transpose()? {
        None if args.settings.is_empty() => return Ok(None),
        None => Object::new(),
        Some(Value::Object(members)) => members,
        Some(_) => return Err(Failure::new("the input is no JSON object")),
    };
    input::set(&mut members, &args.settings)?;
    Ok(Some(Value::Object(members)))
}

fn list(args: &LsArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL_READER)?;
    let query = InstanceList {
        state: args.state,
        team: args.team.clone(),
        workflow: args.workflow.clone(),
        session: args.session.clone(),
        cursor: args.cursor.clone(),
        limit: args.limit,
    };
    let page = converse(async { Ok(client.instances(&query).await?) })?;
    out.show(&page, |page| show::instance::page(page, when::now()))?;
    if let Some(next) = &page.next {
        out.hint(format_args!("gantral instances ls --cursor {next}"));
    }
    Ok(Exit::DONE)
}

async fn shown(client: &Client, id: text::InstanceId) -> Result<InstanceView, Failure> {
    Ok(client.instance(id, &ShowInstance::default()).await?)
}

/// Prints a line for each state that it sees; with JSON the whole instance, one a line.
async fn watch(client: &Client, args: &WatchArgs, out: Out) -> Result<InstanceView, Failure> {
    let mut seen = shown(client, args.instance).await?;
    let mut told: Option<(State, u32)> = None;
    loop {
        let now = (seen.state.into_inner(), seen.attempt);
        if told != Some(now) {
            told = Some(now);
            let cause = seen.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
            let state = show::instance::state(now.0);
            out.show(&seen, |seen| format!("{}  {state}{cause}, attempt {}", seen.updated_at, seen.attempt))?;
        }
        if now.0.is_final() || args.until.is_some_and(|until| until.into_inner() == now.0) {
            return Ok(seen);
        }
        let query = ShowInstance { wait: Some(WATCH_WAIT.into()), after: Some(seen.head.sequence) };
        seen = client.instance(args.instance, &query).await?;
    }
}

fn moved(out: Out, moved: &Moved) -> Result<Exit, Failure> {
    out.show(moved, |moved| {
        format!("{} {}: {}", styled(GOOD, "now"), moved.state, show::receipts(&moved.artifacts))
    })?;
    Ok(Exit::DONE)
}

/// Says what whoever looks at the instance is likely to want next.
fn next_step(seen: &InstanceView, out: Out) {
    let id = seen.instance_id;
    let unknown = seen.outcomes.iter().find(|outcome| {
        outcome.status.is_some_and(|s| s.into_inner() == gantral_core::state::OutcomeStatus::Unknown)
    });
    match (seen.state.into_inner(), &seen.gate, unknown) {
        (State::WaitingForHuman, Some(gate), _) => {
            out.hint(format_args!("gantral approvals show {}", gate.gate_id));
        }
        (State::Completed | State::Terminated, _, _) => {
            out.hint(format_args!("gantral evidence export {id} --output {id}.gantral"));
        }
        (_, _, Some(outcome)) => out.hint(format_args!(
            "find out what happened, then: gantral instances reconcile {id} {} --status SUCCEEDED --next continue \
             --reason '…'",
            outcome.grant_id
        )),
        _ => {}
    }
}

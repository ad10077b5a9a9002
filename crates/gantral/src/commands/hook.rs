//! `gantral hook`: answers a coding agent that asks before it uses a tool, and hears from it afterwards.
//!
//! Whatever goes wrong, the agent is refused: with status 2, which blocks in every agent that runs hooks as commands.

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use gantral_api::wire::{CallWaiting, SettleCall, text};
use gantral_core::ids::{InstanceId, WorkflowId};
use gantral_core::json::text::inert;
use gantral_core::json::{Object, Value};
use gantral_core::state::OutcomeStatus;
use gantral_edge::call::{Answer, Caller, CallerConfig, Wanted};
use gantral_edge::hook::{self, Dialect, MESSAGE_BYTES_MAX, Moment, Said, Told};
use serde::{Deserialize, Serialize};

use crate::cli::Server;
use crate::connection::{Target, run_long};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::document;
use crate::out::Out;
use crate::pinned::PinnedArgs;
use crate::{folders, logging, machine};

/// Whose hooks they are in development.
const USUAL: &str = "refund-agent";
/// Blocks the tool, in every dialect; what standard error says reaches the agent.
const BLOCKS: Exit = Exit(2);

const STATUS: &str = "\
Reads what the agent says from standard input and answers on standard output, in the dialect of the agent. Exit status: 0 it is
answered; 2 it must not go on, and standard error says why.";

/// Arguments of `hook`.
#[derive(Debug, Args)]
#[command(after_help = format!("{STATUS}\n\n{}\n\n{}", machine::HELP, logging::HELP))]
pub struct HookArgs {
    /// Which server, and as whom.
    #[command(flatten)]
    server: Server,
    /// What is believed.
    #[command(flatten)]
    pinned: PinnedArgs,
    /// The workflow that governs the tools
    #[arg(long, default_value = "tools")]
    workflow: text::WorkflowId,
    /// How long to wait for a human before the agent is told that it waits, such as `30s`; less than the agent waits for its hook
    #[arg(long, value_name = "DURATION")]
    hold: Option<text::Duration>,
    /// Nobody is at the agent: what waits is deferred, so that the agent ends and can be resumed once it is decided
    #[arg(long)]
    headless: bool,
    /// Where uses of tools are kept that were begun, for their owner alone
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// One use of a tool that was begun.
#[derive(Serialize, Deserialize)]
struct Begun {
    instance: text::InstanceId,
    grant: Option<text::GrantId>,
}

/// Answers one message.
pub fn run(args: &HookArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("error", out);
    match answered(args, out) {
        Ok(exit) => Ok(exit),
        Err(failure) => {
            out.failure(&failure);
            Ok(BLOCKS)
        }
    }
}

fn answered(args: &HookArgs, out: Out) -> Result<Exit, Failure> {
    let said = hook::read(&message()?).map_err(|error| Failure::new(error.to_string()))?;
    let target = args.server.target(out, USUAL)?;
    let config = CallerConfig {
        workflow: WorkflowId::clone(&args.workflow),
        session: said.session.clone(),
        pinned: args.pinned.of(&target)?,
        journal: None,
    };
    let caller = Caller::new(target.client()?, config);
    let kept = state(args, &target)?.join(said.key.to_hex());
    run_long(async {
        match said.moment {
            Moment::Before => before(args, &caller, said, &kept, out).await,
            Moment::After { well } => after(&caller, &said, well, &kept).await,
        }
    })
}

fn message() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(MESSAGE_BYTES_MAX).unwrap_or(u64::MAX).saturating_add(1);
    std::io::stdin()
        .lock()
        .take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::new(format!("what the agent says cannot be read: {error}")))?;
    Ok(bytes)
}

/// Asks, and waits as long as was said.
async fn before(
    args: &HookArgs,
    caller: &Caller,
    said: Said,
    kept: &Path,
    out: Out,
) -> Result<Exit, Failure> {
    let (dialect, action) = (said.dialect, said.action);
    let mut answer = caller.ask(Wanted::of(action.clone())).await?;
    if let (Answer::Waits(waiting), Some(hold)) = (&answer, &args.hold) {
        let id = InstanceId::clone(&waiting.instance_id);
        answer = caller.take(id, Duration::from_millis(hold.get())).await?;
    }
    let told = match answer {
        Answer::Go(permit) => {
            let begun = Begun { instance: permit.instance().into(), grant: permit.grant().map(Into::into) };
            let approved = permit.action().parameters.to_value();
            let approved = approved.map_err(|error| Failure::new(error.to_string()))?;
            let asked = action.parameters.to_value().map_err(|error| Failure::new(error.to_string()))?;
            let changed = approved.get("input").filter(|input| Some(*input) != asked.get("input"));
            if changed.is_some() && dialect == Dialect::Cursor {
                // It cannot be told of the change, and does nothing: that is said at once.
                settle(caller, &begun, OutcomeStatus::Failed, Object::new().with("not_done", true)).await?;
            } else {
                // Before the agent hears of it: what was begun must be known when it is done.
                keep(kept, &begun)?;
            }
            changed.map_or(Told::May, |input| Told::MayAs(input.clone()))
        }
        Answer::Waits(waiting) if args.headless => Told::Later(waits(&waiting)),
        Answer::Waits(waiting) => Told::Waits(waits(&waiting)),
        Answer::Denied(denied) => {
            let why: Vec<String> = denied.reasons.iter().map(|reason| inert(reason).to_string()).collect();
            Told::No(format!("NOT EXECUTED: {}. {} Do not try again.", denied.cause, why.join("; ")))
        }
    };
    if let Some(value) = hook::answer(dialect, &told) {
        let text =
            String::from_utf8(value.to_canonical()).map_err(|error| Failure::new(error.to_string()))?;
        out.text(&text)?;
    }
    Ok(Exit::DONE)
}

/// Says what came of it. What was never begun here is none of ours.
async fn after(caller: &Caller, said: &Said, well: bool, kept: &Path) -> Result<Exit, Failure> {
    let text = match std::fs::read_to_string(kept) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Exit::DONE),
        Err(error) => return Err(Failure::file("read", kept, &error)),
    };
    let begun: Begun = serde_json::from_str(&text).map_err(|error| Failure::file("use", kept, &error))?;
    let status = if well { OutcomeStatus::Succeeded } else { OutcomeStatus::Failed };
    let result = Object::new().with("answer_sha256", said.answered.map(|digest| digest.to_hex()));
    settle(caller, &begun, status, result).await?;
    std::fs::remove_file(kept).map_err(|error| Failure::file("remove", kept, &error))?;
    Ok(Exit::DONE)
}

async fn settle(
    caller: &Caller,
    begun: &Begun,
    status: OutcomeStatus,
    result: Object,
) -> Result<(), Failure> {
    let result = document(&Value::Object(result))?;
    let report = SettleCall::of(begun.grant, status, Some(result));
    caller.settle(begun.instance.into_inner(), &report).await?;
    Ok(())
}

fn waits(waiting: &CallWaiting) -> String {
    let roles: Vec<String> = waiting.roles.iter().map(ToString::to_string).collect();
    format!(
        "NOT EXECUTED. It waits for approval by {} until {}: gate {}, {}. Use the same tool with the same input again once it is approved; do not look for another way.",
        roles.join(" or "),
        waiting.expires_at,
        waiting.gate_id,
        inert(&waiting.url)
    )
}

fn keep(kept: &Path, begun: &Begun) -> Result<(), Failure> {
    let text = serde_json::to_vec(begun).map_err(|error| Failure::new(error.to_string()))?;
    crate::dev_tokens::write_private(kept, &text)
}

/// Returns the folder of what was begun, made for its owner alone.
fn state(args: &HookArgs, target: &Target) -> Result<PathBuf, Failure> {
    let folder = match (&args.state, &target.dev) {
        (Some(folder), _) => folder.clone(),
        (None, Some(dev)) => dev.path().join("hook"),
        (None, None) => folders::state("--state")?.join("gantral/hook"),
    };
    folders::make_private(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
    Ok(folder)
}

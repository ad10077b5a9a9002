//! `gantral run -- COMMAND`: asks whether a command may run, waits for humans if they have to decide, runs it once as approved, and says
//! what came of it.

use std::ffi::OsString;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use gantral_api::wire::{CallDenied, CallWaiting, EvidenceItem, text};
use gantral_core::ids::{InstanceId, WorkflowId};
use gantral_core::json::text::inert;
use gantral_core::state::OutcomeStatus;
use gantral_edge::call::{Answer, CallError, Caller, CallerConfig, Permit, Wanted};
use gantral_edge::command::{self, CommandSpec, Ended, Keeper, Resolved, carry_out, resolve};

use crate::captured::{self, EvidenceFile};
use crate::cli::Server;
use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::document;
use crate::out::{BAD, GOOD, LOOK, Out, styled};
use crate::pinned::PinnedArgs;
use crate::signals::stop_signals;
use crate::when::{now, with_distance};
use crate::{logging, machine};

/// Who runs commands in development: its credentials are not the agent's.
const USUAL: &str = "dev-gate";
/// The name of the subcommand that keeps the terminal of a command.
const KEEPER: &str = "run-child";
/// This program, on systems that show it: as it is now, should its file be replaced while it waits for humans.
const RUNNING: &str = "/proc/self/exe";
/// How long one request waits for humans.
const TURN: Duration = Duration::from_secs(30);

const STATUS: &str = "\
Exit status: that of the command. 3: it waits for a human and has not run; 4: it was refused; 1: it has not run, see the message.

The command is given PATH, HOME, LANG, TERM and the like, and what `--env` names; nothing else of the environment reaches it.";

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(after_help = format!("{STATUS}\n\n{}\n\n{}", machine::HELP, logging::HELP))]
pub struct RunArgs {
    /// Which server, and as whom.
    #[command(flatten)]
    server: Server,
    /// What is believed.
    #[command(flatten)]
    pinned: PinnedArgs,
    /// The workflow that governs commands
    #[arg(long, default_value = "commands")]
    workflow: text::WorkflowId,
    /// The session that this belongs to, such as the one of an agent
    #[arg(long, env = "GANTRAL_SESSION", hide_env_values = true)]
    session: Option<text::SessionId>,
    /// Why, in the words of whoever asks; shown to the approver as a claim
    #[arg(long, value_name = "TEXT")]
    because: Option<String>,
    /// A further environment variable that the command is given; its name is part of what is approved
    #[arg(long = "env", value_name = "NAME")]
    environment: Vec<String>,
    /// A file whose content is part of what is approved, such as a saved plan
    #[arg(long = "input", value_name = "FILE")]
    inputs: Vec<PathBuf>,
    /// A file that is there once the command has ended, such as its log: the outcome names its SHA-256, and where it is kept if somebody is to find
    /// it; may be repeated
    #[arg(long = "evidence", value_name = "NAME=FILE[,url=URL]")]
    evidence: Vec<String>,
    /// How long to wait for a human, such as `10m`; without a terminal not at all, with one as long as they have
    #[arg(long, value_name = "DURATION")]
    wait: Option<text::Duration>,
    /// The command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    words: Vec<String>,
}

/// Arguments of the keeper of a command's terminal.
#[derive(Debug, Args)]
pub struct RunChildArgs {
    /// The command
    #[arg(last = true, required = true)]
    words: Vec<OsString>,
}

/// Becomes the keeper of a command's terminal.
pub fn keep(args: &RunChildArgs) -> ExitCode {
    command::keep(&args.words)
}

/// Returns how the keeper is started.
fn keeper() -> Keeper {
    let running = Path::new(RUNNING);
    let named = || std::env::current_exe().unwrap_or_else(|_| PathBuf::from("gantral"));
    let program = if running.exists() { running.to_owned() } else { named() };
    Keeper { program, words: vec![KEEPER.into(), "--".into()] }
}

/// Asks, waits, runs, reports.
pub fn run(args: &RunArgs, out: Out) -> Result<Exit, Failure> {
    logging::start("error", out);
    let wanted = wanted(args)?;
    let evidence = captured::files(&args.evidence)?;
    let target = args.server.target(out, USUAL)?;
    let config = CallerConfig {
        workflow: WorkflowId::clone(&args.workflow),
        session: args.session.as_deref().cloned(),
        pinned: args.pinned.of(&target)?,
        journal: None,
    };
    let caller = Caller::new(target.client()?, config);
    run_long(async {
        let answer = caller.ask(wanted).await.map_err(failed)?;
        settled(args, &evidence, &caller, answer, out).await
    })
}

/// Names what would run.
fn wanted(args: &RunArgs) -> Result<Wanted, Failure> {
    let directory = std::env::current_dir()
        .map_err(|error| Failure::new(format!("the folder of this process is not known: {error}")))?;
    let spec = CommandSpec {
        words: args.words.clone(),
        path: std::env::var("PATH").unwrap_or_default(),
        directory,
        environment: args.environment.clone(),
        inputs: args.inputs.clone(),
    };
    let resolved = resolve(&spec).map_err(|error| Failure::new(error.to_string()))?;
    let action = resolved.action().map_err(|error| Failure::new(error.to_string()))?;
    let because = args.because.as_deref().map(|text| {
        document(&gantral_core::json::Value::Object(gantral_core::json::Object::new().with("because", text)))
    });
    Ok(Wanted { attributes: because.transpose()?, ..Wanted::of(action) })
}

/// Waits until the call may go or is refused, or for as long as was said.
async fn settled(
    args: &RunArgs,
    evidence: &[EvidenceFile],
    caller: &Caller,
    answer: Answer,
    out: Out,
) -> Result<Exit, Failure> {
    let mut stop = std::pin::pin!(stop_signals());
    let until = limit(args).map(|limit| Instant::now() + limit);
    let mut answer = answer;
    let mut told = None;
    loop {
        let waiting = match answer {
            Answer::Go(permit) => return carried(&permit, evidence, out).await,
            Answer::Denied(denied) => return denies(&denied, out),
            Answer::Waits(waiting) => waiting,
        };
        let left = until.map_or(TURN, |until| until.saturating_duration_since(Instant::now()));
        if told != Some(waiting.gate_id) {
            announce(&waiting, out);
            told = Some(waiting.gate_id);
        }
        if left.is_zero() {
            return waits(args, &waiting, out);
        }
        let id = InstanceId::clone(&waiting.instance_id);
        tokio::select! {
            taken = caller.take(id, left.min(TURN)) => answer = taken.map_err(failed)?,
            // Whoever stops waiting has withdrawn nothing.
            () = &mut stop => return waits(args, &waiting, out),
        }
    }
}

/// Returns how long to wait; `None` for as long as humans have.
fn limit(args: &RunArgs) -> Option<Duration> {
    match &args.wait {
        Some(wait) => Some(Duration::from_millis(wait.get())),
        None if std::io::stdin().is_terminal() && std::io::stderr().is_terminal() => None,
        None => Some(Duration::ZERO),
    }
}

/// Runs what was approved, and says what came of it.
async fn carried(permit: &Permit, evidence: &[EvidenceFile], out: Out) -> Result<Exit, Failure> {
    let resolved = Resolved::of(permit.action());
    let ended = match &resolved {
        Ok(resolved) => carry_out(resolved, &keeper()).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    let (status, result) = match &ended {
        Ok(ended) if ended.is_well() => (OutcomeStatus::Succeeded, ended.result()),
        Ok(ended) => (OutcomeStatus::Failed, ended.result()),
        Err(why) => {
            (OutcomeStatus::Failed, gantral_core::json::Object::new().with("not_run", why.as_str()).into())
        }
    };
    // What has not run has left nothing behind: what lies there is older.
    let kept = if ended.is_ok() { kept(evidence, out) } else { Vec::new() };
    let reported = permit.settle_with(status, Some(document(&result)?), kept).await;
    if let Err(error) = &reported {
        out.talk(format_args!(
            "{}: what came of it could not be reported, and counts as unknown: {error}",
            styled(BAD, "NOT REPORTED")
        ));
        out.hint(format_args!(
            "an administrator settles it: gantral instances reconcile {}",
            permit.instance()
        ));
    }
    match ended {
        Ok(ended) => Ok(Exit(status_of(&ended))),
        Err(why) => Err(Failure::new(format!("the command has not run: {why}"))),
    }
}

/// Names what a command has left behind. What is not there holds up no report: that the command has run must be said.
fn kept(evidence: &[EvidenceFile], out: Out) -> Vec<EvidenceItem> {
    let read = evidence.iter().filter_map(|file| match file.item() {
        Ok(item) => Some(item),
        Err(error) => {
            out.talk(format_args!("{}: {error}; the outcome does not name it", styled(BAD, "NO EVIDENCE")));
            None
        }
    });
    read.collect()
}

fn status_of(ended: &Ended) -> u8 {
    u8::try_from(ended.status).unwrap_or(u8::MAX)
}

fn announce(waiting: &CallWaiting, out: Out) {
    let roles: Vec<String> = waiting.roles.iter().map(ToString::to_string).collect();
    let until = with_distance(waiting.expires_at.into_inner(), now());
    let joined = if waiting.joined { ", as it did before" } else { "" };
    out.talk(format_args!("{} for {} until {until}{joined}", styled(LOOK, waiting.status), roles.join(", ")));
    for reason in &waiting.reasons {
        out.talk(format_args!("  | {}", inert(reason)));
    }
    out.talk(format_args!("  gate  {}\n  url   {}", waiting.gate_id, inert(&waiting.url)));
    out.hint(format_args!("the approver runs: gantral approvals show {}", waiting.gate_id));
}

/// Says that nothing has run, and how to go on.
fn waits(args: &RunArgs, waiting: &CallWaiting, out: Out) -> Result<Exit, Failure> {
    let shown = serde_json::json!({
        "executed": false,
        "status": waiting.status,
        "instance_id": waiting.instance_id,
        "gate_id": waiting.gate_id,
        "expires_at": waiting.expires_at,
        "url": waiting.url,
        "roles": waiting.roles,
    });
    out.show(&shown, |_| waiting.gate_id.to_string())?;
    out.talk(format_args!("{}: it waits for a human", styled(LOOK, "NOT RUN")));
    out.hint(format_args!("the same command goes on once it is approved: {}", again(args)));
    Ok(Exit::WAITING)
}

fn denies(denied: &CallDenied, out: Out) -> Result<Exit, Failure> {
    let shown = serde_json::json!({
        "executed": false,
        "status": "DENIED",
        "instance_id": denied.instance_id,
        "cause": denied.cause,
        "reasons": denied.reasons,
    });
    out.show(&shown, |_| denied.cause.to_string())?;
    out.talk(format_args!("{}: {}; it has not run, and will not", styled(BAD, "REFUSED"), denied.cause));
    for reason in &denied.reasons {
        out.talk(format_args!("  | {}", inert(reason)));
    }
    Ok(Exit::DENIED)
}

/// Says of the same command that it is a command.
fn failed(error: CallError) -> Failure {
    match error {
        CallError::Running { instance: Some(instance) } => {
            Failure::new("the same command is being run, or nobody knows yet what came of it")
                .hint(format!("gantral instances show {instance}"))
        }
        error => error.into(),
    }
}

/// Returns this command line as it can be typed again.
fn again(args: &RunArgs) -> String {
    let options = std::env::args().skip(1).take_while(|word| word != "--");
    let words = options.chain(["--".to_owned()]).chain(args.words.iter().cloned());
    let quoted: Vec<String> = words.map(|word| quoted(&word)).collect();
    format!("{} {}", styled(GOOD, "gantral"), quoted.join(" "))
}

/// Quotes a word for a shell, where it needs that.
fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_./:=@%+,".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", inert(word).replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        for (word, expected) in [
            ("plan.out", "plan.out"),
            ("", "''"),
            ("a b", "'a b'"),
            ("it's", r"'it'\''s'"),
            ("$(rm)", "'$(rm)'"),
        ] {
            assert_eq!(quoted(word), expected);
        }
    }
}

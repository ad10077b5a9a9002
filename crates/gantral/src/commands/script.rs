//! `gantral ask`, `consume` and `outcome`: the three calls of a script that a runner launched.
//!
//! All that they need is in the environment that the runner made. The exit status is the answer, so that `set -e` does
//! the right thing: a script that waits ends with the status that a runner takes for waiting.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;
use gantral_api::wire::{Allowed, Ask, AuthorityAnswer, ConsumeAnswer, Denied, ReportOutcome, Waiting, text};
use gantral_core::json::{Number, Object, Value};
use gantral_edge::script::{Asked, Script, ScriptError};
use gantral_edge::secret::AskError;

use crate::captured;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{self, Setting, action_of, canonical, document, setting};
use crate::off::is_off;
use crate::out::{BAD, GOOD, LOOK, Out, styled};
use crate::show;
use crate::when::{now, with_distance};
use gantral_core::json::text::inert;

const STATUS: &str =
    "Exit status: 0 it may be done, 3 waits for a human (end with 3 too), 4 denied, 1 failed.";

/// What `ask` prints for a grant under SHADOW, and `consume` and `outcome` take for one: a script is the same in both modes.
const NO_GRANT: &str = "none";
/// The same where no server answered and the action went on.
const UNOBSERVED: &str = "unobserved";

/// A grant on the command line.
#[derive(Debug, Clone, Copy)]
enum GrantArg {
    /// There is none: the action was only observed.
    None,
    /// There is none, and no server knows of the action.
    Unobserved,
    /// This one.
    Of(text::GrantId),
}

impl FromStr for GrantArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            NO_GRANT => Ok(Self::None),
            UNOBSERVED => Ok(Self::Unobserved),
            text => text.parse().map(Self::Of),
        }
    }
}

/// Arguments of `ask`.
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub struct AskArgs {
    /// The name of the action, as the workflow declares it
    #[arg(required_unless_present = "action")]
    name: Option<text::Name>,
    /// What it acts on
    #[arg(long, required_unless_present = "action")]
    target: Option<String>,
    /// A parameter; a value that is not JSON is a text
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = setting)]
    settings: Vec<Setting>,
    /// The whole action, JSON; `-` reads standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["name", "target", "settings"])]
    action: Option<PathBuf>,
    /// The step of the workflow
    #[arg(long)]
    step: Option<text::Name>,
    /// Why now: PR, INCIDENT, PAYMENT or OTHER
    #[arg(long)]
    trigger: Option<text::Name>,
    /// What it is expected to cost, in the unit that the policy counts in
    #[arg(long, value_name = "NUMBER")]
    cost: Option<String>,
    /// A further fact for the policy, as claimed by you
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = setting)]
    attributes: Vec<Setting>,
    /// Uses the grant up in the same commit, if nobody has to be asked
    #[arg(long)]
    consume: bool,
}

/// Arguments of `consume`.
#[derive(Debug, Args)]
#[command(after_help = STATUS)]
pub struct ConsumeArgs {
    /// The grant, as `ask` printed it, `none` and `unobserved` included; the one that humans gave to this attempt when absent
    #[arg(long)]
    grant: Option<GrantArg>,
    /// The action that is about to start, JSON; the approved one when absent. Another one is refused
    #[arg(long, value_name = "FILE")]
    action: Option<PathBuf>,
}

/// Arguments of `outcome`.
#[derive(Debug, Args)]
pub struct OutcomeArgs {
    /// SUCCEEDED or FAILED
    status: text::OutcomeStatus,
    /// The grant, as `ask` printed it, `none` and `unobserved` included; the one that humans gave to this attempt when absent
    #[arg(long)]
    grant: Option<GrantArg>,
    /// What the action returned, JSON; `-` reads standard input
    #[arg(long, value_name = "FILE")]
    result: Option<PathBuf>,
    /// What it cost, in minor units
    #[arg(long)]
    cost: Option<u64>,
    /// Captured evidence: what it is, the SHA-256 of its bytes, and where they are kept if somebody is to find them; may be repeated
    #[arg(long = "evidence", value_name = "NAME=SHA256[,url=URL]")]
    evidence: Vec<String>,
}

/// Asks.
pub fn ask(args: &AskArgs, out: Out) -> Result<Exit, Failure> {
    if is_off(out)? {
        let told = serde_json::json!({ "answer": "ALLOW", "enforced": false, "off": true });
        out.show(&told, |_| UNOBSERVED.to_owned())?;
        return Ok(Exit::DONE);
    }
    let script = Script::from_environment()?;
    let body = ask_of(args)?;
    let answer = match converse(async { Ok(script.ask(&body).await?) })? {
        Asked::Answered(answer) => answer,
        Asked::Unobserved { counted } => {
            let count = if counted { "it is counted" } else { "it could not be counted" };
            out.talk(format_args!(
                "{}: no server answers, and it would only be observed; {count}",
                styled(LOOK, "GO ON")
            ));
            let told = serde_json::json!({ "answer": "ALLOW", "enforced": false, "unobserved": true, "counted": counted });
            out.show(&told, |_| UNOBSERVED.to_owned())?;
            return Ok(Exit::DONE);
        }
    };
    match &*answer {
        AuthorityAnswer::Allow(allowed) => {
            out.talk(format_args!("{}{}", styled(GOOD, "ALLOW"), instead(allowed)));
            let grant = allowed.grant_id.map_or_else(|| NO_GRANT.to_owned(), |id| id.to_string());
            out.show(&answer, |_| grant.clone())?;
            if !body.consume && allowed.enforced {
                out.hint(format_args!("gantral consume --grant {grant}, then act, then gantral outcome"));
            }
            Ok(Exit::DONE)
        }
        AuthorityAnswer::RequireHuman(waiting) => {
            out.show(&answer, |_| waiting.gate_id.to_string())?;
            Ok(waits(waiting, out))
        }
        AuthorityAnswer::Deny(denied) => {
            out.show(&answer, |_| denied.state.to_string())?;
            Ok(denies(denied, out))
        }
    }
}

/// Says what would have been answered, under SHADOW.
fn instead(allowed: &Allowed) -> String {
    let Some(observed) = &allowed.observed else { return String::new() };
    let roles: Vec<String> = observed.roles.iter().map(ToString::to_string).collect();
    let of = if roles.is_empty() { String::new() } else { format!(" of {}", roles.join(", ")) };
    let reasons: String = allowed.reasons.iter().map(|reason| format!("\n  | {}", inert(reason))).collect();
    format!(": only observed, enforced it would be {}{of}{reasons}", observed.verdict)
}

fn ask_of(args: &AskArgs) -> Result<Ask, Failure> {
    let action = match (&args.action, &args.name, &args.target) {
        (Some(path), _, _) => input::action(path)?,
        (None, Some(name), Some(target)) => {
            let mut parameters = Object::new();
            input::set(&mut parameters, &args.settings)?;
            action_of(name.clone(), target, parameters)?
        }
        (None, _, _) => return Err(Failure::new("no action is named").exit(Exit::USAGE)),
    };
    let cost = args.cost.as_deref().map(|text| {
        let number = Number::parse(text);
        let number = number.map_err(|_| Failure::new(format!("`{text}` is not a number")))?;
        document(&Value::Number(number))
    });
    let attributes = if args.attributes.is_empty() {
        None
    } else {
        let mut members = Object::new();
        input::set(&mut members, &args.attributes)?;
        Some(document(&Value::Object(members))?)
    };
    Ok(Ask {
        action,
        step: args.step.clone(),
        trigger: args.trigger.clone(),
        cost_estimate: cost.transpose()?,
        attributes,
        consume: args.consume,
        executor: None,
    })
}

/// Says who is asked, and how they answer.
fn waits(waiting: &Waiting, out: Out) -> Exit {
    let roles: Vec<String> = waiting.roles.iter().map(ToString::to_string).collect();
    let until = with_distance(waiting.expires_at.into_inner(), now());
    out.talk(format_args!("{} for {} until {until}", styled(LOOK, waiting.status), roles.join(", ")));
    for reason in &waiting.reasons {
        out.talk(format_args!("  | {}", inert(reason)));
    }
    out.talk(format_args!("  gate  {}\n  url   {}", waiting.gate_id, inert(&waiting.url)));
    out.hint("end this process with status 3; a fresh one continues after the decision");
    out.hint(format_args!("the approver runs: gantral approvals show {}", waiting.gate_id));
    Exit::WAITING
}

fn denies(denied: &Denied, out: Out) -> Exit {
    out.talk(format_args!("{}: the execution has ended; do not try again", styled(BAD, "DENY")));
    for reason in &denied.reasons {
        out.talk(format_args!("  | {}", inert(reason)));
    }
    Exit::DENIED
}

/// Uses a grant up and prints the action that may now be done, and nothing else.
pub fn consume(args: &ConsumeArgs, out: Out) -> Result<Exit, Failure> {
    if is_off(out)? {
        let path =
            args.action.as_deref().ok_or_else(|| Failure::new("no action is named").exit(Exit::USAGE))?;
        let action = input::action(path)?;
        let canonical = canonical(&action)?;
        out.show(&serde_json::json!({ "grant_id": null, "action": action, "off": true }), |_| canonical)?;
        return Ok(Exit::DONE);
    }
    let script = Script::from_environment()?;
    let action = match &args.action {
        Some(path) => input::action(path)?,
        None => script.approved_action()?,
    };
    let grant = match args.grant {
        None => None,
        Some(GrantArg::Of(grant)) => Some(grant.into_inner()),
        Some(GrantArg::None | GrantArg::Unobserved) => {
            out.talk("only observed: there is no grant, and nothing to use up");
            let canonical = canonical(&action)?;
            out.show(&serde_json::json!({ "grant_id": null, "action": action }), |_| canonical)?;
            return Ok(Exit::DONE);
        }
    };
    let (grant, answer) = converse(async { Ok(script.consume(grant, Some(action.clone())).await?) })?;
    match &answer {
        ConsumeAnswer::Allow(consumed) => {
            let act_by = with_distance(consumed.act_by.into_inner(), now());
            out.talk(format_args!("{} grant {grant}: act before {act_by}", styled(GOOD, "consumed")));
            let canonical = canonical(&action)?;
            out.show(
                &serde_json::json!({ "grant_id": grant.to_string(), "action": action, "answer": answer }),
                |_| canonical,
            )?;
            out.hint("gantral outcome SUCCEEDED, or FAILED");
            Ok(Exit::DONE)
        }
        ConsumeAnswer::RequireHuman(waiting) => {
            if out.json {
                out.show(&answer, |_| String::new())?;
            }
            Ok(waits(waiting, out))
        }
        ConsumeAnswer::Deny(denied) => {
            if out.json {
                out.show(&answer, |_| String::new())?;
            }
            Ok(denies(denied, out))
        }
    }
}

/// Reports what came of the action.
pub fn outcome(args: &OutcomeArgs, out: Out) -> Result<Exit, Failure> {
    if is_off(out)? {
        return Ok(Exit::DONE);
    }
    let script = Script::from_environment()?;
    if let Some(GrantArg::Unobserved) = args.grant {
        out.talk("no server knows of the action: there is nothing to report");
        return Ok(Exit::DONE);
    }
    let result = args.result.as_deref().map(|path| document(&input::value(path)?)).transpose()?;
    let report = ReportOutcome {
        status: args.status,
        result,
        cost: args.cost,
        evidence: captured::items(&args.evidence)?,
    };
    let moved = converse(async {
        match args.grant {
            None => Ok(Some(script.outcome(None, &report).await?)),
            Some(GrantArg::Of(grant)) => Ok(Some(script.outcome(Some(grant.into_inner()), &report).await?)),
            Some(GrantArg::None | GrantArg::Unobserved) => Ok(script.observed_outcome(&report).await?),
        }
    })?;
    let Some(moved) = moved else {
        out.talk(format_args!(
            "{}: no server answers, and it is only observed; the outcome is not reported",
            styled(LOOK, "GO ON")
        ));
        return Ok(Exit::DONE);
    };
    out.show(&moved, |moved| {
        format!("{} {}: {}", styled(GOOD, "reported"), args.status, show::receipts(&moved.artifacts))
    })?;
    Ok(Exit::DONE)
}

impl From<ScriptError> for Failure {
    fn from(error: ScriptError) -> Self {
        match error {
            ScriptError::Call(error) => error.into(),
            ScriptError::Config(error) => error.into(),
            error @ ScriptError::Unset { .. } => Self::new(error.to_string())
                .code("not_an_attempt")
                .hint("a workflow with a `run.command` and a `gantral runner` on its queue launch it"),
            error @ (ScriptError::Unusable { .. } | ScriptError::Context { .. }) => {
                Self::new(error.to_string()).code("not_an_attempt")
            }
            error @ ScriptError::Journal(_) => Self::new(error.to_string())
                .code("journal_unusable")
                .hint("do not act; make room, or let the runner's user write there, and let a fresh attempt ask again"),
            ScriptError::Outage { error, why } => Self::from(error)
                .hint(format!("without an answer nothing goes on: {why}")),
            ScriptError::Secret(AskError::Refused { code, detail }) => Self::new(detail).code(code.as_str()),
            error @ ScriptError::Secret(AskError::Socket { .. } | AskError::Answer) => {
                Self::new(error.to_string()).code("secret_unavailable")
            }
            error @ ScriptError::NoSecrets => Self::new(error.to_string())
                .code("secret_not_for_this")
                .hint("whoever runs the runner says which workflow and action may have which secret"),
            error @ ScriptError::NoGrant => Self::new(error.to_string()).code("no_grant"),
        }
    }
}

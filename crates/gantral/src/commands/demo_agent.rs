//! `gantral demo-agent`: the agent of the demo, as small and as honest as an agent can be.
//!
//! It knows nothing of the demo: it has the environment that every runner makes, and the public API. It asks before it
//! acts, ends when it has to wait, and after a decision does what was approved and not what it wanted.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use clap::Args;
use gantral_api::wire::{Action, Ask, AuthorityAnswer, ConsumeAnswer, ReportOutcome, text};
use gantral_core::ids::GrantId;
use gantral_core::json::{Object, Value};
use gantral_core::state::OutcomeStatus;
use gantral_edge::script::{Asked, Script};

use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{action_of, document};
use crate::out::Out;

/// Arguments of `demo-agent`.
#[derive(Debug, Args)]
pub struct DemoAgentArgs {
    /// The file that stands for the bank: one line for each refund
    #[arg(long, value_name = "FILE")]
    ledger: PathBuf,
}

/// Asks, or acts on what was approved.
pub fn run(args: &DemoAgentArgs, out: Out) -> Result<Exit, Failure> {
    let script = Script::from_environment()?;
    converse(async {
        if script.grant().is_some() {
            let action = script.approved_action()?;
            return act(&script, None, action, args, out).await;
        }
        let action = wanted(&script.context()?)?;
        let ask = Ask {
            action: action.clone(),
            step: Some("refund".parse().map_err(Failure::new)?),
            trigger: None,
            cost_estimate: None,
            attributes: None,
            consume: false,
            executor: None,
        };
        let Asked::Answered(answer) = script.ask(&ask).await? else {
            return Err(Failure::new("the demonstration goes nowhere without its server"));
        };
        match *answer {
            AuthorityAnswer::Allow(allowed) => {
                let grant = allowed.grant_id.map(text::GrantId::into_inner);
                act(&script, grant, action, args, out).await
            }
            AuthorityAnswer::RequireHuman(waiting) => {
                out.talk(format_args!("waiting at gate {}", waiting.gate_id));
                Ok(Exit::WAITING)
            }
            AuthorityAnswer::Deny(_) => Ok(Exit::DENIED),
        }
    })
}

/// Works out what the customer should get, from the input of the instance.
fn wanted(context: &Value) -> Result<Action, Failure> {
    let missing = |name: &str| Failure::new(format!("the input has no `{name}`"));
    let input = context.get("input").ok_or_else(|| missing("input"))?;
    let order = input.get("order").and_then(Value::as_str).ok_or_else(|| missing("order"))?;
    let claimed = input.get("claimed").cloned().ok_or_else(|| missing("claimed"))?;
    let parameters = Object::new().with("amount", claimed).with("currency", "EUR");
    action_of("refund".parse().map_err(Failure::new)?, &format!("order/{order}"), parameters)
}

/// Uses the grant up, acts once, and says so.
async fn act(
    script: &Script,
    grant: Option<GrantId>,
    action: Action,
    args: &DemoAgentArgs,
    out: Out,
) -> Result<Exit, Failure> {
    let (grant, answer) = script.consume(grant, Some(action.clone())).await?;
    match answer {
        ConsumeAnswer::Allow(_) => {}
        ConsumeAnswer::RequireHuman(_) => return Ok(Exit::WAITING),
        ConsumeAnswer::Deny(_) => return Ok(Exit::DENIED),
    }
    let done = pay(&args.ledger, &action);
    let status = if done.is_ok() { OutcomeStatus::Succeeded } else { OutcomeStatus::Failed };
    let result = Object::new().with("paid", done.is_ok());
    let report = ReportOutcome {
        status: status.into(),
        result: Some(document(&Value::Object(result))?),
        cost: None,
        evidence: Vec::new(),
    };
    script.outcome(Some(grant), &report).await?;
    out.talk(format_args!("{status}"));
    done.map(|()| Exit::DONE)
}

/// Moves the money: appends one line.
fn pay(ledger: &Path, action: &Action) -> Result<(), Failure> {
    let parameters = action.parameters.to_value().map_err(|error| Failure::new(error.to_string()))?;
    let amount = parameters.get("amount").and_then(Value::as_i64);
    let amount = amount.ok_or_else(|| Failure::new("the approved action has no amount"))?;
    let currency = parameters.get("currency").and_then(Value::as_str).unwrap_or("EUR");
    let line = format!("{} {} {amount} {currency}\n", action.name, action.target);
    let file = std::fs::OpenOptions::new().append(true).create(true).open(ledger);
    let paid = file.and_then(|mut file| file.write_all(line.as_bytes()).and_then(|()| file.sync_all()));
    paid.map_err(|error| Failure::file("write", ledger, &error))
}

//! `gantral approvals propose-rule`: who is asked the same again proposes what nobody need be asked about.

use clap::Args;
use gantral_api::client::Client;
use gantral_api::wire::{ChangedFile, FileChange, ProposeRule, ProposedRule, text};
use gantral_core::json::text::inert;

use super::proposals;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{FAINT, GOOD, LOOK, Out, styled};
use crate::when;

/// Arguments of `approvals propose-rule`.
#[derive(Debug, Args)]
pub struct ProposeRuleArgs {
    /// The gate whose call is to pass from now on
    gate: text::GateId,
    /// A member of the parameters that may be anything, such as `/arguments/note`; everything else must be as it is here
    #[arg(long = "any", value_name = "POINTER")]
    any: Vec<String>,
    /// A number that may be smaller or equal, such as `/amount=500`
    #[arg(long, value_name = "POINTER=NUMBER", value_parser = bound)]
    at_most: Vec<(String, i64)>,
    /// For how long, at most `90d`; it ends with the next full hour
    #[arg(long = "for", value_name = "DURATION", default_value = "7d")]
    lasts: text::Duration,
    /// How often; as often as is asked, when absent
    #[arg(long, value_name = "NUMBER")]
    uses: Option<u32>,
    /// Why: for whoever is to confirm it
    #[arg(long, short, value_name = "TEXT")]
    reason: text::Prose,
}

fn bound(text: &str) -> Result<(String, i64), String> {
    let (pointer, number) = text.rsplit_once('=').ok_or("give POINTER=NUMBER, such as `/amount=500`")?;
    let number = number.parse().map_err(|_| format!("`{number}` is not a whole number"))?;
    Ok((pointer.to_owned(), number))
}

/// Proposes a rule, and shows what it says.
pub fn propose(client: &Client, args: &ProposeRuleArgs, out: Out) -> Result<Exit, Failure> {
    let body = ProposeRule {
        free: args.any.clone(),
        at_most: args.at_most.iter().cloned().collect(),
        lasts: args.lasts,
        uses: args.uses,
        justification: args.reason.clone(),
    };
    let proposed = converse(async { Ok(client.propose_rule(args.gate, &body).await?) })?;
    out.show(&proposed, said)?;
    match &proposed.proposal {
        Some(proposal) => Ok(proposals::waits(proposal, out)),
        None => Ok(Exit::DONE),
    }
}

fn said(proposed: &ProposedRule) -> String {
    let word = match &proposed.proposal {
        Some(_) => styled(LOOK, "proposed"),
        None => styled(GOOD, "in force already"),
    };
    let until = when::with_distance(proposed.until.into_inner(), when::now());
    let often = proposed.uses.map_or_else(String::new, |uses| format!(", {uses} times at most"));
    let rule = inert(&proposed.rule);
    format!("{word}: rule {rule}, until {until}{often}\n\n{}", lines(&proposed.rego))
}

/// Says in which files a policy differs.
pub fn changed(files: &[ChangedFile]) -> String {
    let mut text = String::new();
    for file in files {
        let word = match file.change {
            FileChange::Added => "new",
            FileChange::Changed => "changed",
            FileChange::Removed => "removed",
        };
        text.push_str(&format!("\n{} {}\n", styled(FAINT, word), inert(&file.path)));
        text.extend(file.text.as_deref().map(lines));
    }
    text
}

fn lines(text: &str) -> String {
    text.lines().map(|line| format!("    {}\n", inert(&line.replace('\t', "  ")))).collect()
}

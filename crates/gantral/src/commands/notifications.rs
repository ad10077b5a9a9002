//! `gantral notifications`: messages that no channel took.

use clap::{Args, Subcommand};
use gantral_api::wire::{DeadLetter, PageQuery, RetryDeadLetters, text};

use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, Out, styled};
use crate::table::table;
use gantral_core::json::text::inert;

/// Who administers in development.
const USUAL: &str = "dave";

/// Subcommands of `notifications`.
#[derive(Debug, Subcommand)]
pub enum NotificationsCommand {
    /// Shows messages that were given up, and lets them be tried again
    #[command(subcommand)]
    Dead(DeadCommand),
}

/// Subcommands of `notifications dead`.
#[derive(Debug, Subcommand)]
pub enum DeadCommand {
    /// Lists messages that were given up, from the oldest
    Ls(LsArgs),
    /// Lets messages that were given up wait for their channel again
    Retry(RetryArgs),
}

/// Arguments of `notifications dead ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Arguments of `notifications dead retry`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("which").required(true).multiple(false))]
pub struct RetryArgs {
    /// The message with this number
    #[arg(group = "which")]
    number: Option<u64>,
    /// All messages of this channel: a webhook, a chat or a mailbox
    #[arg(long, group = "which", value_name = "NAME")]
    channel: Option<text::Name>,
    /// All messages of the tenant
    #[arg(long, group = "which")]
    all: bool,
}

/// Runs a subcommand.
pub fn run(command: &NotificationsCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        NotificationsCommand::Dead(DeadCommand::Ls(args)) => {
            let query = PageQuery { cursor: args.cursor.clone(), limit: args.limit };
            let page = converse(async { Ok(client.dead_letters(&query).await?) })?;
            out.show(&page, |page| listed(&page.items))?;
            if let Some(next) = &page.next {
                out.hint(format_args!("gantral notifications dead ls --cursor {next}"));
            }
        }
        NotificationsCommand::Dead(DeadCommand::Retry(args)) => {
            let body = RetryDeadLetters { channel: args.channel.clone(), number: args.number };
            let retried = converse(async { Ok(client.retry_dead_letters(&body).await?) })?;
            out.show(&retried, |retried| format!("{} {}", styled(GOOD, "waiting again:"), retried.retried))?;
        }
    }
    Ok(Exit::DONE)
}

fn listed(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "no message was given up".to_owned();
    }
    let mut rows =
        vec![["#", "CHANNEL", "WHEN", "KIND", "ABOUT", "TRIES", "WHY"].map(str::to_owned).to_vec()];
    for letter in letters {
        let percent = letter.percent.map(|percent| format!(" {percent} %")).unwrap_or_default();
        rows.push(vec![
            letter.number.to_string(),
            inert(letter.channel.as_str()),
            letter.at.to_string(),
            inert(&format!("{}{percent}", letter.kind)),
            about(letter),
            letter.attempts.to_string(),
            inert(&letter.failure),
        ]);
    }
    table(&rows)
}

/// Returns what a message is about, as other commands take it.
fn about(letter: &DeadLetter) -> String {
    match (&letter.gate, &letter.proposal_id) {
        (Some(gate), _) => gate.gate_id.to_string(),
        (None, Some(proposal)) => proposal.to_string(),
        (None, None) => String::new(),
    }
}

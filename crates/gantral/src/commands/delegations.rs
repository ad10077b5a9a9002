//! `gantral delegations`: who may decide for whom, and for how long.

use clap::{ArgGroup, Args, Subcommand};
use gantral_api::wire::{Delegate, DelegationView, Human, MineQuery, RevokeDelegation, text};
use gantral_core::json::text::inert;

use super::governance::say;
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::table;
use crate::when;

/// Who delegates in development.
const USUAL: &str = "alice";

/// Subcommands of `delegations`.
#[derive(Debug, Subcommand)]
pub enum DelegationsCommand {
    /// Lets another person decide under roles of yours, for a while
    Add(AddArgs),
    /// Lists what was delegated, and neither revoked nor is over
    Ls(LsArgs),
    /// Ends a delegation of yours; administrators end any
    Revoke(RevokeArgs),
}

/// Arguments of `delegations add`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("end").required(true).args(["until", "lasting"]))]
pub struct AddArgs {
    /// To whom: the subject of their tokens
    #[arg(long, value_name = "SUBJECT")]
    to: String,
    /// The issuer of their tokens; that of yours when absent
    #[arg(long)]
    issuer: Option<String>,
    /// Which of your roles
    #[arg(long, required = true, value_delimiter = ',', value_name = "ROLE,…")]
    roles: Vec<text::Role>,
    /// From when, such as `2026-01-31T12:00:00.000Z`; from now on when absent
    #[arg(long, value_name = "TIME")]
    from: Option<text::Time>,
    /// Until when
    #[arg(long, value_name = "TIME")]
    until: Option<text::Time>,
    /// For how long from now on, such as `8h` or `7d`
    #[arg(long = "for", value_name = "DURATION")]
    lasting: Option<text::Duration>,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Arguments of `delegations ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only what you gave or were given
    #[arg(long)]
    mine: bool,
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Arguments of `delegations revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// The delegation, as `gantral delegations ls` names it
    delegation: text::Digest,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Runs a subcommand.
pub fn run(command: &DelegationsCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        DelegationsCommand::Add(args) => {
            let not_after = match (args.until, args.lasting) {
                (Some(until), _) => until,
                (None, Some(lasting)) => when::now().plus(lasting.into_inner()).into(),
                (None, None) => return Err(Failure::new("say until when, with `--until` or `--for`")),
            };
            let body = Delegate {
                to: Human { issuer: args.issuer.clone(), subject: args.to.clone() },
                roles: args.roles.clone(),
                not_before: args.from,
                not_after,
                justification: args.reason.clone(),
            };
            let governed = converse(async { Ok(client.delegate(&body).await?) })?;
            say(&governed, &format!("{} may decide for you", inert(&args.to)), out)?;
            match governed.sealed.first() {
                Some(sealed) => out.hint(format_args!("gantral delegations revoke {}", sealed.hash)),
                None => out.hint("gantral delegations ls --mine"),
            }
        }
        DelegationsCommand::Ls(args) => {
            let mine = args.mine.then_some(true);
            let query = MineQuery { mine, cursor: args.cursor.clone(), limit: args.limit };
            let page = converse(async { Ok(client.delegations(&query).await?) })?;
            out.show(&page, |page| listed(&page.items))?;
            if let Some(next) = &page.next {
                out.hint(format_args!("gantral delegations ls --cursor {next}"));
            }
        }
        DelegationsCommand::Revoke(args) => {
            let body = RevokeDelegation { justification: args.reason.clone() };
            let governed = converse(async { Ok(client.revoke_delegation(args.delegation, &body).await?) })?;
            say(&governed, "nobody decides by it any more", out)?;
        }
    }
    Ok(Exit::DONE)
}

fn listed(delegations: &[DelegationView]) -> String {
    if delegations.is_empty() {
        return "nothing is delegated".to_owned();
    }
    let now = when::now();
    let mut rows =
        vec![["DELEGATION", "FROM", "TO", "ROLES", "SINCE", "UNTIL", "WHY"].map(str::to_owned).to_vec()];
    for item in delegations {
        let shortened = |text: String| text.chars().take(16).collect::<String>();
        let roles: Vec<String> = item.roles.iter().map(ToString::to_string).collect();
        rows.push(vec![
            item.delegation.to_string(),
            shortened(item.from.to_string()),
            shortened(item.to.to_string()),
            inert(&roles.join(",")),
            when::distance(item.not_before.into_inner(), now),
            when::distance(item.not_after.into_inner(), now),
            inert(item.justification.as_deref().unwrap_or_default()),
        ]);
    }
    table(&rows)
}

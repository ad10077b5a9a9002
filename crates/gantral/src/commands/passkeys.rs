//! `gantral passkeys`: the authenticators of approvers, as the server knows them.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gantral_api::wire::{EnrolPasskey, MineQuery, Passkey, PasskeyState, RevokePasskey, text};
use gantral_evidence::human::SignedEnrolment;

use super::governance::say;
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{document, value};
use crate::out::Out;
use crate::table::table;
use crate::when;

/// Who administers in development.
const USUAL: &str = "dave";

/// Subcommands of `passkeys`.
#[derive(Debug, Subcommand)]
pub enum PasskeysCommand {
    /// Lists passkeys: those that were asked for, count, or counted
    Ls(LsArgs),
    /// Prints what the directory needs to judge one: the file that `gantral directory` takes
    Get(OneArgs),
    /// Brings what the directory signed
    Enrol(EnrolArgs),
    /// Ends a passkey of yours, or one that you asked for; administrators end any
    Revoke(RevokeArgs),
}

/// Arguments of `passkeys ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Only yours
    #[arg(long)]
    mine: bool,
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// One passkey.
#[derive(Debug, Args)]
pub struct OneArgs {
    /// The passkey, as `gantral passkeys ls` names it
    entry: text::Digest,
}

/// Arguments of `passkeys enrol`.
#[derive(Debug, Args)]
pub struct EnrolArgs {
    /// What `gantral directory sign` printed; `-` is standard input
    #[arg(value_name = "FILE")]
    signed: PathBuf,
}

/// Arguments of `passkeys revoke`.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    /// Which.
    #[command(flatten)]
    one: OneArgs,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Runs a subcommand.
pub fn run(command: &PasskeysCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        PasskeysCommand::Ls(args) => {
            let mine = args.mine.then_some(true);
            let query = MineQuery { mine, cursor: args.cursor.clone(), limit: args.limit };
            let page = converse(async { Ok(client.passkeys(&query).await?) })?;
            out.show(&page, |page| listed(&page.items))?;
            if let Some(next) = &page.next {
                out.hint(format_args!("gantral passkeys ls --cursor {next}"));
            }
        }
        PasskeysCommand::Get(args) => {
            let request = converse(async { Ok(client.passkey(args.entry).await?) })?;
            let line = serde_json::to_string(&request).map_err(|error| Failure::new(error.to_string()))?;
            out.data(&line)?;
            out.hint("gantral directory sign FILE --key KEY --relying-party ID --origin ORIGIN");
        }
        PasskeysCommand::Enrol(args) => {
            let signed = value(&args.signed)?;
            let entry = SignedEnrolment::parse(&signed.to_canonical()).map(|signed| signed.digest());
            let entry =
                entry.map_err(|error| Failure::new(format!("`{}`: {error}", args.signed.display())))?;
            let body = EnrolPasskey { envelope: document(&signed)? };
            let governed = converse(async { Ok(client.enrol_passkey(entry.into(), &body).await?) })?;
            say(&governed, "the passkey counts at gates that open from now on", out)?;
        }
        PasskeysCommand::Revoke(args) => {
            let body = RevokePasskey { justification: args.reason.clone() };
            let governed = converse(async { Ok(client.revoke_passkey(args.one.entry, &body).await?) })?;
            say(&governed, "the passkey counts no longer", out)?;
        }
    }
    Ok(Exit::DONE)
}

fn listed(passkeys: &[Passkey]) -> String {
    if passkeys.is_empty() {
        return "there are no passkeys".to_owned();
    }
    let now = when::now();
    let mut rows = vec![["PASSKEY", "PERSON", "STATE", "SINCE", "DEVICE", "FOR"].map(str::to_owned).to_vec()];
    for item in passkeys {
        let (state, since) = match item.state {
            PasskeyState::Requested => ("requested", item.requested_at),
            PasskeyState::Enrolled => ("enrolled", item.enrolled_at.unwrap_or(item.requested_at)),
            PasskeyState::Revoked => ("revoked", item.requested_at),
        };
        rows.push(vec![
            item.entry_digest.to_string(),
            item.person.to_string().chars().take(16).collect(),
            state.to_owned(),
            when::distance(since.into_inner(), now),
            if item.backup_eligible { "synced" } else { "bound" }.to_owned(),
            item.relying_party_id.clone(),
        ]);
    }
    table(&rows)
}

//! `gantral proposals`: changes of the rules that one person proposed, and another puts in force.
//!
//! A confirmation names the digest of what was shown, so nobody confirms something that they have not read.

use clap::{Args, Subcommand};
use gantral_api::wire::{ConfirmProposal, Proposal, ProposalState, ProposalsQuery, text};
use serde::Deserialize;

use super::standing::changed;
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{FAINT, GOOD, Out, styled};
use crate::table::table;
use crate::when;
use gantral_core::json::text::inert;

/// Who confirms in development.
const USUAL: &str = "dave";

/// Subcommands of `proposals`.
#[derive(Debug, Subcommand)]
pub enum ProposalsCommand {
    /// Lists what waits for a second person, newest first
    Ls(LsArgs),
    /// Shows exactly what would change, who wants it and why
    Show(ShowArgs),
    /// Puts in force what another person proposed
    Confirm(ConfirmArgs),
    /// Takes back what you proposed
    Withdraw(ShowArgs),
}

/// Arguments of `proposals ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// Those that have ended too
    #[arg(long)]
    all: bool,
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Arguments that name a proposal.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The proposal
    proposal: text::ProposalId,
}

/// Arguments of `proposals confirm`.
#[derive(Debug, Args)]
pub struct ConfirmArgs {
    /// The proposal
    proposal: text::ProposalId,
    /// The digest that `proposals show` prints: what you have read is what you confirm
    #[arg(long)]
    digest: text::Digest,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Runs a subcommand.
pub fn run(command: &ProposalsCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        ProposalsCommand::Ls(args) => {
            let open = if args.all { None } else { Some(true) };
            let query = ProposalsQuery { open, cursor: args.cursor.clone(), limit: args.limit };
            let page = converse(async { Ok(client.proposals(&query).await?) })?;
            out.show(&page, |page| listed(&page.items))?;
            if let Some(next) = &page.next {
                let all = if args.all { " --all" } else { "" };
                out.hint(format_args!("gantral proposals ls{all} --cursor {next}"));
            }
        }
        ProposalsCommand::Show(args) => {
            let proposal = converse(async { Ok(client.proposal(args.proposal).await?) })?;
            out.show(&proposal, shown)?;
            if proposal.state == ProposalState::Open {
                out.hint(format_args!("{}, as another person", confirmation(&proposal)));
            }
        }
        ProposalsCommand::Confirm(args) => {
            let body = ConfirmProposal { digest: args.digest, justification: args.reason.clone() };
            let governed = converse(async { Ok(client.confirm_proposal(args.proposal, &body).await?) })?;
            out.show(&governed, |governed| {
                let sealed = governed.sealed.first();
                let sealed = sealed.map(|event| format!("{} #{}", inert(&event.event), event.sequence));
                format!("{}: {}", styled(GOOD, "in force"), sealed.unwrap_or_default())
            })?;
            out.hint("gantral governance ls");
        }
        ProposalsCommand::Withdraw(args) => {
            let proposal = converse(async { Ok(client.withdraw_proposal(args.proposal).await?) })?;
            out.show(&proposal, |proposal| format!("{}: {}", styled(GOOD, "withdrawn"), said(proposal)))?;
        }
    }
    Ok(Exit::DONE)
}

/// Says that something is not in force yet, and what to do next; returns how the command ends.
pub fn waits(proposal: &Proposal, out: Out) -> Exit {
    out.talk(format_args!(
        "nothing of it is in force yet: another person must confirm it before {}",
        proposal.expires_at
    ));
    out.hint(format_args!("gantral proposals show {}, as that person", proposal.proposal_id));
    Exit::WAITING
}

fn confirmation(proposal: &Proposal) -> String {
    format!("gantral proposals confirm {} --digest {}", proposal.proposal_id, proposal.digest)
}

/// The members of the events that are proposed.
#[derive(Debug, Deserialize)]
struct Members {
    policy_version_id: Option<text::PolicyVersionId>,
    previous: Option<text::PolicyVersionId>,
    mode: Option<text::Mode>,
    action: Option<text::Name>,
    scope: Place,
}

/// A scope as the governance chain spells it.
#[derive(Debug, Deserialize)]
struct Place {
    kind: String,
    name: Option<String>,
}

/// Says in one line what would change.
pub fn said(proposal: &Proposal) -> String {
    let Ok(members) = serde_json::from_str::<Members>(proposal.detail.as_str()) else {
        return inert(&proposal.event);
    };
    let place = match &members.scope.name {
        Some(name) => format!("{} {name}", members.scope.kind),
        None => format!("the {}", members.scope.kind),
    };
    let place = match &members.action {
        Some(action) => format!("action {action} of {place}"),
        None => place,
    };
    let words = match (&members.policy_version_id, &members.mode) {
        (Some(version), _) => format!("policy {version} for {place}"),
        (None, Some(mode)) => format!("{mode} for {place}"),
        (None, None) => format!("{} for {place}", proposal.event),
    };
    inert(&words)
}

fn shown(proposal: &Proposal) -> String {
    let now = when::now();
    let line =
        |name: &str, text: String| format!("  {}  {text}\n", styled(FAINT, format_args!("{name:<10}")));
    let mut lines = format!("{}\n", said(proposal));
    let members: Option<Members> = serde_json::from_str(proposal.detail.as_str()).ok();
    if let Some(members) = members.filter(|members| members.policy_version_id.is_some()) {
        let replaced = members.previous.map_or_else(|| "no policy".to_owned(), |version| version.to_string());
        lines.push_str(&line("instead of", replaced));
    }
    lines.push_str(&line("by", proposal.proposed_by.to_string()));
    lines.push_str(&line("when", when::with_distance(proposal.proposed_at.into_inner(), now)));
    lines.push_str(&line("why", inert(proposal.justification.as_deref().unwrap_or("they said nothing"))));
    match proposal.state {
        ProposalState::Open => {
            lines.push_str(&line("until", when::with_distance(proposal.expires_at.into_inner(), now)));
        }
        ProposalState::Confirmed | ProposalState::Withdrawn | ProposalState::Expired => {
            let by = proposal.ended_by.as_ref().map_or_else(String::new, |by| format!(" by {by}"));
            let at = proposal.ended_at.map_or_else(String::new, |at| format!(", {at}"));
            lines.push_str(&line("ended", format!("{}{by}{at}", word(proposal.state))));
        }
    }
    lines.push_str(&line("digest", proposal.digest.to_string()));
    lines.push_str(&changed(proposal.files.as_deref().unwrap_or_default()));
    lines
}

const fn word(state: ProposalState) -> &'static str {
    match state {
        ProposalState::Open => "open",
        ProposalState::Confirmed => "confirmed",
        ProposalState::Withdrawn => "withdrawn",
        ProposalState::Expired => "expired",
    }
}

fn listed(proposals: &[Proposal]) -> String {
    if proposals.is_empty() {
        return "nothing is proposed".to_owned();
    }
    let now = when::now();
    let mut rows = vec![["PROPOSAL", "STATE", "WHAT", "BY", "UNTIL", "WHY"].map(str::to_owned).to_vec()];
    for proposal in proposals {
        rows.push(vec![
            proposal.proposal_id.to_string(),
            word(proposal.state).to_owned(),
            said(proposal).chars().take(48).collect(),
            proposal.proposed_by.to_string().chars().take(16).collect(),
            when::distance(proposal.expires_at.into_inner(), now),
            inert(proposal.justification.as_deref().unwrap_or_default()),
        ]);
    }
    table(&rows)
}

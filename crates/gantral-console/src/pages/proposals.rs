//! Four eyes: what waits for a second person.

use askama::Template;
use gantral_api::wire::{ChangedFile, FileChange, Proposal, ProposalState, text};

use crate::inert::{Inert, without_tabs};
use crate::kept::Kept;
use crate::page::{Page, Shell};
use crate::words::{self, Said, said};

const fn word(state: ProposalState) -> &'static str {
    match state {
        ProposalState::Open => "It waits for a second person.",
        ProposalState::Confirmed => "A second person has confirmed it.",
        ProposalState::Withdrawn => "Its author has taken it back.",
        ProposalState::Expired => "Nobody has confirmed it in time.",
    }
}

/// Proposals, the newest first.
#[derive(Debug, Template)]
#[template(path = "proposals.html")]
pub struct ProposalsPage {
    /// The frame.
    pub shell: Shell,
    /// The proposals.
    pub proposals: Vec<Proposal>,
    /// Whether only those are shown that can still be confirmed.
    pub open: bool,
    /// The cursor of the next page.
    pub next: Option<String>,
}

impl Page for ProposalsPage {}

#[expect(clippy::unused_self, reason = "a template calls methods of its page")]
impl ProposalsPage {
    fn words(&self, proposal: &Proposal) -> String {
        said(&proposal.event, &proposal.detail).text
    }

    fn actor(&self, id: &text::ActorId) -> String {
        words::actor(id.as_str())
    }

    fn is_open(&self, proposal: &Proposal) -> bool {
        proposal.state == ProposalState::Open
    }

    fn state(&self, proposal: &Proposal) -> &'static str {
        word(proposal.state)
    }
}

/// One proposal, and the forms to confirm it or to take it back.
#[derive(Debug, Template)]
#[template(path = "proposal.html")]
pub struct ProposalPage {
    shell: Shell,
    proposal: Proposal,
    change: Said,
    state: &'static str,
    is_open: bool,
    proposer: String,
    ended_by: Option<String>,
    yours: bool,
    may_confirm: bool,
    files: Vec<ChangedFile>,
    kept: Kept,
}

impl Page for ProposalPage {}

impl ProposalPage {
    /// Makes the page; `yours` says that this human proposed it, `may_confirm` that they may do by themselves what is proposed.
    pub fn new(shell: Shell, mut proposal: Proposal, yours: bool, may_confirm: bool, kept: Kept) -> Self {
        let mut files = proposal.files.take().unwrap_or_default();
        for file in &mut files {
            file.text = file.text.as_deref().map(without_tabs);
        }
        Self {
            files,
            change: said(&proposal.event, &proposal.detail),
            state: word(proposal.state),
            is_open: proposal.state == ProposalState::Open,
            proposer: words::actor(proposal.proposed_by.as_str()),
            ended_by: proposal.ended_by.as_ref().map(|by| words::actor(by.as_str())),
            shell,
            proposal,
            yours,
            may_confirm,
            kept,
        }
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    const fn change(&self, file: &ChangedFile) -> &'static str {
        match file.change {
            FileChange::Added => "New:",
            FileChange::Changed => "Changed:",
            FileChange::Removed => "Removed:",
        }
    }
}

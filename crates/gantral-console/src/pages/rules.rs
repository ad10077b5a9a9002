//! Changes of the rules: what became of one, and all of them.

use askama::Template;
use gantral_api::wire::{GovernanceEvent, Governed};

use crate::inert::Inert;
use crate::page::{Page, Shell};
use crate::words::Change;

/// What became of a change of the rules that somebody sent.
#[derive(Debug, Template)]
#[template(path = "governed.html")]
pub struct GovernedPage {
    shell: Shell,
    governed: Governed,
    changes: Vec<Change>,
    back: (&'static str, &'static str),
}

impl Page for GovernedPage {}

impl GovernedPage {
    /// Makes the page; `back` is a path and the words of the link to it.
    pub fn new(shell: Shell, governed: Governed, back: (&'static str, &'static str)) -> Self {
        let changes = governed.sealed.iter().map(Change::of).collect();
        Self { shell, governed, changes, back }
    }
}

/// What changed the rules, the newest first.
#[derive(Debug, Template)]
#[template(path = "history.html")]
pub struct HistoryPage {
    shell: Shell,
    changes: Vec<Change>,
    before: Option<u64>,
}

impl Page for HistoryPage {}

impl HistoryPage {
    /// Makes the page of events, the newest first; `before` is the sequence before which there are older ones.
    pub fn new(shell: Shell, events: &[GovernanceEvent], before: Option<u64>) -> Self {
        Self { shell, changes: events.iter().map(Change::of).collect(), before }
    }
}

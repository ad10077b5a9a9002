//! Roles that people lend each other.

use askama::Template;
use gantral_api::wire::{DelegationView, text};

use crate::inert::Inert;
use crate::kept::Kept;
use crate::page::{Page, Shell};
use crate::words;

/// For how long a role can be lent from a form: hours, and the same in words.
const SPANS: [(&str, &str); 6] = [
    ("4", "4 hours"),
    ("24", "1 day"),
    ("72", "3 days"),
    ("168", "1 week"),
    ("336", "2 weeks"),
    ("720", "30 days"),
];

/// What somebody lends and is lent, and the forms to lend and to take back.
#[derive(Debug, Template)]
#[template(path = "delegations.html")]
pub struct DelegationsPage {
    shell: Shell,
    held: Vec<DelegationView>,
    given: Vec<DelegationView>,
    roles: Vec<text::Role>,
    subject: String,
    kept: Kept,
}

impl Page for DelegationsPage {}

impl DelegationsPage {
    /// Makes the page of `you`, with the delegations that they gave or were given, their roles, and their subject at their provider.
    pub fn new(
        shell: Shell,
        delegations: Vec<DelegationView>,
        you: &text::ActorId,
        roles: Vec<text::Role>,
        subject: String,
        kept: Kept,
    ) -> Self {
        let (given, held) = delegations.into_iter().partition(|one| one.from == *you);
        Self { shell, held, given, roles, subject, kept }
    }

    fn begins_later(&self, one: &DelegationView) -> bool {
        one.not_before.into_inner() > self.shell.now
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn roles_of(&self, one: &DelegationView) -> String {
        one.roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn actor(&self, id: &text::ActorId) -> String {
        words::actor(id.as_str())
    }
}

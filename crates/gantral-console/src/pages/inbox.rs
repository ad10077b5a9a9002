//! What waits.

use askama::Template;
use gantral_api::wire::GateSummary;

use crate::inert::Inert;
use crate::page::{Page, Shell};
use crate::words::actor;

/// Open gates, the earliest deadline first.
#[derive(Debug, Template)]
#[template(path = "inbox.html")]
pub struct InboxPage {
    /// The frame.
    pub shell: Shell,
    /// The gates.
    pub gates: Vec<GateSummary>,
    /// Whether only those are shown at which this human may decide now.
    pub mine: bool,
    /// The cursor of the next page.
    pub next: Option<String>,
}

impl Page for InboxPage {}

impl InboxPage {
    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn asker(&self, gate: &GateSummary) -> String {
        actor(gate.requested_by.as_str())
    }
}

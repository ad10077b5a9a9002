//! The emergency brake.

use askama::Template;
use gantral_api::wire::{Freeze, Scope, text};

use crate::inert::Inert;
use crate::kept::Kept;
use crate::page::{Page, Shell};
use crate::words;

/// What is frozen, and the forms to freeze and to lift.
#[derive(Debug, Template)]
#[template(path = "freezes.html")]
pub struct FreezesPage {
    /// The frame.
    pub shell: Shell,
    /// What is frozen now.
    pub freezes: Vec<Freeze>,
    /// Whether this human may freeze anything.
    pub may_freeze: bool,
    /// Whether this human may lift a freeze.
    pub may_lift: bool,
    /// What a refused form said.
    pub kept: Kept,
}

impl Page for FreezesPage {}

#[expect(clippy::unused_self, reason = "a template calls methods of its page")]
impl FreezesPage {
    fn scope(&self, scope: &Scope) -> String {
        words::scope(scope)
    }

    fn kind(&self, scope: &Scope) -> &'static str {
        words::kind(scope)
    }

    fn name(&self, scope: &Scope) -> String {
        words::name(scope)
    }

    fn actor(&self, id: &text::ActorId) -> String {
        words::actor(id.as_str())
    }
}

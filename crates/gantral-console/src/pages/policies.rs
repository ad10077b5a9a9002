//! Policies: which there are, which are in force where, and what one says.

use askama::Template;
use gantral_api::wire::{GovernanceEvent, ModeInForce, PolicyInForce, PolicyView, Scope, text};

use crate::inert::{Inert, without_tabs};
use crate::kept::Kept;
use crate::page::{Page, Shell};
use crate::words::{self, Change};

/// Returns the scopes in which a version is in force, in words.
fn places(active: &[PolicyInForce], version: &text::PolicyVersionId) -> String {
    let here = active.iter().filter(|policy| policy.policy_version_id == *version);
    here.map(|policy| words::scope(&policy.scope)).collect::<Vec<_>>().join(", ")
}

/// The policies of a tenant.
#[derive(Debug, Template)]
#[template(path = "policies.html")]
pub struct PoliciesPage {
    shell: Shell,
    active: Vec<PolicyInForce>,
    modes: Vec<ModeInForce>,
    versions: Vec<PolicyView>,
    next: Option<String>,
    changes: Vec<Change>,
    governs: bool,
}

impl Page for PoliciesPage {}

impl PoliciesPage {
    /// Makes the page: what is in force, and one page of what is published, with the cursor of the next. `changes` are events about
    /// policies and modes, the newest first; `governs` says whether this human may put policies in force.
    pub fn new(
        shell: Shell,
        (active, modes): (Vec<PolicyInForce>, Vec<ModeInForce>),
        (versions, next): (Vec<PolicyView>, Option<String>),
        changes: &[GovernanceEvent],
        governs: bool,
    ) -> Self {
        let changes = changes.iter().map(Change::of).collect();
        Self { shell, active, modes, versions, next, changes, governs }
    }

    fn places(&self, version: &text::PolicyVersionId) -> Option<String> {
        Some(places(&self.active, version)).filter(|places| !places.is_empty())
    }
}

#[expect(clippy::unused_self, reason = "a template calls methods of its page")]
impl PoliciesPage {
    fn scope(&self, scope: &Scope) -> String {
        words::scope(scope)
    }

    fn kind(&self, scope: &Scope) -> &'static str {
        words::kind(scope)
    }

    fn name(&self, scope: &Scope) -> String {
        words::name(scope)
    }

    fn short(&self, version: &text::PolicyVersionId) -> String {
        words::short(&version.to_string())
    }
}

/// One file of a bundle. Untrusted.
#[derive(Debug, Clone)]
pub struct PolicyFile {
    /// Its path.
    pub path: String,
    /// How long it is.
    pub bytes: usize,
    /// What it says; `None` when it is no text, or more than is shown.
    pub text: Option<String>,
}

/// One policy.
#[derive(Debug, Template)]
#[template(path = "policy.html")]
pub struct PolicyPage {
    shell: Shell,
    policy: PolicyView,
    places: String,
    files: Vec<PolicyFile>,
    governs: bool,
    kept: Kept,
}

impl Page for PolicyPage {}

impl PolicyPage {
    /// Makes the page; see [`PoliciesPage::new`].
    pub fn new(
        shell: Shell,
        policy: PolicyView,
        active: &[PolicyInForce],
        mut files: Vec<PolicyFile>,
        governs: bool,
        kept: Kept,
    ) -> Self {
        for file in &mut files {
            file.text = file.text.as_deref().map(without_tabs);
        }
        let places = places(active, &policy.policy_version_id);
        Self { shell, policy, places, files, governs, kept }
    }
}

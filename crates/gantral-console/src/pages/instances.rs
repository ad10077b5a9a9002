//! Executions: the list, and one with its story.

use askama::Template;
use gantral_api::wire::{GateState, GateView, InstanceSummary, InstanceView, text};
use gantral_core::state::{Mode, State};
use gantral_core::time::UnixMillis;

use super::actors::on_behalf_of;
use crate::inert::Inert;
use crate::page::{Page, Shell};

/// Executions, the newest first.
#[derive(Debug, Template)]
#[template(path = "instances.html")]
pub struct InstancesPage {
    shell: Shell,
    instances: Vec<InstanceSummary>,
    states: Vec<&'static str>,
    chosen_state: String,
    workflow: String,
    team: String,
    next: Option<String>,
}

impl Page for InstancesPage {}

impl InstancesPage {
    /// Makes the page. `filters` are state, workflow and team, as they were chosen; empty for any.
    pub fn new(
        shell: Shell,
        instances: Vec<InstanceSummary>,
        next: Option<String>,
        filters: [String; 3],
    ) -> Self {
        let [chosen_state, workflow, team] = filters;
        let states = State::ALL.iter().map(|state| state.as_str()).collect();
        Self { shell, instances, states, chosen_state, workflow, team, next }
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn short(&self, id: &text::InstanceId) -> String {
        id.to_string().chars().take(8).collect()
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn observed(&self, instance: &InstanceSummary) -> bool {
        instance.mode.into_inner() == Mode::Shadow
    }
}

/// What a verifier says of an execution.
#[derive(Debug, Clone)]
pub struct Story {
    /// Its verdict, in a word.
    pub verdict: &'static str,
    /// What that means.
    pub meaning: &'static str,
    /// What happened, from the beginning.
    pub moments: Vec<Moment>,
}

/// One event. Its words repeat what others wrote: untrusted.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The number of its artifact.
    pub sequence: u64,
    /// When.
    pub at: UnixMillis,
    /// Who did what.
    pub text: String,
    /// Under which policy.
    pub policy: Option<String>,
}

/// One execution.
#[derive(Debug, Template)]
#[template(path = "instance.html")]
pub struct InstancePage {
    shell: Shell,
    instance: InstanceView,
    chain: String,
    story: Story,
}

impl Page for InstancePage {}

impl InstancePage {
    /// Makes the page.
    pub fn new(shell: Shell, instance: InstanceView, story: Story) -> Self {
        let chain = on_behalf_of(&instance.requester);
        Self { shell, instance, chain, story }
    }

    fn observed(&self) -> bool {
        self.instance.mode.into_inner() == Mode::Shadow
    }

    fn captured(&self) -> bool {
        self.instance.outcomes.iter().any(|outcome| !outcome.evidence.is_empty())
    }

    fn waiting(&self) -> Option<&GateView> {
        self.instance.gate.as_ref().filter(|gate| gate.state == GateState::Open)
    }
}

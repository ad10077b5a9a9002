//! One gate: what is asked, why, who must agree, and what this human says to it.

use askama::Template;
use gantral_api::wire::{Action, Assertion, Decided, GateGroup, GateState, GateSummary, GateView, text};
use gantral_core::time::DurationMs;

use super::actors::on_behalf_of;
use super::acts::Acts;
use super::signing::Signing;
use crate::action::{Difference, Field, FieldKind, FormError, canonical, differences, fields};
use crate::inert::Inert;
use crate::page::{Page, Shell};

/// What is asked, and the forms to answer.
#[derive(Debug, Template)]
#[template(path = "gate.html")]
pub struct GatePage {
    shell: Shell,
    gate: GateView,
    is_open: bool,
    fields: Vec<Field>,
    exact: String,
    chain: String,
    stages: Vec<ShownStage>,
    roles: String,
    acts: Acts,
    signing: Signing,
    chosen: String,
    extensions: Vec<Extension>,
    /// The roles of this human under which they may decide alone, in an emergency.
    emergency: Vec<text::Role>,
    breaking: bool,
    /// Whether this human may look at the execution too.
    follows: bool,
    earlier: Vec<GateSummary>,
    /// What whoever asks says of it.
    claims: Vec<Assertion>,
    context: String,
    justification: String,
    changing: bool,
    target: String,
    edited: Vec<Field>,
    problem: Option<String>,
}

/// A deadline that a gate could have instead.
#[derive(Debug)]
struct Extension {
    deadline: text::Time,
    words: &'static str,
}

/// By how much a gate can be extended, in words.
const STEPS: [(DurationMs, &str); 4] = [
    (DurationMs::from_secs(3_600), "by an hour"),
    (DurationMs::from_secs(4 * 3_600), "by 4 hours"),
    (DurationMs::from_secs(86_400), "by a day"),
    (DurationMs::from_secs(3 * 86_400), "by 3 days"),
];

/// Returns the later deadlines that a gate allows.
fn extensions(gate: &GateView) -> Vec<Extension> {
    let (deadline, latest) = (gate.deadline.into_inner(), gate.latest_deadline.into_inner());
    let steps = STEPS.iter().map(|(step, words)| (deadline.plus(*step), *words));
    let within = steps.filter(|(later, _)| *later < latest);
    let last = (latest > deadline).then_some((latest, "as far as it goes"));
    within.chain(last).map(|(later, words)| Extension { deadline: later.into(), words }).collect()
}

/// One stage, in words.
#[derive(Debug)]
struct ShownStage {
    text: String,
    word: &'static str,
    open: bool,
}

impl Page for GatePage {}

impl GatePage {
    /// Makes the page. `acts` is as whom this human may decide, `signing` whether a passkey signs it, `roles` are their own; `follows` says whether they may look at the
    /// execution too; `earlier` are closed gates of the same action, the newest first.
    pub fn new(
        shell: Shell,
        gate: GateView,
        acts: Acts,
        signing: Signing,
        roles: &[text::Role],
        follows: bool,
        earlier: Vec<GateSummary>,
    ) -> Self {
        let breaks = |role: &&text::Role| gate.break_glass_roles.contains(role);
        let fields = fields(&gate.action).unwrap_or_default();
        Self {
            is_open: gate.state == GateState::Open,
            exact: canonical(&gate.action),
            chain: on_behalf_of(&gate.requester),
            stages: stages(&gate),
            roles: list(&gate.roles),
            extensions: if acts.has_own() { extensions(&gate) } else { Vec::new() },
            emergency: roles.iter().filter(breaks).cloned().collect(),
            breaking: false,
            follows,
            acts,
            signing,
            chosen: String::new(),
            earlier,
            context: gate.context.pretty(TEXT_CHARS_MAX),
            claims: gate.claims(),
            justification: String::new(),
            changing: false,
            target: gate.action.target.clone(),
            edited: fields.clone(),
            fields,
            problem: None,
            shell,
            gate,
        }
    }

    /// Says what went wrong with the answer that was sent, and keeps what was written.
    #[must_use]
    pub fn with_problem(mut self, problem: String, sent: impl Fn(&str) -> Option<String>) -> Self {
        self.problem = Some(problem);
        self.justification = sent("justification").unwrap_or_default();
        self.chosen = sent("role").unwrap_or_default();
        self.breaking = sent("break_glass").is_some();
        self.changing = sent("target").is_some();
        self.target = sent("target").unwrap_or(self.target);
        for field in &mut self.edited {
            if let Some(value) = sent(&field.form_name()) {
                field.value = value;
            }
        }
        self
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn word(&self, state: &GateState) -> &'static str {
        word(*state)
    }

    /// The value that was asked for, beside an edited one.
    fn asked(&self, field: &Field) -> String {
        let asked = self.fields.iter().find(|asked| asked.name == field.name);
        asked.map(|asked| asked.value.clone()).unwrap_or_default()
    }

    /// Tells whether humans let the call pass, changed or not.
    const fn passed(&self) -> bool {
        matches!(self.gate.state, GateState::Approved | GateState::Overridden)
    }

    fn closed(&self) -> String {
        let cause = self.gate.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        format!("Closed: {}{cause}.", word(self.gate.state))
    }
}

const fn word(state: GateState) -> &'static str {
    match state {
        GateState::Open => "open",
        GateState::Approved => "approved as asked",
        GateState::Overridden => "approved with changes",
        GateState::Rejected => "rejected",
    }
}

impl Field {
    fn is_json(&self) -> bool {
        self.kind == FieldKind::Json
    }

    fn is_number(&self) -> bool {
        self.kind == FieldKind::Number
    }
}

/// The most characters of one text of the context: a long one must not push the others off the page.
const TEXT_CHARS_MAX: usize = 2_000;

fn list(roles: &[text::Role]) -> String {
    roles.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

fn stages(gate: &GateView) -> Vec<ShownStage> {
    let group = |group: &GateGroup| format!("{} of {}", group.count, list(&group.any_of));
    let open = gate.open_stage.and_then(|open| usize::try_from(open).ok());
    let shown = gate.stages.iter().enumerate().map(|(index, stage)| ShownStage {
        text: stage.all_of.iter().map(group).collect::<Vec<_>>().join(" and "),
        word: match open {
            Some(open) if index < open => "has agreed",
            Some(open) if index == open && gate.stages.len() > 1 => "now",
            Some(open) if index > open => "afterwards",
            _ => "",
        },
        open: open == Some(index),
    });
    shown.collect()
}

/// What would be approved instead of what was asked for.
#[derive(Debug, Template)]
#[template(path = "changes.html")]
pub struct ChangesPage {
    shell: Shell,
    gate: GateView,
    approved: Action,
    edited: Vec<Field>,
    differences: Vec<Difference>,
    exact: String,
    acts: Acts,
    signing: Signing,
    chosen: String,
    breaking: bool,
    justification: String,
}

impl Page for ChangesPage {}

impl ChangesPage {
    /// Makes the page; see [`GatePage::new`].
    ///
    /// # Errors
    /// `FormError` when one of the actions cannot be shown as fields.
    pub fn new(
        shell: Shell,
        gate: GateView,
        approved: Action,
        acts: Acts,
        signing: Signing,
    ) -> Result<Self, FormError> {
        Ok(Self {
            edited: fields(&approved)?,
            differences: differences(&gate.action, &approved)?,
            exact: canonical(&approved),
            shell,
            gate,
            approved,
            acts,
            signing,
            chosen: String::new(),
            breaking: false,
            justification: String::new(),
        })
    }
}

/// What became of a decision.
#[derive(Debug, Template)]
#[template(path = "decided.html")]
pub struct DecidedPage {
    /// The frame.
    pub shell: Shell,
    /// What was said, in words.
    pub said: &'static str,
    /// The execution.
    pub instance: text::InstanceId,
    /// Whether this human may look at it.
    pub follows: bool,
    /// The gate, where the call may pass now: for who proposes that nobody is asked again.
    pub passes: Option<text::GateId>,
    /// Whether a passkey of theirs signed it.
    pub signed: bool,
    /// The answer.
    pub decided: Decided,
}

impl Page for DecidedPage {}

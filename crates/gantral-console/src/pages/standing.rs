//! A standing rule, proposed from a gate.

use askama::Template;
use gantral_api::wire::GateView;
use gantral_core::json::text::inert;
use gantral_core::json::{Object, POINTER_STEPS_MAX, Pointer, Value};

use crate::inert::Inert;
use crate::kept::Kept;
use crate::page::{Page, Shell};

/// For how long a rule may be, in hours.
const SPANS: [(u32, &str); 5] =
    [(1, "an hour"), (24, "a day"), (7 * 24, "a week"), (30 * 24, "30 days"), (90 * 24, "90 days")];
/// The span that is chosen at first.
const SPAN: u32 = 7 * 24;
/// The most members that can be left free here; a proposal by the command line names any.
const MEMBERS_MAX: usize = 32;
/// The most characters of a value that are shown beside its name: the whole call is on the page of the gate.
const VALUE_CHARS_MAX: usize = 200;

/// How far a later call may differ, for how long, and how often.
#[derive(Debug, Template)]
#[template(path = "standing.html")]
pub struct StandingPage {
    shell: Shell,
    gate: GateView,
    members: Vec<Member>,
    kept: Kept,
}

/// One member of the parameters.
#[derive(Debug)]
struct Member {
    pointer: String,
    value: String,
    is_number: bool,
}

impl Page for StandingPage {}

impl StandingPage {
    /// Makes the page for a gate that was asked for, with what was typed into a form that was refused.
    pub fn new(shell: Shell, gate: GateView, kept: Kept) -> Self {
        let mut members = Vec::new();
        if let Ok(Value::Object(parameters)) = gate.action.parameters.to_value() {
            collect("", &parameters, 1, &mut members);
        }
        members.truncate(MEMBERS_MAX);
        Self { shell, gate, members, kept }
    }

    fn is_chosen(&self, hours: u32) -> bool {
        if self.kept.get("hours").is_empty() { hours == SPAN } else { self.kept.has("hours", hours) }
    }

    fn bound(&self, member: &Member) -> &str {
        self.kept.get(&format!("at_most:{}", member.pointer))
    }
}

/// Collects what stands at the ends of objects: a list is one value.
fn collect(above: &str, members: &Object, depth: usize, found: &mut Vec<Member>) {
    for (name, value) in members.iter() {
        let pointer = format!("{above}/{}", name.replace('~', "~0").replace('/', "~1"));
        match value {
            Value::Object(members) if !members.is_empty() && depth < POINTER_STEPS_MAX => {
                collect(&pointer, members, depth + 1, found);
            }
            // What no pointer names is compared as it is.
            _ if Pointer::parse(&pointer).is_none() => {}
            value => {
                let written = inert(&String::from_utf8_lossy(&value.to_canonical()));
                let mut shown: String = written.chars().take(VALUE_CHARS_MAX).collect();
                if shown.len() < written.len() {
                    shown.push('…');
                }
                found.push(Member { pointer, value: shown, is_number: value.as_number().is_some() });
            }
        }
    }
}

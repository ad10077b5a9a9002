//! A gate as an approver sees it: the exact action first, everybody's prose last and named as untrusted.

use gantral_api::wire::{Action, Document, GateGroup, GatePage, GateState, GateSummary, GateView, text};
use gantral_core::json::{Object, Value};
use gantral_core::time::UnixMillis;

use super::{row, rows, workflow};
use crate::failure::Failure;
use crate::input::canonical;
use crate::out::{FAINT, LOOK, STRONG, styled};
use crate::table::table;
use crate::when::{distance, with_distance};
use gantral_core::json::text::inert;

/// The most lines of the context that are shown; the JSON form has all.
const CONTEXT_LINES_MAX: usize = 200;
/// The most characters of one text in it that are shown.
const TEXT_CHARS_MAX: usize = 2_000;

/// Returns the word of a state.
pub const fn state(state: GateState) -> &'static str {
    match state {
        GateState::Open => "OPEN",
        GateState::Approved => "APPROVED",
        GateState::Overridden => "OVERRIDDEN",
        GateState::Rejected => "REJECTED",
    }
}

/// Returns everything that an approver must see.
pub fn view(gate: &GateView, now: UnixMillis) -> Result<String, Failure> {
    // Once it is closed, something else may have been granted, or nothing.
    let is_open = gate.state == GateState::Open;
    let title = if is_open { "What would run, exactly" } else { "What was asked for, exactly" };
    let mut text = format!("{}\n", styled(STRONG, title));
    text.push_str(&action(&gate.action)?);
    text.push('\n');
    text.push_str(&row(
        "gate",
        format_args!("{} version {}, {}", gate.gate_id, gate.version, state(gate.state)),
    ));
    if let Some(cause) = gate.cause {
        text.push_str(&row("closed by", cause));
    }
    text.push_str(&row("workflow", format_args!("{}, team {}", workflow(&gate.workflow), gate.team)));
    text.push_str(&row("instance", gate.instance_id));
    text.push_str(&row(
        "asked by",
        format_args!("{} {}", gate.requested_by, distance(gate.opened_at.0, now)),
    ));
    text.push_str(&needs(gate));
    for vote in &gate.votes {
        text.push_str(&row("vote", format_args!("{} as {}", vote.person, vote.role)));
    }
    for rejection in &gate.rejections {
        text.push_str(&row("rejection", format_args!("{} as {}", rejection.person, rejection.role)));
    }
    if is_open {
        text.push_str(&row("deadline", with_distance(gate.deadline.0, now)));
    }
    text.push_str(&row("policy", gate.policy_version_id));
    if !gate.reasons.is_empty() {
        text.push_str(&format!("\n{}\n", styled(STRONG, "What the policy says about it")));
        for reason in &gate.reasons {
            text.push_str(&format!("  | {}\n", inert(reason)));
        }
    }
    let claims = gate.claims();
    if !claims.is_empty() {
        text.push_str(&untrusted("What the agent says", "its own words, which nobody checked"));
        let pairs: Vec<_> = claims.iter().map(|claim| (inert(&claim.name), inert(&claim.words))).collect();
        text.push_str(&rows(&pairs));
    }
    text.push_str(&untrusted("What policy was told", "with the words of the agent among it"));
    text.push_str(&context(&gate.context));
    Ok(text)
}

/// Returns an action: its canonical bytes, then its members one by one.
pub fn action(action: &Action) -> Result<String, Failure> {
    let mut text = format!("  {}\n\n", styled(LOOK, inert(&canonical(action)?)));
    let mut pairs =
        vec![("action".to_owned(), action.name.to_string()), ("target".to_owned(), inert(&action.target))];
    pairs.extend(members(action)?.iter().map(|(name, value)| (inert(name), json(value))));
    text.push_str(&rows(&pairs));
    Ok(text)
}

/// Returns what a change changes: `amount  4800 -> 480`.
pub fn changes(from: &Action, to: &Action) -> Result<String, Failure> {
    let (before, after) = (members(from)?, members(to)?);
    let mut text = String::new();
    if from.name != to.name {
        text.push_str(&row("action", format_args!("{} -> {}", from.name, to.name)));
    }
    if from.target != to.target {
        text.push_str(&row("target", format_args!("{} -> {}", inert(&from.target), inert(&to.target))));
    }
    let mut names: Vec<&str> = before.names().chain(after.names()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let (old, new) = (before.get(name), after.get(name));
        if old != new {
            let shown = |value: Option<&Value>| value.map_or_else(|| "(absent)".to_owned(), json);
            text.push_str(&row(&inert(name), format_args!("{} -> {}", shown(old), shown(new))));
        }
    }
    Ok(text)
}

fn members(action: &Action) -> Result<Object, Failure> {
    match action.parameters.to_value() {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(Failure::new("the parameters of the action are no object")),
        Err(error) => Err(Failure::new(format!("the action cannot be read: {error}"))),
    }
}

fn json(value: &Value) -> String {
    inert(&String::from_utf8_lossy(&value.to_canonical()))
}

fn untrusted(title: &str, why: &str) -> String {
    format!("\n{} {}\n", styled(STRONG, title), styled(FAINT, format_args!("({why})")))
}

fn context(document: &Document) -> String {
    let pretty = document.pretty(TEXT_CHARS_MAX);
    let mut lines = pretty.lines();
    let mut text: String =
        lines.by_ref().take(CONTEXT_LINES_MAX).map(|line| format!("  | {}\n", inert(line))).collect();
    let more = lines.count();
    if more > 0 {
        text.push_str(&format!("  | … and {more} lines more: `--json` shows all\n"));
    }
    text
}

/// Returns who must agree, one line for each stage, and how many must refuse where one is not enough.
fn needs(gate: &GateView) -> String {
    let group = |group: &GateGroup| format!("{} of {}", group.count, roles(&group.any_of));
    let mut text = String::new();
    for (index, stage) in gate.stages.iter().enumerate() {
        let groups: Vec<String> = stage.all_of.iter().map(group).collect();
        let word = match gate.open_stage.and_then(|open| usize::try_from(open).ok()) {
            _ if gate.stages.len() == 1 => "",
            Some(open) if index < open => ", which is met",
            Some(open) if index == open => ", now",
            Some(_) => ", afterwards",
            None => "",
        };
        let label = if index == 0 { "needs" } else { "" };
        text.push_str(&row(label, format_args!("{}{word}", groups.join(" and "))));
    }
    if gate.required_rejections > 1 {
        text.push_str(&row("refused by", format_args!("{} rejections", gate.required_rejections)));
    }
    if !gate.break_glass_roles.is_empty() {
        let alone = roles(&gate.break_glass_roles);
        text.push_str(&row("emergency", format_args!("{alone} alone, with `--break-glass`")));
    }
    text
}

fn roles(roles: &[text::Role]) -> String {
    let names: Vec<String> = roles.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// Returns how far a gate is, and how near its refusal once somebody has rejected.
fn votes(gate: &GateSummary) -> String {
    let agreed = format!("{}/{} {}", gate.votes, gate.required, roles(&gate.roles));
    match gate.rejections {
        0 => agreed,
        rejections => format!("{agreed}, {rejections}/{} against", gate.required_rejections),
    }
}

/// Returns a page of gates, one a line.
pub fn page(page: &GatePage, now: UnixMillis) -> String {
    if page.items.is_empty() {
        return "nothing waits\n".to_owned();
    }
    let heading = ["GATE", "ACTION", "TARGET", "WORKFLOW", "NEEDS", "DEADLINE"].map(str::to_owned).to_vec();
    let line = |gate: &GateSummary| {
        vec![
            gate.gate_id.to_string(),
            gate.action_name.to_string(),
            inert(&gate.target),
            gate.workflow.id.to_string(),
            votes(gate),
            distance(gate.deadline.0, now),
        ]
    };
    table(&std::iter::once(heading).chain(page.items.iter().map(line)).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refund(parameters: &str, target: &str) -> Action {
        Action {
            name: "refund".parse().unwrap(),
            target: target.to_owned(),
            parameters: Document::from_text(parameters).unwrap(),
        }
    }

    #[test]
    fn change_names_what_differs_and_nothing_else() {
        let from = refund(r#"{"amount":4800,"currency":"EUR"}"#, "order/1001");
        let to = refund(r#"{"amount":480,"currency":"EUR","note":"x"}"#, "order/1001");
        let text = changes(&from, &to).unwrap();
        assert_eq!(text, "  amount      4800 -> 480\n  note        (absent) -> \"x\"\n");
    }

    #[test]
    fn hostile_target_and_parameters_are_shown_inert() {
        let hostile = refund("{\"note\":\"a\\u001b[2J\u{202e}b\"}", "order\u{1b}[2J\u{202e}");
        let text = anstream::adapter::strip_str(&action(&hostile).unwrap()).to_string();
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "{text:?}");
        assert!(text.contains("order\\u001b[2J\\u202e"), "{text}");
    }
}

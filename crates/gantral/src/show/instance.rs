//! Instances as people read them.

use gantral_api::wire::{GrantView, InstancePage, InstanceSummary, InstanceView, RequesterView};
use gantral_core::state::State;
use gantral_core::time::UnixMillis;

use super::{gate, row, workflow};
use crate::failure::Failure;
use crate::input::canonical;
use crate::out::{BAD, GOOD, LOOK, STRONG, styled};
use crate::table::table;
use crate::when::{distance, with_distance};
use gantral_core::json::text::inert;

/// Returns a state in the colour of what it means for whoever waits for it.
pub fn state(state: State) -> String {
    let style = match state {
        State::Completed => GOOD,
        State::Terminated | State::Rejected => BAD,
        State::WaitingForHuman => LOOK,
        State::Created | State::Running | State::Approved | State::Overridden | State::Resumed => STRONG,
    };
    styled(style, state.as_str())
}

/// Returns one instance as it stands.
pub fn view(instance: &InstanceView, now: UnixMillis) -> Result<String, Failure> {
    let mut text = row("instance", instance.instance_id);
    let cause = instance.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    text.push_str(&row("state", format_args!("{}{cause}", state(instance.state.0))));
    text.push_str(&row("workflow", format_args!("{}, team {}", workflow(&instance.workflow), instance.team)));
    text.push_str(&row("attempt", format_args!("{}, mode {}", instance.attempt, instance.mode)));
    text.push_str(&row("on behalf of", requesters(&instance.requester)));
    if let Some(session) = &instance.session_id {
        text.push_str(&row("session", session));
    }
    text.push_str(&row("created", with_distance(instance.created_at.0, now)));
    text.push_str(&row("updated", with_distance(instance.updated_at.0, now)));
    if !instance.state.0.is_final() {
        text.push_str(&row("expires", with_distance(instance.expires_at.0, now)));
    }
    text.push_str(&row("head", format_args!("#{} {}", instance.head.sequence, instance.head.hash)));
    if let Some(grant) = &instance.pending_grant {
        text.push_str(&row("grant", granted(grant, now)?));
    }
    for outcome in &instance.outcomes {
        let status = outcome.status.map_or_else(|| "owed".to_owned(), |status| status.to_string());
        text.push_str(&row("outcome", format_args!("{status} of grant {}", outcome.grant_id)));
        for item in &outcome.evidence {
            let kept = item.url.as_ref().map(|url| format!(", kept at {}", inert(url))).unwrap_or_default();
            text.push_str(&row("evidence", format_args!("{} sha256:{}{kept}", item.name, item.digest)));
        }
    }
    if let Some(open) = &instance.gate {
        text.push('\n');
        text.push_str(&gate::view(open, now)?);
    }
    Ok(text)
}

fn granted(grant: &GrantView, now: UnixMillis) -> Result<String, Failure> {
    let changed = if grant.overridden { ", changed by a human" } else { "" };
    let action = inert(&canonical(&grant.action)?);
    Ok(format!("{} for {action}{changed}, lapses {}", grant.grant_id, distance(grant.expires_at.0, now)))
}

fn requesters(chain: &[RequesterView]) -> String {
    let names: Vec<String> = chain
        .iter()
        .map(|link| {
            let name = link.display.as_deref().map_or_else(|| link.id.to_string(), inert);
            format!("{name} ({})", link.kind)
        })
        .collect();
    names.join(" -> ")
}

/// Returns a page of instances, one a line.
pub fn page(page: &InstancePage, now: UnixMillis) -> String {
    if page.items.is_empty() {
        return "no instances\n".to_owned();
    }
    let heading = ["INSTANCE", "WORKFLOW", "STATE", "ATTEMPT", "UPDATED"].map(str::to_owned).to_vec();
    let line = |instance: &InstanceSummary| {
        let cause = instance.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
        vec![
            instance.instance_id.to_string(),
            instance.workflow.id.to_string(),
            format!("{}{cause}", instance.state),
            instance.attempt.to_string(),
            distance(instance.updated_at.0, now),
        ]
    };
    table(&std::iter::once(heading).chain(page.items.iter().map(line)).collect::<Vec<_>>())
}

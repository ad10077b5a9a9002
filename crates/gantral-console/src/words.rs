//! Rules and their changes, as people say them.

use gantral_api::wire::{Document, GovernanceEvent, Scope, text};
use serde_json::Value;

/// Returns what a rule is about.
pub(crate) fn scope(scope: &Scope) -> String {
    match scope {
        Scope::Tenant => "everything of the tenant".to_owned(),
        Scope::Team { name } => format!("team {name}"),
        Scope::Workflow { name } => format!("workflow {name}"),
    }
}

/// Returns the word of a scope that forms send, as the API spells it.
pub(crate) const fn kind(scope: &Scope) -> &'static str {
    match scope {
        Scope::Tenant => "tenant",
        Scope::Team { .. } => "team",
        Scope::Workflow { .. } => "workflow",
    }
}

/// Returns the name in a scope; empty for the tenant.
pub(crate) fn name(scope: &Scope) -> String {
    match scope {
        Scope::Tenant => String::new(),
        Scope::Team { name } => name.to_string(),
        Scope::Workflow { name } => name.to_string(),
    }
}

/// Returns the beginning of a digest, which is enough to tell a few apart.
pub(crate) fn short(digest: &str) -> String {
    digest.chars().take(12).collect()
}

/// Returns whom an identifier names: a person is a digest, of which the beginning tells enough.
pub(crate) fn actor(id: &str) -> String {
    match gantral_core::digest::Digest::parse(id) {
        Ok(_) => format!("person {}", short(id)),
        Err(_) => id.to_owned(),
    }
}

/// What a change of the rules says.
#[derive(Debug)]
pub(crate) struct Said {
    /// In a sentence.
    pub text: String,
    /// The policy version that it is about.
    pub version: Option<String>,
}

/// Reads an event of the governance chain, done or proposed.
pub(crate) fn said(event: &str, detail: &Document) -> Said {
    let detail: Value = serde_json::from_str(detail.as_str()).unwrap_or(Value::Null);
    let text = |name: &str| detail.get(name).and_then(Value::as_str).unwrap_or_default();
    let place = place(detail.get("scope"));
    let key = short(text("key_id"));
    let version = (event == "policy_activated").then(|| text("policy_version_id").to_owned());
    let text = match event {
        "policy_activated" => {
            let before = match text("previous") {
                "" => String::new(),
                previous => format!(" in place of {}", short(previous)),
            };
            format!("Policy {}{before} for {place}", short(text("policy_version_id")))
        }
        "mode_changed" => {
            let action = match text("action") {
                "" => String::new(),
                action => format!("{action} of "),
            };
            format!("{} for {action}{place}", text("mode"))
        }
        "frozen" => format!("Freeze of {place}"),
        "lifted" => format!("End of the freeze of {place}"),
        "delegated" => {
            let roles = detail.get("roles").and_then(Value::as_array).into_iter().flatten();
            let roles: Vec<&str> = roles.filter_map(Value::as_str).collect();
            let (from, to) = (actor(text("from")), actor(text("to")));
            format!("{} of {from} lent to {to} until {}", roles.join(", "), text("not_after"))
        }
        "delegation_revoked" => format!("End of delegation {}", short(text("delegation_hash"))),
        "key_added" => format!("Key {key} may sign as {}", text("role")),
        "key_retired" => format!("Key {key} signs nothing any more"),
        "key_compromised" => format!("Key {key} counts for nothing from here on: compromised"),
        "enrolled" => {
            format!("Passkey {} enrolled for {}", short(text("entry_digest")), actor(text("person_id")))
        }
        "enrolment_revoked" => format!("End of passkey {}", short(text("entry_digest"))),
        "erased" => format!("Erased: {}", text("label")),
        other => other.replace('_', " "),
    };
    Said { text, version: version.filter(|version| !version.is_empty()) }
}

/// Returns a scope as the governance chain spells it.
fn place(scope: Option<&Value>) -> String {
    let text = |name: &str| scope.and_then(|scope| scope.get(name)).and_then(Value::as_str);
    match (text("kind"), text("name")) {
        (Some(kind), Some(name)) => format!("{kind} {name}"),
        _ => "everything of the tenant".to_owned(),
    }
}

/// One change of the rules. Its reason repeats what somebody wrote: untrusted.
#[derive(Debug)]
pub(crate) struct Change {
    pub text: String,
    pub version: Option<String>,
    pub sequence: u64,
    pub hash: text::Digest,
    pub at: text::Time,
    pub by: String,
    pub why: Option<String>,
}

impl Change {
    pub(crate) fn of(event: &GovernanceEvent) -> Self {
        let Said { text, version } = said(&event.event, &event.detail);
        let by = match &event.proposed_by {
            Some(first) => format!("{} and {}", actor(first.actor.as_str()), actor(event.actor.as_str())),
            None => actor(event.actor.as_str()),
        };
        let proposed = event.proposed_by.as_ref().and_then(|by| by.justification.clone());
        let why = match (proposed, event.justification.clone()) {
            (Some(first), Some(second)) => Some(format!("{first}\n{second}")),
            (first, second) => first.or(second),
        };
        let (sequence, hash, at) = (event.sequence, event.hash, event.at);
        Self { text, version, sequence, hash, at, by, why }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(event: &str, detail: &str) -> String {
        said(event, &Document::from_text(detail).unwrap()).text
    }

    #[test]
    fn a_change_of_the_rules_is_a_sentence() {
        let (a, b) = ("a".repeat(64), "b".repeat(64));
        let scope = r#""scope":{"kind":"workflow","name":"refund"}"#;
        for (event, detail, expected) in [
            (
                "policy_activated",
                format!(r#"{{"policy_version_id":"{a}",{scope}}}"#),
                "Policy aaaaaaaaaaaa for workflow refund",
            ),
            (
                "policy_activated",
                format!(r#"{{"policy_version_id":"{a}","previous":"{b}","scope":{{"kind":"tenant"}}}}"#),
                "Policy aaaaaaaaaaaa in place of bbbbbbbbbbbb for everything of the tenant",
            ),
            (
                "mode_changed",
                format!(r#"{{"action":"refund","mode":"SHADOW",{scope}}}"#),
                "SHADOW for refund of workflow refund",
            ),
            ("frozen", format!(r#"{{"epoch":1,{scope}}}"#), "Freeze of workflow refund"),
            (
                "delegated",
                format!(r#"{{"from":"{a}","not_after":"T","not_before":"S","roles":["A","B"],"to":"{b}"}}"#),
                "A, B of person aaaaaaaaaaaa lent to person bbbbbbbbbbbb until T",
            ),
            ("something_new", "{}".to_owned(), "something new"),
        ] {
            assert_eq!(words(event, &detail), expected);
        }
    }
}

//! What messages about a gate may show of what was asked for. Source: `spec/workflow.md` W19.

use gantral_core::ids::{GateId, TenantId};
use gantral_core::json::text::inert;
use gantral_core::json::{Pointer, Value};

use crate::engine::Engine;
use crate::error::EngineError;

/// The longest value that a message shows, in characters.
const VALUE_MAX: usize = 200;

/// A member of an action's parameters that its workflow lets messages show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifiedMember {
    /// Where it stands in the parameters (RFC 6901).
    pub pointer: String,
    /// What stands there: a text, or a number, a truth value or `null` as JSON. Inert, and at most 200 characters and an ellipsis.
    pub value: String,
}

impl Engine {
    /// Returns what messages about a gate may show: what its workflow names, and nothing that was erased. Objects and lists are never
    /// shown, since nobody who named one knew what it would hold.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn notified_members(
        &self,
        tenant: &TenantId,
        gate: GateId,
    ) -> Result<Vec<NotifiedMember>, EngineError> {
        let missing = EngineError::NotFound { what: "the instance" };
        let row = self.gate_row(tenant, gate).await?;
        let instance = self.0.store.instance(tenant, row.instance).await?.ok_or(missing)?;
        let workflow = self.0.registry.workflow(tenant, instance.index.workflow_version).await?;
        let declared = workflow.actions.get(&row.gate.action_name);
        let Some(pointers) = declared.map(|action| &action.notify_members).filter(|all| !all.is_empty())
        else {
            return Ok(Vec::new());
        };
        let action = self.gate_outline(tenant, row).await?.action;
        let parameters = action.as_ref().and_then(|action| action.get("parameters"));
        Ok(parameters.map_or_else(Vec::new, |parameters| shown(pointers, parameters)))
    }
}

fn shown(pointers: &[Pointer], parameters: &Value) -> Vec<NotifiedMember> {
    let member = |pointer: &Pointer| {
        let value = written(pointer.find(parameters)?)?;
        Some(NotifiedMember { pointer: pointer.as_str().to_owned(), value })
    };
    pointers.iter().filter_map(member).collect()
}

fn written(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) => inert(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => String::from_utf8(value.to_canonical()).ok()?,
        Value::Array(_) | Value::Object(_) => return None,
    };
    if text.chars().count() <= VALUE_MAX {
        return Some(text);
    }
    Some(text.chars().take(VALUE_MAX).chain(['…']).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

    use gantral_core::json::{Profile, parse};

    use super::*;

    #[test]
    fn only_what_is_named_is_shown_and_only_what_is_one_value() {
        let text = r#"{"amount": 4800, "note": "pay\r\nnow\u202e", "big": 12345678901234567890, "paid": false, "iban": "CANARY",
            "customer": {"name": "CANARY", "tier": null}, "lines": ["CANARY"]}"#;
        let parameters = parse(text.as_bytes(), &Profile::DOCUMENT).unwrap();
        let pointers =
            ["/amount", "/note", "/big", "/paid", "/customer", "/customer/tier", "/lines", "/none"];
        let pointers = pointers.map(|text| Pointer::parse(text).unwrap());
        let found: Vec<_> =
            shown(&pointers, &parameters).into_iter().map(|one| (one.pointer, one.value)).collect();
        let expected = [
            ("/amount", "4800"),
            ("/note", "pay\\u000d\\u000anow\\u202e"),
            ("/big", "12345678901234567890"),
            ("/paid", "false"),
            ("/customer/tier", "null"),
        ];
        assert_eq!(found, expected.map(|(pointer, value)| (pointer.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_value_is_cut_where_nobody_would_read_on() {
        let long = Value::String("ü".repeat(VALUE_MAX + 50));
        let text = written(&long).unwrap();
        assert!(text.chars().count() == VALUE_MAX + 1 && text.ends_with('…'), "{text}");
    }
}

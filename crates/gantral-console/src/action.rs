//! An action as fields of a form, and a form as the action that it makes of it.
//!
//! A field keeps the type of what was asked for: whoever changes 4800 to 480 sends a number again. What a form cannot say in one
//! line is edited as JSON.

use gantral_api::wire::{Action, Document};
use gantral_core::json::text::{inert, is_plain};
use gantral_core::json::{self, Object, Profile, Value};

/// How the value of a field is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FieldKind {
    /// The text itself.
    Text,
    /// A JSON number, as it stands.
    Number,
    /// `true` or `false`.
    Boolean,
    /// JSON: an object, a list, `null`.
    Json,
}

/// One parameter of an action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// How its value is written.
    pub kind: FieldKind,
    /// The value, so written.
    pub value: String,
}

/// Why a form makes no action. Whoever filled it in mends it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// A value that is not of the kind that was asked for.
    #[error("`{name}` must be {expected}")]
    Value {
        /// The parameter.
        name: String,
        /// What it must be.
        expected: &'static str,
    },
    /// The parameters of the action are no object, or cannot be read.
    #[error("the parameters of this action cannot be changed here")]
    Parameters,
}

impl Field {
    fn of(name: &str, value: &Value) -> Self {
        // What acts, hides or reorders is spelled out, so that whoever edits sees it.
        let canonical = || inert(&String::from_utf8_lossy(&value.to_canonical()));
        let (kind, value) = match value {
            Value::String(text) if text.chars().all(is_plain) => (FieldKind::Text, text.clone()),
            Value::Number(_) => (FieldKind::Number, canonical()),
            Value::Bool(_) => (FieldKind::Boolean, canonical()),
            Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
                (FieldKind::Json, canonical())
            }
        };
        Self { name: name.to_owned(), kind, value }
    }

    /// Returns the name of the field in a form: parameters have any names.
    pub fn form_name(&self) -> String {
        format!("parameter:{}", self.name)
    }

    fn read(&self, text: &str) -> Result<Value, FormError> {
        let wrong = |expected| FormError::Value { name: self.name.clone(), expected };
        let parsed = || json::parse(text.trim().as_bytes(), &Profile::DOCUMENT).ok();
        match self.kind {
            FieldKind::Text => Ok(Value::String(text.to_owned())),
            FieldKind::Number => {
                parsed().filter(|value| matches!(value, Value::Number(_))).ok_or_else(|| wrong("a number"))
            }
            FieldKind::Boolean => {
                parsed().filter(|value| matches!(value, Value::Bool(_))).ok_or_else(|| wrong("true or false"))
            }
            FieldKind::Json => parsed().ok_or_else(|| wrong("JSON")),
        }
    }
}

/// Returns the fields of an action, in the order of its canonical form.
///
/// # Errors
/// `Parameters`.
pub(crate) fn fields(action: &Action) -> Result<Vec<Field>, FormError> {
    Ok(parameters(action)?.iter().map(|(name, value)| Field::of(name, value)).collect())
}

fn parameters(action: &Action) -> Result<Object, FormError> {
    match action.parameters.to_value() {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) | Err(_) => Err(FormError::Parameters),
    }
}

/// Returns the action that a form makes of the one that was asked for; `sent` returns what came for a field. What did not come stays.
///
/// # Errors
/// `FormError`.
pub fn changed(asked: &Action, sent: impl Fn(&str) -> Option<String>) -> Result<Action, FormError> {
    let mut parameters = Object::new();
    for field in fields(asked)? {
        let text = sent(&field.form_name()).unwrap_or_else(|| field.value.clone());
        parameters = parameters.with(&field.name, field.read(&text)?);
    }
    let bytes = Value::Object(parameters).to_canonical();
    Ok(Action {
        name: asked.name.clone(),
        target: sent("target").unwrap_or_else(|| asked.target.clone()),
        parameters: Document::from_bytes(&bytes).map_err(|_| FormError::Parameters)?,
    })
}

/// One member that differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Difference {
    pub name: String,
    pub asked: String,
    pub approved: String,
}

/// Returns what differs between two actions of one name.
pub(crate) fn differences(asked: &Action, approved: &Action) -> Result<Vec<Difference>, FormError> {
    let (before, after) = (fields(asked)?, fields(approved)?);
    let mut found = Vec::new();
    if asked.target != approved.target {
        let (asked, approved) = (asked.target.clone(), approved.target.clone());
        found.push(Difference { name: "target".to_owned(), asked, approved });
    }
    for (old, new) in before.into_iter().zip(after) {
        if old != new {
            found.push(Difference { name: old.name, asked: old.value, approved: new.value });
        }
    }
    Ok(found)
}

/// Returns the canonical bytes of an action: exactly what would run.
pub(crate) fn canonical(action: &Action) -> String {
    let parameters = action.parameters.to_value().unwrap_or(Value::Null);
    let whole = Object::new()
        .with("name", action.name.as_str())
        .with("parameters", parameters)
        .with("target", action.target.as_str());
    String::from_utf8_lossy(&Value::Object(whole).to_canonical()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(parameters: &str) -> Action {
        Action {
            name: "refund".parse().unwrap(),
            target: "order/1001".to_owned(),
            parameters: Document::from_text(parameters).unwrap(),
        }
    }

    #[test]
    fn a_form_changes_what_was_sent_and_keeps_types() {
        let asked = action(
            r#"{"amount":4800,"currency":"EUR","exact":123456789012345678901234567890.10,"urgent":true,"tags":["a"]}"#,
        );
        let sent = |name: &str| match name {
            "parameter:amount" => Some(" 480 ".to_owned()),
            "parameter:tags" => Some(r#"["a","b"]"#.to_owned()),
            _ => None,
        };
        let approved = changed(&asked, sent).unwrap();
        let expected = action(
            r#"{"amount":480,"currency":"EUR","exact":123456789012345678901234567890.10,"urgent":true,"tags":["a","b"]}"#,
        );
        assert_eq!(canonical(&approved), canonical(&expected));
        let names: Vec<_> =
            differences(&asked, &approved).unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(names, ["amount", "tags"]);
        assert_eq!(
            canonical(&changed(&asked, |_| None).unwrap()),
            canonical(&asked),
            "an untouched form changes nothing"
        );
    }

    #[test]
    fn a_value_of_another_kind_is_refused_by_name() {
        let asked = action(r#"{"amount":4800,"urgent":true,"tags":null}"#);
        for (field, text, expected) in [
            ("parameter:amount", "\"480\"", "`amount` must be a number"),
            ("parameter:amount", "", "`amount` must be a number"),
            ("parameter:urgent", "yes", "`urgent` must be true or false"),
            ("parameter:tags", "[", "`tags` must be JSON"),
            ("parameter:tags", r#"{"a":1,"a":2}"#, "`tags` must be JSON"),
        ] {
            let sent = |name: &str| (name == field).then(|| text.to_owned());
            assert_eq!(changed(&asked, sent).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn a_text_that_a_field_would_not_show_is_edited_as_json() {
        let asked = action(r#"{"note":"one\r\ntwo\u202ethree"}"#);
        let found = fields(&asked).unwrap();
        assert_eq!(found.first().map(|field| field.kind), Some(FieldKind::Json));
        assert_eq!(found.first().map(|field| field.value.as_str()), Some(r#""one\r\ntwo\u202ethree""#));
        assert_eq!(canonical(&changed(&asked, |_| None).unwrap()), canonical(&asked));
    }
}

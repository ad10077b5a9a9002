//! JSON whose exact text matters.

use core::fmt;
use std::borrow::Cow;

use gantral_core::json::{self, ParseError, Profile};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;
use utoipa::openapi::schema::ObjectBuilder;
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A JSON value as the text that somebody sent.
///
/// Nothing between the sender and the engine rewrites it: numbers keep their digits, duplicate members stay and are
/// refused by [`Document::to_value`]. Equality is equality of text.
///
/// Read it with a JSON reader of this process only: serde's buffered forms (untagged, flattened or internally tagged
/// types) cannot hold one.
#[derive(Clone)]
pub struct Document(Box<RawValue>);

/// Why a text is not one JSON value. The caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a JSON value: {why}")]
pub struct NotJson {
    /// What the reader said.
    pub why: String,
}

impl Document {
    /// Takes the text of one JSON value as it is.
    ///
    /// # Errors
    /// If the text is not JSON. Duplicate members and depth are looked at by [`Document::to_value`].
    pub fn from_text(text: impl Into<String>) -> Result<Self, NotJson> {
        RawValue::from_string(text.into()).map(Self).map_err(|error| NotJson { why: error.to_string() })
    }

    /// Takes UTF-8 bytes of one JSON value as they are.
    ///
    /// # Errors
    /// If the bytes are not UTF-8, or not JSON.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NotJson> {
        let text = core::str::from_utf8(bytes).map_err(|error| NotJson { why: error.to_string() })?;
        Self::from_text(text)
    }

    /// Returns the canonical text of a value.
    ///
    /// # Errors
    /// Never for a value that was parsed; the canonical form of any value is JSON.
    pub fn from_value(value: &json::Value) -> Result<Self, NotJson> {
        Self::from_bytes(&value.to_canonical())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads the text strictly, under the document profile.
    ///
    /// # Errors
    /// Duplicate members, lone surrogates, too deep, too large: the sender's fault.
    pub fn to_value(&self) -> Result<json::Value, ParseError> {
        json::parse(self.as_str().as_bytes(), &Profile::DOCUMENT)
    }

    /// Returns the text over several lines, indented, for people to read. Numbers and the order of members stay as they are; of a string that
    /// is longer than `string_chars_max` characters the rest is left out, and that is said. Never to be digested or sent.
    pub fn pretty(&self, string_chars_max: usize) -> String {
        let parsed: Option<serde_json::Value> = serde_json::from_str(self.as_str()).ok();
        let written = parsed.and_then(|mut value| {
            shorten(&mut value, string_chars_max);
            serde_json::to_string_pretty(&value).ok()
        });
        written.unwrap_or_else(|| self.as_str().to_owned())
    }
}

fn shorten(value: &mut serde_json::Value, max: usize) {
    match value {
        serde_json::Value::String(text) => {
            let more = text.chars().count().saturating_sub(max);
            if more > 0 {
                let kept: String = text.chars().take(max).collect();
                *text = format!("{kept} … and {more} characters more");
            }
        }
        serde_json::Value::Array(values) => values.iter_mut().for_each(|value| shorten(value, max)),
        serde_json::Value::Object(members) => members.values_mut().for_each(|value| shorten(value, max)),
        serde_json::Value::Null | serde_json::Value::Bool(_) | serde_json::Value::Number(_) => {}
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Document {}

/// Shows the size only: documents hold what people and agents sent, which does not belong into a log.
impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({} bytes)", self.as_str().len())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Document {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Box::<RawValue>::deserialize(deserializer).map(Self)
    }
}

impl PartialSchema for Document {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::SchemaType::AnyValue)
            .description(Some(
                "Any JSON value within 1 MiB and 64 levels; numbers are exact, duplicate members refused.",
            ))
            .into()
    }
}

impl ToSchema for Document {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("Document")
    }
}

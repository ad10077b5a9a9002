//! Every error answer of the API: a stable code each, as problem details (RFC 9457).
//!
//! A code is never reused and never changes its status. Each has a page in `docs/errors/`; a test compares the codes,
//! the pages and the OpenAPI document.

mod code;

use std::collections::BTreeMap;

use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use utoipa::openapi::schema::{ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

pub use code::{Code, Fault, Retry};

/// Where the pages of the codes are; a problem's `type` is this and the code.
pub const TYPE_BASE: &str = "https://gantral.dev/errors/";

/// One error answer. What it holds is for the client; what operators need goes to the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    code: Code,
    detail: String,
    remedy: Option<String>,
    instance: Option<String>,
    members: BTreeMap<String, Value>,
}

impl Problem {
    /// Makes a problem. `detail` says in one line what is wrong this time: lower case, no full stop, what the caller
    /// sent in backticks; never a token, a secret or a stack.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into(), remedy: None, instance: None, members: BTreeMap::new() }
    }

    /// Replaces the code's own remedy by one that fits this case better.
    #[must_use]
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    /// Names the API path that was called.
    #[must_use]
    pub fn with_instance(mut self, path: impl Into<String>) -> Self {
        self.instance = Some(path.into());
        self
    }

    /// Adds an extra member, such as `decided_by`. A member that problem details define is left alone.
    #[must_use]
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        if !DEFINED.contains(&member) {
            self.members.insert(member.to_owned(), value.into());
        }
        self
    }

    /// Returns the code.
    pub const fn code(&self) -> Code {
        self.code
    }

    /// Returns what is wrong this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// Returns what can be done about it.
    pub fn remedy(&self) -> &str {
        self.remedy.as_deref().unwrap_or_else(|| self.code.remedy())
    }

    /// Returns the API path that was called, if it is named.
    pub fn instance(&self) -> Option<&str> {
        self.instance.as_deref()
    }

    /// Returns an extra member.
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }
}

/// The members that every problem has; extra members never shadow them.
const DEFINED: [&str; 7] = ["type", "title", "status", "detail", "code", "remedy", "instance"];

impl core::fmt::Display for Problem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} ({})", self.detail, self.code)
    }
}

impl core::error::Error for Problem {}

impl From<crate::wire::BodyError> for Problem {
    fn from(error: crate::wire::BodyError) -> Self {
        let problem = Self::new(Code::InvalidBody, error.why);
        if error.path.is_empty() { problem } else { problem.with("path", error.path) }
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("type", &self.code.type_uri())?;
        map.serialize_entry("title", self.code.title())?;
        map.serialize_entry("status", &self.code.status())?;
        map.serialize_entry("detail", &self.detail)?;
        map.serialize_entry("code", self.code.as_str())?;
        map.serialize_entry("remedy", self.remedy())?;
        if let Some(instance) = &self.instance {
            map.serialize_entry("instance", instance)?;
        }
        for (name, value) in &self.members {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

/// Reads a problem; refuses a code that this version does not know.
impl<'de> Deserialize<'de> for Problem {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut members = BTreeMap::<String, Value>::deserialize(deserializer)?;
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let code = text("code").ok_or_else(|| D::Error::missing_field("code"))?;
        let code = Code::parse(&code).ok_or_else(|| D::Error::custom(format!("unknown code `{code}`")))?;
        let (detail, remedy) = (text("detail").unwrap_or_default(), text("remedy"));
        let instance = text("instance");
        members.retain(|name, _| !DEFINED.contains(&name.as_str()));
        // The code's own remedy is not kept twice, so that a problem equals the one that was sent.
        let remedy = remedy.filter(|remedy| remedy != code.remedy());
        Ok(Self { code, detail, remedy, instance, members })
    }
}

impl PartialSchema for Problem {
    fn schema() -> RefOr<Schema> {
        let text =
            |about: &str| ObjectBuilder::new().schema_type(Type::String).description(Some(about.to_owned()));
        let uri = text("The page of the code.").format(Some(SchemaFormat::Custom("uri".into())));
        let status = ObjectBuilder::new().schema_type(Type::Integer).description(Some("The HTTP status."));
        let code = text("The stable code.").enum_values(Some(Code::ALL.iter().map(|code| code.as_str())));
        ObjectBuilder::new()
            .schema_type(Type::Object)
            .description(Some(
                "Problem details (RFC 9457). Further members depend on the code and are named on its page.",
            ))
            .property("type", uri)
            .required("type")
            .property("title", text("What the code means."))
            .required("title")
            .property("status", status)
            .required("status")
            .property("detail", text("What is wrong this time."))
            .required("detail")
            .property("code", code)
            .required("code")
            .property("remedy", text("What can be done about it."))
            .required("remedy")
            .property("instance", text("The API path that was called."))
            .into()
    }
}

impl ToSchema for Problem {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Problem")
    }
}

#[cfg(test)]
mod tests;

//! The call of a tool, as it stands in a message.

use gantral_core::digest::Hasher;
use gantral_core::json::{self, Object, Profile, Value};

use crate::message::{Members, Message, members};

/// The members of a call's parameters in every revision. Another one is refused: whoever reads it after us might take it for one of these.
const PARAMS: &[&str] = &["name", "arguments", "_meta", "task", "inputResponses", "requestState"];
/// The longest name of a tool, in bytes: the name stands in the target of the action.
pub const TOOL_BYTES_MAX: usize = 256;

/// A call that a client sent.
#[derive(Debug, Clone)]
pub struct ToolCall {
    /// The tool.
    pub tool: String,
    /// What it is called with; defaults are not filled in yet.
    pub arguments: Object,
    /// `_meta`, as it was written.
    pub meta: Option<String>,
    /// What else there is, as it was written.
    pub rest: Vec<(String, String)>,
}

/// Why a call is not one. The client's fault; nothing was asked, and nothing reached the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadCall {
    /// The parameters.
    #[error("the parameters of the call are not an object with the members of the protocol")]
    Params,
    /// The tool.
    #[error("the call names no tool, or one whose name is too long")]
    Tool,
    /// The arguments.
    #[error("the arguments cannot be taken exactly: {0}")]
    Arguments(String),
}

impl ToolCall {
    /// Reads the call that a request is.
    ///
    /// # Errors
    /// [`BadCall`].
    pub fn read(message: &Message) -> Result<Self, BadCall> {
        let params = message.member("params").ok_or(BadCall::Params)?;
        let found = members(params).map_err(|_| BadCall::Params)?;
        if found.names().any(|name| !PARAMS.contains(&name)) {
            return Err(BadCall::Params);
        }
        let tool: String =
            found.last("name").and_then(|raw| serde_json::from_str(raw).ok()).ok_or(BadCall::Tool)?;
        if tool.is_empty() || tool.len() > TOOL_BYTES_MAX {
            return Err(BadCall::Tool);
        }
        let rest = found.iter().filter(|(name, _)| !matches!(*name, "name" | "arguments" | "_meta"));
        Ok(Self {
            tool,
            arguments: arguments(&found)?,
            meta: found.last("_meta").map(ToOwned::to_owned),
            rest: rest.map(|(name, raw)| (name.to_owned(), raw.to_owned())).collect(),
        })
    }

    /// Returns what the client wants progress to be told under, as it was written.
    pub fn progress_token(&self) -> Option<String> {
        let meta = members(self.meta.as_deref()?).ok()?;
        meta.last("progressToken").map(ToOwned::to_owned)
    }

    /// Returns the parameters of the call with these arguments, as they are sent to the server.
    pub fn params(&self, arguments: &Value) -> String {
        let mut written = format!(r#"{{"name":{},"arguments":"#, quoted(&self.tool));
        written.push_str(&text_of(arguments));
        let meta = self.meta.as_ref().map(|meta| ("_meta", meta));
        let rest = self.rest.iter().map(|(name, raw)| (name.as_str(), raw));
        for (name, raw) in meta.into_iter().chain(rest) {
            written.push_str(&format!(",{}:{raw}", quoted(name)));
        }
        written.push('}');
        written
    }
}

fn arguments(found: &Members<'_>) -> Result<Object, BadCall> {
    let Some(raw) = found.last("arguments") else { return Ok(Object::new()) };
    match json::parse(raw.as_bytes(), &Profile::DOCUMENT) {
        Ok(Value::Object(arguments)) => Ok(arguments),
        Ok(Value::Null) => Ok(Object::new()),
        Ok(_) => Err(BadCall::Arguments("they are not an object".to_owned())),
        Err(error) => Err(BadCall::Arguments(error.to_string())),
    }
}

/// Adds a part to a digest, with its length before it, so that no two lists of parts have the same.
pub(crate) fn part(hasher: Hasher, text: &str) -> Hasher {
    hasher.text(&text.len().to_string()).bytes(text.as_bytes())
}

/// Returns a text as JSON.
pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// Returns the canonical text of a value.
pub(crate) fn text_of(value: &Value) -> String {
    String::from_utf8(value.to_canonical()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(params: &str) -> Result<ToolCall, BadCall> {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
        ToolCall::read(&Message::from_client(text.into_bytes()).unwrap())
    }

    #[test]
    fn call_is_read_exactly_and_written_with_what_was_approved() {
        let call =
            read(r#"{"arguments":{"b":1.50,"a":"x"},"name":"t","_meta":{ "progressToken" : 7 }}"#).unwrap();
        assert_eq!((call.tool.as_str(), call.progress_token().as_deref()), ("t", Some("7")));
        let approved = Value::Object(Object::new().with("a", "y"));
        assert_eq!(
            call.params(&approved),
            r#"{"name":"t","arguments":{"a":"y"},"_meta":{ "progressToken" : 7 }}"#
        );
        assert!(read(r#"{"name":"t"}"#).unwrap().arguments.is_empty());
    }

    #[test]
    fn call_that_a_server_could_read_differently_is_refused() {
        for params in [r#"{"name":"read","Name":"write"}"#, r#"{"name":"read","name":"write"}"#, "[]", "7"] {
            assert_eq!(read(params).unwrap_err(), BadCall::Params, "{params}");
        }
        for arguments in [r#"{"a":1,"a":2}"#, "[]", r#"{"a":"\ud800"}"#] {
            let params = format!(r#"{{"name":"t","arguments":{arguments}}}"#);
            assert!(matches!(read(&params), Err(BadCall::Arguments(_))), "{params}");
        }
        assert_eq!(read(r#"{"arguments":{}}"#).unwrap_err(), BadCall::Tool);
    }
}

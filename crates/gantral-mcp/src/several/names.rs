//! Prefixes: what a server names is offered under one, and goes back to it without.
//!
//! Names of tools and prompts get `PREFIX__`, since models take letters, digits and `_`; addresses of resources and names of tasks get `PREFIX+`,
//! which keeps an address one (RFC 3986 §3.1).

use std::fmt;

use serde_json::Value;

use crate::call::quoted;
use crate::declared::at;
use crate::message::{Id, Message};

/// Between a prefix and the name of a tool or a prompt.
const NAMES: &str = "__";
/// Between a prefix and the address of a resource, or the name of a task.
const ADDRESSES: &str = "+";
/// The longest prefix, in bytes: names of tools have 64 with some models.
const PREFIX_BYTES_MAX: usize = 24;
/// Says which task a message belongs to.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// Says which subscription a notification belongs to.
const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// What a server is called: letters, digits and `-`, a letter first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix(String);

/// What is no prefix. Whoever configured it is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not {PREFIX_BYTES_MAX} lower case letters, digits and `-` at most, with a letter first")]
pub struct BadPrefix;

impl Prefix {
    /// Reads a prefix.
    ///
    /// # Errors
    /// [`BadPrefix`].
    pub fn parse(text: &str) -> Result<Self, BadPrefix> {
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if begins && text.len() <= PREFIX_BYTES_MAX && text.bytes().all(plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadPrefix)
        }
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn before(&self, mark: &str, name: &str) -> String {
        format!("{}{mark}{name}", self.0)
    }

    fn put(&self, mark: &str, value: Option<&mut Value>) {
        if let Some(value) = value
            && let Some(name) = value.as_str()
        {
            *value = Value::String(self.before(mark, name));
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns prefix and name of a tool that is offered under one.
pub fn split(tool: &str) -> Option<(&str, &str)> {
    tool.split_once(NAMES)
}

/// Finds the server that a request names, and takes its prefix away. `None` for a method that names none, and the name where no server has it.
pub(super) fn inward(
    method: &str,
    message: Message,
    prefixes: &[Prefix],
) -> Option<Result<(usize, Message), String>> {
    let (path, mark): (&[&str], &str) = match method {
        "tools/call" | "prompts/get" => (&["params", "name"], NAMES),
        "resources/read" | "resources/subscribe" | "resources/unsubscribe" => (&["params", "uri"], ADDRESSES),
        "completion/complete" if at(message.text(), &["params", "ref", "uri"]).is_some() => {
            (&["params", "ref", "uri"], ADDRESSES)
        }
        "completion/complete" => (&["params", "ref", "name"], NAMES),
        "tasks/get" | "tasks/result" | "tasks/cancel" | "tasks/update" => (&["params", "taskId"], ADDRESSES),
        _ => return None,
    };
    let name = at(message.text(), path).and_then(|raw| serde_json::from_str::<String>(raw).ok());
    let name = name.unwrap_or_default();
    let found = name.split_once(mark).and_then(|(prefix, name)| {
        let at = prefixes.iter().position(|known| known.as_str() == prefix)?;
        Some((at, name.to_owned()))
    });
    Some(match found {
        Some((at, name)) => Ok((at, message.with(path, &quoted(&name)))),
        None => Err(name),
    })
}

/// Puts the prefix before what an answer to a request of this method names.
pub(super) fn outward(method: &str, message: Message, prefix: Option<&Prefix>) -> Message {
    let (Some(prefix), Some(result)) = (prefix, message.member("result")) else { return message };
    let named =
        matches!(method, "tools/call" | "prompts/get" | "resources/read") || method.starts_with("tasks/");
    let Some(mut value) = serde_json::from_str::<Value>(result).ok().filter(|_| named) else {
        return message;
    };
    let before = value.clone();
    match method {
        "prompts/get" => {
            for said in value.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
                contents(prefix, said.get_mut("content"));
            }
        }
        "resources/read" => {
            for content in value.get_mut("contents").and_then(Value::as_array_mut).into_iter().flatten() {
                prefix.put(ADDRESSES, content.get_mut("uri"));
            }
        }
        _ => {
            contents(prefix, value.get_mut("content"));
            contents(prefix, value.get_mut("result").and_then(|result| result.get_mut("content")));
            prefix.put(ADDRESSES, value.get_mut("taskId"));
            prefix.put(ADDRESSES, value.get_mut("task").and_then(|task| task.get_mut("taskId")));
            prefix.put(ADDRESSES, related_task(&mut value));
        }
    }
    // What names nothing stays byte for byte.
    if value == before { message } else { message.with(&["result"], &value.to_string()) }
}

/// Puts the prefix before what a notification names.
pub(super) fn told(method: &str, message: Message, prefix: Option<&Prefix>) -> Message {
    let Some(prefix) = prefix else { return message };
    let message = match method {
        "notifications/resources/updated" => replaced(message, &["params", "uri"], prefix),
        "notifications/tasks" | "notifications/tasks/status" => {
            replaced(message, &["params", "taskId"], prefix)
        }
        _ => message,
    };
    related(message, Some(prefix))
}

/// Puts the prefix before the task that a message of a server belongs to.
pub(super) fn related(message: Message, prefix: Option<&Prefix>) -> Message {
    match prefix {
        Some(prefix) => replaced(message, &["params", "_meta", RELATED, "taskId"], prefix),
        None => message,
    }
}

/// Puts the prefix before what an element of a list names.
pub(super) fn offered(prefix: &Prefix, member: &str, element: &mut Value) {
    let (name, mark) = match member {
        "tools" | "prompts" => ("name", NAMES),
        "resources" => ("uri", ADDRESSES),
        "resourceTemplates" => ("uriTemplate", ADDRESSES),
        _ => ("taskId", ADDRESSES),
    };
    prefix.put(mark, element.get_mut(name));
}

/// Returns the subscription that a notification belongs to.
pub(super) fn subscription(message: &Message) -> Option<Id> {
    serde_json::from_str(at(message.text(), &["params", "_meta", SUBSCRIPTION])?).ok()
}

/// Names the subscription as the client does.
pub(super) fn of_subscription(message: Message, id: &Id) -> Message {
    message.with(&["params", "_meta", SUBSCRIPTION], &id.to_json())
}

fn replaced(message: Message, path: &[&str], prefix: &Prefix) -> Message {
    match at(message.text(), path).and_then(|raw| serde_json::from_str::<String>(raw).ok()) {
        Some(name) => message.with(path, &quoted(&prefix.before(ADDRESSES, &name))),
        None => message,
    }
}

fn related_task(result: &mut Value) -> Option<&mut Value> {
    result.get_mut("_meta")?.get_mut(RELATED)?.get_mut("taskId")
}

/// Puts the prefix before the resources that contents name.
fn contents(prefix: &Prefix, contents: Option<&mut Value>) {
    let Some(contents) = contents else { return };
    let all = match contents {
        Value::Array(all) => all.as_mut_slice(),
        one => std::slice::from_mut(one),
    };
    for content in all {
        match content.get("type").and_then(Value::as_str) {
            Some("resource_link") => prefix.put(ADDRESSES, content.get_mut("uri")),
            Some("resource") => {
                prefix
                    .put(ADDRESSES, content.get_mut("resource").and_then(|resource| resource.get_mut("uri")));
            }
            Some(_) | None => {}
        }
    }
}

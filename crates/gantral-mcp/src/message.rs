//! One message of JSON-RPC, kept as the bytes that arrived.
//!
//! What a client sends is read strictly: a message that two readers could understand differently (members twice, members that a reader
//! that ignores case takes for others) is refused, because the server behind us might understand the other half. What a server sends is
//! passed on as it is, also where we do not understand it. Source: JSON-RPC 2.0 §4 to §6; MCP, Transports.

mod raw;

use serde::{Deserialize, Serialize};

use crate::port::Lost;

use raw::any_members;
pub(crate) use raw::{Members, MembersError, members, span, with_value};

/// The largest message, in bytes: a picture or a file in base64 fits, and a few of them fit into memory.
pub const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// The longest id, in bytes: ids are counters or random values; ours is echoed by servers, theirs is kept while a call lasts.
const ID_BYTES_MAX: usize = 512;

/// The most messages of a batch: each call of one may wait for humans.
const BATCH_MAX: usize = 128;

/// JSON-RPC: reserved for implementations; here: the way to the server failed.
const WAY_FAILED: i64 = -32000;

/// The members of a message. Others are refused from a client: JSON-RPC has none.
const MEMBERS: &[&str] = &["jsonrpc", "id", "method", "params", "result", "error"];

/// What names a request in its answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Id {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Id {
    /// Returns the id as JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Wants an answer.
    Request {
        /// What the answer names.
        id: Id,
        /// What is asked for.
        method: String,
    },
    /// Wants none.
    Notification {
        /// What it is about.
        method: String,
    },
    /// An answer; one to a request that was not understood has no id.
    Response {
        /// The request.
        id: Option<Id>,
    },
    /// Several messages in one, which only revision 2025-03-26 has.
    Batch,
    /// Something of a server that is no message as we know them.
    Foreign,
}

/// A message and what it is.
#[derive(Debug, Clone)]
pub struct Message {
    bytes: Vec<u8>,
    kind: Kind,
    /// Why there is no answer of the server, if this stands for one.
    lost: Option<Lost>,
}

/// Why bytes of a client are no message. Its own fault; sending them again is pointless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAMessage {
    /// Not JSON, or not an object.
    #[error("it is not one JSON object")]
    NotJson,
    /// It can be understood in two ways.
    #[error("a member is there twice, or is one that JSON-RPC does not have")]
    Ambiguous,
    /// Neither request nor notification nor answer.
    #[error("it is neither a request nor a notification nor an answer")]
    Shapeless,
    /// The id.
    #[error("its id is neither an integer nor a short text")]
    BadId,
    /// A batch.
    #[error("a batch may hold only messages, 1 to {BATCH_MAX} of them")]
    BadBatch,
}

impl Message {
    /// Reads what a client sent.
    ///
    /// # Errors
    /// [`NotAMessage`], with the bytes; nothing of them may reach a server then.
    pub fn from_client(bytes: Vec<u8>) -> Result<Self, (NotAMessage, Vec<u8>)> {
        let read = core::str::from_utf8(&bytes).map_err(|_| NotAMessage::NotJson);
        let kind =
            read.and_then(|text| if text.trim_start().starts_with('[') { batch(text) } else { strict(text) });
        match kind {
            Ok(kind) => Ok(Self { bytes, kind, lost: None }),
            Err(error) => Err((error, bytes)),
        }
    }

    /// Takes what a server sent.
    pub fn from_server(bytes: Vec<u8>) -> Self {
        let kind = core::str::from_utf8(&bytes).ok().and_then(lenient).unwrap_or(Kind::Foreign);
        Self { bytes, kind, lost: None }
    }

    /// Takes a message that we wrote.
    pub(crate) fn ours(text: String, kind: Kind) -> Self {
        Self { bytes: text.into_bytes(), kind, lost: None }
    }

    /// Returns what stands for an answer of the server that there is not: an error to the client, and no word of the server to us.
    pub(crate) fn lost(id: &Id, lost: Lost) -> Self {
        Self { lost: Some(lost.clone()), ..Self::error(Some(id), WAY_FAILED, &lost.to_string()) }
    }

    /// Returns the answer of the server, or why there is none.
    pub(crate) fn answered(mut self) -> Result<Self, Lost> {
        self.lost.take().map_or(Ok(self), Err)
    }

    /// Returns an answer of ours with a result, which is JSON.
    pub(crate) fn result(id: &Id, result: &str) -> Self {
        let text = format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, id.to_json());
        Self::ours(text, Kind::Response { id: Some(id.clone()) })
    }

    /// Returns an answer of ours with an error.
    pub(crate) fn error(id: Option<&Id>, code: i64, message: &str) -> Self {
        Self::error_with(id, code, message, "")
    }

    /// Returns an answer of ours with an error; `data` is JSON, or empty for none.
    pub(crate) fn error_with(id: Option<&Id>, code: i64, message: &str, data: &str) -> Self {
        let written = serde_json::to_string(message).unwrap_or_default();
        let named = id.map_or_else(|| "null".to_owned(), Id::to_json);
        let data = if data.is_empty() { String::new() } else { format!(r#","data":{data}"#) };
        let text = format!(
            r#"{{"jsonrpc":"2.0","id":{named},"error":{{"code":{code},"message":{written}{data}}}}}"#
        );
        Self::ours(text, Kind::Response { id: id.cloned() })
    }

    /// Returns a notification of ours; `params` is JSON.
    pub(crate) fn notification(method: &str, params: &str) -> Self {
        let text = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#);
        Self::ours(text, Kind::Notification { method: method.to_owned() })
    }

    /// Returns a request of ours; `params` is JSON.
    pub(crate) fn request(id: &Id, method: &str, params: &str) -> Self {
        let text =
            format!(r#"{{"jsonrpc":"2.0","id":{},"method":"{method}","params":{params}}}"#, id.to_json());
        Self::ours(text, Kind::Request { id: id.clone(), method: method.to_owned() })
    }

    /// Returns what it is.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Returns the messages of a batch that was understood; none of anything else.
    pub fn elements(&self) -> Vec<Self> {
        let elements: Vec<&serde_json::value::RawValue> = match self.kind {
            Kind::Batch => serde_json::from_str(self.text()).unwrap_or_default(),
            Kind::Request { .. } | Kind::Notification { .. } | Kind::Response { .. } | Kind::Foreign => {
                Vec::new()
            }
        };
        let read =
            |element: &serde_json::value::RawValue| Self::from_client(element.get().as_bytes().to_vec());
        elements.into_iter().filter_map(|element| read(element).ok()).collect()
    }

    /// Returns the id of a request.
    pub(crate) const fn request_id(&self) -> Option<&Id> {
        match &self.kind {
            Kind::Request { id, .. } => Some(id),
            Kind::Notification { .. } | Kind::Response { .. } | Kind::Batch | Kind::Foreign => None,
        }
    }

    /// Returns the bytes as they arrived.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the text; empty for bytes of a server that are none.
    pub fn text(&self) -> &str {
        core::str::from_utf8(&self.bytes).unwrap_or_default()
    }

    /// Returns the bytes as they arrived.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Returns the message as one line with its end. In JSON a line end can only be space between tokens, so that nothing but space changes;
    /// a reader of lines that also ends one at a carriage return would see other messages than we did.
    pub fn into_line(self) -> Vec<u8> {
        let mut line = self.bytes;
        for byte in &mut line {
            if matches!(byte, b'\r' | b'\n') {
                *byte = b' ';
            }
        }
        line.push(b'\n');
        line
    }

    /// Returns a member of the message as it was written.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        members(self.text()).ok()?.last(name)
    }

    /// Returns the message with the value at a path replaced or added, the rest byte for byte; as it is where it has no place for it.
    pub(crate) fn with(self, path: &[&str], value: &str) -> Self {
        match with_value(self.text(), path, value) {
            Some(text) => Self { lost: self.lost, ..Self::ours(text, self.kind) },
            None => self,
        }
    }

    /// Returns the answer under another id, the rest byte for byte.
    pub(crate) fn renamed(self, id: &Id) -> Self {
        let text = self.text();
        let place = members(text).ok().and_then(|found| found.last("id")).and_then(|old| span(text, old));
        let Some(place) = place else { return self };
        let renamed = [text.get(..place.start), Some(id.to_json().as_str()), text.get(place.end..)]
            .into_iter()
            .flatten()
            .collect();
        let lost = self.lost.clone();
        Self { lost, ..Self::ours(renamed, Kind::Response { id: Some(id.clone()) }) }
    }
}

/// Reads the text of a client: nothing in it may have a second meaning.
fn strict(text: &str) -> Result<Kind, NotAMessage> {
    let found = members(text).map_err(|error| match error {
        MembersError::NotAnObject => NotAMessage::NotJson,
        MembersError::Twice => NotAMessage::Ambiguous,
    })?;
    if found.names().any(|name| !MEMBERS.contains(&name)) {
        return Err(NotAMessage::Ambiguous);
    }
    let id = found.last("id").map(id_of);
    let method = found.last("method").map(serde_json::from_str::<String>);
    let method = method.transpose().map_err(|_| NotAMessage::Shapeless)?;
    let answers = found.last("result").is_some() || found.last("error").is_some();
    match (method, id, answers) {
        (Some(method), Some(Ok(id)), false) => Ok(Kind::Request { id, method }),
        (Some(method), None, false) => Ok(Kind::Notification { method }),
        (None, Some(Ok(id)), true) => Ok(Kind::Response { id: Some(id) }),
        (_, Some(Err(error)), _) => Err(error),
        (Some(_), _, true) | (None, _, _) => Err(NotAMessage::Shapeless),
    }
}

fn id_of(raw: &str) -> Result<Id, NotAMessage> {
    if raw.len() > ID_BYTES_MAX {
        return Err(NotAMessage::BadId);
    }
    // Through the text: a number that a reader of its own would round must not be taken for another one.
    let id = if raw.starts_with('"') {
        serde_json::from_str(raw).ok().map(Id::Text)
    } else {
        raw.parse().ok().map(Id::Number)
    };
    id.ok_or(NotAMessage::BadId)
}

/// A batch is understood if each of its messages is, on its own.
fn batch(text: &str) -> Result<Kind, NotAMessage> {
    let elements: Vec<&serde_json::value::RawValue> =
        serde_json::from_str(text).map_err(|_| NotAMessage::NotJson)?;
    if elements.is_empty() || elements.len() > BATCH_MAX {
        return Err(NotAMessage::BadBatch);
    }
    match elements.iter().all(|element| strict(element.get()).is_ok()) {
        true => Ok(Kind::Batch),
        false => Err(NotAMessage::BadBatch),
    }
}

fn lenient(text: &str) -> Option<Kind> {
    if text.trim_start().starts_with('[') {
        return Some(Kind::Batch);
    }
    let found = any_members(text)?;
    let id = found.last("id").and_then(|raw| id_of(raw).ok());
    let method = found.last("method").and_then(|raw| serde_json::from_str(raw).ok());
    Some(match (method, id) {
        (Some(method), Some(id)) => Kind::Request { id, method },
        (Some(method), None) => Kind::Notification { method },
        (None, id) => Kind::Response { id },
    })
}

/// The method that is governed.
pub(crate) const TOOLS_CALL: &str = "tools/call";

/// Tells whether a method is the one that is governed.
pub(crate) fn is_call(method: &str) -> bool {
    method == TOOLS_CALL
}

#[cfg(test)]
mod tests;

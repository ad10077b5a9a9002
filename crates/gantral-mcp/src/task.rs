//! Tasks: what a client holds in place of the result of a call that waits, in the words of both revisions that have them.
//!
//! A task of ours is the name of a call that is kept; those of the server behind us are its own, and their names never begin like ours.
//! Source: MCP 2025-11-25, Tasks; the extension `io.modelcontextprotocol/tasks` of 2026-07-28.

use std::fmt;

use gantral_api::wire::text;
use gantral_core::time::{DurationMs, UnixMillis};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::authority::Pending;
use crate::call::quoted;
use crate::governor::Progress;
use crate::message::{Id, Message, members};
use crate::reply;
use crate::seal::now_ms;
use crate::spool::Outcome;

/// How the name of each task of ours begins.
const PREFIX: &str = "gantral-task-";
/// How long what came of a call is kept for whoever asks by its task, in milliseconds: an hour.
const KEPT_MS: u64 = 60 * 60 * 1000;
/// How often a client should look, in milliseconds: looking is cheap, and a person takes longer.
const POLL_MS: u64 = 1000;
/// Says which task a result belongs to.
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The name of a task of ours. Nobody guesses it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct TaskId(String);

impl TaskId {
    /// Reads a name; `None` if it is not one of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let random = text.strip_prefix(PREFIX)?;
        let ours = random.len() == 32 && random.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        ours.then(|| Self(text.to_owned()))
    }

    /// Returns the task that a request is about, if it is written like one of ours, and nothing that is like one if it is not.
    ///
    /// # Errors
    /// A name that begins like ours and is none.
    pub(crate) fn named_by(message: &Message) -> Option<Result<Self, ()>> {
        let raw = members(message.member("params")?).ok()?.last("taskId")?;
        let name: String = serde_json::from_str(raw).ok()?;
        name.starts_with(PREFIX).then(|| Self::parse(&name).ok_or(()))
    }
}

impl TryFrom<String> for TaskId {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("it is no task of ours")
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is kept of a task beside its call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    /// Its name.
    pub id: TaskId,
    /// When a client was given it.
    pub created_at: text::Time,
    /// When its call took its last step.
    pub updated_at: text::Time,
}

impl Handle {
    /// Makes a task.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new() -> Result<Self, getrandom::Error> {
        let id = TaskId(format!("{PREFIX}{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?));
        let now = now();
        Ok(Self { id, created_at: now, updated_at: now })
    }

    /// Notes a step.
    pub(crate) fn stepped(&mut self) {
        self.updated_at = now();
    }

    /// Tells whether nobody may count on it any more, once its call is over.
    pub(crate) fn is_stale(&self) -> bool {
        now().since(*self.updated_at) > DurationMs::new(KEPT_MS)
    }
}

fn now() -> text::Time {
    UnixMillis::new(now_ms()).unwrap_or(UnixMillis::EPOCH).into()
}

/// The revision in whose words a task is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// 2025-11-25: the client asks for a task, and fetches the result by `tasks/result`.
    Params,
    /// 2026-07-28, as an extension: we decide, and `tasks/get` brings the result.
    Extension,
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It waits for humans, or for the server.
    Working,
    /// There is a result.
    Completed,
    /// There is none, or one that is an error.
    Failed,
    /// Who asked has taken it back.
    Cancelled,
}

impl Status {
    const fn word(self) -> &'static str {
        match self {
            Self::Working => "working",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The cause of the end of a call that was withdrawn.
pub(crate) const WITHDRAWN: &str = "withdrawn";

/// Returns how a task stands. The revisions differ in what they call a result that is an error.
pub fn status(progress: &Progress, manner: Manner) -> Status {
    let error = match manner {
        Manner::Params => Status::Failed,
        Manner::Extension => Status::Completed,
    };
    match progress {
        Progress::Asking | Progress::Waiting(_) | Progress::Begun => Status::Working,
        Progress::Over(Outcome::Denied { denial }) if denial.code == WITHDRAWN => Status::Cancelled,
        Progress::Over(Outcome::Done { succeeded: true, .. }) => Status::Completed,
        Progress::Over(Outcome::Done { answer: (member, _), .. }) if member == "error" => Status::Failed,
        Progress::Over(_) | Progress::Failed { .. } => error,
    }
}

fn told(progress: &Progress, status: Status) -> String {
    match (progress, status) {
        (Progress::Waiting(pending), _) => waiting(pending),
        (_, Status::Working) => "The server has the call.".to_owned(),
        (_, Status::Completed) => "It is done.".to_owned(),
        (_, Status::Cancelled) => "It was taken back before it was decided. Nothing was executed.".to_owned(),
        (Progress::Over(Outcome::Denied { denial }), _) => format!("NOT EXECUTED. Denied [{}].", denial.code),
        (Progress::Over(Outcome::NotDone { code, .. }), _) => format!("NOT EXECUTED [{code}]."),
        (Progress::Over(Outcome::Unknown { .. }), _) => {
            "UNKNOWN: it was sent, and nobody knows whether it was done.".to_owned()
        }
        (_, Status::Failed) => "It ended with an error.".to_owned(),
    }
}

/// Says for whom a call waits, until when, and where they decide.
pub(crate) fn waiting(pending: &Pending) -> String {
    let roles: Vec<String> = pending.roles.iter().map(ToString::to_string).collect();
    let place = if pending.url.is_empty() { String::new() } else { format!(" at {}", pending.url) };
    let text = format!("Waiting for approval by {} until {}{place}.", roles.join(" or "), pending.expires_at);
    gantral_core::json::text::inert(&text)
}

/// Returns a task as its revision shows it.
pub(crate) fn shown(handle: &Handle, progress: &Progress, manner: Manner) -> Map<String, Value> {
    let status = status(progress, manner);
    // What waits or runs is kept for as long as it takes.
    let ttl = (status != Status::Working)
        .then(|| handle.updated_at.since(*handle.created_at).get().saturating_add(KEPT_MS));
    let (lives, poll) = match manner {
        Manner::Params => ("ttl", "pollInterval"),
        Manner::Extension => ("ttlMs", "pollIntervalMs"),
    };
    let mut shown = Map::new();
    let mut put = |name: &str, value: Value| shown.insert(name.to_owned(), value);
    put("taskId", handle.id.0.as_str().into());
    put("status", status.word().into());
    put("statusMessage", told(progress, status).into());
    put("createdAt", handle.created_at.to_string().into());
    put("lastUpdatedAt", handle.updated_at.to_string().into());
    put(lives, ttl.into());
    put(poll, POLL_MS.into());
    shown
}

/// Answers a call with its task. A task begins as working, whatever became of its call meanwhile.
pub(crate) fn created(id: &Id, handle: &Handle, progress: &Progress, manner: Manner) -> Message {
    let begun = Progress::Begun;
    let progress = if status(progress, manner) == Status::Working { progress } else { &begun };
    let mut shown = shown(handle, progress, manner);
    let result = match manner {
        Manner::Params => {
            let hint = "io.modelcontextprotocol/model-immediate-response";
            let text = shown.get("statusMessage").cloned().unwrap_or_default();
            json!({"task": shown, "_meta": {hint: text}})
        }
        Manner::Extension => {
            shown.insert("resultType".to_owned(), "task".into());
            Value::Object(shown)
        }
    };
    Message::result(id, &result.to_string())
}

/// Answers a look at a task; where the revision has it so, with the result.
pub(crate) fn looked_at(id: &Id, handle: &Handle, progress: &Progress, manner: Manner) -> Message {
    let mut written = shown(handle, progress, manner);
    if manner == Manner::Params {
        return Message::result(id, &Value::Object(written).to_string());
    }
    written.insert("resultType".to_owned(), "complete".into());
    let mut text = Value::Object(written).to_string();
    if let (Progress::Over(outcome), Status::Completed | Status::Failed) =
        (progress, status(progress, manner))
    {
        let answer = reply::outcome(id, outcome, reply::Form { complete: true, promised: false });
        let found = ["result", "error"].into_iter().find_map(|name| Some((name, answer.member(name)?)));
        if let Some((name, raw)) = found {
            text.pop();
            text.push_str(&format!(",\"{name}\":{raw}}}"));
        }
    }
    Message::result(id, &text)
}

/// Says in a result which task it belongs to; an error stays as it is.
pub(crate) fn related(answer: Message, task: &TaskId) -> Message {
    if answer.member("result").is_none() {
        return answer;
    }
    answer.with(&["result", "_meta", RELATED], &format!(r#"{{"taskId":{}}}"#, quoted(&task.0)))
}

/// Returns the task that a server of 2025-11-25 answered a call with.
pub(crate) fn of_server(answer: &Message) -> Option<String> {
    let task = members(members(answer.text()).ok()?.last("result")?).ok()?.last("task")?;
    serde_json::from_str(members(task).ok()?.last("taskId")?).ok()
}

#[cfg(test)]
mod tests;

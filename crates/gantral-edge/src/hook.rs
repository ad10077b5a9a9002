//! Hooks of coding agents: what an agent says before and after it uses a tool, and what it is answered.
//!
//! Two dialects are spoken: that of `PreToolUse` and `PostToolUse` (Claude Code, Codex and others that follow it), and that of Cursor. Pure:
//! nothing is read or sent here. What is not understood is refused, because a hook that does not answer lets most agents go on.

use gantral_api::wire::{Action, Document};
use gantral_core::digest::{Digest, Hasher};
use gantral_core::ids::SessionId;
use gantral_core::json::{Object, ParseError, Profile, Value, parse};

/// The name of the action, as workflows declare it.
pub const ACTION: &str = "tool.use";
/// The largest message of an agent, in bytes: an edit of a large file, and room around it.
pub const MESSAGE_BYTES_MAX: usize = 4 << 20;
/// The longest target of an action.
const TARGET_BYTES_MAX: usize = 512;

/// How an agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// `hook_event_name` is `PreToolUse`, `PostToolUse` or `PostToolUseFailure`.
    ToolUse,
    /// `hook_event_name` is `beforeShellExecution` and the like.
    Cursor,
}

/// When an agent speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before it uses a tool.
    Before,
    /// After it did; whether that went well, as far as it says.
    After {
        /// Whether it went well.
        well: bool,
    },
}

/// What an agent said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How it speaks.
    pub dialect: Dialect,
    /// When.
    pub moment: Moment,
    /// Its session, as a name: as it said, or a digest of that.
    pub session: Option<SessionId>,
    /// What it is about to do, or did.
    pub action: Action,
    /// What tells this use of a tool from another one of the same: its own id, or what it does.
    pub key: Digest,
    /// SHA-256 of what the tool answered.
    pub answered: Option<Digest>,
}

/// Why what an agent said is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotUnderstood {
    /// Not JSON.
    #[error("what the agent said is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// An event that no hook of ours is for.
    #[error("this hook is for the uses of tools, and not for `{event}`")]
    Event {
        /// What the agent called it.
        event: String,
    },
    /// A member is missing or of another kind.
    #[error("`{member}` is missing or of another kind")]
    Member {
        /// Which.
        member: &'static str,
    },
}

/// Reads what an agent said.
///
/// # Errors
/// [`NotUnderstood`]: the agent must be refused.
pub fn read(bytes: &[u8]) -> Result<Said, NotUnderstood> {
    let message = parse(bytes, &Profile::DOCUMENT.with_bytes_max(MESSAGE_BYTES_MAX))?;
    let event = member(&message, "hook_event_name")?;
    let after = |well| Moment::After { well };
    let (dialect, moment) = match event {
        "PreToolUse" => (Dialect::ToolUse, Moment::Before),
        "PostToolUse" => (Dialect::ToolUse, after(true)),
        "PostToolUseFailure" => (Dialect::ToolUse, after(false)),
        "beforeShellExecution" | "beforeMCPExecution" => (Dialect::Cursor, Moment::Before),
        "afterShellExecution" | "afterMCPExecution" => (Dialect::Cursor, after(true)),
        other => return Err(NotUnderstood::Event { event: other.to_owned() }),
    };
    let session = match dialect {
        Dialect::ToolUse => message.get("session_id"),
        Dialect::Cursor => message.get("conversation_id"),
    };
    let (tool, input) = match event {
        "beforeShellExecution" | "afterShellExecution" => {
            ("Shell", Value::Object(Object::new().with("command", member(&message, "command")?)))
        }
        _ => (member(&message, "tool_name")?, input(&message)?),
    };
    let action = action(tool, &input, message.get("cwd").and_then(Value::as_str))?;
    let answered = ["tool_response", "output", "result_json"].iter().find_map(|name| message.get(name));
    Ok(Said {
        dialect,
        moment,
        session: session.and_then(Value::as_str).and_then(session_id),
        key: key(&message, &action),
        action,
        answered: answered.map(|answered| Digest::of(&answered.to_canonical())),
    })
}

/// What the agent is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// It may: what else asks whether it may is not answered.
    May,
    /// It may, with what a human made of it.
    MayAs(Value),
    /// Not now: a human has to decide. The text says where and what to do.
    Waits(String),
    /// Not now, and the agent may leave it until it is resumed.
    Later(String),
    /// No. The text says why.
    No(String),
}

/// Returns what is written to standard output for the agent; nothing where silence lets it go on.
pub fn answer(dialect: Dialect, told: &Told) -> Option<Value> {
    let object = match dialect {
        Dialect::ToolUse => {
            let decision = |word: &str, reason: &str| {
                Object::new()
                    .with("hookEventName", "PreToolUse")
                    .with("permissionDecision", word)
                    .with("permissionDecisionReason", reason)
            };
            let specific = match told {
                Told::May => return None,
                Told::MayAs(input) => {
                    decision("allow", "approved with changes").with("updatedInput", input.clone())
                }
                Told::Waits(why) | Told::No(why) => decision("deny", why),
                Told::Later(why) => decision("defer", why),
            };
            Object::new().with("hookSpecificOutput", specific)
        }
        Dialect::Cursor => {
            let refused = |why: &str| {
                Object::new().with("permission", "deny").with("user_message", why).with("agent_message", why)
            };
            match told {
                Told::May => Object::new().with("permission", "allow"),
                // It cannot be told to do something else than it wanted.
                Told::MayAs(_) => refused(
                    "NOT EXECUTED. A human approved this with changes, and this agent cannot be told them: ask for what was approved",
                ),
                Told::Waits(why) | Told::Later(why) | Told::No(why) => refused(why),
            }
        }
    };
    Some(Value::Object(object))
}

fn member<'a>(message: &'a Value, name: &'static str) -> Result<&'a str, NotUnderstood> {
    message.get(name).and_then(Value::as_str).ok_or(NotUnderstood::Member { member: name })
}

/// Reads the arguments of a tool: an object, or the text of one.
fn input(message: &Value) -> Result<Value, NotUnderstood> {
    let wrong = NotUnderstood::Member { member: "tool_input" };
    match message.get("tool_input") {
        Some(Value::Object(object)) => Ok(Value::Object(object.clone())),
        Some(Value::String(text)) => match parse(text.as_bytes(), &Profile::DOCUMENT)? {
            Value::Object(object) => Ok(Value::Object(object)),
            _ => Err(wrong),
        },
        _ => Err(wrong),
    }
}

fn action(tool: &str, input: &Value, directory: Option<&str>) -> Result<Action, NotUnderstood> {
    let wrong = |member| NotUnderstood::Member { member };
    if tool.is_empty() || tool.len() > TARGET_BYTES_MAX {
        return Err(wrong("tool_name"));
    }
    let parameters = Object::new()
        .with("tool", tool)
        .with("input", input.clone())
        .with("directory", directory.unwrap_or_default());
    let text = String::from_utf8(Value::Object(parameters).to_canonical());
    Ok(Action {
        name: ACTION.parse().map_err(|_| wrong("tool_name"))?,
        target: tool.to_owned(),
        parameters: Document::from_text(text.map_err(|_| wrong("tool_input"))?)
            .map_err(|_| wrong("tool_input"))?,
    })
}

/// Returns the session as a name: as the agent says, or a digest of it where that is none.
fn session_id(said: &str) -> Option<SessionId> {
    SessionId::parse(said).or_else(|_| SessionId::parse(&Digest::of(said.as_bytes()).to_hex())).ok()
}

/// What the agent calls this use of the tool; without a name, what it does in which session.
fn key(message: &Value, action: &Action) -> Digest {
    let word = |name: &str| message.get(name).and_then(Value::as_str).unwrap_or_default();
    let hasher = Hasher::new("gantral/hook/v1").text(word("session_id")).text(word("conversation_id"));
    match message.get("tool_use_id").and_then(Value::as_str) {
        Some(id) => hasher.text(id).finish(),
        None => hasher.text(&action.target).text(action.parameters.as_str()).finish(),
    }
}

#[cfg(test)]
mod tests;

//! Sends a call to the server, and follows it where the server answers with a task of its own.

use gantral_core::json::{Object, Value};

use super::drive::Drive;
use crate::call::{ToolCall, quoted};
use crate::catalogue::{Tool, without_progress};
use crate::declared::{self, TaskSupport};
use crate::message::Message;
use crate::port::{Lost, Port};
use crate::task;

/// In what form a call is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sends {
    /// As its client sent it, who takes whatever comes back.
    AsAsked,
    /// As a call whose result comes at once; with a client that can be asked nothing, if that has a task of ours.
    Plain {
        /// Whether the client holds a task of ours.
        handed_out: bool,
    },
    /// As a task, which is waited for: the tool is no other.
    AsTask,
}

impl Sends {
    /// Returns the form of a call that waited for humans: its client holds a task of ours, or waits for a result, and not for a task of the
    /// server.
    pub fn after_a_wait(tool: Option<&Tool>, handed_out: bool) -> Self {
        match tool.map(|tool| tool.tasks).unwrap_or_default() {
            TaskSupport::Required => Self::AsTask,
            TaskSupport::Forbidden | TaskSupport::Optional => Self::Plain { handed_out },
        }
    }
}

impl Drive {
    /// Sends the call, once, and returns what the server says came of it.
    pub(super) async fn send(
        &self,
        port: &dyn Port,
        arguments: &Value,
        sends: Sends,
    ) -> Result<Message, Lost> {
        let about = self.client.as_ref().map(|(id, _)| id.clone());
        let answer = port.forward("tools/call", self.params(arguments, sends), about.clone()).await?;
        let Some(of_server) = task::of_server(&answer).filter(|_| sends == Sends::AsTask) else {
            return Ok(answer);
        };
        // The server holds the answer back until its task has ended.
        let params = format!(r#"{{"taskId":{}}}"#, quoted(&of_server));
        let result = port.forward("tasks/result", params, about).await;
        result.map_err(|lost| Lost::Unanswered(lost.to_string()))
    }

    fn params(&self, arguments: &Value, sends: Sends) -> String {
        let meta = self.meta();
        let meta =
            meta.and_then(|meta| if self.live.is_held() { Some(meta) } else { without_progress(&meta) });
        let meta = match sends {
            Sends::Plain { handed_out: true } => meta.map(|meta| declared::of_nobody(&meta)),
            Sends::Plain { handed_out: false } | Sends::AsAsked | Sends::AsTask => meta,
        };
        let asked = self.call.rest.iter().filter(|(name, _)| name != "_meta");
        let mut rest: Vec<(String, String)> = asked
            .filter(|(name, _)| !(name == "task" && matches!(sends, Sends::Plain { .. })))
            .cloned()
            .collect();
        if sends == Sends::AsTask && !rest.iter().any(|(name, _)| name == "task") {
            rest.push(("task".to_owned(), "{}".to_owned()));
        }
        let call = ToolCall { tool: self.call.tool.clone(), arguments: Object::new(), meta, rest };
        call.params(arguments)
    }
}

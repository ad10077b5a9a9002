//! Finds the same call, or begins it.

use std::sync::Arc;

use gantral_core::digest::Hasher;
use gantral_core::json::Value;
use tokio::time::Instant;

use super::live::Live;
use super::{CALLS_MAX, Governor, LOOK_EVERY, OVER_WITHIN, drive, not_kept};
use crate::call::{ToolCall, text_of};
use crate::catalogue::Tool;
use crate::message::Id;
use crate::port::Port;
use crate::spool::{Kept, Stage};

impl Governor {
    /// Returns the call as it is kept, before anything is asked.
    pub(super) fn kept(&self, call: ToolCall, tool: Option<&Tool>) -> Kept {
        let arguments = match tool {
            Some(tool) => tool.filled(call.arguments),
            None => call.arguments,
        };
        let arguments = text_of(&Value::Object(arguments));
        let schema_digest = tool.map(|tool| tool.digest.clone());
        let mut hasher = Hasher::new("gantral/mcp/call/v1");
        let (server, tool) = self.server.split(&call.tool);
        for part in [server, tool, schema_digest.as_deref().unwrap_or_default(), arguments.as_str()] {
            hasher = hasher.bytes(part.as_bytes());
        }
        // An answer to what the server wanted to know makes it another call.
        for (name, raw) in &call.rest {
            // For how long a task is to be kept makes it no other call.
            let raw = if name == "task" { "" } else { raw };
            hasher = hasher.bytes(name.as_bytes()).bytes(raw.as_bytes());
        }
        let meta = call.meta.map(|meta| ("_meta".to_owned(), meta));
        Kept {
            key: hasher.finish().to_hex(),
            tool: call.tool,
            schema_digest,
            arguments,
            rest: meta.into_iter().chain(call.rest).collect(),
            task: None,
            states: Vec::new(),
            stage: Stage::Asking,
        }
    }

    /// Finds the same call, or begins it.
    pub(super) async fn join(
        self: &Arc<Self>,
        kept: Kept,
        claims: Option<Value>,
        id: &Id,
        port: &Arc<dyn Port>,
    ) -> Result<Arc<Live>, (&'static str, String)> {
        let deadline = Instant::now() + OVER_WITHIN;
        loop {
            let found = self.live().get(&kept.key).cloned();
            match found {
                Some(live) if !live.is_delivered() => return Ok(live),
                Some(live) => {
                    if tokio::time::timeout_at(deadline, live.ended()).await.is_err() {
                        return Err((
                            "outcome_owed",
                            "NOT EXECUTED: what came of the same call before is not reported yet.".to_owned(),
                        ));
                    }
                    self.sweep(&live);
                }
                None => match self.begin(&kept, claims.clone(), id, port) {
                    Ok(Some(live)) => return Ok(live),
                    Ok(None) if Instant::now() + LOOK_EVERY < deadline => {
                        tokio::time::sleep(LOOK_EVERY).await
                    }
                    Ok(None) => {
                        let why = "NOT EXECUTED: another process waits for the same call; its gate is in the console.";
                        return Err(("call_elsewhere", why.to_owned()));
                    }
                    Err(error) => return Err(("spool_unusable", not_kept(&error))),
                },
            }
        }
    }

    fn begin(
        self: &Arc<Self>,
        kept: &Kept,
        claims: Option<Value>,
        id: &Id,
        port: &Arc<dyn Port>,
    ) -> std::io::Result<Option<Arc<Live>>> {
        let mut lives = self.live();
        if let Some(live) = lives.get(&kept.key) {
            return Ok(Some(live.clone()));
        }
        if lives.len() >= CALLS_MAX {
            return Err(std::io::Error::other("too many calls wait"));
        }
        let Some((owned, found)) = self.spool.own(&kept.key)? else { return Ok(None) };
        let resumed = found.is_some();
        let call = match found {
            Some(found) => found,
            None => {
                owned.keep(kept)?;
                kept.clone()
            }
        };
        let live = Arc::new(Live::new(owned, &call));
        lives.insert(kept.key.clone(), live.clone());
        let drive = drive::Drive::asked(
            self.clone(),
            live.clone(),
            call,
            (id.clone(), port.clone()),
            claims,
            resumed,
        );
        tokio::spawn(drive.run());
        Ok(Some(live))
    }
}

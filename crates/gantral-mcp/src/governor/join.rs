//! Finds the same call, or begins it.

use std::sync::Arc;

use gantral_core::digest::Hasher;
use gantral_core::json::Value;
use tokio::time::Instant;

use super::live::Live;
use super::{CALLS_MAX, Governor, LOOK_EVERY, OVER_WITHIN, drive, not_kept};
use crate::call::{ToolCall, part, text_of};
use crate::catalogue::Tool;
use crate::message::Id;
use crate::port::Port;
use crate::spool::{Kept, Stage};
use crate::withheld::{WITHHELD_BYTES_MAX, Withheld};

/// A call as it is to be asked for.
pub(super) struct Wanted {
    /// What is kept of it in the open.
    pub kept: Kept,
    /// What is not.
    withheld: Withheld,
    /// What policy is shown beside it.
    attributes: Option<Value>,
}

impl Governor {
    /// Returns a call as it is to be asked for.
    pub(super) fn wanted_call(
        &self,
        call: ToolCall,
        tool: Option<&Tool>,
    ) -> Result<Wanted, (&'static str, String)> {
        let arguments = match tool {
            Some(tool) => tool.filled(call.arguments),
            None => call.arguments,
        };
        let taken = self.rules.take(arguments).map_err(|error| ("spool_unusable", not_kept(&error)))?;
        let (shown, withheld) = taken;
        if withheld.bytes() > WITHHELD_BYTES_MAX {
            let why =
                format!("NOT EXECUTED: more than {WITHHELD_BYTES_MAX} bytes of the call are to be withheld.");
            return Err(("withheld_too_large", why));
        }
        let annotations = tool.and_then(|tool| tool.annotations.clone());
        let attributes = self.rules.attributes(&shown, call.meta.as_deref(), annotations);
        let schema_digest = tool.map(|tool| tool.digest.clone());
        // Two calls are the same by what they are called with, and commitments to it are never the same.
        let named = withheld.unmarked(shown.clone());
        let mut hasher = Hasher::new("gantral/mcp/call/v1");
        let (server, name) = self.server.split(&call.tool);
        let named = text_of(&Value::Object(named));
        for text in [server, name, schema_digest.as_deref().unwrap_or_default(), named.as_str()] {
            hasher = part(hasher, text);
        }
        // An answer to what the server wanted to know makes it another call.
        for (name, raw) in &call.rest {
            // For how long a task is to be kept makes it no other call.
            let raw = if name == "task" { "" } else { raw };
            hasher = part(part(hasher, name), raw);
        }
        for (pointer, value) in withheld.parts() {
            let keyed = self.spool.withheld_keys().keyed(pointer, &[value]);
            let keyed = keyed.map_err(|error| ("spool_unusable", not_kept(&error)))?;
            hasher = part(hasher, &keyed.to_hex());
        }
        let meta = call.meta.map(|meta| ("_meta".to_owned(), meta));
        let kept = Kept {
            key: hasher.finish().to_hex(),
            tool: call.tool,
            schema_digest,
            arguments: text_of(&Value::Object(shown)),
            rest: meta.into_iter().chain(call.rest).collect(),
            task: None,
            withheld: !withheld.is_empty(),
            states: Vec::new(),
            boot: self.spool.boot(),
            stage: Stage::Asking,
        };
        Ok(Wanted { kept, withheld, attributes })
    }

    /// Finds the same call, or begins it.
    pub(super) async fn join(
        self: &Arc<Self>,
        call: Wanted,
        id: &Id,
        port: &Arc<dyn Port>,
    ) -> Result<Arc<Live>, (&'static str, String)> {
        let deadline = Instant::now() + OVER_WITHIN;
        loop {
            let found = self.live().get(&call.kept.key).cloned();
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
                None => match self.begin(&call, id, port) {
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
        wanted: &Wanted,
        id: &Id,
        port: &Arc<dyn Port>,
    ) -> std::io::Result<Option<Arc<Live>>> {
        let kept = &wanted.kept;
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
                if kept.withheld {
                    self.spool.withhold(&kept.key, &wanted.withheld.to_plain())?;
                }
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
            wanted.attributes.clone(),
            resumed,
        );
        tokio::spawn(drive.run());
        Ok(Some(live))
    }
}

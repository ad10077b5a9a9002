//! Waits for a call on behalf of a client.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::json::Value;
use tokio::time::Instant;

use super::live::{self, Live, Progress};
use super::{Answered, Governor, HOLD_MAX, INTERRUPTED, TELL_EVERY};
use crate::call::ToolCall;
use crate::message::Id;
use crate::port::Port;
use crate::reply::{self, Form};

impl Governor {
    /// Waits for a call on behalf of a client, humans for no longer than `hold`.
    pub(super) async fn follow(
        &self,
        id: &Id,
        live: &Arc<Live>,
        port: &Arc<dyn Port>,
        token: Option<&str>,
        hold: Duration,
        form: Form,
    ) -> Answered {
        let _holds = live.holds();
        let deadline = Instant::now() + hold;
        let mut tell_at = Instant::now() + TELL_EVERY;
        let mut told = 0;
        let mut progress = live.progress();
        loop {
            let now = progress.borrow_and_update().clone();
            let pending = match &now {
                Progress::Over(outcome) => {
                    return (reply::outcome(id, outcome, form), Some(live.key.clone()));
                }
                Progress::Failed { code, why } => {
                    return (reply::refused(id, code, why, form), Some(live.key.clone()));
                }
                Progress::Waiting(pending) if Instant::now() >= deadline => {
                    return (reply::waits(id, pending, form), None);
                }
                Progress::Waiting(pending) => Some(pending),
                Progress::Asking | Progress::Begun => None,
            };
            let until = if pending.is_some() { deadline.min(tell_at) } else { tell_at };
            if let Ok(changed) = tokio::time::timeout_at(until, progress.changed()).await {
                if changed.is_err() {
                    return (reply::refused(id, "interrupted", INTERRUPTED, form), None);
                }
                continue;
            }
            if let (Some(token), Some(pending)) = (token, pending) {
                told += 1;
                port.tell(id, reply::progress(token, told, Some(pending))).await;
            }
            tell_at = Instant::now() + TELL_EVERY;
        }
    }

    /// Answers a call of a tool of ours.
    pub(super) async fn helper(&self, id: &Id, call: &ToolCall, form: Form) -> Answered {
        let gate = call.arguments.get("gate_id").and_then(Value::as_str).unwrap_or_default();
        let found = self.live().values().find(|live| live.is_at(gate)).cloned();
        let Some(live) = found else {
            let why = "No call of this interceptor waits at that gate, or its result has been read already.";
            return (reply::refused(id, "call_unknown", why, form), None);
        };
        let seconds = call.arguments.get("seconds").and_then(Value::as_u64).unwrap_or(30);
        let hold = if call.tool == reply::WAIT {
            Duration::from_secs(seconds).min(HOLD_MAX)
        } else {
            Duration::ZERO
        };
        let port: Arc<dyn Port> = Arc::new(live::Nobody::default());
        self.follow(id, &live, &port, None, hold, form).await
    }
}

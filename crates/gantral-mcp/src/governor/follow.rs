//! Waits for a call on behalf of a client.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::json::Value;
use tokio::time::Instant;

use super::live::{self, Live, Progress};
use super::rounds::Pause;
use super::{Answered, Governor, HOLD_MAX, INTERRUPTED, TELL_EVERY};
use crate::call::ToolCall;
use crate::message::Id;
use crate::port::Port;
use crate::reply::{self, Form};

/// How a client waits.
#[derive(Clone, Copy)]
pub(super) struct Follows<'a> {
    /// The way to it.
    pub port: &'a Arc<dyn Port>,
    /// What it wants to be told progress under, as it was written.
    pub token: Option<&'a str>,
    /// For how long humans are waited for.
    pub hold: Duration,
    /// The form of results.
    pub form: Form,
    /// What it is told then.
    pub pause: Pause,
}

impl Governor {
    /// Waits for a call on behalf of a client, humans for no longer than it is to be held.
    pub(super) async fn follow(&self, id: &Id, live: &Arc<Live>, follows: Follows<'_>) -> Answered {
        let Follows { port, token, hold, form, pause } = follows;
        let hold = if pause.is_lead() { Duration::ZERO } else { hold };
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
                    return (self.paused(id, live, pending, pause, form), None);
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
        self.follow(id, &live, Follows { port: &port, token: None, hold, form, pause: Pause::Result }).await
    }
}

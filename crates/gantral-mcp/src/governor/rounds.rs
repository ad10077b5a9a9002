//! Rounds: a client of 2026-07-28 is told that its call waits, with a state that it brings along when it comes again.
//!
//! Nothing of authority is in a state. A state that is refused changes nothing: the call that it belongs to is kept, and whoever sends the call
//! without one joins it. Source: as [`crate::state`].

use std::sync::Arc;

use serde_json::{Value, json};

use super::live::Live;
use super::{Governor, is_stateless};
use crate::authority::Pending;
use crate::call::ToolCall;
use crate::declared;
use crate::message::{Id, Message, members};
use crate::reply::{self, Form};
use crate::seal::now_ms;
use crate::state::{self, BadState, State};
use crate::task;

/// The most rounds of one call: clients give up after ten, and what a model reads then is no help to it.
const ROUNDS_MAX: u32 = 6;
/// What the question is called that leads a person to the console.
const QUESTION: &str = "gantral_approval";

/// What a client is told when a call waits longer than it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pause {
    /// A result that says so.
    Result,
    /// That it should come again.
    Round {
        /// The round that this is.
        round: u32,
        /// Whether the client can lead a person to an address.
        leads: bool,
    },
}

impl Pause {
    /// Returns how a client that sent a call for the first time is told.
    pub(super) fn first(call: &ToolCall) -> Self {
        let meta = call.meta.as_deref();
        if is_stateless(meta) {
            Self::Round { round: 0, leads: declared::takes_addresses(meta) }
        } else {
            Self::Result
        }
    }

    /// Tells whether the person at the client is led to the console at once.
    pub(super) const fn is_lead(self) -> bool {
        matches!(self, Self::Round { round: 0, leads: true })
    }
}

/// What a client brought from an earlier round.
pub(super) struct Brought {
    state: String,
    /// Whether the person at the client did not want to be led anywhere.
    declined: bool,
}

impl Brought {
    /// Takes what is ours out of a call: it is no part of it.
    pub(super) fn take(call: &mut ToolCall) -> Option<Self> {
        let given =
            |name: &str| call.rest.iter().find(|(found, _)| found == name).map(|(_, raw)| raw.clone());
        let state = given("requestState").filter(|raw| state::is_ours(raw))?;
        let answer = given("inputResponses").and_then(|raw| {
            let action = members(members(&raw).ok()?.last(QUESTION)?).ok()?.last("action")?.to_owned();
            serde_json::from_str::<String>(&action).ok()
        });
        call.rest.retain(|(name, _)| !matches!(name.as_str(), "requestState" | "inputResponses"));
        Some(Self { state, declined: answer.is_some_and(|action| action != "accept") })
    }
}

impl Governor {
    /// Takes a state, once, and finds the call that it belongs to.
    pub(super) fn come_again(
        self: &Arc<Self>,
        brought: &Brought,
        key: &str,
    ) -> Result<(Arc<Live>, Pause), BadState> {
        let state = State::opened(&brought.state, &self.keys, key, &self.whose, now_ms())?;
        // After a restart the call may not be taken up yet.
        self.take_up_one(key);
        let live =
            self.live().get(key).cloned().filter(|live| !live.is_delivered()).ok_or(BadState::Spent)?;
        if !live.spend(&state.id).map_err(BadState::Unchecked)? {
            return Err(BadState::Spent);
        }
        let pause = if brought.declined || state.round >= ROUNDS_MAX {
            Pause::Result
        } else {
            Pause::Round { round: state.round, leads: false }
        };
        Ok((live, pause))
    }

    /// Refuses a state, and writes down that it was.
    pub(super) fn refuse_state(&self, id: &Id, call: (&str, &str), bad: &BadState, form: Form) -> Message {
        let (tool, key) = call;
        let (server, name) = self.server.split(tool);
        tracing::warn!(tool, code = bad.code(), "a state is refused");
        let what =
            json!({"at_ms": now_ms(), "code": bad.code(), "server": server, "tool": name, "call": key});
        if let Err(error) = self.spool.note_refusal(&what.to_string()) {
            tracing::error!(%error, "a refusal cannot be written down");
        }
        let text = format!(
            "NOT EXECUTED [{}]: the state that came with the call is refused: {bad}. Send the call without it to learn how it stands.",
            bad.code()
        );
        reply::refused(id, bad.code(), &text, form)
    }

    /// Tells a client that its call waits.
    pub(super) fn paused(
        &self,
        id: &Id,
        live: &Live,
        pending: &Pending,
        pause: Pause,
        form: Form,
    ) -> Message {
        let Pause::Round { round, leads } = pause else { return reply::waits(id, pending, form) };
        let given = self.state_of(live, pending, round.saturating_add(1));
        let state = match given {
            Ok(state) => state,
            Err(error) => {
                tracing::warn!(%error, "no state can be given to a client");
                return reply::waits(id, pending, form);
            }
        };
        let mut result = json!({"resultType": "input_required", "requestState": state});
        if leads && !pending.url.is_empty() {
            let message = format!(
                "NOT EXECUTED. {} This address leads to it; opening it approves nothing.",
                task::waiting(pending)
            );
            let params = json!({"mode": "url", "message": message, "url": pending.url});
            let question = json!({QUESTION: {"method": "elicitation/create", "params": params}});
            result.as_object_mut().map(|members| members.insert("inputRequests".to_owned(), question));
        }
        Message::result(id, &Value::to_string(&result))
    }

    /// Makes the state of the next round: what is given is written down first, so that it is taken once.
    fn state_of(&self, live: &Live, pending: &Pending, round: u32) -> std::io::Result<String> {
        let gate = (pending.gate.to_string(), pending.expires_at.get());
        let state =
            State::new(gate, &live.key, &self.whose, round, now_ms()).map_err(std::io::Error::other)?;
        let sealed = state.sealed(&self.keys)?;
        live.give(state.id)?;
        Ok(sealed)
    }
}

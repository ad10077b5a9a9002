//! Batches of revision 2025-03-26: several messages in one, and their answers in one.
//!
//! Each message of a batch is treated as if it came alone, so that each call is governed. The answers are held back until the last of
//! them is there. Source: JSON-RPC 2.0 §6; MCP 2025-03-26, Messages, Batching.

use tokio::sync::oneshot;

use super::{Inner, Outgoing, Session};
use crate::message::{Id, Kind, Message, is_call};

/// The most batches of a client that wait for answers.
const BATCHES_MAX: usize = 64;
/// JSON-RPC: the message is no request.
const INVALID_REQUEST: i64 = -32600;

/// A batch whose answers are not all there.
#[derive(Debug)]
pub(super) struct Batch {
    /// What we call it.
    name: Id,
    owed: Vec<Id>,
    answers: Vec<Outgoing>,
}

impl Session {
    /// Tells whether client and server agreed upon the revision that has batches.
    pub fn takes_batches(&self) -> bool {
        self.inner.state().batches_agreed
    }

    /// Takes a batch of the client; its answer comes under this name, which is ours. Returns false when the server is gone.
    pub async fn batch(&self, name: Id, message: Message) -> bool {
        let elements = message.elements();
        let calls = elements.iter().any(|element| {
            matches!(element.kind(), Kind::Request { method, .. } | Kind::Notification { method } if is_call(method))
        });
        if !self.takes_batches() {
            if !calls {
                return self.inner.send(message).await;
            }
            let text =
                "the revision that was agreed upon has no batches, and this one holds the call of a tool";
            self.inner.answer_batch(name, Message::error(None, INVALID_REQUEST, text)).await;
            return true;
        }
        let owed: Vec<Id> = elements.iter().filter_map(Message::request_id).cloned().collect();
        if !owed.is_empty() {
            let full = {
                let mut state = self.inner.state();
                let full = state.batches.len() >= BATCHES_MAX;
                if !full {
                    state.batches.push(Batch { name: name.clone(), owed, answers: Vec::new() });
                }
                full
            };
            if full {
                let text = crate::reply::TOO_MANY;
                self.inner.answer_batch(name, Message::error(None, INVALID_REQUEST, text)).await;
                return true;
            }
        }
        for element in elements {
            // What follows may be an answer that another one waits for.
            if !Box::pin(self.from_client(element)).await {
                return false;
            }
        }
        true
    }
}

impl Inner {
    /// Holds an answer back that belongs to a batch; returns what is to be told now.
    pub(super) fn gathered(&self, outgoing: Outgoing) -> Option<Outgoing> {
        let Kind::Response { id: Some(id) } = outgoing.message.kind().clone() else { return Some(outgoing) };
        let mut state = self.state();
        let Some(at) = state.batches.iter().position(|batch| batch.owed.contains(&id)) else {
            return Some(outgoing);
        };
        let batch = state.batches.get_mut(at)?;
        settle(batch, &id);
        batch.answers.push(outgoing);
        let whole = batch.owed.is_empty();
        whole.then(|| state.batches.swap_remove(at)).map(Batch::answered)
    }

    /// Notes that no answer is owed any more to a request of a batch; returns the batch if it was the last.
    pub(super) fn no_longer_owed(&self, id: &Id) -> Option<Outgoing> {
        let mut state = self.state();
        let at = state.batches.iter().position(|batch| batch.owed.contains(id))?;
        let batch = state.batches.get_mut(at)?;
        settle(batch, id);
        let whole = batch.owed.is_empty();
        whole.then(|| state.batches.swap_remove(at)).map(Batch::answered)
    }

    async fn answer_batch(&self, name: Id, message: Message) {
        // Whoever carries it knows the batch by the name.
        let message = Message::ours(message.text().to_owned(), Kind::Response { id: Some(name.clone()) });
        let _ = self.to_client.send(Outgoing { about: Some(name), message, left: None }).await;
    }
}

fn settle(batch: &mut Batch, id: &Id) {
    if let Some(at) = batch.owed.iter().position(|owed| owed == id) {
        batch.owed.swap_remove(at);
    }
}

impl Batch {
    /// Returns all answers as one message.
    fn answered(self) -> Outgoing {
        let texts: Vec<&str> = self.answers.iter().map(|answer| answer.message.text()).collect();
        let text = format!("[{}]", texts.join(","));
        let message = Message::ours(text, Kind::Response { id: Some(self.name.clone()) });
        let waiting: Vec<_> = self.answers.into_iter().filter_map(|answer| answer.left).collect();
        let (left, gone) = oneshot::channel();
        tokio::spawn(async move {
            if gone.await.is_ok() {
                for left in waiting {
                    // Whoever waited may have gone.
                    let _ = left.send(());
                }
            }
        });
        Outgoing { about: Some(self.name), message, left: Some(left) }
    }
}

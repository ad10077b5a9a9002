//! One client and its server, when messages are all that there is between them: a process, or a server over HTTP that we are the client of.
//!
//! Everything passes as it is, but for calls of tools, which are governed, and lists of tools, which we read and add ours to. Ours are also
//! the ids of what we send: an answer that a client provokes under an id of its own is never taken for that of a governed call.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::catalogue::{Catalogue, with_tools};
use crate::governor::Governor;
use crate::message::{Id, Kind, Message, is_call, members, span};
use crate::port::{Lost, Port, Work};
use crate::reply;

/// The most requests of a client that wait for an answer: one more is refused.
const WAITING_MAX: usize = 1024;
/// How long a server may take to answer what was cancelled, before what came of it is called unknown.
const CANCELLED_WITHIN: Duration = Duration::from_secs(10);
/// JSON-RPC: the message is no request.
const INVALID_REQUEST: i64 = -32600;

/// A message for the client, and the request of its own that it is about, as far as that is known.
#[derive(Debug)]
pub struct Outgoing {
    /// The request.
    pub about: Option<Id>,
    /// The message.
    pub message: Message,
    /// Told once the message has left us.
    pub left: Option<oneshot::Sender<()>>,
}

/// One client's connection.
#[derive(Debug, Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    governor: Arc<Governor>,
    to_client: mpsc::Sender<Outgoing>,
    to_server: Mutex<Option<mpsc::Sender<Message>>>,
    state: Mutex<State>,
    catalogue: Catalogue,
    /// Begins the ids of ours; nobody guesses it.
    prefix: String,
    count: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    /// What comes back under an id that we look at.
    waiting: HashMap<Id, Waiting>,
    /// Governed calls that the client waits for.
    calls: HashMap<Id, Held>,
}

#[derive(Debug)]
enum Waiting {
    /// A request of ours.
    Ours(oneshot::Sender<Message>),
    /// A list of tools for the client.
    Tools,
}

#[derive(Debug)]
struct Held {
    hold: AbortHandle,
    /// The id under which the server knows the call, once it does.
    forwarded: Option<Id>,
}

impl Session {
    /// Begins a session over a way to the server.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(
        governor: Arc<Governor>,
        to_server: mpsc::Sender<Message>,
        to_client: mpsc::Sender<Outgoing>,
    ) -> Result<Self, getrandom::Error> {
        let inner = Inner {
            governor,
            to_client,
            to_server: Mutex::new(Some(to_server)),
            state: Mutex::default(),
            catalogue: Catalogue::default(),
            prefix: format!("gantral:{:016x}", getrandom::u64()?),
            count: AtomicU64::new(0),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Takes a message of the client. Returns false when the server is gone.
    pub async fn from_client(&self, message: Message) -> bool {
        match message.kind().clone() {
            Kind::Request { id, method } if is_call(&method) => {
                self.govern(id, message).await;
                true
            }
            Kind::Request { id, method } if method == "tools/list" => {
                if !self.inner.wait_for(&id, Waiting::Tools) {
                    self.refuse(&id).await;
                    return true;
                }
                self.inner.send(message).await
            }
            Kind::Notification { method } if is_call(&method) => {
                tracing::warn!("a call that wants no answer is not passed on");
                true
            }
            Kind::Notification { method } if method == "notifications/cancelled" => {
                self.cancel(message).await
            }
            Kind::Request { .. }
            | Kind::Notification { .. }
            | Kind::Response { .. }
            | Kind::Batch
            | Kind::Foreign => self.inner.send(message).await,
        }
    }

    /// Takes a message of the server.
    pub async fn from_server(&self, message: Message) {
        let about = match message.kind() {
            Kind::Response { id } => id.clone(),
            Kind::Notification { method } if method == "notifications/tools/list_changed" => {
                self.inner.catalogue.changed();
                None
            }
            Kind::Request { .. } | Kind::Notification { .. } | Kind::Batch | Kind::Foreign => None,
        };
        let waiting = about.as_ref().and_then(|id| self.inner.state().waiting.remove(id));
        let message = match waiting {
            Some(Waiting::Ours(waiter)) => {
                // Whoever waited may have gone.
                let _ = waiter.send(message);
                return;
            }
            Some(Waiting::Tools) => {
                self.inner.catalogue.learn(&message);
                with_tools(message, self.inner.governor.tools())
            }
            None => message,
        };
        self.inner.deliver(Outgoing { about, message, left: None }).await;
    }

    /// Ends the session: the server is let go, and whoever waits for it is told so. Calls that wait for humans stay.
    pub fn end(&self) {
        self.inner.to_server.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.inner.state().waiting.clear();
    }

    /// Returns the way to the server for requests of ours.
    pub fn port(&self) -> Arc<dyn Port> {
        self.inner.clone()
    }

    /// Has a call governed, while other messages pass.
    async fn govern(&self, id: Id, message: Message) {
        let taken = {
            let state = self.inner.state();
            state.calls.contains_key(&id) || state.calls.len() >= WAITING_MAX
        };
        if taken {
            self.refuse(&id).await;
            return;
        }
        let (begin, begun) = oneshot::channel::<()>();
        let session = self.clone();
        let name = id.clone();
        let hold = tokio::spawn(async move {
            // It is written down as held before it begins.
            let _ = begun.await;
            let port: Arc<dyn Port> = session.inner.clone();
            let (answer, settled) = session.inner.governor.call(&name, &message, port).await;
            session.inner.state().calls.remove(&name);
            let (left, gone) = oneshot::channel();
            session.inner.deliver(Outgoing { about: Some(name), message: answer, left: Some(left) }).await;
            if let (Some(settled), Ok(())) = (settled, gone.await) {
                session.inner.governor.delivered(&settled);
            }
        });
        self.inner.state().calls.insert(id, Held { hold: hold.abort_handle(), forwarded: None });
        let _ = begin.send(());
    }

    /// A client that waits no longer has withdrawn nothing: a call at a gate stays there. One that the server has is cancelled there.
    async fn cancel(&self, message: Message) -> bool {
        let asked = message.member("params").and_then(|params| {
            let raw = members(params).ok()?.last("requestId")?;
            let id = serde_json::from_str::<Id>(raw).ok()?;
            Some((id, span(params, raw)?, params.to_owned()))
        });
        let Some((id, place, params)) = asked else { return self.inner.send(message).await };
        let forwarded = self.inner.state().calls.get(&id).map(|held| held.forwarded.clone());
        match forwarded {
            None => self.inner.send(message).await,
            Some(Some(own)) => {
                let (before, after) = (params.get(..place.start), params.get(place.end..));
                let params =
                    format!("{}{}{}", before.unwrap_or_default(), own.to_json(), after.unwrap_or_default());
                self.inner.give_up(own);
                self.inner.send(Message::notification("notifications/cancelled", &params)).await
            }
            Some(None) => {
                if let Some(held) = self.inner.state().calls.remove(&id) {
                    held.hold.abort();
                }
                true
            }
        }
    }

    async fn refuse(&self, id: &Id) {
        let message = Message::error(Some(id), INVALID_REQUEST, reply::TOO_MANY);
        self.inner.deliver(Outgoing { about: Some(id.clone()), message, left: None }).await;
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left whole values.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that an answer is looked at; false when there are too many, or one of that id.
    fn wait_for(&self, id: &Id, waiting: Waiting) -> bool {
        let mut state = self.state();
        if state.waiting.len() >= WAITING_MAX || state.waiting.contains_key(id) {
            return false;
        }
        state.waiting.insert(id.clone(), waiting);
        true
    }

    /// Notes under which id the server knows the client's call.
    fn forwarded(&self, about: Option<&Id>, own: Option<Id>) {
        let mut state = self.state();
        if let Some(held) = about.and_then(|id| state.calls.get_mut(id)) {
            held.forwarded = own;
        }
    }

    async fn send(&self, message: Message) -> bool {
        let sender = self.to_server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match sender {
            Some(sender) => sender.send(message).await.is_ok(),
            None => false,
        }
    }

    /// Waits no longer than a while for an answer to what was cancelled: servers need not send one.
    fn give_up(self: &Arc<Self>, own: Id) {
        let inner = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(CANCELLED_WITHIN).await;
            inner.state().waiting.remove(&own);
        });
    }

    async fn deliver(&self, outgoing: Outgoing) {
        // A client that has gone is told nothing.
        let _ = self.to_client.send(outgoing).await;
    }
}

/// Forgets the request when whoever waits for it does not any more.
struct Forgets<'a>(&'a Inner, Id, Option<Id>);

impl Drop for Forgets<'_> {
    fn drop(&mut self) {
        self.0.state().waiting.remove(&self.1);
        self.0.forwarded(self.2.as_ref(), None);
    }
}

impl Port for Inner {
    fn forward(
        &self,
        method: &'static str,
        params: String,
        about: Option<Id>,
    ) -> Work<'_, Result<Message, Lost>> {
        Box::pin(async move {
            let own = Id::Text(format!("{}:{}", self.prefix, self.count.fetch_add(1, Ordering::Relaxed)));
            let (answer, answered) = oneshot::channel();
            if !self.wait_for(&own, Waiting::Ours(answer)) {
                return Err(Lost::NotSent("too many requests wait for it".to_owned()));
            }
            self.forwarded(about.as_ref(), Some(own.clone()));
            let _forgets = Forgets(self, own.clone(), about);
            if !self.send(Message::request(&own, method, &params)).await {
                return Err(Lost::NotSent("it has ended".to_owned()));
            }
            answered.await.map_err(|_| Lost::Unanswered("it ended before".to_owned()))
        })
    }

    fn tell(&self, about: &Id, message: Message) -> Work<'_, ()> {
        let about = Some(about.clone());
        Box::pin(self.deliver(Outgoing { about, message, left: None }))
    }

    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }
}

//! One client and its server, when messages are all that there is between them: a process, or a server over HTTP that we are the client of.
//!
//! Everything passes as it is, but for calls of tools, which are governed, and lists of tools, which we read and add ours to. Ours are also
//! the ids of what we send: an answer that a client provokes under an id of its own is never taken for that of a governed call.

mod batch;
mod port;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::catalogue::{Catalogue, with_elements};
use crate::declared::{self, ServerTasks};
use crate::governor::Governor;
use crate::message::{Id, Kind, Message, is_call, members, span};
use crate::port::Port;
use crate::reply;
use crate::task::TaskId;

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
    /// Whether the client declared tasks when it began.
    takes_tasks: bool,
    /// What the server itself can do with them.
    tasks: ServerTasks,
    /// Whether the revision that was agreed upon has batches.
    batches_agreed: bool,
    /// Batches whose answers are not all there.
    batches: Vec<batch::Batch>,
}

#[derive(Debug)]
enum Waiting {
    /// A request of ours.
    Ours(oneshot::Sender<Message>),
    /// A list of tools for the client, and whether it takes tasks.
    Tools(bool),
    /// What the server says of itself to a client that begins.
    Begins,
    /// The same to one that looks what there is, and takes tasks.
    Discovers,
    /// A list of the server's tasks.
    Tasks,
}

/// What is answered here, and takes its time.
enum Governed {
    /// A call.
    Call,
    /// A question about a task of ours.
    Task(String),
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
                self.govern(id, message, Governed::Call).await;
                true
            }
            Kind::Request { id, method } if method.starts_with("tasks/") => {
                self.task(id, method, message).await
            }
            Kind::Request { id, method } => {
                let Some(waiting) = self.inner.looks_at(&method, &message) else {
                    return self.inner.send(message).await;
                };
                if !self.inner.wait_for(&id, waiting) {
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
            Kind::Batch => {
                let number = self.inner.count.fetch_add(1, Ordering::Relaxed);
                self.batch(Id::Text(format!("{}:batch:{number}", self.inner.prefix)), message).await
            }
            Kind::Notification { .. } | Kind::Response { .. } | Kind::Foreign => {
                self.inner.send(message).await
            }
        }
    }

    /// Answers what is asked about our tasks; what is about the server's passes.
    async fn task(&self, id: Id, method: String, message: Message) -> bool {
        if TaskId::named_by(&message).is_some() {
            self.govern(id, message, Governed::Task(method)).await;
            return true;
        }
        let (takes, server) = {
            let state = self.inner.state();
            (state.takes_tasks, state.tasks)
        };
        if method != "tasks/list" || !takes {
            return self.inner.send(message).await;
        }
        if Governor::is_own_page(&message) || !server.lists {
            let message = self.inner.governor.list(&id, &message);
            self.inner.deliver(Outgoing { about: Some(id), message, left: None }).await;
            return true;
        }
        if !self.inner.wait_for(&id, Waiting::Tasks) {
            self.refuse(&id).await;
            return true;
        }
        self.inner.send(message).await
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
            Some(Waiting::Tools(tasks)) => {
                self.inner.catalogue.learn(&message);
                let message = if tasks { declared::with_support(message) } else { message };
                with_elements(message, "tools", self.inner.governor.tools())
            }
            Some(Waiting::Begins) => self.inner.begun(message),
            Some(Waiting::Discovers) => declared::with_extension(message),
            Some(Waiting::Tasks) => self.inner.governor.listed_with(message),
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

    /// Has a call governed, or a question about one answered, while other messages pass.
    async fn govern(&self, id: Id, message: Message, what: Governed) {
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
            let governor = &session.inner.governor;
            let (answer, settled) = match what {
                Governed::Call => governor.call(&name, &message, session.inner.clone()).await,
                Governed::Task(method) => governor.task(&name, &method, &message).await,
            };
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
                if let Some(batch) = self.inner.no_longer_owed(&id) {
                    self.inner.deliver(batch).await;
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

    /// Tells what of the answer to a request is looked at.
    fn looks_at(&self, method: &str, message: &Message) -> Option<Waiting> {
        match method {
            "initialize" => {
                self.state().takes_tasks = declared::of_client(message);
                Some(Waiting::Begins)
            }
            "server/discover" => declared::takes_tasks(meta_of(message)).then_some(Waiting::Discovers),
            "tools/list" => Some(Waiting::Tools(self.state().takes_tasks)),
            _ => None,
        }
    }

    /// Reads what the server says of itself, and declares what we add for a client that takes it.
    fn begun(&self, answer: Message) -> Message {
        let mut state = self.state();
        state.tasks = declared::of_server(&answer);
        state.takes_tasks &= declared::has_tasks(&answer);
        state.batches_agreed = declared::has_batches(&answer);
        let takes = state.takes_tasks;
        drop(state);
        if takes { declared::with_tasks(answer) } else { answer }
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
        if let Some(outgoing) = self.gathered(outgoing) {
            // A client that has gone is told nothing.
            let _ = self.to_client.send(outgoing).await;
        }
    }
}

fn meta_of(message: &Message) -> Option<&str> {
    members(message.member("params")?).ok()?.last("_meta")
}

//! The conversations of all clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::streams::{Answer, Place, Streams};
use crate::governor::Governor;
use crate::link::{Link, QUEUE_MAX};
use crate::message::{Id, Kind, Message};
use crate::session::{Outgoing, Session};
use crate::upstream::Upstream;

/// The most sessions at a time: each may have a process of its own.
const SESSIONS_MAX: usize = 128;
/// After how long a session that nobody used is ended.
const IDLE_MAX: Duration = Duration::from_secs(60 * 60);
/// How often it is looked for idle sessions.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// Why a request has no conversation.
#[derive(Debug)]
pub enum NoPlace {
    /// It names a session that is none, or has ended.
    Unknown,
    /// It names none, and is not one that begins one.
    NoSession,
    /// There are too many.
    Full,
    /// The server cannot be started.
    Server(String),
}

/// What came of passing a batch on.
pub enum Asked {
    /// It holds no request.
    Nothing,
    /// The server has gone.
    Gone,
    /// Its requests are answered here.
    Answer(Answer),
}

/// All conversations.
#[derive(Debug)]
pub struct Hub {
    governor: Arc<Governor>,
    upstream: Upstream,
    sessions: Mutex<HashMap<String, Arc<Conversation>>>,
    /// That of requests that stand for themselves.
    shared: Mutex<Option<Arc<Conversation>>>,
}

/// One client's conversation, or the one that those share who have none of their own.
#[derive(Debug)]
pub struct Conversation {
    /// What passes.
    pub session: Session,
    streams: Arc<Mutex<Streams>>,
    used: Mutex<Instant>,
    /// Whether the server has gone.
    over: Arc<Mutex<bool>>,
    /// Counts the ids that are ours.
    pub count: AtomicU64,
}

impl Hub {
    /// Has no conversation yet.
    pub fn new(governor: Arc<Governor>, upstream: Upstream) -> Self {
        Self { governor, upstream, sessions: Mutex::default(), shared: Mutex::default() }
    }

    /// Returns a conversation by its id.
    pub fn find(&self, id: Option<&str>) -> Option<(String, Arc<Conversation>)> {
        let id = id?;
        let found = locked(&self.sessions).get(id).cloned()?;
        *locked(&found.used) = Instant::now();
        if *locked(&found.over) {
            self.remove(id);
            return None;
        }
        Some((id.to_owned(), found))
    }

    /// Begins a conversation.
    pub fn begin(&self) -> Result<(String, Arc<Conversation>), NoPlace> {
        if locked(&self.sessions).len() >= SESSIONS_MAX {
            return Err(NoPlace::Full);
        }
        let random = || getrandom::u64().map_err(|error| NoPlace::Server(error.to_string()));
        let id = format!("{:016x}{:016x}", random()?, random()?);
        let conversation = self.converse()?;
        locked(&self.sessions).insert(id.clone(), conversation.clone());
        Ok((id, conversation))
    }

    /// Returns the conversation of requests that stand for themselves.
    pub fn shared(&self) -> Result<Arc<Conversation>, NoPlace> {
        let mut shared = locked(&self.shared);
        if let Some(found) = shared.as_ref().filter(|found| !*locked(&found.over)) {
            return Ok(found.clone());
        }
        let begun = self.converse()?;
        *shared = Some(begun.clone());
        Ok(begun)
    }

    /// Ends a conversation.
    pub fn remove(&self, id: &str) {
        if let Some(found) = locked(&self.sessions).remove(id) {
            found.session.end();
        }
    }

    /// Ends all.
    pub fn end(&self) {
        let ended = locked(&self.sessions).drain().map(|(_, found)| found).collect::<Vec<_>>();
        for found in ended.into_iter().chain(locked(&self.shared).take()) {
            found.session.end();
        }
    }

    /// Ends what nobody uses, from time to time. Ends never.
    pub async fn end_idle(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let idle = |found: &Arc<Conversation>| {
                locked(&found.used).elapsed() > IDLE_MAX && Arc::strong_count(found) == 1
            };
            let ids: Vec<String> = locked(&self.sessions)
                .iter()
                .filter(|(_, found)| idle(found))
                .map(|(id, _)| id.clone())
                .collect();
            ids.iter().for_each(|id| self.remove(id));
        }
    }

    fn converse(&self) -> Result<Arc<Conversation>, NoPlace> {
        let failed = |error: std::io::Error| NoPlace::Server(error.to_string());
        let (Link { to_server, mut from_server }, running) = self.upstream.link().map_err(failed)?;
        let (to_client, for_client) = mpsc::channel(QUEUE_MAX);
        let session = Session::new(self.governor.clone(), to_server, to_client);
        let session = session.map_err(|error| NoPlace::Server(error.to_string()))?;
        let conversation = Arc::new(Conversation {
            session: session.clone(),
            streams: Arc::default(),
            used: Mutex::new(Instant::now()),
            over: Arc::default(),
            count: AtomicU64::new(0),
        });
        tokio::spawn(hand_out(for_client, conversation.streams.clone()));
        let over = conversation.over.clone();
        tokio::spawn(async move {
            while let Some(message) = from_server.recv().await {
                session.from_server(message).await;
            }
            *locked(&over) = true;
            session.end();
            crate::process::all_ended(running).await;
        });
        Ok(conversation)
    }
}

impl Conversation {
    /// Passes a request on and returns its answer; `None` when one of this id is under way.
    pub async fn ask(&self, message: Message) -> Option<Answer> {
        let Kind::Request { id, .. } = message.kind().clone() else { return None };
        let answer = locked(&self.streams).open(&id, &message)?;
        if !self.session.from_client(message).await {
            let gone = Message::error(Some(&id), -32000, "the server has gone");
            let outgoing = Outgoing { about: Some(id), message: gone, left: None };
            if let Place::There(sender, outgoing) = locked(&self.streams).place(outgoing) {
                // There is room: nothing was said yet.
                let _ = sender.try_send(outgoing);
            }
        }
        Some(answer)
    }

    /// Passes a batch on, each message of it, and returns the one answer to its requests.
    pub async fn ask_all(&self, message: Message) -> Asked {
        let name = Id::Text(format!("batch:{}", self.next()));
        let wants = message.elements().iter().any(|element| matches!(element.kind(), Kind::Request { .. }));
        let answer = if wants { locked(&self.streams).open(&name, &message) } else { None };
        match (self.session.batch(name, message).await, answer) {
            (true, Some(answer)) => Asked::Answer(answer),
            (true, None) => Asked::Nothing,
            (false, _) => Asked::Gone,
        }
    }

    /// Returns a stream for what is about no request.
    pub fn listen(&self) -> Answer {
        locked(&self.streams).listen()
    }

    /// Forgets the answer of a request; tells whether it was owed.
    pub fn close(&self, id: &Id) -> bool {
        locked(&self.streams).close(id)
    }

    /// Returns a number that no other request of the conversation has.
    pub fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed)
    }
}

/// Hands out what a client is told, one after the other.
async fn hand_out(mut messages: mpsc::Receiver<Outgoing>, streams: Arc<Mutex<Streams>>) {
    while let Some(outgoing) = messages.recv().await {
        let place = locked(&streams).place(outgoing);
        if let Place::There(sender, outgoing) = place {
            // A client that closed its answer is told nothing; one that does not read holds up its own conversation only.
            let _ = sender.send(outgoing).await;
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Whoever panicked left whole values.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! What goes to a client, and over which answer: that of the request that it is about, that of whoever listens, or it waits.

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::time::Duration;

use futures_util::stream::{Stream, unfold};
use tokio::sync::mpsc;

use crate::message::{Id, Kind, Message, members};
use crate::session::Outgoing;
use crate::sse;

/// How many messages wait for somebody to listen; older ones are dropped.
const WAITING_MAX: usize = 64;
/// How many messages wait on one answer.
const STREAM_MAX: usize = 64;
/// How often a stream shows that it is alive.
const ALIVE_EVERY: Duration = Duration::from_secs(10);

/// The answers of one client that are open.
#[derive(Debug, Default)]
pub struct Streams {
    requests: HashMap<Id, Open>,
    listening: Option<mpsc::Sender<Outgoing>>,
    waiting: VecDeque<Outgoing>,
}

#[derive(Debug)]
struct Open {
    sender: mpsc::Sender<Outgoing>,
    /// Under what the client wants to be told of progress, as it was written.
    progress: Option<String>,
}

/// Where a message goes.
pub enum Place {
    /// Over an answer.
    There(mpsc::Sender<Outgoing>, Outgoing),
    /// Nowhere now.
    Nowhere,
}

impl Streams {
    /// Opens the answer of a request; `None` when there is one of this id.
    pub fn open(&mut self, id: &Id, message: &Message) -> Option<Answer> {
        if self.requests.contains_key(id) {
            return None;
        }
        let (sender, receiver) = mpsc::channel(STREAM_MAX);
        let progress = progress_token(message);
        self.requests.insert(id.clone(), Open { sender, progress });
        Some(Answer::new(receiver, Some(id.clone())))
    }

    /// Opens a stream for what is about no request, in place of an earlier one.
    pub fn listen(&mut self) -> Answer {
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        for outgoing in self.waiting.drain(..) {
            // There is room for all that waited.
            let _ = sender.try_send(outgoing);
        }
        self.listening = Some(sender);
        Answer::new(receiver, None)
    }

    /// Forgets the answer of a request; tells whether it was owed.
    pub fn close(&mut self, id: &Id) -> bool {
        self.requests.remove(id).is_some()
    }

    /// Finds where a message goes.
    pub fn place(&mut self, outgoing: Outgoing) -> Place {
        let about = outgoing.about.clone().or_else(|| self.told_of(&outgoing.message));
        if let Some(id) = about {
            let ends = matches!(outgoing.message.kind(), Kind::Response { .. });
            let sender = if ends {
                self.requests.remove(&id).map(|open| open.sender)
            } else {
                self.requests.get(&id).map(|open| open.sender.clone())
            };
            // A client that closed its answer does not get it elsewhere.
            return sender.map_or(Place::Nowhere, |sender| Place::There(sender, outgoing));
        }
        self.listening.take_if(|sender| sender.is_closed());
        let other = self.requests.values().map(|open| &open.sender).find(|sender| !sender.is_closed());
        if let Some(sender) = self.listening.as_ref().or(other) {
            return Place::There(sender.clone(), outgoing);
        }
        if self.waiting.len() >= WAITING_MAX {
            self.waiting.pop_front();
        }
        self.waiting.push_back(outgoing);
        Place::Nowhere
    }

    /// Returns the request that a message of progress is about.
    fn told_of(&self, message: &Message) -> Option<Id> {
        let Kind::Notification { method } = message.kind() else { return None };
        if method != "notifications/progress" {
            return None;
        }
        let token = members(message.member("params")?).ok()?.last("progressToken")?;
        let of = |open: &&Open| open.progress.as_deref() == Some(token);
        self.requests.iter().find(|(_, open)| of(open)).map(|(id, _)| id.clone())
    }
}

fn progress_token(message: &Message) -> Option<String> {
    let meta = members(message.member("params")?).ok()?.last("_meta")?;
    members(meta).ok()?.last("progressToken").map(ToOwned::to_owned)
}

/// An answer that is open: what is to be said in it.
pub struct Answer {
    receiver: mpsc::Receiver<Outgoing>,
    /// The request that ends it; none for whoever listens.
    id: Option<Id>,
    /// What was waited for.
    first: Option<Box<Outgoing>>,
    /// Held until the answer is closed, from whichever side.
    _guard: Option<Box<dyn Send>>,
    edit: fn(Message, &Id) -> Message,
    named: Option<Id>,
}

impl Answer {
    fn new(receiver: mpsc::Receiver<Outgoing>, id: Option<Id>) -> Self {
        Self { receiver, id, first: None, _guard: None, edit: |message, _| message, named: None }
    }

    /// Holds something until the answer is closed.
    pub fn holding(mut self, guard: impl Send + 'static) -> Self {
        self._guard = Some(Box::new(guard));
        self
    }

    /// Changes each message on its way out; `named` is handed to whoever does it.
    pub fn edited(mut self, named: Id, edit: fn(Message, &Id) -> Message) -> Self {
        self.edit = edit;
        self.named = Some(named);
        self
    }

    /// Waits for the answer itself: a client that takes no events is told nothing else.
    pub async fn whole(&mut self) {
        while let Some(outgoing) = self.receiver.recv().await {
            if self.ends(&outgoing.message) {
                self.first = Some(Box::new(outgoing));
                return;
            }
        }
    }

    fn ends(&self, message: &Message) -> bool {
        self.id.is_some() && matches!(message.kind(), Kind::Response { id } if *id == self.id)
    }

    fn bytes(&self, message: Message) -> Vec<u8> {
        let message = match &self.named {
            Some(named) => (self.edit)(message, named),
            None => message,
        };
        message.into_bytes()
    }

    /// Returns the answer alone.
    pub fn into_json(self) -> impl Stream<Item = Result<Vec<u8>, Infallible>> {
        unfold((self, None), async |(mut answer, left): (Self, Option<Left>)| {
            told(left);
            let Outgoing { message, left, .. } = *answer.first.take()?;
            let bytes = answer.bytes(message);
            Some((Ok(bytes), (answer, left)))
        })
    }

    /// Returns everything as events, to the answer if it is one to a request.
    pub fn into_events(self) -> impl Stream<Item = Result<Vec<u8>, Infallible>> {
        unfold((self, None, false), async |(mut answer, left, over): (Self, Option<Left>, bool)| {
            // What was handed out before has been taken by now.
            told(left);
            if over {
                return None;
            }
            let next = tokio::time::timeout(ALIVE_EVERY, answer.receiver.recv()).await;
            match next {
                Ok(Some(Outgoing { message, left, .. })) => {
                    let over = answer.ends(&message);
                    let event = sse::write(&answer.bytes(message));
                    Some((Ok(event), (answer, left, over)))
                }
                Ok(None) => None,
                Err(_) => Some((Ok(b": alive\n\n".to_vec()), (answer, None, false))),
            }
        })
    }
}

type Left = tokio::sync::oneshot::Sender<()>;

fn told(left: Option<Left>) {
    if let Some(left) = left {
        let _ = left.send(());
    }
}

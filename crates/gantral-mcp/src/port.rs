//! How a governed call reaches the server behind us, and the client before us, whatever carries the messages.

use std::future::Future;
use std::pin::Pin;

use crate::catalogue::Catalogue;
use crate::declared::ServerTasks;
use crate::message::{Id, Message};

/// A future that owns what it needs.
pub type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a request has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// It never left: the server has not seen it.
    #[error("the server cannot be reached: {0}")]
    NotSent(String),
    /// It left, or may have: whether the server did it is unknown.
    #[error("the server did not answer: {0}")]
    Unanswered(String),
}

/// One client's way to its server.
pub trait Port: Send + Sync {
    /// Sends a request under an id of ours and returns the answer. `about` is the client's request that it is for: what the server says
    /// meanwhile goes there.
    fn forward(
        &self,
        method: &'static str,
        params: String,
        about: Option<Id>,
    ) -> Work<'_, Result<Message, Lost>>;

    /// Tells the client something about a request of its own. A client that has gone is told nothing.
    fn tell(&self, about: &Id, message: Message) -> Work<'_, ()>;

    /// Returns what is known of the server's tools.
    fn catalogue(&self) -> &Catalogue;

    /// Returns what the server itself can do with tasks.
    fn tasks(&self) -> ServerTasks;
}

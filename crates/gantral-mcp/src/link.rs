//! A way to a server, whatever carries the messages.

use tokio::sync::mpsc;

use crate::message::Message;

/// How many messages wait on one way before whoever sends must wait.
pub(crate) const QUEUE_MAX: usize = 64;

/// Messages to a server and from it. Dropping the first lets the server end; the second ends when it is gone.
#[derive(Debug)]
pub struct Link {
    /// To the server.
    pub to_server: mpsc::Sender<Message>,
    /// From the server.
    pub from_server: mpsc::Receiver<Message>,
}

//! The ways to the servers and to whoever is before them.

use super::names::Prefix;
use super::{Server, Switch};
use crate::message::{Id, Message};

impl Switch {
    /// Sends a request under an id of ours; false when the server has ended, or does not read.
    pub(super) fn ask(&self, at: usize, own: &Id, message: Message) -> bool {
        let message = message.with(&["id"], &own.to_json());
        let message = Message::from_server(message.into_bytes());
        let to = self.servers.get(at).and_then(|server| server.to.as_ref());
        // One server that does not read holds up nobody else.
        to.is_some_and(|to| to.try_send(message).is_ok())
    }

    pub(super) fn tell(&self, at: usize, message: Message) {
        let to = self.servers.get(at).and_then(|server| server.to.as_ref());
        if to.is_some_and(|to| to.try_send(message).is_err()) {
            tracing::warn!(server = self.name(at), "a message for a server that does not read is dropped");
        }
    }

    pub(super) async fn say(&self, message: Message) {
        // A client that has gone is told nothing.
        let _ = self.to_client.send(message).await;
    }

    /// Returns the servers that can be asked; `all` with those that have not shaken hands.
    pub(super) fn usable(&self, all: bool) -> Vec<usize> {
        let there = |server: &Server| server.to.is_some() && (all || server.ready);
        self.servers.iter().enumerate().filter(|(_, server)| there(server)).map(|(at, _)| at).collect()
    }

    pub(super) fn own_id(&mut self) -> Id {
        self.count = self.count.wrapping_add(1);
        Id::Text(format!("several:{}", self.count))
    }

    pub(super) fn prefixes(&self) -> Vec<Prefix> {
        self.servers.iter().map(|server| server.prefix.clone()).collect()
    }

    pub(super) fn prefix(&self, at: usize) -> Option<&Prefix> {
        self.servers.get(at).map(|server| &server.prefix)
    }

    pub(super) fn name(&self, at: usize) -> &str {
        self.prefix(at).map_or("?", Prefix::as_str)
    }
}

//! Requests of ours over a client's way to the server.

use std::sync::atomic::Ordering;

use tokio::sync::oneshot;

use super::{Inner, Outgoing, Waiting};
use crate::catalogue::Catalogue;
use crate::declared::ServerTasks;
use crate::message::{Id, Message};
use crate::port::{Lost, Port, Work};

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
            answered.await.map_err(|_| Lost::Unanswered("it ended before".to_owned()))?.answered()
        })
    }

    fn tell(&self, about: &Id, message: Message) -> Work<'_, ()> {
        let about = Some(about.clone());
        Box::pin(self.deliver(Outgoing { about, message, left: None }))
    }

    fn catalogue(&self) -> &Catalogue {
        &self.catalogue
    }

    fn tasks(&self) -> ServerTasks {
        self.state().tasks
    }
}

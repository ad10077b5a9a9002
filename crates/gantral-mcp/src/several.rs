//! Several servers behind one way: to whoever is before it, they are one server.
//!
//! What each server names (tools, prompts, resources, tasks) is offered under a prefix of its own, and goes to that server without it. Ids of requests
//! are ours on both sides, so that those of two servers, or of a server and a client, do not meet. A server that has ended takes its own
//! requests with it and nothing else, and is started again.

mod again;
mod fan;
mod names;
mod ways;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use self::again::{Ends, Pauses};
use self::fan::{Fan, What};
use crate::link::{Link, QUEUE_MAX};
use crate::message::{Id, Kind, Message, members, span};
use crate::port::Lost;

pub use self::names::{BadPrefix, Prefix, split};

/// The most servers behind one way: each may be a process.
pub const SERVERS_MAX: usize = 16;
/// JSON-RPC: there is no such method.
const METHOD_NOT_FOUND: i64 = -32601;
/// JSON-RPC: the parameters are not those of the method.
const INVALID_PARAMS: i64 = -32602;
/// The most requests that wait for an answer: one more is refused.
const WAITING_MAX: usize = 4096;

/// Begins a conversation with a server once more.
pub type Begins = Arc<dyn Fn() -> std::io::Result<Link> + Send + Sync>;

/// Joins ways to servers into one. The way ends when the last of them does.
pub fn join(servers: Vec<(Prefix, Link, Begins)>) -> Link {
    join_within(servers, fan::BEGIN_WITHIN, Pauses::USUAL)
}

/// The same; a server may take so long to begin before the others do without it.
fn join_within(servers: Vec<(Prefix, Link, Begins)>, begin_within: Duration, pauses: Pauses) -> Link {
    let (to_server, from_client) = mpsc::channel(QUEUE_MAX);
    let (to_client, from_server) = mpsc::channel(QUEUE_MAX);
    let (said, hears) = mpsc::channel(QUEUE_MAX);
    let mut switch = Switch {
        servers: Vec::with_capacity(servers.len()),
        said,
        to_client,
        count: 0,
        waiting: HashMap::new(),
        fans: HashMap::new(),
        asked: HashMap::new(),
        hello: None,
        began: None,
        begin_within,
    };
    for (prefix, link, begins) in servers {
        let (ready, discovered) = (false, false);
        let server =
            Server { prefix, begins, to: None, turn: 0, ready, discovered, ends: Ends::none(pauses) };
        switch.servers.push(server);
        switch.take(switch.servers.len().saturating_sub(1), link);
    }
    tokio::spawn(switch.run(from_client, hears));
    Link { to_server, from_server }
}

/// What a server says: which one, in which of its conversations, and nothing once that has ended.
type Said = (usize, u64, Option<Message>);

struct Server {
    prefix: Prefix,
    begins: Begins,
    /// None once it has ended.
    to: Option<mpsc::Sender<Message>>,
    /// Counts its conversations.
    turn: u64,
    /// It has shaken hands.
    ready: bool,
    /// It was spoken to in the revision without a handshake: it may not shake hands any more in this conversation.
    discovered: bool,
    ends: Ends,
}

/// What is owed for a request that a server has.
#[derive(Debug)]
enum Owed {
    /// The answer, to the request of this id, of this method.
    Answer(Id, String),
    /// A part of the answer of several.
    Part(u64),
}

struct Switch {
    servers: Vec<Server>,
    said: mpsc::Sender<Said>,
    to_client: mpsc::Sender<Message>,
    count: u64,
    /// What servers have, by our id.
    waiting: HashMap<Id, (usize, Owed)>,
    fans: HashMap<u64, Fan>,
    /// What servers asked the client, by our id: who, and under which id of its own.
    asked: HashMap<Id, (usize, Id)>,
    /// How the client shook hands, for servers that are started again.
    hello: Option<Message>,
    /// What the client said as it began, for servers that are late.
    began: Option<Message>,
    begin_within: Duration,
}

impl Switch {
    async fn run(mut self, mut client: mpsc::Receiver<Message>, mut servers: mpsc::Receiver<Said>) {
        loop {
            let late = self.fans.values().map(|fan| fan.until).min();
            let again = self.next_again();
            tokio::select! {
                message = client.recv() => match message {
                    Some(message) => self.hear_client(message).await,
                    None => return,
                },
                said = servers.recv() => match said {
                    // Of a conversation that is over.
                    Some((at, turn, _)) if self.servers.get(at).is_none_or(|server| server.turn != turn) => {}
                    Some((at, _, Some(message))) => self.hear_server(at, message).await,
                    Some((at, _, None)) => {
                        self.gone(at).await;
                        if self.servers.iter().all(|server| server.to.is_none()) {
                            return;
                        }
                    }
                    None => return,
                },
                () = due(late), if late.is_some() => self.late().await,
                () = due(again), if again.is_some() => self.again().await,
            }
        }
    }

    /// Begins to listen to a server.
    fn take(&mut self, at: usize, link: Link) {
        let Some(server) = self.servers.get_mut(at) else { return };
        let Link { to_server, mut from_server } = link;
        server.to = Some(to_server);
        server.turn = server.turn.wrapping_add(1);
        (server.ready, server.discovered) = (false, false);
        let (said, turn) = (self.said.clone(), server.turn);
        tokio::spawn(async move {
            while let Some(message) = from_server.recv().await {
                if said.send((at, turn, Some(message))).await.is_err() {
                    return;
                }
            }
            // Nobody is left who would want to know.
            let _ = said.send((at, turn, None)).await;
        });
    }

    /// Begins anew with a server that has been spoken to without a handshake, so that it shakes hands.
    fn renew(&mut self, at: usize) {
        let Some(server) = self.servers.get(at).filter(|server| server.discovered) else { return };
        match (server.begins)() {
            Ok(link) => self.take(at, link),
            Err(error) => tracing::error!(server = self.name(at), %error, "a server cannot be started anew"),
        }
    }

    async fn hear_client(&mut self, message: Message) {
        match message.kind().clone() {
            Kind::Request { id, method } => self.request(id, &method, message).await,
            Kind::Notification { method } if method == "notifications/cancelled" => self.cancel(&message),
            Kind::Notification { method } => {
                if method == "notifications/initialized" {
                    self.began = Some(message.clone());
                }
                for at in self.usable(false) {
                    self.tell(at, message.clone());
                }
            }
            Kind::Response { id: Some(id) } => {
                if let Some((at, theirs)) = self.asked.remove(&id) {
                    self.tell(at, message.renamed(&theirs));
                }
            }
            Kind::Response { id: None } | Kind::Batch | Kind::Foreign => {}
        }
    }

    async fn request(&mut self, id: Id, method: &str, message: Message) {
        if self.waiting.len() >= WAITING_MAX {
            return self.say(Message::error(Some(&id), -32600, crate::reply::TOO_MANY)).await;
        }
        if let Some(what) = What::of(method) {
            return self.fan_out(id, what, message).await;
        }
        let (at, message) = match names::inward(method, message, &self.prefixes()) {
            Some(Ok(found)) => found,
            Some(Err(named)) => {
                let text = format!("`{named}` belongs to none of the servers behind this one");
                return self.say(Message::error(Some(&id), INVALID_PARAMS, &text)).await;
            }
            None => {
                let text = "several servers are behind this one, and the method names none of them";
                return self.say(Message::error(Some(&id), METHOD_NOT_FOUND, text)).await;
            }
        };
        let own = self.own_id();
        if self.ask(at, &own, message) {
            self.waiting.insert(own, (at, Owed::Answer(id, method.to_owned())));
        } else {
            let lost = Lost::NotSent(format!("`{}` has ended, or does not read", self.name(at)));
            self.say(Message::lost(&id, lost)).await;
        }
    }

    /// Asks all servers that are there.
    async fn fan_out(&mut self, id: Id, what: What, message: Message) {
        self.count = self.count.wrapping_add(1);
        let number = self.count;
        let within = if what == What::Begin { self.begin_within } else { what.within() };
        if what == What::Begin {
            self.hello = Some(message.clone());
        }
        let mut fan = Fan::new(id, what, message.clone(), within);
        let all = matches!(what, What::Begin | What::Discover) || fan.is_stateless();
        for at in self.usable(all) {
            match what {
                What::Begin => self.renew(at),
                What::Discover => {
                    if let Some(server) = self.servers.get_mut(at) {
                        server.discovered = true;
                    }
                }
                What::List(_) | What::Do | What::Listen => {}
            }
            let own = self.own_id();
            if self.ask(at, &own, message.clone()) {
                self.waiting.insert(own, (at, Owed::Part(number)));
                fan.asked(at);
            }
        }
        self.fans.insert(number, fan);
        self.settle(number).await;
    }

    async fn hear_server(&mut self, at: usize, message: Message) {
        match message.kind().clone() {
            Kind::Response { id: Some(id) } => match self.waiting.remove(&id) {
                Some((_, Owed::Answer(theirs, method))) => {
                    let message = names::outward(&method, message.renamed(&theirs), self.prefix(at));
                    self.say(message).await;
                }
                Some((_, Owed::Part(number))) => self.part(at, number, message).await,
                None => {}
            },
            Kind::Request { id, method: _ } => {
                let own = self.own_id();
                if self.asked.len() >= WAITING_MAX {
                    return self.tell(at, Message::error(Some(&id), -32600, crate::reply::TOO_MANY));
                }
                let message = message.with(&["id"], &own.to_json());
                let message = names::related(message, self.prefix(at));
                self.asked.insert(own.clone(), (at, id));
                let text = message.text().to_owned();
                self.say(Message::from_server(text.into_bytes())).await;
            }
            Kind::Notification { method } => self.notification(at, &method, message).await,
            Kind::Response { id: None } | Kind::Batch | Kind::Foreign => {
                tracing::debug!(server = self.name(at), "something of a server is not understood");
            }
        }
    }

    async fn notification(&mut self, at: usize, method: &str, message: Message) {
        if method == "notifications/cancelled" {
            let theirs = named(&message, "requestId").map(|(id, _)| id);
            let ours = self.asked.iter().find(|(_, (from, id))| *from == at && Some(id) == theirs.as_ref());
            let Some(ours) = ours.map(|(ours, _)| ours.clone()) else { return };
            self.asked.remove(&ours);
            return self.say(message.with(&["params", "requestId"], &ours.to_json())).await;
        }
        let message = names::told(method, message, self.prefix(at));
        let message = match names::subscription(&message) {
            Some(own) => {
                let Some((_, Owed::Part(number))) = self.waiting.get(&own) else { return };
                let Some(fan) = self.fans.get_mut(number) else { return };
                if method == "notifications/subscriptions/acknowledged" && !fan.acknowledges() {
                    return;
                }
                names::of_subscription(message, &fan.id)
            }
            None => message,
        };
        self.say(message).await;
    }

    /// Adds what one of several servers said.
    async fn part(&mut self, at: usize, number: u64, message: Message) {
        let Some(fan) = self.fans.get_mut(&number) else {
            // It is late: the others were not held up.
            return self.begins_late(at, &message).await;
        };
        let begins = fan.what == What::Begin && message.member("result").is_some();
        let prefix = self.servers.get(at).map(|server| server.prefix.clone());
        let more = prefix.and_then(|prefix| fan.add(at, &prefix, message));
        if begins && let Some(server) = self.servers.get_mut(at) {
            server.ready = true;
        }
        if let Some(next) = more {
            let own = self.own_id();
            if self.ask(at, &own, next) {
                self.waiting.insert(own, (at, Owed::Part(number)));
            } else if let Some(fan) = self.fans.get_mut(&number) {
                fan.ended(at);
            }
        }
        self.settle(number).await;
    }

    /// Lets a server take part that shook hands when the others were already at work.
    async fn begins_late(&mut self, at: usize, message: &Message) {
        if message.member("result").and_then(|result| members(result).ok()?.last("capabilities")).is_none() {
            return;
        }
        if let Some(server) = self.servers.get_mut(at) {
            server.ready = true;
        }
        if let Some(began) = self.began.clone() {
            self.tell(at, began);
        }
        self.changed().await;
    }

    /// Answers what all have answered, or have not in time.
    async fn settle(&mut self, number: u64) {
        if self.fans.get(&number).is_some_and(Fan::is_whole)
            && let Some(fan) = self.fans.remove(&number)
        {
            self.say(fan.merged()).await;
        }
    }

    async fn late(&mut self) {
        let now = Instant::now();
        let late: Vec<u64> =
            self.fans.iter().filter(|(_, fan)| fan.until <= now).map(|(number, _)| *number).collect();
        for number in late {
            if let Some(fan) = self.fans.remove(&number) {
                for at in fan.owing() {
                    tracing::warn!(server = self.name(at), "a server does not answer in time; the others do");
                }
                self.say(fan.merged()).await;
            }
        }
    }

    /// Says of everything that a server had that there is no answer.
    async fn gone(&mut self, at: usize) {
        self.plan_again(at);
        if let Some(server) = self.servers.get_mut(at) {
            server.to = None;
        }
        self.asked.retain(|_, (from, _)| *from != at);
        let owed: Vec<Id> =
            self.waiting.iter().filter(|(_, (server, _))| *server == at).map(|(id, _)| id.clone()).collect();
        for id in owed {
            match self.waiting.remove(&id) {
                Some((_, Owed::Answer(theirs, _))) => {
                    let lost = Lost::Unanswered(format!("`{}` ended before", self.name(at)));
                    self.say(Message::lost(&theirs, lost)).await;
                }
                Some((_, Owed::Part(number))) => {
                    if let Some(fan) = self.fans.get_mut(&number) {
                        fan.ended(at);
                    }
                    self.settle(number).await;
                }
                None => {}
            }
        }
        self.changed().await;
    }

    /// Tells the client that there are other things by now.
    async fn changed(&self) {
        if self.began.is_none() {
            return;
        }
        for what in ["tools", "prompts", "resources"] {
            self.say(Message::notification(&format!("notifications/{what}/list_changed"), "{}")).await;
        }
    }

    fn cancel(&mut self, message: &Message) {
        let Some((id, place)) = named(message, "requestId") else { return };
        let has = |owed: &Owed| match owed {
            Owed::Answer(theirs, _) => *theirs == id,
            Owed::Part(number) => self.fans.get(number).is_some_and(|fan| fan.id == id),
        };
        let params = message.member("params").unwrap_or_default();
        let ends =
            (params.get(..place.start).unwrap_or_default(), params.get(place.end..).unwrap_or_default());
        for (own, (at, _)) in self.waiting.iter().filter(|(_, (_, owed))| has(owed)) {
            let params = format!("{}{}{}", ends.0, own.to_json(), ends.1);
            self.tell(*at, Message::notification("notifications/cancelled", &params));
        }
    }
}

async fn due(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Returns the id that a notification names, and where it stands in the parameters.
fn named(message: &Message, member: &str) -> Option<(Id, std::ops::Range<usize>)> {
    let params = message.member("params")?;
    let raw = members(params).ok()?.last(member)?;
    Some((serde_json::from_str(raw).ok()?, span(params, raw)?))
}

#[cfg(test)]
mod tests;

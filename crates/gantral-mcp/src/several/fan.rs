//! One request to all servers, and one answer of what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::METHOD_NOT_FOUND;
use super::names::{self, Prefix};
use crate::declared::at;
use crate::message::{Id, Message};

/// How long a server may take to begin: a launcher of packages may fetch first. The others are there after that time.
pub const BEGIN_WITHIN: Duration = Duration::from_secs(30);
/// How long a server may take to answer what all are asked.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// How long a subscription may last.
const LISTEN_WITHIN: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The most pages of one server's list.
const PAGES_MAX: usize = 64;

/// What all are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// To shake hands.
    Begin,
    /// What there is, in the revision without a handshake.
    Discover,
    /// For a list of this name.
    List(&'static str),
    /// To do something that has no result.
    Do,
    /// To say what changes.
    Listen,
}

impl What {
    /// Returns what a method asks of all servers; `None` for one that is for one of them.
    pub fn of(method: &str) -> Option<Self> {
        Some(match method {
            "initialize" => Self::Begin,
            "server/discover" => Self::Discover,
            "tools/list" => Self::List("tools"),
            "prompts/list" => Self::List("prompts"),
            "resources/list" => Self::List("resources"),
            "resources/templates/list" => Self::List("resourceTemplates"),
            "tasks/list" => Self::List("tasks"),
            "ping" | "logging/setLevel" => Self::Do,
            "subscriptions/listen" => Self::Listen,
            _ => return None,
        })
    }

    /// Returns how long a server may take.
    pub const fn within(self) -> Duration {
        match self {
            Self::Begin => BEGIN_WITHIN,
            Self::Discover | Self::List(_) | Self::Do => ANSWER_WITHIN,
            Self::Listen => LISTEN_WITHIN,
        }
    }
}

/// A request that all servers have.
#[derive(Debug)]
pub struct Fan {
    /// The client's id of it.
    pub id: Id,
    /// What it asks.
    pub what: What,
    /// Until when answers are waited for.
    pub until: Instant,
    request: Message,
    owing: BTreeSet<usize>,
    said: BTreeMap<usize, (Prefix, Vec<Message>)>,
    acknowledged: bool,
}

impl Fan {
    /// A request that nobody was asked yet.
    pub fn new(id: Id, what: What, request: Message, within: Duration) -> Self {
        let until = Instant::now() + within;
        Self { id, what, until, request, owing: BTreeSet::new(), said: BTreeMap::new(), acknowledged: false }
    }

    /// Tells whether it belongs to the revision without a handshake.
    pub fn is_stateless(&self) -> bool {
        let path = ["params", "_meta", "io.modelcontextprotocol/protocolVersion"];
        at(self.request.text(), &path).is_some()
    }

    /// Notes that a server has it.
    pub fn asked(&mut self, at: usize) {
        self.owing.insert(at);
    }

    /// Notes that a server says nothing more.
    pub fn ended(&mut self, at: usize) {
        self.owing.remove(&at);
    }

    /// Adds what a server said; returns what it is asked next: lists have pages.
    pub fn add(&mut self, at: usize, prefix: &Prefix, message: Message) -> Option<Message> {
        let pages = &mut self.said.entry(at).or_insert_with(|| (prefix.clone(), Vec::new())).1;
        let next = declared_next(&message).filter(|_| matches!(self.what, What::List(_)));
        pages.push(message);
        if let Some(cursor) = next.filter(|_| pages.len() < PAGES_MAX) {
            return Some(self.request.clone().with(&["params", "cursor"], &cursor));
        }
        self.owing.remove(&at);
        None
    }

    /// Tells whether all have answered.
    pub fn is_whole(&self) -> bool {
        self.owing.is_empty()
    }

    /// Returns who has not answered.
    pub fn owing(&self) -> impl Iterator<Item = usize> {
        self.owing.iter().copied()
    }

    /// Tells whether a subscription is acknowledged by this: the client is told so once.
    pub fn acknowledges(&mut self) -> bool {
        !std::mem::replace(&mut self.acknowledged, true)
    }

    /// Returns the one answer.
    pub fn merged(self) -> Message {
        let errors = || self.messages().filter(|message| message.member("error").is_some());
        let refused = |error: Option<&Message>| match error {
            Some(error) => error.clone().renamed(&self.id),
            None => Message::error(Some(&self.id), -32000, "none of the servers behind this one answers"),
        };
        // A client that learns that one of them does not speak the revision shakes hands with all.
        if let (What::Discover, Some(error)) = (self.what, errors().next()) {
            return refused(Some(error));
        }
        let results = self.results();
        if results.is_empty() {
            return refused(errors().next());
        }
        let merged = match self.what {
            What::Begin => begun(&results),
            What::Discover => match discovered(&results) {
                Some(found) => found,
                None => {
                    let text = "the servers behind this one have no revision without a handshake in common";
                    return Message::error(Some(&self.id), METHOD_NOT_FOUND, text);
                }
            },
            What::List(member) => listed(results, member),
            What::Do | What::Listen => {
                results.into_iter().next().map(|(_, result)| result).unwrap_or_else(|| json!({}))
            }
        };
        Message::result(&self.id, &merged.to_string())
    }

    fn messages(&self) -> impl Iterator<Item = &Message> {
        self.said.values().flat_map(|(_, pages)| pages)
    }

    fn results(&self) -> Vec<(Prefix, Value)> {
        let pages =
            self.said.values().flat_map(|(prefix, pages)| pages.iter().map(move |page| (prefix, page)));
        let read = |(prefix, page): (&Prefix, &Message)| {
            let result: Value = serde_json::from_str(page.member("result")?).ok()?;
            result.is_object().then(|| (prefix.clone(), result))
        };
        pages.filter_map(read).collect()
    }
}

fn declared_next(message: &Message) -> Option<String> {
    at(message.text(), &["result", "nextCursor"]).filter(|raw| *raw != "null").map(ToOwned::to_owned)
}

/// Says who we are to a client, with what each server says about its use.
fn begun(results: &[(Prefix, Value)]) -> Value {
    let version = results.iter().filter_map(|(_, result)| result.get("protocolVersion")?.as_str()).min();
    let mut merged = json!({
        "protocolVersion": version,
        "capabilities": capabilities(results),
        "serverInfo": {"name": "gantral", "version": env!("CARGO_PKG_VERSION")},
    });
    instruct(&mut merged, results);
    merged
}

fn discovered(results: &[(Prefix, Value)]) -> Option<Value> {
    let (first, rest) = results.split_first()?;
    let versions = |result: &Value| {
        let all = result.get("supportedVersions").and_then(Value::as_array);
        all.cloned().unwrap_or_default()
    };
    let mut common = versions(&first.1);
    common.retain(|version| rest.iter().all(|(_, result)| versions(result).contains(version)));
    if common.is_empty() {
        return None;
    }
    let us = json!({"name": "gantral", "version": env!("CARGO_PKG_VERSION")});
    let mut merged = json!({
        "supportedVersions": common,
        "capabilities": capabilities(results),
        "_meta": {"io.modelcontextprotocol/serverInfo": us},
    });
    instruct(&mut merged, results);
    keep_for(&mut merged, results);
    Some(merged)
}

fn listed(mut results: Vec<(Prefix, Value)>, member: &str) -> Value {
    let mut all = Vec::new();
    for (prefix, result) in &mut results {
        let elements = result.get_mut(member).and_then(Value::as_array_mut);
        for mut element in elements.map(std::mem::take).unwrap_or_default() {
            names::offered(prefix, member, &mut element);
            all.push(element);
        }
    }
    let mut merged = json!({member: all});
    keep_for(&mut merged, &results);
    merged
}

fn capabilities(results: &[(Prefix, Value)]) -> Value {
    let mut all = Value::Object(Map::new());
    for capabilities in results.iter().filter_map(|(_, result)| result.get("capabilities")) {
        add(&mut all, capabilities);
    }
    all
}

/// Adds what one server can do to what the others can.
fn add(all: &mut Value, more: &Value) {
    let (Value::Object(all), Value::Object(more)) = (all, more) else { return };
    for (name, value) in more {
        match all.get_mut(name) {
            Some(there) if there.is_object() => add(there, value),
            // That lists change is true of all if it is of one.
            Some(there) if *there == Value::Bool(false) => *there = value.clone(),
            Some(_) => {}
            None => {
                all.insert(name.clone(), value.clone());
            }
        }
    }
}

fn instruct(merged: &mut Value, results: &[(Prefix, Value)]) {
    let texts = results.iter().filter_map(|(prefix, result)| {
        let text = result.get("instructions")?.as_str()?;
        Some(format!("# {prefix}\n\n{text}"))
    });
    let text = texts.collect::<Vec<_>>().join("\n\n");
    if let (false, Some(members)) = (text.is_empty(), merged.as_object_mut()) {
        members.insert("instructions".to_owned(), text.into());
    }
}

/// Says for how long the answer is good, where the revision has it so: for as long as that of the server that changes soonest.
fn keep_for(merged: &mut Value, results: &[(Prefix, Value)]) {
    let Some(members) = merged.as_object_mut() else { return };
    let all = |name: &str| {
        results.iter().filter_map(move |(_, result)| result.get(name).cloned()).collect::<Vec<_>>()
    };
    if let Some(kind) = all("resultType").into_iter().next() {
        members.insert("resultType".to_owned(), kind);
    }
    if let Some(ttl) = all("ttlMs").into_iter().filter_map(|ttl| ttl.as_u64()).min() {
        members.insert("ttlMs".to_owned(), ttl.into());
    }
    let scopes = all("cacheScope");
    if !scopes.is_empty() {
        let public = scopes.iter().all(|scope| scope == "public");
        members.insert("cacheScope".to_owned(), if public { "public" } else { "private" }.into());
    }
}

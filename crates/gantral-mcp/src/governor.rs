//! Governs calls: each is written down, asked for, sent once if it may be, reported, and answered.
//!
//! A call belongs to nobody's connection. Whoever sends it waits for it a while; it goes on without them, and whoever sends the same call again
//! meanwhile, or asks for its result, finds it. When the result has left for a client, or the call was refused, it is over, and the same call is
//! a new one.

mod drive;
mod follow;
mod join;
mod live;
mod outcome;
mod rounds;
mod send;
mod tasks;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantral_core::json::{Object, Value};
use tokio::time::Instant;

use crate::authority::Authority;
use crate::call::ToolCall;
use crate::declared::{self, TaskSupport};
use crate::message::{Id, Message, members};
use crate::port::{Lost, Port, Work};
use crate::reply::{self, Form};
use crate::seal::Keyring;
use crate::several;
use crate::spool::{Kept, Spool, Stage};
use crate::state::ROTATES_AFTER_MS;
use crate::task::Manner;
use crate::withheld::Rules;
use follow::Follows;
use live::Live;
pub use live::Progress;
use rounds::{Brought, Pause};

/// The longest time for which a call is held open for humans: clients and what is between give up after a minute.
pub const HOLD_MAX: Duration = Duration::from_secs(50);
/// How often a client that wants to be told is told that a call still waits.
const TELL_EVERY: Duration = Duration::from_secs(5);
/// How long the same call, whose result has left already, is waited for until it is reported.
const OVER_WITHIN: Duration = Duration::from_secs(10);
/// How often a call that another process of ours has is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How often calls of processes of ours that have gone are looked for.
const TAKE_UP_EVERY: Duration = Duration::from_secs(15);
/// The most calls that are under way, or whose results wait to be read.
const CALLS_MAX: usize = crate::spool::CALLS_MAX;
/// JSON-RPC: the parameters are not those of the method.
const INVALID_PARAMS: i64 = -32602;
/// JSON-RPC: the fault is on our side.
const INTERNAL: i64 = -32603;

/// An answer for a client, and the name of the call that has ended with it: [`Governor::delivered`] is told when it has left.
pub type Answered = (Message, Option<String>);

/// Opens a way to the server when the client whose call it was has gone.
pub trait Opens: Send + Sync {
    /// Opens it, for this governor. `stateless` says that the call belongs to a revision without a handshake.
    fn open(&self, governor: Arc<Governor>, stateless: bool) -> Work<'_, Result<Arc<dyn Port>, Lost>>;
}

/// What servers are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// There is one, of this name.
    One(String),
    /// There are several, each under a prefix, which is its name; together they are called so.
    Several(String),
}

impl Called {
    /// Returns server and tool by the name under which the tool is offered.
    fn split<'a>(&'a self, tool: &'a str) -> (&'a str, &'a str) {
        match self {
            Self::One(name) => (name, tool),
            Self::Several(name) => several::split(tool).unwrap_or((name, tool)),
        }
    }
}

/// Governs the calls of one server, or of several.
pub struct Governor {
    server: Called,
    hold: Duration,
    authority: Authority,
    spool: Spool,
    keys: Keyring,
    whose: String,
    rules: Rules,
    opens: Arc<dyn Opens>,
    tools: [String; 2],
    live: Mutex<HashMap<String, Arc<Live>>>,
}

/// What a governor is made of.
pub struct GovernorConfig {
    /// The name of the server, which begins the target of each action.
    pub server: Called,
    /// For how long a call is held open for humans.
    pub hold: Duration,
    /// Who is asked.
    pub authority: Authority,
    /// A digest of who asks: what is given to a client is good for this agent.
    pub whose: String,
    /// What is withheld, and what policy is shown.
    pub rules: Rules,
    /// Where calls are kept.
    pub spool: Spool,
    /// A way to the server when no client has one.
    pub opens: Arc<dyn Opens>,
}

impl core::fmt::Debug for Governor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Governor").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Governor {
    /// Begins to govern. Calls that an earlier process left are taken up by [`Self::take_up`].
    pub fn new(config: GovernorConfig) -> Arc<Self> {
        let GovernorConfig { server, hold, authority, whose, rules, spool, opens } = config;
        let hold = hold.min(HOLD_MAX);
        Arc::new(Self {
            server,
            hold,
            authority,
            keys: spool.keys("states.keys", Some(ROTATES_AFTER_MS)),
            spool,
            whose,
            rules,
            opens,
            tools: reply::tools(),
            live: Mutex::default(),
        })
    }

    /// Returns the tools that we add to a list.
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    /// Answers a call.
    pub async fn call(self: &Arc<Self>, id: &Id, message: &Message, port: Arc<dyn Port>) -> Answered {
        let mut call = match ToolCall::read(message) {
            Ok(call) => call,
            Err(error) => return (Message::error(Some(id), INVALID_PARAMS, &error.to_string()), None),
        };
        let form = Form { complete: is_stateless(call.meta.as_deref()), promised: false };
        if call.tool == reply::WAIT || call.tool == reply::RESULT {
            return self.helper(id, &call, form).await;
        }
        let tool = match port.catalogue().tool(&call.tool, port.as_ref(), call.meta.as_deref()).await {
            Ok(tool) => tool,
            Err(lost) => {
                return (reply::refused(id, "server_gone", &format!("NOT EXECUTED: {lost}."), form), None);
            }
        };
        if let (Called::Several(_), None) = (&self.server, &tool) {
            let why = "NOT EXECUTED [tool_unknown]: no server offers the tool now; a server that has ended offers none.";
            return (reply::refused(id, "tool_unknown", why, form), None);
        }
        let form = Form { promised: tool.as_ref().is_some_and(|tool| tool.promises), ..form };
        let token = call.progress_token();
        let manner = wanted(&call);
        let (brought, pause) = (Brought::take(&mut call), Pause::first(&call));
        let of_server =
            port.tasks().calls && tool.as_ref().is_some_and(|tool| tool.tasks != TaskSupport::Forbidden);
        if !of_server {
            call.rest.retain(|(name, _)| name != "task");
        }
        let call = match self.wanted_call(call, tool.as_ref()) {
            Ok(call) => call,
            Err((code, why)) => return (reply::refused(id, code, &why, form), None),
        };
        let kept = &call.kept;
        let follows = Follows { port: &port, token: token.as_deref(), hold: self.hold, form, pause };
        if let Some(brought) = brought {
            return match self.come_again(&brought, &kept.key) {
                Ok((live, pause)) => self.follow(id, &live, Follows { pause, ..follows }).await,
                Err(bad) => (self.refuse_state(id, (&kept.tool, &kept.key), &bad, form), None),
            };
        }
        match (self.join(call, id, &port).await, manner) {
            (Ok(live), Some(manner)) => self.hand_out(id, &live, manner, form).await,
            (Ok(live), None) => self.follow(id, &live, follows).await,
            (Err((code, why)), Some(Manner::Params)) => {
                let data = format!(r#"{{"code":"{code}"}}"#);
                (Message::error_with(Some(id), INTERNAL, &why, &data), None)
            }
            (Err((code, why)), Some(Manner::Extension) | None) => {
                (reply::refused(id, code, &why, form), None)
            }
        }
    }

    /// Notes that a result has left for a client: the same call is a new one from now on.
    pub fn delivered(&self, key: &str) {
        let live = self.live().get(key).cloned();
        if let Some(live) = live {
            live.delivered();
            self.sweep(&live);
        }
    }

    /// Waits until everything that was sent is answered and reported, so long at most.
    pub async fn quiet(&self, within: Duration) {
        let busy = || self.live().values().any(|live| live.is_under_way());
        let deadline = Instant::now() + within;
        while busy() && Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Takes up what processes of ours left that have gone, now and from time to time. Ends never.
    pub async fn take_up(self: Arc<Self>) {
        loop {
            match self.spool.calls() {
                Ok(keys) => keys.iter().for_each(|key| self.take_up_one(key)),
                Err(error) => tracing::warn!(%error, "what was left cannot be read"),
            }
            self.forget_stale_tasks();
            tokio::time::sleep(TAKE_UP_EVERY).await;
        }
    }

    fn take_up_one(self: &Arc<Self>, key: &str) {
        let mut lives = self.live();
        if lives.contains_key(key) {
            return;
        }
        match self.spool.own(key) {
            // Nothing is done unless a client sends it again.
            Ok(Some((_, Some(Kept { stage: Stage::Unasked, .. })))) => {}
            Ok(Some((owned, Some(kept)))) => {
                let live = Arc::new(Live::new(owned, &kept));
                lives.insert(key.to_owned(), live.clone());
                tokio::spawn(drive::Drive::left_behind(self.clone(), live, kept).run());
            }
            Ok(Some((owned, None))) => {
                // It was forgotten, or nothing was written before a crash.
                let _ = owned.forget();
            }
            Ok(None) => {}
            Err(error) => tracing::warn!(%error, "a call that was left cannot be read"),
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<String, Arc<Live>>> {
        // Whoever panicked left whole values.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets what is over and was read.
    fn sweep(&self, live: &Arc<Live>) {
        if live.is_over() {
            let mut lives = self.live();
            if lives.get(&live.key).is_some_and(|found| Arc::ptr_eq(found, live)) {
                let room = || self.spool.tasks().is_ok_and(|tasks| tasks.len() < tasks::TASKS_MAX);
                live.forget(room);
                lives.remove(&live.key);
            }
        }
    }
}

const INTERRUPTED: &str = "NOT EXECUTED: it was interrupted before it was asked for.";

fn not_kept(error: &impl core::fmt::Display) -> String {
    format!("NOT EXECUTED: the call cannot be kept, and is not asked for without: {error}.")
}

/// Returns in whose words a client wants a task in place of a result that takes time, if it does.
fn wanted(call: &ToolCall) -> Option<Manner> {
    if is_stateless(call.meta.as_deref()) {
        return declared::takes_tasks(call.meta.as_deref()).then_some(Manner::Extension);
    }
    call.rest.iter().any(|(name, raw)| name == "task" && raw != "null").then_some(Manner::Params)
}

/// Tells whether a request belongs to a revision without a handshake.
pub(crate) fn is_stateless(meta: Option<&str>) -> bool {
    let version = meta.and_then(|meta| members(meta).ok()?.last("io.modelcontextprotocol/protocolVersion"));
    version.is_some()
}

/// Returns the parameters of the canonical action.
fn parameters(called: &Called, kept: &Kept, arguments: Value) -> Object {
    let (server, tool) = called.split(&kept.tool);
    let parameters = Object::new().with("server", server).with("tool", tool).with("arguments", arguments);
    match &kept.schema_digest {
        Some(digest) => parameters.with("schema_digest", digest.as_str()),
        None => parameters,
    }
}

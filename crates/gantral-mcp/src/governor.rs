//! Governs calls: each is written down, asked for, sent once if it may be, reported, and answered.
//!
//! A call belongs to nobody's connection. Whoever sends it waits for it a while; it goes on without them, and whoever sends the same call again
//! meanwhile, or asks for its result, finds it. When the result has left for a client, or the call was refused, it is over, and the same call is
//! a new one.

mod drive;
mod live;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gantral_core::digest::Hasher;
use gantral_core::json::{Object, Value};
use tokio::time::Instant;

use crate::authority::Authority;
use crate::call::{ToolCall, text_of};
use crate::catalogue::Tool;
use crate::message::{Id, Message, members};
use crate::port::{Lost, Port, Work};
use crate::reply::{self, Form};
use crate::spool::{Kept, Spool, Stage};
use live::{Live, Progress};

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

/// Opens a way to the server when the client whose call it was has gone.
pub trait Opens: Send + Sync {
    /// Opens it, for this governor. `stateless` says that the call belongs to a revision without a handshake.
    fn open(&self, governor: Arc<Governor>, stateless: bool) -> Work<'_, Result<Arc<dyn Port>, Lost>>;
}

/// Governs the calls of one server.
pub struct Governor {
    server: String,
    hold: Duration,
    authority: Authority,
    spool: Spool,
    opens: Arc<dyn Opens>,
    tools: [String; 2],
    live: Mutex<HashMap<String, Arc<Live>>>,
}

/// What a governor is made of.
pub struct GovernorConfig {
    /// The name of the server, which begins the target of each action.
    pub server: String,
    /// For how long a call is held open for humans.
    pub hold: Duration,
    /// Who is asked.
    pub authority: Authority,
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
        let GovernorConfig { server, hold, authority, spool, opens } = config;
        let hold = hold.min(HOLD_MAX);
        Arc::new(Self {
            server,
            hold,
            authority,
            spool,
            opens,
            tools: reply::tools(),
            live: Mutex::default(),
        })
    }

    /// Returns the tools that we add to a list.
    pub fn tools(&self) -> &[String] {
        &self.tools
    }

    /// Answers a call. With the answer comes the name of what has ended with it: [`Self::delivered`] is told when it has left.
    pub async fn call(
        self: &Arc<Self>,
        id: &Id,
        message: &Message,
        port: Arc<dyn Port>,
    ) -> (Message, Option<String>) {
        let call = match ToolCall::read(message) {
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
        let form = Form { promised: tool.as_ref().is_some_and(|tool| tool.promises), ..form };
        let token = call.progress_token();
        let kept = self.kept(call, tool.as_ref());
        let claims = tool.and_then(|tool| tool.annotations);
        match self.join(kept, claims, id, &port).await {
            Ok(live) => self.follow(id, &live, &port, token.as_deref(), self.hold, form).await,
            Err((code, why)) => (reply::refused(id, code, &why, form), None),
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
            match self.spool.keys() {
                Ok(keys) => keys.iter().for_each(|key| self.take_up_one(key)),
                Err(error) => tracing::warn!(%error, "what was left cannot be read"),
            }
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
                live.forget();
                lives.remove(&live.key);
            }
        }
    }

    /// Returns the call as it is kept, before anything is asked.
    fn kept(&self, call: ToolCall, tool: Option<&Tool>) -> Kept {
        let arguments = match tool {
            Some(tool) => tool.filled(call.arguments),
            None => call.arguments,
        };
        let arguments = text_of(&Value::Object(arguments));
        let schema_digest = tool.map(|tool| tool.digest.clone());
        let mut hasher = Hasher::new("gantral/mcp/call/v1");
        for part in [&self.server, &call.tool, schema_digest.as_deref().unwrap_or_default(), &arguments] {
            hasher = hasher.bytes(part.as_bytes());
        }
        // An answer to what the server wanted to know makes it another call.
        for (name, raw) in &call.rest {
            hasher = hasher.bytes(name.as_bytes()).bytes(raw.as_bytes());
        }
        let meta = call.meta.map(|meta| ("_meta".to_owned(), meta));
        Kept {
            key: hasher.finish().to_hex(),
            tool: call.tool,
            schema_digest,
            arguments,
            rest: meta.into_iter().chain(call.rest).collect(),
            stage: Stage::Asking,
        }
    }

    /// Finds the same call, or begins it.
    async fn join(
        self: &Arc<Self>,
        kept: Kept,
        claims: Option<Value>,
        id: &Id,
        port: &Arc<dyn Port>,
    ) -> Result<Arc<Live>, (&'static str, String)> {
        let deadline = Instant::now() + OVER_WITHIN;
        loop {
            let found = self.live().get(&kept.key).cloned();
            match found {
                Some(live) if !live.is_delivered() => return Ok(live),
                Some(live) => {
                    if tokio::time::timeout_at(deadline, live.ended()).await.is_err() {
                        return Err((
                            "outcome_owed",
                            "NOT EXECUTED: what came of the same call before is not reported yet.".to_owned(),
                        ));
                    }
                    self.sweep(&live);
                }
                None => match self.begin(&kept, claims.clone(), id, port) {
                    Ok(Some(live)) => return Ok(live),
                    Ok(None) if Instant::now() + LOOK_EVERY < deadline => {
                        tokio::time::sleep(LOOK_EVERY).await
                    }
                    Ok(None) => {
                        let why = "NOT EXECUTED: another process waits for the same call; its gate is in the console.";
                        return Err(("call_elsewhere", why.to_owned()));
                    }
                    Err(error) => return Err(("spool_unusable", not_kept(&error))),
                },
            }
        }
    }

    fn begin(
        self: &Arc<Self>,
        kept: &Kept,
        claims: Option<Value>,
        id: &Id,
        port: &Arc<dyn Port>,
    ) -> std::io::Result<Option<Arc<Live>>> {
        let mut lives = self.live();
        if let Some(live) = lives.get(&kept.key) {
            return Ok(Some(live.clone()));
        }
        if lives.len() >= CALLS_MAX {
            return Err(std::io::Error::other("too many calls wait"));
        }
        let Some((owned, found)) = self.spool.own(&kept.key)? else { return Ok(None) };
        let resumed = found.is_some();
        let call = match found {
            Some(found) => found,
            None => {
                owned.keep(kept)?;
                kept.clone()
            }
        };
        let live = Arc::new(Live::new(owned, &call));
        lives.insert(kept.key.clone(), live.clone());
        let drive = drive::Drive::asked(
            self.clone(),
            live.clone(),
            call,
            (id.clone(), port.clone()),
            claims,
            resumed,
        );
        tokio::spawn(drive.run());
        Ok(Some(live))
    }

    /// Waits for a call on behalf of a client, humans for no longer than `hold`.
    async fn follow(
        &self,
        id: &Id,
        live: &Arc<Live>,
        port: &Arc<dyn Port>,
        token: Option<&str>,
        hold: Duration,
        form: Form,
    ) -> (Message, Option<String>) {
        let _holds = live.holds();
        let deadline = Instant::now() + hold;
        let mut tell_at = Instant::now() + TELL_EVERY;
        let mut told = 0;
        let mut progress = live.progress();
        loop {
            let now = progress.borrow_and_update().clone();
            let pending = match &now {
                Progress::Over(outcome) => {
                    return (reply::outcome(id, outcome, form), Some(live.key.clone()));
                }
                Progress::Failed { code, why } => {
                    return (reply::refused(id, code, why, form), Some(live.key.clone()));
                }
                Progress::Waiting(pending) if Instant::now() >= deadline => {
                    return (reply::waits(id, pending, form), None);
                }
                Progress::Waiting(pending) => Some(pending),
                Progress::Asking | Progress::Begun => None,
            };
            let until = if pending.is_some() { deadline.min(tell_at) } else { tell_at };
            if let Ok(changed) = tokio::time::timeout_at(until, progress.changed()).await {
                if changed.is_err() {
                    return (reply::refused(id, "interrupted", INTERRUPTED, form), None);
                }
                continue;
            }
            if let (Some(token), Some(pending)) = (token, pending) {
                told += 1;
                port.tell(id, reply::progress(token, told, Some(pending))).await;
            }
            tell_at = Instant::now() + TELL_EVERY;
        }
    }

    /// Answers a call of a tool of ours.
    async fn helper(&self, id: &Id, call: &ToolCall, form: Form) -> (Message, Option<String>) {
        let gate = call.arguments.get("gate_id").and_then(Value::as_str).unwrap_or_default();
        let found = self.live().values().find(|live| live.is_at(gate)).cloned();
        let Some(live) = found else {
            let why = "No call of this interceptor waits at that gate, or its result has been read already.";
            return (reply::refused(id, "call_unknown", why, form), None);
        };
        let seconds = call.arguments.get("seconds").and_then(Value::as_u64).unwrap_or(30);
        let hold = if call.tool == reply::WAIT {
            Duration::from_secs(seconds).min(HOLD_MAX)
        } else {
            Duration::ZERO
        };
        let port: Arc<dyn Port> = Arc::new(live::Nobody::default());
        self.follow(id, &live, &port, None, hold, form).await
    }
}

const INTERRUPTED: &str = "NOT EXECUTED: it was interrupted before it was asked for.";

fn not_kept(error: &impl core::fmt::Display) -> String {
    format!("NOT EXECUTED: the call cannot be kept, and is not asked for without: {error}.")
}

/// Tells whether a request belongs to a revision without a handshake.
pub(crate) fn is_stateless(meta: Option<&str>) -> bool {
    let version = meta.and_then(|meta| members(meta).ok()?.last("io.modelcontextprotocol/protocolVersion"));
    version.is_some()
}

/// Returns the parameters of the canonical action.
fn parameters(server: &str, kept: &Kept, arguments: Value) -> Object {
    let parameters =
        Object::new().with("server", server).with("tool", kept.tool.as_str()).with("arguments", arguments);
    match &kept.schema_digest {
        Some(digest) => parameters.with("schema_digest", digest.as_str()),
        None => parameters,
    }
}

//! Servers that ended, and come back.
//!
//! What was owed by the one that ended stays lost: the new one is asked for nothing that the old one had.

use std::time::Duration;

use tokio::time::Instant;

use super::{Owed, Switch};

/// How often in a row a server is started again that does not stay: whoever wants it back then starts the interceptor again.
const TRIES_MAX: u32 = 10;
/// Parts of no fan at all: its number is never given to one.
const NO_FAN: u64 = 0;

/// How long it takes until a server that ended is started again.
#[derive(Debug, Clone, Copy)]
pub struct Pauses {
    /// The first pause; each further one is twice as long.
    pub first: Duration,
    /// A pause at most.
    pub max: Duration,
    /// A server that stayed for so long had begun well: its next end is the first again.
    pub lasts: Duration,
}

impl Pauses {
    /// Those that servers have.
    pub const USUAL: Self =
        Self { first: Duration::from_secs(1), max: Duration::from_secs(60), lasts: Duration::from_secs(60) };
}

/// The ends of one server in a row.
#[derive(Debug)]
pub struct Ends {
    pauses: Pauses,
    pause: Duration,
    count: u32,
    began: Instant,
    /// When it is started again.
    again: Option<Instant>,
}

impl Ends {
    /// Takes a server that begins now.
    pub fn none(pauses: Pauses) -> Self {
        Self { pauses, pause: pauses.first, count: 0, began: Instant::now(), again: None }
    }

    /// Notes an end. Returns after which time it is started again, if it is.
    fn ended(&mut self) -> Option<Duration> {
        if self.began.elapsed() >= self.pauses.lasts {
            *self = Self::none(self.pauses);
        }
        self.count = self.count.saturating_add(1);
        let pause = self.pause;
        self.pause = pause.saturating_mul(2).min(self.pauses.max);
        self.again = (self.count <= TRIES_MAX).then(|| Instant::now() + pause);
        self.again.map(|_| pause)
    }
}

impl Switch {
    /// Returns when the next server is started again.
    pub(super) fn next_again(&self) -> Option<Instant> {
        self.servers.iter().filter_map(|server| server.ends.again).min()
    }

    /// Plans to start a server again that has ended.
    pub(super) fn plan_again(&mut self, at: usize) {
        let Some(server) = self.servers.get_mut(at) else { return };
        let pause = server.ends.ended();
        let name = server.prefix.as_str();
        match pause {
            Some(pause) => {
                let seconds = pause.as_secs();
                tracing::error!(
                    server = name,
                    seconds,
                    "a server has ended and is started again; the others are there"
                );
            }
            None => {
                tracing::error!(server = name, "a server does not stay and is given up; the others are there")
            }
        }
    }

    /// Starts the servers again whose time has come.
    pub(super) async fn again(&mut self) {
        let now = Instant::now();
        for at in 0..self.servers.len() {
            let Some(server) = self.servers.get_mut(at) else { return };
            if server.ends.again.is_none_or(|again| again > now) {
                continue;
            }
            server.ends.again = None;
            server.ends.began = now;
            let discovered = server.discovered;
            match (server.begins)() {
                Ok(link) => {
                    self.take(at, link);
                    self.begin_again(at, discovered).await;
                }
                Err(error) => {
                    tracing::error!(server = self.name(at), %error, "a server cannot be started again");
                    self.plan_again(at);
                }
            }
        }
    }

    /// Shakes hands with a server as the client did, or goes on without where the client did not.
    async fn begin_again(&mut self, at: usize, discovered: bool) {
        if discovered {
            if let Some(server) = self.servers.get_mut(at) {
                server.discovered = true;
            }
            return self.changed().await;
        }
        // Without one the client has not begun yet, and asks this one too when it does.
        let Some(hello) = self.hello.clone() else { return };
        let own = self.own_id();
        if self.ask(at, &own, hello) {
            self.waiting.insert(own, (at, Owed::Part(NO_FAN)));
        }
    }
}

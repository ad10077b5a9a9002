//! The transparency log of a tenant, and how anybody checks it.

use askama::Template;
use gantral_core::time::UnixMillis;

use crate::inert::Inert;
use crate::page::{Page, Shell};
use crate::when::When;

/// A witness, and what it has cosigned.
#[derive(Debug, Clone)]
pub struct ShownWitness {
    /// Its name.
    pub name: String,
    /// When it has cosigned the newest checkpoint, by its own clock; `None` while it has not.
    pub cosigned_at: Option<UnixMillis>,
}

/// A log as it stands.
#[derive(Debug, Clone)]
pub struct ShownLog {
    /// Its name.
    pub origin: String,
    /// How many leaves its tree has; 0 before the first checkpoint.
    pub size: u64,
    /// The newest published checkpoint, as it is signed; empty before the first.
    pub checkpoint: String,
    /// How many sealed artifacts wait to be published; `None` when that is not known now.
    pub waiting: Option<u64>,
    /// Why it does not grow, if it does not.
    pub stopped: Option<String>,
    /// The witnesses.
    pub witnesses: Vec<ShownWitness>,
    /// For each number of witnesses from 1 on, how many leaves the newest tree has that so many have cosigned.
    pub cosigned: Vec<u64>,
    /// What a relying party pins: a `tlog-policy`.
    pub policy: String,
    /// Where the log is published.
    pub url: String,
    /// Whether it is read without a token.
    pub public: bool,
}

impl ShownLog {
    /// Returns, for each number of witnesses, how many leaves so many have not cosigned yet.
    fn behind(&self) -> Vec<(usize, u64, u64)> {
        let sizes = self.cosigned.iter().enumerate();
        sizes.map(|(place, size)| (place + 1, *size, self.size.saturating_sub(*size))).collect()
    }
}

/// The log.
#[derive(Debug, Template)]
#[template(path = "log.html")]
pub struct LogPage {
    /// The frame.
    pub shell: Shell,
    /// The log; `None` where this server keeps none.
    pub log: Option<ShownLog>,
}

impl Page for LogPage {}

impl LogPage {
    fn since(&self, at: &UnixMillis) -> When {
        When { at: *at, now: self.shell.now }
    }
}

//! Asks found by when they were made: the ledger is walked back in the order of its commits.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::event::{Event, PolicyRecord};
use gantral_core::ids::{InstanceId, TenantId};
use gantral_core::time::UnixMillis;
use gantral_store::{COMMITS_MAX, InstanceFilter, Kept};

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::{open, statement};
use crate::search::Search;
use crate::snapshot::Opened;

/// One ask as its event tells of it.
#[derive(Debug, Clone)]
pub(crate) struct FoundAsk {
    pub instance: InstanceId,
    pub sequence: u64,
    /// Its place in the order of the commits.
    pub number: u64,
    pub at: UnixMillis,
    pub workflow_version: Digest,
    pub asked: Asked,
}

impl FoundAsk {
    /// Returns where a list goes on behind it.
    pub(crate) const fn place(&self) -> AskCursor {
        AskCursor { instance: self.instance, sequence: self.sequence }
    }
}

/// What an event says that policy was asked.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub policy: PolicyRecord,
    /// The commitment of the context, if the event names it.
    pub context: Option<Digest>,
    /// Whether it was only observed.
    pub observed: bool,
}

/// Where a list of asks goes on: behind this place of a chain, in the order of the commits. Its text form is opaque to clients, and tells
/// them nothing of how much others commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskCursor {
    /// The instance.
    pub(crate) instance: InstanceId,
    /// The place in its chain.
    pub(crate) sequence: u64,
}

/// The text is not a cursor that was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct AskCursorError;

impl fmt::Display for AskCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}{:016x}", u128::from_be_bytes(*self.instance.as_bytes()), self.sequence)
    }
}

impl FromStr for AskCursor {
    type Err = AskCursorError;

    fn from_str(text: &str) -> Result<Self, AskCursorError> {
        if text.len() != 48 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(AskCursorError);
        }
        let (instance, sequence) = text.split_at_checked(32).ok_or(AskCursorError)?;
        let instance = u128::from_str_radix(instance, 16).map_err(|_| AskCursorError)?;
        let instance = InstanceId::from_bytes(instance.to_be_bytes()).map_err(|_| AskCursorError)?;
        let sequence = u64::from_str_radix(sequence, 16).map_err(|_| AskCursorError)?;
        Ok(Self { instance, sequence })
    }
}

/// A walk back through the asks of a span of time, from the one that was committed last.
pub(crate) struct Walk {
    tenant: TenantId,
    filter: InstanceFilter,
    from: UnixMillis,
    to: UnixMillis,
    /// Between which numbers there is something left, rising.
    parts: Vec<(u64, u64)>,
}

/// One step of a walk.
#[derive(Default)]
pub(crate) struct Step {
    /// The asks of the span, from the newest.
    pub asks: Vec<FoundAsk>,
    /// How many artifacts were looked at.
    pub looked_at: usize,
    /// The last of them, with when it was sealed.
    pub reached: Option<(AskCursor, UnixMillis)>,
}

impl Walk {
    /// Begins at the newest, or behind a cursor.
    pub(crate) async fn begin(
        engine: &Engine,
        tenant: &TenantId,
        span: (UnixMillis, UnixMillis),
        filter: &InstanceFilter,
        after: Option<AskCursor>,
    ) -> Result<Self, EngineError> {
        let store = &engine.0.store;
        let newest = match after {
            None => store.newest_commit().await?,
            Some(AskCursor { instance, sequence }) => {
                let number = store.commit_of(tenant, instance, sequence).await?;
                let why = "is not of this list";
                number.ok_or(EngineError::Text { member: "cursor", why })?.saturating_sub(1)
            }
        };
        let mut search = Search::new(newest, span);
        loop {
            let wanted = search.wanted();
            if wanted.is_empty() {
                break;
            }
            let sampled = store.sampled(wanted.clone()).await?;
            // What cannot be read is looked at: it may be another tenant's, and is damage of that only.
            let at = |envelope: Vec<u8>| statement(&envelope).ok().map(|statement| statement.entry.at);
            search.learn(wanted.into_iter().zip(sampled.into_iter().map(|sample| sample.and_then(at))));
        }
        let (from, to) = span;
        Ok(Self { tenant: tenant.clone(), filter: filter.clone(), from, to, parts: search.found() })
    }

    /// Tells whether there is nothing left.
    pub(crate) fn is_over(&self) -> bool {
        self.parts.is_empty()
    }

    /// Looks at the next numbers.
    pub(crate) async fn step(&mut self, engine: &Engine) -> Result<Step, EngineError> {
        let Some((first, last)) = self.parts.pop() else { return Ok(Step::default()) };
        let next = first.max(last.saturating_sub(COMMITS_MAX).saturating_add(1));
        if next > first {
            self.parts.push((first, next.saturating_sub(1)));
        }
        let commits = engine.0.store.commits_within(&self.tenant, self.filter.clone(), (next, last)).await?;
        let mut step = Step { looked_at: commits.len(), ..Step::default() };
        for found in commits {
            let entry = open(&found.artifact)?.entry;
            let (instance, sequence) = (found.instance, found.artifact.sequence);
            step.reached = Some((AskCursor { instance, sequence }, entry.at));
            if entry.at < self.from || entry.at >= self.to {
                continue;
            }
            if let Some(asked) = asked_by(entry.event) {
                let (number, workflow_version) = (found.number, found.workflow_version);
                step.asks.push(FoundAsk {
                    instance,
                    sequence,
                    number,
                    at: entry.at,
                    workflow_version,
                    asked,
                });
            }
        }
        Ok(step)
    }

    /// Returns what was kept of these asks and is not erased, for each of them.
    pub(crate) async fn kept(&self, engine: &Engine, asks: &[FoundAsk]) -> Result<Vec<KeptOf>, EngineError> {
        let places = asks.iter().map(|ask| (ask.instance, ask.number)).collect();
        let kept = engine.0.store.kept_with(&self.tenant, places).await?;
        asks.iter().zip(kept).map(|(ask, kept)| KeptOf::of(ask, kept)).collect()
    }
}

/// What is still there of one ask.
pub(crate) struct KeptOf {
    /// What policy saw.
    pub input: Option<Opened>,
    /// What policy answered.
    pub decision: Option<Opened>,
}

impl KeptOf {
    fn of(ask: &FoundAsk, kept: Vec<Kept>) -> Result<Self, EngineError> {
        let mut found = BTreeMap::new();
        for Kept { commitment, label, salt, plaintext } in kept {
            if commit(label, &salt, &plaintext) != commitment {
                let what = format!("snapshot {commitment} does not match its commitment");
                return Err(EngineError::Damaged { what });
            }
            // What policy saw is kept as what approvers see: the same bytes and salt under another label.
            let is_context = label == CommitmentLabel::Context;
            let commitment =
                if is_context { commit(CommitmentLabel::Input, &salt, &plaintext) } else { commitment };
            found.insert(commitment, Opened { salt, plaintext });
        }
        let decision = ask.asked.policy.decision.and_then(|decision| found.remove(&decision));
        Ok(Self { input: found.remove(&ask.asked.policy.input), decision })
    }
}

/// Returns what an event says that policy was asked; `None` for events that follow from no ask.
pub(crate) fn asked_by(event: Event) -> Option<Asked> {
    let (policy, context, observed) = match event {
        Event::Allowed(detail) => (detail.policy, Some(detail.context), false),
        Event::Observed(detail) => (detail.policy, Some(detail.context), true),
        Event::HumanRequired(detail) => (detail.policy, Some(detail.gate.context), false),
        Event::Terminated(detail) => (detail.policy?, None, false),
        // A failure is followed by what it was resolved to, and a consumption asks nothing new.
        Event::EvaluatorFailed(_)
        | Event::Consumed(_)
        | Event::Created(_)
        | Event::Started(_)
        | Event::Approved(_)
        | Event::Overridden(_)
        | Event::Rejected(_)
        | Event::Resumed(_)
        | Event::Running(_)
        | Event::Completed(_)
        | Event::AttemptAssigned(_)
        | Event::AttemptEnded(_)
        | Event::Vote(_)
        | Event::Escalated(_)
        | Event::Extended(_)
        | Event::Outcome(_)
        | Event::Reconciled(_) => return None,
    };
    Some(Asked { policy, context, observed })
}

//! The monitor: it reads every leaf of a log, as often as the log has grown, and compares it with what others were given.
//!
//! Whoever runs one needs no word of the log's keeper. What it remembers makes that following a log costs what is new; comparing
//! it with bundles, receipts and other checkpoints costs one reading of all. What it finds are sentences with a code; a fault that
//! the log has signed stays a finding for ever. Fetching objects is not here. Source: `spec/log.md` §9.

mod chains;
mod finding;
mod handed;
mod state;
mod walk;

use std::io;
use std::ops::Range;

use gantral_core::ids::LogOrigin;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::policy::{LogPolicy, VouchError, Vouched};
use gantral_evidence::log::tree::TreeHead;

use crate::objects::ReadObjects;
use crate::tree::{Edge, LogError};

pub use finding::{Finding, MonitorCode};
pub use handed::{HandedOver, Reception};
pub use state::{StateError, StateFolder, StateFolderError};

use chains::Chains;
use finding::Findings;
use handed::{Due, Sighting};
use state::State;
use walk::{Asked, Walk};

/// The name of the object that is the newest checkpoint.
const CHECKPOINT: &str = "checkpoint";

/// What is asked in one pass, beside whether the log only grows.
#[derive(Debug, Default)]
pub struct Questions {
    /// What to compare with.
    pub handed_over: HandedOver,
    /// Which executions must all have been handed over: those with a leaf at one of these indexes.
    pub window: Option<Range<u64>>,
    /// Reads the log from its first leaf, though nothing asks for it: finds old tiles that have changed.
    pub again: bool,
    /// How long an artifact may stay out of the log, in milliseconds: its promise, and how far clocks may lie apart.
    pub patience_ms: u64,
}

/// When, and from where, a pass reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Occasion {
    /// The instant here, in milliseconds since 1970.
    pub now_ms: u64,
    /// Whether the objects are those that are published now. A mirror is as old as its cosignatures say, if it has any.
    pub is_live: bool,
}

/// Why a pass tells nothing. Nothing is remembered of it.
#[derive(Debug, thiserror::Error)]
pub enum MonitorError {
    /// The objects cannot be read; may be tried again.
    #[error("the log cannot be read: {0}")]
    Source(io::Error),
    /// There is no checkpoint: it is no log, or not yet. May be tried again.
    #[error("there is no `checkpoint`: this is no log, or an empty one")]
    NoCheckpoint,
    /// What is remembered is of another log; whoever runs the monitor is at fault.
    #[error("this is the log `{found}`, and `{remembered}` is remembered")]
    OtherLog {
        /// The log that was read.
        found: LogOrigin,
        /// The log that is remembered.
        remembered: LogOrigin,
    },
    /// The tree is larger than any.
    #[error("the log has more leaves than a log can have")]
    Full,
}

impl MonitorError {
    fn from_log(error: LogError) -> Self {
        match error {
            LogError::Storage(error) => Self::Source(error),
            LogError::Range | LogError::Object(_) | LogError::Root => Self::Full,
        }
    }
}

/// What one pass has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The checkpoint, if a log of the policy has signed it.
    pub checkpoint: Option<Checkpoint>,
    /// How many leaves were known before.
    pub known: u64,
    /// From which leaf was read.
    pub read_from: u64,
    /// Whether the leaves are those of the checkpoint, and it extends all that were seen.
    pub verified: bool,
    /// The witnesses that cosigned, with the time of each in seconds since 1970.
    pub witnesses: Vec<(String, u64)>,
    /// How many executions there are in the log.
    pub instances: u64,
    /// How many of them have ended.
    pub ended: u64,
    /// How many executions there are in the window, if one was asked about.
    pub window: Option<u64>,
    /// How many of the executions were handed over.
    pub handed_over: u64,
    /// How many artifacts were promised that are not in the log and need not be yet.
    pub pending: u64,
    /// What was found, in the order of codes and places.
    pub findings: Vec<Finding>,
    /// How many findings there are beyond those.
    pub more: u64,
}

impl Report {
    /// Tells whether everything was read, and nothing was found that must be looked into.
    pub fn is_clean(&self) -> bool {
        self.verified && self.more == 0 && self.findings.iter().all(|finding| finding.code.is_note())
    }
}

/// A monitor of one log.
#[derive(Debug)]
pub struct Monitor {
    policy: LogPolicy,
    state: Option<State>,
}

impl Monitor {
    /// Begins to follow a log of a policy, knowing nothing.
    pub const fn new(policy: LogPolicy) -> Self {
        Self { policy, state: None }
    }

    /// Goes on from what [`Monitor::state`] returned.
    ///
    /// # Errors
    /// `StateError`.
    pub fn resume(policy: LogPolicy, state: &[u8]) -> Result<Self, StateError> {
        Ok(Self { policy, state: Some(State::decode(state)?) })
    }

    /// Returns what must be kept until the next pass: 40 bytes for each chain, and some thousands. `None` before the first
    /// checkpoint that was verified.
    pub fn state(&self) -> Option<Vec<u8>> {
        self.state.as_ref().map(State::encode)
    }

    /// Reads what is new, or all of it, and compares.
    ///
    /// # Errors
    /// `MonitorError`; then nothing is known that was not known before.
    pub fn pass(
        &mut self,
        source: &impl ReadObjects,
        questions: &Questions,
        occasion: Occasion,
    ) -> Result<Report, MonitorError> {
        let bytes = source.read(CHECKPOINT).map_err(MonitorError::Source)?;
        let bytes = bytes.ok_or(MonitorError::NoCheckpoint)?;
        let mut report = Report { known: self.known().size, ..Report::default() };
        let mut findings = Findings::default();
        let policy = self.policy.clone();
        match policy.vouched(&bytes) {
            Ok(vouched) => {
                // A checkpoint that was read is text.
                let note = String::from_utf8(bytes.clone()).unwrap_or_default();
                let mut pass = Pass { source, questions, occasion, vouched, note };
                pass.run(self, &mut report, &mut findings)?;
            }
            Err(error) => {
                let code = match error {
                    VouchError::Unknown => MonitorCode::LogUnknown,
                    VouchError::Note(_) | VouchError::Checkpoint(_) | VouchError::Signature => {
                        MonitorCode::Checkpoint
                    }
                };
                findings.add(Finding::new(code, CHECKPOINT, error.to_string()));
            }
        }
        if let Some(state) = &self.state {
            findings.extend(state.faults.clone());
            (report.instances, report.ended) = (state.chains.instances(), state.chains.ended());
        }
        findings.list.sort_unstable();
        (report.findings, report.more) = (findings.list, findings.more);
        Ok(report)
    }

    fn known(&self) -> TreeHead {
        self.state.as_ref().map_or_else(TreeHead::empty, |state| state.checkpoint.tree)
    }

    /// Remembers a fault that the log has signed.
    fn convict(&mut self, finding: Finding, findings: &mut Findings) {
        match &mut self.state {
            Some(state) => state.faults.add(finding),
            None => findings.add(finding),
        }
    }
}

/// One pass over a checkpoint that a log of the policy has signed.
struct Pass<'a, O> {
    source: &'a O,
    questions: &'a Questions,
    occasion: Occasion,
    vouched: Vouched<'a>,
    note: String,
}

/// A checkpoint that somebody else was shown, by a log of the policy.
struct Shown<'h> {
    name: &'h str,
    note: String,
    tree: TreeHead,
    /// The instant for which it speaks, in milliseconds since 1970, if enough witnesses of the policy do.
    seen_at: Option<u64>,
}

impl<O: ReadObjects> Pass<'_, O> {
    fn run(
        &mut self,
        monitor: &mut Monitor,
        report: &mut Report,
        findings: &mut Findings,
    ) -> Result<(), MonitorError> {
        let checkpoint = self.vouched.checkpoint.clone();
        report.witnesses = self.witnesses();
        report.checkpoint = Some(checkpoint.clone());
        if let Some(state) = &monitor.state
            && state.checkpoint.origin != checkpoint.origin
        {
            let remembered = state.checkpoint.origin.clone();
            return Err(MonitorError::OtherLog { found: checkpoint.origin, remembered });
        }
        if !self.vouched.quorum {
            let message = format!("{} of the witnesses of the policy have cosigned", report.witnesses.len());
            findings.add(Finding::new(MonitorCode::Quorum, CHECKPOINT, message));
        }
        let known = monitor.known();
        let shown = self.shown(&monitor.policy, findings);
        let remembered = remembered_sighting(monitor);
        if let Some(finding) = self.falls_back(&known, monitor) {
            if finding.code == MonitorCode::SplitView {
                monitor.convict(finding, findings);
            } else {
                findings.add(finding);
            }
            return Ok(());
        }
        let Some(walk) = self.read(monitor, &shown, report, findings)? else { return Ok(()) };
        self.answer(&walk, &shown, remembered, report, findings);
        report.verified = true;
        let Walk { edge, chains, faults, .. } = walk;
        let mut kept = monitor.state.take().map(|state| state.faults).unwrap_or_default();
        if report.read_from == 0 {
            // All leaves were read, so every fault of theirs has been found again. Two histories are found once.
            kept.list.retain(|finding| finding.code == MonitorCode::SplitView);
            kept.more = 0;
        }
        kept.extend(faults);
        monitor.state = Some(State { checkpoint, note: self.note.clone(), edge, chains, faults: kept });
        // What was handed over convicts the log as much as what it served.
        let convicting = |finding: &Finding| finding.code == MonitorCode::SplitView;
        for finding in findings.list.iter().filter(|finding| convicting(finding)).cloned().collect::<Vec<_>>()
        {
            monitor.convict(finding, &mut Findings::default());
        }
        Ok(())
    }

    /// Says whether the checkpoint is not the same or a later one than the one that is remembered.
    fn falls_back(&self, known: &TreeHead, monitor: &Monitor) -> Option<Finding> {
        let tree = &self.vouched.checkpoint.tree;
        let before = monitor.state.as_ref()?.note.as_str();
        let (code, message) = if tree.size < known.size {
            (MonitorCode::Rollback, format!("it has {} leaves, and had {} before", tree.size, known.size))
        } else if tree.size == known.size && tree.root != known.root {
            (MonitorCode::SplitView, format!("there are two trees of {} leaves", tree.size))
        } else {
            return None;
        };
        Some(Finding::new(code, CHECKPOINT, message).proved_by([before, &self.note]))
    }

    /// Reads the log: what is new if that is enough, otherwise all of it. `None` if it is not the tree of its checkpoint, or not one
    /// that extends what is remembered; then the findings say so.
    fn read(
        &self,
        monitor: &mut Monitor,
        shown: &[Shown<'_>],
        report: &mut Report,
        findings: &mut Findings,
    ) -> Result<Option<Walk<'_, O>>, MonitorError> {
        let (known, tree) = (monitor.known(), self.vouched.checkpoint.tree);
        let all =
            self.questions.again || self.questions.window.is_some() || !self.questions.handed_over.is_empty();
        if let Some(state) = monitor.state.as_mut().filter(|_| !all) {
            let mut chains = std::mem::take(&mut state.chains);
            chains.begin();
            let mut walk = Walk::new(self.source, tree, state.edge.clone(), chains, Asked::default());
            report.read_from = known.size;
            let outcome = walk.run();
            if matches!(outcome, Ok(true)) {
                findings.extend(std::mem::take(&mut walk.damage));
                walk.chains.keep();
                return Ok(Some(walk));
            }
            walk.chains.take_back();
            state.chains = walk.chains;
            outcome?;
        }
        // Only all leaves tell whether what is remembered is still there.
        report.read_from = 0;
        let mut asked = Asked {
            sizes: shown.iter().map(|shown| shown.tree.size).collect(),
            tags: self.questions.handed_over.tags(),
            window: self.questions.window.clone(),
        };
        asked.sizes.insert(known.size);
        let mut walk = Walk::new(self.source, tree, Edge::default(), Chains::default(), asked);
        let verified = walk.run()?;
        findings.extend(std::mem::take(&mut walk.damage));
        if !verified {
            return Ok(None);
        }
        if walk.roots.get(&known.size) != Some(&known.root) {
            let message =
                format!("the tree of {} leaves does not begin with the {} before", tree.size, known.size);
            let before = monitor.state.as_ref().map(|state| state.note.clone()).unwrap_or_default();
            let finding = Finding::new(MonitorCode::SplitView, CHECKPOINT, message);
            monitor.convict(finding.proved_by([&before, &self.note]), findings);
            return Ok(None);
        }
        Ok(Some(walk))
    }

    /// Compares a log that was read with what was handed over.
    fn answer(
        &self,
        walk: &Walk<'_, O>,
        shown: &[Shown<'_>],
        remembered: Option<Sighting>,
        report: &mut Report,
        findings: &mut Findings,
    ) {
        for shown in shown.iter().filter(|shown| walk.roots.contains_key(&shown.tree.size)) {
            if walk.roots.get(&shown.tree.size) != Some(&shown.tree.root) {
                let message = format!("it shows another tree of {} leaves", shown.tree.size);
                let place = format!("checkpoint {}", shown.name);
                let finding = Finding::new(MonitorCode::SplitView, place, message);
                findings.add(finding.proved_by([&shown.note, &self.note]));
            }
        }
        let same = |shown: &&Shown<'_>| walk.roots.get(&shown.tree.size) == Some(&shown.tree.root);
        let sighting = |shown: &Shown<'_>| Some(Sighting { size: shown.tree.size, at_ms: shown.seen_at? });
        let sightings = shown.iter().filter(same).filter_map(sighting).chain(remembered).collect();
        let due = Due { seen_at: self.seen_at(), patience_ms: self.questions.patience_ms, sightings };
        let handed_over = &self.questions.handed_over;
        report.pending = handed_over.compare(&self.vouched.checkpoint.origin, walk, &due, findings);
        let instances = handed_over.instances();
        report.handed_over = instances.len() as u64;
        if self.questions.window.is_some() {
            let mut count: u64 = 0;
            for tag in walk.chains.in_window() {
                count += 1;
                if !instances.contains(tag) {
                    let message = "nobody handed it over";
                    findings.add(Finding::new(MonitorCode::Hidden, format!("chain {tag}"), message));
                }
            }
            report.window = Some(count);
        }
    }

    /// Returns the checkpoints of others that a log of the policy has signed; says what the others are.
    fn shown<'h>(&'h self, policy: &LogPolicy, findings: &mut Findings) -> Vec<Shown<'h>> {
        let own = &self.vouched.checkpoint;
        let mut shown = Vec::new();
        for (name, bytes) in self.questions.handed_over.checkpoints() {
            let place = format!("checkpoint {name}");
            let tree = match policy.vouched(bytes) {
                Err(error) => Err(error.to_string()),
                Ok(other) if other.checkpoint.origin != own.origin => {
                    Err(format!("it is of the log `{}`", other.checkpoint.origin))
                }
                Ok(other) => Ok((other.checkpoint.tree, sighted_ms(&other))),
            };
            let note = String::from_utf8_lossy(bytes).into_owned();
            match tree {
                Err(why) => {
                    findings.add(Finding::new(MonitorCode::Unauth, place, format!("ignored: {why}")));
                }
                Ok((tree, _)) if tree.size > own.tree.size => {
                    let (has, had) = (own.tree.size, tree.size);
                    let message = format!("it has {had} leaves, and the log shows {has}");
                    let finding = Finding::new(MonitorCode::Rollback, place, message);
                    findings.add(finding.proved_by([&note, &self.note]));
                }
                Ok((tree, seen_at)) => shown.push(Shown { name, note, tree, seen_at }),
            }
        }
        shown
    }

    fn witnesses(&self) -> Vec<(String, u64)> {
        let witnesses = self.vouched.witnesses.iter();
        witnesses.map(|(witness, time)| (witness.key.name().to_owned(), *time)).collect()
    }

    /// Returns the instant for which the tree speaks: now, for what is published now; otherwise when half of its witnesses had seen
    /// it, or now if none has.
    fn seen_at(&self) -> u64 {
        match early_ms(&self.vouched) {
            Some(early) if !self.occasion.is_live => early,
            _ => self.occasion.now_ms,
        }
    }
}

/// Returns when half of the witnesses of a checkpoint had seen it, in milliseconds since 1970 (`spec/verification.md` V41); `None` if
/// none has.
fn early_ms(vouched: &Vouched<'_>) -> Option<u64> {
    let mut times: Vec<u64> = vouched.witnesses.iter().map(|(_, time)| *time).collect();
    times.sort_unstable();
    let early = times.len().div_ceil(2).checked_sub(1).and_then(|at| times.get(at));
    early.map(|seconds| seconds.saturating_mul(1_000))
}

/// As [`early_ms`], but only of a checkpoint that enough witnesses have cosigned: one that lies accuses nobody.
fn sighted_ms(vouched: &Vouched<'_>) -> Option<u64> {
    early_ms(vouched).filter(|_| vouched.quorum)
}

/// Returns when the log had as many leaves as are remembered, if witnesses of the policy say so.
fn remembered_sighting(monitor: &Monitor) -> Option<Sighting> {
    let state = monitor.state.as_ref()?;
    let vouched = monitor.policy.vouched(state.note.as_bytes()).ok()?;
    Some(Sighting { size: vouched.checkpoint.tree.size, at_ms: sighted_ms(&vouched)? })
}

#[cfg(test)]
mod tests;

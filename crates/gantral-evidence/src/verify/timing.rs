//! What follows from the places of artifacts: their order, whether their keys were good there, and whether their instants can
//! be right.
//!
//! Source: `spec/verification.md` V34, V39 to V43.

use alloc::vec::Vec;

use super::chain::Chain;
use super::code::Code;
use super::finding::{Findings, Place};
use super::keyring::Window;
use super::places::{LogView, Placed, Seen};
use super::sealed::{Artifact, Body};

impl Seen {
    /// Returns the times of the cosignatures in ascending order, in seconds since 1970.
    fn times(&self) -> Vec<u64> {
        let mut times: Vec<u64> = self.witnesses.iter().map(|(_, time)| *time).collect();
        times.sort_unstable();
        times
    }

    /// Returns when the tree was seen at the earliest that half of the witnesses speaks for, in milliseconds since 1970 (V41).
    pub(super) fn early(&self) -> Option<u64> {
        let times = self.times();
        let at = times.len().div_ceil(2).checked_sub(1)?;
        times.get(at).map(|time| time.saturating_mul(1_000))
    }

    /// Returns when the tree was seen at the latest that half of the witnesses speaks for, in milliseconds since 1970 (V41).
    pub(super) fn late(&self) -> Option<u64> {
        let times = self.times();
        times.get(times.len() / 2).map(|time| time.saturating_mul(1_000).saturating_add(999))
    }
}

impl LogView<'_> {
    /// Checks order, keys and instants of the chain.
    pub(super) fn check_places(&self, chain: &Chain, findings: &mut Findings) {
        check_order(&chain.artifacts, findings);
        let history = self.history();
        for artifact in &chain.artifacts {
            if let Some(placed) = artifact.placed {
                self.check_instant(artifact, &placed, &history, findings);
            }
        }
    }

    /// Returns for each tree that is shown and has a time: its size, and the latest early time of trees up to that size.
    fn history(&self) -> Vec<(u64, u64)> {
        let of_bundle = self.shown.iter().filter_map(|at| self.good.get(*at));
        let seen = of_bundle.chain(self.mirror.map(super::Mirror::seen));
        let mut history: Vec<(u64, u64)> =
            seen.filter_map(|seen| Some((seen.tree.size, seen.early()?))).collect();
        history.sort_unstable();
        let mut latest = 0;
        for (_, early) in &mut history {
            latest = latest.max(*early);
            *early = latest;
        }
        history
    }

    fn check_instant(
        &self,
        artifact: &Artifact,
        placed: &Placed,
        history: &[(u64, u64)],
        findings: &mut Findings,
    ) {
        let Some(log) = self.log else { return };
        let at = artifact.statement.entry.at.get();
        let place = || Place::Artifact(artifact.statement.sequence);
        let is_after = |seen: &Seen| seen.late().is_some_and(|late| at > late.saturating_add(log.skew_ms));
        if self.proved_by(placed).any(is_after) {
            let message = "it claims to be younger than the checkpoint that holds it";
            findings.add(Code::TimeWindow, place(), message);
        }
        let before = history.partition_point(|(size, _)| *size <= placed.index);
        let absent = before.checked_sub(1).and_then(|last| history.get(last));
        if absent.is_some_and(|(_, early)| at.saturating_add(log.patience_ms()) < *early) {
            let message = "it claims to be older than trees of the log that do not hold it";
            findings.add(Code::TimeWindow, place(), message);
        }
    }

    /// Returns the checkpoints that prove a place.
    fn proved_by(&self, placed: &Placed) -> impl Iterator<Item = &Seen> {
        let of_proof = placed.by_proof.and_then(|at| self.good.get(at));
        let of_mirror = self.mirror.filter(|_| placed.by_mirror).map(super::Mirror::seen);
        of_proof.into_iter().chain(of_mirror)
    }

    /// Returns how many witnesses vouch for every artifact (V43).
    pub(super) fn witnessed(&self, artifacts: &[Artifact]) -> u32 {
        let of = |artifact: &Artifact| {
            let placed = artifact.placed?;
            self.proved_by(&placed).map(|seen| seen.witnesses.len()).max()
        };
        let least = artifacts.iter().map(|artifact| of(artifact).unwrap_or_default()).min();
        u32::try_from(least.unwrap_or_default()).unwrap_or(u32::MAX)
    }
}

/// Checks the keys of a chain, and that it rises in the log (V34).
pub(super) fn check_order<S: Body>(artifacts: &[Artifact<S>], findings: &mut Findings) {
    let mut above: Option<u64> = None;
    for artifact in artifacts {
        if let Some((code, message)) = &artifact.signer.unfit {
            findings.add(*code, artifact.place(), message.clone());
        }
        check_key(artifact, findings);
        let Some(index) = artifact.index() else { continue };
        if above.is_some_and(|above| index <= above) {
            let message = "it does not stand above the artifact before it in the log";
            findings.add(Code::LogOrder, artifact.place(), message);
        }
        above = Some(index);
    }
}

/// Checks that the key was good at the artifact's place in the log.
fn check_key<S: Body>(artifact: &Artifact<S>, findings: &mut Findings) {
    for (code, message) in judge_key(artifact.signer.window, artifact.index()) {
        findings.add(code, artifact.place(), message);
    }
}

/// Returns what there is to say of a key that signed what has this place in the log (V39, V40).
pub(super) fn judge_key(window: Window, index: Option<u64>) -> Vec<(Code, &'static str)> {
    let mut said = Vec::new();
    match (window.compromised_from, index) {
        (Some(from), Some(index)) if index < from => {
            said.push((Code::CompromisedLater, Code::CompromisedLater.meaning()));
        }
        (Some(_), Some(_)) => said.push((Code::KeyCompromised, "logged after the key was compromised")),
        (Some(_), None) => return alloc::vec![(Code::KeyCompromised, Code::KeyCompromised.meaning())],
        (None, _) => {}
    }
    if !window.is_bounded() {
        return said;
    }
    match index {
        None => said.push((
            Code::Unlogged,
            "the key is valid for a part of the log only, and there is no proof of the place in it",
        )),
        Some(index)
            if window.from.is_some_and(|from| index < from)
                || window.until.is_some_and(|until| index >= until) =>
        {
            said.push((Code::KeyWindow, "the key was not valid at that place in the log"));
        }
        Some(_) if window.until.is_some() => {
            said.push((Code::KeyExpiredLater, Code::KeyExpiredLater.meaning()));
        }
        Some(_) => {}
    }
    said
}

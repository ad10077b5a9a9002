//! What a mirror shows of the chain: forks, a cut end, and that nothing was left out.
//!
//! Source: `spec/verification.md` V45 to V50.

use super::chain::Chain;
use super::code::Code;
use super::finding::{Findings, Place};
use super::mirror::LoggedChain;
use super::places::LogView;
use super::sealed::{Artifact, Body};
use crate::container::Scope;
use crate::log::leaf::Leaf;

impl LogView<'_> {
    /// Returns the leaves of the chain in the mirror.
    pub(super) fn logged_chain(&self, chain: &Chain) -> Option<&LoggedChain> {
        self.mirror?.chain(&chain.artifacts.first()?.leaf())
    }

    /// Compares the chain with the mirror.
    pub(super) fn check_mirror(&self, chain: &Chain, scope: Scope, findings: &mut Findings) {
        let Some(logged) = self.logged_chain(chain) else { return };
        self.check_logged(logged, &chain.artifacts, findings);
        let last = chain.artifacts.last().map(|last| last.statement.sequence);
        if logged.highest() > last {
            say_more(scope, last, "the log holds artifacts that follow", findings);
        }
    }

    /// Compares artifacts with the leaves of their chain.
    pub(super) fn check_logged<S: Body>(
        &self,
        logged: &LoggedChain,
        artifacts: &[Artifact<S>],
        findings: &mut Findings,
    ) {
        check_leaves(logged, S::place, findings);
        for artifact in artifacts {
            let place = || artifact.place();
            if artifact.placed.is_some_and(|placed| placed.by_mirror) {
                continue;
            }
            match logged.first(artifact.statement.sequence()) {
                Some((_, leaf)) if leaf.hash != artifact.hash => {
                    findings.add(
                        Code::Fork,
                        place(),
                        alloc::format!("the log has {} in its place", leaf.hash),
                    );
                }
                Some(_) => findings.add(Code::Inclusion, place(), "its leaf in the log says something else"),
                None => {}
            }
            if artifact.placed.is_none() && self.is_overdue(artifact.statement.at().get()) == Some(true) {
                findings.add(
                    Code::Unlogged,
                    place(),
                    "the log promised to hold it by now, and the mirror does not",
                );
            }
        }
    }

    /// Tells whether what was issued at an instant must be in the mirror; `None` if nobody says when the mirror was made.
    pub(super) fn is_overdue(&self, issued_at: u64) -> Option<bool> {
        let early = self.mirror?.seen().early()?;
        Some(issued_at.saturating_add(self.log?.patience_ms()) < early)
    }

    /// Tells whether the mirror proves that the bundle is the whole chain (V49).
    pub(super) fn is_complete(&self, chain: &Chain) -> bool {
        let (Some(logged), Some(last)) = (self.logged_chain(chain), chain.artifacts.last()) else {
            return false;
        };
        let is_whole = chain.folded == chain.artifacts.len()
            && chain.artifacts.iter().all(|artifact| artifact.placed.is_some_and(|placed| placed.by_mirror));
        let ends = |(_, leaf): &(u64, Leaf)| leaf.terminal && leaf.hash == last.hash;
        is_whole && last.statement.state.is_final() && logged.leaves().last().is_some_and(ends)
    }
}

/// Says that there is more of the chain than the bundle holds.
pub(super) fn say_more(scope: Scope, last: Option<u64>, message: &str, findings: &mut Findings) {
    let code = match scope {
        Scope::Complete => Code::Truncated,
        Scope::Prefix => Code::MoreExists,
    };
    findings.add(code, last.map_or(Place::Bundle, Place::Artifact), message);
}

/// Checks that the log holds the chain as it promises to (L5).
fn check_leaves(logged: &LoggedChain, place: fn(u64) -> Place, findings: &mut Findings) {
    let (mut next, mut ended) = (0, false);
    for (index, leaf) in logged.leaves() {
        let mut wrong = |code: Code, what: &str| {
            let message = alloc::format!("leaf {index} of the log {what}");
            findings.add(code, place(leaf.sequence), message);
        };
        if leaf.sequence < next {
            match logged.first(leaf.sequence) {
                Some((_, first)) if first.hash != leaf.hash => {
                    wrong(Code::Fork, "is another artifact in the same place of the chain");
                }
                Some(_) => wrong(Code::LogOrder, "is there a second time"),
                None => wrong(Code::LogOrder, "comes after one that follows it"),
            }
        } else if leaf.sequence > next {
            wrong(Code::LogOrder, "comes before the artifact that it follows");
        }
        if ended {
            wrong(Code::LogOrder, "comes after the end of the chain");
        }
        next = next.max(leaf.sequence.saturating_add(1));
        ended |= leaf.terminal;
    }
}

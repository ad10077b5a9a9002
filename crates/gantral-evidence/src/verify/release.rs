//! From when grants were usable: what the anchor of a consumption must hold.
//!
//! Source: `spec/verification.md` §16, `spec/workflow.md` W16.

use alloc::collections::BTreeMap;

use gantral_core::event::Event;
use gantral_core::ids::GrantId;
use gantral_core::workflow::Release;

use super::chain::Chain;
use super::code::Code;
use super::finding::Findings;
use super::places::LogView;
use super::sealed::Artifact;
use crate::log::tree::TreeHead;

/// Compares the anchors of consumptions with what the workflow waits for; `required` witnesses are asked for by the trust file.
pub(super) fn check(
    chain: &Chain,
    release: Option<Release>,
    view: &LogView<'_>,
    required: u32,
    findings: &mut Findings,
) {
    let Some(waited_for) = release.and_then(Release::witnesses) else { return };
    let enough = u32::from(waited_for).min(required);
    let mut granted: BTreeMap<GrantId, &Artifact> = BTreeMap::new();
    for artifact in chain.lawful() {
        let consumed = match &artifact.statement.entry.event {
            Event::Allowed(detail) => {
                granted.extend(detail.grant.as_ref().map(|grant| (grant.id, artifact)));
                continue;
            }
            Event::Approved(detail) | Event::Overridden(detail) => {
                granted.insert(detail.grant.id, artifact);
                continue;
            }
            Event::Consumed(detail) => detail,
            _ => continue,
        };
        let anchor = artifact.statement.anchor;
        let size = anchor.map_or(0, |anchor| anchor.size);
        let place = granted.get(&consumed.grant).and_then(|granted| granted.index());
        if size == 0 || place.is_some_and(|index| size <= index) {
            let message = "the tree that it names does not hold its grant, which the workflow waits for";
            findings.add(Code::Anchor, artifact.place(), message);
        }
        let seen_by = anchor.map_or(0, |anchor| view.cosigned(&anchor));
        if seen_by < enough {
            let message = alloc::format!(
                "the workflow waits for {waited_for} witnesses, and {seen_by} have cosigned the tree that it names"
            );
            findings.add(Code::Require, artifact.place(), message);
        }
    }
}

impl LogView<'_> {
    /// Returns how many witnesses have cosigned a good checkpoint of this very tree, where the most have.
    fn cosigned(&self, tree: &TreeHead) -> u32 {
        let of_bundle = self.shown.iter().filter_map(|at| self.good.get(*at));
        let seen = of_bundle.chain(self.mirror.map(super::Mirror::seen)).filter(|seen| seen.tree == *tree);
        seen.map(|seen| u32::try_from(seen.witnesses.len()).unwrap_or(u32::MAX)).max().unwrap_or_default()
    }
}

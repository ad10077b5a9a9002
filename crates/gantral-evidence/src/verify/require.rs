//! What the relying party requires, compared with what was found. Source: `spec/verification.md` §9.

use gantral_core::check::is_sufficient;
use gantral_core::digest::CommitmentLabel;

use super::code::Code;
use super::finding::{Findings, Place};
use super::report::{Assurance, Enforcement};
use crate::container::Scope;
use crate::trust::Require;

/// The labels of what was asked, seen and evaluated.
const SNAPSHOTS: [CommitmentLabel; 3] =
    [CommitmentLabel::Action, CommitmentLabel::Context, CommitmentLabel::Input];

/// Compares what is required with what was found. `unlogged` artifacts have no place in the log, and nothing wrong was said of their
/// proofs.
pub(super) fn check(
    require: &Require,
    assurance: &Assurance,
    unlogged: usize,
    withheld: impl Fn(CommitmentLabel) -> usize,
    findings: &mut Findings,
) {
    let mut lacks = |code: Code, message: &str| findings.add(code, Place::Bundle, message);
    if require.scope == Scope::Complete && !assurance.ended {
        lacks(Code::Require, "a complete chain is required, and this one has not ended");
    }
    if require.enforced && assurance.enforcement != Enforcement::Enforced {
        lacks(
            Code::Require,
            "enforcement is required, and actions were only observed or done by the agent itself",
        );
    }
    if require.logged && unlogged > 0 {
        let message =
            alloc::format!("inclusion in the log is required, and {unlogged} artifacts have no proof of it");
        lacks(Code::Unlogged, &message);
    }
    if require.witnessed > assurance.witnessed {
        let message = alloc::format!(
            "{} witnesses are required, and {} have cosigned",
            require.witnessed,
            assurance.witnessed
        );
        lacks(Code::Require, &message);
    }
    if require.complete && assurance.complete.is_none() {
        lacks(Code::CompletenessUnproved, Code::CompletenessUnproved.meaning());
    }
    if require.snapshots && SNAPSHOTS.into_iter().any(|label| withheld(label) > 0) {
        lacks(
            Code::Require,
            "disclosure of actions, contexts and policy inputs is required, and some are withheld",
        );
    }
    if let (Some(required), Some(given)) = (require.human_evidence, assurance.human_evidence)
        && !is_sufficient(given, required)
    {
        lacks(Code::HumanAssurance, Code::HumanAssurance.meaning());
    }
    if require.human_device_bound && assurance.human_device_bound == Some(false) {
        let message =
            "keys that cannot leave their devices are required, and not every decision is signed by one";
        lacks(Code::HumanAssurance, message);
    }
}

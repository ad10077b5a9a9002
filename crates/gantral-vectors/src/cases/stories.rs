//! Lawful executions: the twins of everything that is wrong elsewhere.

use gantral_core::state::HumanEvidence;

use crate::case::Case;
use crate::story::Story;
use crate::tales;

pub(super) fn all() -> Vec<Case> {
    let lean =
        |number, slug, about, story: Story| Case::of(number, slug, about, &story).valid(&["N_WITHHELD"]);
    let open = |number, slug, about, story: Story| {
        Case::of(number, slug, about, &story).valid(&["N_PREFIX", "N_WITHHELD"])
    };
    let development = tales::approved_with(HumanEvidence::Development);
    vec![
        lean(1, "allowed", "Policy allows an action, and it is done", Story::allowed()),
        lean(
            2,
            "overridden",
            "A human changes what was asked for, and a fresh process does that",
            Story::refund(),
        ),
        lean(3, "two-persons", "Two persons must agree, and do", Story::quorum()),
        lean(4, "timed-out", "Nobody answers, others are asked, nobody answers", Story::timed_out()),
        lean(5, "approved", "One person approves what was asked for", tales::approved()),
        lean(6, "rejected", "One person refuses", tales::rejected()),
        lean(7, "escalated", "Nobody answers, and a director approves", tales::escalated()),
        open(8, "extended", "Finance takes ten minutes more", tales::extended()),
        open(9, "two-stages", "First somebody of finance, then somebody of risk", tales::staged()),
        open(
            10,
            "glass-broken",
            "One who may break the glass decides where three are asked",
            tales::glass_broken(),
        ),
        lean(11, "withdrawn", "Whoever asked takes it back", tales::withdrawn()),
        lean(12, "cancelled-at-the-gate", "A human cancels at the open gate", tales::cancelled_at_the_gate()),
        lean(
            13,
            "cancelled-after-approval",
            "A human cancels what was approved",
            tales::cancelled_after_approval(),
        ),
        Case::of(14, "expired", "Time ends an instance that nobody launched", &tales::expired()).valid(&[]),
        lean(15, "lapsed", "What was approved is not used in time", tales::lapsed()),
        lean(16, "denied", "Policy denies", tales::denied()),
        lean(17, "failed", "The process fails", tales::failed()),
        lean(
            18,
            "outage",
            "The evaluator is out, and the workflow of low materiality lets that pass",
            tales::outage(),
        ),
        lean(19, "observed", "Under SHADOW policy is observed and not enforced", tales::observed()),
        lean(20, "by-itself", "The agent launches and acts by itself", tales::by_itself()),
        open(21, "lost", "The process vanishes between consuming and reporting", tales::lost()),
        open(22, "reported-late", "A process that was given up reports after all", tales::reported_late()),
        open(23, "reconciled", "A human finds out what came of an action", tales::reconciled()),
        lean(24, "reconciled-and-ended", "A human finds out, and ends it", tales::reconciled_and_ended()),
        Case::of(25, "never-asked", "It completed and never asked for anything", &tales::ungated())
            .valid(&["N_UNGATED", "N_WITHHELD"]),
        lean(26, "approved-at-low", "As 005, at low materiality", tales::approved_at_low()),
        lean(27, "overridden-at-low", "As 002, at low materiality", tales::overridden_at_low()),
        open(
            28,
            "development-evidence",
            "The gate asks for evidence of development, and gets it",
            development,
        ),
        lean(29, "captured", "An outcome names what was captured, and where it is kept", tales::captured()),
    ]
}

//! What the trust file asks for beyond a signature.

use gantral_core::state::HumanEvidence;
use gantral_evidence::container::Scope;
use gantral_evidence::trust::Require;

use crate::case::Case;
use crate::cast::trust_with;
use crate::story::Story;
use crate::tales;

fn asks(number: u16, slug: &'static str, about: &'static str, story: &Story, require: Require) -> Case {
    Case::of(number, slug, about, story).under(&trust_with(require))
}

pub(super) fn all() -> Vec<Case> {
    let signed = Require::signed();
    let enforced = Require { enforced: true, ..signed };
    let complete = Require { scope: Scope::Complete, ..signed };
    let least = |evidence| Require { human_evidence: Some(evidence), ..signed };
    let (approved, development) = (tales::rejected(), tales::approved_with(HumanEvidence::Development));
    vec![
        asks(600, "enforced", "Everything was enforced", &tales::failed(), enforced).valid(&["N_WITHHELD"]),
        asks(601, "not-enforced-by-itself", "The agent executed by itself", &tales::by_itself(), enforced)
            .inconclusive(&["E_REQUIRE", "N_WITHHELD"]),
        asks(602, "not-enforced-observed", "Policy was only observed", &tales::observed(), enforced)
            .inconclusive(&["E_REQUIRE", "N_WITHHELD"]),
        asks(603, "ended", "The chain has ended", &tales::failed(), complete).valid(&["N_WITHHELD"]),
        asks(604, "not-ended", "The chain has not ended", &Story::begin(), complete)
            .inconclusive(&["E_REQUIRE", "N_PREFIX"]),
        asks(
            605,
            "not-logged",
            "A place in the log is required",
            &Story::begin(),
            Require { logged: true, ..signed },
        )
        .inconclusive(&["E_UNLOGGED", "N_PREFIX"]),
        asks(
            606,
            "not-witnessed",
            "A witness is required",
            &Story::begin(),
            Require { witnessed: 1, ..signed },
        )
        .inconclusive(&["E_REQUIRE", "N_PREFIX"]),
        asks(
            607,
            "not-complete",
            "A proof that nothing was left out is required",
            &Story::begin(),
            Require { complete: true, ..signed },
        )
        .inconclusive(&["E_COMPLETENESS_UNPROVED", "N_PREFIX"]),
        asks(
            608,
            "evidence-strong-enough",
            "A decision has the evidence that is required",
            &approved,
            least(HumanEvidence::Operator),
        )
        .valid(&["N_WITHHELD"]),
        asks(
            609,
            "evidence-too-weak",
            "A decision has weaker evidence than is required",
            &approved,
            least(HumanEvidence::Webauthn),
        )
        .inconclusive(&["E_HUMAN_ASSURANCE", "N_WITHHELD"]),
        asks(
            610,
            "development-is-not-operator",
            "Evidence of development satisfies nothing else",
            &development,
            least(HumanEvidence::Operator),
        )
        .inconclusive(&["E_HUMAN_ASSURANCE", "N_PREFIX", "N_WITHHELD"]),
    ]
}

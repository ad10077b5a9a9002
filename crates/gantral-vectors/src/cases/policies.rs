//! The evidence of decisions that policy asked for, where its answer is disclosed.

use gantral_core::digest::CommitmentLabel;
use gantral_core::policy::Verdict;
use gantral_core::state::{DecisionKind, EventKind, HumanEvidence};
use gantral_evidence::disclosure::Disclosure;

use super::enrolments::weaken;
use super::guards::and;
use super::passkeys::Scene;
use crate::authenticator::Authenticator;
use crate::case::{Case, FileMap};
use crate::cast::refund;
use crate::story::Story;

pub(super) fn all() -> Vec<Case> {
    let mut cases = opened();
    cases.extend(consumed());
    cases
}

/// What policy answered in a story, as files.
fn answers(story: &Story) -> FileMap {
    let told = story.disclosures.iter().filter(|one| one.label == CommitmentLabel::Decision);
    told.map(|one| (Disclosure::path(&one.commitment()), one.encode())).collect()
}

/// Signs what is decided in a story, and discloses what policy answered.
fn disclosed(story: Story) -> Scene {
    let mut scene = Scene::of(story, |_| Authenticator::device_bound(1), |_, _| ());
    scene.files.extend(answers(&scene.story));
    scene
}

/// As [`disclosed`], where the server's word is all that there is.
fn by_word(mut scene: Scene) -> Scene {
    weaken(&mut scene.story);
    scene.files = answers(&scene.story);
    scene
}

/// Policy asks for such evidence, and so does the gate; a passkey signs.
fn asking_for(evidence: HumanEvidence) -> Story {
    let mut story = Story::begin();
    (story.evidence, story.asks_for) = (HumanEvidence::Webauthn, Some(evidence));
    story.launch();
    let plan = story.plan(1, Vec::new());
    story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
    story.decide(1, DecisionKind::Approve, None);
    story.statements.truncate(story.position(EventKind::Approved) + 1);
    story
}

fn opened() -> Vec<Case> {
    const TWIN: &str = "670-passkey-by-policy";
    let webauthn = || disclosed(asking_for(HumanEvidence::Webauthn));
    vec![
        webauthn()
            .case(670, "passkey-by-policy", "Policy asks for passkeys, and so does the gate")
            .valid(&and([])),
        by_word(webauthn())
            .case(
                671,
                "passkey-dropped-against-policy",
                "A thief of the issuer's key opens a gate that asks for less than policy did",
            )
            .invalid(&and(["E_HUMAN_EVIDENCE"]), TWIN),
        by_word(disclosed(asking_for(HumanEvidence::Operator)))
            .case(
                672,
                "policy-asks-for-no-more-than-the-gate",
                "Policy asks for the server's word, and gets it",
            )
            .valid(&and([])),
        by_word(disclosed(asking_for(HumanEvidence::Development)))
            .case(678, "policy-asks-for-what-it-cannot", "Policy names evidence that it may not ask for")
            .valid(&and([])),
    ]
}

/// A gate takes the server's word; when the grant is used, policy asks for a passkey.
fn consumed() -> Vec<Case> {
    const TWIN: &str = "679-passkey-by-policy-at-consumption";
    let used = || {
        let mut story = Story::begin();
        story.launch();
        let plan = story.plan(1, Vec::new());
        story.ask(&refund(900), Verdict::RequireHuman, Some(plan)).exit(3);
        story.evidence = HumanEvidence::Webauthn;
        story.decide(1, DecisionKind::Approve, None).launch();
        story.asks_for = Some(HumanEvidence::Webauthn);
        let plan = story.plan(1, Vec::new());
        story.consume_under(&refund(900), Verdict::RequireHuman, Some(plan));
        disclosed(story)
    };
    vec![
        used()
            .case(
                679,
                "passkey-by-policy-at-consumption",
                "A passkey signed, and policy asks for one when the grant is used",
            )
            .valid(&and([])),
        by_word(used())
            .case(
                659,
                "consumed-on-weaker-evidence-than-policy-asked-for",
                "A thief of the issuer's key uses a grant that no passkey signed",
            )
            .invalid(&and(["E_HUMAN_EVIDENCE"]), TWIN),
    ]
}

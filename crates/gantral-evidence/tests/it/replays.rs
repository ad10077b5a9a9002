//! Policies that were evaluated again: what is asked, and what the answers do to the verdict.

use gantral_core::event::Event;
use gantral_core::policy::{EvalFailure, Verdict as Advice};
use gantral_core::state::EventKind;
use gantral_evidence::report::to_text;
use gantral_evidence::verify::{
    Beside, Replay, ReplayOutcome, ReplayQuestion, Report, replay_questions, verify_replayed,
};

use crate::story::*;

/// Answers every question of a story's bundle, and verifies it with the answers.
fn replayed(
    story: &Story,
    disclosed: bool,
    answer: impl Fn(&ReplayQuestion<'_>) -> Option<ReplayOutcome>,
) -> Report {
    let mut files = story.files();
    files.insert(format!("policy/{}.tar", policy_version().0), b"an archive".to_vec());
    files.retain(|path, _| disclosed || !path.starts_with("disclosures/"));
    let bundle = story.bundle(story.scope(), files);
    let files = bundle.as_files().unwrap();
    let questions = replay_questions(&files, Some(&trust()), Beside::default());
    let replay = |question: &ReplayQuestion<'_>| {
        Some(Replay { artifact: question.artifact, outcome: answer(question)? })
    };
    let replays: Vec<Replay> = questions.iter().filter_map(replay).collect();
    verify_replayed(&files, Some(&trust()), Beside::default(), &replays)
}

fn answered(verdict: Advice, document: &str) -> ReplayOutcome {
    ReplayOutcome::Answered { verdict, decision: document.as_bytes().to_vec() }
}

/// What policy said in the story that allows.
fn as_recorded(_: &ReplayQuestion<'_>) -> Option<ReplayOutcome> {
    Some(answered(Advice::Allow, "\"ALLOW\""))
}

#[test]
fn the_recorded_answer_given_again_is_valid_and_said() {
    let report = replayed(&Story::allowed(), true, as_recorded);
    assert_valid(&report);
    assert_eq!(report.assurance.as_ref().unwrap().replayed, Some(2));
    let text = to_text(&report);
    assert!(text.contains("evaluated again, 2 times with the recorded answer"), "{text}");
    assert!(!text.contains("it was not evaluated again"), "{text}");
    assert!(to_text(&Story::allowed().verify()).contains("it was not evaluated again"));
}

#[test]
fn each_evaluation_is_asked_about_with_all_that_it_took() {
    let report = replayed(&Story::allowed(), true, |question| {
        assert_eq!((question.version, question.archive), (policy_version(), Some(&b"an archive"[..])));
        assert_eq!(question.evaluator.engine.as_str(), "regorus");
        let input = String::from_utf8(question.input.clone().unwrap()).unwrap();
        assert!(input.contains("\"workflow_id\":\"refunds\""), "{input}");
        as_recorded(question)
    });
    assert_valid(&report);
    replayed(&Story::allowed(), false, |question| {
        assert_eq!(question.input, None);
        None
    });
    let story = Story::allowed();
    let bundle = story.bundle(story.scope(), story.files());
    let files = bundle.as_files().unwrap();
    assert_eq!(replay_questions(&files, None, Beside::default()), []);
}

#[test]
fn another_answer_is_invalid() {
    let check = |disclosed, outcome: ReplayOutcome, codes: &[&str]| {
        let report = replayed(&Story::allowed(), disclosed, |_| Some(outcome.clone()));
        let verdict = if codes.is_empty() { "VALID" } else { "INVALID" };
        assert_answer(&report, verdict, codes);
    };
    let mismatch = &["E_REPLAY_MISMATCH"][..];
    check(true, answered(Advice::Allow, "\"ALLOW\""), &[]);
    check(true, answered(Advice::Allow, "\"DENY\""), mismatch);
    check(true, answered(Advice::Deny, "\"ALLOW\""), mismatch);
    check(false, answered(Advice::Allow, "\"DENY\""), &[]);
    check(false, answered(Advice::RequireHuman, "\"ALLOW\""), mismatch);
    check(true, ReplayOutcome::Failed(EvalFailure::Undefined), mismatch);
}

#[test]
fn a_verdict_may_be_stricter_than_what_policy_advised() {
    let report = replayed(&Story::refund(), false, |_| Some(answered(Advice::Allow, "\"ALLOW\"")));
    assert_valid(&report);
}

#[test]
fn what_was_not_evaluated_again_is_inconclusive() {
    let unavailable = |_: &ReplayQuestion<'_>| Some(ReplayOutcome::Unavailable("no engine".to_owned()));
    let codes = &["E_REPLAY_UNAVAILABLE"];
    assert_answer(&replayed(&Story::allowed(), true, unavailable), "INCONCLUSIVE", codes);
    assert_answer(&replayed(&Story::allowed(), true, |_| None), "INCONCLUSIVE", codes);
}

/// The story that allows, whose ask records a failure of the policy that was resolved to `DENY`.
fn failed(failure: EvalFailure) -> Story {
    let mut story = Story::begin();
    story.launch();
    let action = refund(20);
    let (mut advice, context) = story.advise(&action, Advice::Deny, None);
    advice.policy.failure = Some(failure);
    advice.policy.decision = None;
    story.ask_with(&action, advice, context, gantral_core::state::Mode::Enforce);
    story
}

#[test]
fn a_failure_of_the_policy_is_given_again_and_one_of_the_moment_is_not_asked_about() {
    let defect = failed(EvalFailure::Undefined);
    assert!(defect.position_of(EventKind::EvaluatorFailed).is_some());
    assert!(matches!(&defect.statements.last().unwrap().entry.event, Event::Terminated(_)));
    let outcome = |outcome: ReplayOutcome| replayed(&defect, true, |_| Some(outcome.clone()));
    assert_valid(&outcome(ReplayOutcome::Failed(EvalFailure::Undefined)));
    let codes = &["E_REPLAY_MISMATCH"];
    assert_answer(&outcome(ReplayOutcome::Failed(EvalFailure::Conflict)), "INVALID", codes);
    assert_answer(&outcome(answered(Advice::Deny, "\"DENY\"")), "INVALID", codes);
    for moment in [EvalFailure::Unavailable, EvalFailure::ResourceLimit] {
        let report = replayed(&failed(moment), true, |question| panic!("asked {question:?}"));
        assert_valid(&report);
        assert_eq!(report.assurance.unwrap().replayed, Some(0));
    }
}

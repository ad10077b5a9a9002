//! What the rulebook refuses. Each case retells a lawful story with one thing changed.

use gantral_core::event::*;
use gantral_core::ids::{AttemptNo, GrantId};
use gantral_core::policy::{EvalFailure, Materiality, PolicyVersionId, Verdict};
use gantral_core::state::*;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::statement::Statement;

use crate::case::Case;
use crate::cast::*;
use crate::story::Story;
use crate::tales;

const ALLOWED: (&str, fn() -> Story) = ("001-allowed", Story::allowed);
const OVERRIDDEN: (&str, fn() -> Story) = ("002-overridden", Story::refund);
const TIMED_OUT: (&str, fn() -> Story) = ("004-timed-out", Story::timed_out);
const EXTENDED: (&str, fn() -> Story) = ("008-extended", tales::extended);
const OUTAGE: (&str, fn() -> Story) = ("018-outage", tales::outage);
const OBSERVED: (&str, fn() -> Story) = ("019-observed", tales::observed);
const LOST: (&str, fn() -> Story) = ("021-lost", tales::lost);

/// What is told, and retold from which event on.
struct Retelling {
    number: u16,
    slug: &'static str,
    about: &'static str,
    from: (&'static str, fn() -> Story),
    at: EventKind,
    codes: &'static [&'static str],
}

impl Retelling {
    /// Tells the story up to the changed event: what follows a break is not judged.
    fn with(self, change: impl FnOnce(&mut Statement)) -> Case {
        let mut story = (self.from.1)().retell(self.at, change);
        let at = story.position_of_change(&(self.from.1)());
        story.statements.truncate(at + 1);
        self.case(&story)
    }

    fn case(self, story: &Story) -> Case {
        let withheld = (self.at != EventKind::Created).then_some("N_WITHHELD");
        let codes: Vec<&str> = self.codes.iter().copied().chain(withheld).collect();
        Case::of(self.number, self.slug, self.about, story).invalid(&codes, self.from.0)
    }
}

fn retold(
    number: u16,
    slug: &'static str,
    about: &'static str,
    from: (&'static str, fn() -> Story),
    at: EventKind,
    codes: &'static [&'static str],
) -> Retelling {
    Retelling { number, slug, about, from, at, codes }
}

fn earlier(at: UnixMillis, seconds: u64) -> UnixMillis {
    UnixMillis::new(at.get() - seconds * 1_000).unwrap()
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = states();
    cases.extend(times());
    cases.extend(policies());
    cases.extend(actions());
    cases.extend(outcomes());
    cases
}

fn states() -> Vec<Case> {
    vec![
        retold(
            400,
            "from-another-state",
            "The state before is not that of the fold",
            ALLOWED,
            EventKind::Completed,
            &["E_STATE"],
        )
        .with(|statement| statement.from_state = Some(State::Resumed)),
        retold(
            401,
            "to-another-state",
            "The state after is not that of the fold",
            OVERRIDDEN,
            EventKind::HumanRequired,
            &["E_STATE"],
        )
        .with(|statement| statement.state = State::Running),
        retold(
            402,
            "move-without-a-row",
            "A move that the table does not have",
            OVERRIDDEN,
            EventKind::Resumed,
            &["E_STATE"],
        )
        .with(|statement| {
            if let Event::Resumed(launch) = statement.entry.event.clone() {
                statement.entry.event = Event::Running(Launch { lease: None, ..launch });
            }
        }),
        retold(
            403,
            "actor-without-a-row",
            "A move by a kind of actor that may not make it",
            ALLOWED,
            EventKind::Consumed,
            &["E_STATE"],
        )
        .with(|statement| statement.entry.actor = human(1, "finance")),
        retold(
            404,
            "old-attempt",
            "An attempt acts that is not the newest",
            ALLOWED,
            EventKind::Allowed,
            &["E_ATTEMPT"],
        )
        .with(|statement| statement.entry.attempt = AttemptNo(0)),
        retold(
            405,
            "completed-without-success",
            "Completed after an exit with another status",
            ALLOWED,
            EventKind::Completed,
            &["E_ATTEMPT"],
        )
        .case(&completed_after_failure()),
        retold(
            406,
            "nobody-asked",
            "Nobody asked for the instance",
            ALLOWED,
            EventKind::Created,
            &["E_MATRIX"],
        )
        .with(|statement| {
            if let Event::Created(created) = &mut statement.entry.event {
                created.requester.clear();
            }
        }),
        retold(
            407,
            "grant-from-what-was-observed",
            "A grant from an event under SHADOW",
            ALLOWED,
            EventKind::Allowed,
            &["E_MODE"],
        )
        .with(|statement| statement.entry.mode = Mode::Shadow),
        retold(
            408,
            "observed-under-enforcement",
            "Only observed where it should be enforced",
            OBSERVED,
            EventKind::Observed,
            &["E_MODE"],
        )
        .with(|statement| statement.entry.mode = Mode::Enforce),
    ]
}

fn completed_after_failure() -> Story {
    Story::allowed().retell(EventKind::AttemptEnded, |statement| {
        if let Event::AttemptEnded(ended) = &mut statement.entry.event {
            ended.exit_status = Some(1);
        }
    })
}

fn times() -> Vec<Case> {
    let mut decided_late = Story::refund().retell(EventKind::HumanRequired, |statement| {
        if let Event::HumanRequired(detail) = &mut statement.entry.event {
            detail.deadline = statement.entry.at.plus(DurationMs::new(1));
        }
    });
    decided_late.statements.truncate(decided_late.position(EventKind::Overridden) + 1);
    vec![
        retold(
            420,
            "time-goes-back",
            "An artifact is older than the one before it",
            ALLOWED,
            EventKind::Completed,
            &["E_TIME_BACK"],
        )
        .with(|statement| statement.entry.at = earlier(statement.entry.at, 3_600)),
        retold(
            421,
            "decided-after-the-deadline",
            "A decision after the sealed deadline",
            OVERRIDDEN,
            EventKind::Overridden,
            &["E_DEADLINE"],
        )
        .case(&decided_late),
        retold(
            422,
            "closed-before-the-deadline",
            "A timeout before the sealed deadline",
            TIMED_OUT,
            EventKind::Rejected,
            &["E_DEADLINE"],
        )
        .with(|statement| statement.entry.at = earlier(statement.entry.at, 300)),
        retold(
            423,
            "escalated-early",
            "An escalation before the deadline",
            TIMED_OUT,
            EventKind::Escalated,
            &["E_ESCALATION"],
        )
        .with(|statement| statement.entry.at = earlier(statement.entry.at, 300)),
        retold(
            424,
            "escalated-to-others",
            "An escalation to roles that were not sealed",
            TIMED_OUT,
            EventKind::Escalated,
            &["E_ESCALATION"],
        )
        .with(|statement| {
            if let Event::Escalated(moved) = &mut statement.entry.event {
                moved.roles = vec![role("intern")];
            }
        }),
        retold(
            425,
            "extended-too-far",
            "An extension past the sealed limit",
            EXTENDED,
            EventKind::Extended,
            &["E_EXTENSION"],
        )
        .with(|statement| {
            if let Event::Extended(moved) = &mut statement.entry.event {
                moved.deadline = moved.deadline.plus(DurationMs::from_secs(86_400));
            }
        }),
        retold(
            426,
            "extended-by-the-ineligible",
            "An extension by a role that was not asked",
            EXTENDED,
            EventKind::Extended,
            &["E_EXTENSION"],
        )
        .with(|statement| statement.entry.actor = human(1, "intern")),
    ]
}

fn failed_otherwise(at: EventKind, failure: EvalFailure) -> impl Fn(&mut Statement) {
    move |statement| match &mut statement.entry.event {
        Event::EvaluatorFailed(policy) if at == EventKind::EvaluatorFailed => policy.failure = Some(failure),
        Event::Allowed(detail) => detail.policy.failure = Some(failure),
        _ => {}
    }
}

fn policies() -> Vec<Case> {
    let mut high = tales::outage();
    high.statements
        .iter_mut()
        .for_each(|statement| statement.identity.workflow.materiality = Materiality::High);
    high.relink();
    high.statements.truncate(high.position(EventKind::EvaluatorFailed) + 1);
    let mut hidden = tales::outage();
    hidden.statements.remove(hidden.position(EventKind::EvaluatorFailed));
    hidden.relink();
    hidden.statements.truncate(hidden.position(EventKind::Allowed) + 1);
    let stricter = Story::refund().retell(EventKind::HumanRequired, |statement| {
        if let Event::HumanRequired(detail) = &mut statement.entry.event {
            detail.policy.verdict = Verdict::Allow;
        }
    });
    vec![
        retold(
            440,
            "milder-than-policy",
            "Allowed where policy asked for humans",
            ALLOWED,
            EventKind::Allowed,
            &["E_POLICY_CONTRADICTION"],
        )
        .with(|statement| {
            if let Event::Allowed(detail) = &mut statement.entry.event {
                detail.policy.verdict = Verdict::RequireHuman;
            }
        }),
        Case::of(441, "stricter-than-policy", "Humans are asked where policy would have allowed", &stricter)
            .valid(&["N_WITHHELD"]),
        retold(
            442,
            "outage-passes-at-high",
            "An outage was let pass at high materiality",
            OUTAGE,
            EventKind::EvaluatorFailed,
            &["E_FAIL_OPEN"],
        )
        .case(&high),
        retold(
            443,
            "defect-passes",
            "A policy that contradicts itself was let pass",
            OUTAGE,
            EventKind::EvaluatorFailed,
            &["E_FAIL_OPEN"],
        )
        .with(failed_otherwise(EventKind::EvaluatorFailed, EvalFailure::Conflict)),
        retold(
            444,
            "failure-not-sealed",
            "A failed evaluation was not sealed",
            OUTAGE,
            EventKind::Allowed,
            &["E_POLICY_CONTRADICTION"],
        )
        .case(&hidden),
        retold(
            445,
            "another-failure",
            "What follows names another failure",
            OUTAGE,
            EventKind::Allowed,
            &["E_POLICY_CONTRADICTION"],
        )
        .with(failed_otherwise(EventKind::Allowed, EvalFailure::VersionUnknown)),
        retold(
            446,
            "another-policy-version",
            "What follows names another policy version",
            OUTAGE,
            EventKind::Allowed,
            &["E_POLICY_VERSION"],
        )
        .with(|statement| {
            if let Event::Allowed(detail) = &mut statement.entry.event {
                detail.policy.version = PolicyVersionId(tales::elsewhere());
            }
        }),
        retold(
            447,
            "guard-of-another-verdict",
            "The guard is not the evaluation",
            OVERRIDDEN,
            EventKind::Consumed,
            &["E_GUARD"],
        )
        .with(|statement| {
            if let Event::Consumed(detail) = &mut statement.entry.event {
                detail.guard.verdict = Verdict::RequireHuman;
            }
        }),
    ]
}

fn consumed(statement: &mut Statement) -> Option<&mut Consumed> {
    match &mut statement.entry.event {
        Event::Consumed(detail) => Some(detail),
        _ => None,
    }
}

fn actions() -> Vec<Case> {
    let low = ("027-overridden-at-low", tales::overridden_at_low as fn() -> Story);
    let approved = ("026-approved-at-low", tales::approved_at_low as fn() -> Story);
    let fails = |statement: &mut Statement| {
        if let Some(detail) = consumed(statement) {
            detail.policy.failure = Some(EvalFailure::Unavailable);
        }
    };
    let mut short = Story::refund().retell(EventKind::Overridden, |statement| {
        if let Event::Overridden(granted) = &mut statement.entry.event {
            granted.grant.expires_at = statement.entry.at.plus(DurationMs::new(1));
        }
    });
    short.statements.truncate(short.position(EventKind::Resumed) + 1);
    let mut twice = Story::allowed();
    let at = twice.position(EventKind::Consumed);
    let again = twice.statements[at].clone();
    twice.statements.insert(at + 2, again);
    twice.statements[at + 2].entry.at = twice.statements[at + 1].entry.at;
    twice.relink();
    twice.statements.truncate(at + 3);
    vec![
        retold(
            460,
            "another-action-is-done",
            "Another action is consumed than was granted",
            OVERRIDDEN,
            EventKind::Consumed,
            &["E_ACTION_BINDING"],
        )
        .with(|statement| {
            if let Some(detail) = consumed(statement) {
                detail.action = tales::elsewhere();
            }
        }),
        retold(
            461,
            "changed-action-not-evaluated",
            "A changed action ran without an evaluation",
            low,
            EventKind::Consumed,
            &["E_OVERRIDE_SCOPE"],
        )
        .with(fails),
        retold(
            462,
            "approved-action-not-evaluated",
            "An approved action ran without an evaluation",
            approved,
            EventKind::Consumed,
            &["E_FAIL_OPEN"],
        )
        .with(fails),
        retold(
            463,
            "grant-that-never-was",
            "A grant that was never given",
            OVERRIDDEN,
            EventKind::Consumed,
            &["E_GRANT"],
        )
        .with(|statement| {
            if let Some(detail) = consumed(statement) {
                detail.grant = GrantId::from_random([9; 16]);
            }
        }),
        retold(
            464,
            "grant-that-has-lapsed",
            "A grant after its instant",
            OVERRIDDEN,
            EventKind::Resumed,
            &["E_GRANT"],
        )
        .case(&short),
        retold(465, "grant-used-twice", "A grant is used twice", ALLOWED, EventKind::Consumed, &["E_GRANT"])
            .case(&twice),
    ]
}

fn outcomes() -> Vec<Case> {
    let mut hidden = Story::allowed();
    hidden.statements.remove(hidden.position(EventKind::Outcome));
    hidden.relink();
    vec![
        retold(
            480,
            "outcome-of-nothing",
            "An outcome that nothing had authorised",
            ALLOWED,
            EventKind::Outcome,
            &["E_UNAUTHORIZED_OUTCOME"],
        )
        .with(|statement| {
            if let Event::Outcome(detail) = &mut statement.entry.event {
                detail.grant = None;
            }
        }),
        retold(
            481,
            "end-that-hides-an-outcome",
            "Ended while the outcome of an action is open",
            ALLOWED,
            EventKind::Outcome,
            &["E_OUTCOME_OPEN"],
        )
        .case(&hidden),
        retold(
            482,
            "unknown-before-the-end",
            "Unknown while the attempt still lives",
            ALLOWED,
            EventKind::Outcome,
            &["E_UNAUTHORIZED_OUTCOME"],
        )
        .with(|statement| {
            if let Event::Outcome(detail) = &mut statement.entry.event {
                detail.status = OutcomeStatus::Unknown;
            }
        }),
        retold(
            483,
            "lost-with-a-status",
            "A process that was lost has an exit status",
            LOST,
            EventKind::AttemptEnded,
            &["E_MATRIX"],
        )
        .with(|statement| {
            if let Event::AttemptEnded(ended) = &mut statement.entry.event {
                ended.exit_status = Some(0);
            }
        }),
    ]
}

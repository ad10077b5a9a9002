//! Shadow mode: policy is asked, what it would have done is sealed, and nobody is held.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::event::Event;
use gantral_core::ids::{Name, Role, TeamId, WorkflowId};
use gantral_core::policy::{EvalFailure, Verdict};
use gantral_core::state::{EventKind, Mode, OutcomeStatus, State};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_engine::checkpoints::NoCheckpoints;
use gantral_engine::policy_point::{Evaluators, PolicyPoint};
use gantral_engine::{Answer, Engine, EngineConfig, EngineError, ModeInForce, Ports, Ruled};
use gantral_evidence::governance::{Detail, Scope};
use gantral_evidence::verify::{Enforcement, Verdict as Judged};
use gantral_store::{GateFilter, InstanceFilter};
use gantral_testkit::World;
use gantral_testkit::policy::rules;
use gantral_testkit::workflows::{REFUND, read};

use crate::script::{LARGE, Learned, SMALL, Script, Step, outcome, statements};

/// More than anybody may grant under the example policy.
const ABSURD: u64 = 20_000_000;

fn workflow() -> Scope {
    Scope::Workflow(read(REFUND).id)
}

fn team() -> Scope {
    Scope::Team(TeamId::parse("payments").unwrap())
}

/// The workflow, or one action of it, only observed.
fn shadow(action: Option<&str>) -> ModeInForce {
    let action = action.map(|action| Name::parse(action).unwrap());
    ModeInForce { scope: workflow(), action, mode: Mode::Shadow }
}

/// An instance about to ask, in a world where these modes were set.
async fn asking(modes: &[(Scope, Mode)]) -> Script {
    let mut script = Script::begin(&[Step::Create, Step::Begin], 2).await;
    for (scope, mode) in modes {
        script.world.set_mode(scope, *mode).await;
    }
    script.world.clock.advance(DurationMs::new(1));
    script.done = 2;
    script
}

async fn ask(script: &mut Script, amount: u64) -> Answer {
    let said = script.step(Step::Ask { amount, consume: false }).await.unwrap();
    assert!(
        !matches!(said.answer, Answer::Observed { .. }) || said.state == Some(State::Running),
        "{said:?}"
    );
    said.answer
}

fn observed(answer: &Answer) -> (Verdict, Vec<&str>) {
    let Answer::Observed { verdict, roles, .. } = answer else { panic!("{answer:?}") };
    (*verdict, roles.iter().map(Role::as_str).collect())
}

#[tokio::test]
async fn the_agent_goes_on_whatever_policy_says_and_what_it_said_is_sealed() {
    for consume in [false, true] {
        let mut script = asking(&[(workflow(), Mode::Shadow)]).await;
        let expected = [
            (SMALL, Verdict::Allow, vec![]),
            (LARGE, Verdict::RequireHuman, vec!["FINANCE_LEAD"]),
            (2_000_000, Verdict::RequireHuman, vec!["CFO", "FINANCE_LEAD"]),
            (ABSURD, Verdict::Deny, vec![]),
        ];
        for (amount, verdict, roles) in &expected {
            let said = script.step(Step::Ask { amount: *amount, consume }).await.unwrap();
            assert_eq!(observed(&said.answer), (*verdict, roles.clone()), "{amount}");
            assert_eq!(said.receipts.len(), 1);
        }
        let Answer::Observed { reasons, .. } = ask(&mut script, ABSURD).await else { panic!("not observed") };
        assert!(reasons.iter().any(|reason| reason.contains("beyond what anybody may grant")), "{reasons:?}");
        let sealed = statements(&script.world, script.id()).await;
        let verdicts: Vec<_> = sealed
            .iter()
            .filter_map(|statement| match &statement.entry.event {
                Event::Observed(detail) => {
                    assert_eq!((statement.entry.mode, detail.grant), (Mode::Shadow, None));
                    Some(detail.policy.verdict)
                }
                _ => None,
            })
            .collect();
        assert_eq!(verdicts[..4], expected.map(|(_, verdict, _)| verdict));
        let facts = script.facts().await;
        assert!(facts.instance.grants.is_empty() && facts.instance.consumptions.is_empty());
        script.step(Step::Finish).await.unwrap();
        script.is_valid().await;
    }
}

#[tokio::test]
async fn nobody_is_asked() {
    let mut script = asking(&[(Scope::Tenant, Mode::Shadow)]).await;
    ask(&mut script, LARGE).await;
    let (store, tenant) = (script.world.engine().store(), script.world.tenant());
    for closed in [false, true] {
        let filter = GateFilter { closed, ..GateFilter::default() };
        assert_eq!(store.list_gates(&tenant, filter, None, 10).await.unwrap().items, []);
    }
}

#[tokio::test]
async fn no_verdict_about_it_claims_enforcement() {
    let mut script = asking(&[(workflow(), Mode::Shadow)]).await;
    ask(&mut script, LARGE).await;
    // What was enforced afterwards does not make up for it.
    script.world.set_mode(&workflow(), Mode::Enforce).await;
    ask(&mut script, SMALL).await;
    script.step(Step::Consume).await.unwrap();
    script.step(Step::Report).await.unwrap();
    script.step(Step::Finish).await.unwrap();
    let report = script.world.verified(script.id()).await;
    assert_eq!(
        (report.verdict, report.assurance.as_ref().unwrap().enforcement),
        (Judged::Valid, Enforcement::Shadow)
    );
}

#[tokio::test]
async fn the_mode_of_the_narrowest_scope_counts() {
    let (other_team, other) = (
        Scope::Team(TeamId::parse("support").unwrap()),
        Scope::Workflow(WorkflowId::parse("another").unwrap()),
    );
    for (modes, shadow) in [
        (vec![], false),
        (vec![(Scope::Tenant, Mode::Shadow)], true),
        (vec![(team(), Mode::Enforce), (Scope::Tenant, Mode::Shadow)], false),
        (vec![(Scope::Tenant, Mode::Enforce), (team(), Mode::Shadow)], true),
        (vec![(workflow(), Mode::Enforce), (team(), Mode::Shadow)], false),
        (vec![(workflow(), Mode::Shadow), (team(), Mode::Enforce)], true),
        (vec![(other_team, Mode::Shadow), (other, Mode::Shadow)], false),
    ] {
        let mut script = asking(&modes).await;
        let answer = ask(&mut script, SMALL).await;
        assert_eq!(matches!(answer, Answer::Observed { .. }), shadow, "{modes:?}: {answer:?}");
        script.is_valid().await;
    }
}

#[tokio::test]
async fn a_switch_counts_for_the_next_ask_of_a_running_instance() {
    let mut script = asking(&[(workflow(), Mode::Shadow)]).await;
    assert_eq!(observed(&ask(&mut script, LARGE).await).0, Verdict::RequireHuman);
    script.world.set_mode(&workflow(), Mode::Enforce).await;
    assert!(matches!(ask(&mut script, LARGE).await, Answer::Waiting { .. }));
    // A gate that is open stays open, and what it grants is consumed under ENFORCE.
    script.world.set_mode(&workflow(), Mode::Shadow).await;
    script.step(Step::Approve).await.unwrap();
    script.step(Step::Begin).await.unwrap();
    script.step(Step::Consume).await.unwrap();
    script.step(Step::Report).await.unwrap();
    assert_eq!(observed(&ask(&mut script, LARGE).await).0, Verdict::RequireHuman);
    script.step(Step::Finish).await.unwrap();
    script.is_valid().await;
    let kinds = script.events().await;
    assert_eq!(kinds.iter().filter(|kind| **kind == EventKind::Observed).count(), 2);
}

#[tokio::test]
async fn what_came_of_an_observed_action_may_be_reported() {
    let mut script = asking(&[(workflow(), Mode::Shadow)]).await;
    let refused = script.step(Step::Report).await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "nothing was observed yet: {refused:?}");
    ask(&mut script, LARGE).await;
    script.step(Step::Report).await.unwrap();
    // An instance owes no outcome of what was only observed, and no other attempt reports it.
    let (world, old) = (&script.world, script.world.bearer(script.id(), 1));
    let unknown = gantral_engine::OutcomeReport { status: OutcomeStatus::Unknown, ..outcome(None) };
    let refused = world.engine().report(world.call(), &old, unknown).await;
    assert!(matches!(refused, Err(EngineError::Refused(_))), "{refused:?}");
    ask(&mut script, LARGE).await;
    script.step(Step::Finish).await.unwrap();
    script.is_valid().await;
    let sealed = statements(&script.world, script.id()).await;
    let outcome = sealed.iter().find(|statement| statement.entry.event.kind() == EventKind::Outcome).unwrap();
    assert_eq!(outcome.entry.mode, Mode::Shadow);
}

#[tokio::test]
async fn a_failure_of_the_policy_is_observed_with_what_it_would_have_been_resolved_to() {
    let world = World::new();
    let contradicts = rules("decision := \"DENY\" if true\ndecision := \"ALLOW\" if true");
    world.apply(read(REFUND), &contradicts).await;
    world.set_mode(&workflow(), Mode::Shadow).await;
    let mut script = Script { world, learned: Learned::default(), workflow: "refund", done: 0 };
    script.step(Step::Create).await.unwrap();
    script.step(Step::Begin).await.unwrap();
    assert_eq!(observed(&ask(&mut script, SMALL).await), (Verdict::RequireHuman, vec!["FINANCE_LEAD"]));
    let sealed = statements(&script.world, script.id()).await;
    let Event::Observed(detail) = &sealed.last().unwrap().entry.event else { panic!("{sealed:?}") };
    assert_eq!(detail.policy.failure, Some(EvalFailure::Conflict));
    script.step(Step::Finish).await.unwrap();
    script.is_valid().await;
}

#[tokio::test]
async fn a_freeze_stops_what_would_go_on_under_shadow() {
    let mut script = asking(&[(workflow(), Mode::Shadow)]).await;
    script.world.set_frozen(true).await;
    let refused = script.step(Step::Ask { amount: SMALL, consume: false }).await;
    assert_eq!(refused.unwrap_err(), EngineError::Frozen);
    script.world.set_frozen(false).await;
    ask(&mut script, SMALL).await;
}

#[tokio::test]
async fn an_answer_that_is_asked_for_again_is_the_first_one() {
    let mut script = asking(&[(workflow(), Mode::Shadow)]).await;
    let (step, known, key) = (Step::Ask { amount: LARGE, consume: false }, script.learned, 7);
    let first = script.send(step, known, key, "body").await.unwrap();
    script.world.set_mode(&workflow(), Mode::Enforce).await;
    script.world.restart();
    let again = script.send(step, known, key, "body").await.unwrap();
    assert_eq!(again, first);
}

#[tokio::test]
async fn a_mode_is_sealed_once_with_who_and_why() {
    let script = asking(&[]).await;
    let (world, tenant, by) = (&script.world, script.world.tenant(), script.world.governor());
    let why = gantral_engine::Governor { actor: &by, why: Some("two weeks of looking") };
    let (engine, mode) = (world.engine(), shadow(None));
    let sealed = engine.set_mode(&mut world.call(), &tenant, why, &mode).await.unwrap().sealed().unwrap();
    assert_eq!(sealed.detail, Detail::ModeChanged { scope: workflow(), action: None, mode: Mode::Shadow });
    assert_eq!(sealed.why.as_deref(), Some("two weeks of looking"));
    let again = engine.set_mode(&mut world.call(), &tenant, why, &mode).await.unwrap();
    assert_eq!(again, Ruled::Same);
    assert_eq!(engine.modes_in_force(&tenant).await.unwrap(), [mode]);
}

#[tokio::test]
async fn the_mode_of_an_action_goes_before_that_of_its_workflow() {
    let mut script = asking(&[(workflow(), Mode::Enforce)]).await;
    let (tenant, by) = (script.world.tenant(), script.world.governor());
    let world = &script.world;
    let mode = shadow(Some("refund"));
    let sealed = world.engine().set_mode(&mut world.call(), &tenant, (&by).into(), &mode).await.unwrap();
    assert!(sealed.sealed().is_some());
    assert_eq!(world.engine().modes_in_force(&tenant).await.unwrap().len(), 2);
    assert_eq!(observed(&ask(&mut script, LARGE).await), (Verdict::RequireHuman, vec!["FINANCE_LEAD"]));
    let world = &script.world;
    let enforced = ModeInForce { mode: Mode::Enforce, ..mode };
    world.engine().set_mode(&mut world.call(), &tenant, (&by).into(), &enforced).await.unwrap();
    world.clock.advance(DurationMs::new(1));
    assert!(matches!(ask(&mut script, LARGE).await, Answer::Waiting { .. }));
    script.is_valid().await;
}

#[tokio::test]
async fn a_mode_is_set_for_actions_that_there_are() {
    let script = asking(&[]).await;
    let (world, tenant, by) = (&script.world, script.world.tenant(), script.world.governor());
    let of_team = ModeInForce { scope: team(), ..shadow(Some("refund")) };
    for mode in [shadow(Some("refnud")), of_team] {
        let refused = world.engine().set_mode(&mut world.call(), &tenant, (&by).into(), &mode).await;
        assert_eq!(refused.unwrap_err(), EngineError::NotFound { what: "the action" });
    }
    assert_eq!(world.engine().modes_in_force(&tenant).await.unwrap(), []);
}

#[tokio::test]
async fn a_switch_on_another_server_counts_for_the_next_ask_too() {
    let mut script = asking(&[]).await;
    let (world, tenant) = (&script.world, script.world.tenant());
    let ports = Ports {
        store: world.engine().store().clone(),
        signer: Arc::new(world.signer()),
        policy: Evaluators::new(
            Arc::clone(&world.point.rego) as Arc<dyn PolicyPoint>,
            Duration::from_secs(20),
        ),
        checkpoints: Arc::new(NoCheckpoints),
    };
    let other = Engine::new(ports, EngineConfig::default()).unwrap();
    // What is in force is known here before it changes there.
    assert!(matches!(ask(&mut script, SMALL).await, Answer::Allowed { .. }));
    for (mode, shadow) in [(Mode::Shadow, true), (Mode::Enforce, false), (Mode::Shadow, true)] {
        let (world, by) = (&script.world, script.world.governor());
        world.clock.advance(DurationMs::new(1));
        let mode = ModeInForce { mode, ..self::shadow(None) };
        let sealed = other.set_mode(&mut world.call(), &tenant, (&by).into(), &mode).await;
        assert!(sealed.unwrap().sealed().is_some());
        let answer = ask(&mut script, SMALL).await;
        assert_eq!(matches!(answer, Answer::Observed { .. }), shadow, "{answer:?}");
    }
    script.is_valid().await;
}

#[tokio::test]
async fn what_was_observed_is_read_back_page_by_page_also_after_it_was_erased() {
    let mut script = asking(&[(workflow(), Mode::Shadow)]).await;
    let mut expected = Vec::new();
    for number in 0..3 {
        if number > 0 {
            script.step(Step::Create).await.unwrap();
            script.step(Step::Begin).await.unwrap();
        }
        for amount in [SMALL, LARGE] {
            ask(&mut script, amount).await;
        }
        expected.insert(0, script.id());
        script.world.clock.advance(DurationMs::new(1));
    }
    let (engine, tenant) = (script.world.engine(), script.world.tenant());
    let span = (UnixMillis::EPOCH, script.world.clock.now());
    let (mut found, mut after) = (Vec::new(), None);
    loop {
        let page = engine.observed(&tenant, span, &InstanceFilter::default(), after, 2).await.unwrap();
        assert!(page.instances <= 2);
        found.extend(page.asks);
        match page.next {
            Some(next) => after = Some(next),
            None => break,
        }
    }
    let instances: Vec<_> = found.iter().map(|ask| ask.instance).collect();
    assert_eq!(instances, expected.iter().flat_map(|id| [*id, *id]).collect::<Vec<_>>());
    let verdicts: Vec<_> = found.iter().map(|ask| ask.policy.verdict).collect();
    assert_eq!(verdicts, [Verdict::RequireHuman, Verdict::Allow].repeat(3), "from the newest");
    assert!(found.iter().all(|ask| ask.decision.is_some()));
    assert!(found.iter().all(|ask| ask.action.as_ref().is_some_and(|name| name.as_str() == "refund")));

    let sealed = statements(&script.world, script.id()).await;
    let Event::Observed(newest) = &sealed.last().unwrap().entry.event else { panic!("{sealed:?}") };
    for commitment in [newest.context, newest.policy.decision.unwrap()] {
        script.world.erase(script.id(), commitment).await;
    }
    let page = engine.observed(&tenant, span, &InstanceFilter::default(), None, 1).await.unwrap();
    let erased = &page.asks[0];
    assert_eq!((erased.action.as_ref(), erased.decision.as_ref()), (None, None));
    assert_eq!(erased.policy.verdict, Verdict::RequireHuman);
    script.is_valid().await;
}

#[tokio::test]
async fn asks_of_a_span_of_a_long_ledger_are_found_each_once() {
    let mut script = asking(&[(Scope::Tenant, Mode::Shadow)]).await;
    let minute = DurationMs::from_secs(60);
    let mut asked = Vec::new();
    // More than are read at once, over most of a day.
    for number in 0..1_050 {
        script.world.clock.advance(minute);
        asked.push(script.world.clock.now());
        ask(&mut script, if number % 2 == 0 { SMALL } else { LARGE }).await;
    }
    let (engine, tenant) = (script.world.engine(), script.world.tenant());
    let filter = InstanceFilter::default();
    for (first, last) in [(0, 3), (200, 900), (1_000, 1_049), (0, 1_049), (575, 575)] {
        let expected: Vec<_> = asked[first..=last].iter().rev().copied().collect();
        let span = (asked[first], asked[last].plus(DurationMs::new(1)));
        let mut recorded = engine.recorded(&tenant, span, &filter).await.unwrap();
        let mut found = Vec::new();
        while let Some(page) = recorded.next(100).await.unwrap() {
            assert!(page.erased.is_empty());
            found.extend(page.gates.iter().map(|gate| gate.at));
        }
        assert_eq!(found, expected, "{first} to {last}");
        let page = engine.observed(&tenant, span, &filter, None, 1).await.unwrap();
        assert_eq!(page.asks.iter().map(|ask| ask.at).collect::<Vec<_>>(), expected);
        assert_eq!((page.instances, page.next), (1, None));
    }
}

//! What the engine itself refuses, before authority is even asked.

use gantral_core::digest::Digest;
use gantral_core::ids::{GateId, GrantId, InstanceId, Name, WorkflowId};
use gantral_core::json::{Number, Object, Value};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::ExecutorKind;
use gantral_engine::{AskFacts, AskRequest, EngineError, NewInstance};
use gantral_testkit::workflows::{REFUND, action, read, refund};
use gantral_testkit::{AGENT, OTHER_AGENT, World, policy};

use crate::script::{SELF, SMALL, Script, Step, decision, new_instance};

fn not_found(what: &'static str) -> EngineError {
    EngineError::NotFound { what }
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let script = Script::begin(SELF, 2).await;
    let (world, engine, now) = (&script.world, script.world.engine(), script.world.clock.now());
    let (agent, nowhere) = (world.people.requester(AGENT, now), InstanceId::from_random([9; 16]));
    let unknown = engine.create(world.call(), &agent, new_instance("nothing")).await;
    assert_eq!(unknown, Err(not_found("the workflow")));
    let version = Some(Name::parse("9").unwrap());
    let unknown = NewInstance { version, ..new_instance("refund") };
    assert_eq!(engine.create(world.call(), &agent, unknown).await, Err(not_found("the workflow")));
    let begun = engine.begin_self(world.call(), &agent, nowhere).await.map(|_| ());
    assert_eq!(begun, Err(not_found("the instance")));
    let asked = engine.ask(world.call(), &world.bearer(nowhere, 1), crate::script::ask(SMALL, true)).await;
    assert_eq!(asked, Err(not_found("the instance")));
    let (fiona, gate) = (world.people.approver("fiona", now), GateId::from_random([9; 16]));
    let decided = engine.decide_gate(world.call(), &fiona, gate, decision(Step::Approve)).await;
    assert_eq!(decided, Err(not_found("the gate")));
    let bearer = world.bearer(script.id(), 1);
    let (grant, action) = (GrantId::from_random([9; 16]), refund(SMALL));
    let consumed =
        engine.consume(world.call(), &bearer, grant, &action, ExecutorKind::SelfExecuted).await.unwrap_err();
    assert!(consumed.to_string().contains("cannot be used"), "{consumed}");
}

#[tokio::test]
async fn a_workflow_without_a_policy_runs_nothing() {
    let world = World::new();
    let (engine, tenant, now) = (world.engine(), world.tenant(), world.clock.now());
    let by = world.governor();
    let nobodys = PolicyVersionId(Digest::of(b"nothing"));
    let applied =
        engine.apply_workflow(&tenant, read(REFUND), Some(nobodys), (&by).into(), &mut world.call()).await;
    assert_eq!(applied.unwrap_err(), EngineError::PolicyUnknown);
    let row = gantral_store::WorkflowRow {
        id: WorkflowId::parse("refund").unwrap(),
        version: Name::parse("1").unwrap(),
        digest: read(REFUND).digest,
        team: read(REFUND).team,
        definition: read(REFUND).canonical,
        created_at: now,
    };
    engine.store().put_workflow(&tenant, row).await.unwrap();
    let agent = world.people.requester(AGENT, now);
    let created = engine.create(world.call(), &agent, new_instance("refund")).await;
    assert_eq!(created, Err(EngineError::NoActivePolicy));
    world.apply(read(REFUND), &policy::example("refunds")).await;
    engine.create(world.call(), &agent, new_instance("refund")).await.unwrap();
}

#[tokio::test]
async fn an_action_that_is_not_declared_is_not_asked_for() {
    let script = Script::begin(SELF, 2).await;
    let (world, bearer) = (&script.world, script.world.bearer(script.id(), 1));
    for (action, expected) in [
        (Value::from("refund"), "not an object"),
        (Value::from(action(Object::new())), "`amount_minor` is missing"),
        (Value::from(action(Object::new().with("amount_minor", "480"))), "is not an integer"),
        (
            Value::from(action(Object::new().with("amount_minor", SMALL).with("to", "me"))),
            "does not declare the parameter `to`",
        ),
    ] {
        let request = AskRequest { action, facts: AskFacts::default(), consume: None };
        let error = world.engine().ask(world.call(), &bearer, request).await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    let negative = AskFacts { cost_estimate: Some(Number::parse("-1").unwrap()), ..AskFacts::default() };
    let request = AskRequest { facts: negative, ..crate::script::ask(SMALL, false) };
    let error = world.engine().ask(world.call(), &bearer, request).await.unwrap_err();
    assert!(matches!(error, EngineError::Input(_)), "{error:?}");
    assert_eq!(script.events().await.len(), 3);
}

#[tokio::test]
async fn a_child_extends_the_requester_chain_of_its_parent_and_names_its_artifact() {
    let script = Script::begin(SELF, 2).await;
    let (world, engine, now) = (&script.world, script.world.engine(), script.world.clock.now());
    let agent = world.people.requester(AGENT, now);
    let head = script.facts().await.head.hash;
    let of = |id, hash| NewInstance { parent: Some((id, hash)), ..new_instance("refund") };
    let child = engine.create(world.call(), &agent, of(script.id(), head)).await.unwrap().instance;
    let created = engine.instance(&world.tenant(), child).await.unwrap().instance.created;
    assert_eq!(created.requester.len(), 2);
    assert_eq!(created.parent.unwrap().artifact_hash, head);
    // The child's own bundle leaves its parent's chain to another bundle, and says so.
    assert_eq!(world.verified(child).await.codes(), ["E_REQUESTER", "N_PREFIX"]);

    let unknown = engine.create(world.call(), &agent, of(script.id(), Digest::of(b"x"))).await;
    assert_eq!(unknown, Err(not_found("the parent's artifact")));
    let other = world.people.requester(OTHER_AGENT, now);
    let foreign = engine.create(world.call(), &other, of(script.id(), head)).await.unwrap_err();
    assert!(matches!(foreign, EngineError::Forbidden { .. }), "{foreign:?}");
}

#[tokio::test]
async fn an_outcome_with_more_evidence_than_an_artifact_holds_is_refused_and_may_be_reported_smaller() {
    let script = Script::begin(SELF, 6).await;
    let (world, bearer) = (&script.world, script.world.bearer(script.id(), 2));
    let grant = script.learned.grant.unwrap();
    let piece = gantral_core::event::EvidenceRef {
        digest: Digest::of(b"photo"),
        name: Name::parse("photo").unwrap(),
        url: None,
    };
    let many =
        gantral_engine::OutcomeReport { evidence: vec![piece; 2_000], ..crate::script::outcome(Some(grant)) };
    let error = world.engine().report(world.call(), &bearer, many).await.unwrap_err();
    assert!(matches!(error, EngineError::Seal(_)), "{error:?}");
    world.engine().report(world.call(), &bearer, crate::script::outcome(Some(grant))).await.unwrap();
    script.is_valid().await;
}

#[tokio::test]
async fn a_retried_call_is_told_of_the_instance_that_is_open_for_it() {
    let script = Script::begin(SELF, 2).await;
    let (world, engine, now) = (&script.world, script.world.engine(), script.world.clock.now());
    let agent = world.people.requester(AGENT, now);
    let of = |call| NewInstance { call, ..new_instance("refund") };
    let first = engine.create(world.call(), &agent, of(Some(refund(SMALL)))).await.unwrap();
    let again = engine.create(world.call(), &agent, of(Some(refund(SMALL)))).await;
    assert_eq!(again, Err(EngineError::CallKeyTaken { instance: first.instance }));
    let uncalled = engine.create(world.call(), &agent, of(None)).await.unwrap();
    assert_ne!(uncalled.instance, first.instance);
}

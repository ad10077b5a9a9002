//! Secrets are refused at the door and leave no trace; what policy may not see, it does not see.

use gantral_core::action::ActionError;
use gantral_core::digest::CommitmentLabel;
use gantral_core::json::{Object, Value};
use gantral_engine::{AskFacts, AskRequest, EngineError, NewInstance, OutcomeReport};
use gantral_store::SnapshotContent;
use gantral_testkit::AGENT;
use gantral_testkit::workflows::action;

use crate::script::{SELF, SMALL, Script, new_instance, outcome};

/// The shape of a credential; nobody's.
const CANARY: &str = "ghp_0123456789abcdefCANARY0123456789abcd";

fn is_refused<T: std::fmt::Debug>(answer: Result<T, EngineError>, at: &str) {
    match answer {
        Err(EngineError::Action(ActionError::InlineSecret { path })) => assert_eq!(path, at),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_secret_is_refused_wherever_it_is_passed_and_is_in_no_file_afterwards() {
    let mut script = Script::begin(SELF, 2).await;
    let (world, now) = (&script.world, script.world.clock.now());
    let (engine, bearer) = (world.engine(), world.bearer(script.id(), 1));
    let parameters = Object::new().with("amount_minor", SMALL);
    let request = |parameters: Object, attributes: Object| AskRequest {
        action: Value::Object(action(parameters)),
        facts: AskFacts { attributes, ..AskFacts::default() },
        consume: None,
    };
    let noted = request(parameters.clone().with("note", CANARY), Object::new());
    is_refused(engine.ask(world.call(), &bearer, noted).await, "/parameters/note");
    let attributed = request(parameters, Object::new().with("token", CANARY));
    is_refused(engine.ask(world.call(), &bearer, attributed).await, "/attributes/token");
    let agent = world.people.requester(AGENT, now);
    let input = Some(Value::from(Object::new().with("key", CANARY)));
    let new = NewInstance { input, ..new_instance("refund") };
    is_refused(engine.create(world.call(), &agent, new).await, "/key");
    let allowed = engine.ask(world.call(), &bearer, crate::script::ask(SMALL, true)).await.unwrap();
    let gantral_engine::Answer::Allowed { grant: Some(grant), .. } = allowed.answer else {
        panic!("{allowed:?}")
    };
    let result = Some(Value::from(CANARY));
    is_refused(
        engine.report(world.call(), &bearer, OutcomeReport { result, ..outcome(Some(grant)) }).await,
        "",
    );
    let folder = world.file().parent().unwrap().to_owned();
    for close in [false, true] {
        if close {
            script.world.close();
        }
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{path:?}");
        }
    }
}

#[tokio::test]
async fn a_parameter_that_policy_may_not_see_is_in_the_action_and_nowhere_else() {
    let script = Script::begin(SELF, 2).await;
    let (world, bearer) = (&script.world, script.world.bearer(script.id(), 1));
    let parameters = Object::new().with("amount_minor", SMALL).with("note", "between-us");
    let request =
        AskRequest { action: Value::Object(action(parameters)), facts: AskFacts::default(), consume: None };
    world.engine().ask(world.call(), &bearer, request).await.unwrap();
    let mut seen = Vec::new();
    for snapshot in world.engine().snapshots(&world.tenant(), script.id()).await.unwrap() {
        let SnapshotContent::Kept { plaintext, .. } = snapshot.content else { panic!("nothing was erased") };
        if String::from_utf8(plaintext).unwrap().contains("between-us") {
            seen.push(snapshot.label);
        }
    }
    assert_eq!(seen, [CommitmentLabel::Action]);
    for artifact in world.engine().chain(&world.tenant(), script.id()).await.unwrap() {
        let envelope = gantral_evidence::dsse::Envelope::parse(&artifact.envelope).unwrap();
        assert!(!String::from_utf8(envelope.payload).unwrap().contains("between-us"));
    }
}

//! Whole executions as lists of steps, so that every test can stop, repeat or break them anywhere.

use gantral_core::digest::Digest;
use gantral_core::ids::{AttemptNo, GateId, GrantId, InstanceId, Name, WorkflowId};
use gantral_core::json::Value;
use gantral_core::state::{DecisionKind, EventKind, ExecutorKind, OutcomeStatus, State};
use gantral_engine::{
    Answer, AskFacts, AskRequest, Call, DecisionRequest, Done, EngineError, InstanceFacts, NewInstance,
    OutcomeReport,
};
use gantral_evidence::statement::Statement;
use gantral_evidence::verify::Verdict;
use gantral_identity::Principal;
use gantral_testkit::workflows::{REFUND, REFUND_RUN, read, refund};
use gantral_testkit::{AGENT, RUNNER, World, policy};

/// A refund that policy allows, in minor units.
pub const SMALL: u64 = 480;
/// A refund that a human must decide.
pub const LARGE: u64 = 480_000;
/// What the human makes of it.
pub const REDUCED: u64 = 48_000;

/// One command of a whole execution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    Create,
    Begin,
    Claim,
    Attach,
    Ask { amount: u64, consume: bool },
    Override { amount: u64 },
    Approve,
    Reject,
    Consume,
    Report,
    Finish,
    End(i32),
}

/// An agent that executes itself: asks, exits, is overridden, comes back, acts, reports and completes.
pub const SELF: &[Step] = &[
    Step::Create,
    Step::Begin,
    Step::Ask { amount: LARGE, consume: false },
    Step::Override { amount: REDUCED },
    Step::Begin,
    Step::Consume,
    Step::Report,
    Step::Finish,
];

/// The same, run by a runner.
pub const RUN: &[Step] = &[
    Step::Create,
    Step::Claim,
    Step::Attach,
    Step::Ask { amount: LARGE, consume: false },
    Step::End(3),
    Step::Override { amount: REDUCED },
    Step::Claim,
    Step::Attach,
    Step::Consume,
    Step::Report,
    Step::End(0),
];

/// What policy allows at once.
pub const SMALL_AT_ONCE: &[Step] = &[
    Step::Create,
    Step::Begin,
    Step::Ask { amount: SMALL, consume: true },
    Step::Report,
    Step::Ask { amount: SMALL, consume: false },
    Step::Consume,
    Step::Report,
    Step::Finish,
];

/// A human says no.
pub const REJECTED: &[Step] =
    &[Step::Create, Step::Begin, Step::Ask { amount: LARGE, consume: false }, Step::Reject];

/// What was learned on the way.
#[derive(Debug, Clone, Copy, Default)]
pub struct Learned {
    pub id: Option<InstanceId>,
    pub attempt: u32,
    pub gate: Option<GateId>,
    pub grant: Option<GrantId>,
    pub amount: u64,
}

/// What a step said, for comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub state: Option<State>,
    pub answer: Answer,
    pub receipts: Vec<(u64, EventKind, Digest)>,
}

/// One execution in its world.
pub struct Script {
    pub world: World,
    pub learned: Learned,
    pub workflow: &'static str,
    /// How many steps were done: the idempotency key of the next.
    pub done: usize,
}

impl Script {
    pub async fn new(steps: &[Step]) -> Self {
        let world = World::new();
        let (refunds, run) = (policy::example("refunds"), steps.contains(&Step::Claim));
        let (workflow, text) = if run { ("refund-run", REFUND_RUN) } else { ("refund", REFUND) };
        world.apply(read(text), &refunds).await;
        Self { world, learned: Learned::default(), workflow, done: 0 }
    }

    /// Does all steps, each of which must succeed.
    pub async fn play(steps: &[Step]) -> Self {
        Self::begin(steps, steps.len()).await
    }

    /// Does the first steps, each of which must succeed.
    pub async fn begin(steps: &[Step], count: usize) -> Self {
        let mut script = Self::new(steps).await;
        for step in &steps[..count] {
            script.step(*step).await.unwrap_or_else(|error| panic!("{step:?}: {error}"));
        }
        script
    }

    pub fn id(&self) -> InstanceId {
        self.learned.id.expect("an instance was created")
    }

    /// Does one step and remembers what it taught.
    pub async fn step(&mut self, step: Step) -> Result<Said, EngineError> {
        let said = self.send(step, self.learned, self.done, "body").await?;
        self.done += 1;
        self.learn(step, &said);
        Ok(said)
    }

    fn learn(&mut self, step: Step, said: &Said) {
        match &said.answer {
            Answer::Attempt { attempt, grant } => {
                self.learned.attempt = attempt.0;
                self.learned.grant = grant.or(self.learned.grant);
            }
            Answer::Allowed { grant, .. } | Answer::Voted { grant } => {
                self.learned.grant = grant.or(self.learned.grant);
            }
            Answer::Waiting { gate, .. } => self.learned.gate = Some(*gate),
            Answer::Recorded | Answer::Observed { .. } | Answer::Denied { .. } | Answer::Consumed { .. } => {}
        }
        match step {
            Step::Ask { amount, .. } | Step::Override { amount } => self.learned.amount = amount,
            _ => {}
        }
    }

    /// Sends one step under a key and with a body, as of what was known then.
    pub async fn send(
        &mut self,
        step: Step,
        known: Learned,
        key: usize,
        body: &str,
    ) -> Result<Said, EngineError> {
        let (world, now) = (&self.world, self.world.clock.now());
        let engine = world.engine();
        let call = |who: &Principal| -> Call {
            let route = format!("{step:?} {:?}", known.id);
            world.keyed(who, &route, &key.to_string(), body)
        };
        let id = || known.id.expect("an instance was created");
        let attempt = AttemptNo(known.attempt);
        let done = match step {
            Step::Create => {
                let agent = world.people.requester(AGENT, now);
                let call = call(agent.principal());
                let created = engine.create(call, &agent, new_instance(self.workflow)).await?;
                self.learned.id = Some(created.instance);
                created
            }
            Step::Begin => {
                let agent = world.people.requester(AGENT, now);
                engine.begin_self(call(agent.principal()), &agent, id()).await?.0
            }
            Step::Claim => {
                let runner = world.people.runner(RUNNER, now);
                let queue = Name::parse("default").unwrap();
                let task = engine.claim(&mut call(runner.principal()), &runner, &queue).await?;
                let Some(task) = task else { return Err(EngineError::NotFound { what: "a task" }) };
                assert_eq!(task.instance, id());
                let answer = Answer::Attempt { attempt: task.attempt, grant: None };
                return Ok(Said { state: None, answer, receipts: Vec::new() });
            }
            Step::Attach => {
                let runner = world.people.runner(RUNNER, now);
                engine.attach(call(runner.principal()), &runner, id(), attempt).await?
            }
            Step::Ask { amount, consume } => {
                let bearer = world.bearer(id(), known.attempt);
                engine.ask(call(bearer.principal()), &bearer, ask(amount, consume)).await?
            }
            Step::Override { .. } | Step::Approve | Step::Reject => {
                let fiona = world.people.approver("fiona", now);
                let gate = known.gate.expect("a gate was opened");
                engine.decide_gate(call(fiona.principal()), &fiona, gate, decision(step)).await?
            }
            Step::Consume => {
                let bearer = world.bearer(id(), known.attempt);
                let grant = known.grant.expect("a grant was given");
                let (call, action) = (call(bearer.principal()), refund(known.amount));
                engine.consume(call, &bearer, grant, &action, ExecutorKind::SelfExecuted).await?
            }
            Step::Report => {
                let bearer = world.bearer(id(), known.attempt);
                engine.report(call(bearer.principal()), &bearer, outcome(known.grant)).await?
            }
            Step::Finish => {
                let bearer = world.bearer(id(), known.attempt);
                engine.finish(call(bearer.principal()), &bearer, true).await?
            }
            Step::End(status) => {
                let runner = world.people.runner(RUNNER, now);
                engine.end_attempt(call(runner.principal()), &runner, id(), attempt, status).await?
            }
        };
        let Done { state, answer, receipts, .. } = done;
        let receipts = receipts.iter().map(|receipt| (receipt.sequence, receipt.event, receipt.hash));
        Ok(Said { state: Some(state), answer, receipts: receipts.collect() })
    }

    pub async fn facts(&self) -> InstanceFacts {
        self.world.engine().instance(&self.world.tenant(), self.id()).await.unwrap()
    }

    /// Returns what happened, in order, from the stored chain.
    pub async fn events(&self) -> Vec<EventKind> {
        events(&self.world, self.id()).await
    }

    /// A stranger with a pinned key finds the chain valid.
    pub async fn is_valid(&self) {
        is_valid(&self.world, self.id()).await;
    }
}

pub async fn events(world: &World, id: InstanceId) -> Vec<EventKind> {
    statements(world, id).await.iter().map(|statement| statement.entry.event.kind()).collect()
}

/// Returns what was sealed, in order, from the stored chain.
pub async fn statements(world: &World, id: InstanceId) -> Vec<Statement> {
    let chain = world.engine().chain(&world.tenant(), id).await.unwrap();
    let read = |envelope: &[u8]| {
        let envelope = gantral_evidence::dsse::Envelope::parse(envelope).unwrap();
        Statement::decode(&envelope.payload).unwrap()
    };
    chain.iter().map(|artifact| read(&artifact.envelope)).collect()
}

pub async fn is_valid(world: &World, id: InstanceId) {
    let report = world.verified(id).await;
    assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
}

pub fn new_instance(workflow: &str) -> NewInstance {
    NewInstance {
        workflow: WorkflowId::parse(workflow).unwrap(),
        version: None,
        session: None,
        trigger: None,
        input: Some(Value::from("order/7")),
        call: None,
        parent: None,
    }
}

pub fn ask(amount: u64, consume: bool) -> AskRequest {
    let consume = consume.then_some(ExecutorKind::SelfExecuted);
    AskRequest { action: refund(amount), facts: AskFacts::default(), consume }
}

pub fn outcome(grant: Option<GrantId>) -> OutcomeReport {
    OutcomeReport {
        grant,
        status: OutcomeStatus::Succeeded,
        result: Some(Value::from("refunded")),
        cost: None,
        evidence: Vec::new(),
    }
}

pub fn decision(step: Step) -> DecisionRequest {
    let (decision, action) = match step {
        Step::Override { amount } => (DecisionKind::Override, Some(refund(amount))),
        Step::Reject => (DecisionKind::Reject, None),
        _ => (DecisionKind::Approve, None),
    };
    DecisionRequest {
        decision,
        gate_version: 1,
        role: None,
        action,
        justification: "as agreed".to_owned(),
        delegation: None,
        break_glass: false,
        seed: None,
        assertion: None,
    }
}

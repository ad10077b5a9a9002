//! A small world in which scenarios read as sentences: people, one workflow, one instance and a clock that is a number.

use gantral_core::command::{
    Advice, Ask, Assignment, AttemptEnd, Command, Consume, Consumer, Decided, Refusal,
};
use gantral_core::decide::{create, decide, due};
use gantral_core::digest::Digest;
use gantral_core::event::{
    Actor, Asked, Ballot, Created, Entry, Executor, GrantTerms, Granted, Identity, Outcome, PolicyRecord,
    Reconciled, Requester, WorkflowRef,
};
use gantral_core::ids::{
    ActorId, AttemptNo, GateId, GrantId, InstanceId, LogOrigin, Name, PersonId, Role, TenantId, WorkflowId,
};
use gantral_core::instance::Instance;
use gantral_core::policy::{EvalFailure, EvaluatorId, Materiality, PolicyVersionId, Verdict};
use gantral_core::rule::{EscalationStep, GatePlan, Group, Rule, Stage};
use gantral_core::state::{
    ActorKind, DecisionKind, ExecutorKind, HumanEvidence, Mode, NextStep, OutcomeStatus, State,
};
use gantral_core::time::{DurationMs, UnixMillis};

/// 2027-01-15T08:00:00.000Z, when every world begins.
pub const T0: u64 = 1_800_000_000_000;
/// How long an instance lives here, in seconds.
pub const LIFETIME: u64 = 86_400;
/// How long a grant waits to be used, in seconds.
pub const GRANT_LIFETIME: u64 = 900;

pub fn secs(seconds: u64) -> DurationMs {
    DurationMs::from_secs(seconds)
}

pub fn at(seconds: u64) -> UnixMillis {
    UnixMillis::new(T0 + seconds * 1_000).unwrap()
}

pub fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

pub fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

pub fn gate(number: u8) -> GateId {
    GateId::from_random([number; 16])
}

pub fn grant(number: u8) -> GrantId {
    GrantId::from_random([number; 16])
}

pub fn person(name: &str) -> PersonId {
    PersonId(digest(name))
}

/// Somebody with a role, as the server would make of a verified token.
pub fn human(name: &str, holds: &str) -> Actor {
    Actor {
        id: person(name).actor(),
        kind: ActorKind::Human,
        issuer: Some("https://id.example".to_owned()),
        role: Some(role(holds)),
    }
}

/// An administrator, who holds no role of any gate.
pub fn admin() -> Actor {
    human("adam", "ADMIN")
}

pub fn machine(id: &str, kind: ActorKind) -> Actor {
    let issuer = (kind != ActorKind::System).then(|| "https://id.example".to_owned());
    Actor { id: ActorId::parse(id).unwrap(), kind, issuer, role: None }
}

pub fn agent() -> Actor {
    machine("agent-7", ActorKind::Workload)
}

pub fn runner() -> Actor {
    machine("runner-1", ActorKind::Runner)
}

pub fn system() -> Actor {
    machine("gantral", ActorKind::System)
}

pub fn executor() -> Executor {
    Executor { kind: ExecutorKind::Runner, id: runner().id }
}

pub fn policy(version: &str, verdict: Verdict, failure: Option<EvalFailure>) -> PolicyRecord {
    PolicyRecord {
        version: PolicyVersionId(digest(version)),
        evaluator: EvaluatorId {
            engine: Name::parse("regorus").unwrap(),
            version: Name::parse("1").unwrap(),
        },
        input: digest("input"),
        decision: failure.is_none().then(|| digest("decision")),
        verdict,
        failure,
    }
}

pub fn allow() -> Advice {
    Advice { policy: policy("p1", Verdict::Allow, None), plan: None }
}

pub fn deny() -> Advice {
    Advice { policy: policy("p1", Verdict::Deny, None), plan: None }
}

pub fn failed(failure: EvalFailure, verdict: Verdict) -> Advice {
    let plan = (verdict == Verdict::RequireHuman).then(|| lead().plan);
    Advice { policy: policy("p1", verdict, Some(failure)), plan: plan.flatten() }
}

/// One of LEAD, or of those named, within ten minutes.
pub fn lead() -> Advice {
    asks(&["LEAD"], 1)
}

pub fn asks(roles: &[&str], required: u32) -> Advice {
    let roles = roles.iter().map(|name| role(name)).collect();
    let rule = Rule::one_group(roles, required, HumanEvidence::Operator);
    let plan = GatePlan { rule, timeout: secs(600), escalation: Vec::new() };
    Advice { policy: policy("p1", Verdict::RequireHuman, None), plan: Some(plan) }
}

/// What a test changes about advice before it is given.
pub trait Refine {
    fn plan(self, change: impl FnOnce(&mut GatePlan)) -> Advice;
    fn then_asks(self, roles: &[&str]) -> Advice;
    fn and_stage(self, roles: &[&str], required: u32) -> Advice;
    fn unless(self, rejections: u32) -> Advice;
    fn under(self, version: &str) -> Advice;
}

impl Refine for Advice {
    fn plan(mut self, change: impl FnOnce(&mut GatePlan)) -> Advice {
        change(self.plan.as_mut().unwrap());
        self
    }

    fn then_asks(self, roles: &[&str]) -> Advice {
        let roles = roles.iter().map(|name| role(name)).collect();
        self.plan(|plan| plan.escalation.push(EscalationStep { roles, duration: secs(300) }))
    }

    fn and_stage(self, roles: &[&str], required: u32) -> Advice {
        let roles = roles.iter().map(|name| role(name)).collect();
        self.plan(|plan| plan.rule.stages.push(Stage { groups: vec![Group { roles, required }] }))
    }

    fn unless(self, rejections: u32) -> Advice {
        self.plan(|plan| plan.rule.rejections = rejections)
    }

    fn under(mut self, version: &str) -> Advice {
        self.policy.version = PolicyVersionId(digest(version));
        self
    }
}

/// One instance, its sealed entries and a clock.
#[derive(Debug, Clone)]
pub struct World {
    pub instance: Instance,
    pub sealed: Vec<(Entry, Digest)>,
    pub now: UnixMillis,
    /// The newest gate and grant that were named, counted from 1.
    pub gates: u8,
    pub grants: u8,
    /// Whether steps that are due are sealed before a command, as the engine does.
    pub timer: bool,
}

pub fn identity(materiality: Materiality) -> Identity {
    Identity {
        tenant: TenantId::parse("acme").unwrap(),
        origin: LogOrigin::parse("acme").unwrap(),
        instance: InstanceId::from_random([7; 16]),
        workflow: WorkflowRef {
            id: WorkflowId::parse("refunds").unwrap(),
            version: Name::parse("v1").unwrap(),
            digest: digest("workflow"),
            materiality,
        },
    }
}

/// On behalf of Olivia, by an agent that Oscar owns.
pub fn created() -> Created {
    let issuer = "https://id.example".to_owned();
    let olivia = Requester {
        id: person("olivia").actor(),
        kind: ActorKind::Human,
        issuer: issuer.clone(),
        owner: None,
    };
    let agent = Requester { id: agent().id, kind: ActorKind::Workload, issuer, owner: Some(person("oscar")) };
    Created {
        requester: vec![olivia, agent],
        parent: None,
        session: None,
        trigger: None,
        context: None,
        expires_at: at(LIFETIME),
    }
}

pub fn seal(sequence: usize) -> Digest {
    digest(&format!("artifact {sequence}"))
}

impl World {
    pub fn created() -> Self {
        Self::of(Materiality::Medium)
    }

    pub fn of(materiality: Materiality) -> Self {
        let entry = create(&agent(), created(), Mode::Enforce, at(0));
        let instance = Instance::begin(identity(materiality), &entry).unwrap();
        World { instance, sealed: vec![(entry, seal(0))], now: at(0), gates: 0, grants: 0, timer: true }
    }

    /// Attempt 1 runs.
    pub fn running() -> Self {
        let mut world = Self::created();
        world.assign().seals("attempt_assigned");
        world.attach(1).seals("started").is(State::Running);
        world
    }

    /// Attempt 1 asked, exited at the gate, and humans are asked.
    pub fn waiting(advice: Advice) -> Self {
        let mut world = Self::running();
        world.ask("refund 4800", advice).seals("human_required").is(State::WaitingForHuman);
        world.exit(1, 3).seals("attempt_ended");
        world
    }

    /// Lea approved, attempt 2 runs and holds grant 1.
    pub fn approved_and_running(advice: Advice) -> Self {
        let mut world = Self::waiting(advice);
        world.approve("lea", "LEAD").seals("approved").is(State::Approved);
        world.assign().seals("resumed").is(State::Resumed);
        world.attach(2).seals("running").is(State::Running);
        world
    }

    pub fn wait(&mut self, seconds: u64) {
        self.now = self.now.plus(secs(seconds));
    }

    /// Seals what is due until nothing is, and returns what that was.
    pub fn tick(&mut self) -> String {
        let mut kinds = Vec::new();
        for _ in 0..100 {
            let entries = due(&self.instance, &system(), self.now);
            if entries.is_empty() {
                return kinds.join(" ");
            }
            kinds.extend(entries.iter().map(|entry| entry.event.kind().as_str()));
            self.fold(entries);
        }
        panic!("time never comes to rest: {kinds:?}");
    }

    /// Folds what was decided; a fault here is a defect of the machine.
    pub fn fold(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            let hash = seal(self.sealed.len());
            if let Err(faults) = self.instance.apply(&entry, hash) {
                panic!(
                    "`check` refuses what `decide` returned: {faults:?}\n{entry:#?}\n{:#?}",
                    self.instance
                );
            }
            self.sealed.push((entry, hash));
        }
    }

    /// Gives one command, as the engine would: what is due comes first, and equal inputs give equal results.
    pub fn give(&mut self, actor: &Actor, command: Command) -> Step<'_> {
        if self.timer {
            self.tick();
        }
        let result = decide(&self.instance, actor, command.clone(), self.now);
        assert_eq!(result, decide(&self.instance, actor, command, self.now));
        if let Ok(decided) = &result {
            self.fold(decided.events.clone());
        }
        Step { world: self, result }
    }

    pub fn assign(&mut self) -> Step<'_> {
        let assignment = Assignment { executor: executor(), context: digest("handed over"), lease: secs(60) };
        self.give(&runner(), Command::Assign(assignment))
    }

    pub fn attach(&mut self, attempt: u32) -> Step<'_> {
        self.give(&runner(), Command::Attach { attempt: AttemptNo(attempt) })
    }

    pub fn ask_of(&self, action: &str, advice: Advice) -> Ask {
        let gate = Asked {
            id: gate(self.gates + 1),
            version: 1,
            action: digest(action),
            context: digest("context"),
            step: None,
        };
        Ask {
            attempt: self.instance.attempt,
            gate,
            grant: grant(self.grants + 1),
            grant_lifetime: secs(GRANT_LIFETIME),
            advice,
            mode: Mode::Enforce,
            consume: None,
        }
    }

    pub fn ask(&mut self, action: &str, advice: Advice) -> Step<'_> {
        let ask = self.ask_of(action, advice);
        self.ask_with(ask)
    }

    pub fn ask_with(&mut self, ask: Ask) -> Step<'_> {
        let names_gate = ask.mode == Mode::Enforce && ask.advice.policy.verdict == Verdict::RequireHuman;
        self.gates += u8::from(names_gate);
        self.grants += u8::from(!names_gate);
        self.give(&agent(), Command::Ask(Box::new(ask)))
    }

    /// What a human says at the newest gate, as it stands.
    pub fn ballot_of(&self, holds: &str, decision: DecisionKind, approved: Digest) -> Ballot {
        let open = self.instance.gate();
        Ballot {
            gate: open.map_or(gate(self.gates), |open| open.asked.id),
            gate_version: open.map_or(1, |open| open.asked.version),
            request_artifact_hash: open.map_or(seal(0), |open| open.opened_by),
            decision,
            asked: open.map_or(digest("refund 4800"), |open| open.asked.action),
            approved,
            display: digest("display"),
            role: role(holds),
            justification: Some(digest("because")),
            acts_for: None,
            delegation: None,
            break_glass: false,
            directory_entry: None,
            evidence: HumanEvidence::Operator,
            evidence_digest: None,
        }
    }

    pub fn says(&mut self, name: &str, ballot: Ballot) -> Step<'_> {
        let who = human(name, ballot.role.as_str());
        self.grants += 1;
        let terms = GrantTerms { id: grant(self.grants), expires_at: self.now.plus(secs(GRANT_LIFETIME)) };
        self.give(&who, Command::Decide(Box::new(Granted { ballot, grant: terms })))
    }

    pub fn approve(&mut self, name: &str, holds: &str) -> Step<'_> {
        let asked = self.ballot_of(holds, DecisionKind::Approve, digest("")).asked;
        self.says(name, self.ballot_of(holds, DecisionKind::Approve, asked))
    }

    pub fn reject(&mut self, name: &str, holds: &str) -> Step<'_> {
        let asked = self.ballot_of(holds, DecisionKind::Reject, digest("")).asked;
        self.says(name, self.ballot_of(holds, DecisionKind::Reject, asked))
    }

    pub fn change(&mut self, name: &str, holds: &str, to: &str) -> Step<'_> {
        self.says(name, self.ballot_of(holds, DecisionKind::Override, digest(to)))
    }

    pub fn extend(&mut self, who: &Actor, deadline: UnixMillis) -> Step<'_> {
        let (id, version) = match self.instance.gate() {
            Some(open) => (open.asked.id, open.asked.version),
            None => (gate(self.gates), 1),
        };
        self.give(who, Command::Extend { gate: id, gate_version: version, deadline })
    }

    pub fn consumer() -> Consumer {
        Consumer { executor: executor(), act_within: secs(30), governance_head: None, freeze_epoch: 0 }
    }

    /// The consumption of a grant for an action, under the policy in force.
    pub fn consumption_of(&self, id: u8, action: &str, advice: Advice) -> Consume {
        Consume {
            attempt: self.instance.attempt,
            grant: grant(id),
            action: digest(action),
            context: digest("context again"),
            under_gate: None,
            under_current: advice,
            consumer: Self::consumer(),
            gate: gate(self.gates + 1),
        }
    }

    pub fn consume(&mut self, id: u8, action: &str, advice: Advice) -> Step<'_> {
        let consume = self.consumption_of(id, action, advice);
        self.consume_with(consume)
    }

    pub fn consume_with(&mut self, consume: Consume) -> Step<'_> {
        self.gates += 1;
        self.give(&agent(), Command::Consume(Box::new(consume)))
    }

    pub fn report(&mut self, attempt: u32, id: u8, status: OutcomeStatus) -> Step<'_> {
        let outcome =
            Outcome { grant: Some(grant(id)), status, result: None, evidence: Vec::new(), cost: None };
        self.give(&agent(), Command::Report { attempt: AttemptNo(attempt), outcome })
    }

    /// What came of something that was only observed.
    pub fn report_shadow(&mut self) -> Step<'_> {
        let status = OutcomeStatus::Succeeded;
        let outcome = Outcome { grant: None, status, result: None, evidence: Vec::new(), cost: Some(12) };
        self.give(&agent(), Command::Report { attempt: self.instance.attempt, outcome })
    }

    pub fn reconcile(&mut self, id: u8, status: OutcomeStatus, next: NextStep) -> Step<'_> {
        let reconciled = Reconciled { grant: grant(id), status, next, justification: None };
        self.give(&admin(), Command::Reconcile(reconciled))
    }

    pub fn exit(&mut self, attempt: u32, status: i32) -> Step<'_> {
        let end = AttemptEnd::Exited(status);
        self.give(&runner(), Command::EndAttempt { attempt: AttemptNo(attempt), end, may_retry: true })
    }

    pub fn lose(&mut self, attempt: u32, may_retry: bool) -> Step<'_> {
        let end = AttemptEnd::Lost;
        self.give(&system(), Command::EndAttempt { attempt: AttemptNo(attempt), end, may_retry })
    }

    pub fn complete(&mut self, attempt: u32) -> Step<'_> {
        self.give(&agent(), Command::Complete { attempt: AttemptNo(attempt) })
    }

    pub fn cancel(&mut self) -> Step<'_> {
        self.give(&admin(), Command::Cancel)
    }

    pub fn withdraw(&mut self) -> Step<'_> {
        self.give(&agent(), Command::Withdraw)
    }

    pub fn state(&self) -> State {
        self.instance.state()
    }

    #[track_caller]
    pub fn is(&mut self, state: State) -> &mut Self {
        assert_eq!(self.state(), state);
        self
    }
}

/// What came of one command.
#[must_use = "say what the command must come to"]
pub struct Step<'w> {
    pub world: &'w mut World,
    pub result: Result<Decided, Refusal>,
}

impl<'w> Step<'w> {
    fn kinds(decided: &Decided) -> String {
        decided.events.iter().map(|entry| entry.event.kind().as_str()).collect::<Vec<_>>().join(" ")
    }

    /// Exactly these events, and no refusal.
    #[track_caller]
    pub fn seals(self, events: &str) -> &'w mut World {
        match &self.result {
            Ok(decided) => {
                assert_eq!((Self::kinds(decided).as_str(), &decided.refusal), (events, &None));
            }
            Err(refusal) => panic!("refused: {refusal}"),
        }
        self.world
    }

    /// Nothing was sealed.
    #[track_caller]
    pub fn refused(self, refusal: Refusal) {
        assert_eq!(self.result, Err(refusal));
    }

    /// Exactly these events, and a refusal all the same.
    #[track_caller]
    pub fn seals_and_refuses(self, events: &str, refusal: Refusal) {
        let decided = self.result.unwrap();
        assert_eq!((Self::kinds(&decided).as_str(), decided.refusal), (events, Some(refusal)));
    }
}

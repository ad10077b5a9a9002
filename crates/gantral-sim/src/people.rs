//! Who uses the servers: agents, a runner, approvers and an administrator, each with patience and without memory of which server it spoke to.

use std::future::Future;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_core::event::Actor;
use gantral_core::ids::{AttemptNo, GrantId, InstanceId, Name, TenantId, WorkflowId};
use gantral_core::json::{Profile, Value, parse};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::{DecisionKind, ExecutorKind, NextStep, OutcomeStatus};
use gantral_engine::{
    Answer, AskFacts, AskRequest, Call, DecisionRequest, Done, Engine, EngineError, Fresh, Handed,
    NewInstance, OutcomeReport, Reconciliation, RequestKey,
};
use gantral_evidence::governance::Scope;
use gantral_identity::Principal;
use gantral_store::{GateFilter, IdempotencyScope};
use gantral_testkit::workflows::{REFUND, read, refund};
use gantral_testkit::{AGENT, People, RUNNER};
use tokio::time::{sleep, timeout};

use crate::auditor::Auditor;
use crate::node::Node;
use crate::rng::Rng;
use crate::weather::{Mistake, Trouble, Weather};

/// How long a caller waits for an answer before it asks again.
const PATIENCE: Duration = Duration::from_secs(6);
/// How often a caller asks again, under the same key.
const TRIES: u32 = 12;

/// The route by which executions begin.
const CREATE: &str = "create";

/// Whom everybody knows. Only keys are drawn here, of which nothing is told.
static PEOPLE: LazyLock<People> = LazyLock::new(People::default);

/// The world as callers see it.
#[derive(Clone)]
pub struct Outside {
    pub(crate) rng: Rng,
    pub(crate) weather: Arc<Weather>,
    pub(crate) auditor: Auditor,
    pub(crate) nodes: Arc<Vec<Node>>,
    pub(crate) clock: crate::clock::TrueClock,
}

/// What an answer acknowledges.
trait Acknowledges {
    /// Returns the artifacts that the caller was told of.
    fn acknowledged(&self) -> Vec<(InstanceId, u64, Digest)>;
}

impl Acknowledges for Done {
    fn acknowledged(&self) -> Vec<(InstanceId, u64, Digest)> {
        self.receipts.iter().map(|receipt| (self.instance, receipt.sequence, receipt.hash)).collect()
    }
}

impl Acknowledges for (Done, Handed) {
    fn acknowledged(&self) -> Vec<(InstanceId, u64, Digest)> {
        self.0.acknowledged()
    }
}

impl Acknowledges for Option<gantral_engine::Task> {
    fn acknowledged(&self) -> Vec<(InstanceId, u64, Digest)> {
        let of = |task: &gantral_engine::Task| {
            let id = task.instance;
            task.chain.iter().map(|artifact| (id, artifact.sequence, artifact.hash)).collect()
        };
        self.as_ref().map(of).unwrap_or_default()
    }
}

/// What is only read, or acknowledged elsewhere.
struct Read<T>(T);

impl<T> Acknowledges for Read<T> {
    fn acknowledged(&self) -> Vec<(InstanceId, u64, Digest)> {
        Vec::new()
    }
}

/// What to go on with after a begun attempt.
struct Begun {
    attempt: AttemptNo,
    grant: Option<(GrantId, Value)>,
}

impl Outside {
    fn people(&self) -> &'static People {
        &PEOPLE
    }

    pub(crate) fn tenant() -> TenantId {
        PEOPLE.tenant()
    }

    /// Asks some server, and asks again until there is an answer that asking again does not change. `None` when patience ends.
    async fn rpc<T, F, W>(
        &self,
        who: Option<&Principal>,
        route: &str,
        run: F,
    ) -> Option<Result<T, EngineError>>
    where
        T: Acknowledges + Send + 'static,
        F: Fn(Engine, Call) -> W,
        W: Future<Output = Result<T, EngineError>> + Send + 'static,
    {
        let name = format!("{}-{}", route, self.rng.next());
        let key = who.map(|who| RequestKey {
            scope: IdempotencyScope {
                principal: who.client().clone(),
                attempt: who.attempt().map_or(AttemptNo::NONE, |scope| scope.attempt),
                route: route.to_owned(),
                key: name,
            },
            body: Digest::of(route.as_bytes()),
        });
        if route == CREATE {
            self.auditor.wants_another();
        }
        for _ in 0..TRIES {
            let mut first = None;
            for _ in 0..if self.weather.brings(Trouble::Twice) { 2 } else { 1 } {
                sleep(self.weather.delay()).await;
                let asked = self.ask(key.clone(), &run);
                first = first.or(asked);
            }
            let answer = match first {
                Some(answer) => timeout(PATIENCE, answer).await.ok().and_then(Result::ok),
                None => None,
            };
            sleep(self.weather.delay()).await;
            match answer {
                Some(Ok(done)) => {
                    done.acknowledged().into_iter().for_each(|(id, sequence, hash)| {
                        self.auditor.acknowledged(id, sequence, hash);
                    });
                    if !self.weather.brings(Trouble::Answer) {
                        return Some(Ok(done));
                    }
                    self.auditor.happened(&format!("the answer to {route} is lost"));
                }
                Some(Err(error)) if !may_be_asked_again(&error) => {
                    self.auditor.happened(&format!("{route}: {error}"));
                    if let EngineError::Damaged { what } = &error {
                        self.auditor.is_wrong(&format!("the ledger is said to be damaged: {what}"));
                    }
                    return Some(Err(error));
                }
                Some(Err(error)) => self.auditor.happened(&format!("{route} is asked again: {error}")),
                None => {}
            }
            sleep(self.rng.between(Duration::from_millis(50), Duration::from_millis(1_500))).await;
        }
        None
    }

    fn ask<T, F, W>(
        &self,
        key: Option<RequestKey>,
        run: &F,
    ) -> Option<tokio::sync::oneshot::Receiver<Result<T, EngineError>>>
    where
        T: Send + 'static,
        F: Fn(Engine, Call) -> W,
        W: Future<Output = Result<T, EngineError>> + Send + 'static,
    {
        let count = u64::try_from(self.nodes.len()).unwrap_or(1);
        let node = self.nodes.get(usize::try_from(self.rng.below(count)).unwrap_or_default())?;
        let engine = node.engine()?;
        let key = key.filter(|_| self.weather.mistake() != Some(Mistake::IgnoredKeys));
        let call = Call { now: node.clock.now(), fresh: Fresh::new(self.rng.bytes32()), key };
        Some(node.ask(run(engine, call)))
    }

    /// An agent that begins something new whenever it has ended the last.
    pub(crate) async fn agent(self, workflow: &'static str) {
        loop {
            self.clone().execution(workflow).await;
            sleep(self.rng.between(Duration::from_millis(100), Duration::from_secs(4))).await;
        }
    }

    /// An agent that executes itself: asks, waits for a human where it must, uses what it was granted, reports and ends.
    async fn execution(self, workflow: &'static str) {
        let me = self.people().requester(AGENT, self.clock.now());
        let principal = me.principal().clone();
        let by = Arc::new(me);
        let asked = Arc::clone(&by);
        let created = self.rpc(Some(&principal), CREATE, move |engine, call| {
            let by = Arc::clone(&asked);
            async move { engine.create(call, &by, new_instance(workflow)).await }
        });
        let Some(Ok(created)) = created.await else { return };
        let id = created.instance;
        for _ in 0..4 {
            let asked = Arc::clone(&by);
            let begun = self.rpc(Some(&principal), "begin", move |engine, call| {
                let by = Arc::clone(&asked);
                async move { engine.begin_self(call, &by, id).await }
            });
            let Some(Ok((done, handed))) = begun.await else { return };
            let Some(begun) = begun_with(&done, &handed.bytes) else { return };
            if !self.work(id, begun).await {
                return;
            }
            if !self.decided(id).await {
                return;
            }
        }
    }

    /// Executions that a runner is to carry out.
    pub(crate) async fn runs(self) {
        loop {
            let me = Arc::new(self.people().requester(AGENT, self.clock.now()));
            let principal = me.principal().clone();
            let created = self.rpc(Some(&principal), CREATE, move |engine, call| {
                let by = Arc::clone(&me);
                async move { engine.create(call, &by, new_instance("refund-run")).await }
            });
            created.await;
            sleep(self.rng.between(Duration::from_secs(2), Duration::from_secs(9))).await;
        }
    }

    /// A runner that takes whatever its queue has.
    pub(crate) async fn runner(self) {
        let queue = Name::parse("default").unwrap_or_else(|_| unreachable!("a constant name"));
        loop {
            let me = Arc::new(self.people().runner(RUNNER, self.clock.now()));
            let principal = me.principal().clone();
            let (by, from) = (Arc::clone(&me), queue.clone());
            let claimed = self.rpc(Some(&principal), "claim", move |engine, mut call| {
                let (by, from) = (Arc::clone(&by), from.clone());
                async move { engine.claim(&mut call, &by, &from).await }
            });
            if let Some(Ok(Some(task))) = claimed.await {
                let (id, attempt) = (task.instance, task.attempt);
                let by = Arc::clone(&me);
                let attached = self.rpc(Some(&principal), "attach", move |engine, call| {
                    let by = Arc::clone(&by);
                    async move { engine.attach(call, &by, id, attempt).await }
                });
                if let Some(Ok(_)) = attached.await {
                    let begun = Begun { attempt, grant: grant_in(&task.context.bytes) };
                    let waits = self.work(id, begun).await;
                    let by = Arc::clone(&me);
                    let status = if waits { 3 } else { 0 };
                    let ended = self.rpc(Some(&principal), "end", move |engine, call| {
                        let by = Arc::clone(&by);
                        async move { engine.end_attempt(call, &by, id, attempt, status).await }
                    });
                    ended.await;
                }
            }
            sleep(self.rng.between(Duration::from_millis(300), Duration::from_secs(2))).await;
        }
    }

    /// One attempt's work; returns whether humans must decide before another one goes on.
    async fn work(&self, id: InstanceId, begun: Begun) -> bool {
        let Begun { attempt, grant } = begun;
        let bearer = Arc::new(self.people().bearer(AGENT, id, attempt, self.clock.now()));
        let principal = bearer.principal().clone();
        let granted = match grant {
            Some(granted) => granted,
            None => {
                let amount = [480, 48_000, 480_000, 950_000]
                    .into_iter()
                    .nth(usize::try_from(self.rng.below(4)).unwrap_or(0))
                    .unwrap_or(480);
                let by = Arc::clone(&bearer);
                let asked = self.rpc(Some(&principal), "ask", move |engine, call| {
                    let by = Arc::clone(&by);
                    let request =
                        AskRequest { action: refund(amount), facts: AskFacts::default(), consume: None };
                    async move { engine.ask(call, &by, request).await }
                });
                match asked.await {
                    Some(Ok(Done { answer: Answer::Allowed { grant: Some(grant), .. }, .. })) => {
                        (grant, refund(amount))
                    }
                    Some(Ok(Done { answer: Answer::Waiting { .. }, .. })) => return true,
                    _ => return false,
                }
            }
        };
        let (grant, action) = granted;
        let by = Arc::clone(&bearer);
        let used = self.rpc(Some(&principal), "use", move |engine, call| {
            let (by, action) = (Arc::clone(&by), action.clone());
            async move { engine.consume(call, &by, grant, &action, ExecutorKind::SelfExecuted).await }
        });
        match used.await {
            Some(Ok(Done { answer: Answer::Consumed { .. }, .. })) => {}
            Some(Ok(Done { answer: Answer::Waiting { .. }, .. })) => return true,
            _ => return false,
        }
        // The action takes a while, and some agents are never heard of again.
        sleep(self.rng.between(Duration::ZERO, Duration::from_secs(2))).await;
        if self.weather.brings(Trouble::Agent) {
            return false;
        }
        let by = Arc::clone(&bearer);
        let reported = self.rpc(Some(&principal), "report", move |engine, call| {
            let by = Arc::clone(&by);
            let evidence = Vec::new();
            let status = OutcomeStatus::Succeeded;
            let report = OutcomeReport { grant: Some(grant), status, result: None, cost: None, evidence };
            async move { engine.report(call, &by, report).await }
        });
        reported.await;
        let by = Arc::clone(&bearer);
        let finished = self.rpc(Some(&principal), "finish", move |engine, call| {
            let by = Arc::clone(&by);
            async move { engine.finish(call, &by, true).await }
        });
        finished.await;
        false
    }

    /// Waits until humans have decided; returns whether another attempt may go on.
    async fn decided(&self, id: InstanceId) -> bool {
        loop {
            sleep(self.rng.between(Duration::from_secs(1), Duration::from_secs(4))).await;
            let seen = self.rpc(None, "look", move |engine, _| async move {
                engine.instance(&Self::tenant(), id).await.map(Read)
            });
            if let Some(Ok(Read(facts))) = seen.await {
                let state = facts.instance.state();
                if state.is_final() {
                    return false;
                }
                if state.grants() {
                    return true;
                }
            }
        }
    }

    /// An approver who looks into the inbox, and decides as chance will have it.
    pub(crate) async fn approver(self, name: &'static str) {
        loop {
            sleep(self.rng.between(Duration::from_secs(1), Duration::from_secs(6))).await;
            let seen = self.rpc(None, "inbox", move |engine, _| async move {
                let page =
                    engine.store().list_gates(&Self::tenant(), GateFilter::default(), None, 20).await?;
                Ok(Read(page.items))
            });
            let Some(Ok(Read(gates))) = seen.await else { continue };
            for gate in gates {
                let (decision, action) = match self.rng.below(10) {
                    0..=3 => (DecisionKind::Approve, None),
                    4 => (DecisionKind::Override, Some(refund(20_000))),
                    5 => (DecisionKind::Reject, None),
                    _ => continue,
                };
                let me = Arc::new(self.people().approver(name, self.clock.now()));
                let principal = me.principal().clone();
                let request = decide(decision, action, gate.gate.version);
                let id = gate.gate.id;
                let decided = self.rpc(Some(&principal), "decide", move |engine, call| {
                    let (by, request) = (Arc::clone(&me), request.clone());
                    async move { engine.decide_gate(call, &by, id, request).await }
                });
                decided.await;
            }
        }
    }

    /// An administrator who freezes and lifts, puts policies in force, and finds out what nobody knows.
    pub(crate) async fn administrator(self, policies: [PolicyVersionId; 2]) {
        loop {
            sleep(self.rng.between(Duration::from_secs(3), Duration::from_secs(12))).await;
            match self.rng.below(4) {
                0 => {
                    self.freeze(true).await;
                    sleep(self.rng.between(Duration::from_secs(1), Duration::from_secs(6))).await;
                    self.freeze(false).await;
                }
                1 => {
                    let policy = policies.into_iter().nth(usize::try_from(self.rng.below(2)).unwrap_or(0));
                    self.put_in_force(policy).await;
                }
                _ => self.reconcile().await,
            }
        }
    }

    pub(crate) async fn freeze(&self, frozen: bool) {
        let by = governor();
        let done = self.rpc(None, "freeze", move |engine, mut call| {
            let by = by.clone();
            async move {
                let tenant = Self::tenant();
                let ruled = engine.set_frozen(&mut call, &tenant, (&by).into(), &Scope::Tenant, frozen);
                ruled.await.map(Read)
            }
        });
        done.await;
    }

    pub(crate) async fn put_in_force(&self, policy: Option<PolicyVersionId>) {
        let by = governor();
        let done = self.rpc(None, "apply", move |engine, mut call| {
            let by = by.clone();
            async move {
                let tenant = Self::tenant();
                let applied = engine.apply_workflow(&tenant, read(REFUND), policy, (&by).into(), &mut call);
                applied.await.map(Read)
            }
        });
        done.await;
    }

    /// Settles every outcome that nobody knows.
    pub(crate) async fn reconcile(&self) {
        for id in self.auditor.instances() {
            let seen = self.rpc(None, "look", move |engine, _| async move {
                engine.instance(&Self::tenant(), id).await.map(Read)
            });
            let Some(Ok(Read(facts))) = seen.await else { continue };
            for grant in facts.instance.unknown_outcomes() {
                let me = Arc::new(self.people().administrator("dave", self.clock.now()));
                let principal = me.principal().clone();
                let next = if self.rng.permille(500) { NextStep::Continue } else { NextStep::Terminate };
                let found = Reconciliation {
                    grant,
                    status: OutcomeStatus::Succeeded,
                    next,
                    justification: "looked at the account".to_owned(),
                };
                let done = self.rpc(Some(&principal), "reconcile", move |engine, call| {
                    let (by, found) = (Arc::clone(&me), found.clone());
                    async move { engine.reconcile(call, &by, id, found).await }
                });
                done.await;
            }
        }
    }
}

/// Tells whether asking again may help: whatever is nobody's fault but the environment's.
fn may_be_asked_again(error: &EngineError) -> bool {
    use gantral_core::command::Refusal;
    matches!(
        error,
        EngineError::Store(_)
            | EngineError::Signer(_)
            | EngineError::Conflict
            | EngineError::Frozen
            | EngineError::Refused(Refusal::EvaluatorFailed { .. })
    )
}

/// Returns what an attempt begins with.
fn begun_with(done: &Done, handed: &[u8]) -> Option<Begun> {
    let Answer::Attempt { attempt, .. } = &done.answer else { return None };
    Some(Begun { attempt: *attempt, grant: grant_in(handed) })
}

/// Returns the grant that a document hands over, and the action as it was approved.
fn grant_in(document: &[u8]) -> Option<(GrantId, Value)> {
    let document = parse(document, &Profile::DOCUMENT).ok()?;
    let grant = document.get("grant")?;
    let id = GrantId::parse(grant.get("grant_id")?.as_str()?).ok()?;
    Some((id, grant.get("action")?.clone()))
}

fn new_instance(workflow: &str) -> NewInstance {
    NewInstance {
        workflow: WorkflowId::parse(workflow).unwrap_or_else(|_| unreachable!("a constant name")),
        version: None,
        session: None,
        trigger: None,
        input: Some(Value::from("order/7")),
        call: None,
        parent: None,
    }
}

fn decide(decision: DecisionKind, action: Option<Value>, gate_version: u32) -> DecisionRequest {
    DecisionRequest {
        decision,
        gate_version,
        role: None,
        action,
        justification: "as agreed".to_owned(),
        delegation: None,
        break_glass: false,
        seed: None,
        assertion: None,
    }
}

/// Returns the human who governs.
pub(crate) fn governor() -> Actor {
    use gantral_core::ids::{PersonId, Role};
    use gantral_core::state::ActorKind;
    let person = PersonId(Digest::of(b"governor"));
    let role = Role::parse("PLATFORM_ADMIN").ok();
    Actor {
        id: person.actor(),
        kind: ActorKind::Human,
        issuer: Some("https://issuer.example".to_owned()),
        role,
    }
}

//! Agents and approvers who go to any server, and to the next one where one does not answer.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gantral_api::client::{Client, ClientConfig, ClientError, TokenSource};
use gantral_api::wire::{
    Ask, Attach, AuthorityAnswer, Consume, ConsumeAnswer, CreateInstance, Decide, IdempotencyKey,
    InstanceList, InstanceView, ReportOutcome, ShowInstance, text,
};
use gantral_core::digest::Digest;
use gantral_evidence::verify::Verdict;
use gantral_verify::{BesidePaths, read_trust, verify_path};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::fleet::Fleet;

/// How long one step may take while servers come and go.
const PATIENCE: Duration = Duration::from_secs(60);
/// How many bundles are verified at once.
const VERIFIED_AT_ONCE: usize = 8;
/// How long a server may take to answer until the next one is asked, as one that can no longer reach the database is left: longer than a long poll.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);
const POLL: &str = "2s";
/// How long until a step is tried at the next server.
const PAUSE: Duration = Duration::from_millis(50);

/// Somebody who talks to all servers.
#[derive(Clone)]
pub struct Caller {
    clients: Arc<Vec<Client>>,
    next: Arc<AtomicUsize>,
}

/// A gate that waits, and the attempt that asked.
pub struct AtGate {
    pub id: text::InstanceId,
    pub gate: text::GateId,
    head: u64,
}

/// What was carried out, by all agents together.
#[derive(Default)]
pub struct Acted(Mutex<BTreeSet<String>>);

impl Acted {
    /// Notes that somebody may act by a grant.
    fn once(&self, grant: text::GrantId) {
        assert!(self.0.lock().unwrap().insert(grant.to_string()), "grant {grant} was consumed twice");
    }

    pub fn count(&self) -> usize {
        self.0.lock().unwrap().len()
    }
}

fn body<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_str(&value.to_string()).unwrap()
}

fn asking(amount: u64) -> Value {
    json!({"name": "refund", "target": "order/7", "parameters": {"amount": amount}})
}

fn key() -> IdempotencyKey {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let drawn =
        Digest::of(format!("{} {number} {:?}", std::process::id(), std::time::SystemTime::now()).as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&drawn.as_bytes()[..16]);
    IdempotencyKey::from_random(bytes)
}

/// Tells whether the next server, or this one in a moment, may answer better. The ledger of a server that was killed in the middle of a commit
/// may have it: the same key gets the same answer then.
fn passes(error: &ClientError) -> bool {
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => true,
        ClientError::Problem(problem) => {
            problem.code().status() >= 500 || problem.code().as_str() == "conflict"
        }
        ClientError::UnexpectedAnswer { .. }
        | ClientError::AnswerTooLarge { .. }
        | ClientError::Token { .. }
        | ClientError::Unsendable { .. } => false,
    }
}

impl Caller {
    /// Returns somebody with the token in a file.
    pub fn new(fleet: &Fleet, who: &str) -> Self {
        let token = std::fs::read_to_string(fleet.path(who)).unwrap();
        let client = |url: String| {
            let mut config = ClientConfig::new(url, TokenSource::Fixed(token.clone()));
            config.tries = 1;
            config.timeout = ANSWER_WITHIN;
            Client::new(config).unwrap()
        };
        let clients = fleet.urls().into_iter().map(client).collect();
        Self { clients: Arc::new(clients), next: Arc::default() }
    }

    /// Returns the same with another token.
    fn with(&self, token: &str) -> Self {
        let token = TokenSource::Fixed(token.to_owned());
        let clients = self.clients.iter().map(|client| client.with_token(token.clone())).collect();
        Self { clients: Arc::new(clients), next: Arc::clone(&self.next) }
    }

    /// Returns the client of one server.
    fn at(&self, number: usize) -> &Client {
        &self.clients[number]
    }

    /// Asks one server after another under one key, until one answers.
    async fn any<T, F>(&self, call: impl Fn(Client) -> F) -> Result<T, ClientError>
    where
        F: Future<Output = Result<T, ClientError>>,
    {
        let (key, began) = (key(), Instant::now());
        loop {
            let next = self.next.fetch_add(1, Ordering::Relaxed) % self.clients.len();
            match call(self.clients[next].with_key(key.clone())).await {
                Err(error) if passes(&error) && began.elapsed() < PATIENCE => tokio::time::sleep(PAUSE).await,
                answered => return answered,
            }
        }
    }

    async fn create(&self) -> text::InstanceId {
        let wanted: CreateInstance = body(json!({"workflow": "refund"}));
        self.any(|client| {
            let wanted = wanted.clone();
            async move { client.create_instance(&wanted).await }
        })
        .await
        .unwrap()
        .instance
        .instance_id
    }

    /// Lives as an agent: asks for what takes a human, waits, and carries out what was granted, once. Two of it try to use the grant up,
    /// each at servers of its own choice.
    pub async fn refund(&self, acted: &Acted) -> (text::InstanceId, &'static str) {
        let id = self.create().await;
        let attempt = self.attach(id).await;
        let asked: Ask = body(json!({"action": asking(4_800)}));
        let agent = self.with(&attempt.0);
        let answer = agent.any(|client| {
            let asked = asked.clone();
            async move { client.ask(id, &asked).await }
        });
        let AuthorityAnswer::RequireHuman(_) = answer.await.unwrap() else {
            panic!("{id} was not asked of a human")
        };
        let decided = self.wait(id).await;
        // Who looks later finds that it has ended.
        if matches!(&*decided.state.to_string(), "REJECTED" | "TERMINATED") {
            return (id, "TERMINATED");
        }
        let (token, grant) = self.attach(id).await;
        let (agent, grant) = (self.with(&token), grant.unwrap());
        let wanted: Consume = body(json!({"action": asking(4_800)}));
        let consume = || {
            agent.any(|client| {
                let wanted = wanted.clone();
                async move { client.consume(id, grant, &wanted).await }
            })
        };
        let (one, other) = tokio::join!(consume(), consume());
        for answer in [one, other] {
            match answer {
                Ok(ConsumeAnswer::Allow(_)) => acted.once(grant),
                Ok(_) => panic!("{id}: the policy changed its mind"),
                Err(error) => assert!(error.code().is_some(), "{id}: {error}"),
            }
        }
        let report: ReportOutcome = body(json!({"status": "SUCCEEDED"}));
        let reported = agent.any(|client| {
            let report = report.clone();
            async move { client.report_outcome(id, grant, &report).await }
        });
        reported.await.unwrap();
        agent.any(|client| async move { client.complete(id).await }).await.unwrap();
        (id, "COMPLETED")
    }

    async fn attach(&self, id: text::InstanceId) -> (String, Option<text::GrantId>) {
        let attached = self.any(|client| async move { client.attach(id, Attach::SelfRun).await }).await;
        let attached = attached.unwrap_or_else(|error| panic!("{id}: {error}"));
        (attached.token, attached.grant.map(|grant| grant.grant_id))
    }

    /// Waits until a gate is decided, by long polls at one server after another.
    async fn wait(&self, id: text::InstanceId) -> InstanceView {
        let mut after = None;
        let began = Instant::now();
        loop {
            let query: ShowInstance = body(json!({"wait": POLL}));
            let query = ShowInstance { after, ..query };
            let seen = self.any(|client| {
                let query = query.clone();
                async move { client.instance(id, &query).await }
            });
            let seen = seen.await.unwrap();
            if &*seen.state.to_string() != "WAITING_FOR_HUMAN" {
                return seen;
            }
            assert!(began.elapsed() < PATIENCE * 2, "nobody decided on {id}");
            after = Some(seen.head.sequence);
        }
    }

    /// Lives as an approver: decides whatever waits, until told to stop. Of eight one is rejected.
    pub async fn decide_all(&self, stop: Arc<std::sync::atomic::AtomicBool>) {
        while !stop.load(Ordering::Relaxed) {
            let page =
                self.any(|client| async move { client.gates(&body(json!({"limit": 100}))).await }).await;
            for gate in page.unwrap().items {
                let drawn = Digest::of(gate.gate_id.to_string().as_bytes());
                let rejects = drawn.as_bytes()[0].is_multiple_of(8);
                let said = decision(!rejects, gate.version);
                let decided = self.any(|client| {
                    let said = said.clone();
                    async move { client.decide(gate.gate_id, &said).await }
                });
                // Another approver may have been first.
                if let Err(error) = decided.await {
                    assert!(error.code().is_some(), "{error}");
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}

impl Caller {
    /// Returns every instance that has ended, as the servers list it, whatever its end.
    pub async fn ended(&self) -> Vec<(text::InstanceId, &'static str)> {
        let mut ended = Vec::new();
        for state in ["COMPLETED", "TERMINATED"] {
            let mut cursor: Option<String> = None;
            loop {
                let query: InstanceList = body(json!({"state": state, "limit": 200, "cursor": cursor}));
                let page = self.any(|client| {
                    let query = query.clone();
                    async move { client.instances(&query).await }
                });
                let page = page.await.unwrap();
                ended.extend(page.items.into_iter().map(|instance| (instance.instance_id, state)));
                cursor = page.next.map(|next| next.to_string());
                if cursor.is_none() {
                    break;
                }
            }
        }
        ended
    }

    /// Demands of each instance that a server shows it in its state, and that its bundle is valid for whoever pinned the key in
    /// `trust.json` of the folder.
    pub async fn verify_all(&self, all: Vec<(text::InstanceId, &'static str)>, folder: &Path) {
        let trust = Arc::new(read_trust(&folder.join("trust.json")).unwrap());
        let (mut under_way, places) = (JoinSet::new(), Arc::new(Semaphore::new(VERIFIED_AT_ONCE)));
        for (id, state) in all {
            let (auditor, trust, path) = (self.clone(), Arc::clone(&trust), folder.join(format!("{id}.all")));
            let place = Arc::clone(&places).acquire_owned().await.unwrap();
            under_way.spawn(async move {
                let seen =
                    auditor.any(|client| async move { client.instance(id, &ShowInstance::default()).await });
                let seen = seen.await.unwrap();
                assert_eq!(&*seen.state.to_string(), state, "{id}");
                // All deadlines are far away: who was refused was refused by somebody.
                let cause = seen.cause.map(|cause| cause.to_string());
                assert!(state == "COMPLETED" || cause.as_deref() == Some("rejected"), "{id}: {cause:?}");
                let bundle = auditor.any(|client| async move { client.evidence(id).await }).await.unwrap();
                let verified = tokio::task::spawn_blocking(move || {
                    std::fs::write(&path, bundle).unwrap();
                    let report = verify_path(&path, Some(&trust), &BesidePaths::default(), None).unwrap();
                    std::fs::remove_file(&path).unwrap();
                    report
                });
                let report = verified.await.unwrap();
                assert_eq!(report.verdict, Verdict::Valid, "{id}: {report:?}");
                drop(place);
            });
        }
        while let Some(verified) = under_way.join_next().await {
            verified.unwrap();
        }
    }
}

fn decision(approve: bool, version: u32) -> Decide {
    let word = if approve { "APPROVE" } else { "REJECT" };
    body(json!({"decision": word, "gate_version": version, "justification": "seen and found in order"}))
}

/// Callers for tests that go step by step.
pub struct Crowd {
    runtime: Runtime,
    agent: Caller,
    approver: Caller,
}

impl Crowd {
    pub fn new(fleet: &Fleet) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        Self { runtime, agent: Caller::new(fleet, "refund-agent"), approver: Caller::new(fleet, "rita") }
    }

    /// Asks a server for a new instance, and returns its answer or the code of its refusal.
    pub fn answer(&mut self, number: usize, amount: u64) -> String {
        let client = self.agent.at(number).clone();
        let asked = async {
            let wanted: CreateInstance = body(json!({"workflow": "refund"}));
            let id = client.create_instance(&wanted).await?.instance.instance_id;
            let token = client.attach(id, Attach::SelfRun).await?.token;
            let asked: Ask = body(json!({"action": asking(amount)}));
            client.with_token(TokenSource::Fixed(token)).ask(id, &asked).await
        };
        match self.runtime.block_on(asked) {
            Ok(AuthorityAnswer::Allow(_)) => "ALLOW".to_owned(),
            Ok(AuthorityAnswer::RequireHuman(_)) => "REQUIRE_HUMAN".to_owned(),
            Ok(AuthorityAnswer::Deny(_)) => "DENY".to_owned(),
            Err(error) => error.code().unwrap_or_else(|| panic!("{error}")).as_str().to_owned(),
        }
    }

    /// Lets so many attempts, begun at one server after another, ask for what costs so much, all at once, and returns what each was answered.
    pub fn spend_at_once(&mut self, count: usize, cost: u64) -> Vec<String> {
        let agent = self.agent.clone();
        self.runtime.block_on(async move {
            let mut attempts = Vec::with_capacity(count);
            for _ in 0..count {
                let id = agent.create().await;
                attempts.push((id, agent.with(&agent.attach(id).await.0)));
            }
            let mut asks = JoinSet::new();
            for (id, attempt) in attempts {
                let wanted: Ask = body(json!({"action": asking(50), "consume": true, "cost_estimate": cost}));
                asks.spawn(async move {
                    let answer = attempt.any(|client| {
                        let wanted = wanted.clone();
                        async move { client.ask(id, &wanted).await }
                    });
                    match answer.await {
                        Ok(AuthorityAnswer::Allow(_)) => "ALLOW".to_owned(),
                        Ok(AuthorityAnswer::RequireHuman(_)) => "REQUIRE_HUMAN".to_owned(),
                        Ok(AuthorityAnswer::Deny(_)) => "DENY".to_owned(),
                        Err(error) => error.to_string(),
                    }
                });
            }
            asks.join_all().await
        })
    }

    /// Creates so many instances at one server after another, all at once, and returns `made` or the code of the refusal for each.
    pub fn create_at_once(&mut self, count: usize) -> Vec<String> {
        let agent = self.agent.clone();
        self.runtime.block_on(async move {
            let mut made = JoinSet::new();
            for _ in 0..count {
                let agent = agent.clone();
                made.spawn(async move {
                    let wanted: CreateInstance = body(json!({"workflow": "refund"}));
                    let answer = agent.any(|client| {
                        let wanted = wanted.clone();
                        async move { client.create_instance(&wanted).await }
                    });
                    match answer.await {
                        Ok(_) => "made".to_owned(),
                        Err(error) => {
                            error.code().map_or_else(|| error.to_string(), |code| code.as_str().to_owned())
                        }
                    }
                });
            }
            made.join_all().await
        })
    }

    /// Returns what a server tells Prometheus.
    pub fn metrics(&mut self, number: usize) -> String {
        let client = self.agent.at(number).clone();
        self.runtime.block_on(async move { String::from_utf8(client.metrics().await.unwrap()).unwrap() })
    }

    /// Brings an instance to a gate, all of it at one server.
    pub fn at_gate(&mut self, number: usize) -> AtGate {
        let client = self.agent.at(number).clone();
        let asked = async {
            let wanted: CreateInstance = body(json!({"workflow": "refund"}));
            let id = client.create_instance(&wanted).await.unwrap().instance.instance_id;
            let token = client.attach(id, Attach::SelfRun).await.unwrap().token;
            let asked: Ask = body(json!({"action": asking(4_800)}));
            let agent = client.with_token(TokenSource::Fixed(token));
            let AuthorityAnswer::RequireHuman(waiting) = agent.ask(id, &asked).await.unwrap() else {
                panic!("{id} does not wait")
            };
            let seen = client.instance(id, &ShowInstance::default()).await.unwrap();
            AtGate { id, gate: waiting.gate_id, head: seen.head.sequence }
        };
        self.runtime.block_on(asked)
    }

    /// Begins a long poll at a server for what comes after the gate.
    pub fn poll(&mut self, number: usize, at: &AtGate, wait: Duration) -> JoinHandle<String> {
        let client = self.agent.at(number).clone();
        let query: ShowInstance = body(json!({"wait": format!("{}s", wait.as_secs())}));
        let (id, query) = (at.id, ShowInstance { after: Some(at.head), ..query });
        self.runtime.spawn(async move { client.instance(id, &query).await.unwrap().state.to_string() })
    }

    pub fn join<T>(&mut self, handle: &mut JoinHandle<T>) -> T {
        self.runtime.block_on(handle).unwrap()
    }

    /// Decides at a server.
    pub fn decide(&mut self, number: usize, at: &AtGate, approve: bool) {
        let client = self.approver.at(number).clone();
        let decided = async {
            let gate = client.gate(at.gate).await?;
            client.decide(at.gate, &decision(approve, gate.version)).await
        };
        self.runtime.block_on(decided).unwrap();
    }

    /// Returns the code with which a server refuses a write.
    pub fn refusal(&mut self, number: usize) -> String {
        self.answer(number, 50)
    }
}

//! An outbox with messages in it, and couriers that carry them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, GateId, InstanceId, Name, Role, TeamId, TenantId, WorkflowId};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_notify::{
    Channel, ChannelConfig, Couriers, Format, Member, Now, Pace, Road, Shown, Unread, Way, Webhook,
    WebhookConfig,
};
use gantral_store::{
    Append, AppendOutcome, Duties, Effect, GateRow, Head, Holder, InstanceIndex, ModeCode, NewArtifact,
    OutboxCount, SealedArtifact, StateCode, Store, Tell,
};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Under which URL the server says that it is reached.
pub const SOURCE: &str = "https://gantral.invalid";
/// The secret of every receiver.
pub const SECRET: [u8; 32] = [9; 32];
/// How a configuration names it.
const SECRET_TEXT: &str = "whsec_CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk=";

/// A store, a clock, and couriers that run or do not.
pub struct Office {
    pub store: Store,
    pub clock: Arc<AtomicU64>,
    /// What every message may show; `None` while that cannot be read.
    pub members: Arc<Mutex<Option<Vec<Member>>>>,
    couriers: Couriers,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
    _folder: Option<TempDir>,
}

/// One gate, and the head of the chain of its instance.
pub struct Gate {
    pub id: GateId,
    instance: InstanceId,
    head: Option<Head>,
}

impl Office {
    /// Makes an office for webhooks of these names and addresses.
    pub fn new(webhooks: &[(&str, &str)]) -> Self {
        Self::with(webhooks, Duration::from_secs(10))
    }

    /// The same, with so long to wait for an answer.
    pub fn with(webhooks: &[(&str, &str)], timeout: Duration) -> Self {
        Self::of(couriers(webhooks, timeout))
    }

    /// Makes an office with these couriers.
    pub fn of(couriers: Couriers) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open_sqlite(&folder.path().join("ledger.db")).unwrap();
        Self { _folder: Some(folder), ..Self::upon(store, couriers) }
    }

    /// Makes an office with these couriers upon a store that others have too.
    pub fn upon(store: Store, couriers: Couriers) -> Self {
        let clock = Arc::new(AtomicU64::new(1_767_225_600_000));
        let members = Arc::new(Mutex::new(Some(Vec::new())));
        Self { store, clock, members, couriers, running: None, _folder: None }
    }

    pub fn now(&self) -> UnixMillis {
        UnixMillis::new(self.clock.load(Ordering::SeqCst)).unwrap()
    }

    pub fn advance(&self, seconds: u64) {
        self.clock.fetch_add(seconds * 1_000, Ordering::SeqCst);
    }

    /// Starts to carry.
    pub fn start(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let (couriers, store, clock) = (self.couriers.clone(), self.store.clone(), Arc::clone(&self.clock));
        let now: Now = Arc::new(move || UnixMillis::new(clock.load(Ordering::SeqCst)).unwrap());
        let members = Arc::clone(&self.members);
        let shown: Shown = Arc::new(move |_, _| {
            let members = members.lock().unwrap().clone();
            Box::pin(async move { members.ok_or_else(|| Unread("away".to_owned())) })
        });
        let holder = holder();
        let task = tokio::spawn(async move {
            let duties = Duties::new(store.clone(), holder);
            let road = Road { store: &store, duties: &duties, source: SOURCE, now, shown };
            couriers.run(road, || true, async { _ = stopped.await }).await;
        });
        self.running = Some((stop, task));
    }

    /// Ends as a process does that is killed: what is under way is never noted, and nothing is given back.
    pub async fn kill(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        task.abort();
        assert!(task.await.unwrap_err().is_cancelled());
        drop(stop);
    }

    /// Stops in the middle of whatever is under way.
    pub async fn stop(&mut self) {
        let (stop, task) = self.running.take().unwrap();
        stop.send(()).unwrap();
        task.await.unwrap();
    }

    /// Carries with these couriers from now on, which remember nothing.
    pub async fn restart_with(&mut self, couriers: Couriers) {
        if self.running.is_some() {
            self.stop().await;
        }
        self.couriers = couriers;
        self.start();
    }

    /// Closes a gate, and tells these channels.
    pub async fn close(&self, gate: &mut Gate, resolution: &str, kind: &str, to: &[&str]) {
        let (id, resolution) = (gate.id, Name::parse(resolution).unwrap());
        let close = Effect::CloseGate { id, resolution, decided_by: None, at: self.now() };
        self.append(gate, vec![close], kind, to).await;
    }

    /// Carries with new couriers, which remember nothing, to webhooks of the same names.
    pub async fn restart(&mut self, webhooks: &[(&str, &str)]) {
        self.restart_with(couriers(webhooks, Duration::from_secs(10))).await;
    }

    pub async fn counts(&self, recipient: &str) -> Option<OutboxCount> {
        let counts = self.store.outbox_counts().await.unwrap();
        counts.into_iter().find(|count| count.recipient.as_str() == recipient)
    }

    /// Opens a gate and tells these webhooks.
    pub async fn open(&self, number: u64, to: &[&str]) -> Gate {
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&Digest::of(&number.to_be_bytes()).as_bytes()[..16]);
        let mut gate =
            Gate { id: GateId::from_random(bytes), instance: InstanceId::from_random(bytes), head: None };
        let row = GateRow {
            id: gate.id,
            version: 1,
            workflow: WorkflowId::parse("refund").unwrap(),
            team: TeamId::parse("payments").unwrap(),
            roles: vec![Role::parse("FINANCE_LEAD").unwrap()],
            action_name: Name::parse("refund").unwrap(),
            deadline: self.now().plus(DurationMs::from_secs(3_600)),
            opened_at: self.now(),
            context: Digest::of(b"context"),
        };
        self.append(&mut gate, vec![Effect::OpenGate(row)], "gate.opened", to).await;
        gate
    }

    /// Tells these webhooks something of a gate.
    pub async fn tell(&self, gate: &mut Gate, kind: &str, to: &[&str]) {
        self.append(gate, Vec::new(), kind, to).await;
    }

    async fn append(&self, gate: &mut Gate, mut effects: Vec<Effect>, kind: &str, to: &[&str]) {
        let to = to.iter().map(|name| Name::parse(name).unwrap().into()).collect();
        let kind = Name::parse(kind).unwrap();
        effects.push(Effect::Tell(Tell { gate: gate.id, kind, percent: None, at: self.now(), to }));
        let sequence = gate.head.map_or(0, |head| head.sequence + 1);
        let envelope = format!("{} {sequence}", gate.id).into_bytes();
        let sealed = SealedArtifact { sequence, hash: Digest::of(&envelope), envelope };
        let append = Append {
            tenant: TenantId::parse("acme").unwrap(),
            instance: gate.instance,
            expected: gate.head,
            artifacts: vec![NewArtifact { sealed, ends_chain: false, signer: *b"a signer" }],
            index: index(self.now()),
            guards: Vec::new(),
            effects,
            idempotency: None,
        };
        let head = append.head();
        assert_eq!(self.store.append(append).await.unwrap(), AppendOutcome::Committed);
        gate.head = head;
    }
}

/// Returns whoever starts next.
fn holder() -> Holder {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes());
    Holder::from_random(bytes)
}

pub fn couriers(webhooks: &[(&str, &str)], timeout: Duration) -> Couriers {
    let one = |(name, url): &(&str, &str)| channel(name, webhook(url, Format::CloudEvents, timeout));
    Couriers::new(webhooks.iter().map(one).collect())
}

/// Returns a webhook. The address of a chat is a reference.
pub fn webhook(url: &str, format: Format, timeout: Duration) -> Webhook {
    let is_chat = format != Format::CloudEvents;
    let secrets = ["env:NEXT", "env:HOOK"].map(str::to_owned);
    let config = WebhookConfig {
        format,
        url: if is_chat { "env:URL".to_owned() } else { url.to_owned() },
        secrets: if is_chat { Vec::new() } else { secrets.to_vec() },
        ca_file: None,
        timeout,
    };
    let next = SECRET_TEXT.replace("CQkJ", "AAAA");
    let of = |name: &str| match name {
        "HOOK" => Some(SECRET_TEXT.into()),
        "NEXT" => Some(next.clone().into()),
        _ => Some(url.into()),
    };
    Webhook::new(config, of).unwrap()
}

/// Returns a channel that is told of each message and tries for an hour.
pub fn channel(name: &str, way: impl Into<Way>) -> Channel {
    paced(name, Pace::Each, way)
}

/// The same, told this often.
pub fn paced(name: &str, pace: Pace, way: impl Into<Way>) -> Channel {
    let config = ChannelConfig {
        name: Name::parse(name).unwrap(),
        tenant: TenantId::parse("acme").unwrap(),
        retry_for: DurationMs::from_secs(3_600),
        pace,
    };
    Channel::new(config, way)
}

fn index(at: UnixMillis) -> InstanceIndex {
    InstanceIndex {
        state: StateCode(0),
        mode: ModeCode(1),
        team: TeamId::parse("payments").unwrap(),
        workflow: WorkflowId::parse("refund").unwrap(),
        workflow_version: Digest::of(b"refund@1"),
        session: None,
        created_by: ActorId::parse("agent").unwrap(),
        created_at: at,
        waiting_since: None,
        due_at: None,
        call_key: None,
        open: true,
    }
}

//! Small chains to append to.

use std::sync::atomic::{AtomicU64, Ordering};

use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::ids::{
    ActorId, AttemptNo, GateId, GrantId, InstanceId, Name, ProposalId, Role, TeamId, TenantId, WorkflowId,
};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_store::{
    Append, AppendOutcome, Duty, DutyTaken, Effect, GateRow, GovernanceAppend, GovernanceEffect,
    GovernanceOutcome, Guard, Head, Held, Holder, IdempotencyRow, IdempotencyScope, InstanceIndex, LEASE,
    LogClaim, ModeCode, NewArtifact, NewProposal, PolicySignature, SealedArtifact, StateCode, Store,
    StoreError, Tell, WorkflowRow,
};

/// The first bytes of the id of the key that signs here.
pub const SIGNER: [u8; 8] = *b"a signer";

pub fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

pub fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

pub fn actor(name: &str) -> ActorId {
    ActorId::parse(name).unwrap()
}

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

pub fn team(text: &str) -> TeamId {
    TeamId::parse(text).unwrap()
}

pub fn role(text: &str) -> Role {
    Role::parse(text).unwrap()
}

pub fn workflow(text: &str) -> WorkflowId {
    WorkflowId::parse(text).unwrap()
}

/// Returns sixteen bytes that no other call returns.
pub fn fresh() -> [u8; 16] {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let mut bytes = [0; 16];
    bytes[..16]
        .copy_from_slice(&Digest::of(&NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes()).as_bytes()[..16]);
    bytes
}

pub fn instance() -> InstanceId {
    InstanceId::from_random(fresh())
}

pub fn grant() -> GrantId {
    GrantId::from_random(fresh())
}

pub fn gate() -> GateId {
    GateId::from_random(fresh())
}

/// One instance as a caller sees it: its head, and the columns that the next append carries.
#[derive(Debug, Clone)]
pub struct Chain {
    pub tenant: TenantId,
    pub id: InstanceId,
    pub head: Option<Head>,
    pub index: InstanceIndex,
}

impl Chain {
    pub fn new(tenant: &TenantId) -> Self {
        let index = InstanceIndex {
            state: StateCode(0),
            mode: ModeCode(1),
            team: team("payments"),
            workflow: workflow("refund"),
            workflow_version: Digest::of(b"refund@1"),
            session: None,
            created_by: actor("agent"),
            created_at: at(1_000),
            waiting_since: None,
            due_at: None,
            call_key: None,
            open: true,
        };
        Self { tenant: tenant.clone(), id: instance(), head: None, index }
    }

    /// Returns an append of `count` artifacts that follow the head.
    pub fn append_of(&self, count: u64) -> Append {
        let first = self.head.map_or(0, |head| head.sequence + 1);
        let artifacts = (first..first + count)
            .map(|sequence| {
                let envelope = format!("{} {sequence}", self.id).into_bytes();
                let sealed = SealedArtifact { sequence, hash: Digest::of(&envelope), envelope };
                NewArtifact { sealed, ends_chain: false, signer: SIGNER }
            })
            .collect();
        Append {
            tenant: self.tenant.clone(),
            instance: self.id,
            expected: self.head,
            artifacts,
            index: self.index.clone(),
            guards: Vec::new(),
            effects: Vec::new(),
            idempotency: None,
        }
    }

    pub fn append(&self) -> Append {
        self.append_of(1)
    }

    pub fn guarded(&self, guard: Guard) -> Append {
        Append { guards: vec![guard], ..self.append() }
    }

    pub fn with(&self, effects: Vec<Effect>) -> Append {
        Append { effects, ..self.append() }
    }

    /// Appends one artifact with effects and expects it to be committed.
    pub async fn commit(&mut self, store: &Store, effects: Vec<Effect>) {
        let append = self.with(effects);
        self.committed(store, append).await;
    }

    /// Expects an append to be committed.
    pub async fn committed(&mut self, store: &Store, append: Append) {
        let head = append.head();
        assert_eq!(store.append(append).await.unwrap(), AppendOutcome::Committed);
        self.head = head;
    }

    /// Expects that the store has exactly this chain and nothing more.
    pub async fn stands(&self, store: &Store) {
        let row = store.instance(&self.tenant, self.id).await.unwrap();
        assert_eq!(row.map(|row| row.head), self.head);
        let chain = store.chain(&self.tenant, self.id, 0, 1_000).await.unwrap();
        assert_eq!(chain.len() as u64, self.head.map_or(0, |head| head.sequence + 1));
        assert_eq!(chain.last().map(SealedArtifact::head), self.head);
    }
}

pub fn gate_row(id: GateId, roles: &[&str], deadline: u64) -> GateRow {
    GateRow {
        id,
        version: 1,
        workflow: workflow("refund"),
        team: team("payments"),
        roles: roles.iter().map(|text| role(text)).collect(),
        action_name: name("refund.create"),
        deadline: at(deadline),
        opened_at: at(1_000),
        context: Digest::of(b"context"),
    }
}

/// Returns the effect that tells these recipients of a gate.
pub fn tell(gate: GateId, kind: &str, to: &[&str]) -> Effect {
    let to = to.iter().map(|text| name(text).into()).collect();
    Effect::Tell(Tell { gate, kind: name(kind), percent: None, at: at(1_000), to })
}

pub fn snapshot_effect(plaintext: &[u8]) -> (Digest, Effect) {
    let salt = Salt::from_bytes(*Digest::of(plaintext).as_bytes());
    let label = CommitmentLabel::Context;
    let commitment = commit(label, &salt, plaintext);
    (commitment, Effect::PutSnapshot { commitment, label, salt, plaintext: plaintext.to_vec() })
}

pub fn scope(key: &str) -> IdempotencyScope {
    IdempotencyScope {
        principal: actor("agent"),
        attempt: AttemptNo(1),
        route: "POST /v1/instances".to_owned(),
        key: key.to_owned(),
    }
}

pub fn idempotency(key: &str, body: &[u8]) -> IdempotencyRow {
    IdempotencyRow {
        scope: scope(key),
        body: Digest::of(body),
        status: 201,
        answer: b"{}".to_vec(),
        now: at(1_000),
        expires_at: at(90_000),
    }
}

/// Appends one artifact with these effects to the governance chain of a tenant, whatever its head is.
pub async fn govern(
    store: &Store,
    tenant: &TenantId,
    effects: Vec<GovernanceEffect>,
) -> Result<GovernanceOutcome, StoreError> {
    let expected = store.governance_head(tenant).await.unwrap();
    let sequence = expected.map_or(0, |head| head.sequence + 1);
    let envelope = format!("{tenant} {sequence} {effects:?}").into_bytes();
    let artifact = SealedArtifact { sequence, hash: Digest::of(&envelope), envelope };
    let append = GovernanceAppend { tenant: tenant.clone(), expected, artifact, signer: SIGNER, effects };
    store.append_governance(append).await
}

/// Expects an artifact to be committed, and returns its hash.
pub async fn governed(
    store: &Store,
    tenant: &TenantId,
    effect: impl Into<Option<GovernanceEffect>>,
) -> Option<Digest> {
    let effects = effect.into().into_iter().collect();
    assert_eq!(govern(store, tenant, effects).await.unwrap(), GovernanceOutcome::Committed);
    store.governance_head(tenant).await.unwrap().map(|head| head.hash)
}

/// Returns the effect that keeps why a rule was changed, and its commitment.
pub fn reason(text: &str) -> (Digest, GovernanceEffect) {
    let (label, salt) = (CommitmentLabel::Justification, Salt::from_bytes([7; 32]));
    let commitment = commit(label, &salt, text.as_bytes());
    let plaintext = text.as_bytes().to_vec();
    (commitment, GovernanceEffect::PutSnapshot { commitment, label, salt, plaintext })
}

pub fn erasure(instance: InstanceId, commitment: Digest, millis: u64) -> GovernanceEffect {
    GovernanceEffect::EraseSnapshot { instance: Some(instance), commitment, at: at(millis) }
}

/// Puts one of each of what never changes, beside artifacts of instances.
pub async fn put_one_of_each(store: &Store, tenant: &TenantId) {
    let definition = WorkflowRow {
        id: workflow("refund"),
        version: name("1"),
        digest: Digest::of(b"d"),
        team: team("payments"),
        definition: b"d".to_vec(),
        created_at: at(1),
    };
    store.put_workflow(tenant, definition).await.unwrap();
    let version = PolicyVersionId(Digest::of(b"p"));
    let by =
        PolicySignature { key: "k".to_owned(), algorithm: "ES256".to_owned(), scope: None, pinned: true };
    store.put_signed_policy_bundle(tenant, version, b"p".to_vec(), by, at(1)).await.unwrap();
    governed(store, tenant, reason("why").1).await;
    let proposal = NewProposal {
        tenant: tenant.clone(),
        id: ProposalId::from_random([1; 16]),
        same: Digest::of(b"s"),
        proposer: ActorId::parse("bob").unwrap(),
        body: b"b".to_vec(),
        reason: None,
        at: at(1),
        expires_at: at(2),
        tell: None,
    };
    store.put_proposal(proposal, 1).await.unwrap();
}

/// Takes a duty for whoever does everything in a test, and expects to get it.
pub async fn on_duty(store: &Store, duty: Duty) -> Held {
    let taken = store.take_duty(&duty, Holder::from_random([1; 16]), LEASE).await.unwrap();
    let DutyTaken::Held(held) = taken else { panic!("{taken:?}") };
    held
}

/// Takes the duty of carrying messages to a recipient.
pub async fn courier(store: &Store, recipient: &str) -> Held {
    on_duty(store, Duty::Courier(name(recipient))).await
}

/// Claims the logs.
pub async fn claim(store: &Store) -> LogClaim {
    let held = on_duty(store, Duty::Logs).await;
    store.claim_logs(&held).await.unwrap().unwrap()
}

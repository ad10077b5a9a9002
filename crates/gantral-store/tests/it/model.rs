//! Random appends, compared with a model that a reader can check by eye.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use gantral_core::digest::Digest;
use gantral_core::ids::AttemptNo;
use gantral_store::{
    Append, AppendOutcome, Effect, Guard, Head, IdempotencyAnswer, SealedArtifact, StateCode, Store,
};
use gantral_testkit::cluster::shared;
use proptest::prelude::*;

use crate::world::{Chain, at, governed, grant, idempotency, tenant};

/// Which head the caller believes in.
#[derive(Debug, Clone, Copy)]
enum Belief {
    Right,
    OneBehind,
    OtherHash,
}

#[derive(Debug, Clone)]
enum Op {
    Append {
        chain: usize,
        belief: Belief,
        count: u64,
        state: u8,
        open: bool,
        grant: Grant,
        key: Option<(u8, u8)>,
    },
    Govern {
        tenant: usize,
    },
    Reopen,
}

#[derive(Debug, Clone, Copy)]
enum Grant {
    Leave,
    Put,
    Consume,
}

fn op() -> impl Strategy<Value = Op> {
    let belief =
        prop_oneof![6 => Just(Belief::Right), 1 => Just(Belief::OneBehind), 1 => Just(Belief::OtherHash)];
    let grant = prop_oneof![Just(Grant::Leave), Just(Grant::Put), Just(Grant::Consume)];
    let key = prop::option::weighted(0.3, (0..4u8, 0..2u8));
    let append = (0..4usize, belief, 1..4u64, 0..9u8, any::<bool>(), grant, key).prop_map(
        |(chain, belief, count, state, open, grant, key)| Op::Append {
            chain,
            belief,
            count,
            state,
            open,
            grant,
            key,
        },
    );
    prop_oneof![20 => append, 1 => (0..2usize).prop_map(|tenant| Op::Govern { tenant }), 1 => Just(Op::Reopen)]
}

/// What must stand.
struct Model {
    chains: Vec<(Chain, Vec<SealedArtifact>)>,
    /// Whether the grant of a chain was made, and consumed.
    grants: Vec<Option<bool>>,
    /// The heads of the governance chains.
    heads: [Option<Digest>; 2],
    /// What the appender believes them to be; it learns a new one from its first refusal.
    believed: [Option<Digest>; 2],
    keys: BTreeMap<(usize, u8), (u8, IdempotencyAnswer)>,
}

impl Model {
    /// Answers an append as the store must, and keeps what it commits.
    fn append(&mut self, index: usize, append: &Append, key: Option<(u8, u8)>) -> AppendOutcome {
        let owner = index % 2;
        if let Some((body, answer)) = key.and_then(|(key, _)| self.keys.get(&(owner, key))) {
            let same = key.is_some_and(|(_, sent)| sent == *body);
            return if same { AppendOutcome::Replayed(answer.clone()) } else { AppendOutcome::KeyReused };
        }
        let (chain, artifacts) = &mut self.chains[index];
        if append.expected != chain.head {
            return AppendOutcome::Moved(chain.head);
        }
        if let Some(guard @ Guard::GovernanceHead(head)) = append.guards.first()
            && *head != self.heads[owner]
        {
            return AppendOutcome::GuardFailed(guard.clone());
        }
        if let Some(Effect::ConsumeGrant { id, .. }) = append.effects.first() {
            if self.grants[index] != Some(false) {
                return AppendOutcome::GuardFailed(Guard::GrantUnconsumed(*id));
            }
            self.grants[index] = Some(true);
        }
        if let Some(Effect::PutGrant { .. }) = append.effects.first() {
            self.grants[index] = Some(false);
        }
        if let (Some(key), Some(first), Some(head)) = (key, append.artifacts.first(), append.head()) {
            let answer = IdempotencyAnswer {
                instance: append.instance,
                first_sequence: first.sealed.sequence,
                last_sequence: head.sequence,
                status: 201,
                answer: b"{}".to_vec(),
            };
            self.keys.insert((owner, key.0), (key.1, answer));
        }
        artifacts.extend(append.artifacts.iter().map(|artifact| artifact.sealed.clone()));
        chain.head = append.head();
        chain.index = append.index.clone();
        AppendOutcome::Committed
    }

    async fn compare(&self, store: &Store) {
        for (chain, artifacts) in &self.chains {
            let row = store.instance(&chain.tenant, chain.id).await.unwrap();
            assert_eq!(row.as_ref().map(|row| row.head), chain.head);
            assert_eq!(row.map(|row| row.index), chain.head.map(|_| chain.index.clone()));
            assert_eq!(&store.chain(&chain.tenant, chain.id, 0, 1_000).await.unwrap(), artifacts);
        }
    }
}

/// Believes as told; a belief that cannot be held (nothing is before nothing) stays right.
fn believe(chain: &Chain, artifacts: &[SealedArtifact], belief: Belief) -> Chain {
    let head = match (belief, chain.head) {
        (Belief::Right, head) => head,
        (Belief::OneBehind, Some(head)) => {
            head.sequence.checked_sub(1).map(|before| artifacts[before as usize].head())
        }
        (Belief::OtherHash, Some(head)) => Some(Head { hash: Digest::of(b"forged"), ..head }),
        (Belief::OneBehind | Belief::OtherHash, None) => None,
    };
    Chain { head, ..chain.clone() }
}

/// Where a game is played.
enum Place {
    File {
        path: std::path::PathBuf,
    },
    /// A database that all games share, each with tenants of its own.
    Database(String),
}

impl Place {
    async fn open(&self) -> Store {
        match self {
            Self::File { path } => Store::open_sqlite(path).unwrap(),
            Self::Database(database) => shared().open(database, None).await,
        }
    }
}

async fn play(ops: Vec<Op>, place: &Place) {
    static GAME: AtomicU64 = AtomicU64::new(0);
    let game = GAME.fetch_add(1, Ordering::Relaxed);
    let mut store = place.open().await;
    let tenants = ["acme", "other"].map(|name| tenant(&format!("{name}-{game}")));
    let ids: Vec<_> = (0..4).map(|_| grant()).collect();
    let mut model = Model {
        chains: (0..4).map(|index| (Chain::new(&tenants[index % 2]), Vec::new())).collect(),
        grants: vec![None; 4],
        heads: [None; 2],
        believed: [None; 2],
        keys: BTreeMap::new(),
    };
    for op in ops {
        match op {
            Op::Reopen => {
                drop(store);
                store = place.open().await;
                model.compare(&store).await;
            }
            Op::Govern { tenant } => model.heads[tenant] = governed(&store, &tenants[tenant], None).await,
            Op::Append { chain: index, belief, count, state, open, grant, key } => {
                let (chain, artifacts) = &model.chains[index];
                let mut append = believe(chain, artifacts, belief).append_of(count);
                (append.index.state, append.index.open) = (StateCode(state), open);
                append.index.due_at = open.then(|| at(state.into()));
                append.guards = vec![Guard::GovernanceHead(model.believed[index % 2])];
                append.effects = match grant {
                    Grant::Put if model.grants[index].is_none() => {
                        vec![Effect::PutGrant { id: ids[index], expires_at: at(9) }]
                    }
                    Grant::Consume => vec![Effect::ConsumeGrant { id: ids[index], attempt: AttemptNo(1) }],
                    Grant::Put | Grant::Leave => vec![],
                };
                append.idempotency = key.map(|(key, body)| idempotency(&format!("k{key}"), &[body]));
                let expected = model.append(index, &append, key);
                assert_eq!(store.append(append).await.unwrap(), expected);
                if let AppendOutcome::GuardFailed(Guard::GovernanceHead(_)) = expected {
                    model.believed[index % 2] = model.heads[index % 2];
                }
            }
        }
    }
    model.compare(&store).await;
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_appends_end_as_the_model_says(ops in prop::collection::vec(op(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let place = Place::File { path: folder.path().join("gantral.db") };
        runtime().block_on(play(ops, &place));
    }

    #[test]
    fn random_appends_to_a_database_end_as_the_model_says(ops in prop::collection::vec(op(), 1..60)) {
        static DATABASE: OnceLock<Place> = OnceLock::new();
        let place = DATABASE.get_or_init(|| Place::Database(runtime().block_on(shared().database())));
        runtime().block_on(play(ops, place));
    }
}

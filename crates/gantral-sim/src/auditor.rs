//! Whoever looks at the ledger after every step, and at what is published, and says what is wrong first.
//!
//! It reads over no way, so that nothing keeps the truth from it. What it expects it counts along by itself: chains by the rulebook that every
//! verifier folds, promises in words of its own.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::FutureExt as _;
use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::{Entry, Event};
use gantral_core::ids::{GrantId, InstanceId, TenantId};
use gantral_core::instance::Instance;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::note::Note;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_log::objects::ReadObjects;
use gantral_log::proving::Prover;
use gantral_store::{ChainId, Head, NumberedArtifact, SEALED_PAGE_MAX, Store};

use crate::clock::TrueClock;

/// How far the clock of a server may be from the true one.
pub const SKEW_MAX: DurationMs = DurationMs::from_secs(4);

/// The auditor. Clones are one.
#[derive(Debug, Clone)]
pub struct Auditor(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    store: Store,
    tenant: TenantId,
    key: PublicKey,
    clock: TrueClock,
    tells: bool,
    books: Mutex<Books>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Books {
    read: u64,
    steps: u64,
    /// How many executions somebody wanted, however often it was asked for each.
    wanted: usize,
    chains: BTreeMap<InstanceId, Chain>,
    governance: Option<Head>,
    used: BTreeSet<GrantId>,
    published: BTreeMap<String, TreeHead>,
    /// The messages that somebody was told of each subject.
    told: BTreeMap<[u8; 16], BTreeSet<u64>>,
    trace: Vec<String>,
    digest: Option<Digest>,
    wrong: Option<String>,
}

#[derive(Debug)]
struct Chain {
    instance: Instance,
    hashes: Vec<Digest>,
    /// The deadline of the open gate, as it was sealed last.
    deadline: Option<UnixMillis>,
    ended: bool,
}

/// What was seen in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// How many writes the store was asked for.
    pub steps: u64,
    /// How many artifacts there are.
    pub artifacts: u64,
    /// How many grants were used.
    pub used: usize,
    /// How many executions there are.
    pub instances: usize,
    /// A digest of everything that happened, in its order.
    pub digest: Digest,
}

impl Auditor {
    pub(crate) fn new(store: Store, tenant: TenantId, key: PublicKey, clock: TrueClock, tells: bool) -> Self {
        Self(Arc::new(Inner { store, tenant, key, clock, tells, books: Mutex::default() }))
    }

    fn books<R>(&self, run: impl FnOnce(&mut Books) -> R) -> R {
        run(&mut self.0.books.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes that something happened.
    pub(crate) fn happened(&self, what: &str) {
        let line = format!("{:>9} ms  {what}", self.0.clock.elapsed().as_millis());
        self.books(|books| {
            let hasher = Hasher::new("gantral/sim/trace/v1");
            let before = books.digest.map(|digest| *digest.as_bytes()).unwrap_or_default();
            books.digest = Some(hasher.bytes(&before).bytes(line.as_bytes()).finish());
            if self.0.tells {
                books.trace.push(line);
            }
        });
    }

    /// Notes what is wrong; what is wrong first counts.
    pub(crate) fn is_wrong(&self, what: &str) {
        self.happened(&format!("WRONG: {what}"));
        self.books(|books| _ = books.wrong.get_or_insert_with(|| what.to_owned()));
    }

    /// Hears that somebody is about to ask for an execution more, as often as it takes.
    pub(crate) fn wants_another(&self) {
        self.books(|books| books.wanted = books.wanted.saturating_add(1));
    }

    /// Returns what is wrong.
    pub fn wrong(&self) -> Option<String> {
        self.books(|books| books.wrong.clone())
    }

    /// Returns what happened, if that was to be kept.
    pub fn trace(&self) -> Vec<String> {
        self.books(|books| books.trace.clone())
    }

    /// Returns what was seen in all.
    pub fn seen(&self) -> Seen {
        self.books(|books| Seen {
            steps: books.steps,
            artifacts: books.read,
            used: books.used.len(),
            instances: books.chains.len(),
            digest: books.digest.unwrap_or_else(|| Digest::of(b"")),
        })
    }

    /// Returns the instances that were ever created.
    pub(crate) fn instances(&self) -> Vec<InstanceId> {
        self.books(|books| books.chains.keys().copied().collect())
    }

    /// Looks at what was written since the last time.
    pub(crate) fn look(&self) {
        self.books(|books| books.steps = books.steps.saturating_add(1));
        loop {
            let after = self.books(|books| books.read);
            let page = self.0.store.sealed_after(&self.0.tenant, after, SEALED_PAGE_MAX).now_or_never();
            let Some(Ok(page)) = page else { return self.is_wrong("the ledger cannot be read") };
            let last = page.len() < SEALED_PAGE_MAX;
            let mut touched = BTreeSet::new();
            for artifact in page {
                if let Err(wrong) = self.take(&artifact) {
                    self.is_wrong(&format!("artifact {}: {wrong}", artifact.number));
                }
                self.books(|books| books.read = artifact.number);
                if let ChainId::Instance(id) = artifact.chain {
                    touched.insert(id);
                }
            }
            for id in touched {
                if let Err(wrong) = self.compare(id) {
                    self.is_wrong(&format!("instance {id}: {wrong}"));
                }
            }
            if last {
                return;
            }
        }
    }

    /// Takes one artifact: its signature, its place in its chain, the rulebook, and the promises.
    fn take(&self, artifact: &NumberedArtifact) -> Result<(), String> {
        let sealed = &artifact.sealed;
        let envelope = Envelope::parse(&sealed.envelope).map_err(|error| error.to_string())?;
        let message = envelope.signed_bytes();
        let signed = envelope.signatures.iter();
        if !signed.into_iter().any(|one| self.0.key.verify_strict(&message, &one.signature).is_ok()) {
            return Err("it is not signed".to_owned());
        }
        if artifact_hash(&envelope.payload) != sealed.hash {
            return Err("its hash is another".to_owned());
        }
        let ChainId::Instance(id) = artifact.chain else {
            let head = Head { sequence: sealed.sequence, hash: sealed.hash };
            self.happened(&format!("sealed {:>4}: rule {}", artifact.number, sealed.sequence));
            return self.books(|books| {
                let next = books.governance.map_or(0, |head| head.sequence.saturating_add(1));
                books.governance = Some(head);
                if next == sealed.sequence {
                    Ok(())
                } else {
                    Err("the governance chain has a gap".to_owned())
                }
            });
        };
        let statement = Statement::decode(&envelope.payload).map_err(|error| error.to_string())?;
        let mut line = format!("sealed {:>4}: {} {}", artifact.number, short(id), sealed.sequence);
        let _ = write!(
            line,
            " {} by {} at {}",
            statement.entry.event.kind(),
            statement.entry.actor.id,
            statement.entry.at
        );
        self.happened(&line);
        let now = self.0.clock.now();
        self.books(|books| books.take(id, &statement, sealed.hash, now))
    }

    /// Compares the row of an instance in the index with its chain: no authority stands there that no artifact gives.
    fn compare(&self, id: InstanceId) -> Result<(), String> {
        let row = self.0.store.instance(&self.0.tenant, id).now_or_never();
        let Some(Ok(Some(row))) = row else { return Err("it has artifacts and no row".to_owned()) };
        self.books(|books| {
            let chain = books.chains.get(&id).ok_or("it has no chain")?;
            let head = chain.hashes.last().copied();
            if head != Some(row.head.hash) || chain.hashes.len() as u64 != row.head.sequence.saturating_add(1)
            {
                return Err("its row names another head than its chain");
            }
            if row.index.state != gantral_engine::state_code(chain.instance.state()) {
                return Err("its row has another state than its chain");
            }
            Ok(())
        })
        .map_err(str::to_owned)
    }

    /// Hears that a caller was told that an artifact is there.
    pub(crate) fn acknowledged(&self, id: InstanceId, sequence: u64, hash: Digest) {
        let known = self.books(|books| {
            let place = usize::try_from(sequence).unwrap_or(usize::MAX);
            books.chains.get(&id).and_then(|chain| chain.hashes.get(place).copied())
        });
        if known != Some(hash) {
            self.is_wrong(&format!("artifact {sequence} of {id} was acknowledged and is not in the ledger"));
        }
    }

    /// Hears that a checkpoint was published.
    pub(crate) fn published(&self, log: &(impl ReadObjects + OfLog), note: &[u8]) {
        let origin = log.origin().to_owned();
        let told = Note::parse(note).ok().and_then(|note| Checkpoint::parse(note.text).ok());
        let Some(told) = told else { return self.is_wrong("something else than a checkpoint was published") };
        let before = self.books(|books| books.published.insert(origin, told.tree));
        self.happened(&format!("published {} leaves", told.tree.size));
        let before = before.unwrap_or_else(TreeHead::empty);
        if told.tree.size < before.size {
            return self.is_wrong(&format!("{} leaves were published after {}", told.tree.size, before.size));
        }
        let proof = Prover::new(log, told.tree.size).and_then(|mut prover| prover.consistency(before.size));
        let extends = proof.is_ok_and(|proof| told.tree.check_extends(&before, &proof).is_ok());
        if before.size > 0 && !extends {
            self.is_wrong("a log was published that does not extend what was published before");
        }
    }

    /// Hears that somebody was told a message. Of one subject each is told first in the order of the commits; that a server which stood
    /// still tells one again later is what "at least once" means.
    pub(crate) fn told(&self, subject: [u8; 16], number: u64) {
        let early = self.books(|books| {
            let told = books.told.entry(subject).or_default();
            let later = told.last().is_some_and(|last| *last > number);
            told.insert(number) && later
        });
        if early {
            self.is_wrong(&format!("message {number} was told first after a later one about the same thing"));
        }
        self.happened(&format!("told message {number}"));
    }

    /// Returns what was published last of a log.
    pub(crate) fn newest(&self, origin: &str) -> Option<TreeHead> {
        self.books(|books| books.published.get(origin).copied())
    }
}

/// Objects of a log whose name is known.
pub(crate) trait OfLog {
    /// Returns the origin of the log.
    fn origin(&self) -> &str;
}

impl Books {
    fn take(
        &mut self,
        id: InstanceId,
        statement: &Statement,
        hash: Digest,
        now: UnixMillis,
    ) -> Result<(), String> {
        let entry = &statement.entry;
        if entry.at > now.plus(SKEW_MAX) {
            return Err(format!("it says that it happened at {}, and it is {now}", entry.at));
        }
        if let Event::Consumed(consumed) = &entry.event
            && !self.used.insert(consumed.grant)
        {
            return Err(format!("grant {} is used twice", consumed.grant));
        }
        let Some(chain) = self.chains.get_mut(&id) else {
            if statement.sequence != 0 || statement.previous.is_some() {
                return Err("its chain has no beginning".to_owned());
            }
            let instance = Instance::begin(statement.identity.clone(), entry)
                .map_err(|faults| format!("it breaks a rule: {faults:?}"))?;
            let chain = Chain { instance, hashes: vec![hash], deadline: None, ended: false };
            self.chains.insert(id, chain);
            return if self.chains.len() <= self.wanted {
                Ok(())
            } else {
                Err(format!("{} executions have begun, and {} were wanted", self.chains.len(), self.wanted))
            };
        };
        if statement.sequence != chain.hashes.len() as u64
            || statement.previous != chain.hashes.last().copied()
        {
            return Err("its chain is broken before it".to_owned());
        }
        chain.instance.apply(entry, hash).map_err(|faults| format!("it breaks a rule: {faults:?}"))?;
        chain.hashes.push(hash);
        chain.hear(entry)
    }
}

impl Chain {
    fn hear(&mut self, entry: &Entry) -> Result<(), String> {
        if self.ended {
            return Err("something is sealed after the end".to_owned());
        }
        match &entry.event {
            Event::HumanRequired(asked) => self.deadline = Some(asked.deadline),
            Event::Escalated(moved) | Event::Extended(moved) => self.deadline = Some(moved.deadline),
            Event::Vote(_) | Event::Approved(_) | Event::Overridden(_)
                if self.deadline.is_none_or(|deadline| entry.at >= deadline) =>
            {
                return Err("a human decides after the deadline".to_owned());
            }
            Event::Consumed(_) if self.deadline.is_some() => {
                return Err("something is used while humans are asked".to_owned());
            }
            Event::Completed(_) | Event::Terminated(_) => self.ended = true,
            _ => {}
        }
        if matches!(&entry.event, Event::Approved(_) | Event::Overridden(_) | Event::Rejected(_)) {
            self.deadline = None;
        }
        Ok(())
    }
}

/// Returns the beginning of an identifier, by which a reader tells instances apart.
pub(crate) fn short(id: InstanceId) -> String {
    id.to_string().chars().take(8).collect()
}

//! The logs, put where their newest archived checkpoint has them: tiles, rows, and what witnesses had cosigned.

use std::collections::BTreeMap;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_evidence::log::checkpoint::Checkpoint;
use gantral_evidence::log::leaf::Leaf;
use gantral_evidence::log::note::Note;
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::trust::Trust;
use gantral_log::objects::{Object, Shelf, WriteObjects};
use gantral_log::sequencer::{CHECKPOINT, leaf, link};
use gantral_log::tree::Edge;
use gantral_store::{
    CommittedArtifact, Duty, DutyTaken, Holder, LEASE, LOG_PAGE_MAX, LogGrowth, LogHold, LogLink, LogRow,
    LogSwap, Store, SwapOutcome,
};

use super::{RebuildError, Tenant};

/// Who lets the logs grow meanwhile; no server draws these bytes.
const REBUILDER: [u8; 16] = *b"archive: rebuild";

/// A log on its way to where it was.
struct Growing<O> {
    objects: O,
    edge: Edge,
    before: Option<TreeHead>,
    /// How many leaves the newest archived checkpoint has.
    size: u64,
    /// That checkpoint.
    note: String,
    /// The numbers that the artifacts have now, by their places.
    numbers: Vec<u64>,
}

type Logs<O> = BTreeMap<TenantId, Growing<O>>;

/// What each log takes of a page.
type Taken = BTreeMap<TenantId, (Vec<Leaf>, Vec<LogLink>)>;

/// The numbers that each log does not take.
type Held = BTreeMap<TenantId, Vec<u64>>;

/// Puts the logs of all tenants; returns the numbers that their artifacts have now, by their places.
pub(super) async fn put<S: Shelf>(
    tenants: &[Tenant],
    trust: &Trust,
    store: &Store,
    shelf: &S,
    origin: impl Fn(&TenantId) -> Option<LogOrigin>,
) -> Result<BTreeMap<TenantId, Vec<u64>>, RebuildError> {
    let fence = claim(store).await?;
    let mut logs = Logs::new();
    for tenant in tenants {
        let id = &tenant.contents.tenant;
        let wrong = |what: &str| RebuildError::Log { tenant: id.clone(), what: what.to_owned() };
        let (size, note) =
            tenant.log.newest.clone().ok_or_else(|| wrong("no checkpoint of it is archived"))?;
        let objects = shelf.log(&origin(id).ok_or_else(|| wrong("it has no name"))?, fence);
        let (edge, numbers) = (Edge::default(), Vec::new());
        logs.insert(id.clone(), Growing { objects, edge, before: None, size, note, numbers });
    }
    let mut after = 0;
    loop {
        let page = store.committed(after, LOG_PAGE_MAX).await?;
        if page.through <= after {
            break;
        }
        swap(store, &mut logs, (fence, after, page.through), &page.artifacts).await?;
        after = page.through;
    }
    for tenant in tenants {
        cosigned(store, tenant, trust).await?;
    }
    Ok(logs.into_iter().map(|(tenant, log)| (tenant, log.numbers)).collect())
}

/// Takes the right to let logs grow. Nobody else has it: the store was empty a moment ago.
async fn claim(store: &Store) -> Result<u64, RebuildError> {
    let taken = || RebuildError::Swap { through: 0, what: "another process has their duty".to_owned() };
    match store.take_duty(&Duty::Logs, Holder::from_random(REBUILDER), LEASE).await? {
        DutyTaken::Held(held) => Ok(store.claim_logs(&held).await?.ok_or_else(taken)?.fence),
        DutyTaken::Others { .. } => Err(taken()),
    }
}

/// Lets the logs take a page of the ledger, each as far as its checkpoint goes.
async fn swap<O: WriteObjects>(
    store: &Store,
    logs: &mut Logs<O>,
    (fence, after, through): (u64, u64, u64),
    artifacts: &[CommittedArtifact],
) -> Result<(), RebuildError> {
    let (taken, held) = parts(logs, artifacts)?;
    let mut growths = Vec::new();
    for (tenant, (leaves, links)) in taken {
        let wrong = |what: String| RebuildError::Log { tenant: tenant.clone(), what };
        let Some(log) = logs.get_mut(&tenant) else { continue };
        let mut objects = log.edge.append(&leaves).map_err(|error| wrong(error.to_string()))?;
        let tree = log.edge.head();
        if tree.size == log.size {
            if !is_of(&log.note, &tree) {
                return Err(wrong("what was committed again makes another tree".to_owned()));
            }
            objects.push(Object { name: CHECKPOINT.to_owned(), bytes: log.note.clone().into_bytes() });
        }
        log.objects.write(&objects).map_err(|error| wrong(error.to_string()))?;
        let before = log.before.replace(tree).map(|tree| (tree.size, tree.root));
        let row = LogRow { tenant, size: tree.size, root: tree.root, checkpoint: log.note.clone() };
        growths.push(LogGrowth { row, before, links });
    }
    let holds = held.into_iter().map(|(tenant, numbers)| LogHold { tenant, numbers }).collect();
    match store.swap_logs(LogSwap { fence, after, through, growths, holds }).await? {
        SwapOutcome::Swapped => Ok(()),
        outcome => Err(RebuildError::Swap { through, what: format!("{outcome:?}") }),
    }
}

/// Parts a page into what each log takes, and the numbers of what lies behind its checkpoint.
fn parts<O>(logs: &mut Logs<O>, artifacts: &[CommittedArtifact]) -> Result<(Taken, Held), RebuildError> {
    let (mut taken, mut held) = (Taken::new(), Held::new());
    for artifact in artifacts {
        let tenant = &artifact.tenant;
        let Some(log) = logs.get_mut(tenant) else { continue };
        log.numbers.push(artifact.number);
        if log.numbers.len() as u64 > log.size {
            held.entry(tenant.clone()).or_default().push(artifact.number);
            continue;
        }
        let leaf = leaf(artifact).map_err(|what| RebuildError::Log { tenant: tenant.clone(), what })?;
        let (leaves, links) = taken.entry(tenant.clone()).or_default();
        leaves.push(leaf);
        links.push(link(artifact, &leaf));
    }
    Ok((taken, held))
}

/// Tells whether a note is about a tree.
fn is_of(note: &str, tree: &TreeHead) -> bool {
    let parsed = Note::parse(note.as_bytes()).ok().and_then(|note| Checkpoint::parse(note.text).ok());
    parsed.is_some_and(|checkpoint| checkpoint.tree == *tree)
}

/// Keeps what witnesses had cosigned.
async fn cosigned(store: &Store, tenant: &Tenant, trust: &Trust) -> Result<(), RebuildError> {
    let Some(log) = trust.log() else { return Ok(()) };
    for note in tenant.log.cosigned.values() {
        let Ok(vouched) = log.policy().vouched(note.as_bytes()) else { continue };
        let witnesses = u8::try_from(vouched.witnesses.len()).unwrap_or(u8::MAX);
        let (tenant, tree) = (tenant.contents.tenant.clone(), vouched.checkpoint.tree);
        let row = LogRow { tenant, size: tree.size, root: tree.root, checkpoint: note.clone() };
        if witnesses > 0 {
            store.keep_cosigned(witnesses, row).await?;
        }
    }
    Ok(())
}

//! From the archive back into an empty store: the ledger, its index, and the logs, so that a server goes on upon them.
//!
//! Everything is verified first. The artifacts then commit again in the order in which they did, each with what committed with it; the logs are
//! put where their newest archived checkpoint has them; and the store learns how far the archive is. Source: `spec/archive.md` §7.

mod folder;
mod logs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gantral_core::digest::Digest;
use gantral_core::event::Event;
use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::json::{Profile, parse};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_engine::rebuild::{Brought, Rebuilding, signer};
use gantral_evidence::commitments::{ballot, policy};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::governance::GovernanceStatement;
use gantral_evidence::human::SignedEnrolment;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::Verdict;
use gantral_log::objects::Shelf;
use gantral_store::{
    AppendOutcome, ArchiveStep, ChainId, GovernanceAppend, GovernanceEffect, GovernanceOutcome, Head,
    NewEnrolment, PutOutcome, SealedArtifact, Store, StoreError, WorkflowRow,
};
use serde::Serialize;

use crate::gather::{Referred, enrolment_name, evidence_name, policy_name, workflow_name};
use crate::layout::{ArchivedArtifact, head_name, tenant_of};
use crate::objects::{Archive, StorageError};
use crate::verify::{ArchiveReport, Contents, GrownLog, contents, folders, verdict, verify_contents};

pub use folder::{FolderError, rebuild_folder};

/// What is in no archive, and therefore not in what is made from one.
pub const NOT_REBUILT: [&str; 6] = [
    "contexts, actions, inputs and reasons: nobody can be shown what an open gate is about, no attempt begins without its input, and no grant for it, nor one from before, can be consumed",
    "persons: whoever comes is a new person, so that somebody who asked before could decide over it now: end what has not ended, or restore the table `person` from a backup first",
    "sessions, tokens of attempts, keys of requests and of calls: whoever asks again is not given the answer of before",
    "messages, reminders and proposals",
    "what was spent and reserved, and how often standing rules were used",
    "workflows, policies and enrolments that no artifact refers to, and signatures of policy bundles",
];

/// What was made again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rebuilt {
    /// How many tenants.
    pub tenants: usize,
    /// How many artifacts.
    pub artifacts: u64,
    /// How many instances.
    pub instances: u64,
    /// How many of them have not ended.
    pub unfinished: usize,
    /// How many of those wait for humans.
    pub waiting: usize,
}

/// Why nothing, or not everything, was made again.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The archive cannot be read; worth another try.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The archive is not valid. Nothing was written.
    #[error("the archive is {}: nothing was written", .0.verdict.as_str())]
    NotValid(ArchiveReport),
    /// There is something in the store already. Nothing was written.
    #[error("the store is not empty: nothing was written")]
    NotEmpty,
    /// The store failed. What was written counts for nothing: begin again with an empty one.
    #[error("the store: {0}")]
    Store(#[from] StoreError),
    /// An artifact does not commit again: a defect.
    #[error("artifact {place} of `{tenant}`: {what}")]
    Artifact {
        /// The tenant.
        tenant: TenantId,
        /// Its place in the log.
        place: usize,
        /// What is wrong.
        what: String,
    },
    /// The store does not let the logs grow: somebody else works on it.
    #[error("the logs do not grow up to artifact {through}: {what}")]
    Swap {
        /// The last artifact of the page.
        through: u64,
        /// What the store says.
        what: String,
    },
    /// The log cannot be put where it was.
    #[error("the log of `{tenant}`: {what}")]
    Log {
        /// The tenant.
        tenant: TenantId,
        /// What is wrong.
        what: String,
    },
}

/// A tenant, as it was read and verified.
struct Tenant {
    contents: Contents,
    log: GrownLog,
    governance: Option<Head>,
    known: BTreeSet<String>,
}

/// Verifies an archive, and makes the ledger again in an empty store and the logs upon a shelf. `origin` names the log of a tenant.
///
/// # Errors
/// [`RebuildError`].
pub async fn rebuild<S: Shelf>(
    archive: &Archive,
    trust: &Trust,
    store: &Store,
    shelf: &S,
    origin: impl Fn(&TenantId) -> Option<LogOrigin>,
) -> Result<Rebuilt, RebuildError> {
    let mut tenants = verified(archive, trust).await?;
    if store.newest_commit().await? > 0 || !store.logged_tenants(None, 1).await?.is_empty() {
        return Err(RebuildError::NotEmpty);
    }
    let mut rebuilding = Rebuilding::default();
    let mut rebuilt = Rebuilt { tenants: tenants.len(), ..Rebuilt::default() };
    for (which, place) in order(&tenants) {
        let Some(tenant) = tenants.get_mut(which) else { continue };
        let Some(artifact) = tenant.contents.artifacts.get(place).cloned() else { continue };
        let begins = matches!(artifact.chain, ChainId::Instance(_)) && artifact.sequence == 0;
        rebuilt.artifacts = rebuilt.artifacts.saturating_add(1);
        rebuilt.instances = rebuilt.instances.saturating_add(u64::from(begins));
        let tenant_id = tenant.contents.tenant.clone();
        commit(store, tenant, &mut rebuilding, artifact).await.map_err(|error| match error {
            Failed::Store(error) => RebuildError::Store(error),
            Failed::Artifact(what) => RebuildError::Artifact { tenant: tenant_id, place, what },
        })?;
    }
    (rebuilt.unfinished, rebuilt.waiting) = (rebuilding.unfinished(), rebuilding.waiting());
    let numbers = logs::put(&tenants, trust, store, shelf, origin).await?;
    for tenant in &tenants {
        steps(store, tenant, &numbers).await?;
    }
    Ok(rebuilt)
}

/// Reads and verifies every tenant of an archive.
async fn verified(archive: &Archive, trust: &Trust) -> Result<Vec<Tenant>, RebuildError> {
    let (mut tenants, mut reports) = (Vec::new(), Vec::new());
    for folder in folders(archive, &[]).await? {
        let Some(tenant) = tenant_of(&folder) else { continue };
        let mut contents = contents(archive, tenant).await?;
        let (report, log) = verify_contents(&mut contents, trust);
        reports.push(report);
        tenants.push(Tenant { contents, log, governance: None, known: BTreeSet::new() });
    }
    match verdict(&reports) {
        Verdict::Valid => Ok(tenants),
        verdict => Err(RebuildError::NotValid(ArchiveReport { verdict, tenants: reports })),
    }
}

/// Commits an artifact again.
async fn commit(
    store: &Store,
    tenant: &mut Tenant,
    rebuilding: &mut Rebuilding,
    artifact: ArchivedArtifact,
) -> Result<(), Failed> {
    let id = match artifact.chain {
        ChainId::Governance => return governance(store, tenant, artifact).await,
        ChainId::Instance(id) => id,
    };
    let brought = brought(store, tenant, artifact).await?;
    let append = rebuilding.append(&tenant.contents.tenant, id, brought);
    match store.append(append.map_err(|error| Failed::Artifact(error.to_string()))?).await? {
        AppendOutcome::Committed => Ok(()),
        outcome => Err(Failed::Artifact(format!("it does not commit again: {outcome:?}"))),
    }
}

enum Failed {
    Store(StoreError),
    Artifact(String),
}

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Returns the artifacts of all tenants, by tenant and place, in the order in which they committed. The numbers of a tenant begin anew where its
/// ledger was made again before: then they are as if each came right behind the one before it.
fn order(tenants: &[Tenant]) -> Vec<(usize, usize)> {
    let mut all = Vec::new();
    for (which, tenant) in tenants.iter().enumerate() {
        let mut highest = 0;
        for (place, artifact) in tenant.contents.artifacts.iter().enumerate() {
            highest = artifact.number.max(highest);
            all.push((highest, which, place));
        }
    }
    all.sort_unstable();
    all.into_iter().map(|(_, which, place)| (which, place)).collect()
}

/// Puts what an artifact of an instance refers to, and returns what commits with it.
async fn brought(store: &Store, tenant: &mut Tenant, artifact: ArchivedArtifact) -> Result<Brought, Failed> {
    let (sealed, envelope) = sealed(&artifact)?;
    let statement =
        Statement::decode(&envelope.payload).map_err(|error| Failed::Artifact(error.to_string()))?;
    let (event, at) = (&statement.entry.event, statement.entry.at);
    let workflow = workflow(store, tenant, statement.identity.workflow.digest, at).await?;
    if let Some(record) = policy(event) {
        put_policy(store, tenant, record.version, at).await?;
    }
    let digest = ballot(event).and_then(|ballot| ballot.evidence_digest);
    let evidence = digest
        .and_then(|digest| Some((digest, tenant.contents.objects.get(&evidence_name(&digest))?.clone())));
    let action = artifact.action.filter(|_| matches!(event, Event::HumanRequired(_)));
    Ok(Brought { sealed, workflow, action, evidence })
}

/// Reads an artifact of the archive: as it is sealed, and its envelope.
fn sealed(artifact: &ArchivedArtifact) -> Result<(SealedArtifact, Envelope), Failed> {
    let envelope =
        Envelope::parse(&artifact.envelope).map_err(|error| Failed::Artifact(error.to_string()))?;
    let (sequence, hash) = (artifact.sequence, artifact_hash(&envelope.payload));
    Ok((SealedArtifact { sequence, hash, envelope: artifact.envelope.clone() }, envelope))
}

/// Reads the definition of a workflow, and puts it once.
async fn workflow(
    store: &Store,
    tenant: &mut Tenant,
    digest: Digest,
    at: UnixMillis,
) -> Result<Arc<Workflow>, Failed> {
    let name = workflow_name(&digest);
    let wrong = |what: &dyn std::fmt::Display| Failed::Artifact(format!("`{name}`: {what}"));
    let definition = tenant.contents.objects.get(&name).ok_or_else(|| wrong(&"it is not in the archive"))?;
    let value = parse(definition, &Profile::DOCUMENT).map_err(|error| wrong(&error))?;
    let workflow = Workflow::read(&value).map_err(|error| wrong(&error))?;
    if workflow.digest != digest {
        return Err(wrong(&"it is another definition"));
    }
    if tenant.known.insert(name.clone()) {
        let row = WorkflowRow {
            id: workflow.id.clone(),
            version: workflow.version.clone(),
            digest,
            team: workflow.team.clone(),
            definition: definition.clone(),
            created_at: at,
        };
        if store.put_workflow(&tenant.contents.tenant, row).await? == PutOutcome::Differs {
            return Err(wrong(&"this version has another definition already"));
        }
    }
    Ok(Arc::new(workflow))
}

/// Puts a policy bundle once, if it is there.
async fn put_policy(
    store: &Store,
    tenant: &mut Tenant,
    version: PolicyVersionId,
    at: UnixMillis,
) -> Result<(), Failed> {
    let name = policy_name(&version.0);
    if let Some(bytes) = tenant.contents.objects.get(&name).cloned()
        && tenant.known.insert(name)
    {
        store.put_policy_bundle(&tenant.contents.tenant, version, bytes, at).await?;
    }
    Ok(())
}

/// Appends an artifact to the governance chain, with what it puts in force.
async fn governance(store: &Store, tenant: &mut Tenant, artifact: ArchivedArtifact) -> Result<(), Failed> {
    let (sealed, envelope) = sealed(&artifact)?;
    let wrong = |error: &dyn std::fmt::Display| Failed::Artifact(error.to_string());
    let statement = GovernanceStatement::decode(&envelope.payload).map_err(|error| wrong(&error))?;
    let mut effects = Vec::new();
    match Referred::by(&statement.detail) {
        Some(Referred::Policy(version)) => put_policy(store, tenant, version, statement.at).await?,
        Some(Referred::Enrolment(entry)) => {
            if let Some(envelope) = tenant.contents.objects.get(&enrolment_name(&entry)).cloned() {
                effects = enrolment(store, &tenant.contents.tenant, entry, envelope, statement.at).await?;
            }
        }
        None => {}
    }
    let signer = signer(&sealed).map_err(|error| wrong(&error))?;
    let head = sealed.head();
    let append = GovernanceAppend {
        tenant: tenant.contents.tenant.clone(),
        expected: tenant.governance,
        artifact: sealed,
        signer,
        effects,
    };
    match store.append_governance(append).await? {
        GovernanceOutcome::Committed => tenant.governance = Some(head),
        outcome => return Err(Failed::Artifact(format!("it does not commit again: {outcome:?}"))),
    }
    Ok(())
}

/// Asks for an enrolment again, and returns what signs it. Who asked for it, and what the authenticator said then, is in no archive.
async fn enrolment(
    store: &Store,
    tenant: &TenantId,
    entry: Digest,
    envelope: Vec<u8>,
    at: UnixMillis,
) -> Result<Vec<GovernanceEffect>, Failed> {
    let wrong = |error: &dyn std::fmt::Display| Failed::Artifact(format!("an enrolment: {error}"));
    let signed = SignedEnrolment::parse(&envelope).map_err(|error| wrong(&error))?;
    let enrolment = signed.enrolment().map_err(|error| wrong(&error))?;
    let new = NewEnrolment {
        tenant: tenant.clone(),
        entry,
        person: enrolment.person.actor(),
        issuer: String::new(),
        subject: String::new(),
        payload: enrolment.encode(),
        assertion: Vec::new(),
        at,
    };
    store.ask_for_enrolment(new).await?;
    Ok(vec![GovernanceEffect::SignEnrolment { entry, envelope }])
}

/// Tells the store how far the archive is. Segments keep the numbers that artifacts had; the steps name those that they have now.
async fn steps(
    store: &Store,
    tenant: &Tenant,
    numbers: &BTreeMap<TenantId, Vec<u64>>,
) -> Result<(), RebuildError> {
    let id = &tenant.contents.tenant;
    let numbers = numbers.get(id).map(Vec::as_slice).unwrap_or_default();
    for (segment, head) in &tenant.contents.heads {
        let wrong = |what: &str| RebuildError::Log { tenant: id.clone(), what: what.to_owned() };
        let (Some(end), Some(object)) =
            (tenant.contents.ends.get(segment), tenant.contents.found_heads.get(segment))
        else {
            return Err(wrong("a segment of its archive is not whole"));
        };
        let place = usize::try_from(end.saturating_sub(1)).map_err(|_| wrong("it is too long"))?;
        let number = *numbers.get(place).ok_or_else(|| wrong("it is shorter than its archive"))?;
        let step = ArchiveStep {
            segment: *segment,
            size: *end,
            number,
            head: object.digest().map_err(|error| wrong(&error.to_string()))?,
            version: object.version.clone(),
        };
        let objects =
            head.objects.iter().map(|object| object.archived().map_err(|error| wrong(&error.to_string())));
        let objects = objects.collect::<Result<Vec<_>, _>>()?;
        if !store.keep_archived(id, step, objects).await? {
            return Err(wrong(&format!("`{}` is not its next step", head_name(*segment))));
        }
    }
    Ok(())
}

//! What the engine looks up again and again: definitions, what is in force, persons.
//!
//! Everything that may change is only a hint here: the append checks it again in its transaction, and a guard that
//! fails makes the engine forget the hint and decide anew.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::ids::{Name, PersonId, TenantId, WorkflowId};
use gantral_core::json::{Profile, parse};
use gantral_core::policy::PolicyVersionId;
use gantral_core::workflow::{Workflow, WorkflowError};
use gantral_evidence::governance::Scope;
use gantral_identity::HumanSubject;
use gantral_store::{Guard, PutOutcome, Store, WorkflowRow};

use crate::engine::{Call, Engine};
use crate::error::EngineError;
use crate::governance::{Activation, GovernanceReceipt, Governor, InForceAt, ProposalView, Ruled};

/// How many entries each of the caches keeps; a full one starts over.
const CACHE_MAX: usize = 10_000;

/// A bounded map from keys to values that are cheap to clone.
struct Cache<K, V>(Mutex<HashMap<K, V>>);

impl<K: Eq + std::hash::Hash, V: Clone> Cache<K, V> {
    fn new() -> Self {
        Self(Mutex::new(HashMap::new()))
    }

    fn get(&self, key: &K) -> Option<V> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned()
    }

    fn put(&self, key: K, value: V) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= CACHE_MAX {
            map.clear();
        }
        map.insert(key, value);
    }

    fn forget(&self, key: &K) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// The engine's view of slowly changing records.
pub(crate) struct Registry {
    store: Store,
    workflows: Cache<(TenantId, Digest), Arc<Workflow>>,
    in_force: Cache<TenantId, Arc<InForceAt>>,
    persons: Cache<(TenantId, HumanSubject), Salt>,
}

impl Registry {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, workflows: Cache::new(), in_force: Cache::new(), persons: Cache::new() }
    }

    /// Returns the definition with this digest.
    pub(crate) async fn workflow(
        &self,
        tenant: &TenantId,
        digest: Digest,
    ) -> Result<Arc<Workflow>, EngineError> {
        let key = (tenant.clone(), digest);
        if let Some(workflow) = self.workflows.get(&key) {
            return Ok(workflow);
        }
        let missing = EngineError::NotFound { what: "the workflow version" };
        let row = self.store.workflow_by_digest(tenant, digest).await?.ok_or(missing)?;
        let workflow = Arc::new(read(&row)?);
        self.workflows.put(key, Arc::clone(&workflow));
        Ok(workflow)
    }

    /// Returns what is known to be in force in a tenant.
    pub(crate) fn in_force(&self, tenant: &TenantId) -> Option<Arc<InForceAt>> {
        self.in_force.get(tenant)
    }

    pub(crate) fn keep_in_force(&self, tenant: &TenantId, known: Arc<InForceAt>) {
        self.in_force.put(tenant.clone(), known);
    }

    /// Drops what a governance event may have changed.
    pub(crate) fn forget_in_force(&self, tenant: &TenantId) {
        self.in_force.forget(tenant);
    }

    /// Drops the salt of a human.
    pub(crate) fn forget_person(&self, tenant: &TenantId, human: &HumanSubject) {
        self.persons.forget(&(tenant.clone(), human.clone()));
    }

    /// Drops the hint that a guard found stale.
    pub(crate) fn forget(&self, tenant: &TenantId, guard: &Guard) {
        match guard {
            Guard::GovernanceHead(_) => self.in_force.forget(tenant),
            Guard::GrantUnconsumed(_)
            | Guard::Lease { .. }
            | Guard::Totals { .. }
            | Guard::TaskReleased
            | Guard::Room(_) => {}
        }
    }

    /// Returns the commitment under which a human is known in a tenant, made when they first appear.
    pub(crate) async fn person(
        &self,
        tenant: &TenantId,
        human: &HumanSubject,
        fresh: Salt,
    ) -> Result<PersonId, EngineError> {
        let key = (tenant.clone(), human.clone());
        // Another server may have erased them: then they have another salt.
        let known = if self.store.is_shared() { None } else { self.persons.get(&key) };
        let salt = match known {
            Some(salt) => salt,
            None => {
                let salt = self.store.person(tenant, human.issuer(), human.subject(), fresh).await?;
                self.persons.put(key, salt);
                salt
            }
        };
        Ok(PersonId(commit(CommitmentLabel::Person, &salt, &human.person_bytes())))
    }
}

fn read(row: &WorkflowRow) -> Result<Workflow, EngineError> {
    let damaged = |what: String| EngineError::Damaged { what };
    let value = parse(&row.definition, &Profile::DOCUMENT).map_err(|error| damaged(error.to_string()))?;
    let workflow = Workflow::read(&value).map_err(|error| damaged(error.to_string()))?;
    if workflow.digest != row.digest {
        return Err(damaged(format!("workflow `{}` has another digest than its row", row.id)));
    }
    Ok(workflow)
}

/// What applying a definition came to.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The definition.
    pub workflow: Arc<Workflow>,
    /// Whether the version is new.
    pub created: bool,
    /// What was sealed when another policy became active; nothing when it was in force already.
    pub activated: Option<GovernanceReceipt>,
    /// What waits for a second person, where putting a policy in force takes two.
    pub proposed: Option<Box<ProposalView>>,
}

impl Engine {
    /// Registers a workflow version, and puts a policy in force for the workflow if one is named.
    ///
    /// A version never changes: the same definition again is welcome, another one under the same version is refused.
    ///
    /// # Errors
    /// `WorkflowVersionExists`, `PolicyUnknown`, `PolicyUnsigned`, `PolicyUnpinned`, `Workflow` when it chooses an evaluator that there is not; the store's.
    pub async fn apply_workflow(
        &self,
        tenant: &TenantId,
        workflow: Workflow,
        policy: Option<PolicyVersionId>,
        by: Governor<'_>,
        call: &mut Call,
    ) -> Result<Applied, EngineError> {
        let store = &self.0.store;
        if workflow.evaluator.as_ref().is_some_and(|name| !self.0.policy.has(name)) {
            let why = "is no evaluator of this server";
            return Err(WorkflowError { path: "evaluator".to_owned(), why }.into());
        }
        if let Some(policy) = policy {
            self.may_be_in_force(tenant, policy).await?;
        }
        let row = WorkflowRow {
            id: workflow.id.clone(),
            version: workflow.version.clone(),
            digest: workflow.digest,
            team: workflow.team.clone(),
            definition: workflow.canonical.clone(),
            created_at: call.now,
        };
        let created = match store.put_workflow(tenant, row).await? {
            PutOutcome::Stored => true,
            PutOutcome::Same => false,
            PutOutcome::Differs => return Err(EngineError::WorkflowVersionExists),
        };
        let ruled = match policy {
            None => Ruled::Same,
            Some(policy) => {
                let scope = Scope::Workflow(workflow.id.clone());
                self.activate_policy(call, tenant, by, &scope, Activation::Version(policy), None).await?
            }
        };
        let workflow = Arc::new(workflow);
        Ok(match ruled {
            Ruled::Proposed(view) => Applied { workflow, created, activated: None, proposed: Some(view) },
            ruled => Applied { workflow, created, activated: ruled.sealed(), proposed: None },
        })
    }

    /// Returns a workflow: the named version, or the newest.
    ///
    /// # Errors
    /// `NotFound`; the store's.
    pub async fn workflow(
        &self,
        tenant: &TenantId,
        id: &WorkflowId,
        version: Option<&Name>,
    ) -> Result<Arc<Workflow>, EngineError> {
        let row = match version {
            Some(version) => self.0.store.workflow(tenant, id, version).await?,
            None => self.0.store.latest_workflow(tenant, id).await?,
        };
        let row = row.ok_or(EngineError::NotFound { what: "the workflow" })?;
        self.0.registry.workflow(tenant, row.digest).await
    }

    /// Returns the policy version that is in force for a workflow: that of the narrowest scope that has one.
    ///
    /// # Errors
    /// `NoActivePolicy`; `Damaged`; the store's.
    pub async fn active_policy(
        &self,
        tenant: &TenantId,
        workflow: &Workflow,
    ) -> Result<PolicyVersionId, EngineError> {
        self.in_force(tenant).await?.policy(workflow)
    }

    /// Returns the commitment under which a human acts in a tenant.
    ///
    /// # Errors
    /// The store's.
    pub async fn person(
        &self,
        tenant: &TenantId,
        human: &HumanSubject,
        fresh: Salt,
    ) -> Result<PersonId, EngineError> {
        self.0.registry.person(tenant, human, fresh).await
    }
}

//! What an orchestrator beside the server is told and says: where an instance stands, that it is to be looked at now, and that runners may
//! claim its next attempt.
//!
//! None of it is authority. A release is a row and no event: what runs, and whether it may act, is decided when the attempt is assigned,
//! asks and consumes. So an orchestrator that errs can hold work back or let it begin early, and nothing else.

use std::sync::Arc;

use gantral_core::decide::next_due;
use gantral_core::ids::{AttemptNo, InstanceId, TenantId};
use gantral_core::instance::Instance;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_identity::Orchestrator;
use gantral_store::{Head, TaskRow};

use crate::engine::{Call, DECISIONS_MAX, Engine};
use crate::error::EngineError;

/// Where an instance stands, as far as time and dispatch go.
#[derive(Debug, Clone)]
pub struct Course {
    /// The fold.
    pub instance: Instance,
    /// The head of its chain.
    pub head: Head,
    /// Its definition.
    pub workflow: Arc<Workflow>,
    /// When something of it is due.
    pub due_at: Option<UnixMillis>,
    /// Its task, if its next attempt is wanted.
    pub task: Option<TaskRow>,
}

impl Engine {
    /// Tells whether runners may claim only what an orchestrator has released.
    pub fn is_orchestrated(&self) -> bool {
        self.0.config.orchestrated
    }

    /// Returns where an instance stands. Seals nothing.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn course(&self, tenant: &TenantId, id: InstanceId) -> Result<Course, EngineError> {
        let held = self.hold(tenant, id).await?;
        let loaded = held.loaded()?;
        Ok(Course {
            instance: loaded.instance.clone(),
            head: loaded.head,
            workflow: Arc::clone(&loaded.workflow),
            due_at: next_due(&loaded.instance),
            // Where another server moved the instance meanwhile it may stand beside what was before: whoever follows is told of the move too.
            task: self.0.store.task(tenant, id).await?,
        })
    }

    /// Seals what is due of an instance now, the loss of an attempt whose lease is over included, and returns where it stands.
    ///
    /// # Errors
    /// `NotFound`; `Conflict`; the store's and the signer's. May be repeated.
    pub async fn look(
        &self,
        call: &mut Call,
        orchestrator: &Orchestrator,
        id: InstanceId,
    ) -> Result<Course, EngineError> {
        let tenant = orchestrator.principal().tenant();
        let lease = self.0.store.lease(tenant, id).await?;
        if let Some(lease) = lease.filter(|lease| !lease.ended && lease.until <= call.now) {
            match self.lose(call, tenant, id, lease.attempt).await {
                // The attempt ended, or its instance did, between the reading and the sealing.
                Ok(()) | Err(EngineError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.hold_at(tenant, id, call.now).await?;
        self.course(tenant, id).await
    }

    /// Lets runners claim an attempt, if it is the next one of its instance and is wanted; returns where the instance stands.
    ///
    /// # Errors
    /// `NotFound`; `Conflict` when the instance moves again and again; the store's. May be repeated.
    pub async fn release(
        &self,
        orchestrator: &Orchestrator,
        id: InstanceId,
        attempt: AttemptNo,
    ) -> Result<Course, EngineError> {
        let tenant = orchestrator.principal().tenant();
        for _ in 0..DECISIONS_MAX {
            let mut course = self.course(tenant, id).await?;
            let wanted = course.task.as_ref().is_some_and(|task| !task.released);
            if !wanted || course.instance.attempt.next() != attempt {
                return Ok(course);
            }
            if self.0.store.release_task(tenant, id, course.head).await? {
                course.task = course.task.map(|task| TaskRow { released: true, ..task });
                return Ok(course);
            }
        }
        Err(EngineError::Conflict)
    }
}

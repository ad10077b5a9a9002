//! Instances and their attempts.

use std::time::Duration;

use super::send::Call;
use super::{Client, ClientError, WAIT_SLACK};
use crate::routes::Method;
use crate::wire::{
    Attach, Attached, Claim, Course, CoursePage, CourseQuery, CreateInstance, Created, Empty, EndAttempt,
    HeartbeatAnswer, InstanceList, InstancePage, InstanceView, JournalHeld, Moved, PresentJournal, Release,
    ShowInstance, Task, WaitQuery, text,
};

/// # Errors
/// Each call as [`ClientError`] describes; the pages of the codes say what to do.
impl Client {
    /// Creates an instance.
    pub async fn create_instance(&self, body: &CreateInstance) -> Result<Created, ClientError> {
        self.post(&["v1", "instances"], body).await
    }

    /// Lists instances, newest first.
    pub async fn instances(&self, query: &InstanceList) -> Result<InstancePage, ClientError> {
        self.list(&["v1", "instances"], query).await
    }

    /// Shows an instance; with `wait`, as soon as it has moved past `after` or when the time is over.
    pub async fn instance(
        &self,
        id: text::InstanceId,
        query: &ShowInstance,
    ) -> Result<InstanceView, ClientError> {
        let call = self.call(Method::Get, &["v1", "instances", &id.to_string()])?.query(query)?;
        self.send(holding(call, query.wait)).await?.read()
    }

    /// Withdraws what waits for humans.
    pub async fn withdraw(&self, id: text::InstanceId) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "withdraw"], &Empty {}).await
    }

    /// Ends an instance, as an administrator.
    pub async fn cancel(&self, id: text::InstanceId) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "cancel"], &Empty {}).await
    }

    /// Says that all is done, for a workload that runs itself.
    pub async fn complete(&self, id: text::InstanceId) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "complete"], &Empty {}).await
    }

    /// Says that it cannot go on, for a workload that runs itself.
    pub async fn fail(&self, id: text::InstanceId) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "fail"], &Empty {}).await
    }

    /// Exports the evidence bundle, a tar archive.
    pub async fn evidence(&self, id: text::InstanceId) -> Result<Vec<u8>, ClientError> {
        self.archive(&["v1", "instances", &id.to_string(), "evidence"]).await
    }

    /// Claims the next attempt of a queue; `None` when there was none during `wait`.
    ///
    /// A lost answer is asked for again under the same key, so that no assignment is lost with it.
    pub async fn claim(&self, body: &Claim, wait: text::Duration) -> Result<Option<Task>, ClientError> {
        let call = self.call(Method::Post, &["v1", "runner", "claims"])?;
        let call = call.query(&WaitQuery { wait: Some(wait) })?.json(body)?;
        let settled = self.send(holding(call, Some(wait))).await?;
        if settled.status.as_u16() == 204 { Ok(None) } else { settled.read().map(Some) }
    }

    /// Shows the server receipts that it gave.
    pub async fn present_journal(&self, body: &PresentJournal) -> Result<JournalHeld, ClientError> {
        self.post(&["v1", "journal"], body).await
    }

    /// Tells an orchestrator where the instances of the tenant stand: first all that are open, then what moves.
    pub async fn courses(&self, query: &CourseQuery) -> Result<CoursePage, ClientError> {
        let call = self.call(Method::Get, &["v1", "orchestration"])?.query(query)?;
        self.send(holding(call, query.wait)).await?.read()
    }

    /// Has what is due of an instance sealed now, as an orchestrator, and shows where it stands.
    pub async fn look(&self, id: text::InstanceId) -> Result<Course, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "look"], &Empty {}).await
    }

    /// Lets runners claim an attempt, as an orchestrator. May be repeated; the answer says whether it is released, or was assigned.
    pub async fn release(&self, id: text::InstanceId, attempt: u32) -> Result<Course, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "release"], &Release { attempt }).await
    }

    /// Attaches an attempt: its process is about to start.
    pub async fn attach(&self, id: text::InstanceId, body: Attach) -> Result<Attached, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "attempts"], &body).await
    }

    /// Keeps the lease of an attempt, and renews its token.
    pub async fn heartbeat(
        &self,
        id: text::InstanceId,
        attempt: u32,
    ) -> Result<HeartbeatAnswer, ClientError> {
        let path = ["v1", "instances", &id.to_string(), "attempts", &attempt.to_string(), "heartbeat"];
        self.post(&path, &Empty {}).await
    }

    /// Reports that the process of an attempt has ended.
    pub async fn end_attempt(
        &self,
        id: text::InstanceId,
        attempt: u32,
        body: EndAttempt,
    ) -> Result<Moved, ClientError> {
        self.post(&["v1", "instances", &id.to_string(), "attempts", &attempt.to_string(), "end"], &body).await
    }
}

/// Gives a long poll the time that it waits on top.
pub(super) fn holding(call: Call, wait: Option<text::Duration>) -> Call {
    let wait = wait.map_or(Duration::ZERO, |wait| Duration::from_millis(wait.get()) + WAIT_SLACK);
    Call { timeout: call.timeout.max(wait), ..call }
}

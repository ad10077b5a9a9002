//! One Job from when it was let go until nothing of it is left.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::net::unix::pipe::Sender;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::api::{Api, ClusterError, Kind};
use super::{ATTEMPT, End, Wish, log, seconds_between};
use crate::child::Ended;
use crate::runner::executor::EXIT_LOST;

/// SIGTERM, for a pod that was asked to end and told nobody how it did.
const TERMINATED: i32 = 15;
/// SIGKILL, for one that was ended.
const KILLED: i32 = 9;
/// The pause between two looks at a pod.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a pod may take to begin: one whose image is not to be had never does.
const BEGIN_WITHIN: Duration = Duration::from_secs(600);
/// How long the rest of the output is waited for when a pod has ended.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// How long a Job may take to be gone, beyond the grace of its pod.
const GONE_WITHIN: Duration = Duration::from_secs(60);

/// Follows a Job, and does what is wished of it.
pub(super) struct Drive {
    api: Arc<Api>,
    name: String,
    /// When the Job was let go, or earlier.
    begun: Instant,
    /// When it was first seen that the cluster had begun: not before that the deadline counts from.
    seen: Option<Instant>,
    wished: watch::Receiver<Wish>,
    /// What of the wish has been passed on.
    passed: Wish,
    outcome: Option<Ended>,
    /// When its end began: what the cluster does not do from then on is not waited for without end.
    ending: Option<Instant>,
    /// How long its pod has between being asked to end and being killed.
    grace: Duration,
    is_deleted: bool,
    ended_at_once: bool,
}

/// What a look found.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    /// Neither Job nor pod.
    Nothing,
    /// No pod, or one that has not begun.
    Waiting,
    /// A pod that runs.
    Running { pod: String },
    /// A pod that has ended.
    Ended { pod: String, how: Ended },
    /// The Job is over, or not what it was made as, and nobody knows what its command did.
    Lost { why: &'static str },
}

impl Drive {
    pub(super) fn new(
        api: Arc<Api>,
        name: String,
        begun: Instant,
        grace: Duration,
        wished: watch::Receiver<Wish>,
    ) -> Self {
        let passed = wished.borrow().clone();
        Self {
            api,
            name,
            begun,
            seen: None,
            wished,
            passed,
            outcome: None,
            ending: None,
            grace,
            is_deleted: false,
            ended_at_once: false,
        }
    }

    /// Returns when nothing is left, or it cannot be found out whether anything is.
    pub(super) async fn follow(mut self, output: Sender) -> Ended {
        let mut output = Some(output);
        let (finish, finished) = watch::channel(false);
        let mut copying: Option<JoinHandle<()>> = None;
        loop {
            self.obey().await;
            match self.look().await {
                Ok(Found::Nothing) => break,
                Ok(Found::Waiting) if self.begun.elapsed() > BEGIN_WITHIN => self.lost("it does not begin"),
                Ok(Found::Waiting) => {}
                Ok(Found::Lost { why }) => self.lost(why),
                Ok(Found::Running { pod }) => {
                    copying = copying.or_else(|| self.copy(pod, output.take(), &finished));
                }
                Ok(Found::Ended { pod, how }) => {
                    copying = copying.or_else(|| self.copy(pod, output.take(), &finished));
                    self.outcome.get_or_insert(how);
                    finish.send_replace(true);
                    if let Some(copying) = &mut copying
                        && tokio::time::timeout(LAST_WORDS, copying).await.is_err()
                    {
                        tracing::warn!(job = self.name, "the end of its output is lost");
                    }
                    copying = None;
                    // At once, and not after another pause.
                    self.obey().await;
                }
                Err(error) => tracing::warn!(%error, job = self.name, "a job cannot be looked at"),
            }
            let gone_within = GONE_WITHIN.saturating_add(self.grace);
            if self.ending.is_some_and(|ending| ending.elapsed() > gone_within) {
                tracing::error!(
                    job = self.name,
                    "the cluster does not end a job: it may run until its deadline"
                );
                break;
            }
            self.pause().await;
        }
        if let Some(copying) = copying {
            copying.abort();
        }
        let unknown = match self.end() {
            End::ByItself => Ended::Exited(EXIT_LOST),
            End::Asked => Ended::Killed(TERMINATED),
            End::AtOnce => Ended::Killed(KILLED),
        };
        self.outcome.unwrap_or(unknown)
    }

    fn copy(
        &self,
        pod: String,
        output: Option<Sender>,
        finished: &watch::Receiver<bool>,
    ) -> Option<JoinHandle<()>> {
        let (api, finished) = (Arc::clone(&self.api), finished.clone());
        output.map(|output| tokio::spawn(log::copy(api, pod, output, finished)))
    }

    fn lost(&mut self, why: &'static str) {
        if self.outcome.is_none() {
            tracing::warn!(job = self.name, why, "a job is lost");
            self.outcome = Some(Ended::Exited(EXIT_LOST));
        }
    }

    /// Returns how it is to end. Who wishes nothing any more is gone.
    fn end(&self) -> End {
        if self.wished.has_changed().is_err() { End::AtOnce } else { self.wished.borrow().end }
    }

    /// Does what is wished, as far as the cluster does; the rest is tried again after the next look.
    async fn obey(&mut self) {
        let wish = self.wished.borrow_and_update().clone();
        let end = self.end();
        let result = if end == End::ByItself && self.outcome.is_none() {
            self.renew(&wish).await
        } else {
            self.finish(end).await
        };
        if let Err(error) = result {
            tracing::warn!(%error, job = self.name, "the cluster does not do what it is asked");
        }
    }

    async fn renew(&mut self, wish: &Wish) -> Result<(), ClusterError> {
        if wish.until != self.passed.until {
            let seconds = seconds_between(self.seen.unwrap_or(self.begun), wish.until);
            self.api
                .patch(Kind::Job, &self.name, &json!({"spec": {"activeDeadlineSeconds": seconds}}))
                .await?;
            self.passed.until = wish.until;
        }
        if wish.token != self.passed.token {
            let change = json!({"data": {"token": STANDARD.encode(&wish.token)}});
            self.api.patch(Kind::Secret, &self.name, &change).await?;
            self.passed.token.clone_from(&wish.token);
        }
        Ok(())
    }

    async fn finish(&mut self, end: End) -> Result<(), ClusterError> {
        self.ending.get_or_insert_with(Instant::now);
        // The Job first, so that it makes no other pod.
        if !self.is_deleted {
            self.api.delete_job(&self.name).await?;
            self.is_deleted = true;
        }
        if end == End::AtOnce && !self.ended_at_once {
            self.api.end_pods(&self.name).await?;
            self.ended_at_once = true;
        }
        Ok(())
    }

    async fn look(&mut self) -> Result<Found, ClusterError> {
        let pods = self.api.list(Kind::Pod, &format!("{ATTEMPT}={}", self.name)).await?;
        match pods.as_slice() {
            [] => match self.api.job(&self.name).await? {
                None => Ok(Found::Nothing),
                Some(job) if !self.is_deleted && is_over(&job) => {
                    Ok(Found::Lost { why: "it is over, and its pod is gone" })
                }
                Some(_) => Ok(Found::Waiting),
            },
            [pod] => {
                self.seen.get_or_insert_with(Instant::now);
                Ok(found(pod))
            }
            // It was made for one, and no other may act for this attempt.
            [_, _, ..] => Ok(Found::Lost { why: "it has several pods" }),
        }
    }

    async fn pause(&mut self) {
        let is_over = self.outcome.is_some() || self.wished.has_changed().is_err();
        tokio::select! {
            () = sleep(LOOK_EVERY) => {}
            _ = self.wished.changed(), if !is_over => {}
        }
    }
}

/// Tells whether a Job will do nothing any more.
fn is_over(job: &Value) -> bool {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        let word = |member: &str| condition.get(member).and_then(Value::as_str);
        word("status") == Some("True") && matches!(word("type"), Some("Failed" | "Complete"))
    })
}

/// Reads what has become of a pod.
fn found(pod: &Value) -> Found {
    let text = |path: &str| pod.pointer(path).and_then(Value::as_str).unwrap_or_default();
    let state = |path: &str| pod.pointer(&format!("/status/containerStatuses/0/state/{path}"));
    let name = text("/metadata/name").to_owned();
    if let Some(terminated) = state("terminated") {
        let status =
            terminated.get("exitCode").and_then(Value::as_i64).and_then(|code| i32::try_from(code).ok());
        // Without a number nobody knows that it ended well.
        return Found::Ended { pod: name, how: Ended::Exited(status.unwrap_or(EXIT_LOST)) };
    }
    match text("/status/phase") {
        "Failed" | "Succeeded" => Found::Lost { why: "its pod is over, and says nothing of the command" },
        _ if state("running").is_some() => Found::Running { pod: name },
        _ => Found::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_ended_well_only_if_its_command_has() {
        let pod = |status: Value| json!({"metadata": {"name": "p"}, "status": status});
        let of = |state: Value| pod(json!({"phase": "Running", "containerStatuses": [{"state": state}]}));
        let ended = |status| Found::Ended { pod: "p".to_owned(), how: Ended::Exited(status) };
        for (pod, expected) in [
            (of(json!({"terminated": {"exitCode": 0}})), ended(0)),
            (of(json!({"terminated": {"exitCode": 137, "reason": "OOMKilled"}})), ended(137)),
            (of(json!({"terminated": {"exitCode": "0"}})), ended(EXIT_LOST)),
            (of(json!({"terminated": {}})), ended(EXIT_LOST)),
            (of(json!({"running": {}})), Found::Running { pod: "p".to_owned() }),
            (of(json!({"waiting": {"reason": "ErrImagePull"}})), Found::Waiting),
            (pod(json!({"phase": "Pending"})), Found::Waiting),
            (pod(json!({})), Found::Waiting),
        ] {
            assert_eq!(found(&pod), expected, "{pod}");
        }
        for phase in ["Succeeded", "Failed"] {
            let evicted = found(&pod(json!({"phase": phase, "reason": "Evicted"})));
            assert!(matches!(evicted, Found::Lost { .. }), "{phase}");
        }
    }

    #[test]
    fn a_job_is_over_when_it_says_so() {
        let job =
            |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status}]}});
        assert!(is_over(&job("Failed", "True")) && is_over(&job("Complete", "True")));
        for other in
            [job("Failed", "False"), job("Suspended", "True"), job("FailureTarget", "True"), json!({})]
        {
            assert!(!is_over(&other), "{other}");
        }
    }
}

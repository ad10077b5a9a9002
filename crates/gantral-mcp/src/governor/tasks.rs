//! Tasks: a client holds the name of its call in place of the result, looks how far it is, and may take it back.
//!
//! The call is kept, and its gate stands, before its client is given a task. Source: as [`crate::task`].

use std::sync::Arc;
use std::time::Duration;

use super::live::{Live, Progress};
use super::{Answered, Governor, INTERNAL, INVALID_PARAMS, is_stateless};
use crate::declared::{self, TASKS};
use crate::message::{Id, Message, members};
use crate::reply::{self, Form};
use crate::spool::{Kept, Outcome, Stage};
use crate::task::{self, Handle, Manner, TaskId};

/// The most tasks in one page of a list.
const PAGE_MAX: usize = 100;
/// How the marks between pages begin that are ours.
const CURSOR: &str = "gantral:";
/// The most tasks that are kept of calls that are over: of one more nothing is kept beyond its result.
pub(super) const TASKS_MAX: usize = 1024;
/// How long a call that was withdrawn may take to be seen as such.
const WITHDRAWN_WITHIN: Duration = Duration::from_secs(10);
/// MCP 2026-07-28: the client did not declare what this needs.
const CAPABILITY_MISSING: i64 = -32021;

/// Where a call is found by its task.
enum Found {
    /// This process has it.
    Live(Arc<Live>, Handle),
    /// It is over, and its result has been read.
    Over(Box<Kept>, Handle),
}

impl Found {
    fn stands(&self) -> (Progress, &Handle) {
        match self {
            Self::Live(live, handle) => (live.progress().borrow().clone(), handle),
            Self::Over(kept, handle) => (stands(&kept.stage), handle),
        }
    }
}

/// Returns how a call that is over stands.
fn stands(stage: &Stage) -> Progress {
    match stage {
        Stage::Settled { outcome } | Stage::Answered { outcome, .. } => Progress::Over(outcome.clone()),
        Stage::Waiting { pending } => Progress::Waiting(pending.clone()),
        Stage::Asking | Stage::Fallen | Stage::Unasked | Stage::Begun { .. } => Progress::Begun,
    }
}

impl Governor {
    /// Answers a call of a client that takes tasks: with a task as soon as there is something to wait for.
    pub(super) async fn hand_out(&self, id: &Id, live: &Arc<Live>, manner: Manner, form: Form) -> Answered {
        let mut progress = live.progress();
        loop {
            let now = progress.borrow_and_update().clone();
            let of_server = live.is_task_of_server() && live.task().is_none();
            match &now {
                Progress::Asking => {}
                Progress::Failed { code, why } if manner == Manner::Params => {
                    // A result would be no answer to who asked for a task.
                    let data = format!(r#"{{"code":{}}}"#, crate::call::quoted(code));
                    return (Message::error_with(Some(id), INTERNAL, why, &data), Some(live.key.clone()));
                }
                Progress::Failed { code, why } => {
                    return (reply::refused(id, code, why, form), Some(live.key.clone()));
                }
                // The server answers with a task of its own, or we wait as for any call.
                Progress::Begun if of_server || manner == Manner::Extension => {}
                Progress::Over(outcome) if manner == Manner::Extension || is_servers(outcome, of_server) => {
                    return (reply::outcome(id, outcome, form), Some(live.key.clone()));
                }
                Progress::Waiting(_) | Progress::Begun | Progress::Over(_) => {
                    return match live.hand_out() {
                        Ok(handle) => (task::created(id, &handle, &now, manner), None),
                        Err(error) => {
                            let why = format!("the call is kept, but no task can be made of it: {error}");
                            (Message::error(Some(id), INTERNAL, &why), None)
                        }
                    };
                }
            }
            if progress.changed().await.is_err() {
                return (reply::refused(id, "interrupted", super::INTERRUPTED, form), None);
            }
        }
    }

    /// Answers what a client asks about a task of ours. As with a call, the name of what has ended with the answer may come with it.
    pub async fn task(&self, id: &Id, method: &str, message: &Message) -> Answered {
        let meta = message.member("params").and_then(|params| members(params).ok()?.last("_meta"));
        let manner = if is_stateless(meta) { Manner::Extension } else { Manner::Params };
        if manner == Manner::Extension && !declared::takes_tasks(meta) {
            let data = format!(r#"{{"requiredCapabilities":{{"extensions":{{"{TASKS}":{{}}}}}}}}"#);
            let why = "the client did not declare that it takes tasks";
            return (Message::error_with(Some(id), CAPABILITY_MISSING, why, &data), None);
        }
        let named = TaskId::named_by(message).and_then(Result::ok);
        let found = match named.as_ref().map(|task| self.find(task)) {
            Some(Ok(Some(found))) => found,
            Some(Err(error)) => {
                tracing::warn!(%error, "a task cannot be read");
                return (Message::error(Some(id), INTERNAL, "the task cannot be read"), None);
            }
            None | Some(Ok(None)) => {
                let why = "there is no such task, or it was too long ago";
                return (Message::error(Some(id), INVALID_PARAMS, why), None);
            }
        };
        match (method, manner) {
            ("tasks/get", _) => looked_at(id, &found, manner),
            ("tasks/result", Manner::Params) => result(id, found).await,
            ("tasks/cancel", _) => self.take_back(id, &found, manner).await,
            // Nothing was asked of the client; what it answers is passed over.
            ("tasks/update", Manner::Extension) => {
                (Message::result(id, r#"{"resultType":"complete"}"#), None)
            }
            _ => (Message::error(Some(id), -32601, "this revision has no such method for tasks"), None),
        }
    }

    /// Tells whether a mark between pages is ours.
    pub(crate) fn is_own_page(message: &Message) -> bool {
        cursor(message).is_some_and(|cursor| cursor.starts_with(CURSOR))
    }

    /// Answers with a page of our tasks.
    pub(crate) fn list(&self, id: &Id, message: &Message) -> Message {
        let from = match cursor(message) {
            None => Some(0),
            Some(text) => text.strip_prefix(CURSOR).and_then(|from| from.parse().ok()),
        };
        let Some(from) = from else {
            return Message::error(Some(id), INVALID_PARAMS, "there is no such page");
        };
        let (tasks, next) = self.page(from);
        let next = next.map(|next| format!(",\"nextCursor\":{next}")).unwrap_or_default();
        Message::result(id, &format!(r#"{{"tasks":[{}]{next}}}"#, tasks.join(",")))
    }

    /// Adds our tasks to the last page of a server's.
    pub(crate) fn listed_with(&self, answer: Message) -> Message {
        let (tasks, next) = self.page(0);
        let answer = crate::catalogue::with_elements(answer, "tasks", &tasks);
        match next {
            Some(next) if crate::catalogue::is_last_page(answer.text()) => {
                answer.with(&["result", "nextCursor"], &next)
            }
            Some(_) | None => answer,
        }
    }

    /// Returns our tasks from a place on, each as JSON, the newest first, and the mark of the next page.
    fn page(&self, from: usize) -> (Vec<String>, Option<String>) {
        let mut all: Vec<(Handle, Progress)> = Vec::new();
        for live in self.live().values() {
            all.extend(live.task().map(|handle| (handle, live.progress().borrow().clone())));
        }
        for id in self.spool.tasks().unwrap_or_default() {
            let kept = self.spool.task(&id).ok().flatten();
            all.extend(kept.and_then(|kept| Some((kept.task?, stands(&kept.stage)))));
        }
        all.sort_by(|(one, _), (other, _)| (other.created_at, &other.id).cmp(&(one.created_at, &one.id)));
        let shown = all.iter().skip(from).take(PAGE_MAX).map(|(handle, progress)| {
            serde_json::Value::Object(task::shown(handle, progress, Manner::Params)).to_string()
        });
        let next = from.saturating_add(PAGE_MAX);
        let mark = (next < all.len()).then(|| crate::call::quoted(&format!("{CURSOR}{next}")));
        (shown.collect(), mark)
    }

    /// Forgets tasks of which nobody may expect anything any more.
    pub(super) fn forget_stale_tasks(&self) {
        for id in self.spool.tasks().unwrap_or_default() {
            let stale = match self.spool.task(&id) {
                Ok(kept) => kept.and_then(|kept| kept.task).is_none_or(|task| task.is_stale()),
                Err(_) => false,
            };
            if stale && let Err(error) = self.spool.forget_task(&id) {
                tracing::warn!(%error, "a task that is over cannot be forgotten");
            }
        }
        let unread: Vec<Arc<Live>> = self.live().values().cloned().collect();
        for live in unread {
            if live.has_ended() && live.task().is_some_and(|task| task.is_stale()) {
                live.delivered();
                self.sweep(&live);
            }
        }
    }

    fn find(&self, id: &TaskId) -> std::io::Result<Option<Found>> {
        let live = self.live().values().find(|live| live.task().is_some_and(|task| task.id == *id)).cloned();
        if let Some((live, handle)) = live.and_then(|live| live.task().map(|handle| (live, handle))) {
            return Ok(Some(Found::Live(live, handle)));
        }
        // What another process of ours has is not found here; it is when that has gone.
        let kept = self.spool.task(id)?;
        Ok(kept.and_then(|kept| kept.task.clone().map(|handle| Found::Over(Box::new(kept), handle))))
    }

    /// Withdraws a call that waits. What the server has cannot be taken back.
    async fn take_back(&self, id: &Id, found: &Found, manner: Manner) -> Answered {
        let (progress, handle) = found.stands();
        let accepted = |progress: &Progress, key| match manner {
            Manner::Params => (
                Message::result(
                    id,
                    &serde_json::Value::Object(task::shown(handle, progress, manner)).to_string(),
                ),
                key,
            ),
            Manner::Extension => (Message::result(id, r#"{"resultType":"complete"}"#), key),
        };
        let (Found::Live(live, _), Progress::Waiting(pending)) = (found, &progress) else {
            return match (manner, task::status(&progress, manner)) {
                // There it is a wish, which need not come true.
                (Manner::Extension, _) => accepted(&progress, None),
                (Manner::Params, task::Status::Working) => {
                    let why = "the call was approved and sent: it cannot be taken back";
                    (Message::error(Some(id), INVALID_PARAMS, why), None)
                }
                (Manner::Params, _) => (Message::error(Some(id), INVALID_PARAMS, "the task has ended"), None),
            };
        };
        if let Err(error) = self.authority.withdraw(pending).await {
            let why = format!("the call is not taken back: {error}");
            return (Message::error(Some(id), INTERNAL, &why), None);
        }
        let mut progress = live.progress();
        let over = progress.wait_for(|progress| matches!(progress, Progress::Over(_)));
        match tokio::time::timeout(WITHDRAWN_WITHIN, over).await {
            Ok(Ok(over)) => accepted(&over, Some(live.key.clone())),
            Ok(Err(_)) | Err(_) => {
                let why = "the call is taken back, but its end is not seen yet";
                (Message::error(Some(id), INTERNAL, why), None)
            }
        }
    }
}

/// Tells whether an answer of the server is a task of its own, or an error in place of one.
fn is_servers(outcome: &Outcome, of_server: bool) -> bool {
    match outcome {
        Outcome::Done { answer: (member, raw), .. } if of_server => {
            member == "error" || members(raw).is_ok_and(|result| result.last("task").is_some())
        }
        Outcome::Done { .. } | Outcome::Denied { .. } | Outcome::NotDone { .. } | Outcome::Unknown { .. } => {
            false
        }
    }
}

fn looked_at(id: &Id, found: &Found, manner: Manner) -> Answered {
    let (progress, handle) = found.stands();
    let ends = manner == Manner::Extension && matches!(progress, Progress::Over(_));
    let key = match found {
        Found::Live(live, _) if ends => Some(live.key.clone()),
        Found::Live(..) | Found::Over(..) => None,
    };
    (task::looked_at(id, handle, &progress, manner), key)
}

/// Waits for the result, however long it takes.
async fn result(id: &Id, found: Found) -> Answered {
    let form = Form::default();
    match found {
        Found::Over(kept, handle) => match stands(&kept.stage) {
            Progress::Over(outcome) => (task::related(reply::outcome(id, &outcome, form), &handle.id), None),
            Progress::Asking | Progress::Waiting(_) | Progress::Begun | Progress::Failed { .. } => {
                (Message::error(Some(id), INTERNAL, "what came of the task is not known here"), None)
            }
        },
        Found::Live(live, handle) => {
            let _holds = live.holds();
            let mut progress = live.progress();
            loop {
                let now = progress.borrow_and_update().clone();
                match now {
                    Progress::Over(outcome) => {
                        let answer = reply::outcome(id, &outcome, form);
                        return (task::related(answer, &handle.id), Some(live.key.clone()));
                    }
                    Progress::Failed { code, why } => {
                        return (task::related(reply::refused(id, code, &why, form), &handle.id), None);
                    }
                    Progress::Asking | Progress::Waiting(_) | Progress::Begun => {}
                }
                if progress.changed().await.is_err() {
                    return (Message::error(Some(id), INTERNAL, super::INTERRUPTED), None);
                }
            }
        }
    }
}

fn cursor(message: &Message) -> Option<String> {
    let raw = members(message.member("params")?).ok()?.last("cursor")?;
    serde_json::from_str(raw).ok()
}

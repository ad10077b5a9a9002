//! Many bundles at once, on as many threads as there are processors, one bundle of each in memory. Source: `spec/window.md`.

mod progress;
mod report;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gantral_evidence::container::{Files, read_tar};
use gantral_evidence::dsse::Envelope;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Code, Report, Weight, refuse, verify};
use gantral_evidence::window::{
    INSTANCES_BYTES_MAX, InstanceHead, LIST_PATH, STATEMENT_PATH, Window, WindowStatement,
};

use crate::error::VerifyError;
use crate::read::{Source, bundle, limited};

pub use progress::Progress;
pub use report::{Found, WindowReport, to_json, to_text};

/// The largest statement that is read, in bytes; a larger one is no envelope.
const STATEMENT_BYTES_MAX: usize = 256 << 10;
/// What the bundle of an instance ends with, when it is a file.
const SUFFIX: &str = ".gantral";

/// Tells whether a path is a window and not a bundle.
pub fn is_window(path: &Path) -> bool {
    path.join(STATEMENT_PATH).is_file()
}

/// Returns how many threads verify as fast as this machine can.
pub fn all_processors() -> NonZeroUsize {
    thread::available_parallelism().unwrap_or(NonZeroUsize::MIN)
}

/// Verifies a window on so many threads. `progress` is told after each bundle how many are done, and of how many.
///
/// # Errors
/// When there is no verdict: a file that is there cannot be read.
pub fn verify_window(
    folder: &Path,
    trust: Option<&Trust>,
    threads: NonZeroUsize,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<WindowReport, VerifyError> {
    let statement = limited(&folder.join(STATEMENT_PATH), STATEMENT_BYTES_MAX.saturating_add(1))?;
    let list = limited(&folder.join(LIST_PATH), INSTANCES_BYTES_MAX.saturating_add(1))?;
    let window = match Window::open(&statement, &list, trust) {
        Ok(window) => window,
        Err(fault) => return Ok(WindowReport::refused(fault)),
    };
    let mut report = WindowReport::of(window.statement.clone());
    if trust.is_some_and(|trust| trust.require.is_none()) {
        report.add(None, Code::NoRequire, Code::NoRequire.weight(), Code::NoRequire.meaning().to_owned());
    }
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let heads = &window.list.instances;
    let judged = Mutex::new(Vec::with_capacity(heads.len()));
    let work = || -> Result<(), VerifyError> {
        while let Some(head) = heads.get(next.fetch_add(1, Ordering::Relaxed)) {
            let one = judge(folder, head, &window.statement, trust)?;
            judged.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push(one);
            progress(done.fetch_add(1, Ordering::Relaxed).saturating_add(1), heads.len());
        }
        Ok(())
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.get()).map(|_| scope.spawn(work)).collect();
        // A panic would be a defect of the verifier; it must not look like a verdict.
        workers.into_iter().try_for_each(|worker| match worker.join() {
            Ok(worked) => worked,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    for one in judged.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner) {
        report.take(one);
    }
    Ok(report.finish())
}

/// What came of one instance of the list.
pub(crate) struct Judged {
    head: InstanceHead,
    artifacts: usize,
    found: Vec<(Code, Weight, String)>,
}

fn judge(
    folder: &Path,
    head: &InstanceHead,
    statement: &WindowStatement,
    trust: Option<&Trust>,
) -> Result<Judged, VerifyError> {
    let nothing = |code: Code, message: &str| {
        let found = vec![(code, code.weight(), message.to_owned())];
        Ok(Judged { head: *head, artifacts: 0, found })
    };
    let Some(path) = place(folder, head) else {
        return nothing(Code::CompletenessUnproved, "its bundle is not there");
    };
    match bundle(&path)? {
        Source::Tar(bytes) => match read_tar(&bytes) {
            Ok(files) => Ok(judge_files(&files, head, statement, trust)),
            Err(error) => Ok(Judged::of(*head, &refuse(&error))),
        },
        Source::Files(files) => match files.as_files() {
            Ok(files) => Ok(judge_files(&files, head, statement, trust)),
            Err(error) => Ok(Judged::of(*head, &refuse(&error))),
        },
        Source::NotABundle(error) => Ok(Judged::of(*head, &refuse(&error))),
    }
}

/// Returns where the bundle of an instance is.
fn place(folder: &Path, head: &InstanceHead) -> Option<PathBuf> {
    let file = folder.join(format!("{}{SUFFIX}", head.instance));
    let directory = folder.join(head.instance.to_string());
    [file, directory].into_iter().find(|path| path.exists())
}

fn judge_files(
    files: &Files<'_>,
    head: &InstanceHead,
    statement: &WindowStatement,
    trust: Option<&Trust>,
) -> Judged {
    let report = verify(files, trust);
    let mut judged = Judged::of(*head, &report);
    let mut add = |code: Code, message: &str| judged.found.push((code, code.weight(), message.to_owned()));
    let sealed = files.within("artifacts/").find_map(|(_, content)| {
        let envelope = Envelope::parse(content).ok()?;
        (artifact_hash(&envelope.payload) == head.hash).then_some(envelope)
    });
    let newest = sealed.and_then(|envelope| Statement::decode(&envelope.payload).ok());
    match (&newest, report.timeline.last()) {
        (Some(newest), _) => {
            let own = newest.identity.tenant == statement.tenant
                && newest.identity.origin == statement.origin
                && newest.identity.instance == head.instance
                && newest.sequence == head.sequence;
            let begins = report.timeline.first().map(|first| first.at);
            let inside = begins.is_none_or(|at| statement.from <= at && at < statement.to);
            if !own || !inside {
                add(Code::Mixed, "the execution is not the one that the window lists");
            }
        }
        (None, Some(last)) if last.sequence < head.sequence => {
            add(Code::Truncated, "the chain ends before the artifact that the window lists");
        }
        (None, Some(_)) => add(Code::Fork, "the chain does not hold the artifact that the window lists"),
        // Nothing could be verified, which has been said.
        (None, None) => {}
    }
    judged
}

impl Judged {
    fn of(head: InstanceHead, report: &Report) -> Self {
        let found = report
            .findings
            .iter()
            .map(|finding| (finding.code, finding.weight, format!("{}: {}", finding.place, finding.message)));
        Self { head, artifacts: report.timeline.len(), found: found.collect() }
    }
}

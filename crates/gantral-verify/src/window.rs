//! Many bundles at once, on as many threads as there are processors, one bundle of each in memory. Source: `spec/window.md`.

mod progress;
mod report;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use gantral_evidence::container::{ContainerError, Files, KEYS_DIRECTORY, OwnedFiles, read_tar};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{Code, Report, Verdict, Weight, refuse, verify};
use gantral_evidence::window::{
    INSTANCES_BYTES_MAX, InstanceHead, LIST_PATH, STATEMENT_PATH, Window, WindowFault, WindowStatement,
};

use crate::error::VerifyError;
use crate::read::{Source, bundle, directory, limited};

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
    let list = match limited(&folder.join(LIST_PATH), INSTANCES_BYTES_MAX.saturating_add(1)) {
        Ok(list) => Some(list),
        // A window without it is damaged; that is a verdict.
        Err(error) if error.is_not_there() => None,
        Err(error) => return Err(error.into()),
    };
    let opened = keys(folder)?.and_then(|keys| {
        let keys = keys.as_files().map_err(no_files)?;
        Window::open(&statement, list.as_deref(), &keys, trust)
    });
    let window = match opened {
        Ok(window) => window,
        Err(fault) => return Ok(WindowReport::refused(fault)),
    };
    let mut report = WindowReport::of(window.statement.clone());
    for note in window.notes {
        report.add(None, note.code, note.weight, format!("{}: {}", note.place, note.message));
    }
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

/// Reads what lies under `keys/`, if that is there; the inner error says why it is unusable.
fn keys(folder: &Path) -> Result<Result<OwnedFiles, WindowFault>, VerifyError> {
    let keys = folder.join(KEYS_DIRECTORY);
    if !keys.is_dir() {
        return Ok(Ok(OwnedFiles::new()));
    }
    Ok(directory(&keys, KEYS_DIRECTORY)?.map_err(no_files))
}

fn no_files(error: ContainerError) -> WindowFault {
    WindowFault { code: Code::Container, message: error.to_string() }
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
    let mut add =
        |code: Code, weight: Weight, message: &str| judged.found.push((code, weight, message.to_owned()));
    let (Some(execution), Some(first), Some(last)) =
        (&report.execution, report.timeline.first(), report.timeline.last())
    else {
        // Nothing could be verified, which has been said.
        return judged;
    };
    let identity = &execution.identity;
    if identity.instance != head.instance {
        add(Code::Mixed, Code::Mixed.weight(), "the bundle is that of another execution");
        return judged;
    }
    let is_of_window = identity.tenant == statement.tenant && identity.origin == statement.origin;
    if !is_of_window || first.at < statement.from || first.at >= statement.to {
        add(
            Code::Mixed,
            Code::Mixed.weight(),
            "the execution is not of the tenant, the log and the time of the window",
        );
    }
    // By the verified chain alone: what nobody trusted signed may lie beside it.
    match report.timeline.iter().find(|moment| moment.sequence == head.sequence) {
        Some(moment) if moment.hash == head.hash => {}
        None if last.sequence < head.sequence => {
            // Where something is wrong with the bundle, that is why it ends, and it may be no more than a file that is missing.
            let whole = report.verdict == Verdict::Valid;
            let weight = if whole { Code::Truncated.weight() } else { Weight::Inconclusive };
            add(Code::Truncated, weight, "the chain ends before the artifact that the window lists");
        }
        _ => {
            add(Code::Fork, Code::Fork.weight(), "the chain does not hold the artifact that the window lists")
        }
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

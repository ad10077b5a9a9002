//! Many bundles at once, on as many threads as there are processors, one bundle of each in memory. Source: `spec/window.md`.
//!
//! Reads files and nothing else: what they mean is decided in `gantral_evidence::window`.

mod progress;

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use gantral_evidence::container::{KEYS_DIRECTORY, OwnedFiles, read_tar};
use gantral_evidence::trust::Trust;
use gantral_evidence::window::{
    INSTANCES_BYTES_MAX, InstanceHead, Judged, LIST_PATH, STATEMENT_BYTES_MAX, STATEMENT_PATH, Window,
    WindowFault, WindowReport, WindowStatement,
};

use crate::error::VerifyError;
use crate::read::{Source, bundle, directory, limited};

pub use gantral_evidence::report::window::{to_json, to_text};
pub use progress::Progress;

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
    let window = match open(folder, trust)? {
        Ok(window) => window,
        Err(fault) => return Ok(WindowReport::refused(fault)),
    };
    let report = Mutex::new(WindowReport::begin(&window, trust));
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let heads = &window.list.instances;
    let work = || -> Result<(), VerifyError> {
        while let Some(head) = heads.get(next.fetch_add(1, Ordering::Relaxed)) {
            let judged = judge(folder, head, &window.statement, trust)?;
            report.lock().unwrap_or_else(PoisonError::into_inner).take(judged);
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
    Ok(report.into_inner().unwrap_or_else(PoisonError::into_inner).finish())
}

/// Reads a window but for its bundles; the inner error says why it says nothing.
fn open(folder: &Path, trust: Option<&Trust>) -> Result<Result<Window, WindowFault>, VerifyError> {
    let statement = limited(&folder.join(STATEMENT_PATH), STATEMENT_BYTES_MAX.saturating_add(1))?;
    let list = match limited(&folder.join(LIST_PATH), INSTANCES_BYTES_MAX.saturating_add(1)) {
        Ok(list) => Some(list),
        // A window without it is damaged; that is a verdict.
        Err(error) if error.is_not_there() => None,
        Err(error) => return Err(error.into()),
    };
    Ok(keys(folder)?.and_then(|keys| {
        let keys = keys.as_files().map_err(|error| WindowFault::keys(&error))?;
        Window::open(&statement, list.as_deref(), &keys, trust)
    }))
}

/// Reads what lies under `keys/`, if that is there; the inner error says why it is unusable.
fn keys(folder: &Path) -> Result<Result<OwnedFiles, WindowFault>, VerifyError> {
    let keys = folder.join(KEYS_DIRECTORY);
    if !keys.is_dir() {
        return Ok(Ok(OwnedFiles::new()));
    }
    Ok(directory(&keys, KEYS_DIRECTORY)?.map_err(|error| WindowFault::keys(&error)))
}

fn judge(
    folder: &Path,
    head: &InstanceHead,
    statement: &WindowStatement,
    trust: Option<&Trust>,
) -> Result<Judged, VerifyError> {
    let Some(path) = place(folder, head) else { return Ok(Judged::missing(head)) };
    let source = bundle(&path)?;
    let files = match &source {
        Source::Tar(bytes) => read_tar(bytes),
        Source::Files(files) => files.as_files(),
        Source::NotABundle(error) => Err(error.clone()),
    };
    Ok(match files {
        Ok(files) => Judged::files(&files, head, statement, trust),
        Err(error) => Judged::refused(head, &error),
    })
}

/// Returns where the bundle of an instance is.
fn place(folder: &Path, head: &InstanceHead) -> Option<PathBuf> {
    let (file, directory) = (folder.join(head.file_name()), folder.join(head.folder_name()));
    if file.is_file() { Some(file) } else { Some(directory).filter(|path| path.is_dir()) }
}

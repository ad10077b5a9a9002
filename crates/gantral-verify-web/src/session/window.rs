//! A window, whose bundles arrive one after the other: one of them at a time is in memory.

use gantral_evidence::trust::Trust;
use gantral_evidence::window::{InstanceHead, Judged, Window, WindowFault, WindowReport};

use super::bundle::Bundle;

/// Why a step cannot be taken: the calls came in a wrong order.
pub(super) type OutOfOrder = &'static str;

/// What a step led to.
#[derive(Debug)]
pub(super) enum Step {
    /// The bundle of this instance is wanted.
    Wants(InstanceHead),
    /// All of them were judged.
    Done(Box<WindowReport>),
}

/// A window that arrives.
#[derive(Debug)]
pub(super) enum WindowParts {
    /// Its own files, as far as they are there.
    Given { statement: Option<Vec<u8>>, list: Option<Vec<u8>> },
    /// It was opened, and so many of its instances were judged.
    Open { window: Box<Window>, report: Box<WindowReport>, judged: usize },
    /// It was read to its end.
    Closed { judged: usize },
}

impl WindowParts {
    pub(super) const fn new() -> Self {
        Self::Given { statement: None, list: None }
    }

    /// Tells whether what is verified is a window.
    pub(super) const fn is_begun(&self) -> bool {
        !matches!(self, Self::Given { statement: None, list: None })
    }

    /// Takes the statement.
    pub(super) fn statement(&mut self, bytes: Vec<u8>) -> Result<(), OutOfOrder> {
        let Self::Given { statement, .. } = self else { return Err(TOO_LATE) };
        *statement = Some(bytes);
        Ok(())
    }

    /// Takes the list.
    pub(super) fn list(&mut self, bytes: Vec<u8>) -> Result<(), OutOfOrder> {
        let Self::Given { list, .. } = self else { return Err(TOO_LATE) };
        *list = Some(bytes);
        Ok(())
    }

    /// Opens the window with the files under `keys/`, or judges the bundle that was given since the last step.
    pub(super) fn step(&mut self, given: &Bundle, trust: Option<&Trust>) -> Result<Step, OutOfOrder> {
        match std::mem::replace(self, Self::Closed { judged: 0 }) {
            Self::Given { statement, list } => {
                let statement = statement.ok_or("there is no window")?;
                match open(&statement, list.as_deref(), given, trust)? {
                    Ok(window) => {
                        let report = WindowReport::begin(&window, trust);
                        Ok(self.go_on(Box::new(window), Box::new(report), 0))
                    }
                    Err(fault) => Ok(Step::Done(Box::new(WindowReport::refused(fault)))),
                }
            }
            Self::Open { window, mut report, judged } => {
                if let Some(head) = window.list.instances.get(judged) {
                    report.take(judge(given, head, &window, trust));
                }
                Ok(self.go_on(window, report, judged.saturating_add(1)))
            }
            Self::Closed { judged } => {
                *self = Self::Closed { judged };
                Err("the window was read to its end already")
            }
        }
    }

    fn go_on(&mut self, window: Box<Window>, report: Box<WindowReport>, judged: usize) -> Step {
        match window.list.instances.get(judged).copied() {
            Some(head) => {
                *self = Self::Open { window, report, judged };
                Step::Wants(head)
            }
            None => {
                *self = Self::Closed { judged };
                Step::Done(Box::new(report.finish()))
            }
        }
    }

    /// Returns how many bundles were judged, and of how many.
    pub(super) fn progress(&self) -> (usize, usize) {
        match self {
            Self::Given { .. } => (0, 0),
            Self::Open { window, judged, .. } => (*judged, window.list.instances.len()),
            Self::Closed { judged } => (*judged, *judged),
        }
    }
}

const TOO_LATE: OutOfOrder = "a file of the window came after it was opened";

fn open(
    statement: &[u8],
    list: Option<&[u8]>,
    keys: &Bundle,
    trust: Option<&Trust>,
) -> Result<Result<Window, WindowFault>, OutOfOrder> {
    if matches!(keys, Bundle::Tar(_)) {
        return Err("a bundle came before the window was opened");
    }
    Ok(keys
        .files()
        .map_err(|error| WindowFault::keys(&error))
        .and_then(|keys| Window::open(statement, list, &keys, trust)))
}

fn judge(bundle: &Bundle, head: &InstanceHead, window: &Window, trust: Option<&Trust>) -> Judged {
    match bundle.files() {
        Ok(files) => Judged::files(&files, head, &window.statement, trust),
        Err(error) => Judged::refused(head, &error),
    }
}

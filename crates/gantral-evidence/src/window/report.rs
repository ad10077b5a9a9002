//! The answer about a window: what is said of the whole, and of each of its instances. Source: `spec/window.md` §3.

use alloc::vec::Vec;

use gantral_core::ids::InstanceId;

use super::{Judged, Window, WindowFault, WindowFilter, WindowStatement};
use crate::trust::Trust;
use crate::verify::{Code, Finding, Place, Verdict};

/// What a verdict on a window never says: a report says so whatever the verdict (X8).
const NOT_PROVED: [&str; 2] = [
    "That no other execution was left out: the issuer says so, and `gantral log monitor --bundles` compares that with a mirror of the log.",
    "That nothing was done outside: an action that never touched the system leaves no artifact.",
];
/// What it does not say where there is a filter either (X8).
const FILTER_NOT_PROVED: &str = "That these executions, and no others, fit the filter: the issuer says so, and no leaf of the log can show it.";

/// One thing that was found. What was found is ordered by instance, the window itself first, and then as the findings of a bundle are.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Found {
    /// The instance; `None` is the window itself.
    pub instance: Option<InstanceId>,
    /// What, and where in the bundle of the instance.
    pub finding: Finding,
}

/// The answer about a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowReport {
    /// The worst of its parts.
    pub verdict: Verdict,
    /// What the issuer says; `None` if nobody trusted vouches for it.
    pub statement: Option<WindowStatement>,
    /// How many bundles hold an artifact that was verified and lawful.
    pub bundles: usize,
    /// How many artifacts were verified and lawful.
    pub artifacts: usize,
    /// Everything that was found, in order.
    pub found: Vec<Found>,
}

impl WindowReport {
    /// Begins the report on a window that was opened; each of its instances is still to be judged and [taken](Self::take).
    pub fn begin(window: &Window, trust: Option<&Trust>) -> Self {
        let mut report = Self::empty(Some(window.statement.clone()));
        for note in &window.notes {
            report.found.push(Found { instance: None, finding: note.clone() });
        }
        if trust.is_some_and(|trust| trust.require.is_none()) {
            report.add(WindowFault::new(Code::NoRequire, Code::NoRequire.meaning()));
        }
        report
    }

    /// Returns the report on a window that says nothing.
    pub fn refused(fault: WindowFault) -> Self {
        let mut report = Self::empty(None);
        report.add(fault);
        report.finish()
    }

    fn empty(statement: Option<WindowStatement>) -> Self {
        Self { verdict: Verdict::Valid, statement, bundles: 0, artifacts: 0, found: Vec::new() }
    }

    fn add(&mut self, fault: WindowFault) {
        let WindowFault { code, message } = fault;
        let finding = Finding { code, weight: code.weight(), place: Place::Window, message };
        self.found.push(Found { instance: None, finding });
    }

    /// Takes what came of an instance. They may come in any order.
    pub fn take(&mut self, judged: Judged) {
        self.bundles = self.bundles.saturating_add(usize::from(judged.artifacts > 0));
        self.artifacts = self.artifacts.saturating_add(judged.artifacts);
        let instance = Some(judged.instance);
        self.found.extend(judged.findings.into_iter().map(|finding| Found { instance, finding }));
    }

    /// Ends the report: sorts what was found, and gives the verdict (X7).
    #[must_use]
    pub fn finish(mut self) -> Self {
        self.found.sort();
        self.verdict = Verdict::of(self.found.iter().map(|found| &found.finding));
        self
    }

    /// Returns what the verdict does not say, in sentences.
    pub fn not_proved(&self) -> Vec<&'static str> {
        let is_filtered = self.statement.as_ref().is_some_and(|said| said.filter != WindowFilter::default());
        NOT_PROVED.into_iter().chain(is_filtered.then_some(FILTER_NOT_PROVED)).collect()
    }

    /// Returns the codes that were found, sorted, each once.
    pub fn codes(&self) -> Vec<Code> {
        let mut codes: Vec<Code> = self.found.iter().map(|found| found.finding.code).collect();
        codes.sort_by_key(|code| code.as_str());
        codes.dedup();
        codes
    }
}

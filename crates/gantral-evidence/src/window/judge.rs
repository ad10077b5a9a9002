//! One instance of a window: its bundle by itself, and what the list and the statement say of its chain. Source: `spec/window.md` X6.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::ids::InstanceId;

use super::{InstanceHead, WindowStatement};
use crate::container::{ContainerError, Files};
use crate::trust::Trust;
use crate::verify::{Code, Finding, Place, Report, Verdict, Weight, refuse, verify};

/// What the bundle of an instance ends with, when it is a file.
const BUNDLE_SUFFIX: &str = ".gantral";

/// What came of one instance of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    pub(super) instance: InstanceId,
    /// How many of its artifacts are authentic and lawful.
    pub(super) artifacts: usize,
    pub(super) findings: Vec<Finding>,
}

impl InstanceHead {
    /// Returns the name of the bundle of the instance as a file of the window; it counts before the folder (X1).
    pub fn file_name(&self) -> String {
        format!("{}{BUNDLE_SUFFIX}", self.instance)
    }

    /// Returns the name of the bundle of the instance as a folder of the window.
    pub fn folder_name(&self) -> String {
        format!("{}", self.instance)
    }
}

impl Judged {
    /// Returns what there is to say where there is no bundle.
    pub fn missing(head: &InstanceHead) -> Self {
        let mut judged = Self { instance: head.instance, artifacts: 0, findings: Vec::new() };
        judged.add(Code::CompletenessUnproved, "its bundle is not there");
        judged
    }

    /// Returns what there is to say of files that are no bundle at all.
    pub fn refused(head: &InstanceHead, error: &ContainerError) -> Self {
        Self::of(head, refuse(error))
    }

    /// Judges the bundle of an instance. A folder without any file is as good as none (X1).
    pub fn files(
        files: &Files<'_>,
        head: &InstanceHead,
        statement: &WindowStatement,
        trust: Option<&Trust>,
    ) -> Self {
        if files.is_empty() {
            return Self::missing(head);
        }
        let report = verify(files, trust);
        let compared = compare(&report, head, statement);
        let mut judged = Self::of(head, report);
        for (code, weight, message) in compared {
            let message = message.to_owned();
            judged.findings.push(Finding { code, weight, place: Place::Bundle, message });
        }
        judged
    }

    fn of(head: &InstanceHead, report: Report) -> Self {
        Self { instance: head.instance, artifacts: report.timeline.len(), findings: report.findings }
    }

    fn add(&mut self, code: Code, message: &str) {
        let (weight, message) = (code.weight(), message.to_owned());
        self.findings.push(Finding { code, weight, place: Place::Bundle, message });
    }
}

/// Compares a chain with what the window says of it. It is the verified chain alone: what nobody trusted signed may lie beside it.
fn compare(
    report: &Report,
    head: &InstanceHead,
    statement: &WindowStatement,
) -> Vec<(Code, Weight, &'static str)> {
    let mut found = Vec::new();
    let mut add = |code: Code, weight: Weight, message| found.push((code, weight, message));
    let (Some(execution), Some(first), Some(last)) =
        (&report.execution, report.timeline.first(), report.timeline.last())
    else {
        // Nothing could be verified, which has been said.
        return found;
    };
    let identity = &execution.identity;
    if identity.instance != head.instance {
        add(Code::Mixed, Code::Mixed.weight(), "the bundle is that of another execution");
        return found;
    }
    let is_of_window = identity.tenant == statement.tenant && identity.origin == statement.origin;
    if !is_of_window || first.at < statement.from || first.at >= statement.to {
        let message = "the execution is not of the tenant, the log and the time of the window";
        add(Code::Mixed, Code::Mixed.weight(), message);
    }
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
    found
}

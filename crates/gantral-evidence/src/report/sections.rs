//! What the report says about the whole: in sentences, in parts, for every program that shows it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::state::HumanEvidence;
use gantral_core::workflow::Release;

use super::{governance, proofs};
use crate::container::Scope;
use crate::verify::{Assurance, Enforcement, Execution, Report, Verdict};

/// One part of the report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// What it is about.
    pub title: &'static str,
    /// Its lines, in their order.
    pub lines: Vec<Line>,
}

/// One line of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// What the line answers, in a word or two; empty where it goes on with the line before.
    pub label: &'static str,
    /// The answer.
    pub text: String,
}

impl Line {
    pub(super) fn new(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, text: text.into() }
    }
}

/// Returns the verdict in a sentence.
pub fn meaning(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Valid if is_whole(report) => {
            "Signed by a key that you trust, lawful by the published rules, and the whole story by the log."
        }
        Verdict::Valid => "Signed by a key that you trust, unbroken, and lawful by the published rules.",
        Verdict::Invalid => "This evidence is damaged, or contradicts itself. Do not rely on it.",
        Verdict::Inconclusive => "Nothing is proved wrong, and not everything that is needed is proved.",
    }
}

/// Tells whether it is proved that nothing was left out.
fn is_whole(report: &Report) -> bool {
    report.assurance.as_ref().is_some_and(|assurance| assurance.complete.is_some())
}

/// Returns what the bundle is about, and how far that can be relied upon; nothing if no artifact could be verified.
pub fn sections(report: &Report) -> Vec<Section> {
    let mut sections = Vec::new();
    if let Some(execution) = &report.execution {
        sections.push(Section { title: "About", lines: about(execution, report.scope) });
    }
    // What is contradicted gives no assurance, whatever of it was lawful.
    if let Some(assurance) = report.assurance.as_ref().filter(|_| report.verdict != Verdict::Invalid) {
        sections.push(Section { title: "How far this can be relied upon", lines: reliance(assurance) });
    }
    sections
}

fn about(execution: &Execution, scope: Option<Scope>) -> Vec<Line> {
    let identity = &execution.identity;
    let workflow = &identity.workflow;
    let scope = match scope {
        Some(Scope::Complete) => "claims to be the complete chain",
        Some(Scope::Prefix) => "claims to be the chain up to some moment",
        None => "unknown",
    };
    let (artifacts, state) = (execution.artifacts, execution.state);
    let (id, version, materiality) = (&workflow.id, &workflow.version, workflow.materiality.as_str());
    [
        Line::new("execution", format!("{} of tenant {}", identity.instance, identity.tenant)),
        Line::new("workflow", format!("{id} version {version}, materiality {materiality}")),
        Line::new("scope", format!("{scope}; {artifacts} artifacts verified, up to state {state}")),
        Line::new("head", format!("{}", execution.head)),
    ]
    .into()
}

fn reliance(assurance: &Assurance) -> Vec<Line> {
    let enforcement = match assurance.enforcement {
        Enforcement::Enforced => "actions were held until authority was granted",
        Enforcement::SelfExecuted => "not enforced: the agent executed actions itself",
        Enforcement::Shadow => "not enforced: actions were only observed",
    };
    let human = match assurance.human_evidence {
        None => "no human decided",
        Some(HumanEvidence::Development) => "development identities: good for trying out only",
        Some(HumanEvidence::Operator) => "the server vouches for who decided",
        Some(HumanEvidence::Oidc) => "the identity provider's token is bound to the decision",
        Some(HumanEvidence::Webauthn) if assurance.human_device_bound == Some(true) => {
            "the approver's own device signed the decision, with a key that cannot leave it"
        }
        Some(HumanEvidence::Webauthn) => {
            "the approver's own device signed the decision, with a passkey that may be on other devices of theirs"
        }
    };
    let mut lines = Vec::from([Line::new("enforcement", enforcement)]);
    lines.extend(assurance.signed_by.iter().map(|key| Line::new("signed by", format!("{key}"))));
    lines.extend(proofs::log_lines(assurance));
    lines.extend(governance::governance_lines(&assurance.governance));
    if let Some(release) = assurance.release {
        let waited_for = match release {
            Release::Committed => "once they were durable".into(),
            Release::Sequenced => "once a checkpoint of the log covered them".into(),
            Release::Witnessed(count) => {
                format!("once {count} witnesses had cosigned a checkpoint over them")
            }
        };
        lines.push(Line::new("grants", format!("usable {waited_for}")));
    }
    if let Some(replayed) = assurance.replayed {
        lines
            .push(Line::new("policy", format!("evaluated again, {replayed} times with the recorded answer")));
    }
    lines.push(Line::new("humans", human));
    lines
}

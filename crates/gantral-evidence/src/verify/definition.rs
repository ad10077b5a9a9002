//! The definition of the workflow, as far as the bundle holds it and a verdict needs it.

use gantral_core::digest::Hasher;
use gantral_core::ids::TeamId;
use gantral_core::json::{self, Profile, Value};
use gantral_core::state::HumanEvidence;
use gantral_core::workflow::Release;

use super::chain::Chain;
use crate::container::Files;

/// What stands before a definition when it is hashed.
pub(super) const WORKFLOW_LABEL: &str = "gantral/workflow/v1";

/// What a verdict needs to know of a definition.
#[derive(Debug, Default)]
pub(super) struct Definition {
    /// The owning team; `None` if the definition is not in the bundle.
    pub(super) team: Option<TeamId>,
    /// From when a grant may be used; `None` if the definition is not in the bundle, or says what this does not know.
    pub(super) release: Option<Release>,
    /// The least evidence of a decision; `None` if the definition is not in the bundle, or does not say.
    pub(super) required_evidence: Option<HumanEvidence>,
}

impl Definition {
    /// Reads the definition that the chain names. A file that is another one is damaged, and not used.
    pub(super) fn of(files: &Files<'_>, chain: &Chain) -> Self {
        let Some(first) = chain.artifacts.first() else { return Self::default() };
        let digest = first.statement.identity.workflow.digest;
        let path = alloc::format!("workflow/{digest}.json");
        let is_it = |content: &&[u8]| Hasher::new(WORKFLOW_LABEL).bytes(content).finish() == digest;
        let content = files.get(&path).filter(is_it);
        let value = content.and_then(|content| json::parse(content, &Profile::DOCUMENT).ok());
        let text = |member: &str| value.as_ref()?.get(member).and_then(Value::as_str);
        let release = match value.as_ref().filter(|value| matches!(value, Value::Object(_))) {
            Some(object) if object.get("release").is_none() => Some(Release::Committed),
            Some(_) => text("release").and_then(Release::parse),
            None => None,
        };
        let floor = value.as_ref().and_then(|value| value.get("floors")?.get("required_evidence")?.as_str());
        Self {
            team: text("team").and_then(|team| TeamId::parse(team).ok()),
            release,
            required_evidence: floor.and_then(HumanEvidence::parse),
        }
    }
}

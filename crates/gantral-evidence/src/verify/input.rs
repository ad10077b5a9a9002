//! What policy evaluated must be about what the artifact is about. Source: `spec/verification.md` §7.

use alloc::collections::BTreeSet;

use gantral_core::action::Action;
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_core::event::{Event, Identity, PolicyRecord};
use gantral_core::ids::ActorId;
use gantral_core::json::{self, Profile, Value};

use super::chain::Chain;
use super::code::Code;
use super::disclosed::Opened;
use super::finding::{Findings, Place};
use super::sealed::Artifact;
use crate::commitments::{evaluated_action, policy};

/// Compares every disclosed policy input with the artifact that commits to it.
pub(super) fn check(chain: &Chain, opened: &Opened, findings: &mut Findings) {
    // What was asked is evaluated again when it is used, as asked by whoever asked.
    let mut askers: BTreeSet<&ActorId> = BTreeSet::new();
    for artifact in chain.lawful() {
        let entry = &artifact.statement.entry;
        if matches!(entry.event, Event::HumanRequired(_) | Event::Allowed(_)) {
            askers.insert(&entry.actor.id);
        }
        let Some(record) = policy(&entry.event) else { continue };
        let Some(bytes) = opened.get(CommitmentLabel::Input, &record.input) else { continue };
        if let Err(what) = compare(artifact, record, bytes, &askers, opened) {
            let place = Place::Label(CommitmentLabel::Input, Some(artifact.statement.sequence));
            let message = alloc::format!("the {what} that policy evaluated is not that of the artifact");
            findings.add(Code::InputBinding, place, message);
        }
    }
}

/// Returns what differs first.
fn compare(
    artifact: &Artifact,
    record: &PolicyRecord,
    bytes: &[u8],
    askers: &BTreeSet<&ActorId>,
    opened: &Opened,
) -> Result<(), &'static str> {
    let input = json::parse(bytes, &Profile::DOCUMENT).map_err(|_| "document")?;
    let text = |group: &str, member: &str| input.get(group).and_then(|group| group.get(member)?.as_str());
    let Identity { instance, workflow, .. } = &artifact.statement.identity;
    let same = |what, holds| if holds { Ok(()) } else { Err(what) };
    let instance = alloc::format!("{instance}");
    same("instance", text("instance", "instance_id") == Some(instance.as_str()))?;
    same("workflow", text("instance", "workflow_id") == Some(workflow.id.as_str()))?;
    same("workflow version", text("instance", "workflow_version") == Some(workflow.version.as_str()))?;
    same("materiality", text("instance", "materiality") == Some(workflow.materiality.as_str()))?;
    let version = record.version.0.to_hex();
    same("policy version", text("policy", "policy_version_id") == Some(version.as_str()))?;
    let acts = |id: &ActorId| text("identity", "actor_id") == Some(id.as_str());
    same("actor", acts(&artifact.statement.entry.actor.id) || askers.iter().any(|id| acts(id)))?;
    match evaluated_action(&artifact.statement.entry.event) {
        Some(action) => same("action", same_action(&input, action, opened)),
        None => Ok(()),
    }
}

/// Compares name, target and what the workflow let policy see of the parameters, if the action is disclosed.
fn same_action(input: &Value, commitment: &Digest, opened: &Opened) -> bool {
    let Some(bytes) = opened.get(CommitmentLabel::Action, commitment) else { return true };
    let read = |value: &Value| Action::read(value).ok();
    let action = json::parse(bytes, &Profile::DOCUMENT).ok().as_ref().and_then(read);
    let evaluated = input.get("action").and_then(read);
    let (Some(action), Some(evaluated)) = (action, evaluated) else { return false };
    action.name == evaluated.name
        && action.target == evaluated.target
        && evaluated.parameters.iter().all(|(name, value)| action.parameters.get(name) == Some(value))
}

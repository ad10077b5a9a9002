//! Asking for authority, using it, and saying what came of it.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Action, Document, GrantView, Receipt, text};

/// Body of `POST /v1/instances/{id}/authority`: the action, named before it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// What is to be done.
    pub action: Action,
    /// The step of the workflow, in the agent's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<text::Name>,
    /// What made the agent ask, in a word of the policy contract (`PR`, `INCIDENT`, `PAYMENT`, `OTHER`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<text::Name>,
    /// What the action is expected to cost: an exact number in the unit that the policy counts in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<f64>, format = "decimal")]
    pub cost_estimate: Option<Document>,
    /// Further facts for the policy, as claimed by the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub attributes: Option<Document>,
    /// Consume the grant in the same commit if the answer is ALLOW.
    #[serde(default, skip_serializing_if = "is_false")]
    pub consume: bool,
    /// Who will carry the action out, when `consume` is set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<text::ExecutorKind>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// Answer of `POST /v1/instances/{id}/authority`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "answer", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AuthorityAnswer {
    /// The action may be done now (status 200).
    Allow(Allowed),
    /// Humans decide; this attempt is retired and its process should exit with status 3 (status 202).
    RequireHuman(Waiting),
    /// Policy forbids the action; the instance has ended (status 200).
    Deny(Denied),
}

/// Policy allowed the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Allowed {
    /// The grant's identifier, under which an outcome is reported; absent under SHADOW, where no grant ever exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant_id: Option<text::GrantId>,
    /// The grant, while it waits to be consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantView>,
    /// Whether the answer is enforced; false under SHADOW, where every ask is answered so.
    pub enforced: bool,
    /// What would have been answered; only under SHADOW.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed: Option<ObservedVerdict>,
    /// Until when the action must start, when the ask consumed its grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act_by: Option<text::Time>,
    /// Why, in the policy author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// What would have been enforced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ObservedVerdict {
    /// ALLOW, REQUIRE_HUMAN or DENY.
    pub verdict: text::Verdict,
    /// Who would have been asked; nobody unless the verdict is REQUIRE_HUMAN.
    pub roles: Vec<text::Role>,
}

/// A gate is open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waiting {
    /// WAITING_FOR_HUMAN.
    pub status: text::State,
    /// Always true: under SHADOW nobody is asked.
    pub enforced: bool,
    /// The gate.
    pub gate_id: text::GateId,
    /// When the gate escalates or closes.
    pub expires_at: text::Time,
    /// Where a human decides.
    pub url: String,
    /// Who may decide now.
    pub roles: Vec<text::Role>,
    /// Why, in the policy author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// Policy denied the action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denied {
    /// Why, in the policy author's words. Untrusted text.
    pub reasons: Vec<String>,
    /// The state of the instance: TERMINATED.
    pub state: text::State,
    /// Always true: under SHADOW nothing is denied.
    pub enforced: bool,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// Body of `POST /v1/instances/{id}/grants/{grant_id}/consume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Consume {
    /// The action that is about to start; it must be the authorised one.
    pub action: Action,
    /// Who carries it out; `self` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor: Option<text::ExecutorKind>,
}

/// Answer of `POST /v1/instances/{id}/grants/{grant_id}/consume`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "answer", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ConsumeAnswer {
    /// The action may start (status 200).
    Allow(Consumed),
    /// The votes do not suffice for the action as changed: a new gate is open (status 202).
    RequireHuman(Waiting),
    /// Policy forbids the action by now; the instance has ended (status 200).
    Deny(Denied),
}

/// A grant was used up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Consumed {
    /// Always true.
    pub consumed: bool,
    /// Always true: under SHADOW there is no grant.
    pub enforced: bool,
    /// Until when the action must have started.
    pub act_by: text::Time,
    /// What the write sealed.
    pub artifacts: Vec<Receipt>,
}

/// Body of `POST /v1/instances/{id}/grants/{grant_id}/outcome` and of `POST /v1/instances/{id}/outcome`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportOutcome {
    /// SUCCEEDED or FAILED; only the engine says UNKNOWN.
    pub status: text::OutcomeStatus,
    /// What the action returned. Committed to, and kept erasable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Document>,
    /// What it cost, in minor units.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<u64>,
    /// References to captured evidence, at most 32.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 32)]
    pub evidence: Vec<EvidenceItem>,
}

/// A reference to captured evidence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceItem {
    /// What it is.
    pub name: text::Name,
    /// SHA-256 of its bytes.
    pub digest: text::Digest,
    /// Where the bytes are kept: `https://`, `s3://`, `file://` or the like, at most 1024 characters. It is sealed and never erased, so it has no
    /// user, no query and no fragment, and nothing in it looks like a secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(max_length = 1024, pattern = "^[a-z][a-z0-9+.-]{0,31}://[^?#@]+$")]
    pub url: Option<String>,
}

/// The member that tells the answers apart.
#[derive(Deserialize)]
struct Tag {
    answer: text::Verdict,
}

/// Reads the tag, then the rest: an internally tagged type would buffer the documents and lose their text.
pub(super) fn tagged<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<(text::Verdict, Box<RawValue>), D::Error> {
    let raw = Box::<RawValue>::deserialize(deserializer)?;
    let tag: Tag = serde_json::from_str(raw.get()).map_err(serde::de::Error::custom)?;
    Ok((tag.answer, raw))
}

pub(super) fn rest<'a, T: Deserialize<'a>, E: serde::de::Error>(raw: &'a RawValue) -> Result<T, E> {
    serde_json::from_str(raw.get()).map_err(E::custom)
}

impl<'de> Deserialize<'de> for AuthorityAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use gantral_core::policy::Verdict;
        let (tag, raw) = tagged(deserializer)?;
        match tag.into_inner() {
            Verdict::Allow => rest(&raw).map(Self::Allow),
            Verdict::RequireHuman => rest(&raw).map(Self::RequireHuman),
            Verdict::Deny => rest(&raw).map(Self::Deny),
        }
    }
}

impl<'de> Deserialize<'de> for ConsumeAnswer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use gantral_core::policy::Verdict;
        let (tag, raw) = tagged(deserializer)?;
        match tag.into_inner() {
            Verdict::Allow => rest(&raw).map(Self::Allow),
            Verdict::RequireHuman => rest(&raw).map(Self::RequireHuman),
            Verdict::Deny => rest(&raw).map(Self::Deny),
        }
    }
}

//! Believing a task: the chain under the pinned key, and that it makes this attempt, this context and this action.
//!
//! Everything that a process will be told, and what is launched, is checked here against what was signed: a server, or somebody between it
//! and the runner, that can send anything but cannot sign gets nothing launched. Pure: no clock, no network.

use std::time::Duration;

use gantral_api::wire::{GrantView, Task};
use gantral_core::action::{Action, ActionError};
use gantral_core::digest::{CommitmentLabel, Digest, commit};
use gantral_core::ids::{ActorId, AttemptNo, GrantId};
use gantral_core::instance::{Instance, Origin, Phase};
use gantral_core::json::{ParseError, Value};
use gantral_core::state::{ExecutorKind, State};
use gantral_core::workflow::Workflow;

use super::Pinned;
use crate::chain::{ChainError, Folded, fold, keyring};

/// What a verified task amounts to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The instance, folded from the verified chain.
    pub instance: Instance,
    /// How long the lease lasts from each renewal.
    pub lease: Duration,
    /// The grant of humans that the attempt may consume.
    pub grant: Option<GrantId>,
    /// The canonical context document, which opens the commitment of the assignment.
    pub context: Vec<u8>,
}

/// Why a task is not believed. The server, or whoever is between, is at fault; nothing may be launched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// The chain itself.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The chain is about something else than the task says.
    #[error("the chain is about another {what} than the task")]
    Other {
        /// What differs.
        what: &'static str,
    },
    /// The newest attempt is not the one of the task.
    #[error("the chain assigns attempt {newest}, and the task is attempt {claimed}")]
    Attempt {
        /// The newest attempt of the chain.
        newest: AttemptNo,
        /// The attempt of the task.
        claimed: AttemptNo,
    },
    /// The attempt is somebody else's, or stands no more.
    #[error("the chain does not assign the attempt to this runner")]
    NotMine,
    /// In this state nothing is launched.
    #[error("nothing may be launched in state {state}")]
    State {
        /// The state.
        state: State,
    },
    /// An action was begun, and nobody knows its outcome.
    #[error("the outcome of an earlier action is not settled")]
    Unsettled,
    /// The context is not what the assignment commits to.
    #[error("the context does not open the commitment of the assignment")]
    Context,
    /// The context is not JSON.
    #[error("the context is not acceptable JSON: {0}")]
    ContextJson(ParseError),
    /// The definition is not the one that the chain names.
    #[error("the definition of the workflow is not the one that the chain names")]
    Definition,
    /// Command or secrets are not those of the definition.
    #[error("the {what} of the task differs from that of the definition")]
    Command {
        /// Which of them.
        what: &'static str,
    },
    /// The grant is not one that the chain gives to this attempt.
    #[error("the grant is not the one that the chain gives")]
    Grant,
    /// The action of the grant is not an action.
    #[error("the action of the grant: {0}")]
    Action(#[from] ActionError),
    /// The action of the grant is not what humans approved.
    #[error("the action of the grant does not open the commitment that was approved")]
    ActionChanged,
}

/// Verifies a task against the pinned keys and tenant, for the runner with the identity `me`.
///
/// # Errors
/// The first thing that is wrong; the same for the same bytes.
pub fn verify(task: &Task, pinned: &Pinned, me: &ActorId) -> Result<Verified, Mismatch> {
    let keys = keyring(&pinned.trust, &task.delegations);
    let Folded { instance, launch, .. } = fold(&task.chain, &keys)?;
    let launch = launch.ok_or(Mismatch::NotMine)?;
    check_identity(task, &instance, pinned)?;
    let claimed = AttemptNo(task.attempt);
    if instance.attempt != claimed {
        return Err(Mismatch::Attempt { newest: instance.attempt, claimed });
    }
    let lease = launch.lease.ok_or(Mismatch::NotMine)?;
    check_standing(&instance, me)?;
    check_definition(task, &instance)?;
    let context = check_context(task, launch.context)?;
    let grant = granted(&instance);
    check_grant(&instance, grant, task.grant.as_ref())?;
    Ok(Verified { instance, lease: Duration::from_millis(lease.get()), grant, context })
}

/// Checks the grant that the server names when the attempt attaches.
///
/// # Errors
/// If it is not the one that the chain gives, or its action not the approved one.
pub(super) fn check_grant(
    instance: &Instance,
    expected: Option<GrantId>,
    found: Option<&GrantView>,
) -> Result<(), Mismatch> {
    let Some(found) = found else {
        // A replacement in RUNNING learns of the grant only when it attaches.
        return if instance.pending_grant().is_none() { Ok(()) } else { Err(Mismatch::Grant) };
    };
    let id = expected.filter(|id| *id == *found.grant_id).ok_or(Mismatch::Grant)?;
    let grant = instance.grants.get(&id).ok_or(Mismatch::Grant)?;
    let Origin::Humans(origin) = &grant.origin else { return Err(Mismatch::Grant) };
    let same = *found.expires_at == grant.expires_at
        && found.gate_id.as_ref().is_some_and(|gate| **gate == origin.gate)
        && found.overridden == origin.overridden
        && *found.action_commitment == grant.action;
    if !same {
        return Err(Mismatch::Grant);
    }
    let action = Action::read(&found.action.to_value().map_err(Mismatch::ContextJson)?)?;
    if action.commitment(&found.action_salt) == grant.action { Ok(()) } else { Err(Mismatch::ActionChanged) }
}

fn check_identity(task: &Task, instance: &Instance, pinned: &Pinned) -> Result<(), Mismatch> {
    let identity = &instance.identity;
    let (ours, theirs) = (&identity.workflow, &task.workflow);
    let differs = if identity.tenant != pinned.tenant {
        Some("tenant")
    } else if identity.instance != *task.instance_id {
        Some("instance")
    } else if ours.id != *theirs.id
        || ours.version != *theirs.version
        || ours.digest != *theirs.digest
        || ours.materiality != *theirs.materiality
    {
        Some("workflow version")
    } else {
        None
    };
    differs.map_or(Ok(()), |what| Err(Mismatch::Other { what }))
}

/// The attempt is this runner's, it stands, and authority stands with it.
fn check_standing(instance: &Instance, me: &ActorId) -> Result<(), Mismatch> {
    let live = instance.live.as_ref().ok_or(Mismatch::NotMine)?;
    let executor = live.executor.as_ref().ok_or(Mismatch::NotMine)?;
    if executor.kind != ExecutorKind::Runner || executor.id != *me || live.retired {
        return Err(Mismatch::NotMine);
    }
    let permitted = match &instance.phase {
        Phase::Created | Phase::Resumed(_) => !live.attached,
        // A replacement of an attempt that was lost: in force at once.
        Phase::Running => live.attached,
        Phase::Waiting(_)
        | Phase::Approved(_)
        | Phase::Overridden(_)
        | Phase::Rejected(_)
        | Phase::Completed
        | Phase::Terminated(_) => false,
    };
    if !permitted || instance.walking.is_some() {
        return Err(Mismatch::State { state: instance.state() });
    }
    if instance.is_settled() { Ok(()) } else { Err(Mismatch::Unsettled) }
}

/// What is launched, and which secrets it gets, is what was registered under the digest that was signed.
fn check_definition(task: &Task, instance: &Instance) -> Result<(), Mismatch> {
    let value = task.definition.to_value().map_err(|_| Mismatch::Definition)?;
    let workflow = Workflow::read(&value).map_err(|_| Mismatch::Definition)?;
    if workflow.reference() != instance.identity.workflow {
        return Err(Mismatch::Definition);
    }
    let run = workflow.run.ok_or(Mismatch::Command { what: "command" })?;
    let command = if instance.decided.is_some() { &run.resume_command } else { &run.command };
    if *command != task.command {
        return Err(Mismatch::Command { what: "command" });
    }
    if run.secrets == task.secrets { Ok(()) } else { Err(Mismatch::Command { what: "set of secrets" }) }
}

fn check_context(task: &Task, sealed: Option<Digest>) -> Result<Vec<u8>, Mismatch> {
    let value = task.context.to_value().map_err(Mismatch::ContextJson)?;
    let bytes = value.to_canonical();
    let commitment = commit(CommitmentLabel::Context, &task.context_salt, &bytes);
    let opens = sealed == Some(commitment) && *task.context_commitment == commitment;
    let names = value.get("instance_id").and_then(Value::as_str) == Some(&*task.instance_id.to_string())
        && value.get("attempt").and_then(Value::as_u32) == Some(task.attempt);
    if opens && names { Ok(bytes) } else { Err(Mismatch::Context) }
}

/// Returns the grant of humans that the newest attempt may consume.
fn granted(instance: &Instance) -> Option<GrantId> {
    instance.grants.iter().find_map(|(id, grant)| match &grant.origin {
        Origin::Humans(origin) if instance.attempt > origin.retired => Some(*id),
        Origin::Humans(_) | Origin::Policy { .. } => None,
    })
}

//! Why the engine did not do what it was asked.

use gantral_core::action::ActionError;
use gantral_core::address::AddressError;
use gantral_core::command::Refusal;
use gantral_core::ids::{ActorId, InstanceId, TenantId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::{Release, WorkflowError};
use gantral_evidence::keys::KeyId;
use gantral_evidence::seal::SealError;
use gantral_store::{ProposalEnding, StoreError};

use crate::policy_input::InputError;
use gantral_keys::SignError;

/// Why a command was not carried out. Unless a variant says otherwise nothing has moved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No such instance, gate, grant, workflow or policy in this tenant. Final.
    #[error("{what} was not found")]
    NotFound {
        /// What was looked for.
        what: &'static str,
    },
    /// The authority state machine refuses. See the refusal for whether to ask again.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The action does not follow its declaration. The caller must change it.
    #[error(transparent)]
    Action(#[from] ActionError),
    /// A reference to captured evidence must not be sealed. The caller must change it.
    #[error("evidence {index}: {error}", index = index + 1)]
    Evidence {
        /// Its place in the report, from 0.
        index: usize,
        /// `name` or `url`.
        member: &'static str,
        /// What is wrong with it.
        error: AddressError,
    },
    /// What the ask says beside the action breaks the policy contract. The caller must change it.
    #[error(transparent)]
    Input(#[from] InputError),
    /// A definition is not one. The caller must change it.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// The same workflow version exists with another definition. The caller must use a new version.
    #[error("this version of the workflow exists with another definition")]
    WorkflowVersionExists,
    /// The workflow has no active policy.
    #[error("no policy is active for the workflow")]
    NoActivePolicy,
    /// Another policy is in force in the scope than the caller believes. Look again before changing it.
    #[error("another policy is in force there by now")]
    PolicyMoved {
        /// The one that is; `None` where none is.
        present: Option<PolicyVersionId>,
    },
    /// No policy was in force in the scope before the present one.
    #[error("no policy was in force there before")]
    NoPolicyBefore,
    /// It takes another person than the one who did the first half. Final for this person.
    #[error("{why}")]
    SamePerson {
        /// Which half that was.
        why: &'static str,
    },
    /// The confirmation is about something else than the proposal. Look at the proposal before confirming it.
    #[error("the proposal is not what the confirmation names")]
    ProposalDiffers,
    /// What is proposed is about something that was changed since. Final for this proposal.
    #[error("what it is about was changed since it was proposed")]
    ProposalMoved {
        /// The sequence of the governance artifact that changed it.
        changed: Option<u64>,
    },
    /// The proposal is not open any more. Final.
    #[error("the proposal was {how}", how = how.as_str())]
    ProposalEnded {
        /// How it ended.
        how: ProposalEnding,
        /// When.
        at: UnixMillis,
        /// Who ended it; `None` when nobody did.
        by: Option<ActorId>,
        /// The sequence of the governance artifact that was sealed with it.
        sealed: Option<u64>,
    },
    /// As many proposals of the tenant are open as may be. May be repeated when one of them has ended.
    #[error("the tenant has {most} open proposals already")]
    ProposalsFull {
        /// How many may be.
        most: usize,
    },
    /// The ballot rests on a delegation that does not carry it. Final for this delegation, unless it begins later.
    #[error("{why}")]
    DelegationNotInForce {
        /// Why.
        why: &'static str,
    },
    /// What an authenticator said, or the directory of one, does not count. Whoever presents it must change it.
    #[error("{why}")]
    PasskeyRefused {
        /// Why.
        why: String,
    },
    /// The policy bundle is unknown.
    #[error("the policy version is not known here")]
    PolicyUnknown,
    /// The policy bundle came without a signature, and none is put in force without one here.
    #[error("the policy version is not signed")]
    PolicyUnsigned,
    /// The policy bundle is signed with another revision than its version, and evaluators outside know it by its revision only.
    #[error("the policy version is signed with another revision than the version")]
    PolicyUnpinned,
    /// A decision needs a longer justification.
    #[error("a justification of at least {least} characters is required")]
    JustificationRequired {
        /// The least number of characters.
        least: u32,
    },
    /// A text that a person or program gave cannot be kept.
    #[error("`{member}` {why}")]
    Text {
        /// The member.
        member: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The caller may not do this here. Final.
    #[error("{why}")]
    Forbidden {
        /// Why.
        why: &'static str,
    },
    /// The attempt's lease is over or belongs to somebody else. Final for the attempt.
    #[error("the lease of this attempt is over")]
    LeaseLost,
    /// The idempotency key was used with another body. Final.
    #[error("the idempotency key was used before with another body")]
    KeyReused,
    /// An open instance already stands for the same call: join it.
    #[error("the same call is already open as instance {instance}")]
    CallKeyTaken {
        /// That instance.
        instance: InstanceId,
    },
    /// Assignment and consumption are frozen. May be repeated later.
    #[error("authority is frozen for this tenant")]
    Frozen,
    /// The log does not cover the grant yet. May be repeated with the same key.
    #[error("the grant is not released: the log does not cover it yet, or too few witnesses have cosigned")]
    NotReleased,
    /// The workflow releases grants later than the ask. The caller must ask without consuming.
    #[error("the workflow releases a grant as `{release}`: it cannot be consumed with the ask")]
    NotImmediate {
        /// From when a grant may be used.
        release: Release,
    },
    /// The server releases a grant only once it is archived. The caller must ask without consuming.
    #[error("a grant is released here once it is archived: it cannot be consumed with the ask")]
    NotArchived,
    /// Others moved the instance too often. May be repeated at once.
    #[error("the instance moved while the command was decided")]
    Conflict,
    /// The event cannot be sealed: it holds more than an artifact may. The caller must send less.
    #[error("the event cannot be sealed: {0}")]
    Seal(#[from] SealError),
    /// The signer failed. May be repeated.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// As many instances of the tenant are open as may be. May be repeated when one of them has ended.
    #[error("the tenant has {most} open instances already")]
    InstancesFull {
        /// How many may be.
        most: u64,
    },
    /// As much of the tenant is kept as may be, or what would begin is more than what is left. May be repeated when something was erased, or the
    /// limit raised.
    #[error("of the tenant {most} bytes may be kept, and what would begin does not fit")]
    StorageFull {
        /// How many bytes may be.
        most: u64,
    },
    /// The ledger failed; whether anything was written, its error says. May be repeated with the same key.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The governance chain says that a key of this server signs nothing any more. Whoever runs the server must give it another.
    #[error("key {key} was retired by the governance chain of tenant `{tenant}` and must not sign")]
    RetiredKey {
        /// The key.
        key: KeyId,
        /// Whose chain says so.
        tenant: TenantId,
    },
    /// A stored chain or document cannot be read, or breaks a rule: nothing is done on its ground.
    #[error("the stored record of this instance cannot be relied on: {what}")]
    Damaged {
        /// What is wrong.
        what: String,
    },
}

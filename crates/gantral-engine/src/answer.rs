//! What a write answers, in a form that can be kept with its idempotency key and read back.

use gantral_core::digest::Digest;
use gantral_core::event::Entry;
use gantral_core::ids::{AttemptNo, GateId, GrantId, InstanceId, Role};
use gantral_core::json::{Object, Profile, Value, parse};
use gantral_core::policy::Verdict;
use gantral_core::state::{EventKind, State};
use gantral_core::time::UnixMillis;
use gantral_store::SealedArtifact;

/// One artifact that a write made: the caller's receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Its place in the chain.
    pub sequence: u64,
    /// What happened.
    pub event: EventKind,
    /// Its hash.
    pub hash: Digest,
    /// The signed envelope.
    pub envelope: Vec<u8>,
}

/// A write that is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// The instance.
    pub instance: InstanceId,
    /// Its state after the write.
    pub state: State,
    /// What is said beside the state.
    pub answer: Answer,
    /// The artifacts, in order. Empty when the command was already in effect.
    pub receipts: Vec<Receipt>,
}

/// What a write answers beside its artifacts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The state says it all.
    Recorded,
    /// An attempt was assigned or attached.
    Attempt {
        /// Its number.
        attempt: AttemptNo,
        /// The grant that it may consume.
        grant: Option<GrantId>,
    },
    /// Policy allowed the action.
    Allowed {
        /// The grant.
        grant: Option<GrantId>,
        /// When the grant lapses.
        expires_at: Option<UnixMillis>,
        /// Until when the action must start, when it was consumed in the same commit.
        act_by: Option<UnixMillis>,
        /// Policy's reasons.
        reasons: Vec<String>,
    },
    /// Policy was asked under SHADOW: the action may go ahead whatever it said.
    Observed {
        /// What would have been enforced.
        verdict: Verdict,
        /// Who would have been asked; nobody unless the verdict is `RequireHuman`.
        roles: Vec<Role>,
        /// Policy's reasons.
        reasons: Vec<String>,
    },
    /// Humans must decide.
    Waiting {
        /// The gate.
        gate: GateId,
        /// Until when.
        deadline: UnixMillis,
        /// Who may.
        roles: Vec<Role>,
        /// Policy's reasons.
        reasons: Vec<String>,
    },
    /// Policy denied the action; the instance has ended.
    Denied {
        /// Policy's reasons.
        reasons: Vec<String>,
    },
    /// A vote was counted, or decided the gate.
    Voted {
        /// The grant, when the vote decided and authorised.
        grant: Option<GrantId>,
    },
    /// A grant was consumed.
    Consumed {
        /// Until when the action must start.
        act_by: UnixMillis,
    },
}

impl Answer {
    /// Encodes the answer and the state for the idempotency row.
    pub(crate) fn encode(&self, state: State) -> Vec<u8> {
        let object = Object::new().with("state", state.as_str());
        let texts =
            |texts: &[String]| Value::Array(texts.iter().map(|text| Value::from(text.as_str())).collect());
        let names =
            |roles: &[Role]| Value::Array(roles.iter().map(|role| Value::from(role.as_str())).collect());
        let object = match self {
            Self::Recorded => object.with("kind", "recorded"),
            Self::Attempt { attempt, grant } => object
                .with("kind", "attempt")
                .with("attempt", attempt.0)
                .with("grant", grant.map(|id| id.to_string())),
            Self::Allowed { grant, expires_at, act_by, reasons } => object
                .with("kind", "allowed")
                .with("grant", grant.map(|id| id.to_string()))
                .with("expires_at", expires_at.map(UnixMillis::get))
                .with("act_by", act_by.map(UnixMillis::get))
                .with("reasons", texts(reasons)),
            Self::Observed { verdict, roles, reasons } => object
                .with("kind", "observed")
                .with("verdict", verdict.as_str())
                .with("roles", names(roles))
                .with("reasons", texts(reasons)),
            Self::Waiting { gate, deadline, roles, reasons } => object
                .with("kind", "waiting")
                .with("gate", gate.to_string())
                .with("deadline", deadline.get())
                .with("roles", names(roles))
                .with("reasons", texts(reasons)),
            Self::Denied { reasons } => object.with("kind", "denied").with("reasons", texts(reasons)),
            Self::Voted { grant } => {
                object.with("kind", "voted").with("grant", grant.map(|id| id.to_string()))
            }
            Self::Consumed { act_by } => object.with("kind", "consumed").with("act_by", act_by.get()),
        };
        Value::Object(object).to_canonical()
    }

    /// Reads what `encode` wrote; `None` for anything else.
    pub(crate) fn decode(bytes: &[u8]) -> Option<(State, Self)> {
        let value = parse(bytes, &Profile::DOCUMENT).ok()?;
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        let time =
            |name: &str| value.get(name).and_then(Value::as_u64).and_then(|ms| UnixMillis::new(ms).ok());
        let grant = || text("grant").and_then(|id| GrantId::parse(id).ok());
        let list = |name: &str| -> Vec<String> {
            let elements = value.get(name).and_then(Value::as_array).unwrap_or_default();
            elements.iter().filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let roles = || list("roles").iter().filter_map(|role| Role::parse(role).ok()).collect();
        let answer = match text("kind")? {
            "recorded" => Self::Recorded,
            "attempt" => {
                let attempt = AttemptNo(value.get("attempt").and_then(Value::as_u32)?);
                Self::Attempt { attempt, grant: grant() }
            }
            "allowed" => Self::Allowed {
                grant: grant(),
                expires_at: time("expires_at"),
                act_by: time("act_by"),
                reasons: list("reasons"),
            },
            "observed" => Self::Observed {
                verdict: Verdict::parse(text("verdict")?)?,
                roles: roles(),
                reasons: list("reasons"),
            },
            "waiting" => Self::Waiting {
                gate: GateId::parse(text("gate")?).ok()?,
                deadline: time("deadline")?,
                roles: roles(),
                reasons: list("reasons"),
            },
            "denied" => Self::Denied { reasons: list("reasons") },
            "voted" => Self::Voted { grant: grant() },
            "consumed" => Self::Consumed { act_by: time("act_by")? },
            _ => return None,
        };
        Some((State::parse(text("state")?)?, answer))
    }
}

impl Receipt {
    pub(crate) fn of(artifact: &SealedArtifact, entry: &Entry) -> Self {
        Self {
            sequence: artifact.sequence,
            event: entry.event.kind(),
            hash: artifact.hash,
            envelope: artifact.envelope.clone(),
        }
    }
}

#[cfg(test)]
mod tests;

//! What an attempt has used up a grant for, as the evidence of its instance proves it. Pure: no clock, no network.

use gantral_api::wire::Document;
use gantral_core::action::Action;
use gantral_core::digest::CommitmentLabel;
use gantral_core::ids::{AttemptNo, GrantId, InstanceId, Name, WorkflowId};
use gantral_core::json::{Profile, parse};
use gantral_core::state::State;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_evidence::container::{Files, read_tar};
use gantral_evidence::delegation::DELEGATION_SUFFIX;
use gantral_evidence::disclosure::Disclosure;

use super::Pinned;
use crate::chain::{ChainError, Folded, fold, keyring};

/// How much later than its instant the clock of this machine may be at the most.
const SKEW: DurationMs = DurationMs::from_secs(5);

/// Which attempt asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asks {
    /// Its instance.
    pub instance: InstanceId,
    /// The workflow of that.
    pub workflow: WorkflowId,
    /// Its number.
    pub attempt: AttemptNo,
}

/// Why nothing is proved. Nothing may be given; asking again with the same evidence is pointless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unproved {
    /// The bundle is none.
    #[error("the evidence cannot be read: {0}")]
    Evidence(&'static str),
    /// The chain in it is not believed.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It is about something else.
    #[error("the evidence is about another {0}")]
    Other(&'static str),
    /// The attempt was replaced, retired, or has ended.
    #[error("this attempt stands no more")]
    Standing,
    /// The attempt did not consume the grant.
    #[error("this attempt has not used up the grant `{0}`")]
    NotConsumed(GrantId),
    /// What came of the action is reported.
    #[error("the outcome of grant `{0}` is reported already")]
    Settled(GrantId),
    /// The instant before which the action had to start has passed.
    #[error("the action of grant `{0}` had to start before now")]
    TooLate(GrantId),
    /// Nothing opens the commitment to the action.
    #[error("the action of grant `{0}` is not disclosed")]
    Undisclosed(GrantId),
}

/// Returns the action that the attempt may be doing now, under this grant.
///
/// # Errors
/// The first thing that is wrong; the same for the same bytes and the same `now`.
pub fn prove(
    bundle: &[u8],
    pinned: &Pinned,
    asks: &Asks,
    grant: GrantId,
    now: UnixMillis,
) -> Result<Name, Unproved> {
    let files = read_tar(bundle).map_err(|_| Unproved::Evidence("it is no archive"))?;
    let delegations = documents(&files, "keys/", DELEGATION_SUFFIX)?;
    let chain = documents(&files, "artifacts/", ".dsse.json")?;
    let keys = keyring(&pinned.trust, &delegations);
    let Folded { instance, act_by, .. } = fold(&chain, &keys)?;
    let identity = &instance.identity;
    if identity.tenant != pinned.tenant {
        return Err(Unproved::Other("tenant"));
    }
    if identity.instance != asks.instance || identity.workflow.id != asks.workflow {
        return Err(Unproved::Other("instance"));
    }
    let stands = instance.live.as_ref().is_some_and(|live| live.attached && !live.retired);
    if instance.attempt != asks.attempt || !stands || instance.state() != State::Running {
        return Err(Unproved::Standing);
    }
    let consumption = instance.consumptions.get(&grant).ok_or(Unproved::NotConsumed(grant))?;
    if consumption.attempt != asks.attempt {
        return Err(Unproved::NotConsumed(grant));
    }
    if consumption.outcome.is_some() {
        return Err(Unproved::Settled(grant));
    }
    let act_by = act_by.get(&grant).ok_or(Unproved::NotConsumed(grant))?;
    if now > act_by.plus(SKEW) {
        return Err(Unproved::TooLate(grant));
    }
    let undisclosed = || Unproved::Undisclosed(grant);
    let disclosure = files.get(&Disclosure::path(&consumption.action)).ok_or_else(undisclosed)?;
    let disclosure = Disclosure::parse(disclosure).map_err(|_| undisclosed())?;
    if !disclosure.opens(CommitmentLabel::Action, &consumption.action) {
        return Err(undisclosed());
    }
    let value = parse(&disclosure.plaintext, &Profile::DOCUMENT).map_err(|_| undisclosed())?;
    Ok(Action::read(&value).map_err(|_| undisclosed())?.name)
}

fn documents(files: &Files<'_>, within: &str, suffix: &str) -> Result<Vec<Document>, Unproved> {
    let wanted = files.within(within).filter(|(path, _)| path.ends_with(suffix));
    let document = |bytes: &[u8]| {
        let text = core::str::from_utf8(bytes).map_err(|_| Unproved::Evidence("a file is no text"))?;
        Document::from_text(text.to_owned()).map_err(|_| Unproved::Evidence("a file is no document"))
    };
    wanted.map(|(_, bytes)| document(bytes)).collect()
}

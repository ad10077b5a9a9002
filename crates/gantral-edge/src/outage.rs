//! Going on when no server answers, where what policy says is only observed.
//!
//! A client keeps a signed mode lease, fetched while the server answers. Without an answer it may go on with an action that the lease says is
//! only observed, and counts it; when the server is back, it tells the count. Where what policy says is enforced, and wherever there is no
//! lease that is believed, nothing is done without an answer. Source: `spec/governance.md` §7.

mod gaps;

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use gantral_api::client::{Client, ClientError};
use gantral_api::wire::ModeLeaseView;
use gantral_core::ids::{Name, TenantId, WorkflowId};
use gantral_core::state::Mode;
use gantral_core::time::UnixMillis;
use gantral_evidence::container::{ContainerError, OwnedFiles};
use gantral_evidence::delegation::delegation_path;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::keys::KeyId;
use gantral_evidence::mode_lease::{ModeLease, ModeLeaseFault, NotLeased};
use gantral_evidence::trust::Trust;

use crate::private;
use gaps::Gaps;

/// The largest file of a lease: an envelope and a delegation, as text.
const LEASE_BYTES_MAX: u64 = 256 << 10;

/// What a client believes, and where it keeps what it needs in an outage.
#[derive(Debug, Clone)]
pub struct Outages {
    trust: Trust,
    tenant: TenantId,
    workflow: WorkflowId,
    lease: PathBuf,
    gaps: Gaps,
}

/// Why a client may not go on without an answer.
#[derive(Debug, thiserror::Error)]
pub enum MayNot {
    /// None was ever fetched, or what policy says was enforced when it was last.
    #[error("there is no mode lease")]
    None,
    /// The file cannot be read.
    #[error("the mode lease cannot be read: {0}")]
    Unreadable(io::Error),
    /// The file is none.
    #[error("the mode lease is none")]
    NoLease,
    /// Not signed by a pinned key, or not of this version.
    #[error(transparent)]
    NotBelieved(#[from] ModeLeaseFault),
    /// What came beside it cannot be used.
    #[error("what came with the mode lease cannot be used: {0}")]
    Beside(#[from] ContainerError),
    /// It permits no such action now.
    #[error(transparent)]
    NotLeased(#[from] NotLeased),
}

impl Outages {
    /// Names what is believed, and the file of the lease; beside it stand the counts. The folder must be there.
    pub fn new(trust: Trust, tenant: TenantId, workflow: WorkflowId, lease: PathBuf) -> Self {
        let gaps = Gaps::beside(&lease);
        Self { trust, tenant, workflow, lease, gaps }
    }

    /// Tells whether an action may be done though no server answers, by the lease that is [kept](Self::kept).
    ///
    /// # Errors
    /// Why not; nothing may be done then.
    pub fn permits(&self, lease: &ModeLease, action: &Name) -> Result<(), NotLeased> {
        lease.permits(&self.tenant, &self.workflow, action, now())
    }

    /// Tells whether something of the workflow is only observed, so that a report that no server takes may be left out.
    ///
    /// # Errors
    /// Why not.
    pub fn observes(&self) -> Result<(), MayNot> {
        let lease = self.kept()?;
        lease.holds(&self.tenant, &self.workflow, now())?;
        if lease.observes() { Ok(()) } else { Err(NotLeased::Enforced.into()) }
    }

    /// Counts an action that goes on without an answer; returns whether it could be counted.
    pub fn count(&self, action: &Name) -> bool {
        self.gaps.add(&self.workflow, action, now()).is_ok()
    }

    /// Uses the time in which the server answers: fetches the next lease if the one that is kept is past half of its life, and tells what was
    /// counted. `kept` is the lease that was kept before the answer; `observed` says whether the answer about the action was only observed: a lease that says otherwise is not kept any longer.
    ///
    /// What fails is tried again after the next answer.
    pub async fn answered(&self, client: &Client, kept: Option<&ModeLease>, action: &Name, observed: bool) {
        if !kept.is_some_and(|lease| self.is_fresh(lease, action, observed)) {
            // Whatever it said, it is not what the server says now.
            if let Err(error) = private::remove(&self.lease) {
                tracing::warn!(%error, "a mode lease that is over stays behind");
            }
            if let Err(error) = self.fetch(client).await {
                tracing::warn!(%error, "no mode lease was fetched: without an answer nothing goes on");
            }
        }
        if let Err(error) = self.gaps.tell(client).await {
            tracing::warn!(%error, "what was done without an answer is not told yet");
        }
    }

    /// Tells whether a lease agrees with an answer, and has half of its life before it.
    fn is_fresh(&self, lease: &ModeLease, action: &Name, observed: bool) -> bool {
        let (from, to) = (lease.at.get(), lease.expires_at.get());
        let agrees = (lease.mode_of(action) == Mode::Shadow) == observed;
        agrees && now().get() < from.midpoint(to) && lease.workflow == self.workflow
    }

    async fn fetch(&self, client: &Client) -> Result<(), ClientError> {
        let fetched = client.mode_lease(&self.workflow.clone().into()).await?;
        let unusable = |why: String| ClientError::Unsendable { why };
        let bytes = serde_json::to_vec(&fetched).map_err(|error| unusable(error.to_string()))?;
        private::replace(&self.lease, &bytes).map_err(|error| unusable(error.to_string()))
    }

    /// Reads the lease that is kept, and believes it by the pinned keys alone.
    ///
    /// # Errors
    /// Why there is none.
    pub fn kept(&self) -> Result<ModeLease, MayNot> {
        let bytes = read_limited(&self.lease)?;
        let kept: ModeLeaseView = serde_json::from_slice(&bytes).map_err(|_| MayNot::NoLease)?;
        let mut keys = OwnedFiles::new();
        if let Some(delegation) = &kept.delegation
            && let Some(path) = path_of(kept.lease.as_str().as_bytes())
        {
            keys.insert(&path, delegation.as_str().as_bytes().to_vec())?;
        }
        Ok(ModeLease::open(kept.lease.as_str().as_bytes(), &keys.as_files()?, &self.trust)?)
    }
}

/// Tells whether a call got no answer that says anything of authority: then, and only then, a lease counts.
pub fn is_outage(error: &ClientError) -> bool {
    /// From which HTTP status on a server, or a proxy before it, says that it cannot answer.
    const SERVER_ERROR: u16 = 500;
    match error {
        ClientError::Unreachable { .. } | ClientError::Timeout { .. } => true,
        ClientError::UnexpectedAnswer { status, .. } => *status >= SERVER_ERROR,
        ClientError::Problem(problem) => problem.code().status() >= SERVER_ERROR,
        ClientError::AnswerTooLarge { .. } | ClientError::Token { .. } | ClientError::Unsendable { .. } => {
            false
        }
    }
}

/// Returns where the delegation of the key that signed an envelope belongs.
fn path_of(envelope: &[u8]) -> Option<String> {
    let envelope = Envelope::parse(envelope).ok()?;
    Some(delegation_path(&KeyId::parse(&envelope.signatures.first()?.key_id).ok()?))
}

fn read_limited(path: &Path) -> Result<Vec<u8>, MayNot> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(MayNot::None),
        file => file.map_err(MayNot::Unreadable)?,
    };
    let mut bytes = Vec::new();
    file.take(LEASE_BYTES_MAX).read_to_end(&mut bytes).map_err(MayNot::Unreadable)?;
    Ok(bytes)
}

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX)).unwrap_or(UnixMillis::EPOCH)
}

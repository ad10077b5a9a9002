//! What every server of a run is given: its way to the store, its keys, its policies, the shelf of the logs.

use std::sync::Arc;
use std::time::Duration;

use gantral_core::ids::{InstanceId, Name, TenantId};
use gantral_core::policy::PolicyVersionId;
use gantral_engine::checkpoints::Checkpoints;
use gantral_engine::policy_point::{BoxFuture, Evaluators};
use gantral_engine::{Engine, EngineConfig, EngineError, Recipient, Recipients};
use gantral_evidence::log::tree::TreeHead;
use gantral_evidence::trust::KeyRole;
use gantral_keys::{LocalSigner, SignError, Signature, Signer, SigningContext};
use gantral_log::published::Published;
use gantral_store::{SqliteStore, Store};

use crate::auditor::Auditor;
use crate::policy::Rules;
use crate::rng::Rng;
use crate::shelf::Memory;
use crate::weather::{NodeWay, Standing, Trouble, Weather};

/// What stands before the 32 bytes of an Ed25519 key in PKCS#8 (RFC 8410 §7).
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
/// How long an evaluation may take: longer than any delay, since what counts here is that it may fail.
const POLICY_LIMIT: Duration = Duration::from_secs(10);

/// What servers are given. Cheap to clone.
#[derive(Clone)]
pub struct Ports {
    pub(crate) rng: Rng,
    pub(crate) weather: Arc<Weather>,
    pub(crate) auditor: Auditor,
    pub(crate) sqlite: SqliteStore,
    pub(crate) shelf: Memory,
    pub(crate) tenant: TenantId,
    pub(crate) strict: PolicyVersionId,
}

impl Ports {
    /// Returns the store as one server reaches it.
    pub(crate) fn store(&self, standing: Arc<Standing>) -> Store {
        let (weather, auditor) = (Arc::clone(&self.weather), self.auditor.clone());
        Store::Sqlite(self.sqlite.over(Arc::new(NodeWay { weather, auditor, standing })))
    }

    /// Builds an engine.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) fn engine(&self, store: Store, published: &Published) -> Result<Engine, EngineError> {
        let rules = Rules { weather: Arc::clone(&self.weather), strict: self.strict };
        let signer = Slow { signer: key(KeyRole::Issuer), weather: Arc::clone(&self.weather) };
        let recipient = Recipient {
            name: self.recipient(),
            tenant: self.tenant.clone(),
            roles: Vec::new(),
            teams: Vec::new(),
            workflows: Vec::new(),
            kinds: Vec::new(),
        };
        let config = EngineConfig {
            recipients: Recipients(vec![recipient]),
            log_suffix: self.suffix().to_owned(),
            ..EngineConfig::default()
        };
        let ports = gantral_engine::Ports {
            store,
            signer: Arc::new(signer),
            policy: Evaluators::new(Arc::new(rules), POLICY_LIMIT),
            checkpoints: Arc::new(Anchors(published.clone())),
        };
        Engine::new(ports, config)
    }

    pub(crate) fn log_signer(&self) -> Arc<dyn Signer> {
        Arc::new(key(KeyRole::Log))
    }

    pub(crate) fn recipient(&self) -> Name {
        Name::parse("everybody").unwrap_or_else(|_| unreachable!("a constant name"))
    }

    pub(crate) const fn suffix(&self) -> &'static str {
        "log"
    }
}

/// Returns the key of a role, the same in every run.
pub(crate) fn key(role: KeyRole) -> LocalSigner {
    let seed = [role as u8 + 1; 32];
    LocalSigner::from_pkcs8(role, &[&PKCS8[..], &seed].concat())
        .unwrap_or_else(|_| unreachable!("a constant key"))
}

/// Signs after a while, or not.
struct Slow {
    signer: LocalSigner,
    weather: Arc<Weather>,
}

impl Signer for Slow {
    fn public_key(&self) -> &gantral_evidence::keys::PublicKey {
        self.signer.public_key()
    }

    fn sign<'a>(
        &'a self,
        context: SigningContext,
        message: &'a [u8],
    ) -> BoxFuture<'a, Result<Signature, SignError>> {
        Box::pin(async move {
            tokio::time::sleep(self.weather.delay()).await;
            if self.weather.brings(Trouble::Signature) {
                return Err(SignError::Unavailable);
            }
            self.signer.sign(context, message).await
        })
    }
}

/// What this server knows of the checkpoints that it has published itself.
struct Anchors(Published);

impl Checkpoints for Anchors {
    fn newest(&self, tenant: &TenantId, witnesses: u8) -> Option<TreeHead> {
        (witnesses == 0).then(|| self.0.newest(tenant).map(|newest| newest.tree)).flatten()
    }

    fn covering<'a>(
        &'a self,
        _: &'a TenantId,
        _: InstanceId,
        _: u64,
        _: u8,
        _: Duration,
    ) -> BoxFuture<'a, Option<TreeHead>> {
        Box::pin(std::future::ready(None))
    }
}

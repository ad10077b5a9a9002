//! The configuration of `gantral serve`: one TOML file, checked whole before anything starts.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use gantral_core::ids::TenantId;
use gantral_engine::{Call, Engine, EngineConfig, EngineError, Fresh, PolicyDemand, Ports};
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::log::note::{NoteKey, NoteKeyKind};
use gantral_evidence::trust::KeyRole;
use gantral_identity::{
    AttemptTokens, ClientKeyError, ConfigError, DevIssuer, IdentityConfig, KeyError, KeyFileError,
    TenantRule, TokenKey, Verifier,
};
use gantral_keys::{KeyEntry, KeyFolder, KeysError, RenewError};
use gantral_listen::{ClientAuthorities, TlsFiles};
use gantral_notify::Couriers;
use gantral_oidc::{ProviderError, Providers};
use gantral_policy::{PoolConfig, RegoPolicyPoint, StartError, WorkerCommand};
use gantral_store::{Duties, Holder};
use serde::Deserialize;

use crate::app::{App, AppParts};
use crate::archive::{self, ArchiveSettings};
use crate::clock::{Clock as _, NoRandomness, SystemClock, seed};
use crate::console::LoginProviders;
use crate::delegations::{DelegationSettings, DelegationsError};
use crate::evaluators::{PolicySettings, PolicySettingsError};
use crate::four_eyes::{FourEyesError, FourEyesSettings};
use crate::keys::{ATTEMPTS, AgreeError, agree, issuer, log_of};
use crate::logs::{LogParts, Logs, LogsError, WitnessSettings};
use crate::notifications::{NotificationSettings, Notifications, NotificationsError};
use crate::passkeys::{PasskeySettings, PasskeysError};
use crate::policy::StoredBundles;
use crate::retention::{RetentionError, RetentionSettings};
use crate::signing::SigningSettingsError;
use crate::standing::Standing;
use crate::store::{StoreSettings, StoreSettingsError, open_store};
use crate::telemetry::{TelemetryError, TelemetrySettings, TracedPoint, TracedSigner};
use crate::tenant_limits::{LimitSettings, LimitsError};

pub use self::environment::VariableError;

mod environment;

/// How long a start waits for the keys of identity providers.
const PROVIDERS_WITHIN: Duration = Duration::from_secs(5);

/// The file of `gantral serve`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Where to listen; anything but loopback needs `tls`.
    pub listen: SocketAddr,
    /// The URL under which people and agents reach this server; that of `listen` when absent.
    #[serde(default)]
    pub public_url: Option<String>,
    /// The folder of the keys, and of the ledger unless `store` names another place; made with mode 0700.
    pub data: PathBuf,
    /// The tenants that this server serves.
    pub tenants: Vec<String>,
    /// The database of the ledger; a file in `data` where absent.
    #[serde(default)]
    pub store: Option<StoreSettings>,
    /// Who says when work may begin.
    #[serde(default)]
    pub orchestrator: Orchestrator,
    /// Certificate and key.
    #[serde(default)]
    pub tls: Option<TlsSettings>,
    /// Who vouches for callers.
    pub identity: IdentityConfig,
    /// Who evaluates policy.
    #[serde(default)]
    pub policy: PolicySettings,
    /// The transparency logs.
    #[serde(default)]
    pub log: LogSettings,
    /// The write-once archive; none is kept where absent.
    #[serde(default)]
    pub archive: Option<ArchiveSettings>,
    /// Who is told of gates.
    #[serde(default)]
    pub notifications: NotificationSettings,
    /// What one person may not change alone.
    #[serde(default)]
    pub four_eyes: FourEyesSettings,
    /// For how long humans may decide for each other.
    #[serde(default)]
    pub delegations: DelegationSettings,
    /// Whose authenticators count at gates; nobody's where absent.
    #[serde(default)]
    pub passkeys: Option<PasskeySettings>,
    /// How much a tenant may send, begin and keep.
    #[serde(default)]
    pub limits: LimitSettings,
    /// Where traces go; nothing is traced where absent.
    #[serde(default)]
    pub telemetry: TelemetrySettings,
    /// For how long content is kept.
    #[serde(default)]
    pub retention: RetentionSettings,
}

/// Who says when the work of an instance may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Orchestrator {
    /// The server: what is ready may be claimed.
    #[default]
    Embedded,
    /// Temporal: a runner is given only what `gantral-temporal` has released. Every server upon one ledger has to be told the same.
    Temporal,
}

/// The transparency logs.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogSettings {
    /// Whether checkpoints and tiles are read without a token: how much each tenant does is then known to everybody.
    #[serde(default)]
    pub public: bool,
    /// Who is asked to cosign checkpoints.
    #[serde(default)]
    pub witnesses: Vec<WitnessEntry>,
}

/// One witness.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessEntry {
    /// Its submission prefix: the address above `add-checkpoint`; plain `http` is for loopback.
    pub url: String,
    /// Its key, as `gantral witness init` prints it.
    pub key: String,
    /// The authorities to trust for it, PEM; those of the system when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// Certificate and key, and which certificates of clients are believed.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// The certificate chain, PEM, leaf first.
    pub certificate: PathBuf,
    /// The private key, PEM.
    pub key: PathBuf,
    /// The authorities whose certificates clients show, PEM; clients are not asked for any where absent.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
    /// Who has to show one.
    #[serde(default)]
    pub client_certificates: Option<ClientCertificates>,
}

/// Who has to show a certificate. It comes before a token, and says nothing about who somebody is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientCertificates {
    /// Every connection, or it ends before anything is read from it.
    #[default]
    Required,
    /// Workloads, runners and orchestrators of identity providers. Humans, attempts, whose tokens this server gives for minutes to one of those, and
    /// routes that need no token go without.
    Machines,
}

/// Why a server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The file cannot be read.
    #[error("`{path}` cannot be read: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration.
    #[error("`{path}` is not a configuration: {reason}", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the place.
        reason: String,
    },
    /// A variable of the environment says nothing that can be.
    #[error(transparent)]
    Variable(#[from] VariableError),
    /// Nobody could show a certificate.
    #[error(
        "`tls.client_certificates` asks for certificates, and no `tls.client_ca` says whose are believed"
    )]
    ClientAuthorities,
    /// Callers of a tenant would be let in whose policies no worker is given.
    #[error("`identity` lets callers of tenant `{tenant}` in, which `tenants` does not name")]
    Tenant {
        /// The tenant.
        tenant: String,
    },
    /// The signing keys cannot be used.
    #[error(transparent)]
    SigningKeys(#[from] KeysError),
    /// The logs cannot be kept.
    #[error(transparent)]
    Logs(#[from] LogsError),
    /// The key of a witness is none.
    #[error("`log.witnesses` has the key `{key}`, which is not one that `gantral witness init` prints")]
    Witness {
        /// As it was written.
        key: String,
    },
    /// The system gives no randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The issuer key delegates nothing.
    #[error(transparent)]
    Delegation(#[from] RenewError),
    /// A token key file cannot be used.
    #[error(transparent)]
    TokenKey(#[from] KeyFileError),
    /// Keys of attempt tokens cannot be used.
    #[error("the attempt token key cannot be used: {0}")]
    AttemptKey(#[from] KeyError),
    /// The identity configuration is wrong.
    #[error("identity: {0}")]
    Identity(#[from] ConfigError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreSettingsError),
    /// The keys of this server are not those of the others upon the same ledger.
    #[error(transparent)]
    OtherKeys(#[from] AgreeError),
    /// An evaluator cannot be used.
    #[error(transparent)]
    Evaluators(#[from] PolicySettingsError),
    /// An identity provider cannot be followed.
    #[error("identity: {0}")]
    Providers(#[from] ProviderError),
    /// The console's own key at a provider cannot be used.
    #[error("identity: the client of the console: {0}")]
    ConsoleKey(#[from] ClientKeyError),
    /// A key that bundles are signed by cannot be used.
    #[error(transparent)]
    Signing(#[from] SigningSettingsError),
    /// The archive cannot be used.
    #[error(transparent)]
    Archive(#[from] gantral_archive::OpenError),
    /// Somebody cannot be told.
    #[error(transparent)]
    Notifications(#[from] NotificationsError),
    /// What takes two persons is not said well.
    #[error(transparent)]
    FourEyes(#[from] FourEyesError),
    /// For how long humans may decide for each other is not said well.
    #[error(transparent)]
    Delegations(#[from] DelegationsError),
    /// How much a tenant may have is not said well.
    #[error(transparent)]
    Limits(#[from] LimitsError),
    /// Where traces go is not said well.
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    /// For how long content is kept is not said well.
    #[error(transparent)]
    Retention(#[from] RetentionError),
    /// The section about passkeys.
    #[error(transparent)]
    Passkeys(#[from] PasskeysError),
    /// The policy workers cannot be started.
    #[error(transparent)]
    Policy(#[from] StartError),
    /// The engine cannot be built.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl Settings {
    /// Reads and checks a configuration file, with what variables of the environment say in its place.
    ///
    /// # Errors
    /// `SetupError`, naming file or variable, place and remedy.
    pub fn read(
        path: &Path,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, SetupError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SetupError::Read { path: path.to_owned(), source })?;
        let wrong = |reason: String| SetupError::Parse { path: path.to_owned(), reason };
        let mut table: toml::Table = toml::from_str(&text).map_err(|error| wrong(error.to_string()))?;
        let said = environment::apply(&mut table, environment)?;
        if said.is_empty() {
            // With the line of the file.
            return toml::from_str(&text).map_err(|error| wrong(error.to_string()));
        }
        serde_path_to_error::deserialize(table).map_err(|error| {
            let (member, reason) = (error.path().to_string(), error.inner().message().to_owned());
            match said.behind(&member) {
                Some(variable) => {
                    VariableError::Value { variable: variable.to_owned(), member, reason }.into()
                }
                None => wrong(format!("`{member}`: {reason}")),
            }
        })
    }

    /// Returns the witnesses.
    ///
    /// # Errors
    /// `SetupError`, naming the key that is none.
    pub fn witnesses(&self) -> Result<Vec<WitnessSettings>, SetupError> {
        let read = |entry: &WitnessEntry| {
            let wrong = || SetupError::Witness { key: entry.key.clone() };
            let key = NoteKey::parse(&entry.key).map_err(|_| wrong())?;
            if key.kind() != NoteKeyKind::Cosignature {
                return Err(wrong());
            }
            Ok(WitnessSettings { url: entry.url.clone(), key, ca_file: entry.ca_file.clone() })
        };
        self.log.witnesses.iter().map(read).collect()
    }

    /// Returns the files of the certificate, and of those of clients.
    ///
    /// # Errors
    /// `SetupError`, where it is said who has to show a certificate, and not whose are believed.
    pub fn tls_files(&self) -> Result<Option<TlsFiles>, SetupError> {
        let Some(tls) = &self.tls else { return Ok(None) };
        let clients = match (&tls.client_ca, tls.client_certificates) {
            (None, Some(_)) => return Err(SetupError::ClientAuthorities),
            (file, who) => file.clone().map(|file| ClientAuthorities {
                file,
                required: who.unwrap_or_default() == ClientCertificates::Required,
            }),
        };
        Ok(Some(TlsFiles { clients, ..TlsFiles::new(tls.certificate.clone(), tls.key.clone()) }))
    }
}

/// What a server is set up with, wherever it comes from.
pub struct Setup<'a> {
    /// The folder of the keys, and of the ledger unless `store` names another place.
    pub data: &'a Path,
    /// The database of the ledger.
    pub store: Option<&'a StoreSettings>,
    /// The tenants.
    pub tenants: &'a [TenantId],
    /// Who vouches for callers.
    pub identity: &'a IdentityConfig,
    /// Who evaluates policy.
    pub policy: &'a PolicySettings,
    /// The write-once archive; none is kept where absent.
    pub archive: Option<&'a ArchiveSettings>,
    /// Who is told of gates.
    pub notifications: &'a NotificationSettings,
    /// What one person may not change alone.
    pub four_eyes: &'a FourEyesSettings,
    /// For how long humans may decide for each other.
    pub delegations: &'a DelegationSettings,
    /// Whose authenticators count at gates; nobody's where absent.
    pub passkeys: Option<&'a PasskeySettings>,
    /// How much a tenant may send, begin and keep.
    pub limits: &'a LimitSettings,
    /// For how long content is kept.
    pub retention: &'a RetentionSettings,
    /// Who says when work may begin.
    pub orchestrator: Orchestrator,
    /// Where traces go.
    pub telemetry: &'a TelemetrySettings,
    /// The development issuer, if it is among them.
    pub development: Option<Arc<DevIssuer>>,
    /// The URL under which this server is reached.
    pub public_url: String,
    /// How a policy worker is started.
    pub worker: WorkerCommand,
    /// Whether the logs are read without a token.
    pub public_logs: bool,
    /// Who is asked to cosign checkpoints.
    pub witnesses: &'a [WitnessSettings],
}

impl Setup<'_> {
    /// Opens the ledger and the keys, starts the policy workers, and puts everything together.
    ///
    /// # Errors
    /// `SetupError`; what was opened is closed again.
    pub async fn app(self) -> Result<App, SetupError> {
        self.check_tenants()?;
        let (opas, mode_lease) = (self.policy.open()?, self.policy.mode_lease()?);
        let signing = self.policy.signing.open()?;
        let providers = Providers::new(self.identity)?;
        let logins = LoginProviders::new(self.identity, &self.public_url)?;
        let Notifications { recipients, couriers } = self.notifications.open(self.tenants)?;
        let four_eyes = self.four_eyes.open(self.tenants)?;
        let delegation_longest = self.delegations.open()?;
        let passkeys = self.passkeys.map(|passkeys| passkeys.open(&self.public_url)).transpose()?;
        let (limits, rates) = self.limits.open(self.tenants)?;
        let telemetry = self.telemetry.open()?;
        let retention = self.retention.open(self.tenants)?;
        private_folder(self.data)?;
        let store = open_store(self.store, self.data).await?;
        let key_folder = KeyFolder::serve(self.data).await?;
        let token_key = TokenKey::load_or_generate(&self.data.join(ATTEMPTS))?;
        // Before anything is written: a server with other keys would retire those of everybody else.
        agree(&store, &key_folder, &token_key).await?;
        let issuer = issuer(&key_folder).await?;
        let usual = EngineConfig::default();
        let config = EngineConfig {
            mode_lease: mode_lease.unwrap_or(usual.mode_lease),
            earlier_keys: issuer.earlier,
            delegations: Some(Arc::clone(&issuer.delegations)),
            policy_demand: PolicyDemand { signed: signing.is_required(), pinned: !opas.is_empty() },
            recipients,
            four_eyes,
            delegation_longest,
            passkeys,
            limits,
            retention,
            orchestrated: self.orchestrator == Orchestrator::Temporal,
            ..usual
        };
        let standing = Standing::default();
        standing.share(&store).await.map_err(AgreeError::from)?;
        let duties = Duties::new(store.clone(), holder()?);
        let parts = LogParts {
            store: store.clone(),
            duties: duties.clone(),
            data: self.data,
            tenants: self.tenants,
            signer: key_folder.log().await?,
            earlier: key_folder.earlier(KeyRole::Log),
            suffix: config.log_suffix.clone(),
            witnesses: self.witnesses,
        };
        let (logs, keeping) = Logs::open(parts, &standing).await?;
        let bundles = Arc::new(StoredBundles::new(store.clone(), self.tenants.to_vec()));
        let policy = Arc::new(RegoPolicyPoint::start(&self.worker, PoolConfig::default(), bundles)?);
        let kept = Arc::new(logs.clone());
        let (archive, checkpoints) =
            archive::open(self.archive, kept, &store, issuer.delegations, self.tenants)?;
        let evaluators = opas.beside(Arc::new(TracedPoint(policy.clone())))?;
        let signer = Arc::new(TracedSigner(issuer.signer));
        let ports = Ports { store, signer, policy: evaluators, checkpoints };
        let engine = Engine::new(ports, config)?;
        let damaged = if standing.behind().is_none() {
            forget_others(&engine, &couriers).await?;
            let keys = [(engine.public_key().clone(), KeyRole::Issuer), (logs.key().clone(), KeyRole::Log)];
            declare_all(&engine, self.tenants, &keys, key_folder.entries()).await?
        } else {
            Vec::new()
        };
        let attempts = self.attempts(token_key)?;
        let verifier = Verifier::new(self.identity)?.with_attempts(Arc::clone(&attempts));
        // Who does not answer in this time is asked again while the server serves.
        let _ = tokio::time::timeout(PROVIDERS_WITHIN, providers.begin(&verifier)).await;
        Ok(App::new(AppParts {
            engine,
            verifier,
            dev: self.development,
            logins,
            providers,
            attempts,
            clock: Arc::new(SystemClock),
            policy,
            opas,
            worker: self.worker,
            signing,
            public_url: self.public_url,
            standing,
            damaged,
            logs: Some(logs),
            keeping,
            archive,
            public_logs: self.public_logs,
            couriers,
            duties,
            rates,
            telemetry,
            tenants: self.tenants.to_vec(),
        }))
    }
}

/// Sees to it that the governance chain of every tenant names the keys, and returns the tenants whose chains are damaged.
///
/// # Errors
/// `SetupError`, also where nothing can be done for any tenant.
async fn declare_all(
    engine: &Engine,
    tenants: &[TenantId],
    keys: &[(PublicKey, KeyRole)],
    entries: &[KeyEntry],
) -> Result<Vec<TenantId>, SetupError> {
    let mut damaged = Vec::new();
    for tenant in tenants {
        match declare(engine, tenant, keys, entries).await {
            // Nothing of the tenant is done on the ground of such a chain; the others have chains of their own.
            Err(SetupError::Engine(error @ EngineError::Damaged { .. })) => {
                tracing::error!(%tenant, %error, "nothing of this tenant is done until its ledger is mended and the server started again");
                damaged.push((tenant.clone(), error));
            }
            declared => declared?,
        }
    }
    if damaged.len() == tenants.len()
        && let Some((_, error)) = damaged.pop()
    {
        return Err(error.into());
    }
    Ok(damaged.into_iter().map(|(tenant, _)| tenant).collect())
}

/// Sees to it that the governance chain of a tenant names the keys that sign now, and those that were in other hands.
async fn declare(
    engine: &Engine,
    tenant: &TenantId,
    keys: &[(PublicKey, KeyRole)],
    entries: &[KeyEntry],
) -> Result<(), SetupError> {
    let call = || Ok::<_, SetupError>(Call { now: SystemClock.now(), fresh: Fresh::new(seed()?), key: None });
    engine.declare_keys(call()?, tenant, keys).await?;
    let log = log_of(tenant).map_err(LogsError::from)?;
    let compromised: Vec<(KeyId, u64)> = entries
        .iter()
        .filter_map(|entry| Some((entry.public_key.id(), entry.compromised_in(&log)?)))
        .collect();
    engine.declare_compromised(call()?, tenant, &compromised).await?;
    Ok(())
}

impl Setup<'_> {
    /// Returns who signs tokens of attempts.
    fn attempts(&self, key: TokenKey) -> Result<Arc<AttemptTokens>, SetupError> {
        let attempts = AttemptTokens::new(key, &self.public_url)?;
        Ok(Arc::new(if self.development.is_some() { attempts.for_development() } else { attempts }))
    }

    /// Refuses an issuer or client whose callers belong to a tenant that is not served.
    fn check_tenants(&self) -> Result<(), SetupError> {
        for issuer in &self.identity.issuers {
            let own = issuer.clients.values().filter_map(|client| client.tenant.as_ref());
            let ruled: Vec<&String> = match &issuer.tenant {
                TenantRule::Fixed(tenant) => vec![tenant],
                TenantRule::Claim { tenants, .. } => tenants.values().collect(),
            };
            let unserved =
                |name: &&String| !self.tenants.iter().any(|tenant| tenant.as_str() == name.as_str());
            if let Some(tenant) = own.chain(ruled).find(unserved) {
                return Err(SetupError::Tenant { tenant: tenant.clone() });
            }
        }
        Ok(())
    }
}

/// Drops what waits for channels that are configured no more: nobody would ever take it.
async fn forget_others(engine: &Engine, couriers: &Couriers) -> Result<(), EngineError> {
    let keep = couriers.channels().map(|channel| (channel.tenant().clone(), channel.name().clone()));
    let forgotten = engine.store().forget_recipients(keep.collect()).await?;
    if forgotten > 0 {
        tracing::warn!(forgotten, "messages for channels that are not configured any more were dropped");
    }
    Ok(())
}

/// Returns who this process is, among all that do what one of them should do.
fn holder() -> Result<Holder, NoRandomness> {
    let mut bytes = [0; 16];
    for (byte, random) in bytes.iter_mut().zip(seed()?) {
        *byte = random;
    }
    Ok(Holder::from_random(bytes))
}

fn private_folder(path: &Path) -> Result<(), SetupError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| SetupError::Read { path: path.to_owned(), source })
}

//! The identity providers at which people log in to the console.

use std::path::PathBuf;
use std::time::Duration;

use gantral_identity::{ClientKey, ClientKeyError, ConsoleConfig, IdentityConfig};
use gantral_oidc::{Credential, GrantError, Provider, WebClient};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long what a provider says of its endpoints counts as current.
const DISCOVERED_FOR: Duration = Duration::from_secs(600);
/// Where a provider sends people back to, below the public URL.
pub(super) const CALLBACK: &str = "/console/callback";

/// One provider.
pub(super) struct LoginProvider {
    pub issuer: String,
    pub client: WebClient,
    ca_file: Option<PathBuf>,
    known: Mutex<Option<(Instant, Provider)>>,
}

/// Every provider at which people log in to the console.
pub struct LoginProviders(Vec<LoginProvider>);

impl LoginProviders {
    /// Reads what a configuration says; people are sent back to `public_url`. Nothing is fetched yet.
    ///
    /// # Errors
    /// `ClientKeyError` when the key of a client cannot be used.
    pub fn new(config: &IdentityConfig, public_url: &str) -> Result<Self, ClientKeyError> {
        let consoles =
            config.issuers.iter().filter_map(|issuer| Some((&issuer.issuer, issuer.console.as_ref()?)));
        let providers = consoles.map(|(issuer, console)| LoginProvider::new(issuer, console, public_url));
        providers.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn issuers(&self) -> Vec<String> {
        self.0.iter().map(|provider| provider.issuer.clone()).collect()
    }

    pub(super) fn of(&self, issuer: &str) -> Option<&LoginProvider> {
        self.0.iter().find(|provider| provider.issuer == issuer)
    }
}

/// Shows which.
impl std::fmt::Debug for LoginProviders {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("LoginProviders").field(&self.issuers()).finish()
    }
}

impl LoginProvider {
    fn new(issuer: &str, console: &ConsoleConfig, public_url: &str) -> Result<Self, ClientKeyError> {
        let credential = match (&console.secret_file, &console.key_file) {
            (Some(file), _) => Some(Credential::SecretFile(file.clone())),
            (None, Some(file)) => {
                Some(Credential::Key { key: ClientKey::read(file, console.key_id.clone())?, audience: None })
            }
            (None, None) => None,
        };
        Ok(Self {
            issuer: issuer.to_owned(),
            client: WebClient {
                id: console.client.clone(),
                credential,
                scopes: console.scopes.clone(),
                prompt: console.prompt.clone(),
                redirect: format!("{public_url}{CALLBACK}"),
            },
            ca_file: console.ca_file.clone(),
            known: Mutex::default(),
        })
    }

    /// Returns what the provider says of itself, asked at most every ten minutes: whoever opens a page makes nobody ask it more often.
    pub(super) async fn provider(&self) -> Result<Provider, GrantError> {
        let mut known = self.known.lock().await;
        if let Some((at, provider)) = known.as_ref()
            && at.elapsed() < DISCOVERED_FOR
        {
            return Ok(provider.clone());
        }
        let provider = Provider::discover(&self.issuer, self.ca_file.as_deref()).await?;
        *known = Some((Instant::now(), provider.clone()));
        Ok(provider)
    }
}

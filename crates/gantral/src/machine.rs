//! A machine's own credentials, said by options or by environment.

use std::path::PathBuf;

use clap::Args;
use gantral_api::client::{FetchToken, NoToken, TokenFuture};
use gantral_identity::ClientKey;
use gantral_oidc::{Credential, Machine, MachineTokens};

use crate::failure::Failure;

/// What the help of programs says about it that are usually machines.
pub const HELP: &str = "\
A machine gets its tokens from its identity provider: GANTRAL_CLIENT_ISSUER, GANTRAL_CLIENT_ID, and GANTRAL_CLIENT_KEY_FILE
or GANTRAL_CLIENT_SECRET_FILE, or the options of the same names (`--client-issuer`, …). Or it has a token file that
somebody renews, as Kubernetes does.";

/// Options of a machine that gets its tokens itself. They are not in the help of each command: people do not use them.
#[derive(Debug, Default, Args)]
pub struct MachineArgs {
    /// The exact issuer of the machine's identity provider
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_ISSUER", value_name = "ISSUER")]
    client_issuer: Option<String>,
    /// The client that the machine is there
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_ID", value_name = "CLIENT")]
    client_id: Option<String>,
    /// A file with the client's secret, mode 0600; read anew each time
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_SECRET_FILE", value_name = "FILE")]
    client_secret_file: Option<PathBuf>,
    /// A file with the client's private key, PKCS#8 in PEM, mode 0600: P-256, Ed25519 or RSA
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_KEY_FILE", value_name = "FILE")]
    client_key_file: Option<PathBuf>,
    /// The `kid` under which the provider knows that key
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_KEY_ID", value_name = "KID")]
    client_key_id: Option<String>,
    /// The `aud` of what that key signs; the issuer when absent
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_KEY_AUDIENCE", value_name = "AUDIENCE")]
    client_key_audience: Option<String>,
    /// The parameter `scope`, if the provider wants it
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_SCOPE", value_name = "SCOPE")]
    client_scope: Option<String>,
    /// The parameter `audience`, if the provider wants it
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_AUDIENCE", value_name = "AUDIENCE")]
    client_audience: Option<String>,
    /// The parameter `resource` (RFC 8707), if the provider wants it
    #[arg(long, global = true, hide = true, env = "GANTRAL_CLIENT_RESOURCE", value_name = "URI")]
    client_resource: Option<String>,
    /// The certificate authorities to trust for the provider instead of the system's, PEM
    #[arg(long, global = true, hide = true, env = "GANTRAL_PROVIDER_CA_FILE", value_name = "FILE")]
    provider_ca_file: Option<PathBuf>,
}

impl MachineArgs {
    /// Returns the machine that was said; `None` if none was.
    pub fn tokens(&self) -> Result<Option<OwnTokens>, Failure> {
        let (issuer, client) = match (&self.client_issuer, &self.client_id) {
            (None, None) => return Ok(None),
            (Some(issuer), Some(client)) => (issuer.clone(), client.clone()),
            _ => return Err(Failure::new("a machine needs both its issuer and its client").hint(HINT)),
        };
        let credential = match (&self.client_secret_file, &self.client_key_file) {
            (Some(path), None) => Credential::SecretFile(path.clone()),
            (None, Some(path)) => {
                let key = ClientKey::read(path, self.client_key_id.clone());
                let key = key.map_err(|error| Failure::new(error.to_string()))?;
                Credential::Key { key, audience: self.client_key_audience.clone() }
            }
            _ => return Err(Failure::new("a machine needs either a secret or a key, in a file").hint(HINT)),
        };
        let described = format!("client `{client}` of `{issuer}`");
        let tokens = MachineTokens::new(Machine {
            issuer,
            client,
            credential,
            scope: self.client_scope.clone(),
            audience: self.client_audience.clone(),
            resource: self.client_resource.clone(),
            ca_file: self.provider_ca_file.clone(),
        });
        let tokens = tokens.map_err(|error| Failure::new(format!("{described}: {error}")))?;
        Ok(Some(OwnTokens { tokens, described }))
    }
}

const HINT: &str =
    "set GANTRAL_CLIENT_ISSUER, GANTRAL_CLIENT_ID, and GANTRAL_CLIENT_KEY_FILE or GANTRAL_CLIENT_SECRET_FILE";

/// The tokens that a machine gets itself.
#[derive(Debug)]
pub struct OwnTokens {
    tokens: MachineTokens,
    described: String,
}

impl OwnTokens {
    /// Returns whose they are, in words.
    pub fn described(&self) -> &str {
        &self.described
    }
}

impl FetchToken for OwnTokens {
    fn token(&self) -> TokenFuture<'_> {
        Box::pin(async {
            match self.tokens.token().await {
                Ok(token) => Ok(token.expose().to_owned()),
                Err(error) => Err(NoToken(format!("{} got none: {error}", self.described))),
            }
        })
    }

    fn refused(&self, token: &str) -> bool {
        self.tokens.refused(token)
    }
}

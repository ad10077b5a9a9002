//! How a client proves at the token endpoint that it is the client (RFC 6749 section 2.3, RFC 7523).

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::time::UnixMillis;
use gantral_identity::ClientKey;
use gantral_outbound::read_secret;
use reqwest::Url;
use reqwest::header::HeaderValue;

use crate::endpoint::{GrantError, Provider, encoded};
use crate::fetch::url;
use crate::token::Granted;

/// How a client says that the assertion is a JWT (RFC 7523 section 2.2).
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The largest secret that is read, in bytes.
const SECRET_BYTES_MAX: u64 = 4_096;

/// What a client proves with that it is the client.
#[derive(Debug)]
pub enum Credential {
    /// A file with a secret, mode 0600; read anew each time.
    SecretFile(PathBuf),
    /// A key whose public part the provider knows.
    Key {
        /// The key.
        key: ClientKey,
        /// The `aud` of assertions; the issuer when absent. Some providers want the address of their token endpoint.
        audience: Option<String>,
    },
}

impl Provider {
    /// Asks the token endpoint as a client that proves who it is.
    pub(crate) async fn grant_as(
        &self,
        client: &str,
        credential: &Credential,
        mut form: Vec<(&str, &str)>,
    ) -> Result<Granted, GrantError> {
        match credential {
            Credential::SecretFile(path) => {
                let secret = secret(path)?;
                if self.metadata.takes_basic {
                    let value = basic(self, client, &secret)?;
                    return self.grant(&form, Some(value)).await;
                }
                form.extend([("client_id", client), ("client_secret", secret.as_str())]);
                self.grant(&form, None).await
            }
            Credential::Key { key, audience } => {
                let audience = audience.as_deref().unwrap_or(&self.issuer);
                let assertion = key.assertion(client, audience, now())?;
                form.extend([
                    ("client_id", client),
                    ("client_assertion_type", ASSERTION_TYPE),
                    ("client_assertion", assertion.as_str()),
                ]);
                self.grant(&form, None).await
            }
        }
    }
}

fn secret(path: &Path) -> Result<String, GrantError> {
    let wrong = |why: String| GrantError::Secret { path: path.to_owned(), why };
    let bytes = read_secret(path, SECRET_BYTES_MAX).map_err(|error| wrong(error.to_string()))?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("it is no text".to_owned()))?;
    match text.trim() {
        "" => Err(wrong("it is empty".to_owned())),
        text => Ok(text.to_owned()),
    }
}

/// Writes client and secret as RFC 6749 section 2.3.1 wants them: encoded as in a form first.
fn basic(provider: &Provider, client: &str, secret: &str) -> Result<HeaderValue, GrantError> {
    let any: Url = url(&provider.issuer)?;
    let form_encoded = |text: &str| encoded(&any, &[(text, "")]).trim_end_matches('=').to_owned();
    let pair = format!("{}:{}", form_encoded(client), form_encoded(secret));
    let value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)));
    // Base64 is always a value.
    value.map_err(|_| GrantError::Document("a request"))
}

/// Returns the present instant by the clock of this machine; the first of all if it is before 1970.
pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or_default();
    UnixMillis::new(millis).unwrap_or(UnixMillis::EPOCH)
}

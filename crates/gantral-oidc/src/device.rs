//! Logging in with a browser of another machine (RFC 8628).

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout_at};

use crate::endpoint::{GrantError, Provider, PublicClient, read, seconds};
use crate::fetch::url;
use crate::token::Granted;

/// The grant, by the name of section 3.4.
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";
/// The pause between two questions where the provider names none, and by how much it asks for more (sections 3.2 and 3.5).
const INTERVAL: Duration = Duration::from_secs(5);
/// The longest pause, whatever the provider says.
const INTERVAL_MAX: Duration = Duration::from_secs(60);
/// The longest wait, whatever the provider says.
const WAIT_MAX: Duration = Duration::from_secs(1_800);
/// The longest code that a person is asked to type, in characters.
const USER_CODE_MAX: usize = 64;

/// What a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceCode {
    /// What they type: visible ASCII.
    pub user_code: String,
    /// Where they type it.
    pub address: Url,
    /// The same with the code in it, if the provider has such an address.
    pub address_with_code: Option<Url>,
    /// How long they have.
    pub expires_in: Duration,
}

/// The answer of section 3.2.
#[derive(Deserialize)]
struct Answer {
    device_code: String,
    user_code: String,
    // Google's, from before the RFC.
    #[serde(alias = "verification_url")]
    verification_uri: String,
    verification_uri_complete: Option<String>,
    expires_in: Value,
    interval: Option<Value>,
}

impl Provider {
    /// Lets a person log in with a browser somewhere else. `show` is given what they have to be told; what follows waits for them.
    ///
    /// # Errors
    /// `GrantError`.
    pub async fn login_with_device(
        &self,
        client: &PublicClient,
        show: impl FnOnce(&DeviceCode),
    ) -> Result<Granted, GrantError> {
        let member = "device_authorization_endpoint";
        let at = self.metadata.device_authorization.as_ref().ok_or(GrantError::Endpoint(member))?;
        let scope = client.scopes.join(" ");
        let what = "one with a device code";
        let answer: Answer = read(&self.post(at, &client.parameters(&scope), None).await?, what)?;
        let told = told(&answer).ok_or(GrantError::Document(what))?;
        let interval = answer.interval.as_ref().and_then(seconds).unwrap_or(INTERVAL);
        show(&told);
        let mut form = vec![
            ("grant_type", GRANT),
            ("device_code", answer.device_code.as_str()),
            ("client_id", client.id.as_str()),
        ];
        form.extend(client.resource());
        let waited = timeout_at(Instant::now() + told.expires_in, self.ask_until_told(&form, interval)).await;
        waited.unwrap_or(Err(GrantError::Nobody(told.expires_in.as_secs())))
    }

    async fn ask_until_told(&self, form: &[(&str, &str)], interval: Duration) -> Result<Granted, GrantError> {
        let mut interval = interval.max(Duration::from_secs(1)).min(INTERVAL_MAX);
        loop {
            sleep(interval).await;
            match self.grant(form, None).await {
                Err(GrantError::Refused(refusal)) => match refusal.code() {
                    "authorization_pending" => {}
                    "slow_down" => interval = (interval + INTERVAL).min(INTERVAL_MAX),
                    _ => return Err(GrantError::Refused(refusal)),
                },
                // Section 3.5: a provider that does not answer is asked less often.
                Err(GrantError::Answer(_) | GrantError::Status(_)) => {
                    interval = interval.saturating_mul(2).min(INTERVAL_MAX);
                }
                ended => return ended,
            }
        }
    }
}

/// Checks what a person is told; `None` if it cannot be told.
fn told(answer: &Answer) -> Option<DeviceCode> {
    let user_code = &answer.user_code;
    let is_code = (1..=USER_CODE_MAX).contains(&user_code.len())
        && user_code.bytes().all(|byte| byte.is_ascii_graphic());
    let address_with_code = answer.verification_uri_complete.as_deref().map(url).transpose().ok()?;
    is_code.then_some(DeviceCode {
        user_code: user_code.clone(),
        address: url(&answer.verification_uri).ok()?,
        address_with_code,
        expires_in: seconds(&answer.expires_in)?.min(WAIT_MAX),
    })
}

#[cfg(test)]
mod tests;

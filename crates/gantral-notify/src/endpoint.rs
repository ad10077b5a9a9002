//! Requests to one receiver: where they go, and what of an answer counts.
//!
//! Of an answer only the status counts, and for how long the receiver asks to be left alone.

use std::path::Path;
use std::time::Duration;

use gantral_outbound::{AddressError, Expected, NoAnswer, client_for};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Client, Response, Url};

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// How long an idle connection is kept, shorter than what load balancers allow.
const IDLE_KEPT: Duration = Duration::from_secs(30);
/// How much of an answer's body is read so that its connection can be used again, in bytes.
const BODY_BYTES_MAX: usize = 4 << 10;
/// How long that may take.
const BODY_WITHIN: Duration = Duration::from_millis(200);

const EXPECTED: Expected = Expected {
    such_as: "not one such as `https://hooks.example.org/gantral`",
    query: true,
    ends: "it ends with a path or a query",
};

/// What a request carries.
pub(crate) struct Request {
    pub media_type: &'static str,
    /// Beside the media type.
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What counts of an answer.
pub(crate) struct Answer {
    pub status: u16,
    /// `Retry-After`, as it came.
    pub retry_after: Option<String>,
}

/// One receiver.
pub(crate) struct Endpoint {
    client: Client,
    url: Url,
    timeout: Duration,
}

impl Endpoint {
    /// Reads an address and its authorities. Connects to nothing yet.
    pub(crate) fn new(url: &str, ca_file: Option<&Path>, timeout: Duration) -> Result<Self, AddressError> {
        let url = address(url)?;
        Ok(Self { client: client(&url, ca_file)?, url, timeout })
    }

    /// Sends a message, and returns what counts of the answer.
    pub(crate) async fn post(&self, request: Request) -> Result<Answer, NoAnswer> {
        let mut sent = self.client.post(self.url.clone()).header(CONTENT_TYPE, request.media_type);
        for (name, value) in request.headers {
            sent = sent.header(name, value);
        }
        let response = sent.timeout(self.timeout).body(request.body).send().await?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        // Whatever comes of it, the receiver has answered.
        let _ = tokio::time::timeout(BODY_WITHIN, drain(response)).await;
        Ok(Answer { status, retry_after })
    }
}

async fn drain(mut response: Response) {
    let mut left = BODY_BYTES_MAX;
    while let Ok(Some(chunk)) = response.chunk().await {
        match left.checked_sub(chunk.len()) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

/// Reads an address: `https`, or `http` on this machine.
fn address(text: &str) -> Result<Url, AddressError> {
    gantral_outbound::address(text, &EXPECTED)
}

fn client(url: &Url, ca_file: Option<&Path>) -> Result<Client, AddressError> {
    client_for(url, ca_file, |client| client.connect_timeout(CONNECT_WITHIN).pool_idle_timeout(IDLE_KEPT))
}

#[cfg(test)]
mod tests;

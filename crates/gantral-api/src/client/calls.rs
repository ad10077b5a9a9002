//! Governed calls.

use super::instances::holding;
use super::{Client, ClientError};
use crate::routes::Method;
use crate::wire::{AskCall, CallAnswer, CallKept, Empty, Moved, SettleCall, WaitQuery, text};

/// # Errors
/// Each call as [`ClientError`] describes; the pages of the codes say what to do. Without an answer nothing is
/// authorised: never act on an error.
impl Client {
    /// Asks for a call, and begins it if policy allows it.
    pub async fn ask_call(&self, body: &AskCall) -> Result<CallAnswer, ClientError> {
        self.post(&["v1", "calls"], body).await
    }

    /// Begins a call that humans granted; holds up to `wait` until they have decided.
    pub async fn take_call(
        &self,
        id: text::InstanceId,
        wait: Option<text::Duration>,
    ) -> Result<CallAnswer, ClientError> {
        let call = self.call(Method::Post, &["v1", "calls", &id.to_string(), "take"])?;
        let call = call.query(&WaitQuery { wait })?.json(&Empty {})?;
        self.send(holding(call, wait)).await?.read()
    }

    /// Keeps a call that is being carried out.
    pub async fn keep_call(&self, id: text::InstanceId) -> Result<CallKept, ClientError> {
        self.post(&["v1", "calls", &id.to_string(), "heartbeat"], &Empty {}).await
    }

    /// Says what came of a call, and ends it.
    pub async fn settle_call(&self, id: text::InstanceId, body: &SettleCall) -> Result<Moved, ClientError> {
        self.post(&["v1", "calls", &id.to_string(), "settle"], body).await
    }
}

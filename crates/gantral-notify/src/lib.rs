//! Being told: what happened to gates, carried to webhooks.
//!
//! What is told is written by the engine, with the change that it is about. Here it gets its form (`spec/notifications.md`), its
//! signature, and as many tries as it needs. A webhook that is away holds up nobody else, and nothing here is waited for by a change.

mod backoff;
mod courier;
mod endpoint;
mod message;
mod retry_after;
mod secret;
mod signature;
mod slack;
mod teams;
mod webhook;
mod words;

pub use courier::{Couriers, Now, WebhookStatus};
pub use message::message_id;
pub use secret::{SECRETS_MAX, SecretError};
pub use webhook::{
    AddressError, Format, RETRY_FOR_DEFAULT, TIMEOUT_DEFAULT, Webhook, WebhookConfig, WebhookError,
};

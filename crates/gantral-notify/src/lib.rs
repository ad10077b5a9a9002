//! Being told: what happened to gates and proposals, carried to webhooks, chats and mailboxes.
//!
//! What is told is written by the engine, with the change that it is about. Here it gets its form (`spec/notifications.md`), its
//! signature, and as many tries as it needs. A channel that is away holds up nobody else, and nothing here is waited for by a change.

mod backoff;
mod channel;
mod courier;
mod digest;
mod endpoint;
mod mail;
mod message;
mod retry_after;
mod secret;
mod signature;
mod slack;
mod teams;
mod told;
mod webhook;
mod words;

pub use channel::{Channel, ChannelConfig, Pace, RETRY_FOR_DEFAULT, Way};
pub use courier::{ChannelStatus, Couriers, Now, Road, Shown, Unread};
pub use mail::{MAIL_TIMEOUT_DEFAULT, MailConfig, MailError, MailServer, MailTls, Mailbox};
pub use secret::{SECRETS_MAX, SecretError, resolve_line};
pub use told::{Member, message_id};
pub use webhook::{AddressError, Format, TIMEOUT_DEFAULT, Webhook, WebhookConfig, WebhookError};

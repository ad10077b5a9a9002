//! The interceptor for the Model Context Protocol: it stands between a client and a server, passes everything as it is, and has each call of
//! a tool governed: asked for before it is sent, sent once as it was approved, and reported.
//!
//! No rule of Gantral lives here, and no word of a server or a client is believed: what they claim is input of the policy. Source: the
//! specification of the protocol, revisions 2025-03-26 to 2025-11-25 and 2026-07-28.

pub mod authority;
mod call;
mod catalogue;
mod declared;
pub mod governor;
pub mod http;
mod lines;
pub mod link;
pub mod message;
pub mod port;
pub mod process;
pub mod remote;
mod reply;
pub mod seal;
pub mod session;
pub mod several;
pub mod spool;
pub mod sse;
pub mod state;
pub mod stdio;
pub mod task;
pub mod upstream;
pub mod withheld;

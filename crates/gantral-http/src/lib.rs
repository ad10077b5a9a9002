//! Before a service over HTTP: a reverse proxy that has each governed request asked for before it is sent, sent once as it was approved, and
//! reported.
//!
//! No rule of Gantral lives here. What a client says about itself is input of the policy, and no credential of a client reaches Gantral, a log
//! or a disk. Source: `spec/calls.md`, RFC 9110, RFC 9112.

pub mod answer;
pub mod ask;
pub mod authz;
pub mod choice;
pub mod governor;
pub mod proxy;
pub mod reply;
pub mod request;
pub mod rules;
pub mod spool;
pub mod upstream;

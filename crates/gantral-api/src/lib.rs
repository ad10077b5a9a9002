//! Wire types, problem details, OpenAPI and the Rust client; and the shadow report, added up for whoever shows it.
//!
//! The one place where the REST contract is written down: the server implements it, the client and the document
//! follow from it. Not here: engine, store, or any rule of authority.

#[cfg(feature = "client")]
pub mod client;
pub mod observed;
pub mod openapi;
pub mod problem;
pub mod routes;
pub mod wire;

//! Wire types, problem details, OpenAPI and the Rust client.

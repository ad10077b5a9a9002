//! Tokens to principals: who is asking, from verified issuers only.
//!
//! A bearer token goes in, a [`Principal`] comes out, or a [`TokenError`]. What a principal is (human, workload,
//! runner), which tenant it belongs to and what a machine may hold comes from the configuration of issuer and client;
//! a token only says which client and which subject. What somebody may *do* is decided elsewhere: from here come only
//! the proofs of standing that such a decision starts from ([`Approver`], [`Requester`], [`Administrator`],
//! [`RunnerIdentity`], [`AttemptBearer`]).
//!
//! Signatures are checked by `aws-lc-rs` directly, with four algorithms and one key per identifier, because the time
//! comes in as a value and every member must be read exactly once. Sources: RFC 7515, RFC 7517, RFC 7519, RFC 8725
//! (best practice), RFC 9068 (access tokens).

mod assertion;
mod attempt;
mod cache;
mod capability;
mod claims;
mod config;
mod dev;
mod error;
mod issuer;
mod jws;
mod keys;
mod person;
mod principal;
mod session;
mod signing;
mod verifier;

pub use assertion::{ClientKey, ClientKeyError};
pub use attempt::{ATTEMPT_AUDIENCE, ATTEMPT_TTL, ATTEMPT_TTL_MAX, ActingWorkload, AttemptTokens, MintError};
pub use capability::{
    Administrator, Approver, AttemptBearer, NotPermitted, Orchestrator, Requester, RunnerIdentity,
};
pub use config::{
    ClaimMapping, ClaimPath, ClientConfig, ConsoleConfig, Executes, IdentityConfig, IssuerConfig, KeySource,
    LoginConfig, LoginToken, OwnerConfig, PublishedKeys, TenantRule, TokenType,
};
pub use dev::{
    DEV_AUDIENCE, DEV_ISSUER_URL, DEV_TENANT, DEV_TOKEN_TTL, DevDirectory, DevIssuer, DevPerson,
    DevTokenError, DevelopmentRefused, development_allowed,
};
pub use error::{Fault, TokenError};
pub use issuer::ConfigError;
pub use keys::{Algorithm, Jwk, JwkSet, KeyError};
pub use person::{HumanSubject, SubjectError, person_bytes};
pub use principal::{AttemptScope, Principal, PrincipalKind};
pub use session::{SessionClaims, SessionToken};
pub use signing::{IssuedToken, KeyFileError, TokenKey};
pub use verifier::{CLOCK_SKEW, Holders, KeysPut, TOKEN_BYTES_MAX, Verifier};

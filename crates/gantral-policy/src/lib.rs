//! Policy points: Rego in a supervised child process, and Open Policy Agent.
//!
//! Policy advises; the engine enforces. This crate turns a policy version and an input into an
//! [`Evaluation`](gantral_core::policy::Evaluation) or an [`EvalFailure`](gantral_core::policy::EvalFailure), and never
//! sees how failures are resolved. No policy is ever parsed or evaluated in the server's own process.
//!
//! - [`bundle`]: policy bundles and their content digests.
//! - [`input`] and [`output`]: the contract between the engine and policies.
//! - [`RegoPolicyPoint`]: the policy point of the engine, over a pool of workers.
//! - [`opa`]: the policy point that asks an OPA.
//! - [`run_worker`]: the whole life of one worker process.
//! - [`EvaluateAgain`]: policies that somebody brings, evaluated again.
//! - [`compare`]: two policies over recorded inputs.
//! - [`standing`]: rules that humans propose at gates, written as Rego.
//! - [`check`]: publish checks, tests and explained evaluations, for policy authors.

mod again;
pub mod bundle;
pub mod check;
pub mod compare;
mod frame;
pub mod opa;
pub mod output;
mod pool;
mod process;
mod rego;
pub mod standing;
mod worker;

pub use again::{AgainError, EvaluateAgain};
pub use frame::Refused;
pub use gantral_engine::policy_input as input;
pub use pool::{PoolConfig, WorkerStatus};
pub use process::WorkerCommand;
pub use rego::{BundleSource, ENGINE_VERSION, RegoPolicyPoint, SourceUnavailable, StartError};
pub use worker::{WorkerError, run_worker};

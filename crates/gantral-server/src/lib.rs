//! The control plane over HTTP: tokens become principals, bodies become commands, facts become answers.
//!
//! Nothing is decided here. A handler names the capability that it needs and the engine's answer; what may happen is
//! for the engine and the core to say.

mod app;
pub mod archive;
pub mod backup;
mod candidates;
mod clock;
mod command;
mod console;
pub mod copying;
pub mod delegations;
pub mod evaluators;
pub mod examine;
pub mod four_eyes;
mod handlers;
mod identity;
pub mod keys;
mod limits;
mod listen;
pub mod logs;
mod metrics;
pub mod notifications;
mod observe;
mod parameters;
pub mod passkeys;
mod policy;
mod problems;
pub mod rates;
mod readiness;
pub mod retention;
mod router;
mod scheduler;
pub mod settings;
pub mod signing;
mod standing;
pub mod store;
mod tally;
pub mod telemetry;
pub mod tenant_limits;
mod turns;
mod views;
mod waiting;

pub use app::{App, AppParts};
pub use clock::{Clock, SystemClock};
pub use console::LoginProviders;
pub use gantral_listen::{ListenError as SocketError, Listening, TlsFiles};
pub use limits::Capacity;
pub use listen::{ListenError, listen, serve};
pub use policy::StoredBundles;
pub use router::router;
pub use scheduler::run_scheduler;
pub use standing::Standing;

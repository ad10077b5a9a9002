//! The log of the programs that go on for long: standard error, as lines or as JSON.

use tracing_subscriber::EnvFilter;

use crate::out::Out;

/// The variable that says what is logged, for example `gantral_edge=debug`.
pub const VARIABLE: &str = "GANTRAL_LOG";

/// What the help of such programs says about it.
pub const HELP: &str = "\
GANTRAL_LOG says what is logged to standard error: `warn`, `info`, `debug`, or `gantral_edge=debug`.";

/// Starts logging. Says what happened from level `usual` unless `GANTRAL_LOG` says otherwise.
pub fn start(usual: &str, out: Out) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new(usual));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let builder = builder.with_ansi(false).with_writer(std::io::stderr);
    // A second start in one process would be a mistake of ours, and harmless.
    let _ = if out.json { builder.json().try_init() } else { builder.try_init() };
}

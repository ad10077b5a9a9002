//! The log of the programs that go on for long: standard error, as lines or as JSON.

use tracing_subscriber::EnvFilter;

use crate::out::Out;

/// The variable that says what is logged, for example `gantral_edge=debug`.
pub const VARIABLE: &str = "GANTRAL_LOG";

/// Starts logging. Says what happened from level INFO unless `GANTRAL_LOG` says otherwise.
pub fn start(out: Out) {
    let filter = EnvFilter::try_from_env(VARIABLE).unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    // A second start in one process would be a mistake of ours, and harmless.
    let _ = if out.json {
        builder.json().with_writer(std::io::stderr).try_init()
    } else {
        // The writer strips colour where nobody sees it.
        builder.with_ansi(true).with_writer(anstream::stderr).try_init()
    };
}

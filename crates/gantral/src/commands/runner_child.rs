//! `gantral runner-child`: the guardian of an attempt's process.

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

/// Arguments of `runner-child`.
#[derive(Debug, Args)]
pub struct RunnerChildArgs {
    /// The command of the attempt
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Guards the command until its end.
pub fn run(args: &RunnerChildArgs) -> ExitCode {
    gantral_edge::child::guard(&args.command)
}

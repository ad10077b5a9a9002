//! `gantral completions`: what shells need to complete the command line.

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// Arguments of `completions`.
#[derive(Debug, Args)]
pub struct CompletionsArgs {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the script.
pub fn run(args: &CompletionsArgs, out: Out) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "gantral", &mut script);
    out.bytes(&script)?;
    Ok(Exit::DONE)
}

//! `gantral policy-worker`: the child process in which policies are evaluated.

use crate::exit::Exit;
use crate::failure::Failure;

/// The name of the subcommand, under which a server starts it.
pub const NAME: &str = "policy-worker";

/// Serves the socket that is standard input until it closes. Called first thing, on the main thread.
pub fn run() -> Result<Exit, Failure> {
    gantral_policy::run_worker().map(|()| Exit::DONE).map_err(|error| {
        Failure::new(error.to_string()).hint("this command is started by a server, never by hand")
    })
}

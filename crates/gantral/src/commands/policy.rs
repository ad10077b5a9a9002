//! `gantral policy`: writing policies, publishing them, and putting them in force.

mod author;
mod candidate;
mod diff;
mod force;
pub mod scope;
mod sides;
mod store;

use std::path::Path;

use clap::Subcommand;
use gantral_policy::WorkerCommand;
use gantral_policy::bundle::Bundle;

use crate::cli::Server;
use crate::commands::policy_worker;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

pub use store::published;

/// Who writes policies in development.
const USUAL: &str = "bob";

/// Subcommands of `policy`.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Checks whether a bundle may be published, and runs its tests
    Test(author::TestArgs),
    /// Looks for what the author of a bundle most likely did not mean
    Lint(author::LintArgs),
    /// Evaluates one input as a gate would
    Eval(author::EvalArgs),
    /// Says what two policies make of recorded asks, and who would have been paged; decides nothing
    Diff(diff::DiffArgs),
    /// Has a bundle evaluated beside the one in force, and says what it would have changed; decides nothing
    #[command(subcommand)]
    Candidate(candidate::CandidateCommand),
    /// Prints the version of a bundle, which is also the revision to sign it with
    Version(author::VersionArgs),
    /// Publishes a bundle, and with a scope puts it in force there
    Publish(store::PublishArgs),
    /// Lists published bundles, newest first, and where each is in force
    Ls(store::LsArgs),
    /// Shows what a published bundle holds, or writes it to a folder
    Show(store::ShowArgs),
    /// Puts a published bundle in force for a scope, from the next ask of every instance on
    Activate(force::ActivateArgs),
    /// Puts in force again what was in force in a scope before the present bundle
    Rollback(force::RollbackArgs),
    /// Lists who put what in force, where and why, newest first
    History(force::HistoryArgs),
}

/// Runs a subcommand.
pub fn run(command: &PolicyCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    match command {
        PolicyCommand::Test(args) => author::test(args, out),
        PolicyCommand::Lint(args) => author::lint(args, out),
        PolicyCommand::Eval(args) => author::eval(args, out),
        PolicyCommand::Diff(args) => diff::diff(args, server, out),
        PolicyCommand::Candidate(command) => candidate::candidate(command, server, out),
        PolicyCommand::Version(args) => author::version(args, out),
        PolicyCommand::Publish(args) => store::publish(args, server, out),
        PolicyCommand::Ls(args) => store::ls(args, server, out),
        PolicyCommand::Show(args) => store::show(args, server, out),
        PolicyCommand::Activate(args) => force::activate(args, server, out),
        PolicyCommand::Rollback(args) => force::rollback(args, server, out),
        PolicyCommand::History(args) => force::history(args, server, out),
    }
}

/// Returns how a worker is started: this program again.
pub fn worker() -> Result<WorkerCommand, Failure> {
    WorkerCommand::current_program(policy_worker::NAME)
        .map_err(|error| Failure::new(format!("this program cannot find itself: {error}")))
}

/// Reads a folder, or an archive of `opa build`, as a bundle.
pub fn bundle(path: &Path) -> Result<Bundle, Failure> {
    Bundle::from_path(path).map_err(|error| {
        Failure::new(format!("`{}` is no policy bundle: {error}", path.display())).code("policy_rejected")
    })
}

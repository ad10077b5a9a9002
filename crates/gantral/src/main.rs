//! The one binary: the command line over the libraries, and the wiring of `dev` and `demo`.
//!
//! No rule of Gantral lives here. Subcommands turn arguments into calls of the public API or of a library, and answers
//! into words.

mod bundle_files;
mod captured;
mod cli;
mod commands;
mod connection;
mod credentials;
mod dev_tokens;
mod exit;
mod failure;
mod folders;
mod gates;
mod http_gate;
mod input;
mod interceptor;
mod local_server;
mod logging;
mod logins;
mod machine;
mod off;
mod out;
mod pinned;
mod replay;
mod show;
mod signals;
mod table;
mod when;

use std::process::ExitCode;

use clap::Parser as _;
use clap::error::ErrorKind;
use mimalloc::MiMalloc;

use cli::{Cli, Command};
use exit::Exit;
use failure::Failure;
use out::Out;

/// What a server allocates in one thread it often frees in another, which this allocator is good at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return not_understood(&error),
    };
    let out = Out { json: cli.json };
    if let Command::RunnerChild(args) = &cli.command {
        return commands::runner_child::run(args);
    }
    if let Command::McpChild(args) = &cli.command {
        return commands::mcp::guard(args);
    }
    if let Command::RunChild(args) = &cli.command {
        return commands::run::keep(args);
    }
    match dispatch(&cli, out) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            out.failure(&failure);
            failure.status().into()
        }
    }
}

fn dispatch(cli: &Cli, out: Out) -> Result<Exit, Failure> {
    match &cli.command {
        Command::Demo(args) => commands::demo::run(args, out),
        Command::Dev(args) => commands::dev::run(args, out),
        Command::Serve(args) => commands::serve::run(args, out),
        Command::Login(args) => commands::login::login(args, out),
        Command::Logout(args) => commands::login::logout(args, out),
        Command::Whoami(args) => commands::whoami::run(args, out),
        Command::Runner(args) => commands::runner::run(args, out),
        Command::Workflows(group) => commands::workflows::run(&group.command, &group.server, out),
        Command::Instances(group) => commands::instances::run(&group.command, &group.server, out),
        Command::Ask(args) => commands::script::ask(args, out),
        Command::Consume(args) => commands::script::consume(args, out),
        Command::Outcome(args) => commands::script::outcome(args, out),
        Command::Secret(command) => commands::secret::run(command, out),
        Command::Run(args) => commands::run::run(args, out),
        Command::Hook(args) => commands::hook::run(args, out),
        Command::Mcp(args) => commands::mcp::run(args, out),
        Command::Authz(args) => commands::authz::run(args, out),
        Command::Govern(args) => commands::govern::run(args, out),
        Command::Proxy(args) => commands::proxy::run(args, out),
        Command::Approvals(group) => commands::approvals::run(&group.command, &group.server, out),
        Command::Policy(group) => commands::policy::run(&group.command, &group.server, out),
        Command::Proposals(group) => commands::proposals::run(&group.command, &group.server, out),
        Command::Enforce(group) => commands::enforce::run(&group.command, &group.server, out),
        Command::Shadow(group) => commands::shadow::run(&group.command, &group.server, out),
        Command::Delegations(group) => commands::delegations::run(&group.command, &group.server, out),
        Command::Passkeys(group) => commands::passkeys::run(&group.command, &group.server, out),
        Command::Directory(command) => commands::directory::run(command, out),
        Command::Freeze(args) => commands::freeze::freeze(args, out),
        Command::Unfreeze(args) => commands::freeze::unfreeze(args, out),
        Command::Governance(group) => commands::governance::run(&group.command, &group.server, out),
        Command::Issuers(group) => commands::issuers::run(&group.command, &group.server, out),
        Command::Notifications(group) => commands::notifications::run(&group.command, &group.server, out),
        Command::Evidence(group) => commands::evidence::run(&group.command, &group.server, out),
        Command::Keys(args) => commands::keys::run(args, out),
        Command::Store(command) => commands::store::run(command, out),
        Command::Verify(args) => commands::verify::run(args, out),
        Command::Log(command) => commands::log::run(command, out),
        Command::Archive(command) => commands::archive::run(command, out),
        Command::Witness(command) => commands::witness::run(command, out),
        Command::Doctor(args) => commands::doctor::run(args, out),
        Command::Completions(args) => commands::completions::run(args, out),
        Command::PolicyWorker => commands::policy_worker::run(),
        // Taken care of before: they end with the status of their own protocol.
        Command::RunnerChild(_) | Command::McpChild(_) | Command::RunChild(_) => Ok(Exit::USAGE),
        Command::DemoAgent(args) => commands::demo_agent::run(args, out),
    }
}

/// Prints help or what is wrong. Wrong usage of `verify` must not look like a verdict.
fn not_understood(error: &clap::Error) -> ExitCode {
    // Nothing more can be said when the terminal is gone.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::DONE.into(),
        _ if std::env::args().skip(1).any(|word| word == "verify") => Exit::NOT_VERIFIED.into(),
        _ => Exit::USAGE.into(),
    }
}

//! What can be typed: the subcommands and the options that all of them share.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use gantral_api::client::CertificateFiles;

use crate::commands;
use crate::machine::MachineArgs;

/// The command line.
#[derive(Debug, Parser)]
#[command(
    name = "gantral",
    version,
    about = "Sudo for AI: an agent asks before it acts, a human decides, a fresh process acts, a stranger verifies.",
    after_help = AFTER_HELP,
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Prints data as JSON, errors too
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Exit status: 0 done, 1 failed, 2 wrong usage.
`ask` and `consume` add 3, waits for a human, and 4, denied; what changes the rules adds 3, waits for a second person.
`verify` has its own: 0 VALID, 1 INVALID, 2 INCONCLUSIVE, 3 nothing was verified; `log monitor` 0 clean, 1 found, 3 not read.

Standard output is data, standard error is talk. Start with `gantral demo`.";

/// Options of every subcommand that talks to a server.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which server, and as whom")]
pub struct Server {
    /// The server; when absent that of a running `gantral dev` in this folder, or of the last `gantral login`
    #[arg(long, global = true, env = "GANTRAL_URL", hide_env_values = true)]
    pub url: Option<String>,
    /// The file with the bearer token, in place of a login; read anew for every request
    #[arg(long, global = true, env = "GANTRAL_TOKEN_FILE", value_name = "FILE", hide_env_values = true)]
    pub token_file: Option<PathBuf>,
    /// The certificate authorities to trust instead of the system's, PEM
    #[arg(long, global = true, env = "GANTRAL_CA_FILE", value_name = "FILE", hide_env_values = true)]
    pub ca_file: Option<PathBuf>,
    /// The certificate that is shown to the server.
    #[command(flatten)]
    pub certificate: CertificateArgs,
    /// Acts as one of the people or clients of `gantral dev`
    #[arg(long = "as", global = true, value_name = "NAME")]
    pub acting: Option<String>,
    /// A machine's own credentials.
    #[command(flatten)]
    pub machine: MachineArgs,
}

/// The certificate for a server that asks for one. It is not in the help of each command: few servers do.
#[derive(Debug, Default, Clone, Args)]
pub struct CertificateArgs {
    /// The certificate to show to the server, and those between it and its authority, PEM
    #[arg(long, global = true, hide = true, env = "GANTRAL_CERTIFICATE_FILE", value_name = "FILE")]
    certificate_file: Option<PathBuf>,
    /// Its private key, PEM; in the same file when absent
    #[arg(
        long,
        global = true,
        hide = true,
        env = "GANTRAL_CERTIFICATE_KEY_FILE",
        value_name = "FILE",
        requires = "certificate_file"
    )]
    certificate_key_file: Option<PathBuf>,
}

impl CertificateArgs {
    /// Returns the files that were named, if any were.
    pub fn files(&self) -> Option<CertificateFiles> {
        let chain = self.certificate_file.clone()?;
        Some(CertificateFiles { chain, key: self.certificate_key_file.clone() })
    }
}

/// A group of subcommands that talk to a server.
#[derive(Debug, Args)]
pub struct Online<C: Subcommand> {
    /// Which server, and as whom.
    #[command(flatten)]
    pub server: Server,
    /// What to do.
    #[command(subcommand)]
    pub command: C,
}

/// Every subcommand, in the order in which people meet them.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Plays the whole story in half a minute: ask, exit, decide, act, verify
    Demo(commands::demo::DemoArgs),
    /// Runs a server for one developer, with identities of its own, on this machine only
    Dev(commands::dev::DevArgs),
    /// Runs a server from a configuration file
    Serve(commands::serve::ServeArgs),
    /// Logs in at the identity provider of a server, with a browser
    Login(commands::login::LoginArgs),
    /// Forgets a login
    Logout(commands::login::LogoutArgs),
    /// Shows as whom the server sees you, and until when
    Whoami(commands::whoami::WhoamiArgs),
    /// Claims work from a queue, verifies it, and launches a fresh process for each attempt
    Runner(commands::runner::RunnerArgs),
    /// Registers and lists workflows
    Workflows(Online<commands::workflows::WorkflowsCommand>),
    /// Creates, shows and ends governed executions
    Instances(Online<commands::instances::InstancesCommand>),
    /// Asks for authority; for scripts that a runner launched
    Ask(commands::script::AskArgs),
    /// Uses the grant up, before the action starts; for scripts that a runner launched
    Consume(commands::script::ConsumeArgs),
    /// Reports what came of the action; for scripts that a runner launched
    Outcome(commands::script::OutcomeArgs),
    /// Gives a secret of the runner, once the grant is used up; for scripts that a runner launched
    #[command(subcommand)]
    Secret(commands::secret::SecretCommand),
    /// Runs a command once it may: sudo for agents
    Run(commands::run::RunArgs),
    /// Answers a coding agent that asks before it uses a tool
    Hook(commands::hook::HookArgs),
    /// Stands between an MCP client and a server of tools, and has each call of a tool governed
    Mcp(commands::mcp::McpArgs),
    /// Puts the interceptor before the servers in an MCP client's configuration, and takes it out again
    Govern(commands::govern::GovernArgs),
    /// Stands before a service over HTTP, and has each governed request asked for before it is sent
    Proxy(commands::proxy::ProxyArgs),
    /// Answers proxies that ask before they send a request on, such as Envoy
    Authz(commands::authz::AuthzArgs),
    /// Shows what waits for humans, and decides
    Approvals(Online<commands::approvals::ApprovalsCommand>),
    /// Lets another person decide under roles of yours, for a while
    Delegations(Online<commands::delegations::DelegationsCommand>),
    /// Shows the authenticators of approvers, brings what the directory signed, and ends them
    Passkeys(Online<commands::passkeys::PasskeysCommand>),
    /// Says whose an authenticator is, for the security team: talks to no server
    #[command(subcommand)]
    Directory(commands::directory::DirectoryCommand),
    /// Tests policies and asks them without a server, publishes them, and puts them in force
    Policy(Online<commands::policy::PolicyCommand>),
    /// Shows what one person proposed to change, and puts it in force as another
    Proposals(Online<commands::proposals::ProposalsCommand>),
    /// Says where what policy says is enforced, and where it is only observed
    Enforce(Online<commands::enforce::EnforceCommand>),
    /// Counts what would have happened where policy is only observed
    Shadow(Online<commands::shadow::ShadowCommand>),
    /// Makes, replaces and revokes the signing keys of a server
    Keys(commands::keys::KeysArgs),
    /// Moves the ledger of one machine into a PostgreSQL database
    #[command(subcommand)]
    Store(commands::store::StoreCommand),
    /// Stops a workflow, a team or the tenant at once: nothing of it is assigned, resumed or consumed
    Freeze(commands::freeze::FreezeArgs),
    /// Lets what was frozen go on
    Unfreeze(commands::freeze::UnfreezeArgs),
    /// Shows who changed the rules; erases
    Governance(Online<commands::governance::GovernanceCommand>),
    /// Shows messages that no channel took, and lets them be tried again
    Notifications(Online<commands::notifications::NotificationsCommand>),
    /// Shows the identity providers whose keys are fetched, and fetches them now
    Issuers(Online<commands::issuers::IssuersCommand>),
    /// Exports evidence
    Evidence(Online<commands::evidence::EvidenceCommand>),
    /// Verifies a bundle against a pinned trust file: no network, no server
    Verify(commands::verify::VerifyArgs),
    /// Reads a transparency log, for whoever does not take its word
    #[command(subcommand)]
    Log(commands::log::LogCommand),
    /// Reads a write-once archive: no server, no database
    #[command(subcommand)]
    Archive(commands::archive::ArchiveCommand),
    /// Watches the logs of others, and cosigns what only grows
    #[command(subcommand)]
    Witness(commands::witness::WitnessCommand),
    /// Looks for what is wrong with this machine, the server and the token
    Doctor(commands::doctor::DoctorArgs),
    /// Prints the completions of a shell
    Completions(commands::completions::CompletionsArgs),
    /// Evaluates policies for a server, on the socket that is its standard input
    #[command(hide = true)]
    PolicyWorker,
    /// Becomes the process of an attempt
    #[command(hide = true)]
    RunnerChild(commands::runner_child::RunnerChildArgs),
    /// Stands between `mcp` and the process of its server
    #[command(hide = true)]
    McpChild(commands::mcp::McpChildArgs),
    /// Keeps the terminal of a command for `run`
    #[command(hide = true)]
    RunChild(commands::run::RunChildArgs),
    /// The agent of the demo
    #[command(hide = true)]
    DemoAgent(commands::demo_agent::DemoAgentArgs),
}

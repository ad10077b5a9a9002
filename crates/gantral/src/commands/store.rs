//! `gantral store`: the ledger itself, beside any server.

mod backup;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use gantral_server::copying::{
    ConnectError, Copied, CopyError, CopyLedgerError, CopyStep, LedgerCopy, OpenError,
};
use serde::Serialize;

use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, counted, styled};

/// How often it is said how far a copy is.
const TOLD_EVERY: Duration = Duration::from_secs(3);
/// What a data folder holds beside the ledger, and no database does.
const STAYS: [&str; 5] = ["keys.json", "issuer.pk8", "log.pk8", "delegations", "attempts.pem"];

/// Subcommands of `store`.
#[derive(Debug, Subcommand)]
pub enum StoreCommand {
    /// Copies a ledger into a PostgreSQL database, and proves every chain and every log there before the database has it
    Copy(CopyArgs),
    /// Makes a backup of a data folder, also while its server runs: ledger and logs as they were at one moment
    Backup(backup::BackupArgs),
    /// Reads a backup, or the data folder of a server that is stopped, through: every file, every chain, every log
    Check(backup::CheckArgs),
}

/// Arguments of `store copy`.
#[derive(Debug, Args)]
pub struct CopyArgs {
    /// The data folder of a server that is stopped, or the ledger in it; only read
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// A database without a ledger: `postgres://user@host:port/database`
    #[arg(long, value_name = "URL")]
    to: String,
    /// Where the password of that user is: `env:NAME` or `file:/path`
    #[arg(long, value_name = "REFERENCE")]
    password: Option<String>,
}

/// Runs a subcommand.
pub fn run(command: &StoreCommand, out: Out) -> Result<Exit, Failure> {
    match command {
        StoreCommand::Copy(args) => copy(args, out),
        StoreCommand::Backup(args) => backup::back_up(args, out),
        StoreCommand::Check(args) => backup::check(args, out),
    }
}

fn copy(args: &CopyArgs, out: Out) -> Result<Exit, Failure> {
    let job = LedgerCopy { from: &args.from, to: &args.to, password: args.password.as_deref() };
    let mut progress = Progress { out, told: None };
    let copied = run_long(async { job.run(&mut |step| progress.tell(step)).await.map_err(failed) })?;
    let (folder, _) = job.places();
    let stays: Vec<_> = STAYS.into_iter().filter(|name| folder.join(name).exists()).collect();
    out.show(&Said::of(&copied, &stays), |said| said.text())?;
    out.hint(format_args!(
        "copy {} from `{}` to the data folder of every server: they sign and prove with the same keys",
        stays.join(", "),
        folder.display()
    ));
    out.hint("then give the servers the url, and start none on the old folder: two ledgers would grow apart");
    Ok(Exit::DONE)
}

/// What was copied, for programs.
#[derive(Debug, Serialize)]
struct Said<'a> {
    server: &'a str,
    rows: u64,
    tables: Vec<SaidTable<'a>>,
    chains: u64,
    logs: u64,
    leaves: u64,
    not_copied: &'a [&'a str],
}

#[derive(Debug, Serialize)]
struct SaidTable<'a> {
    table: &'a str,
    rows: u64,
    digest: String,
}

impl<'a> Said<'a> {
    fn of(copied: &'a Copied, stays: &'a [&'a str]) -> Self {
        let table = |table: &'a gantral_server::copying::CopiedTable| SaidTable {
            table: &table.table,
            rows: table.rows,
            digest: table.digest.to_string(),
        };
        Self {
            server: &copied.server,
            rows: copied.tables.iter().map(|table| table.rows).sum(),
            tables: copied.tables.iter().map(table).collect(),
            chains: copied.chains,
            logs: copied.logs.0,
            leaves: copied.logs.1,
            not_copied: stays,
        }
    }

    fn text(&self) -> String {
        format!(
            "{} {} rows of {} tables into {}, each read back and compared\n{} {}\n{} {}",
            styled(GOOD, "copied"),
            self.rows,
            self.tables.len(),
            self.server,
            styled(GOOD, "proved"),
            proved(self.chains, (self.logs, self.leaves)),
            styled(LOOK, "not copied:"),
            self.not_copied.join(", "),
        )
    }
}

/// Says what was read through: chains, and logs with their leaves.
fn proved(chains: u64, (logs, leaves): (u64, u64)) -> String {
    let chains = counted(chains, "chain", "chains");
    format!("{chains} folded, {} grown again", grown((logs, leaves)))
}

/// Says how many logs there are, and how many leaves they have together.
fn grown((logs, leaves): (u64, u64)) -> String {
    format!("{} with {}", counted(logs, "log", "logs"), counted(leaves, "leaf", "leaves"))
}

/// Says how far a copy is, now and then.
struct Progress {
    out: Out,
    told: Option<Instant>,
}

impl Progress {
    fn tell(&mut self, step: CopyStep<'_>) {
        let is_first = matches!(step, CopyStep::Checking | CopyStep::Updating);
        if !is_first && self.told.is_some_and(|told| told.elapsed() < TOLD_EVERY) {
            return;
        }
        self.told = Some(Instant::now());
        self.out.talk(match step {
            CopyStep::Checking => "reading the ledger through".to_owned(),
            CopyStep::Updating => {
                "the ledger is of an older release: bringing a copy of it up to date".to_owned()
            }
            CopyStep::Writing { table, rows } => format!("writing {table}: {rows} rows"),
            CopyStep::Comparing { table } => format!("comparing {table}"),
            CopyStep::Chains(chains) => format!("proving: {chains} chains"),
            CopyStep::Leaves(leaves) => format!("proving: {leaves} leaves of logs"),
        });
    }
}

/// Says what went wrong, and what to do about it.
fn failed(error: CopyLedgerError) -> Failure {
    let failure = Failure::new(error.to_string());
    let error = match error {
        CopyLedgerError::Copy(error) => error,
        CopyLedgerError::PasswordInAddress => return failure.hint("--password env:NAME, or file:/path"),
        CopyLedgerError::Keys(_) | CopyLedgerError::Password(_) => return failure,
    };
    match error {
        CopyError::Source(OpenError::InUse { .. }) => {
            failure.hint("stop the server first: what it writes meanwhile would be missing")
        }
        CopyError::NoSource { .. } => failure.hint("name the data folder of the server: --from DIR"),
        CopyError::Target(ConnectError::Occupied { .. }) => {
            failure.hint("name another database, or make a new one: createdb NAME")
        }
        CopyError::Damaged { .. } => {
            failure.hint("the database is as it was; restore the folder from a backup, and copy that")
        }
        CopyError::Unfit { .. } => failure.hint("the database is as it was; this is a defect: report it"),
        CopyError::Failed { reason } | CopyError::Unknown { reason } => {
            failure.hint(format!("it said: {reason}"))
        }
        CopyError::Source(_) | CopyError::Target(_) => failure,
    }
}

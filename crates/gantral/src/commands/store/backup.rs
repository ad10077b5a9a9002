//! `gantral store backup` and `gantral store check`.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Args;
use gantral_server::backup::{
    Backup, BackupError, CheckError, Checked, LedgerError, Made, ManifestError, check as checked,
};
use gantral_server::copying::{CopyError, OpenError};
use gantral_server::settings::Settings;

use super::{Progress, TOLD_EVERY, grown, proved};
use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, counted, styled};

/// How large a page of the ledger is, for what is said about it; SQLite's default.
const PAGE_KIB: u64 = 4;

/// Arguments of `store backup`.
#[derive(Debug, Args)]
pub struct BackupArgs {
    /// The data folder; its server may run
    #[arg(long, value_name = "DIR", required_unless_present = "config")]
    data: Option<PathBuf>,
    /// The configuration of the server, which names the data folder
    #[arg(long, value_name = "FILE", env = "GANTRAL_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// A folder that is empty, or not there
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Copies the private keys too: whoever has the backup can then sign as this deployment
    #[arg(long)]
    private_keys: bool,
}

/// Arguments of `store check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// A backup, or the data folder of a server that is stopped
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Makes a backup.
pub fn back_up(args: &BackupArgs, out: Out) -> Result<Exit, Failure> {
    let data = data(args)?;
    let job = Backup { data: &data, to: &args.to, private_keys: args.private_keys };
    let mut told = Instant::now();
    let made = job.run(&mut |pages, left| {
        if told.elapsed() >= TOLD_EVERY {
            told = Instant::now();
            let mib = |pages: u64| pages.saturating_mul(PAGE_KIB) >> 10;
            out.talk(format!(
                "copying the ledger: {} of {} MiB",
                mib(pages.saturating_sub(left)),
                mib(pages)
            ));
        }
    });
    let made = made.map_err(|error| not_made(&error))?;
    let json = serde_json::json!({
        "folder": args.to, "artifacts": made.artifacts, "logs": made.logs.0, "leaves": made.logs.1,
        "files": made.files.0, "bytes": made.files.1, "private_keys": args.private_keys,
    });
    out.show(&json, |_| text(&made, args))?;
    out.hint(format_args!("gantral store check {}", args.to.display()));
    Ok(Exit::DONE)
}

/// Returns the data folder. What is in a database has a backup of its own.
fn data(args: &BackupArgs) -> Result<PathBuf, Failure> {
    if let Some(data) = &args.data {
        return Ok(data.clone());
    }
    let config = args.config.as_deref().unwrap_or(Path::new("gantral.toml"));
    let settings = Settings::read(config, std::env::vars_os());
    let settings = settings.map_err(|error| Failure::new(error.to_string()))?;
    match settings.store {
        None => Ok(settings.data),
        Some(_) => Err(Failure::new("the ledger of this configuration is in a PostgreSQL database")
            .code("backup_of_database")
            .hint("pg_dump --format=custom --schema=gantral has the ledger and its logs; keys stay in the data folder")),
    }
}

fn text(made: &Made, args: &BackupArgs) -> String {
    let keys = if args.private_keys {
        format!("{} whoever has it can sign as this deployment", styled(LOOK, "private keys are in it:"))
    } else {
        format!("{} the private keys", styled(LOOK, "not in it:"))
    };
    format!(
        "{} {}, {}; {}, {} MiB\n{keys}",
        styled(GOOD, "backed up"),
        counted(made.artifacts, "artifact", "artifacts"),
        grown(made.logs),
        counted(made.files.0, "file", "files"),
        made.files.1 >> 20,
    )
}

fn not_made(error: &BackupError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        BackupError::NotEmpty(_) => {
            failure.code("backup_not_empty").hint("name a folder that is empty, or not there")
        }
        BackupError::NoLedger(_) => {
            failure.code("backup_no_ledger").hint("name the data folder of the server: --data DIR")
        }
        BackupError::Log { .. } => failure
            .code("backup_log_damaged")
            .hint("the log stands still until its files are mended; see the server's log"),
        BackupError::Ledger(LedgerError::Source(_) | LedgerError::Read { .. })
        | BackupError::Keys(_)
        | BackupError::Origin(_) => failure,
        BackupError::Ledger(LedgerError::Write { .. } | LedgerError::Copy { .. })
        | BackupError::Folder { .. } => failure
            .code("backup_not_written")
            .hint("what stands in the folder is no backup: remove it, and begin again"),
    }
}

/// Reads a folder through.
pub fn check(args: &CheckArgs, out: Out) -> Result<Exit, Failure> {
    let mut progress = Progress { out, told: None };
    let found = run_long(async {
        let found = checked(&args.folder, &mut |step| progress.tell(step)).await;
        found.map_err(|error| not_whole(&error))
    })?;
    let Checked { backup, ledger } = &found;
    let json = serde_json::json!({
        "made_at": backup.as_ref().map(|(at, _)| at), "files": backup.as_ref().map(|(_, files)| files),
        "artifacts": ledger.artifacts, "chains": ledger.chains, "logs": ledger.logs.0, "leaves": ledger.logs.1,
    });
    out.show(&json, |_| {
        let files = match backup {
            Some((at, files)) => format!("{files} files are what was backed up at {at}\n"),
            None => String::new(),
        };
        format!(
            "{} {files}{} in {}",
            styled(GOOD, "whole:"),
            counted(ledger.artifacts, "artifact", "artifacts"),
            proved(ledger.chains, ledger.logs),
        )
    })?;
    Ok(Exit::DONE)
}

fn not_whole(error: &CheckError) -> Failure {
    let failure = Failure::new(error.to_string());
    match error {
        CheckError::Manifest(ManifestError::Unfinished) => {
            failure.code("backup_unfinished").hint("remove it, and make another")
        }
        CheckError::Manifest(ManifestError::List(_) | ManifestError::File { .. }) => failure
            .code("backup_damaged")
            .hint("it is damaged, or a server has gone on upon it: restore from a copy that nobody has used"),
        CheckError::Ledger(CopyError::Damaged { .. }) => failure
            .code("ledger_damaged")
            .hint("restore another backup, or make the ledger again: gantral archive rebuild"),
        CheckError::Ledger(CopyError::Source(OpenError::InUse { .. })) => {
            failure.hint("stop the server that runs on it, or look at a backup of it")
        }
        CheckError::NoLedger(_) => failure.code("backup_no_ledger"),
        CheckError::Manifest(ManifestError::Read { .. }) | CheckError::Keys(_) | CheckError::Ledger(_) => {
            failure
        }
    }
}

//! `gantral archive`: what a write-once archive holds, without a server and without its database.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use gantral_archive::rebuild::{FolderError, NOT_REBUILT, RebuildError, Rebuilt, rebuild_folder};
use gantral_archive::verify::{ArchiveReport, verify_archive};
use gantral_archive::{Archive, ArchiveConfig};
use gantral_core::ids::TenantId;
use gantral_core::json::text::inert;
use gantral_evidence::verify::Verdict;
use gantral_verify::read_trust;

use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{BAD, GOOD, LOOK, Out, styled};

/// Subcommands of `archive`.
#[derive(Debug, Subcommand)]
pub enum ArchiveCommand {
    /// Verifies everything that an archive holds, and names what is missing or was changed
    Verify(VerifyArgs),
    /// Makes the ledger and the logs of a data folder again, from an archive alone
    Rebuild(RebuildArgs),
}

/// Where an archive is.
#[derive(Debug, Args)]
pub struct Place {
    /// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or `file:///folder`
    #[arg(long, value_name = "URL")]
    url: String,
    /// The address of a server that is not the usual one of S3, Google or Azure
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Of S3: the region
    #[arg(long, value_name = "NAME")]
    region: Option<String>,
    /// Of S3: the key; of Azure: the storage account; else that of the environment, as their own tools find it
    #[arg(long, value_name = "ID", requires = "secret_access_key_file")]
    access_key_id: Option<String>,
    /// A file with the secret key, which only you may read
    #[arg(long, value_name = "FILE", requires = "access_key_id")]
    secret_access_key_file: Option<PathBuf>,
    /// The authorities to trust, PEM; else those of the system
    #[arg(long, value_name = "FILE")]
    ca_file: Option<PathBuf>,
}

/// Arguments of `archive verify`.
#[derive(Debug, Args)]
#[command(after_help = "Exit status: 0 VALID, 1 INVALID, 2 INCONCLUSIVE, 3 nothing was verified.")]
pub struct VerifyArgs {
    #[command(flatten)]
    place: Place,
    /// The trust file that you pinned: which keys and logs you believe, and what you require
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// Only this tenant; may be repeated
    #[arg(long, value_name = "NAME")]
    tenant: Vec<String>,
}

/// Arguments of `archive rebuild`.
#[derive(Debug, Args)]
pub struct RebuildArgs {
    #[command(flatten)]
    place: Place,
    /// The trust file that you pinned: nothing is made of an archive that it does not call valid
    #[arg(long, value_name = "FILE")]
    trust: PathBuf,
    /// The data folder: with its keys or to be given them, and without a ledger and logs
    #[arg(long, value_name = "DIR")]
    into: PathBuf,
}

/// Runs a subcommand.
pub fn run(command: &ArchiveCommand, out: Out) -> Result<Exit, Failure> {
    match command {
        ArchiveCommand::Verify(args) => {
            run_long(verify(args, out)).map_err(|failure| failure.exit(Exit::NOT_VERIFIED))
        }
        ArchiveCommand::Rebuild(args) => run_long(rebuild(args, out)),
    }
}

async fn verify(args: &VerifyArgs, out: Out) -> Result<Exit, Failure> {
    let trust = read_trust(&args.trust).map_err(|error| Failure::new(error.to_string()))?;
    let archive = open(&args.place)?;
    let tenants = args.tenant.iter().map(|name| {
        TenantId::parse(name).map_err(|error| Failure::new(format!("`{}`: {error}", inert(name))))
    });
    let tenants = tenants.collect::<Result<Vec<_>, _>>()?;
    let report = verify_archive(&archive, &tenants, &trust)
        .await
        .map_err(|error| Failure::new(inert(&error.to_string()).to_string()))?;
    let json = serde_json::json!({ "verdict": report.verdict.as_str(), "tenants": report.tenants });
    out.show(&json, |_| text(&report))?;
    Ok(Exit(report.verdict.exit_code()))
}

async fn rebuild(args: &RebuildArgs, out: Out) -> Result<Exit, Failure> {
    let trust = read_trust(&args.trust).map_err(|error| Failure::new(error.to_string()))?;
    let archive = open(&args.place)?;
    let rebuilt = rebuild_folder(&archive, &trust, &args.into).await.map_err(|error| {
        let failure = Failure::new(inert(&error.to_string()));
        match error {
            FolderError::Rebuild(RebuildError::NotValid(_)) => {
                failure.hint("`gantral archive verify` says why")
            }
            _ => failure,
        }
    })?;
    let json = serde_json::json!({ "rebuilt": rebuilt, "not_rebuilt": NOT_REBUILT });
    out.show(&json, |_| made(&rebuilt))?;
    Ok(Exit::DONE)
}

fn made(rebuilt: &Rebuilt) -> String {
    let Rebuilt { tenants, artifacts, instances, unfinished, waiting } = rebuilt;
    let mut text = format!(
        "{} {tenants} tenants, {artifacts} artifacts, {instances} executions; {unfinished} have not ended, and {waiting} of them wait for humans\nnot in any archive, and gone:",
        styled(GOOD, "rebuilt")
    );
    for gone in NOT_REBUILT {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {gone}");
    }
    text
}

fn open(place: &Place) -> Result<Archive, Failure> {
    let config = ArchiveConfig {
        url: place.url.clone(),
        endpoint: place.endpoint.clone(),
        region: place.region.clone(),
        access_key_id: place.access_key_id.clone(),
        secret_access_key_file: place.secret_access_key_file.clone(),
        ca_file: place.ca_file.clone(),
        retain_days: None,
    };
    Archive::open_to_read(&config).map_err(|error| Failure::new(inert(&error.to_string()).to_string()))
}

fn text(report: &ArchiveReport) -> String {
    let style = match report.verdict {
        Verdict::Valid => GOOD,
        Verdict::Invalid => BAD,
        Verdict::Inconclusive => LOOK,
    };
    let mut text = styled(style, report.verdict.as_str());
    for tenant in &report.tenants {
        // Writing to a string does not fail.
        let _ = write!(
            text,
            "\n{}: {} artifacts in {} segments",
            inert(&tenant.tenant),
            tenant.artifacts,
            tenant.segments
        );
        for (verdict, count) in &tenant.chains {
            let _ = write!(text, ", {count} executions {verdict}");
        }
        for finding in &tenant.findings {
            let weight = if finding.invalid { styled(BAD, "wrong") } else { styled(LOOK, "look at") };
            let _ = write!(text, "\n  {weight} {}: {}", inert(&finding.object), inert(&finding.what));
        }
    }
    if report.tenants.is_empty() {
        text.push_str("\nnothing is archived there");
    }
    text
}

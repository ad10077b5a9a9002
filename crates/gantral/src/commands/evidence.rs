//! `gantral evidence`: the bundle that a stranger verifies.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use gantral_api::wire::text;

use crate::bundle_files::unpack;
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, styled};

/// Who exports in development.
const USUAL: &str = "bob";

/// Subcommands of `evidence`.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Exports the bundle of an instance
    Export(ExportArgs),
}

/// How a bundle lies on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One file, a deterministic tar
    File,
    /// A directory with the same files
    Dir,
}

/// Arguments of `evidence export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// The instance
    instance: text::InstanceId,
    /// Where to write it; must not exist
    #[arg(long, short, value_name = "PATH")]
    output: PathBuf,
    /// One file, or a directory
    #[arg(long, value_enum, default_value_t = Format::File)]
    format: Format,
    /// Also writes a trust file to start from; compare its keys over another channel before you rely on it
    #[arg(long, value_name = "FILE")]
    trust_out: Option<PathBuf>,
}

/// Runs a subcommand.
pub fn run(command: &EvidenceCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let EvidenceCommand::Export(args) = command;
    let client = server.client(out, USUAL)?;
    let tar = converse(async { Ok(client.evidence(args.instance).await?) })?;
    match args.format {
        Format::File => write_new(&args.output, &tar)?,
        Format::Dir => unpack(&tar, &args.output)?,
    }
    let written = serde_json::json!({
        "instance_id": args.instance.to_string(),
        "bundle": args.output,
        "trust": args.trust_out,
        "bytes": tar.len(),
    });
    let shown = args.output.display();
    if let Some(path) = &args.trust_out {
        let keys = converse(async { Ok(client.keys().await?) })?;
        write_new(path, keys.trust_hint.as_str().as_bytes())?;
        out.talk(format_args!(
            "{} `{}` comes from the server that it is to judge. It proves nothing until you have compared these key ids \
             over another channel:",
            styled(LOOK, "note:"),
            path.display()
        ));
        for key in &keys.keys {
            out.talk(format_args!("  {}", key.key_id));
        }
    }
    out.show(&written, |_| format!("{} {shown} ({} bytes)", styled(GOOD, "exported"), tar.len()))?;
    let trust =
        args.trust_out.as_ref().map_or_else(|| "TRUST-FILE".to_owned(), |path| path.display().to_string());
    out.hint(format_args!("gantral verify {shown} --trust {trust}"));
    Ok(Exit::DONE)
}

/// Writes a file that must not exist: evidence is never overwritten by accident.
pub fn write_new(path: &std::path::Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| Failure::file("write", path, &error))
}

//! `gantral evidence`: the bundle that a stranger verifies.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand, ValueEnum};
use gantral_api::wire::{AskWindow, text};
use gantral_evidence::container::KEYS_DIRECTORY;
use gantral_evidence::delegation::delegation_path;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::keys::KeyId;
use gantral_evidence::window::{InstanceList, LIST_PATH, STATEMENT_PATH};

use crate::bundle_files::unpack;
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, styled};

/// Who exports in development.
const USUAL: &str = "bob";
/// Who says in development what there was.
const USUAL_ADMINISTRATOR: &str = "dave";

/// Subcommands of `evidence`.
#[derive(Debug, Subcommand)]
pub enum EvidenceCommand {
    /// Exports the bundle of an instance
    Export(ExportArgs),
    /// Exports all executions of a span of time, with the issuer's signed word that these are all
    Window(WindowArgs),
}

/// Arguments of `evidence window`.
#[derive(Debug, Args)]
pub struct WindowArgs {
    /// Created from this instant on, as `2026-01-31T00:00:00.000Z`
    #[arg(long)]
    from: text::Time,
    /// Created before this instant, which must have passed
    #[arg(long)]
    to: text::Time,
    /// Only those in this state
    #[arg(long)]
    state: Option<text::State>,
    /// Only those of this team
    #[arg(long)]
    team: Option<text::TeamId>,
    /// Only those of this workflow
    #[arg(long)]
    workflow: Option<text::WorkflowId>,
    /// The directory to write; must not exist
    #[arg(long, short, value_name = "DIR")]
    output: PathBuf,
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
    match command {
        EvidenceCommand::Export(args) => export(args, server, out),
        EvidenceCommand::Window(args) => window(args, server, out),
    }
}

/// Asks what was in a window, and fetches the bundle of each.
fn window(args: &WindowArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL_ADMINISTRATOR)?;
    let body = AskWindow {
        from: args.from,
        to: args.to,
        state: args.state,
        team: args.team.clone(),
        workflow: args.workflow.clone(),
    };
    let said = converse(async { Ok(client.window(&body).await?) })?;
    let list = said.instances.as_str().as_bytes();
    let instances = InstanceList::parse(list)
        .map_err(|error| Failure::new(format!("the server's list cannot be used: {error}")))?
        .instances;
    std::fs::create_dir(&args.output).map_err(|error| {
        Failure::file("make", &args.output, &error).hint("a window is written into a directory of its own")
    })?;
    let of = instances.len();
    for (done, head) in instances.into_iter().enumerate() {
        let tar = converse(async { Ok(client.evidence(head.instance.into()).await?) })?;
        write_new(&args.output.join(format!("{}.gantral", head.instance)), &tar)?;
        if (done + 1) % 100 == 0 {
            out.talk(format_args!("{} of {of} bundles", done + 1));
        }
    }
    if let Some(delegation) = &said.delegation {
        write_delegation(&args.output, said.statement.as_str().as_bytes(), delegation.as_str().as_bytes())?;
    }
    // The statement last: a directory without it is no window, and shows that something was cut short.
    write_new(&args.output.join(LIST_PATH), list)?;
    write_new(&args.output.join(STATEMENT_PATH), said.statement.as_str().as_bytes())?;
    let shown = args.output.display();
    let written = serde_json::json!({ "window": args.output, "instances": of });
    out.show(&written, |_| format!("{} {shown} ({of} executions)", styled(GOOD, "exported")))?;
    out.hint(format_args!("gantral verify {shown} --trust TRUST-FILE"));
    Ok(Exit::DONE)
}

/// Writes the delegation of the key that signed a statement where a verifier looks for it.
fn write_delegation(window: &Path, statement: &[u8], delegation: &[u8]) -> Result<(), Failure> {
    let unusable = || Failure::new("the server's statement cannot be used: it is not signed by one key");
    let envelope = Envelope::parse(statement).map_err(|_| unusable())?;
    let [signature] = envelope.signatures.as_slice() else { return Err(unusable()) };
    let key = KeyId::parse(&signature.key_id).map_err(|_| unusable())?;
    let keys = window.join(KEYS_DIRECTORY);
    std::fs::create_dir(&keys).map_err(|error| Failure::file("make", &keys, &error))?;
    write_new(&window.join(delegation_path(&key)), delegation)
}

fn export(args: &ExportArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
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
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    use std::io::Write as _;
    let file = std::fs::OpenOptions::new().write(true).create_new(true).open(path);
    file.and_then(|mut file| file.write_all(bytes)).map_err(|error| Failure::file("write", path, &error))
}

//! `gantral governance`: what changes the rules for everybody, and who changed it.

use clap::{Args, Subcommand};
use gantral_api::client::{Client, ClientError};
use gantral_api::problem::Code;
use gantral_api::wire::{Erase, GovernanceEvent, Governed, PageQuery, text};
use gantral_core::digest::{CommitmentLabel, Digest};
use gantral_evidence::container::read_tar;
use gantral_evidence::disclosure::Disclosure;

use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, styled};
use crate::table::table;
use gantral_core::json::text::inert;

/// Who governs in development.
const USUAL: &str = "dave";

/// Subcommands of `governance`.
#[derive(Debug, Subcommand)]
pub enum GovernanceCommand {
    /// Lists what was changed, from the oldest: policies, freezes, erasures, keys
    Ls(LsArgs),
    /// Erases content, or who a person is; every chain still verifies
    #[command(subcommand)]
    Erase(EraseCommand),
}

/// Arguments of `governance ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Subcommands of `governance erase`.
#[derive(Debug, Subcommand)]
pub enum EraseCommand {
    /// Erases the content behind one commitment of an instance; the commitment stays
    Snapshot {
        /// The instance
        #[arg(long)]
        instance: text::InstanceId,
        /// The commitment, as artifacts carry it
        #[arg(long)]
        commitment: text::Digest,
    },
    /// Erases the content behind every commitment of an instance that has any left; the commitments stay. Repeating it goes on where it was cut off
    Instance {
        /// The instance
        #[arg(value_name = "ID")]
        instance: text::InstanceId,
    },
    /// Makes a person anonymous for ever: their `person_id` is nobody's from then on
    Person {
        /// The issuer of the person's tokens
        #[arg(long)]
        issuer: String,
        /// The subject in them
        #[arg(long)]
        subject: String,
    },
}

/// Runs a subcommand.
pub fn run(command: &GovernanceCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    match command {
        GovernanceCommand::Ls(args) => {
            let query = PageQuery { cursor: args.cursor.clone(), limit: args.limit };
            let page = converse(async { Ok(client.governance(&query).await?) })?;
            out.show(&page, |page| listed(&page.items))?;
            if let Some(next) = &page.next {
                out.hint(format_args!("gantral governance ls --cursor {next}"));
            }
        }
        GovernanceCommand::Erase(what) => {
            let governed = converse(async {
                Ok(match what {
                    EraseCommand::Snapshot { instance, commitment } => {
                        client
                            .erase(&Erase::Snapshot { instance_id: *instance, commitment: *commitment })
                            .await?
                    }
                    EraseCommand::Instance { instance } => erase_instance(&client, *instance).await?,
                    EraseCommand::Person { issuer, subject } => {
                        client
                            .erase(&Erase::Person { issuer: issuer.clone(), subject: subject.clone() })
                            .await?
                    }
                })
            })?;
            say(&governed, "it is erased here", out)?;
            out.talk(format_args!(
                "{} copies that left this server (bundles, backups) are not reached from here",
                styled(LOOK, "note:")
            ));
        }
    }
    Ok(Exit::DONE)
}

/// Erases whatever a bundle of the instance still discloses, one commitment after the other: each is sealed by itself.
async fn erase_instance(client: &Client, instance: text::InstanceId) -> Result<Governed, Failure> {
    let mut all = Governed { sealed: Vec::new(), proposal: None };
    for commitment in disclosed(&client.evidence(instance).await?)? {
        let body = Erase::Snapshot { instance_id: instance, commitment: commitment.into() };
        match client.erase(&body).await {
            Ok(governed) => all.sealed.extend(governed.sealed),
            // Somebody else, or its time, was faster.
            Err(ClientError::Problem(problem)) if problem.code() == Code::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(all)
}

/// Returns the commitments that a bundle opens. What policy evaluated is what approvers were shown, and goes with it.
fn disclosed(bundle: &[u8]) -> Result<Vec<Digest>, Failure> {
    let unreadable =
        |what: String| Failure::new(format!("the bundle of the instance cannot be read: {what}"));
    let files = read_tar(bundle).map_err(|error| unreadable(error.to_string()))?;
    let mut commitments = Vec::new();
    for (path, bytes) in files.iter().filter(|(path, _)| Disclosure::commitment_of_path(path).is_some()) {
        let disclosure =
            Disclosure::parse(bytes).map_err(|error| unreadable(format!("`{path}`: {error}")))?;
        if disclosure.label != CommitmentLabel::Input {
            commitments.push(disclosure.commitment());
        }
    }
    Ok(commitments)
}

/// Says what was sealed.
pub fn say(governed: &Governed, done: &str, out: Out) -> Result<(), Failure> {
    out.show(governed, |governed| {
        let sealed: Vec<String> =
            governed.sealed.iter().map(|event| format!("{} #{}", event.event, event.sequence)).collect();
        let sealed =
            if sealed.is_empty() { "nothing new: it was so already".to_owned() } else { sealed.join(", ") };
        format!("{}: {sealed}", styled(GOOD, done))
    })
}

fn listed(events: &[GovernanceEvent]) -> String {
    let mut rows = vec![["#", "WHEN", "EVENT", "BY", "HASH"].map(str::to_owned).to_vec()];
    for event in events {
        let shortened = |text: String| text.chars().take(16).collect::<String>();
        rows.push(vec![
            event.sequence.to_string(),
            event.at.to_string(),
            inert(&event.event),
            shortened(event.actor.to_string()),
            shortened(event.hash.to_string()),
        ]);
    }
    table(&rows)
}

//! `gantral directory`: the security team says whose an authenticator is. Nothing here talks to a server, and no server has the key.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use gantral_api::wire::PasskeyRequest;
use gantral_core::digest::{CommitmentLabel, commit};
use gantral_core::json::text::inert;
use gantral_core::json::{Profile, parse};
use gantral_evidence::human::{Assertion, Enrolment, Origin, RelyingParty, RelyingPartyId, SignedEnrolment};
use gantral_evidence::trust::KeyRole;
use gantral_identity::person_bytes;
use gantral_keys::{LocalSigner, Signer as _, SigningContext, read_private, write_private};

use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::read;
use crate::out::{GOOD, Out, styled};

/// Subcommands of `directory`.
#[derive(Debug, Subcommand)]
pub enum DirectoryCommand {
    /// Makes the key of the directory in a new file, and prints its public key. Keep it where no server is
    Init(InitArgs),
    /// Checks what somebody asked for, and shows who asks for what
    Show(RequestArgs),
    /// Checks what somebody asked for, and signs it: prints what `gantral passkeys enrol` takes
    Sign(SignArgs),
}

/// Arguments of `directory init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// The new file, of mode 0600; never written over
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// What somebody asked for, and for whom it must be.
#[derive(Debug, Args)]
pub struct RequestArgs {
    /// What `gantral passkeys get` printed; `-` is standard input
    #[arg(value_name = "FILE")]
    request: PathBuf,
    /// For whom authenticators sign: the name of a host
    #[arg(long, value_name = "ID", value_parser = RelyingPartyId::parse)]
    relying_party: RelyingPartyId,
    /// A page on which they may be asked, such as `https://gantral.example.com`
    #[arg(long = "origin", value_name = "ORIGIN", required = true, value_parser = Origin::parse)]
    origins: Vec<Origin>,
}

/// Arguments of `directory sign`.
#[derive(Debug, Args)]
pub struct SignArgs {
    /// What is signed.
    #[command(flatten)]
    asked: RequestArgs,
    /// The key of the directory
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
}

/// Runs a subcommand.
pub fn run(command: &DirectoryCommand, out: Out) -> Result<Exit, Failure> {
    match command {
        DirectoryCommand::Init(args) => init(&args.key, out)?,
        DirectoryCommand::Show(args) => out.data(checked(args)?.1.trim_end())?,
        DirectoryCommand::Sign(args) => sign(args, out)?,
    }
    Ok(Exit::DONE)
}

fn init(file: &Path, out: Out) -> Result<(), Failure> {
    let pkcs8 = LocalSigner::generate().map_err(failed)?;
    let signer = LocalSigner::from_pkcs8(KeyRole::Directory, &pkcs8).map_err(failed)?;
    write_private(file, &pkcs8).map_err(failed)?;
    out.data(&signer.public_key().to_hex())?;
    out.talk(format_args!(
        "{} the key {} is in {}",
        styled(GOOD, "made"),
        signer.public_key().id(),
        file.display()
    ));
    out.hint("name the public key in `[passkeys] directory` of the server, and let relying parties pin it: gantral keys export-trust --directory-key");
    Ok(())
}

fn sign(args: &SignArgs, out: Out) -> Result<(), Failure> {
    let (enrolment, text) = checked(&args.asked)?;
    let pkcs8 = read_private(&args.key).map_err(failed)?;
    let signer = LocalSigner::from_pkcs8(KeyRole::Directory, &pkcs8).map_err(failed)?;
    out.talk(text.trim_end());
    let signed = converse(async {
        let signature = signer.sign(SigningContext::Enrolment, &enrolment.message()).await.map_err(failed)?;
        Ok(enrolment.signed(&signature.key_id, &signature.bytes))
    })?;
    // What leaves here is read as a server and a verifier read it.
    let is_good = SignedEnrolment::parse(&signed).is_ok_and(|read| read.is_signed_by(signer.public_key()));
    if !is_good {
        return Err(Failure::new("what was signed cannot be read again"));
    }
    out.bytes(&[&signed[..], b"\n"].concat())?;
    out.hint("gantral passkeys enrol FILE");
    Ok(())
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

/// Checks a request, and says in words who asks for what. The server that handed it out is not believed: the person is opened by the salt,
/// and the authenticator signed the very bytes that are shown.
fn checked(args: &RequestArgs) -> Result<(Enrolment, String), Failure> {
    let file = |why: String| Failure::new(format!("`{}`: {why}", args.request.display()));
    let request: PasskeyRequest =
        serde_json::from_slice(&read(&args.request)?).map_err(|error| file(error.to_string()))?;
    let canonical = |text: &str| {
        let value = parse(text.as_bytes(), &Profile::DOCUMENT).map_err(|error| file(error.to_string()))?;
        Ok::<_, Failure>(value.to_canonical())
    };
    let enrolment = Enrolment::decode(&canonical(request.enrolment.as_str())?);
    let enrolment = enrolment.map_err(|error| file(error.to_string()))?;
    let assertion = Assertion::parse(&canonical(request.assertion.as_str())?);
    let assertion = assertion.map_err(|error| file(error.to_string()))?;
    let party = RelyingParty::new(args.relying_party.clone(), args.origins.clone());
    let party = party.map_err(failed)?;
    let entry = enrolment.digest();
    assertion.check(&enrolment, &party, &entry).map_err(|fault| file(fault.to_string()))?;
    let owner = request.requested_by.ok_or_else(|| file("nobody is named who asks".to_owned()))?;
    let person = commit(CommitmentLabel::Person, &owner.salt, &person_bytes(&owner.issuer, &owner.subject));
    if person != enrolment.person.0 {
        return Err(file("whoever is named is not the person whose key it would be".to_owned()));
    }
    let kind = if enrolment.backup_eligible { "synced between devices" } else { "bound to its device" };
    let rows = [
        ("person", format!("{} of {}", inert(&owner.subject), inert(&owner.issuer))),
        ("person id", enrolment.person.0.to_string()),
        ("tenant", enrolment.tenant.to_string()),
        ("for", enrolment.relying_party.to_string()),
        ("key", format!("{}, {kind}", enrolment.key.algorithm().as_str())),
        ("asked", enrolment.created_at.to_text()),
        ("entry", entry.to_string()),
    ];
    let lines: Vec<String> = rows.iter().map(|(name, value)| format!("{name:<10}{value}\n")).collect();
    Ok((
        enrolment,
        lines.concat()
            + "Compare the entry with what the person sees, over another channel than the server.\n",
    ))
}

//! `gantral secret`: a secret of the runner, for a script whose grant is used up.

use std::io::Write as _;

use clap::{Args, Subcommand};
use gantral_api::wire::text;
use gantral_edge::script::Script;

use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;

/// Subcommands of `secret`.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Prints the value and nothing else, once the grant is used up
    Get(GetArgs),
}

/// Arguments of `secret get`.
#[derive(Debug, Args)]
pub struct GetArgs {
    /// Its name in the settings of the runner
    #[arg(value_name = "NAME")]
    name: text::Name,
    /// The grant that was used up; that of this attempt when absent
    #[arg(long, value_name = "GRANT")]
    grant: Option<text::GrantId>,
}

/// Runs a subcommand.
pub fn run(command: &SecretCommand, out: Out) -> Result<Exit, Failure> {
    match command {
        SecretCommand::Get(args) => get(args, out),
    }
}

fn get(args: &GetArgs, out: Out) -> Result<Exit, Failure> {
    let script = Script::from_environment()?;
    let grant = args.grant.map(text::GrantId::into_inner);
    let name = args.name.clone();
    let secret = converse(async { Ok(script.secret(name, grant).await?) })?;
    let value = core::str::from_utf8(&secret.value)
        .map_err(|_| Failure::new("the value is not text").code("secret_not_text"))?;
    if !out.json {
        // As it is: what only looks like space, or like colour, may belong to it.
        let written = std::io::stdout().lock().write_all(format!("{value}\n").as_bytes());
        return written
            .map(|()| Exit::DONE)
            .map_err(|error| Failure::new(format!("cannot write to standard output: {error}")));
    }
    let shown = serde_json::json!({ "name": args.name, "value": value, "record": secret.record });
    out.show(&shown, |_| String::new())?;
    Ok(Exit::DONE)
}

//! `gantral whoami`: as whom the server sees the caller, and until when.

use clap::Args;
use gantral_core::json::text::inert;
use serde_json::{Value, json};

use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::Out;
use crate::show::{me, row};
use crate::when::{now, with_distance};

/// Who is somebody in development.
const USUAL: &str = "bob";

/// Arguments of `whoami`.
#[derive(Debug, Args)]
pub struct WhoamiArgs {
    /// Which server, and as whom.
    #[command(flatten)]
    server: Server,
}

/// Asks the server.
pub fn run(args: &WhoamiArgs, out: Out) -> Result<Exit, Failure> {
    let target = args.server.target(out, USUAL)?;
    let client = target.client()?;
    let (me, expires_at) = converse(async {
        let me = client.me().await?;
        Ok((me, target.credentials.expires_at().await))
    })?;
    let mut document = serde_json::to_value(&me).unwrap_or_default();
    if let Value::Object(members) = &mut document {
        members.insert("url".to_owned(), json!(target.url));
        members.insert("credentials".to_owned(), json!(target.credentials.described()));
        if let Some(expires_at) = expires_at {
            members.insert("expires_at".to_owned(), json!(expires_at.to_text()));
        }
    }
    out.show(&document, |_| {
        let until = expires_at.map(|at| with_distance(at, now()));
        let renews = if target.credentials.renews() { ", renewed by itself" } else { "" };
        [
            row("server", inert(&target.url)),
            me::rows(&me),
            row("by", inert(&target.credentials.described())),
            row("until", format!("{}{renews}", until.unwrap_or_else(|| "the token does not say".to_owned()))),
        ]
        .concat()
    })?;
    Ok(Exit::DONE)
}

//! Published bundles: bringing one to the server, and looking at those that are there.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use gantral_api::client::Client;
use gantral_api::wire::{
    Activate, PageQuery, PoliciesInForce, PolicyPage, Proposal, PublishedPolicy, SignedBy, text,
};
use gantral_policy::bundle::Bundle;
use serde::Serialize;

use super::scope::{self, ScopeArgs};
use super::{USUAL, bundle};
use crate::cli::Server;
use crate::commands::proposals;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{FAINT, GOOD, Out, styled};
use crate::table::table;
use gantral_core::json::text::inert;

/// Arguments of `policy publish`.
#[derive(Debug, Args)]
pub struct PublishArgs {
    /// The bundle: a folder, or an archive of `opa build`
    bundle: PathBuf,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Why it is put in force; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Arguments of `policy ls`.
#[derive(Debug, Args)]
pub struct LsArgs {
    /// The cursor of an earlier page
    #[arg(long)]
    cursor: Option<String>,
    /// The most items, 1 to 200
    #[arg(long)]
    limit: Option<u32>,
}

/// Arguments of `policy show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The version
    version: text::PolicyVersionId,
    /// Writes its files to this folder, which must not exist
    #[arg(long, short, value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Publishes a bundle with its content digest as the revision, as an OPA beside the server compares it. A signed one goes as it is.
pub async fn published(client: &Client, bundle: &Bundle) -> Result<PublishedPolicy, Failure> {
    let packed = bundle.as_published().and_then(|bundle| bundle.to_archive());
    let archive = packed.map_err(|error| Failure::new(error.to_string()).code("policy_rejected"))?;
    Ok(client.publish_policy(archive).await?)
}

pub fn publish(args: &PublishArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let bundle = bundle(&args.bundle)?;
    let client = server.client(out, USUAL)?;
    let scope = args.scope.scope();
    let (answer, proposal) = converse(async {
        let answer = published(&client, &bundle).await?;
        let mut proposal = None;
        if let Some(scope) = &scope {
            let body = Activate {
                scope: scope.clone(),
                policy_version_id: Some(answer.policy_version_id),
                present: None,
                justification: args.reason.clone(),
            };
            proposal = client.activate(&body).await?.proposal;
        }
        Ok((answer, proposal))
    })?;
    let told = Published { answer: &answer, proposal: proposal.as_ref() };
    out.show(&told, |told| format!("{} {}", styled(GOOD, "published"), told.answer.policy_version_id))?;
    out.talk(format_args!("{} of its tests passed", answer.tests.passed));
    if let Some(signed_by) = &answer.signed_by {
        out.talk(format_args!("{}", signature(signed_by)));
    }
    if let Some(proposal) = &proposal {
        return Ok(proposals::waits(proposal, out));
    }
    match &scope {
        Some(scope) => {
            out.talk(format_args!("in force for {} from the next ask on", inert(&scope::shown(scope))))
        }
        None => {
            out.hint(format_args!("gantral policy activate {} --workflow WORKFLOW", answer.policy_version_id))
        }
    }
    Ok(Exit::DONE)
}

/// What was published, and what waits for a second person to be in force.
#[derive(Debug, Serialize)]
struct Published<'a> {
    #[serde(flatten)]
    answer: &'a PublishedPolicy,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<&'a Proposal>,
}

/// Says who signed a bundle, by the names of the server's configuration.
fn signature(signed_by: &SignedBy) -> String {
    let scope = signed_by.scope.as_ref().map(|scope| format!(" for `{}`", inert(scope))).unwrap_or_default();
    let unpinned =
        if signed_by.pinned { "" } else { "; its revision is not its version, so no OPA takes it" };
    format!("signed by `{}` with {}{scope}{unpinned}", inert(&signed_by.key), inert(&signed_by.algorithm))
}

pub fn ls(args: &LsArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let query = PageQuery { cursor: args.cursor.clone(), limit: args.limit };
    let (page, in_force) =
        converse(async { Ok((client.policies(&query).await?, client.activations().await?)) })?;
    if out.json {
        let line = serde_json::json!({ "in_force": in_force.items, "items": page.items, "next": page.next });
        out.data(&line.to_string())?;
    } else {
        out.data(&listed(&page, &in_force))?;
    }
    if let Some(next) = &page.next {
        out.hint(format_args!("gantral policy ls --cursor {next}"));
    }
    Ok(Exit::DONE)
}

fn listed(page: &PolicyPage, in_force: &PoliciesInForce) -> String {
    if page.items.is_empty() {
        return "no policies".to_owned();
    }
    let mut scopes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for policy in &in_force.items {
        let words = inert(&scope::shown(&policy.scope));
        scopes.entry(policy.policy_version_id.to_string()).or_default().push(words);
    }
    let mut rows = vec![["PUBLISHED", "VERSION", "IN FORCE FOR"].map(str::to_owned).to_vec()];
    for item in &page.items {
        let version = item.policy_version_id.to_string();
        let places = scopes.get(&version).map(|places| places.join(", ")).unwrap_or_default();
        rows.push(vec![item.published_at.to_string(), version, places]);
    }
    table(&rows)
}

pub fn show(args: &ShowArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let (archive, record) = converse(async {
        Ok((client.policy(args.version).await?, client.policy_record(args.version).await?))
    })?;
    let bundle = Bundle::from_archive(&archive)
        .map_err(|error| Failure::new(format!("what the server sent is no policy bundle: {error}")))?;
    if bundle.version() != args.version.into_inner() {
        return Err(Failure::new("what the server sent is another bundle than its name says"));
    }
    match &record.signed_by {
        Some(signed_by) => out.talk(format_args!("{}", signature(signed_by))),
        None => out.talk(format_args!("not signed")),
    }
    if let Some(folder) = &args.output {
        bundle.to_directory(folder).map_err(|error| Failure::file("write", folder, &error))?;
        out.talk(format_args!("{} {}", styled(GOOD, "wrote"), folder.display()));
        return Ok(Exit::DONE);
    }
    if out.json {
        let files: serde_json::Map<String, serde_json::Value> = bundle
            .files()
            .map(|(path, content)| (path.to_owned(), String::from_utf8_lossy(content).into_owned().into()))
            .collect();
        let line = serde_json::json!({
            "files": files,
            "policy_version_id": args.version,
            "published_at": record.published_at,
            "signed_by": record.signed_by,
        });
        out.data(&line.to_string())?;
        return Ok(Exit::DONE);
    }
    for (path, content) in bundle.files() {
        out.data(&styled(FAINT, format!("# {}", inert(path))).to_string())?;
        for line in String::from_utf8_lossy(content).lines() {
            out.data(&inert(line))?;
        }
    }
    Ok(Exit::DONE)
}

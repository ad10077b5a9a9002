//! Policies in force: who puts which one there, since when and why.

use clap::Args;
use gantral_api::wire::{Activate, GovernanceEvent, Governed, PageQuery, Scope, text};
use serde::Deserialize;

use super::USUAL;
use super::scope::{self, ScopeArgs};
use crate::cli::Server;
use crate::commands::proposals;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{GOOD, LOOK, Out, styled};
use crate::table::table;
use gantral_core::json::text::inert;

/// How many changes `policy history` shows.
const HISTORY_MAX: usize = 50;

/// Arguments of `policy activate`.
#[derive(Debug, Args)]
#[command(group = scope::group())]
pub struct ActivateArgs {
    /// The published version
    version: text::PolicyVersionId,
    #[command(flatten)]
    scope: ScopeArgs,
    /// Changes nothing unless this version is in force there now
    #[arg(long, value_name = "VERSION")]
    present: Option<text::PolicyVersionId>,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Arguments of `policy rollback`.
#[derive(Debug, Args)]
#[command(group = scope::group())]
pub struct RollbackArgs {
    #[command(flatten)]
    scope: ScopeArgs,
    /// Changes nothing unless this version is in force there now
    #[arg(long, value_name = "VERSION")]
    present: Option<text::PolicyVersionId>,
    /// Why; kept beside the evidence, and erasable
    #[arg(long, short, value_name = "TEXT")]
    reason: Option<text::Prose>,
}

/// Arguments of `policy history`.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    scope: ScopeArgs,
}

pub fn activate(args: &ActivateArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    put(args.scope.named()?, Some(args.version), args.present, args.reason.clone(), server, out)
}

pub fn rollback(args: &RollbackArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    put(args.scope.named()?, None, args.present, args.reason.clone(), server, out)
}

fn put(
    scope: Scope,
    policy_version_id: Option<text::PolicyVersionId>,
    present: Option<text::PolicyVersionId>,
    justification: Option<text::Prose>,
    server: &Server,
    out: Out,
) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let words = inert(&scope::shown(&scope));
    let body = Activate { scope, policy_version_id, present, justification };
    let governed = converse(async { Ok(client.activate(&body).await?) })?;
    out.show(&governed, |governed| said(governed, &words))?;
    if let Some(proposal) = &governed.proposal {
        return Ok(proposals::waits(proposal, out));
    }
    out.hint("gantral policy history");
    Ok(Exit::DONE)
}

fn said(governed: &Governed, words: &str) -> String {
    if let Some(proposal) = &governed.proposal {
        return format!("{} {}", styled(LOOK, "proposed:"), proposals::said(proposal));
    }
    match governed.sealed.first() {
        None => format!("{} for {words}: it was so already", styled(GOOD, "in force")),
        Some(event) => {
            let version = Change::of(event).map(|change| change.policy_version_id.to_string());
            let version = version.unwrap_or_default();
            format!("{} for {words} from the next ask on\n  version  {version}", styled(GOOD, "in force"))
        }
    }
}

/// What `policy_activated` says.
#[derive(Debug, Deserialize)]
struct Change {
    policy_version_id: text::PolicyVersionId,
    previous: Option<text::PolicyVersionId>,
    scope: Place,
}

/// A scope as the governance chain spells it.
#[derive(Debug, Deserialize)]
struct Place {
    kind: String,
    name: Option<String>,
}

impl Change {
    /// Returns what an event changed; `None` for events about something else.
    fn of(event: &GovernanceEvent) -> Option<Self> {
        let about_policy = event.event == "policy_activated";
        about_policy.then(|| serde_json::from_str(event.detail.as_str()).ok()).flatten()
    }

    fn is_of(&self, scope: &Scope) -> bool {
        match scope {
            Scope::Tenant => self.scope.kind == "tenant",
            Scope::Team { name } => {
                self.scope.kind == "team" && self.scope.name.as_deref() == Some(name.as_str())
            }
            Scope::Workflow { name } => {
                self.scope.kind == "workflow" && self.scope.name.as_deref() == Some(name.as_str())
            }
        }
    }
}

pub fn history(args: &HistoryArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let wanted = args.scope.scope();
    let events = converse(async {
        let mut changes = Vec::new();
        let mut query = PageQuery { cursor: None, limit: Some(200) };
        loop {
            let page = client.governance(&query).await?;
            changes.extend(page.items.into_iter().filter(|event| {
                let change = Change::of(event);
                change.is_some_and(|change| wanted.as_ref().is_none_or(|scope| change.is_of(scope)))
            }));
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => return Ok(changes),
            }
        }
    })?;
    let newest: Vec<GovernanceEvent> = events.into_iter().rev().take(HISTORY_MAX).collect();
    out.show(&newest, |events| listed(events))?;
    Ok(Exit::DONE)
}

fn listed(events: &[GovernanceEvent]) -> String {
    if events.is_empty() {
        return "no policy was put in force".to_owned();
    }
    let short = |version: &text::PolicyVersionId| version.to_string().chars().take(16).collect::<String>();
    let mut rows = vec![["WHEN", "FOR", "VERSION", "BEFORE", "BY", "WHY"].map(str::to_owned).to_vec()];
    for event in events {
        let Some(change) = Change::of(event) else { continue };
        let place = match &change.scope.name {
            Some(name) => format!("{} {name}", change.scope.kind),
            None => change.scope.kind.clone(),
        };
        rows.push(vec![
            event.at.to_string(),
            inert(&place),
            short(&change.policy_version_id),
            change.previous.as_ref().map_or_else(|| "none".to_owned(), short),
            event.actor.to_string().chars().take(16).collect(),
            inert(event.justification.as_deref().unwrap_or_default()),
        ]);
    }
    table(&rows)
}

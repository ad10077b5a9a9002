//! What a change would do: two policies over recorded asks. Nothing is decided by it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use gantral_api::wire::{AskDiff, DiffSide, PolicyDiff, text};
use gantral_core::time::{DurationMs, UnixMillis};

use super::sides::{Sides, joined};
use super::{USUAL, bundle};
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{LOOK, Out, STRONG, styled};
use crate::when::now;

/// How much of the past is looked at where nothing else is said.
const LOOKED_BACK: DurationMs = DurationMs::from_secs(7 * 86_400);

/// Arguments of `policy diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The policy to compare with, a published version or a bundle
    a: String,
    /// The policy in question, a published version or a bundle that need not be published
    b: String,
    /// Only asks made from this instant on, as `2026-01-31T00:00:00.000Z`; a week before `--to` when absent
    #[arg(long)]
    from: Option<text::Time>,
    /// Only asks made before this instant; now when absent
    #[arg(long)]
    to: Option<text::Time>,
    /// Only those of this team
    #[arg(long)]
    team: Option<text::TeamId>,
    /// Only those of this workflow
    #[arg(long)]
    workflow: Option<text::WorkflowId>,
}

pub fn diff(args: &DiffArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let to = args.to.map_or_else(now, text::Text::into_inner);
    let week_before = to.get().saturating_sub(LOOKED_BACK.get());
    let week_before = UnixMillis::new(week_before).unwrap_or(UnixMillis::EPOCH);
    let body = AskDiff {
        a: side(&args.a)?,
        b: side(&args.b)?,
        from: args.from.unwrap_or_else(|| week_before.into()),
        to: args.to,
        team: args.team.clone(),
        workflow: args.workflow.clone(),
    };
    let diff = converse(async { Ok(client.compare_policies(&body).await?) })?;
    out.show(&diff, shown)?;
    if diff.cut {
        let from = diff.from;
        out.talk(format_args!("{} cut off: nothing before {from} was looked at", styled(LOOK, "warning:")));
    }
    Ok(Exit::DONE)
}

/// A published version is its digest; everything else is a folder or an archive.
fn side(text: &str) -> Result<DiffSide, Failure> {
    if let Ok(policy_version_id) = text.parse() {
        return Ok(DiffSide::Published { policy_version_id });
    }
    let archive = bundle(Path::new(text))?.to_archive().map_err(|error| Failure::new(error.to_string()))?;
    Ok(DiffSide::Archive { base64: STANDARD.encode(archive) })
}

fn shown(diff: &PolicyDiff) -> String {
    let span = format!("{} asks of {} instances, {} to {}", diff.gates, diff.instances, diff.from, diff.to);
    let head = format!("{}  {}\n{}  {}\n{span}", styled(STRONG, "A"), diff.a, styled(STRONG, "B"), diff.b);
    let said = Sides {
        names: ["A", "B"],
        transitions: &diff.transitions,
        failures: &diff.failures,
        pages: &diff.pages,
        left_out: diff.left_out,
    };
    joined(std::iter::once(head).chain(said.parts()))
}

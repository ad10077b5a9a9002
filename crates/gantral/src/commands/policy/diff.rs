//! What a change would do: two policies over recorded asks. Nothing is decided by it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use gantral_api::wire::{AskDiff, DiffSide, PolicyDiff, Transition, text};
use gantral_core::time::{DurationMs, UnixMillis};

use super::{USUAL, bundle};
use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::inert::inert;
use crate::out::{FAINT, LOOK, Out, STRONG, styled};
use crate::table::table;
use crate::when::now;

/// What an ask may become, in the order in which it is shown.
const CLASSES: [&str; 4] = ["ALLOW", "REQUIRE_HUMAN", "DENY", "FAILED"];
/// How much of the past is looked at where nothing else is said.
const LOOKED_BACK: DurationMs = DurationMs::from_secs(7 * 86_400);

/// Arguments of `policy diff`.
#[derive(Debug, Args)]
pub struct DiffArgs {
    /// The policy to compare with, a published version or a bundle
    a: String,
    /// The policy in question, a published version or a bundle that need not be published
    b: String,
    /// Only instances created from this instant on, as `2026-01-31T00:00:00.000Z`; a week before `--to` when absent
    #[arg(long)]
    from: Option<text::Time>,
    /// Only instances created before this instant; now when absent
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
    let mut parts = vec![
        format!("{}  {}\n{}  {}\n{span}", styled(STRONG, "A"), diff.a, styled(STRONG, "B"), diff.b),
        matrix(diff),
    ];
    if diff.left_out > 0 {
        parts.push(format!(
            "{} asks are left out: their input was erased or is not of this contract",
            diff.left_out
        ));
    }
    let changed =
        diff.transitions.iter().filter(|transition| transition.a != transition.b || transition.a == "FAILED");
    parts.extend(changed.map(samples));
    if !diff.failures.is_empty() {
        let mut rows = vec![["FAILURE", "A", "B"].map(str::to_owned).to_vec()];
        rows.extend(
            diff.failures.iter().map(|row| vec![inert(&row.failure), row.a.to_string(), row.b.to_string()]),
        );
        parts.push(table(&rows));
    }
    if !diff.pages.is_empty() {
        let mut rows = vec![["PAGES", "A", "B", "A A DAY", "B A DAY"].map(str::to_owned).to_vec()];
        let tenths = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
        rows.extend(diff.pages.iter().map(|row| {
            let role = inert(&row.role.to_string());
            let days = [tenths(row.a_per_day_tenths), tenths(row.b_per_day_tenths)];
            [vec![role, row.a.to_string(), row.b.to_string()], days.to_vec()].concat()
        }));
        parts.push(table(&rows));
    }
    parts.iter().map(|part| part.trim_end()).collect::<Vec<_>>().join("\n\n")
}

/// Rows are what A says, columns what B says.
fn matrix(diff: &PolicyDiff) -> String {
    let count = |a: &str, b: &str| {
        let found = diff.transitions.iter().find(|transition| transition.a == a && transition.b == b);
        found.map_or(0, |transition| transition.gates)
    };
    let heading = std::iter::once("A \\ B").chain(CLASSES).map(str::to_owned).collect();
    let rows = CLASSES.map(|a| {
        let counts = CLASSES.map(|b| count(a, b).to_string());
        std::iter::once(a.to_owned()).chain(counts).collect()
    });
    table(&std::iter::once(heading).chain(rows).collect::<Vec<Vec<String>>>())
}

fn samples(transition: &Transition) -> String {
    let heading = format!("{} -> {}", inert(&transition.a), inert(&transition.b));
    let mut lines = vec![format!("{}: {}", styled(STRONG, heading), transition.gates)];
    for sample in &transition.samples {
        let action = inert(sample.action.as_deref().unwrap_or("(erased)"));
        let why: Vec<String> = [&sample.failure_a, &sample.failure_b]
            .into_iter()
            .zip(["A", "B"])
            .filter_map(|(failure, side)| failure.as_ref().map(|failure| format!("{side}: {failure}")))
            .chain(sample.reasons.iter().cloned())
            .collect();
        let why = if why.is_empty() { String::new() } else { format!("  {}", inert(&why.join("; "))) };
        let (instance, at) = (sample.instance_id, styled(FAINT, sample.at));
        lines.push(format!("  {instance}  {at}  {}  {action}{why}", inert(sample.workflow_id.as_str())));
    }
    lines.join("\n")
}

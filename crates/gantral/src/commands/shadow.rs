//! `gantral shadow`: what would have happened where policy is only observed.

use clap::{Args, Subcommand};
use gantral_api::observed::{Counts, Line, Summary, Tally};
use gantral_api::wire::{ShadowReportQuery, UnobservedQuery, text};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::cli::Server;
use crate::connection::run as converse;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{BAD, FAINT, GOOD, LOOK, Out, styled};
use crate::table::table;
use crate::when::now;
use gantral_core::json::text::inert;

/// Who looks in development.
const USUAL: &str = "bob";

/// How far back the report goes when nothing is said: one week, so that every day of it is in.
const SPAN: DurationMs = DurationMs::from_secs(7 * 86_400);

/// Of how many executions asks are on one page.
const PAGE: u32 = 200;

/// How many lines the tables of reasons and days have.
const LINES_MAX: usize = 30;

/// Subcommands of `shadow`.
#[derive(Debug, Subcommand)]
pub enum ShadowCommand {
    /// Counts what would have been allowed, waited or been denied, by action, reason, role and hour
    Report(ReportArgs),
}

/// Arguments of `shadow report`.
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// Of asks that were made from this instant on, as `2026-01-31T00:00:00.000Z`; a week before `--to` when absent
    #[arg(long, value_name = "TIME")]
    from: Option<text::Time>,
    /// Of asks that were made before this instant; now when absent
    #[arg(long, value_name = "TIME")]
    to: Option<text::Time>,
    /// Of this team only
    #[arg(long)]
    team: Option<text::TeamId>,
    /// Of this workflow only
    #[arg(long)]
    workflow: Option<text::WorkflowId>,
}

/// Runs a subcommand.
pub fn run(command: &ShadowCommand, server: &Server, out: Out) -> Result<Exit, Failure> {
    match command {
        ShadowCommand::Report(args) => report(args, server, out),
    }
}

fn report(args: &ReportArgs, server: &Server, out: Out) -> Result<Exit, Failure> {
    let client = server.client(out, USUAL)?;
    let (from, to) = span(args)?;
    let mut query = ShadowReportQuery {
        from: Some(from.into()),
        to: args.to,
        team: args.team.clone(),
        workflow: args.workflow.clone(),
        cursor: None,
        limit: Some(PAGE),
    };
    let unobserved = UnobservedQuery {
        from: query.from,
        to: query.to,
        team: args.team.clone(),
        workflow: args.workflow.clone(),
    };
    let summary = converse(async {
        let mut summary = Summary::new(from, to);
        loop {
            let page = client.shadow_report(&query).await?;
            summary.add(&page);
            match page.next {
                Some(next) => query.cursor = Some(next),
                None => break,
            }
        }
        summary.add_unobserved(&client.unobserved(&unobserved).await?);
        Ok(summary)
    })?;
    if out.json {
        out.data(&summary.to_json().to_string())?;
    } else {
        out.data(shown(&summary).trim_end())?;
    }
    if summary.all.asks() > 0 {
        out.hint("gantral enforce enable --workflow WORKFLOW");
    }
    Ok(Exit::DONE)
}

/// Returns the span of time, the end included where it is now.
fn span(args: &ReportArgs) -> Result<(UnixMillis, UnixMillis), Failure> {
    let to = args.to.map_or_else(now, text::Text::into_inner);
    let week_before = to.get().saturating_sub(SPAN.get());
    let from = args
        .from
        .map_or_else(|| UnixMillis::new(week_before).unwrap_or(UnixMillis::EPOCH), text::Text::into_inner);
    if from >= to {
        return Err(Failure::new("`--to` does not lie after `--from`").exit(Exit::USAGE));
    }
    Ok((from, to))
}

fn shown(summary: &Summary) -> String {
    let all = &summary.all;
    let mut text = format!(
        "{} asks were only observed, in {} executions, from {} to {}\n",
        all.asks(),
        summary.executions,
        summary.from.to_text(),
        summary.to.to_text()
    );
    without_answer(&mut text, summary);
    if all.asks() == 0 {
        return text;
    }
    let share = |asks: u64| format!("{} %", asks.saturating_mul(100) / all.asks().max(1));
    text.push_str(&table(&[
        vec!["allowed".to_owned(), all.allowed.to_string(), share(all.allowed)],
        vec!["would have waited".to_owned(), all.waited.to_string(), share(all.waited)],
        vec!["would have been denied".to_owned(), all.denied.to_string(), share(all.denied)],
    ]));
    if summary.failed > 0 {
        let word = styled(BAD, "policy failed");
        text.push_str(&format!("{word} in {} of them: {}\n", summary.failed, summary.failures()));
    }
    if summary.erased > 0 {
        let word = styled(LOOK, "erased");
        text.push_str(&format!("{word} is who would have been asked in {} of them\n", summary.erased));
    }
    section(&mut text, "By action", &["WORKFLOW", "ACTION"], &summary.actions);
    section(&mut text, "By reason (numbers as N)", &["REASON"], &summary.reasons);
    section(&mut text, "By hour of the day (UTC)", &["HOUR"], &summary.hours);
    pages(&mut text, summary);
    text
}

/// Adds what clients did while no server answered them.
fn without_answer(text: &mut String, summary: &Summary) {
    if summary.unobserved.is_empty() {
        return;
    }
    let mut rows = vec![["WORKFLOW", "ACTION", "DONE"].map(str::to_owned).to_vec()];
    for ((workflow, action), asks) in &summary.unobserved {
        rows.push(vec![inert(workflow), inert(action), asks.to_string()]);
    }
    let title = styled(LOOK, "Nobody observed, because no server answered (by the clients' own count)");
    text.push_str(&format!("\n{title}\n{}\n", table(&rows)));
}

/// Adds a table of verdicts, the most frequent lines of it.
fn section<K: Line>(text: &mut String, title: &str, heads: &[&str], lines: &Counts<K>) {
    let mut rows =
        vec![heads.iter().copied().chain(["ALLOWED", "WAITED", "DENIED"]).map(str::to_owned).collect()];
    for (key, Tally { allowed, waited, denied }) in lines.shown(LINES_MAX) {
        let counts = [allowed, waited, denied].map(ToString::to_string);
        rows.push(key.cells().iter().map(|cell| inert(cell)).chain(counts).collect::<Vec<_>>());
    }
    text.push_str(&format!("\n{}\n{}", styled(GOOD, title), table(&rows)));
    let left = lines.len().saturating_sub(LINES_MAX);
    if left > 0 {
        text.push_str(&format!("{}\n", styled(FAINT, format!("and {left} more: --json has them all"))));
    }
}

/// Adds how often each role would have been asked, in all and on each day.
fn pages(text: &mut String, summary: &Summary) {
    if summary.pages.is_empty() {
        return;
    }
    let mut rows =
        vec![["ROLE", "PAGES", "A DAY", "MOST", "ON", "BUSIEST HOUR (UTC)"].map(str::to_owned).to_vec()];
    for (role, pages) in &summary.pages {
        let (day, most) = pages.busiest_day();
        rows.push(vec![
            inert(role),
            pages.all().to_string(),
            pages.a_day(summary.days()),
            most.to_string(),
            day,
            pages.busiest_hour(),
        ]);
    }
    text.push_str(&format!("\n{}\n{}", styled(GOOD, "Pages by role of approvers"), table(&rows)));
}

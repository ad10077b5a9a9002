//! What policy authors run, in worker processes of their own and without a server.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use gantral_core::json::{Profile, Value, parse};
use gantral_policy::check::{self, CheckError, CheckReport, LintReport, TestOutcome, Weight};
use gantral_policy::input::validate;
use serde_json::json;

use super::{bundle, worker};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input;
use crate::out::{BAD, FAINT, GOOD, LOOK, Out, styled};
use gantral_core::json::text::inert;

/// How long one evaluation may take here. The server's limit is 250 ms; an author who waits longer wants to know why.
const EVAL_TIME_MAX: Duration = Duration::from_secs(5);

/// Arguments of `policy test`.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// The bundle: a folder, or an archive of `opa build`
    bundle: PathBuf,
}

/// Arguments of `policy lint`.
#[derive(Debug, Args)]
pub struct LintArgs {
    /// The bundle: a folder, or an archive of `opa build`
    bundle: PathBuf,
    /// Fails on warnings too
    #[arg(long)]
    strict: bool,
}

/// Arguments of `policy eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The bundle: a folder, or an archive of `opa build`
    bundle: PathBuf,
    /// The input document; `-` reads standard input
    #[arg(long, value_name = "FILE", default_value = "-")]
    input: PathBuf,
}

/// Arguments of `policy version`.
#[derive(Debug, Args)]
pub struct VersionArgs {
    /// The bundle: a folder, or an archive of `opa build`
    bundle: PathBuf,
}

pub fn version(args: &VersionArgs, out: Out) -> Result<Exit, Failure> {
    let version = bundle(&args.bundle)?.version().0.to_hex();
    if out.json {
        out.data(&json!({ "policy_version_id": version }).to_string())?;
    } else {
        out.data(&version)?;
    }
    Ok(Exit::DONE)
}

pub fn test(args: &TestArgs, out: Out) -> Result<Exit, Failure> {
    let bundle = bundle(&args.bundle)?;
    let report = check::check(&worker()?, &bundle).map_err(failed)?;
    let version = bundle.version().0.to_hex();
    let passed = report.passed();
    if out.json {
        let line = json!({ "policy_version_id": version, "passed": passed, "report": report });
        out.data(&line.to_string())?;
    } else {
        out.data(&shown(&report))?;
        out.talk(format_args!("{} {version}", styled(FAINT, "version")));
    }
    Ok(if passed { Exit::DONE } else { Exit::FAILED })
}

fn shown(report: &CheckReport) -> String {
    let mut lines: Vec<String> = Vec::new();
    for problem in &report.problems {
        lines.push(format!("{}  {}", styled(BAD, "problem"), inert(&problem.to_string())));
    }
    for warning in &report.warnings {
        lines.push(format!("{}  {}", styled(LOOK, "warning"), inert(&warning.to_string())));
    }
    for test in &report.tests.tests {
        let (style, word) = match test.outcome {
            TestOutcome::Passed => (GOOD, "passed "),
            TestOutcome::Failed => (BAD, "failed "),
            TestOutcome::Errored => (BAD, "errored"),
            TestOutcome::Skipped => (LOOK, "skipped"),
        };
        let detail = test.detail.as_deref().map(|detail| format!(": {}", inert(detail))).unwrap_or_default();
        lines.push(format!("{}  {}.{}{detail}", styled(style, word), test.package, test.name));
    }
    let count = |outcome| report.tests.count(outcome);
    lines.push(format!(
        "{} passed, {} failed, {} skipped",
        count(TestOutcome::Passed),
        count(TestOutcome::Failed) + count(TestOutcome::Errored),
        count(TestOutcome::Skipped)
    ));
    lines.join("\n")
}

pub fn lint(args: &LintArgs, out: Out) -> Result<Exit, Failure> {
    let bundle = bundle(&args.bundle)?;
    let report = check::lint(&worker()?, &bundle).map_err(failed)?;
    let passed = report.is_clean(if args.strict { Weight::Warning } else { Weight::Problem });
    if out.json {
        let version = bundle.version().0.to_hex();
        let line = json!({ "policy_version_id": version, "passed": passed, "findings": report.findings });
        out.data(&line.to_string())?;
    } else {
        out.data(&found(&report))?;
    }
    Ok(if passed { Exit::DONE } else { Exit::FAILED })
}

fn found(report: &LintReport) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut problems = 0_usize;
    for finding in &report.findings {
        let (style, word) = match finding.weight {
            Weight::Problem => (BAD, "problem"),
            Weight::Warning => (LOOK, "warning"),
        };
        problems += usize::from(finding.weight == Weight::Problem);
        lines.push(format!("{}  {}", styled(style, word), inert(&finding.text())));
    }
    lines.push(format!("problems: {problems}, warnings: {}", report.findings.len() - problems));
    lines.join("\n")
}

pub fn eval(args: &EvalArgs, out: Out) -> Result<Exit, Failure> {
    let bundle = bundle(&args.bundle)?;
    let document = input::value(&args.input)?;
    let bytes = document.to_canonical();
    if let Err(error) = validate(&bytes) {
        out.talk(format_args!("{} the engine would refuse this input: {error}", styled(LOOK, "warning:")));
    }
    let evaluation = check::eval(&worker()?, &bundle, &bytes, EVAL_TIME_MAX).map_err(failed)?;
    let decision = String::from_utf8_lossy(&evaluation.decision).into_owned();
    if out.json {
        out.data(&decision)?;
        return Ok(Exit::DONE);
    }
    out.data(evaluation.verdict.as_str())?;
    if let Ok(Value::Object(members)) = parse(&evaluation.decision, &Profile::DOCUMENT) {
        for (name, value) in members.iter().filter(|(name, _)| *name != "decision") {
            let text = String::from_utf8_lossy(&value.to_canonical()).into_owned();
            out.data(&format!("  {name:<20}{}", inert(&text)))?;
        }
    }
    Ok(Exit::DONE)
}

fn failed(error: CheckError) -> Failure {
    match error {
        CheckError::Refused(refused) => {
            Failure::new(format!("{}: {}", refused.failure, inert(&refused.detail)))
                .code(refused.failure.as_str())
                .hint("at a gate this is recorded and fails closed, as the workflow says")
        }
        CheckError::Bundle(error) => Failure::new(error.to_string()).code("policy_rejected"),
        error @ (CheckError::Start(_) | CheckError::Report { .. }) => {
            Failure::new(error.to_string()).hint("`gantral doctor` looks at what workers need")
        }
    }
}

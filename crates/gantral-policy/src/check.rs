//! What policy authors run: publish checks, tests, and one evaluation with its explanation.
//!
//! Each runs in a worker of its own with a generous time limit: what kills that worker never reaches the pool. The
//! calls block; a server calls them from a thread that may.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use gantral_core::policy::{EvalFailure, Evaluation};
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, BundleError};
use crate::frame::{Refused, Request};
use crate::output;
use crate::process::{Exchange, WorkerCommand, WorkerProcess};

/// How long a check with all its tests may take. Runtime limits are a hundred times tighter.
pub const CHECK_TIME_MAX: Duration = Duration::from_secs(15);

/// Something in a bundle that keeps it from being published, or a warning about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file within the bundle; empty when no single file is at fault.
    pub file: String,
    /// The line, from 1; 0 when unknown.
    pub line: u64,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => f.write_str(&self.message),
            (file, 0) => write!(f, "{file}: {}", self.message),
            (file, line) => write!(f, "{file}:{line}: {}", self.message),
        }
    }
}

/// How grave a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Weight {
    /// Nobody can have meant it.
    Problem,
    /// It should be looked at.
    Warning,
}

/// What the lint looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LintRule {
    /// The bundle may not be published.
    Refused,
    /// The decision is ALLOW where no rule makes one.
    FailOpenDefault,
    /// Two rules of one name give different values for some input.
    Contradiction,
    /// A member of the input that the contract does not have.
    UnknownInput,
    /// A member of the input is compared with what it can never be, or one of the output is given what the contract refuses.
    ImpossibleValue,
    /// A rule that looks like a member of the output and is not read.
    UnreadOutput,
    /// A rule's conditions exclude each other.
    DeadBranch,
    /// A human is required and nobody is named.
    MissingApprovers,
    /// A comparison with a number that is not kept exactly.
    InexactNumber,
}

/// A place in a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The file within the bundle.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
}

/// What the lint says about one place of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// How grave it is.
    pub weight: Weight,
    /// What was looked for.
    pub rule: LintRule,
    /// The file within the bundle; empty when no single file is at fault.
    pub file: String,
    /// The line, from 1; 0 when unknown.
    pub line: u64,
    /// What was found.
    pub message: String,
    /// The other place, where two contradict each other.
    pub other: Option<Place>,
}

impl Finding {
    /// What keeps a bundle from being published, as a finding.
    pub(crate) fn refused(problem: Problem) -> Self {
        let Problem { file, line, message } = problem;
        Self { weight: Weight::Problem, rule: LintRule::Refused, file, line, message, other: None }
    }

    /// Returns this as a warning of publishing, which the lint never refuses.
    pub(crate) fn into_warning(self) -> Problem {
        Problem { file: self.file, line: self.line, message: self.message }
    }

    /// Returns the place and what was found there.
    pub fn text(&self) -> String {
        self.clone().into_warning().to_string()
    }
}

/// What the lint says about a bundle, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LintReport {
    /// Every finding; what keeps the bundle from being published first.
    pub findings: Vec<Finding>,
}

impl LintReport {
    /// Tells whether there is nothing of this weight or graver.
    pub fn is_clean(&self, weight: Weight) -> bool {
        self.findings.iter().all(|finding| finding.weight > weight)
    }
}

/// What became of one test rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TestOutcome {
    /// The rule is `true`.
    Passed,
    /// The rule is anything else, undefined included.
    Failed,
    /// The rule could not be evaluated, or is true only because something in it failed.
    Errored,
    /// The rule's name begins with `todo_test_`.
    Skipped,
}

/// One test rule and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestResult {
    /// The package, without `data.`.
    pub package: String,
    /// The name of the rule; a further definition of it is `name#01`, `name#02`, as in OPA.
    pub name: String,
    /// The file it stands in.
    pub file: String,
    /// What became of it.
    pub outcome: TestOutcome,
    /// The value or the error, when it did not pass.
    pub detail: Option<String>,
}

/// The results of all tests of a bundle, in the order of files and lines.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Every test.
    pub tests: Vec<TestResult>,
}

impl TestReport {
    /// Returns how many tests ended so.
    pub fn count(&self, outcome: TestOutcome) -> usize {
        self.tests.iter().filter(|test| test.outcome == outcome).count()
    }

    /// Tells whether nothing failed; a bundle without tests passes.
    pub fn passed(&self) -> bool {
        self.count(TestOutcome::Failed) + self.count(TestOutcome::Errored) == 0
    }
}

/// Whether a bundle may be published.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckReport {
    /// What keeps it from being published.
    pub problems: Vec<Problem>,
    /// What should be looked at.
    pub warnings: Vec<Problem>,
    /// Its tests; none are run while there are problems.
    pub tests: TestReport,
}

impl CheckReport {
    /// Tells whether the bundle may be published.
    pub fn passed(&self) -> bool {
        self.problems.is_empty() && self.tests.passed()
    }
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The worker could not be started: the environment's fault.
    #[error("cannot start a policy worker: {0}")]
    Start(#[source] io::Error),
    /// The worker gave up or died; resource limits and deadlines are the policy's fault.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The bundle could not be packed.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The worker's report could not be read: another version of the program, or our own mistake.
    #[error("the policy worker's report cannot be read: {reason}")]
    Report {
        /// What the reader said.
        reason: String,
    },
}

/// Checks whether a bundle may be published: that it compiles, calls only what it may, is not recursive, has a decision,
/// and passes its own tests. Blocks up to [`CHECK_TIME_MAX`].
pub fn check(worker: &WorkerCommand, bundle: &Bundle) -> Result<CheckReport, CheckError> {
    read(&run_alone(worker, &[Request::Check(&bundle.to_archive()?)], CHECK_TIME_MAX)?)
}

/// Looks for what the author of a bundle most likely did not mean. Nothing of the bundle is evaluated. Blocks up to
/// [`CHECK_TIME_MAX`].
pub fn lint(worker: &WorkerCommand, bundle: &Bundle) -> Result<LintReport, CheckError> {
    read(&run_alone(worker, &[Request::Lint(&bundle.to_archive()?)], CHECK_TIME_MAX)?)
}

/// Runs the tests of a bundle. Blocks up to [`CHECK_TIME_MAX`].
///
/// # Errors
/// A bundle that does not compile is [`CheckError::Refused`].
pub fn test(worker: &WorkerCommand, bundle: &Bundle) -> Result<TestReport, CheckError> {
    read(&run_alone(worker, &[Request::Test(&bundle.to_archive()?)], CHECK_TIME_MAX)?)
}

/// Evaluates one input as a gate would, in a worker of its own, and explains a failure. Blocks up to `limit`.
///
/// # Errors
/// What the engine would record is [`CheckError::Refused`], with a detail for the author.
pub fn eval(
    worker: &WorkerCommand,
    bundle: &Bundle,
    input: &[u8],
    limit: Duration,
) -> Result<Evaluation, CheckError> {
    let (version, archive) = (bundle.version(), bundle.to_archive()?);
    let requests = [Request::Load(version, &archive), Request::Eval(version, input)];
    let answer = run_alone(worker, &requests, limit)?;
    Ok(output::read(&answer).map_err(|error| Refused::new(error.failure(), error.to_string()))?)
}

/// Starts a worker, makes the requests one after the other, and returns the last answer.
fn run_alone(
    worker: &WorkerCommand,
    requests: &[Request<'_>],
    limit: Duration,
) -> Result<Vec<u8>, CheckError> {
    let deadline = Instant::now() + limit;
    let mut process = WorkerProcess::spawn(worker).map_err(CheckError::Start)?;
    let mut answer = Vec::new();
    for request in requests {
        let sent = process.send(std::slice::from_ref(request), deadline);
        match sent.map_or(Exchange::Closed, |()| process.receive(deadline)) {
            Exchange::Reply(reply) => answer = reply?,
            Exchange::TimedOut => {
                let detail = format!("no answer within {} ms", limit.as_millis());
                return Err(Refused::new(EvalFailure::ResourceLimit, detail).into());
            }
            Exchange::Closed => return Err(process.bury().into_refused().into()),
        }
    }
    Ok(answer)
}

fn read<T: for<'a> Deserialize<'a>>(bytes: &[u8]) -> Result<T, CheckError> {
    serde_json::from_slice(bytes).map_err(|error| CheckError::Report { reason: error.to_string() })
}

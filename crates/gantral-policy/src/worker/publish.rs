//! The publish checks of a bundle, as the worker runs them.

use gantral_core::policy::EvalFailure;

use super::ast::Module;
use super::engine::{Compiled, TEST_MODULE_ENDING};
use super::{calls, lint, testing};
use crate::bundle::Bundle;
use crate::check::{CheckReport, Finding, LintReport, Problem, TestReport};
use crate::frame::Refused;

/// The package that policies answer from.
pub(super) const PACKAGE: [&str; 2] = ["gantral", "policy"];

/// Checks a bundle and runs its tests; returns a [`CheckReport`] as JSON.
pub(super) fn check(bundle: &Bundle) -> Result<Vec<u8>, Refused> {
    let compiled = match Compiled::new(bundle, |_| true) {
        Ok(compiled) => compiled,
        Err(problems) => return report(&CheckReport { problems, ..CheckReport::default() }),
    };
    let mut problems = shape_problems(&compiled.modules);
    // Without its tests a bundle must still be whole: that is how it is evaluated.
    if problems.is_empty()
        && let Err(found) = Compiled::new(bundle, |path| !path.ends_with(TEST_MODULE_ENDING))
    {
        problems.extend(found);
    }
    let warnings = lint::findings(&compiled.modules).into_iter().map(Finding::into_warning).collect();
    let tests = if problems.is_empty() { testing::run(bundle, compiled) } else { TestReport::default() };
    report(&CheckReport { problems, warnings, tests })
}

/// Looks at a bundle without running anything of it; returns a [`LintReport`] as JSON.
pub(super) fn lint(bundle: &Bundle) -> Result<Vec<u8>, Refused> {
    let refused = |problems: Vec<Problem>| problems.into_iter().map(Finding::refused).collect::<Vec<_>>();
    let compiled = match Compiled::new(bundle, |_| true) {
        Ok(compiled) => compiled,
        Err(problems) => return report(&LintReport { findings: refused(problems) }),
    };
    let mut findings = refused(shape_problems(&compiled.modules));
    findings.extend(lint::findings(&compiled.modules));
    report(&LintReport { findings })
}

/// Runs the tests of a bundle; returns a [`TestReport`] as JSON.
pub(super) fn test(bundle: &Bundle) -> Result<Vec<u8>, Refused> {
    let first = |problems: Vec<Problem>| {
        let detail = problems.first().map(ToString::to_string).unwrap_or_default();
        Refused::new(EvalFailure::Evaluation, detail)
    };
    let compiled = Compiled::new(bundle, |_| true).map_err(first)?;
    let problems = calls::problems(&compiled.modules);
    if !problems.is_empty() {
        return Err(first(problems));
    }
    report(&testing::run(bundle, compiled))
}

fn report(report: &impl serde::Serialize) -> Result<Vec<u8>, Refused> {
    serde_json::to_vec(report).map_err(|error| Refused::new(EvalFailure::Evaluation, error.to_string()))
}

/// What keeps modules that compile from being published.
fn shape_problems(modules: &[Module]) -> Vec<Problem> {
    let mut problems = calls::problems(modules);
    problems.extend(misplaced_tests(modules));
    problems.extend(missing_decision(modules));
    problems
}

/// Test modules are left out of evaluation, so nothing else may hide in them.
fn misplaced_tests(modules: &[Module]) -> impl Iterator<Item = Problem> {
    let is_test = |module: &&Module| module.file.ends_with(TEST_MODULE_ENDING);
    let misplaced = modules.iter().filter(is_test);
    misplaced.filter(|module| !module.package.last().is_some_and(|name| name.ends_with("_test"))).map(
        |module| {
            let message = "the package of a `_test.rego` file must end in `_test`".to_owned();
            Problem { file: module.file.clone(), line: 1, message }
        },
    )
}

fn missing_decision(modules: &[Module]) -> Option<Problem> {
    let defined = modules.iter().filter(|module| module.package == PACKAGE).any(|module| {
        module.rules.iter().any(|rule| rule.name.first().is_some_and(|name| name == "decision"))
    });
    let message = "no rule `decision` in `package gantral.policy`".to_owned();
    (!defined).then(|| Problem { file: String::new(), line: 0, message })
}

//! Runs the test rules of a bundle, with the results of `opa test`.
//!
//! As there, each definition of a test is a test of its own, a builtin that fails makes its expression undefined, and a rule
//! whose name begins with `todo_test_` is skipped. A test that is true only because something failed is an error here: at a
//! gate the failure is one. What only OPA can run never passes.

use std::collections::BTreeMap;

use regorus::{Engine, Value};

use super::ast::{Module, Path, Rule, variant};
use super::engine::{Compiled, translate};
use crate::bundle::Bundle;
use crate::check::{Problem, TestOutcome, TestReport, TestResult};

const TEST: &str = "test_";
const SKIPPED: &str = "todo_test_";
/// What a further definition of a test is called while it is evaluated apart from the others.
const PART: &str = "gantral_part";

/// Runs the tests of a bundle that compiled; these are its modules with an engine.
pub(super) fn run(bundle: &Bundle, compiled: Compiled) -> TestReport {
    let mut seen: BTreeMap<(Path, String), usize> = BTreeMap::new();
    let mut tests: Vec<Test<'_>> = Vec::new();
    for module in &compiled.modules {
        for rule in &module.rules {
            let Some(name) =
                rule.name.first().filter(|name| name.starts_with(TEST) || name.starts_with(SKIPPED))
            else {
                continue;
            };
            let part = seen.entry((module.package.clone(), name.clone())).or_default();
            tests.push(Test { module, rule, name, part: *part });
            *part += 1;
        }
    }
    let repeated = |test: &Test<'_>| test.part > 0;
    // Where a test is defined twice, its parts are given names of their own.
    let apart = tests.iter().any(repeated).then(|| take_apart(bundle, &tests));
    let results = tests.iter().map(|test| match &apart {
        None => test.run(&compiled.engine),
        Some(Ok(apart)) => test.run(&apart.engine),
        Some(Err(problem)) => test.result(TestOutcome::Errored, Some(problem.to_string())),
    });
    TestReport { tests: results.collect() }
}

/// One definition of a test rule.
struct Test<'a> {
    module: &'a Module,
    rule: &'a Rule,
    name: &'a str,
    /// How many definitions stand before it.
    part: usize,
}

impl Test<'_> {
    fn run(&self, engine: &Engine) -> TestResult {
        if self.name.starts_with(SKIPPED) {
            return self.result(TestOutcome::Skipped, None);
        }
        if self.rule.name.len() > 1 {
            return self.result(TestOutcome::Failed, Some("the rule is an object".to_owned()));
        }
        if self.has_several_bodies() {
            let reason = "a test with several bodies is not run: write each as a rule of its own";
            return self.result(TestOutcome::Errored, Some(reason.to_owned()));
        }
        let strict = self.value(engine, true);
        let (outcome, detail) = match self.value(engine, false) {
            Ok(Value::Bool(true)) => match strict {
                Ok(_) => (TestOutcome::Passed, None),
                Err(error) => {
                    let detail = format!("true only because this counts as undefined: {error}");
                    (TestOutcome::Errored, Some(detail))
                }
            },
            Ok(Value::Undefined) => (
                TestOutcome::Failed,
                Some(strict.err().unwrap_or_else(|| "the rule is undefined".to_owned())),
            ),
            Ok(value) => (TestOutcome::Failed, Some(format!("the rule is {value}"))),
            Err(error) => (TestOutcome::Errored, Some(error)),
        };
        self.result(outcome, detail)
    }

    fn value(&self, engine: &Engine, strict: bool) -> Result<Value, String> {
        let mut engine = engine.clone();
        engine.set_strict_builtin_errors(strict);
        engine.eval_rule(self.path()).map_err(|error| translate(&error.to_string()).detail)
    }

    /// Tells whether one definition stands for several, which OPA runs one by one.
    fn has_several_bodies(&self) -> bool {
        let bodies =
            self.module.definition(self.rule).and_then(|definition| definition.pointer("/Spec/bodies"));
        let further = bodies.and_then(serde_json::Value::as_array).into_iter().flatten().skip(1);
        further.into_iter().any(|body| body.get("is_else") != Some(&serde_json::Value::Bool(true)))
    }

    /// Returns the rule's path with each part of its package quoted: a package may have any text as a part.
    fn path(&self) -> String {
        let quoted =
            self.module.package.iter().map(|part| format!("[{}]", serde_json::Value::from(part.as_str())));
        format!("data{}.{}", quoted.collect::<String>(), self.evaluated_name())
    }

    fn evaluated_name(&self) -> String {
        match self.part {
            0 => self.name.to_owned(),
            part => format!("{PART}_{part}_{}", self.name),
        }
    }

    fn result(&self, outcome: TestOutcome, detail: Option<String>) -> TestResult {
        let (package, file) = (self.module.package.join("."), self.module.file.clone());
        let name = match self.part {
            0 => self.name.to_owned(),
            part => format!("{}#{part:02}", self.name),
        };
        TestResult { package, name, file, outcome, detail }
    }

    /// Returns where in the source its name stands.
    fn name_at(&self) -> Option<usize> {
        let head = self.module.definition(self.rule)?.pointer("/Spec/head")?;
        let mut at = head.as_object()?.values().next()?.get("refr")?;
        loop {
            let (_, body) = variant(at)?;
            match body.get("refr") {
                Some(above) => at = above,
                None => return usize::try_from(body.pointer("/span/start")?.as_u64()?).ok(),
            }
        }
    }
}

/// Compiles the bundle with another name for every definition of a test but its first.
fn take_apart(bundle: &Bundle, tests: &[Test<'_>]) -> Result<Compiled, Problem> {
    let wrong = |file: &str, message: String| Problem { file: file.to_owned(), line: 0, message };
    let mut files: BTreeMap<String, Vec<u8>> =
        bundle.files().map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
    // From the end, so that what stands before keeps its place.
    for test in tests.iter().rev().filter(|test| test.part > 0) {
        let file = &test.module.file;
        let place = test.name_at().and_then(|at| Some((files.get_mut(file)?, at)));
        let Some((content, at)) = place.filter(|(content, at)| {
            content.get(*at..).is_some_and(|rest| rest.starts_with(test.name.as_bytes()))
        }) else {
            return Err(wrong(file, format!("`{}` is defined twice and cannot be told apart", test.name)));
        };
        content.splice(at..at + test.name.len(), test.evaluated_name().into_bytes());
    }
    let renamed = Bundle::from_files(files).map_err(|error| wrong("", error.to_string()))?;
    Compiled::new(&renamed, |_| true).map_err(|problems| {
        problems.into_iter().next().unwrap_or_else(|| wrong("", "the bundle does not compile".to_owned()))
    })
}

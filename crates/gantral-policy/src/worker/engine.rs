//! The engine: compiles a bundle and evaluates one input.
//!
//! Only the interpreter of `regorus` is used. Its bytecode machine answers undefined where rules conflict, and ignores
//! replaced builtins. Its errors are text; they are translated into our classes here and nowhere else.

use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use gantral_core::policy::EvalFailure;
use gantral_core::time::UnixMillis;
use regorus::{Engine, PolicyLengthConfig, Value};

use super::ast::Module;
use super::{calls, nesting};
use crate::bundle::{Bundle, FILE_BYTES_MAX, RegoVersion};
use crate::check::Problem;
use crate::frame::Refused;
use crate::output::{MEMBERS, OUTPUT_BYTES_MAX};

/// The document that is the answer of a policy: the package of the contract.
const QUERY: &str = "data.gantral.policy";
/// A rule of our own that is the answer: evaluating a rule saves parsing a query each time.
const ANSWER_RULE: &str = "data.gantral_answer.document";
const ANSWER_MODULE: &str = "package gantral_answer\ndocument = data.gantral.policy\n";
/// The package of that rule; bundles must not have it.
const ANSWER_PACKAGE: &str = "gantral_answer";
/// Modules with this ending are tests: their package ends in `_test`, and they are not loaded for evaluation.
pub(super) const TEST_MODULE_ENDING: &str = "_test.rego";
/// How much of an error is kept, in bytes: it may quote a long line of source.
const DETAIL_BYTES_MAX: usize = 2_000;
/// Stands for an input without `now`: far outside the years that an instant can have.
const NO_INSTANT: i64 = i64::MIN;

/// A bundle that is compiled once and copied for each evaluation.
pub(super) struct Prepared {
    engine: Engine,
    now_ns: Arc<AtomicI64>,
}

impl Prepared {
    /// Compiles the modules of a bundle, without its tests.
    pub(super) fn new(bundle: &Bundle) -> Result<Self, Refused> {
        let compiled = Compiled::new(bundle, |path| !path.ends_with(TEST_MODULE_ENDING)).map_err(refused)?;
        let first_problem = calls::problems(&compiled.modules).into_iter().take(1).collect::<Vec<_>>();
        if !first_problem.is_empty() {
            return Err(refused(first_problem));
        }
        Ok(Self { engine: compiled.engine, now_ns: compiled.now_ns })
    }

    /// Evaluates the policy document and returns the members of the contract as JSON.
    pub(super) fn evaluate(&self, input: &[u8]) -> Result<Vec<u8>, Refused> {
        let unreadable =
            |reason: &str| Refused::new(EvalFailure::Evaluation, format!("the input is not JSON: {reason}"));
        let text = std::str::from_utf8(input).map_err(|_| unreadable("it is not UTF-8"))?;
        let input = Value::from_json_str(text).map_err(|error| unreadable(&error.to_string()))?;
        self.now_ns.store(frozen_instant(&input), Ordering::Relaxed);
        let mut engine = self.engine.clone();
        engine.set_input(input);
        let document =
            engine.eval_rule(ANSWER_RULE.to_owned()).map_err(|error| translate(&error.to_string()))?;
        project(&document)
    }
}

/// Parsed modules and their data, ready to be evaluated or checked.
pub(super) struct Compiled {
    pub(super) engine: Engine,
    pub(super) modules: Vec<Module>,
    now_ns: Arc<AtomicI64>,
}

impl Compiled {
    /// Parses the chosen modules and all data. Reports every file that is wrong.
    pub(super) fn new(bundle: &Bundle, chosen: impl Fn(&str) -> bool) -> Result<Self, Vec<Problem>> {
        let now_ns = Arc::new(AtomicI64::new(NO_INSTANT));
        let mut engine = new_engine(bundle.rego_version(), &now_ns)?;
        let mut sources = Vec::new();
        let mut problems = Vec::new();
        for (path, content) in bundle.files() {
            let added = if path.ends_with(".rego") && chosen(path) {
                add_module(&mut engine, path, content).map(|source| sources.push((path, source)))
            } else if path.rsplit('/').next() == Some("data.json") {
                add_data(&mut engine, path, content)
            } else {
                Ok(())
            };
            problems.extend(added.err());
        }
        if problems.is_empty() {
            problems.extend(add_module(&mut engine, "", ANSWER_MODULE.as_bytes()).err());
            // The engine analyses modules when it first evaluates; what it finds then is a problem of the bundle.
            problems.extend(
                engine.eval_query("true".to_owned(), false).err().map(|e| problem("", &e.to_string())),
            );
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let trees = engine.get_modules().iter().map(serde_json::to_value);
        let modules = sources.iter().zip(trees).map(|((path, source), tree)| match tree {
            Ok(tree) => Ok(Module::read(path, source, tree)),
            Err(error) => Err(problem(path, &error.to_string())),
        });
        let modules: Vec<Module> = modules.collect::<Result<_, _>>().map_err(|problem| vec![problem])?;
        match modules.iter().find(|module| module.package.first().is_some_and(|root| root == ANSWER_PACKAGE))
        {
            Some(module) => Err(vec![problem(&module.file, "the package `gantral_answer` is reserved")]),
            None => Ok(Self { engine, modules, now_ns }),
        }
    }
}

fn new_engine(rego_version: RegoVersion, now_ns: &Arc<AtomicI64>) -> Result<Engine, Vec<Problem>> {
    let mut engine = Engine::new();
    engine.set_rego_v0(rego_version == RegoVersion::V0);
    engine.set_strict_builtin_errors(true);
    // Printing goes nowhere: it is kept with the copy of the engine and dropped with it.
    engine.set_gather_prints(true);
    engine.set_policy_length_config(PolicyLengthConfig {
        max_col: NonZeroU32::MIN.saturating_add(4_095),
        max_file_bytes: NonZeroUsize::MIN.saturating_add(FILE_BYTES_MAX),
        max_lines: NonZeroUsize::MIN.saturating_add(100_000),
    });
    let instant = Arc::clone(now_ns);
    let clock = move |_: Vec<Value>| match instant.load(Ordering::Relaxed) {
        NO_INSTANT => Ok(Value::Undefined),
        nanoseconds => Ok(Value::from(nanoseconds)),
    };
    match engine.add_extension("time.now_ns".to_owned(), 0, Box::new(clock)) {
        Ok(()) => Ok(engine),
        Err(error) => Err(vec![problem("", &error.to_string())]),
    }
}

fn add_module(engine: &mut Engine, path: &str, content: &[u8]) -> Result<String, Problem> {
    let Ok(source) = std::str::from_utf8(content) else {
        return Err(problem(path, "the file is not UTF-8"));
    };
    if let Some(line) = nesting::too_deep(source) {
        let message = format!(
            "brackets nest deeper than {} (`[` and `{{`) or {} (all)",
            nesting::BRACE_DEPTH_MAX,
            nesting::DEPTH_MAX
        );
        return Err(Problem { file: path.to_owned(), line: u64::try_from(line).unwrap_or(0), message });
    }
    match engine.add_policy(path.to_owned(), source.to_owned()) {
        Ok(_) => Ok(source.to_owned()),
        Err(error) => Err(problem(path, &error.to_string())),
    }
}

/// Adds a data file below the folders it stands in, as OPA does.
fn add_data(engine: &mut Engine, path: &str, content: &[u8]) -> Result<(), Problem> {
    let wrong = |reason: String| problem(path, &reason);
    let text = std::str::from_utf8(content).map_err(|_| wrong("the file is not UTF-8".to_owned()))?;
    let mut data = Value::from_json_str(text).map_err(|error| wrong(error.to_string()))?;
    for folder in path.rsplit('/').skip(1) {
        let mut parent = Value::new_object();
        parent.as_object_mut().map_err(|error| wrong(error.to_string()))?.insert(Value::from(folder), data);
        data = parent;
    }
    engine.add_data(data).map_err(|error| wrong(error.to_string()))
}

/// Returns the instant that `time.now_ns` answers, in nanoseconds since 1970, of the input's member `now`.
fn frozen_instant(input: &Value) -> i64 {
    let text = match input.as_object().ok().and_then(|members| members.get(&Value::from("now"))) {
        Some(Value::String(text)) => text,
        _ => return NO_INSTANT,
    };
    let millis = UnixMillis::parse(text).ok().and_then(|instant| i64::try_from(instant.get()).ok());
    millis.and_then(|millis| millis.checked_mul(1_000_000)).unwrap_or(NO_INSTANT)
}

/// Takes the members of the contract out of the policy document: helper rules stand beside them.
fn project(document: &Value) -> Result<Vec<u8>, Refused> {
    let undefined = || Refused::new(EvalFailure::Undefined, format!("`{QUERY}.decision` is undefined"));
    let members = document.as_object().map_err(|_| undefined())?;
    let member = |name: &str| members.get(&Value::from(name)).filter(|value| **value != Value::Undefined);
    member("decision").ok_or_else(undefined)?;
    let mut answer = serde_json::Map::new();
    for name in MEMBERS {
        if let Some(value) = member(name) {
            let value = serde_json::to_value(value);
            let value = value.map_err(|e| Refused::new(EvalFailure::Malformed, format!("`{name}`: {e}")))?;
            answer.insert(name.to_owned(), value);
        }
    }
    let bytes = serde_json::Value::Object(answer).to_string().into_bytes();
    if bytes.len() > OUTPUT_BYTES_MAX {
        let detail = format!("the output is larger than {OUTPUT_BYTES_MAX} bytes");
        return Err(Refused::new(EvalFailure::ResourceLimit, detail));
    }
    Ok(bytes)
}

/// Translates an error of the engine. Unknown texts are evaluation errors, which are as closed as conflicts.
pub(super) fn translate(text: &str) -> Refused {
    const CONFLICTS: [&str; 5] = [
        "rules should not produce multiple outputs",
        "rules must not produce multiple outputs",
        "functions must not produce multiple outputs",
        "rule conflicts with rule",
        "complete rules should not produce multiple outputs",
    ];
    let message = text.rsplit("error: ").next().unwrap_or(text);
    let failure = if CONFLICTS.iter().any(|known| message.starts_with(known)) {
        EvalFailure::Conflict
    } else {
        EvalFailure::Evaluation
    };
    Refused::new(failure, shortened(text))
}

/// Reads file and line out of an error of the engine: `--> file:line:column`, source lines, `error: message`.
pub(super) fn problem(file: &str, text: &str) -> Problem {
    let message = shortened(text.rsplit("error: ").next().unwrap_or(text).trim());
    let place = text.split("--> ").nth(1).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let mut from_end = place.rsplitn(3, ':');
    let line = from_end.nth(1).and_then(|line| line.parse().ok()).unwrap_or(0);
    let file = if file.is_empty() { from_end.next().unwrap_or_default() } else { file };
    Problem { file: file.to_owned(), line, message }
}

fn refused(problems: Vec<Problem>) -> Refused {
    let detail =
        problems.first().map_or_else(|| "the bundle does not compile".to_owned(), ToString::to_string);
    Refused::new(EvalFailure::Evaluation, detail)
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(DETAIL_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

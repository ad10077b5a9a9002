//! The lint: what a policy's author most likely did not mean.
//!
//! One piece serves `gantral policy lint` and the warnings of publishing. It reads the syntax tree and evaluates nothing, so
//! it errs on both sides: it says `problem` only of what it has understood whole. Tests are not looked at.

mod allowed;
mod branch;
mod contract;

use std::collections::BTreeMap;

use serde_json::Value;

use super::ast::{Module, Path, Rule, variant};
use super::calls::full_path;
use super::engine::TEST_MODULE_ENDING;
use super::publish::PACKAGE;
use crate::check::{Finding, LintRule, Place, Weight};
use branch::{Branch, Condition, Constants};

/// The decision that is made where no rule makes one.
const OPEN: &str = "ALLOW";
/// The decision for which somebody must be named.
const HUMAN: &str = "REQUIRE_HUMAN";
/// The members that name who may approve.
const WHO: [&str; 2] = ["approver_roles", "stages"];
const NOBODY: &str =
    "a human is required here and nothing says who: the workflow's default approvers are asked";
const PERHAPS_NOBODY: &str =
    "a human may be required here where nothing says who: the workflow's default approvers are asked";
/// The largest integer that Rego engines keep exactly.
const EXACT_MAX: f64 = 9_007_199_254_740_992.0;

/// Returns what is to be said of these modules, in the order of files and lines.
pub(super) fn findings(modules: &[Module]) -> Vec<Finding> {
    let modules: Vec<&Module> =
        modules.iter().filter(|module| !module.file.ends_with(TEST_MODULE_ENDING)).collect();
    let policy = Policy::read(&modules);
    let mut found = Vec::new();
    policy.open_defaults(&mut found);
    policy.contradictions(&mut found);
    policy.dead_branches(&mut found);
    policy.missing_approvers(&mut found);
    contract::unknown_inputs(&modules, &mut found);
    contract::impossible_values(&policy, &mut found);
    contract::impossible_outputs(&policy, &mut found);
    contract::unread_outputs(&modules, &mut found);
    for module in &modules {
        inexact_numbers(module, &mut found);
    }
    found.sort_by(|a, b| (&a.file, a.line, &a.message).cmp(&(&b.file, b.line, &b.message)));
    found.dedup();
    found
}

/// A branch and the file it stands in.
struct Placed<'a> {
    module: &'a Module,
    branch: Branch,
}

impl Placed<'_> {
    fn finding(&self, weight: Weight, rule: LintRule, message: String) -> Finding {
        Finding { weight, rule, file: self.module.file.clone(), line: self.branch.line, message, other: None }
    }
}

/// All complete rules by their full path, and what they are where nothing else holds.
struct Policy<'a> {
    rules: BTreeMap<Path, Vec<Placed<'a>>>,
    defaults: BTreeMap<Path, (&'a Module, u64, Option<Value>)>,
}

impl<'a> Policy<'a> {
    fn read(modules: &[&'a Module]) -> Self {
        let constants = constants(modules);
        let (mut rules, mut defaults): (BTreeMap<Path, Vec<Placed<'a>>>, _) =
            (BTreeMap::new(), BTreeMap::new());
        for (module, rule) in each_rule(modules) {
            let path = full_path(module, rule);
            if module.definition(rule).is_some_and(|definition| definition.get("Default").is_some()) {
                defaults.insert(path, (module, rule.line, branch::default_value(module, rule)));
                continue;
            }
            let branches = branch::branches(module, rule, &constants).into_iter();
            rules.entry(path).or_default().extend(branches.map(|branch| Placed { module, branch }));
        }
        Self { rules, defaults }
    }

    /// The branches of a member of the contract.
    fn member(&self, name: &str) -> &[Placed<'a>] {
        self.rules.get(&member_path(name)).map_or(&[], Vec::as_slice)
    }

    fn open_defaults(&self, found: &mut Vec<Finding>) {
        if let Some((module, line, Some(Value::String(value)))) = self.defaults.get(&member_path("decision"))
            && value == OPEN
        {
            found.push(Finding {
                weight: Weight::Warning,
                rule: LintRule::FailOpenDefault,
                file: module.file.clone(),
                line: *line,
                message: "the default decision is ALLOW: an input that no rule expects passes".to_owned(),
                other: None,
            });
        }
    }

    fn contradictions(&self, found: &mut Vec<Finding>) {
        for (path, branches) in &self.rules {
            for (at, first) in branches.iter().enumerate() {
                for second in branches.iter().skip(at + 1) {
                    found.extend(contradiction(path, first, second));
                }
            }
        }
    }

    fn dead_branches(&self, found: &mut Vec<Finding>) {
        for (path, branches) in &self.rules {
            for placed in branches.iter().filter(|placed| never_holds(&placed.branch.conditions, &[])) {
                let name = path.last().map_or("", String::as_str);
                let message = format!("this part of `{name}` never holds: its conditions exclude each other");
                found.push(placed.finding(Weight::Warning, LintRule::DeadBranch, message));
            }
        }
    }

    /// Finds decisions for a human that name nobody.
    fn missing_approvers(&self, found: &mut Vec<Finding>) {
        let named: Vec<&Placed<'_>> = WHO.iter().flat_map(|name| self.member(name)).collect();
        let by_default = WHO.iter().any(|name| self.defaults.contains_key(&member_path(name)));
        if by_default || named.iter().any(|placed| placed.branch.is_last_resort) {
            return;
        }
        let message = if named.is_empty() { NOBODY } else { PERHAPS_NOBODY }.to_owned();
        let (weight, rule) = (Weight::Warning, LintRule::MissingApprovers);
        for placed in self.member("decision").iter().filter(|placed| is_human(placed.branch.value.as_ref())) {
            if !named.iter().any(|who| follows(&who.branch, &placed.branch)) {
                found.push(placed.finding(weight, rule, message.clone()));
            }
        }
        if let Some((module, line, value)) = self.defaults.get(&member_path("decision"))
            && is_human(value.as_ref())
        {
            let file = module.file.clone();
            found.push(Finding { weight, rule, file, line: *line, message, other: None });
        }
    }
}

/// Tells whether a branch is taken wherever another is: each of its conditions stands there too.
fn follows(branch: &Branch, other: &Branch) -> bool {
    let stands = |wanted: &Condition| other.conditions.iter().any(|condition| condition.is_same(wanted));
    !branch.incomplete && branch.conditions.iter().all(stands)
}

/// Tells whether a decision is, or may be, that a human decides.
fn is_human(value: Option<&Value>) -> bool {
    value.is_none_or(|value| value == HUMAN)
}

fn contradiction(path: &Path, first: &Placed<'_>, second: &Placed<'_>) -> Option<Finding> {
    let (a, b) = (first.branch.value.as_ref()?, second.branch.value.as_ref()?);
    let same_chain = std::ptr::eq(first.module, second.module) && first.branch.chain == second.branch.chain;
    if same_chain || a == b || never_holds(&first.branch.conditions, &second.branch.conditions) {
        return None;
    }
    let understood = |branch: &Branch| {
        !branch.incomplete && branch.conditions.iter().all(|condition| condition.input.is_some())
    };
    let certain = understood(&first.branch) && understood(&second.branch);
    let name = path.last().map_or("", String::as_str);
    let place = Place { file: second.module.file.clone(), line: second.branch.line };
    let message = format!(
        "`{name}` {} {a} here and {b} at {}:{}: where both hold the evaluation is a conflict, which fails closed",
        if certain { "is" } else { "may be" },
        place.file,
        place.line
    );
    let weight = if certain { Weight::Problem } else { Weight::Warning };
    Some(Finding { other: Some(place), ..first.finding(weight, LintRule::Contradiction, message) })
}

/// Tells whether some condition among these excludes another.
fn never_holds(first: &[Condition], second: &[Condition]) -> bool {
    let all: Vec<&Condition> = first.iter().chain(second).collect();
    all.iter().enumerate().any(|(at, one)| all.iter().skip(at + 1).any(|other| one.excludes(other)))
}

/// Finds rules that are one written value.
fn constants(modules: &[&Module]) -> Constants {
    let mut values: BTreeMap<Path, Vec<Option<Value>>> = BTreeMap::new();
    for (module, rule) in each_rule(modules) {
        let path = ["data".to_owned()].into_iter().chain(full_path(module, rule)).collect();
        let branches = branch::branches(module, rule, &Constants::new());
        let only = <[Branch; 1]>::try_from(branches).ok().filter(|[branch]| branch.conditions.is_empty());
        values.entry(path).or_default().push(only.and_then(|[branch]| branch.value));
    }
    let single = |(path, values): (Path, Vec<Option<Value>>)| match <[Option<Value>; 1]>::try_from(values) {
        Ok([Some(value)]) => Some((path, value)),
        Ok([None]) | Err(_) => None,
    };
    values.into_iter().filter_map(single).collect()
}

fn each_rule<'a>(modules: &[&'a Module]) -> impl Iterator<Item = (&'a Module, &'a Rule)> {
    modules.iter().flat_map(|module| module.rules.iter().map(move |rule| (*module, rule)))
}

fn member_path(name: &str) -> Path {
    PACKAGE.iter().chain([&name]).map(|part| (*part).to_owned()).collect()
}

/// Finds comparisons with numbers that engines do not keep exactly.
fn inexact_numbers(module: &Module, found: &mut Vec<Finding>) {
    let mut comparisons = Vec::new();
    collect(&module.tree, "BoolExpr", &mut comparisons);
    for comparison in comparisons {
        let mut numbers = Vec::new();
        collect(comparison, "Number", &mut numbers);
        let inexact = numbers.iter().filter_map(|number| number.get("value")).find(|value| {
            value.as_f64().is_some_and(|number| number.fract() != 0.0 || number.abs() > EXACT_MAX)
        });
        let mut arithmetic = Vec::new();
        collect(comparison, "ArithExpr", &mut arithmetic);
        let divides = arithmetic.iter().any(|part| part.get("op").is_some_and(|op| op == "Div"));
        let what = match (inexact, divides) {
            (Some(number), _) => format!("`{number}` is not kept exactly"),
            (None, true) => "a quotient is not kept exactly".to_owned(),
            (None, false) => continue,
        };
        let line = comparison.pointer("/span/line").and_then(Value::as_u64).unwrap_or(0);
        let message = format!("{what}: compare money and counts as whole minor units");
        let (weight, rule, file) = (Weight::Warning, LintRule::InexactNumber, module.file.clone());
        found.push(Finding { weight, rule, file, line, message, other: None });
    }
}

/// Collects the bodies of every node of a kind.
fn collect<'a>(node: &'a Value, kind: &str, found: &mut Vec<&'a Value>) {
    if let Some((name, body)) = variant(node)
        && name == kind
    {
        found.push(body);
    }
    match node {
        Value::Object(fields) => fields.values().for_each(|part| collect(part, kind, found)),
        Value::Array(items) => items.iter().for_each(|item| collect(item, kind, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests;

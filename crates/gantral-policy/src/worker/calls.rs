//! The check of what rules call: only what exists, only allowed builtins, and never themselves.
//!
//! A recursive function ends the worker, and OPA refuses recursion altogether, so it is refused before anything is
//! evaluated. The graph is an over-approximation: a reference to a package counts as one to each of its rules.

use std::collections::{BTreeMap, BTreeSet};

use super::ast::{Module, Path, Rule};
use super::builtins;
use crate::check::Problem;

/// Returns what is wrong with the calls of these modules, in the order of files and lines.
pub(super) fn problems(modules: &[Module]) -> Vec<Problem> {
    let graph = Graph::new(modules);
    let mut problems: Vec<Problem> = modules
        .iter()
        .flat_map(|module| module.rules.iter().map(move |rule| (module, rule)))
        .flat_map(|(module, rule)| graph.unknown_calls(module, rule))
        .collect();
    problems.extend(graph.recursion());
    problems.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
    problems
}

/// Rules by their full path, and what each may reach in one step.
struct Graph<'a> {
    places: BTreeMap<Path, (&'a str, u64)>,
    edges: BTreeMap<Path, BTreeSet<Path>>,
}

impl<'a> Graph<'a> {
    fn new(modules: &'a [Module]) -> Self {
        let mut graph = Self { places: BTreeMap::new(), edges: BTreeMap::new() };
        for module in modules {
            for rule in &module.rules {
                graph.places.entry(full_path(module, rule)).or_insert((&module.file, rule.line));
            }
        }
        for module in modules {
            for rule in &module.rules {
                let reached = graph.reached_by(module, rule);
                graph.edges.entry(full_path(module, rule)).or_default().extend(reached);
            }
        }
        graph
    }

    fn reached_by(&self, module: &Module, rule: &Rule) -> BTreeSet<Path> {
        let uses = &rule.uses;
        let calls = uses.calls.iter().filter_map(|(path, _)| resolve(module, path));
        let references = uses.references.iter().filter(|(path, _)| !is_local(rule, path));
        let references = references.filter_map(|(path, _)| resolve(module, path));
        calls.chain(references).flat_map(|path| self.matching(&path)).collect()
    }

    /// Returns the rules that a path names: the rule it is or leads into, or every rule below it.
    fn matching(&self, path: &Path) -> Vec<Path> {
        let within = (1..=path.len()).filter_map(|length| path.get(..length)).map(<[String]>::to_vec);
        let mut found: Vec<Path> = within.filter(|prefix| self.places.contains_key(prefix)).collect();
        let below = self.places.range(path.clone()..).map(|(other, _)| other);
        found.extend(below.take_while(|other| other.starts_with(path)).cloned());
        found
    }

    fn unknown_calls(&self, module: &Module, rule: &Rule) -> Vec<Problem> {
        let problem = |line: u64, message: String| Problem { file: module.file.clone(), line, message };
        let mut problems = Vec::new();
        for (path, line) in &rule.uses.calls {
            let name = path.join(".");
            let defined = resolve(module, path).is_some_and(|full| self.places.contains_key(&full));
            if !defined && !builtins::is_allowed(&name) {
                problems.push(problem(*line, format!("the function `{name}` is not available to policies")));
            }
        }
        for (path, line) in &rule.uses.references {
            let name = path.join(".");
            if builtins::is_forbidden(&name) && !is_local(rule, path) {
                problems.push(problem(*line, format!("the function `{name}` is not available to policies")));
            }
        }
        problems
    }

    /// Reports each rule that leads back to itself, once for each circle.
    fn recursion(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut finished: BTreeSet<&Path> = BTreeSet::new();
        for start in self.edges.keys() {
            // The rules on the way from `start`, each with what it still leads to.
            let mut trail: Vec<(&Path, Vec<&Path>)> = Vec::new();
            let mut next = (!finished.contains(start)).then_some(start);
            loop {
                if let Some(rule) = next.take() {
                    let reached = self.edges.get(rule).into_iter().flatten().collect();
                    trail.push((rule, reached));
                }
                let Some((rule, pending)) = trail.last_mut() else {
                    break;
                };
                match pending.pop() {
                    None => {
                        finished.insert(rule);
                        trail.pop();
                    }
                    Some(reached) if finished.contains(reached) => {}
                    Some(reached) => match trail.iter().position(|(other, _)| *other == reached) {
                        Some(at) => problems.extend(self.circle(trail.get(at..).unwrap_or_default())),
                        None => next = Some(reached),
                    },
                }
            }
        }
        problems
    }

    fn circle(&self, trail: &[(&Path, Vec<&Path>)]) -> Option<Problem> {
        let (first, _) = trail.first()?;
        let (file, line) = self.places.get(*first)?;
        let mut names: Vec<String> = trail.iter().map(|(path, _)| path.join(".")).collect();
        names.push(first.join("."));
        let message = format!("rules must not be recursive: {}", names.join(" -> "));
        Some(Problem { file: (*file).to_owned(), line: *line, message })
    }
}

pub(super) fn full_path(module: &Module, rule: &Rule) -> Path {
    module.package.iter().chain(&rule.name).cloned().collect()
}

/// A name bound in the rule hides a rule of that name, but not in calls: functions are no values in Rego.
pub(super) fn is_local(rule: &Rule, path: &Path) -> bool {
    path.first().is_some_and(|root| rule.uses.locals.contains(root))
}

/// Returns where in the data document a reference leads; the input leads nowhere.
pub(super) fn resolve(module: &Module, path: &Path) -> Option<Path> {
    let (root, rest) = path.split_first()?;
    let absolute: Path = match (root.as_str(), module.imports.get(root)) {
        ("input", _) => return None,
        ("data", _) => rest.to_vec(),
        (_, Some(import)) => match import.split_first() {
            Some((import_root, target)) if import_root == "data" => {
                target.iter().chain(rest).cloned().collect()
            }
            _ => return None,
        },
        (_, None) => module.package.iter().chain(path).cloned().collect(),
    };
    Some(absolute)
}

#[cfg(test)]
mod tests;

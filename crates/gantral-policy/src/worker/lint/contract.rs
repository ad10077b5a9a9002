//! What a policy reads and writes, held against the contract.

use std::collections::BTreeSet;

use gantral_core::json::{self, Profile};
use gantral_engine::policy_input::{ContractMember, contract_members};
use serde_json::Value;

use super::super::ast::{Module, Path, Rule};
use super::super::calls::{full_path, is_local, resolve};
use super::super::publish::PACKAGE;
use super::{Policy, each_rule, member_path};
use crate::check::{Finding, LintRule, Weight};
use crate::output::{self, MEMBERS};

/// How many letters two names may differ in to be taken for each other.
const SLIPS_MAX: usize = 2;
/// Shorter names are too easily one letter apart by intention.
const SLIP_NAME_CHARS_MIN: usize = 5;
/// The longest name that is looked up, in characters: comparing costs the product of both lengths.
const NAME_CHARS_MAX: usize = 64;

/// Finds members of the input that the contract does not have.
pub(super) fn unknown_inputs(modules: &[&Module], found: &mut Vec<Finding>) {
    let contract = contract_members();
    for (module, rule) in each_rule(modules) {
        for (path, line) in &rule.uses.references {
            let Some(below) = below_input(module, rule, path) else { continue };
            let Some((unknown, nearest)) = unknown(&contract, &below) else { continue };
            let hint = nearest.map(|near| format!("; the contract has `input.{near}`")).unwrap_or_default();
            found.push(Finding {
                weight: Weight::Problem,
                rule: LintRule::UnknownInput,
                file: module.file.clone(),
                line: *line,
                message: format!("`input.{unknown}` is never there{hint}"),
                other: None,
            });
        }
    }
}

/// Returns what of a reference stands below `input`.
fn below_input(module: &Module, rule: &Rule, path: &Path) -> Option<Path> {
    let (root, below) = path.split_first()?;
    if root == "input" {
        return Some(below.to_vec());
    }
    let (origin, imported) = module.imports.get(root).filter(|_| !is_local(rule, path))?.split_first()?;
    (origin == "input").then(|| imported.iter().chain(below).cloned().collect())
}

/// Returns the path up to the first name that the contract does not have, and the member that was probably meant.
fn unknown(contract: &[ContractMember], path: &Path) -> Option<(String, Option<String>)> {
    for length in 1..=path.len() {
        let prefix: Vec<&str> = path.iter().take(length).map(String::as_str).collect();
        match contract.iter().find(|member| member.path() == prefix) {
            Some(member) if member.is_open() => return None,
            Some(_) => {}
            None => return Some((prefix.join("."), nearest(contract, &prefix))),
        }
    }
    None
}

/// Finds the member with the most similar name; among equals one that stands in the same place.
fn nearest(contract: &[ContractMember], path: &[&str]) -> Option<String> {
    let (name, above) = path.split_last()?;
    let near = contract.iter().filter_map(|member| {
        let (known, known_above) = member.path().split_last()?;
        let slips = slips(name, known).or_else(|| spelt_alike(name, known).then_some(0))?;
        Some(((slips, known_above != above), member))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, member)| member.path().join("."))
}

/// Finds comparisons of a member with something that it can never be.
pub(super) fn impossible_values(policy: &Policy<'_>, found: &mut Vec<Finding>) {
    let contract = contract_members();
    let placed = policy.rules.values().flatten();
    for (module, condition) in
        placed.flat_map(|placed| placed.branch.conditions.iter().map(|condition| (placed.module, condition)))
    {
        let Some(path) = &condition.input else { continue };
        let Some(member) = contract.iter().find(|member| member.path() == path.as_slice()) else { continue };
        for value in &condition.compared {
            if let Some(expected) = refused(member, value) {
                found.push(Finding {
                    weight: Weight::Problem,
                    rule: LintRule::ImpossibleValue,
                    file: module.file.clone(),
                    line: condition.line,
                    message: format!("`input.{}` is {expected}, never {value}", path.join(".")),
                    other: None,
                });
            }
        }
    }
}

fn refused(member: &ContractMember, value: &Value) -> Option<&'static str> {
    let value = json::parse(value.to_string().as_bytes(), &Profile::DOCUMENT).ok()?;
    member.refuses(&value)
}

/// Finds constants that a member of the output must not be: wherever one is given, policy has failed.
pub(super) fn impossible_outputs(policy: &Policy<'_>, found: &mut Vec<Finding>) {
    let (weight, rule) = (Weight::Problem, LintRule::ImpossibleValue);
    for name in MEMBERS {
        for placed in policy.member(name) {
            let refused = placed.branch.value.as_ref().and_then(|value| refused_output(name, value));
            found.extend(refused.map(|message| placed.finding(weight, rule, message)));
        }
        if let Some((module, line, Some(value))) = policy.defaults.get(&member_path(name))
            && let Some(message) = refused_output(name, value)
        {
            let (file, line) = (module.file.clone(), *line);
            found.push(Finding { weight, rule, file, line, message, other: None });
        }
    }
}

/// Returns why no output has a member of this value.
fn refused_output(name: &str, value: &Value) -> Option<String> {
    let mut document = serde_json::json!({ "decision": "DENY" });
    document.as_object_mut()?.insert(name.to_owned(), value.clone());
    output::read(document.to_string().as_bytes()).err().map(|error| format!("{error}, as it is here"))
}

/// Finds rules that look like members of the output and are not read as such.
pub(super) fn unread_outputs(modules: &[&Module], found: &mut Vec<Finding>) {
    let used: BTreeSet<Path> = each_rule(modules)
        .flat_map(|(module, rule)| {
            let own = full_path(module, rule);
            let paths = rule.uses.references.iter().chain(&rule.uses.calls);
            // What only its own other parts use is not used.
            paths.filter_map(|(path, _)| resolve(module, path)).filter(move |path| *path != own)
        })
        .collect();
    for (module, rule) in each_rule(modules) {
        let path = full_path(module, rule);
        let helps = used.iter().any(|used| path.starts_with(used) || used.starts_with(&path));
        let Some(name) = rule.name.first().filter(|_| !helps) else { continue };
        let is_member = MEMBERS.contains(&name.as_str());
        let similar = || {
            let near =
                MEMBERS.iter().find(|member| spelt_alike(member, name) || slips(member, name).is_some());
            near.map(|member| format!("`{name}` is not read; the contract has `{member}`"))
        };
        let message = match (module.package == PACKAGE, is_member) {
            (true, true) => continue,
            (true, false) => similar(),
            (false, true) => Some(format!(
                "`{name}` is not read in package `{}`, only in `gantral.policy`",
                module.package.join(".")
            )),
            (false, false) => None,
        };
        let (weight, rule_name, file) = (Weight::Warning, LintRule::UnreadOutput, module.file.clone());
        let finding =
            |message| Finding { weight, rule: rule_name, file, line: rule.line, message, other: None };
        found.extend(message.map(finding));
    }
}

/// Tells whether two names differ only in a final `s`, in case or in underscores.
fn spelt_alike(a: &str, b: &str) -> bool {
    let plain = |name: &str| name.to_lowercase().replace('_', "").trim_end_matches('s').to_owned();
    plain(a) == plain(b)
}

/// Returns in how many letters two names differ, if it may be a slip.
fn slips(a: &str, b: &str) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let shortest = a.len().min(b.len());
    if shortest < SLIP_NAME_CHARS_MIN || a.len().max(b.len()) > NAME_CHARS_MAX {
        return None;
    }
    // One row of the table of edit distances for each letter of `a`.
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (at, letter) in a.iter().enumerate() {
        let mut next = vec![at + 1];
        for (other, (above_left, above)) in b.iter().zip(row.iter().zip(row.iter().skip(1))) {
            let left = next.last().copied().unwrap_or(0);
            next.push((above_left + usize::from(letter != other)).min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().filter(|distance| *distance <= SLIPS_MAX)
}

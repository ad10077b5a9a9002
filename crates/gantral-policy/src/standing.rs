//! Standing rules: what a human proposes at a gate, so that nobody is asked about the same again, as Rego that policy authors can read.
//!
//! A rule says how far a later call may differ from the one at the gate, until when, and how often. It stands in a file of its own in the package
//! `gantral.standing`, and does nothing by itself: a policy says where it counts, by `data.gantral.standing.applies`
//! (`docs/implementation/policy-evaluation-opa.md`). So no rule passes by what the policy's author forbids.

use std::fmt::Write as _;

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, GateId, Name, WorkflowId};
use gantral_core::json::{Number, Object, Pointer, Value};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::bundle::{Bundle, BundleError};

/// The longest that a rule lasts: who wants it for ever writes it into the policy.
pub const RULE_LASTS_MAX: DurationMs = DurationMs::from_secs(90 * DAY_SECS);
/// The largest number of uses of a rule with a bound.
pub const RULE_USES_MAX: u32 = 10_000;
/// The largest number of members that a rule leaves free, and that it bounds.
pub const RULE_POINTERS_MAX: usize = 32;

const DAY_SECS: u64 = 86_400;
/// An end is put on the next full hour, so that who proposes the same twice proposes the same.
const HOUR_MS: u64 = 3_600_000;
/// Where rules stand in a bundle.
const FOLDER: &str = "standing/";
/// How much of a digest names a rule, in hexadecimal digits.
const NAME_DIGITS: usize = 12;
/// From here on Rego engines do not tell all whole numbers apart.
const EXACT_BELOW: u64 = 1 << 53;

/// The call at a gate, as far as a rule goes by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallAtGate {
    /// The gate.
    pub gate: GateId,
    /// The workflow.
    pub workflow: WorkflowId,
    /// The agent's client.
    pub agent: ActorId,
    /// The name of the action.
    pub action: Name,
    /// What it is done to.
    pub target: String,
    /// Its parameters, all of them.
    pub parameters: Object,
    /// Those that policy sees.
    pub seen: Object,
}

/// How far a later call may differ, and how long the rule lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// Members of the parameters that may be anything.
    pub free: Vec<Pointer>,
    /// Members of the parameters that may be any number up to a bound.
    pub at_most: Vec<(Pointer, i64)>,
    /// For how long, at least a minute and at most [`RULE_LASTS_MAX`]; it ends with the next full hour.
    pub lasts: DurationMs,
    /// How often, 1 to [`RULE_USES_MAX`]; `None`: as often as is asked until its end.
    pub uses: Option<u32>,
}

/// Why there is no such rule. The proposer's fault, who may propose another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Nothing stands there.
    #[error("`{pointer}` is no member of the parameters")]
    NotThere {
        /// The pointer.
        pointer: String,
    },
    /// What is left free or bounded stands below something that is, or in a list.
    #[error("`{pointer}` is said twice, or stands in a list: lists are free as a whole or not at all")]
    Place {
        /// The pointer.
        pointer: String,
    },
    /// A bound for what is no number, or is above it.
    #[error("`{pointer}` is no number of at most {bound}")]
    Bound {
        /// The pointer.
        pointer: String,
        /// The bound.
        bound: i64,
    },
    /// A number that Rego engines do not compare exactly.
    #[error("the number at `{at}` cannot be compared exactly: leave it free, or bound it")]
    Inexact {
        /// Where it stands.
        at: String,
    },
    /// A parameter that policy does not see, and that is not left free.
    #[error(
        "policy does not see the parameter `{name}`, so that no rule can compare it: leave it free to say that it does not matter"
    )]
    Unseen {
        /// The name of the parameter.
        name: String,
    },
    /// It lasts too short or too long.
    #[error("a rule lasts from 1 minute to 90 days")]
    Lasts,
    /// No number of uses.
    #[error("a rule is used 1 to 10000 times, or without a bound")]
    Uses,
    /// Too many members.
    #[error("a rule leaves at most 32 members free, and bounds at most 32")]
    TooMany,
}

/// One standing rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingRule {
    /// Its name: what policies cite, and uses are counted by.
    pub name: Name,
    /// From when on it says nothing.
    pub until: UnixMillis,
    /// The file that says it.
    pub rego: String,
}

impl StandingRule {
    /// Writes the rule that lets pass what is like a call, as far as it reaches from `now` on.
    ///
    /// # Errors
    /// See [`RuleError`].
    pub fn new(of: &CallAtGate, reach: &Reach, now: UnixMillis) -> Result<Self, RuleError> {
        if reach.free.len() > RULE_POINTERS_MAX || reach.at_most.len() > RULE_POINTERS_MAX {
            return Err(RuleError::TooMany);
        }
        if !(60_000..=RULE_LASTS_MAX.get()).contains(&reach.lasts.get()) {
            return Err(RuleError::Lasts);
        }
        if reach.uses.is_some_and(|uses| !(1..=RULE_USES_MAX).contains(&uses)) {
            return Err(RuleError::Uses);
        }
        let until = next_hour(now.plus(reach.lasts));
        let conditions = Conditions::of(of, reach)?;
        let said = format!("{}\n{}\n{:?}", conditions.0.join("\n"), until.to_text(), reach.uses);
        let digest = Digest::of(said.as_bytes()).to_hex();
        let name = format!("r-{}", digest.get(..NAME_DIGITS).unwrap_or(&digest));
        let rego = rego(&name, of.gate, conditions, until, reach.uses);
        // Letters, digits and a hyphen are a name.
        let name = Name::parse(&name).unwrap_or_else(|_| Name::unknown());
        Ok(Self { name, until, rego })
    }

    fn path(&self) -> String {
        format!("{FOLDER}{}-{}.rego", day(self.until), self.name)
    }
}

impl Bundle {
    /// Returns this bundle with one more standing rule, and without those whose last day has passed. A signature is left behind: it was of other files.
    ///
    /// # Errors
    /// `TooLarge`, `TooManyFiles`.
    pub fn with_rule(&self, rule: &StandingRule, now: UnixMillis) -> Result<Self, BundleError> {
        let today = day(now);
        let (path, content) = (rule.path(), rule.rego.clone().into_bytes());
        let is_over = |path: &str| {
            let named = path.strip_prefix(FOLDER).and_then(|name| name.get(..today.len()));
            named.is_some_and(|last| is_day(last) && last < today.as_str())
        };
        let others = self.files().filter(|(other, _)| *other != path && !is_over(other));
        let others = others.filter(|(other, _)| !Self::is_signature(other));
        let others = others.map(|(other, content)| (other.to_owned(), content.to_vec()));
        Self::from_files(others.chain([(path.clone(), content)]))
    }
}

fn rego(name: &str, gate: GateId, conditions: Conditions, until: UnixMillis, uses: Option<u32>) -> String {
    let mut lines = conditions.0;
    lines.push(format!("input.now < {}", literal(&until.to_text().into())));
    lines.extend(uses.map(|uses| format!("object.get(input.totals.rules, \"{name}\", 0) < {uses}")));
    let until = until.to_text();
    let often = uses.map_or_else(String::new, |uses| format!(", {uses} times"));
    format!(
        "# Proposed at gate {gate}: until {until}{often}, nobody is asked about such a call.\n\
         package gantral.standing\n\nimport rego.v1\n\napplies contains \"{name}\" if {{\n\t{}\n}}\n",
        lines.join("\n\t")
    )
}

/// What must hold of an input, line by line.
struct Conditions(Vec<String>);

impl Conditions {
    fn of(of: &CallAtGate, reach: &Reach) -> Result<Self, RuleError> {
        let unseen = |name: &str| of.seen.get(name).is_none();
        for name in of.parameters.names().filter(|name| unseen(name)) {
            let is_free = |pointer: &Pointer| matches!(pointer.steps(), [only] if only == name);
            if !reach.free.iter().any(is_free) {
                return Err(RuleError::Unseen { name: name.to_owned() });
            }
        }
        let free = reach
            .free
            .iter()
            .filter(|pointer| !unseen(pointer.first()) || of.parameters.get(pointer.first()).is_none());
        let free: Vec<&Pointer> = free.collect();
        let root = Value::from(of.seen.clone());
        let placed: Vec<&Pointer> =
            free.iter().copied().chain(reach.at_most.iter().map(|(pointer, _)| pointer)).collect();
        for (number, pointer) in placed.iter().enumerate() {
            let text = || pointer.as_str().to_owned();
            pointer.find(&root).ok_or_else(|| RuleError::NotThere { pointer: text() })?;
            let overlaps = |other: &&Pointer| {
                other.steps().starts_with(pointer.steps()) || pointer.steps().starts_with(other.steps())
            };
            if placed.iter().take(number).any(overlaps) {
                return Err(RuleError::Place { pointer: text() });
            }
        }
        let mut lines = vec![
            format!("input.instance.workflow_id == {}", literal(&of.workflow.as_str().into())),
            format!("input.identity.actor_id == {}", literal(&of.agent.as_str().into())),
            format!("input.action.name == {}", literal(&of.action.as_str().into())),
            format!("input.action.target == {}", literal(&of.target.as_str().into())),
        ];
        let walk = Walk { free: &free, at_most: &reach.at_most };
        walk.compare(&mut Vec::new(), &root, &mut lines)?;
        Ok(Self(lines))
    }
}

/// Goes through the parameters and says how each is compared.
struct Walk<'a> {
    free: &'a [&'a Pointer],
    at_most: &'a [(Pointer, i64)],
}

impl Walk<'_> {
    fn compare<'v>(
        &self,
        path: &mut Vec<&'v str>,
        value: &'v Value,
        lines: &mut Vec<String>,
    ) -> Result<(), RuleError> {
        let is_here = |pointer: &Pointer| pointer.steps().iter().eq(path.iter());
        let is_below = |pointer: &Pointer| {
            pointer.steps().len() > path.len() && pointer.steps().iter().zip(path.iter()).all(|(a, b)| a == b)
        };
        if self.free.iter().any(|pointer| is_here(pointer)) {
            return Ok(());
        }
        if let Some((pointer, bound)) = self.at_most.iter().find(|(pointer, _)| is_here(pointer)) {
            return bounded(path, value, pointer, *bound, lines);
        }
        let mut below = self.free.iter().copied().chain(self.at_most.iter().map(|(pointer, _)| pointer));
        match (below.find(|pointer| is_below(pointer)), value) {
            (Some(_), Value::Object(members)) => {
                let names: Vec<String> = members.names().map(|name| literal(&name.into())).collect();
                let at = reference(path);
                // What is none must not be an error of the whole policy.
                lines.push(format!("is_object({at})"));
                lines.push(format!("object.keys({at}) == {{{}}}", names.join(", ")));
                for (name, value) in members.iter() {
                    path.push(name);
                    self.compare(path, value, lines)?;
                    path.pop();
                }
                Ok(())
            }
            (Some(pointer), _) => Err(RuleError::Place { pointer: pointer.as_str().to_owned() }),
            (None, _) => {
                exact(path, value)?;
                lines.push(format!("{} == {}", reference(path), literal(value)));
                Ok(())
            }
        }
    }
}

/// A number up to a bound, and no negative one where this one is none.
fn bounded(
    path: &[&str],
    value: &Value,
    pointer: &Pointer,
    bound: i64,
    lines: &mut Vec<String>,
) -> Result<(), RuleError> {
    let refused = || RuleError::Bound { pointer: pointer.as_str().to_owned(), bound };
    let here = value
        .as_i64()
        .filter(|here| *here <= bound && bound.unsigned_abs() < EXACT_BELOW)
        .ok_or_else(refused)?;
    let at = reference(path);
    lines.push(format!("is_number({at})"));
    if here >= 0 {
        lines.push(format!("{at} >= 0"));
    }
    lines.push(format!("{at} <= {bound}"));
    Ok(())
}

/// Refuses numbers that engines round.
fn exact(path: &[&str], value: &Value) -> Result<(), RuleError> {
    let is_exact = |number: &Number| number.as_i64().is_some_and(|whole| whole.unsigned_abs() < EXACT_BELOW);
    match value {
        Value::Number(number) if !is_exact(number) => {
            Err(RuleError::Inexact { at: path.iter().map(|step| format!("/{step}")).collect() })
        }
        Value::Array(items) => items.iter().try_for_each(|item| exact(path, item)),
        Value::Object(members) => {
            members.iter().try_for_each(|(name, value)| exact(&[path, &[name]].concat(), value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Returns how Rego names a member of the parameters.
fn reference(path: &[&str]) -> String {
    let mut text = "input.action.parameters".to_owned();
    for step in path {
        // Writing to a `String` cannot fail.
        let _ = match is_plain(step) {
            true => write!(text, ".{step}"),
            false => write!(text, "[{}]", literal(&(*step).into())),
        };
    }
    text
}

/// Tells whether a member can be named by a dot; keywords are not, whichever version of the language.
fn is_plain(step: &str) -> bool {
    const KEYWORDS: [&str; 16] = [
        "as", "contains", "data", "default", "else", "every", "false", "if", "import", "in", "not", "null",
        "package", "some", "true", "with",
    ];
    let mut bytes = step.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_lowercase() || first == b'_')
        && bytes.all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
        && !KEYWORDS.contains(&step)
}

/// Returns a value as Rego writes it, which is as JSON does.
fn literal(value: &Value) -> String {
    String::from_utf8_lossy(&value.to_canonical()).into_owned()
}

fn next_hour(at: UnixMillis) -> UnixMillis {
    UnixMillis::new(at.get().div_ceil(HOUR_MS).saturating_mul(HOUR_MS)).unwrap_or(at)
}

fn day(at: UnixMillis) -> String {
    at.to_text().chars().take("2026-01-31".len()).collect()
}

fn is_day(text: &str) -> bool {
    let shape = "dddd-dd-dd";
    text.len() == shape.len()
        && text.bytes().zip(shape.bytes()).all(|(byte, kind)| match kind {
            b'd' => byte.is_ascii_digit(),
            kind => byte == kind,
        })
}

#[cfg(test)]
mod tests;

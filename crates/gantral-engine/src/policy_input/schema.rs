//! The schema of the input contract as one table: members, whether they must be there, and what they may be.

use gantral_core::digest::Digest;
use gantral_core::ids::{ActorId, InstanceId, Name, Role, TeamId, WorkflowId};
use gantral_core::json::{self, Object, Value};
use gantral_core::policy::Materiality;
use gantral_core::time::UnixMillis;

use super::{Domain, InputError, Trigger, profile};

/// The only state in which policy is evaluated.
pub(super) const STATE: &str = "RUNNING";
/// How much of an unknown member's name is shown, in characters.
const SHOWN_CHARS_MAX: usize = 40;

/// One member of an object: its name, whether it is required, and what it may be.
struct Member(&'static str, bool, Kind);

/// What a member may be.
enum Kind {
    /// An object with exactly these members.
    Closed(&'static [Member]),
    /// Anything that passes this check and may have members of its own, and its name in messages.
    Open(fn(&Value) -> bool, &'static str),
    /// Anything that passes this check, and its name in messages.
    Of(fn(&Value) -> bool, &'static str),
}

const REQUIRED: bool = true;
const OPTIONAL: bool = false;

const CONTRACT: &[Member] = &[
    Member("action", OPTIONAL, Kind::Closed(ACTION)),
    Member("context", REQUIRED, Kind::Closed(CONTEXT)),
    Member("execution", REQUIRED, Kind::Closed(EXECUTION)),
    Member("identity", REQUIRED, Kind::Closed(IDENTITY)),
    Member("instance", REQUIRED, Kind::Closed(INSTANCE)),
    Member("now", OPTIONAL, Kind::Of(|v| is(v, |t| UnixMillis::parse(t).is_ok()), "an instant")),
    Member("policy", REQUIRED, Kind::Closed(POLICY)),
    Member("requester", OPTIONAL, Kind::Open(is_chain, "an object or a list")),
    Member("totals", OPTIONAL, Kind::Open(is_object, "an object")),
];

const INSTANCE: &[Member] = &[
    Member("instance_id", REQUIRED, Kind::Of(|v| is(v, |t| InstanceId::parse(t).is_ok()), "a UUID")),
    Member(
        "materiality",
        REQUIRED,
        Kind::Of(|v| is(v, |t| Materiality::parse(t).is_some()), "LOW, MEDIUM or HIGH"),
    ),
    Member("owning_team_id", REQUIRED, Kind::Of(|v| is(v, |t| TeamId::parse(t).is_ok()), "a name")),
    Member("workflow_id", REQUIRED, Kind::Of(|v| is(v, |t| WorkflowId::parse(t).is_ok()), "a name")),
    Member("workflow_version", REQUIRED, Kind::Of(|v| is(v, |t| Name::parse(t).is_ok()), "a name")),
];

const EXECUTION: &[Member] = &[
    Member("cost_estimate", REQUIRED, Kind::Of(is_cost, "a number that is not negative")),
    Member("current_state", REQUIRED, Kind::Of(|v| is(v, |t| t == STATE), "RUNNING")),
    Member("step", REQUIRED, Kind::Of(|v| is(v, |t| Name::parse(t).is_ok()), "a name")),
];

const CONTEXT: &[Member] = &[
    Member("attributes", REQUIRED, Kind::Open(is_object, "an object")),
    Member(
        "domain",
        REQUIRED,
        Kind::Of(|v| is(v, |t| Domain::parse(t).is_some()), "a domain of the contract"),
    ),
    Member(
        "trigger",
        REQUIRED,
        Kind::Of(|v| is(v, |t| Trigger::parse(t).is_some()), "a trigger of the contract"),
    ),
];

const IDENTITY: &[Member] = &[
    Member("actor_id", REQUIRED, Kind::Of(|v| is(v, |t| ActorId::parse(t).is_ok()), "a name")),
    Member("roles", REQUIRED, Kind::Open(is_roles, "a list of role names")),
];

const POLICY: &[Member] =
    &[Member("policy_version_id", REQUIRED, Kind::Of(|v| is(v, |t| Digest::parse(t).is_ok()), "a digest"))];

const ACTION: &[Member] = &[
    Member("name", REQUIRED, Kind::Of(|v| is(v, |t| Name::parse(t).is_ok()), "a name")),
    Member("parameters", REQUIRED, Kind::Open(is_object, "an object")),
    Member("target", REQUIRED, Kind::Of(|v| is(v, |_| true), "a text")),
];

/// A member of the contract at any depth, for whoever reads policies rather than inputs.
pub struct ContractMember {
    path: Vec<&'static str>,
    kind: &'static Kind,
}

impl ContractMember {
    /// Returns where it stands, from below `input`.
    pub fn path(&self) -> &[&'static str] {
        &self.path
    }

    /// Tells whether it may have members that the contract does not name.
    pub const fn is_open(&self) -> bool {
        matches!(self.kind, Kind::Open(..))
    }

    /// Returns what it must be, if this value can never stand there.
    pub fn refuses(&self, value: &Value) -> Option<&'static str> {
        match self.kind {
            Kind::Closed(_) => value.as_object().is_none().then_some("an object"),
            Kind::Open(passes, expected) | Kind::Of(passes, expected) => {
                (!passes(value)).then_some(*expected)
            }
        }
    }
}

/// Returns every member of the contract, each before those within it.
pub fn contract_members() -> Vec<ContractMember> {
    let mut found = Vec::new();
    collect(&[], CONTRACT, &mut found);
    found
}

fn collect(above: &[&'static str], members: &'static [Member], found: &mut Vec<ContractMember>) {
    for Member(name, _, kind) in members {
        let path = [above, &[*name]].concat();
        found.push(ContractMember { path: path.clone(), kind });
        if let Kind::Closed(within) = kind {
            collect(&path, within, found);
        }
    }
}

/// Checks that bytes are an input of the contract, whoever made them.
///
/// # Errors
/// The first member, in the order of the contract, that is wrong. The caller's fault; not worth another try.
pub fn validate(bytes: &[u8]) -> Result<(), InputError> {
    let document =
        json::parse(bytes, &profile()).map_err(|error| InputError::Json { reason: error.to_string() })?;
    check(&document)
}

/// Checks a document that was parsed or built.
pub(super) fn check(document: &Value) -> Result<(), InputError> {
    let members = document.as_object().ok_or_else(|| wrong("input", "an object"))?;
    check_members("", members, CONTRACT)
}

fn check_members(prefix: &str, found: &Object, expected: &[Member]) -> Result<(), InputError> {
    for Member(name, required, kind) in expected {
        let path = || format!("{prefix}{name}");
        match (found.get(name), kind) {
            (None, _) if *required => return Err(InputError::Missing { member: path() }),
            (None, _) => {}
            (Some(value), Kind::Closed(members)) => {
                let object = value.as_object().ok_or_else(|| wrong(&path(), "an object"))?;
                check_members(&format!("{prefix}{name}."), object, members)?;
            }
            (Some(value), Kind::Of(passes, expected) | Kind::Open(passes, expected)) => {
                if !passes(value) {
                    return Err(wrong(&path(), expected));
                }
            }
        }
    }
    match found.names().find(|name| !expected.iter().any(|Member(known, ..)| known == name)) {
        None => Ok(()),
        Some(name) => {
            let shown = name.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX);
            Err(InputError::Unknown { member: format!("{prefix}{}", shown.collect::<String>()) })
        }
    }
}

fn wrong(member: &str, expected: &'static str) -> InputError {
    InputError::Value { member: member.to_owned(), expected }
}

fn is(value: &Value, passes: impl Fn(&str) -> bool) -> bool {
    value.as_str().is_some_and(passes)
}

const fn is_object(value: &Value) -> bool {
    value.as_object().is_some()
}

fn is_chain(value: &Value) -> bool {
    value.as_object().is_some() || value.as_array().is_some()
}

fn is_cost(value: &Value) -> bool {
    value.as_number().is_some_and(|number| !number.to_string().starts_with('-'))
}

fn is_roles(value: &Value) -> bool {
    value.as_array().is_some_and(|roles| roles.iter().all(|role| is(role, |t| Role::parse(t).is_ok())))
}

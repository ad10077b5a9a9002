//! Reading a statement: versions first, then the closed members, then what repeats what.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::event::{Actor, Entry, Identity, WorkflowRef};
use gantral_core::ids::{InstanceId, instance_tag};
use gantral_core::json::{self, ParseError, Profile, Value};

use super::{
    ARTIFACT_VERSION, Decoded, ISSUER_BYTES_MAX, PREDICATE_TYPE, STATEMENT_TYPE, SUBJECT_PREFIX, Statement,
    StatementError, detail,
};
use crate::fields::{FieldError, Fields, Scalar};
use crate::log::tree::TreeHead;

const STATEMENT: [&str; 4] = ["_type", "predicate", "predicateType", "subject"];
const PREDICATE: [&str; 22] = [
    "actor",
    "anchor",
    "artifact_id",
    "artifact_version",
    "attempt",
    "authority_state",
    "blind",
    "crit",
    "detail",
    "event",
    "ext",
    "from_state",
    "instance_id",
    "instance_tag",
    "issued_at",
    "log_origin",
    "mode",
    "prev_artifact_hash",
    "semantics_digest",
    "sequence",
    "tenant_id",
    "workflow",
];

/// The most names in `crit`, and in `ext`.
const EXTENSIONS_MAX: usize = 64;

/// Who vouched for an identity: an URL or a name, in visible ASCII.
pub(super) struct Issuer(pub String);

impl Scalar for Issuer {
    const EXPECTED: &'static str = "an issuer: 1 to 256 visible ASCII characters";

    fn read(value: &Value) -> Option<Self> {
        let text = value.as_str()?;
        let fits = (1..=ISSUER_BYTES_MAX).contains(&text.len());
        (fits && text.bytes().all(|b| b.is_ascii_graphic())).then(|| Self(text.to_string()))
    }
}

pub(super) fn statement(payload: &[u8]) -> Result<Decoded, StatementError> {
    let read = |predicate: &Fields<'_>, subject: &Value| {
        let statement = read_predicate(predicate)?;
        check_repeated(&statement, predicate, subject)?;
        Ok(statement)
    };
    let Extended { statement, extensions } = read_extended(payload, PREDICATE_TYPE, &PREDICATE, read)?;
    Ok(Decoded { statement, extensions })
}

/// What was read of a payload, with the names of the extensions that were ignored.
pub(crate) struct Extended<T> {
    pub(crate) statement: T,
    pub(crate) extensions: Vec<String>,
}

/// Reads what every statement of ours begins with: canonical form, versions, the closed members, and extensions. What the
/// predicate and the subject say is read by the caller.
pub(crate) fn read_extended<T>(
    payload: &[u8],
    predicate_type: &'static str,
    members: &[&'static str],
    read: impl FnOnce(&Fields<'_>, &Value) -> Result<T, StatementError>,
) -> Result<Extended<T>, StatementError> {
    read_extended_with(payload, predicate_type, members, &[], read)
}

/// As [`read_extended`]; those of the predicate's members that are `optional` may be missing.
pub(crate) fn read_extended_with<T>(
    payload: &[u8],
    predicate_type: &'static str,
    members: &[&'static str],
    optional: &[&'static str],
    read: impl FnOnce(&Fields<'_>, &Value) -> Result<T, StatementError>,
) -> Result<Extended<T>, StatementError> {
    let value = match json::parse_canonical(payload, &Profile::ARTIFACT) {
        Ok(value) => value,
        Err(error) => return Err(unreadable(payload, predicate_type, error)),
    };
    check_versions(&value, predicate_type)?;
    let outer = Fields::open(&value, "statement", STATEMENT.into_iter())?;
    let names = members.iter().copied();
    let predicate = Fields::open_with(outer.value("predicate")?, "predicate", names, optional)?;
    // Read for its type only: `check_versions` has compared it, if it is a text.
    let _: String = predicate.get("artifact_version")?;
    let critical: Vec<String> = predicate.scalars("crit", EXTENSIONS_MAX)?;
    if let Some(name) = critical.into_iter().next() {
        return Err(StatementError::Critical(name));
    }
    let ext = predicate.value("ext")?;
    let extensions = ext.as_object().filter(|members| members.len() <= EXTENSIONS_MAX);
    let extensions = extensions.ok_or_else(|| predicate.invalid("ext", ext, "an object within its limit"))?;
    let statement = read(&predicate, outer.value("subject")?)?;
    Ok(Extended { statement, extensions: extensions.names().map(String::from).collect() })
}

/// A later version may allow what this profile refuses; whoever reads on must not call that a contradiction.
fn unreadable(payload: &[u8], predicate_type: &'static str, error: ParseError) -> StatementError {
    let later = json::parse(payload, &Profile::DOCUMENT).ok();
    let later = later.and_then(|value| check_versions(&value, predicate_type).err());
    later.unwrap_or(StatementError::Json(error))
}

/// Refuses versions and types that are there and are not ours; that they are there is checked later.
fn check_versions(value: &Value, predicate_type: &'static str) -> Result<(), StatementError> {
    let version = value.get("predicate").and_then(|predicate| predicate.get("artifact_version"));
    for (member, found, known) in [
        ("artifact_version", version, ARTIFACT_VERSION),
        ("_type", value.get("_type"), STATEMENT_TYPE),
        ("predicateType", value.get("predicateType"), predicate_type),
    ] {
        if let Some(found) = found.and_then(Value::as_str).filter(|found| *found != known) {
            let shown = |c: char| if c.is_ascii_graphic() { c } else { '\u{fffd}' };
            let found = found.chars().take(ISSUER_BYTES_MAX).map(shown).collect();
            return Err(StatementError::Unsupported { member, found });
        }
    }
    Ok(())
}

fn read_predicate(fields: &Fields<'_>) -> Result<Statement, StatementError> {
    let event = detail::read(fields.get("event")?, fields.value("detail")?)?;
    Ok(Statement {
        artifact_id: fields.get("artifact_id")?,
        identity: Identity {
            tenant: fields.get("tenant_id")?,
            origin: fields.get("log_origin")?,
            instance: fields.get("instance_id")?,
            workflow: workflow(fields.value("workflow")?)?,
        },
        sequence: fields.get("sequence")?,
        previous: fields.opt("prev_artifact_hash")?,
        semantics: fields.get("semantics_digest")?,
        from_state: fields.opt("from_state")?,
        state: fields.get("authority_state")?,
        entry: Entry {
            event,
            actor: read_actor(fields.value("actor")?)?,
            attempt: fields.get("attempt")?,
            mode: fields.get("mode")?,
            at: fields.get("issued_at")?,
        },
        anchor: fields.opt_with("anchor", read_anchor)?,
        blind: *fields.get::<Digest>("blind")?.as_bytes(),
    })
}

/// Reads an anchor.
pub(crate) fn read_anchor(value: &Value) -> Result<TreeHead, FieldError> {
    let fields = Fields::open(value, "anchor", ["root", "size"].into_iter())?;
    Ok(TreeHead { size: fields.get("size")?, root: fields.get("root")? })
}

/// Reads an actor.
pub(crate) fn read_actor(value: &Value) -> Result<Actor, FieldError> {
    let fields = Fields::open(value, "actor", ["id", "issuer", "kind", "role"].into_iter())?;
    Ok(Actor {
        id: fields.get("id")?,
        kind: fields.get("kind")?,
        issuer: fields.opt::<Issuer>("issuer")?.map(|issuer| issuer.0),
        role: fields.opt("role")?,
    })
}

fn workflow(value: &Value) -> Result<WorkflowRef, FieldError> {
    let fields = Fields::open(value, "workflow", ["digest", "id", "materiality", "version"].into_iter())?;
    Ok(WorkflowRef {
        id: fields.get("id")?,
        version: fields.get("version")?,
        digest: fields.get("digest")?,
        materiality: fields.get("materiality")?,
    })
}

/// Checks the members that follow from others: a reader may use either.
fn check_repeated(
    statement: &Statement,
    predicate: &Fields<'_>,
    subject: &Value,
) -> Result<(), StatementError> {
    let identity = &statement.identity;
    let tag = instance_tag(&identity.tenant, &identity.instance);
    if predicate.get::<Digest>("instance_tag")? != tag {
        return Err(StatementError::Disagrees("instance_tag"));
    }
    let (name, digest) = read_subject(subject)?;
    let instance = name.strip_prefix(SUBJECT_PREFIX).unwrap_or_default();
    let is_instance = InstanceId::parse(instance) == Ok(identity.instance);
    if is_instance && digest == identity.workflow.digest {
        Ok(())
    } else {
        Err(StatementError::Disagrees("subject"))
    }
}

/// Reads the one subject of a statement: its name and its digest.
pub(crate) fn read_subject(subject: &Value) -> Result<(String, Digest), FieldError> {
    let Some([entry]) = subject.as_array() else {
        return Err(FieldError::NotAnObject { of: "subject" });
    };
    let entry = Fields::open(entry, "subject", ["digest", "name"].into_iter())?;
    let digest = Fields::open(entry.value("digest")?, "digest", ["sha256"].into_iter())?;
    Ok((entry.get("name")?, digest.get("sha256")?))
}

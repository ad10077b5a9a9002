//! The manifest of a bundle: OPA's `.manifest`, of which the language version and the revision matter here.

use gantral_core::json::{self, Object, Profile, Value};

use super::BundleError;

/// The version of the Rego language that a bundle is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RegoVersion {
    /// Rules without `if` and `contains`, as before OPA 1.0.
    V0,
    /// Rules with `if` and `contains`.
    V1,
}

impl RegoVersion {
    /// Returns the number that manifests carry.
    pub const fn number(self) -> u8 {
        match self {
            Self::V0 => 0,
            Self::V1 => 1,
        }
    }
}

/// Returns the language version that a manifest names; version 1 when there is none.
pub(super) fn rego_version(content: Option<&[u8]>) -> Result<RegoVersion, BundleError> {
    let Some(content) = content else {
        return Ok(RegoVersion::V1);
    };
    let members = parse(content)?;
    // One bundle speaks one version: mixed bundles would need OPA's path patterns.
    if members.get("file_rego_versions").is_some_and(|value| !is_empty(value)) {
        return Err(refused("`file_rego_versions` is not supported, use one language version per bundle"));
    }
    if members.get("wasm").is_some_and(|value| !is_empty(value)) {
        return Err(refused("`wasm` is not supported, ship the Rego source"));
    }
    match members.get("rego_version").map(Value::as_u64) {
        None | Some(Some(1)) => Ok(RegoVersion::V1),
        Some(Some(0)) => Ok(RegoVersion::V0),
        Some(_) => Err(refused("`rego_version` is neither 0 nor 1")),
    }
}

/// Returns the manifest's canonical bytes without `revision`, or nothing when nothing else is in it.
///
/// The content of a bundle's manifest was parsed when the bundle was made; anything else counts as it is.
pub(super) fn without_revision(content: &[u8]) -> Option<Vec<u8>> {
    let Ok(mut members) = parse(content) else {
        return Some(content.to_vec());
    };
    members.remove("revision");
    (!members.is_empty()).then(|| Value::from(members).to_canonical())
}

/// Returns the `revision`, if it is a text.
pub(super) fn revision(content: &[u8]) -> Option<String> {
    parse(content).ok()?.get("revision")?.as_str().map(ToOwned::to_owned)
}

/// Returns a manifest's canonical bytes with this `revision` and everything else as it was.
pub(super) fn with_revision(content: Option<&[u8]>, revision: &str) -> Result<Vec<u8>, BundleError> {
    let members = content.map(parse).transpose()?.unwrap_or_default();
    Ok(Value::from(members.with("revision", revision)).to_canonical())
}

fn parse(content: &[u8]) -> Result<Object, BundleError> {
    match json::parse(content, &Profile::DOCUMENT) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => Err(refused("it is not a JSON object")),
        Err(error) => Err(BundleError::Manifest { reason: error.to_string() }),
    }
}

fn is_empty(value: &Value) -> bool {
    value.is_null()
        || value.as_array().is_some_and(<[Value]>::is_empty)
        || value.as_object().is_some_and(Object::is_empty)
}

fn refused(reason: &str) -> BundleError {
    BundleError::Manifest { reason: reason.to_owned() }
}

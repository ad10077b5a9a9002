//! The relying party of a trust file: for whom authenticators sign, and where they may be asked.
//!
//! Source: `spec/human.md` H7.

use alloc::vec::Vec;

use gantral_core::json::{Object, Value};

use super::TrustError;
use crate::fields::{Fields, Scalar};
use crate::human::{ORIGINS_MAX, Origin, RelyingParty};

impl Scalar for Origin {
    const EXPECTED: &'static str = "an origin: a scheme, `://` and a host, without a path";

    fn read(value: &Value) -> Option<Self> {
        value.as_str().and_then(|text| Self::parse(text).ok())
    }
}

pub(super) fn read(value: &Value) -> Result<RelyingParty, TrustError> {
    let fields = Fields::open(value, "relying_party", ["id", "origins"].into_iter())?;
    Ok(RelyingParty::new(fields.get("id")?, fields.scalars("origins", ORIGINS_MAX)?)?)
}

pub(super) fn value(relying_party: &RelyingParty) -> Value {
    let origins: Vec<Value> =
        relying_party.origins.iter().map(|origin| Value::from(origin.as_str())).collect();
    let object = Object::new().with("id", relying_party.id.as_str()).with("origins", origins);
    Value::Object(object)
}

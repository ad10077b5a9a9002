//! Taking a closed JSON object apart, member by member.
//!
//! A closed object has exactly the members that its reader names: one more or one less is an error. What a member may
//! hold is said once, by [`Scalar`], for each type of the core.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::address::EvidenceUrl;
use gantral_core::digest::{Digest, Salt};
use gantral_core::ids::{
    ActorId, ArtifactId, AttemptNo, GateId, GrantId, InstanceId, LogOrigin, Name, PersonId, ProposalId, Role,
    SessionId, TeamId, TenantId, WorkflowId,
};
use gantral_core::json::{Object, Value};
use gantral_core::policy::{EvalFailure, Materiality, PolicyVersionId, Verdict};
use gantral_core::state::{
    ActorKind, Cause, DecisionKind, EventKind, ExecutorKind, HumanEvidence, Mode, NextStep, OutcomeStatus,
    State,
};
use gantral_core::time::{DurationMs, UnixMillis};

/// Why a value is not the object that it must be. The sender is at fault; equal values give an equal error.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// Not an object at all.
    #[error("`{of}` is not an object")]
    NotAnObject {
        /// The object.
        of: &'static str,
    },
    /// A member is missing: `null` must be written.
    #[error("`{of}` has no member `{member}`")]
    Missing {
        /// The object.
        of: &'static str,
        /// The member.
        member: &'static str,
    },
    /// A member that the format does not know.
    #[error("`{of}` has the unknown member `{member}`")]
    Unknown {
        /// The object.
        of: &'static str,
        /// The member, cut to a length that can be shown.
        member: String,
    },
    /// A member of the wrong type, or outside its range.
    #[error("member `{member}` of `{of}` is not {expected}")]
    Invalid {
        /// The object.
        of: &'static str,
        /// The member.
        member: &'static str,
        /// What it must be.
        expected: &'static str,
    },
    /// An identifier with characters outside ASCII: it may look like another one.
    #[error("member `{member}` of `{of}` is not an ASCII identifier")]
    NotAscii {
        /// The object.
        of: &'static str,
        /// The member.
        member: &'static str,
    },
}

/// The members of one closed object.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'a> {
    object: &'a Object,
    of: &'static str,
}

/// Longest part of a foreign member name that an error shows, in characters.
const SHOWN_CHARS_MAX: usize = 40;

impl<'a> Fields<'a> {
    /// Opens an object that has exactly the members of `names`, which stand in canonical order.
    pub(crate) fn open(
        value: &'a Value,
        of: &'static str,
        names: impl Iterator<Item = &'static str>,
    ) -> Result<Self, FieldError> {
        Self::open_with(value, of, names, &[])
    }

    /// Opens an object that has exactly the members of `names`, which stand in canonical order; those that are `optional` may be
    /// missing.
    pub(crate) fn open_with(
        value: &'a Value,
        of: &'static str,
        names: impl Iterator<Item = &'static str>,
        optional: &[&'static str],
    ) -> Result<Self, FieldError> {
        let object = value.as_object().ok_or(FieldError::NotAnObject { of })?;
        let mut found = object.names().peekable();
        for member in names {
            match found.peek() {
                Some(name) if *name == member => _ = found.next(),
                // Both lists ascend: a smaller name is one too many, a larger one says that ours is not there.
                Some(name) if *name < member => return Err(unknown(of, name)),
                Some(_) | None if optional.contains(&member) => {}
                Some(_) | None => return Err(FieldError::Missing { of, member }),
            }
        }
        match found.next() {
            Some(name) => Err(unknown(of, name)),
            None => Ok(Self { object, of }),
        }
    }

    /// Returns the value of a member.
    pub(crate) fn value(&self, member: &'static str) -> Result<&'a Value, FieldError> {
        self.object.get(member).ok_or(FieldError::Missing { of: self.of, member })
    }

    /// Reads a member that may be missing, and is an object where it is there.
    pub(crate) fn maybe<T, E: From<FieldError>>(
        &self,
        member: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        self.object.get(member).map(read).transpose()
    }

    /// Reads a member that is never `null`.
    pub(crate) fn get<T: Scalar>(&self, member: &'static str) -> Result<T, FieldError> {
        let value = self.value(member)?;
        T::read(value).ok_or_else(|| self.invalid(member, value, T::EXPECTED))
    }

    /// Reads a member that may be `null`.
    pub(crate) fn opt<T: Scalar>(&self, member: &'static str) -> Result<Option<T>, FieldError> {
        if self.value(member)?.is_null() { Ok(None) } else { self.get(member).map(Some) }
    }

    /// Reads an object that may be `null`.
    pub(crate) fn opt_with<T, E: From<FieldError>>(
        &self,
        member: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, E>,
    ) -> Result<Option<T>, E> {
        let value = self.value(member)?;
        if value.is_null() { Ok(None) } else { read(value).map(Some) }
    }

    /// Reads a list of at most `len_max` elements.
    pub(crate) fn list<T, E: From<FieldError>>(
        &self,
        member: &'static str,
        len_max: usize,
        read: impl FnMut(&'a Value) -> Result<T, E>,
    ) -> Result<Vec<T>, E> {
        let value = self.value(member)?;
        let elements = value.as_array().filter(|elements| elements.len() <= len_max);
        elements
            .ok_or_else(|| self.invalid(member, value, "a list within its limit"))?
            .iter()
            .map(read)
            .collect()
    }

    /// Reads a list of plain values.
    pub(crate) fn scalars<T: Scalar>(
        &self,
        member: &'static str,
        len_max: usize,
    ) -> Result<Vec<T>, FieldError> {
        self.list(member, len_max, |value| {
            T::read(value).ok_or_else(|| self.invalid(member, value, T::EXPECTED))
        })
    }

    /// Returns the error of a member that is not what it must be.
    pub(crate) fn invalid(&self, member: &'static str, value: &Value, expected: &'static str) -> FieldError {
        let of = self.of;
        match value.as_str() {
            Some(text) if !text.is_ascii() => FieldError::NotAscii { of, member },
            Some(_) | None => FieldError::Invalid { of, member, expected },
        }
    }
}

fn unknown(of: &'static str, name: &str) -> FieldError {
    let shown = |c: char| if c.is_ascii_graphic() { c } else { '\u{fffd}' };
    FieldError::Unknown { of, member: name.chars().take(SHOWN_CHARS_MAX).map(shown).collect() }
}

/// A value that is not an object or a list.
pub(crate) trait Scalar: Sized {
    /// What the value must be, for an error message.
    const EXPECTED: &'static str;

    /// Reads it; `None` if it is something else.
    fn read(value: &Value) -> Option<Self>;
}

macro_rules! texts {
    ($($type:ty, $expected:literal, $parse:expr;)+) => {
        $(impl Scalar for $type {
            const EXPECTED: &'static str = $expected;

            fn read(value: &Value) -> Option<Self> {
                value.as_str().and_then($parse)
            }
        })+
    };
}

texts! {
    String, "a text", |text| Some(text.to_owned());
    Digest, "64 lower-case hexadecimal digits", |text| Digest::parse(text).ok();
    Salt, "64 lower-case hexadecimal digits", |text| Salt::parse(text).ok();
    PersonId, "64 lower-case hexadecimal digits", |text| Digest::parse(text).ok().map(PersonId);
    PolicyVersionId, "64 lower-case hexadecimal digits", |text| Digest::parse(text).ok().map(PolicyVersionId);
    InstanceId, "a lower-case UUID of version 4 or 7", |text| InstanceId::parse(text).ok();
    GateId, "a lower-case UUID of version 4 or 7", |text| GateId::parse(text).ok();
    GrantId, "a lower-case UUID of version 4", |text| GrantId::parse(text).ok();
    ProposalId, "a lower-case UUID of version 4", |text| ProposalId::parse(text).ok();
    ArtifactId, "a lower-case UUID of version 7", |text| ArtifactId::parse(text).ok();
    TenantId, "a tenant", |text| TenantId::parse(text).ok();
    LogOrigin, "a log origin", |text| LogOrigin::parse(text).ok();
    TeamId, "a name", |text| TeamId::parse(text).ok();
    WorkflowId, "a name", |text| WorkflowId::parse(text).ok();
    Role, "a name", |text| Role::parse(text).ok();
    Name, "a name", |text| Name::parse(text).ok();
    ActorId, "a name", |text| ActorId::parse(text).ok();
    SessionId, "a name", |text| SessionId::parse(text).ok();
    EvidenceUrl, "an address without user, query and fragment", |text| EvidenceUrl::parse(text).ok();
    UnixMillis, "an instant `YYYY-MM-DDThh:mm:ss.sssZ`", |text| UnixMillis::parse(text).ok();
    Materiality, "a materiality", Materiality::parse;
    Verdict, "a verdict", Verdict::parse;
    EvalFailure, "an evaluator failure", EvalFailure::parse;
    State, "a state", State::parse;
    EventKind, "an event", EventKind::parse;
    ActorKind, "a kind of actor", ActorKind::parse;
    Mode, "a mode", Mode::parse;
    Cause, "a cause", Cause::parse;
    DecisionKind, "a decision", DecisionKind::parse;
    OutcomeStatus, "an outcome", OutcomeStatus::parse;
    ExecutorKind, "a kind of executor", ExecutorKind::parse;
    HumanEvidence, "a kind of human evidence", HumanEvidence::parse;
    NextStep, "a next step", NextStep::parse;
}

impl Scalar for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Value) -> Option<Self> {
        value.as_bool()
    }
}

impl Scalar for u64 {
    const EXPECTED: &'static str = "a whole number from 0";

    fn read(value: &Value) -> Option<Self> {
        value.as_u64()
    }
}

impl Scalar for u32 {
    const EXPECTED: &'static str = "a whole number from 0 to 2^32 - 1";

    fn read(value: &Value) -> Option<Self> {
        value.as_u32()
    }
}

impl Scalar for i32 {
    const EXPECTED: &'static str = "a whole number of 32 bits";

    fn read(value: &Value) -> Option<Self> {
        value.as_i64().and_then(|int| Self::try_from(int).ok())
    }
}

impl Scalar for AttemptNo {
    const EXPECTED: &'static str = u32::EXPECTED;

    fn read(value: &Value) -> Option<Self> {
        value.as_u32().map(Self)
    }
}

impl Scalar for DurationMs {
    const EXPECTED: &'static str = "a whole number of milliseconds";

    fn read(value: &Value) -> Option<Self> {
        value.as_u64().map(Self::new)
    }
}

//! Values that travel as one JSON string with one spelling: ids, digests, times, durations and words.
//!
//! The aliases here have the names of the core types that they carry, so `text::InstanceId` is the wire form of
//! [`ids::InstanceId`].

use core::fmt;
use core::ops::Deref;
use std::borrow::Cow;

use gantral_core::{digest, ids, policy, state, time, workflow};
use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// A core value in its one spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<T>(pub T);

/// How a core value is spelled, read, and described in the OpenAPI document.
pub trait Spelled: Sized {
    /// Name of the schema component.
    const NAME: &'static str;

    /// Returns the one spelling.
    fn spell(&self) -> Cow<'_, str>;

    /// Reads the spelling; the error says what the text should be.
    ///
    /// # Errors
    /// One line, lower case, with what was sent in backticks. Sending the same again is pointless.
    fn read(text: &str) -> Result<Self, String>;

    /// Describes the spelling.
    fn describe(schema: ObjectBuilder) -> ObjectBuilder;
}

impl<T> Text<T> {
    /// Returns the core value.
    pub fn into_inner(self) -> T {
        self.0
    }
}

impl<T> From<T> for Text<T> {
    fn from(value: T) -> Self {
        Self(value)
    }
}

impl<T> Deref for Text<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Spelled> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.spell())
    }
}

impl<T: Spelled> core::str::FromStr for Text<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        T::read(text).map(Self)
    }
}

impl<T: Spelled> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.spell())
    }
}

impl<'de, T: Spelled> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(core::marker::PhantomData<T>);

        impl<T: Spelled> Visitor<'_> for Reader<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Text<T>, E> {
                T::read(text).map(Text).map_err(E::custom)
            }
        }
        deserializer.deserialize_str(Reader(core::marker::PhantomData))
    }
}

impl<T: Spelled> PartialSchema for Text<T> {
    fn schema() -> RefOr<Schema> {
        T::describe(ObjectBuilder::new().schema_type(Type::String)).into()
    }
}

impl<T: Spelled> ToSchema for Text<T> {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed(T::NAME)
    }
}

/// Cuts what somebody sent to a length that can be shown, without control characters.
fn shown(text: &str) -> String {
    text.chars().take(40).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// Identifiers that core parses and shows itself.
macro_rules! identifiers {
    ($($alias:ident = $path:path, $describe:expr, $doc:literal;)+) => {$(
        #[doc = $doc]
        pub type $alias = Text<$path>;

        impl Spelled for $path {
            const NAME: &'static str = stringify!($alias);

            fn spell(&self) -> Cow<'_, str> {
                Cow::Owned(self.to_string())
            }

            fn read(text: &str) -> Result<Self, String> {
                <$path>::parse(text).map_err(|error| error.to_string())
            }

            fn describe(schema: ObjectBuilder) -> ObjectBuilder {
                let describe: fn(ObjectBuilder) -> ObjectBuilder = $describe;
                describe(schema).description(Some($doc))
            }
        }
    )+};
}

/// A random UUID.
fn uuid4(schema: ObjectBuilder) -> ObjectBuilder {
    uuid(schema, "^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
}

/// A random UUID, or one of an instant.
fn uuid4_or_7(schema: ObjectBuilder) -> ObjectBuilder {
    uuid(schema, "^[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
}

fn uuid(schema: ObjectBuilder, pattern: &str) -> ObjectBuilder {
    schema.format(Some(SchemaFormat::Custom("uuid".into()))).pattern(Some(pattern))
}

fn name(schema: ObjectBuilder) -> ObjectBuilder {
    schema.pattern(Some("^[A-Za-z0-9._/:@-]{1,128}$"))
}

fn hex64(schema: ObjectBuilder) -> ObjectBuilder {
    schema.pattern(Some("^[0-9a-f]{64}$"))
}

identifiers! {
    TenantId = ids::TenantId, |s| s.pattern(Some("^[a-z0-9._/-]{1,128}$")), "A tenant.";
    TeamId = ids::TeamId, name, "A team that owns workflows.";
    WorkflowId = ids::WorkflowId, name, "The name of a workflow.";
    Role = ids::Role, name, "A role that a human holds or a gate asks for.";
    Name = ids::Name, name, "A short name: action, step, queue, version label.";
    ActorId = ids::ActorId, name,
        "Who acted: the person id of a human, the client identifier of a workload or runner, `gantral` for the engine.";
    SessionId = ids::SessionId, name, "A session that ties the instances of one agent run together.";
    InstanceId = ids::InstanceId, uuid4_or_7, "One governed execution.";
    GateId = ids::GateId, uuid4_or_7, "One request for authority that waits, or waited, for humans.";
    GrantId = ids::GrantId, uuid4, "One permission to act once.";
    ProposalId = ids::ProposalId, uuid4, "One change of the rules that waits, or waited, for a second person.";
    ReportId = ids::ReportId, uuid4, "One count that a client sends.";
    Digest = digest::Digest, hex64, "A SHA-256 digest: 64 lower-case hexadecimal digits.";
    Time = time::UnixMillis,
        |s| s.format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)))
            .pattern(Some(r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$")),
        "An instant in UTC, always with milliseconds: `YYYY-MM-DDThh:mm:ss.sssZ`.";
}

/// Closed sets of words. Their enums are core's; `parse` there answers with an option.
macro_rules! words {
    ($($alias:ident = $path:path, $doc:literal;)+) => {$(
        #[doc = $doc]
        pub type $alias = Text<$path>;

        impl Spelled for $path {
            const NAME: &'static str = stringify!($alias);

            fn spell(&self) -> Cow<'_, str> {
                Cow::Borrowed(self.as_str())
            }

            fn read(text: &str) -> Result<Self, String> {
                <$path>::parse(text).ok_or_else(|| {
                    let known: Vec<&str> = <$path>::ALL.iter().map(|word| word.as_str()).collect();
                    format!("`{}` is not one of {}", shown(text), known.join(", "))
                })
            }

            fn describe(schema: ObjectBuilder) -> ObjectBuilder {
                schema
                    .enum_values(Some(<$path>::ALL.iter().map(|word| word.as_str())))
                    .description(Some($doc))
            }
        }
    )+};
}

words! {
    State = state::State, "Where the authority of an instance stands.";
    EventKind = state::EventKind, "What an artifact records.";
    ActorKind = state::ActorKind, "The kind of an actor, from issuer and client configuration, never from a claim.";
    Mode = state::Mode, "Whether answers are enforced.";
    Cause = state::Cause, "Why an instance or a gate ended.";
    DecisionKind = state::DecisionKind, "What a human says at a gate.";
    OutcomeStatus = state::OutcomeStatus, "What came of an action, as claimed by who acted.";
    ExecutorKind = state::ExecutorKind,
        "Who carries an action out; `self` is the agent itself and is reported as not enforced.";
    HumanEvidence = state::HumanEvidence, "How strong the evidence of a human decision is, rising.";
    NextStep = state::NextStep, "What follows a reconciliation.";
    Materiality = policy::Materiality, "How much is at stake in a workflow.";
    Verdict = policy::Verdict, "What policy advises.";
    ParameterKind = workflow::ParameterKind, "The type of a declared parameter.";
}

/// A length of time, `250ms`, `30s`, `15m`, `2h` or `7d`.
pub type Duration = Text<time::DurationMs>;

impl Spelled for time::DurationMs {
    const NAME: &'static str = "Duration";

    fn spell(&self) -> Cow<'_, str> {
        let millis = self.get();
        let units = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
        let exact = units.into_iter().find(|(scale, _)| millis.is_multiple_of(*scale));
        let (scale, unit) = exact.unwrap_or((1, "ms"));
        Cow::Owned(format!("{}{unit}", millis / scale))
    }

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text)
            .ok_or_else(|| format!("`{}` is not a duration such as `30s`, `15m`, `2h` or `7d`", shown(text)))
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema
            .pattern(Some("^[0-9]+(ms|s|m|h|d)$"))
            .description(Some("A length of time: a positive whole number and one of ms, s, m, h, d."))
    }
}

/// From when a grant may be used: `committed`, `sequenced` or `witnessed(k)`.
pub type Release = Text<workflow::Release>;

impl Spelled for workflow::Release {
    const NAME: &'static str = "Release";

    fn spell(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_string())
    }

    fn read(text: &str) -> Result<Self, String> {
        Self::parse(text).ok_or_else(|| {
            format!("`{}` is not `committed`, `sequenced` or `witnessed(k)`, k from 1 to 16", shown(text))
        })
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema.pattern(Some("^(committed|sequenced|witnessed\\(([1-9]|1[0-6])\\))$")).description(Some(
            "From when a grant may be used: once it is durable, once a published checkpoint of the log covers it, or once k \
             witnesses (1 to 16) have cosigned such a checkpoint.",
        ))
    }
}

/// The salt of a commitment. Whoever holds it can show what was committed to; treat it as confidential.
pub type Salt = Text<digest::Salt>;

impl Spelled for digest::Salt {
    const NAME: &'static str = "Salt";

    fn spell(&self) -> Cow<'_, str> {
        Cow::Owned(self.to_hex())
    }

    fn read(text: &str) -> Result<Self, String> {
        // Never shows what was sent: it may be a salt with one wrong digit.
        Self::parse(text).map_err(|_| "a salt is 64 lower-case hexadecimal digits".to_owned())
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        hex64(schema).description(Some("The salt of a commitment: 32 random bytes as hexadecimal digits."))
    }
}

/// The content digest of a policy bundle.
pub type PolicyVersionId = Text<policy::PolicyVersionId>;

impl Spelled for policy::PolicyVersionId {
    const NAME: &'static str = "PolicyVersionId";

    fn spell(&self) -> Cow<'_, str> {
        Cow::Owned(self.0.to_hex())
    }

    fn read(text: &str) -> Result<Self, String> {
        digest::Digest::parse(text).map(Self).map_err(|error| error.to_string())
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        hex64(schema).description(Some("The content digest of a policy bundle."))
    }
}

/// What a human wrote: any text within [`PROSE_BYTES_MAX`](super::PROSE_BYTES_MAX). May be empty; whether that is
/// enough is decided later.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProseText(String);

impl ProseText {
    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Free text of a human.
pub type Prose = Text<ProseText>;

impl Default for Prose {
    fn default() -> Self {
        Self(ProseText::default())
    }
}

impl Spelled for ProseText {
    const NAME: &'static str = "Prose";

    fn spell(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn read(text: &str) -> Result<Self, String> {
        if text.len() > super::PROSE_BYTES_MAX {
            return Err(format!("the text has {} bytes, {} are allowed", text.len(), super::PROSE_BYTES_MAX));
        }
        Ok(Self(text.to_owned()))
    }

    fn describe(schema: ObjectBuilder) -> ObjectBuilder {
        schema
            .max_length(Some(super::PROSE_BYTES_MAX))
            .description(Some("Free text of a human, at most 16 KiB in UTF-8."))
    }
}

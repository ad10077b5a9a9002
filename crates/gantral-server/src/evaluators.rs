//! The section `[policy]` of the configuration: which evaluators workflows may choose, and which they get when they choose none.
//!
//! The embedded engine is always there, as `embedded`. What an evaluator answers is the affair of the engine; here it is only named,
//! given its time, and looked at by `readyz` and the metrics.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use gantral_core::ids::{IdError, Name};
use gantral_core::time::DurationMs;
use gantral_engine::policy_point::{Evaluators, PolicyPoint};
use gantral_evidence::mode_lease::LIFETIME_MAX;
use gantral_policy::opa::{DECISION_DEFAULT, OpaConfig, OpaConfigError, OpaPolicyPoint, OpaStatus};
use serde::Deserialize;

use crate::signing::SigningSettings;
use crate::telemetry::TracedPoint;

/// The name of the embedded engine.
pub const EMBEDDED: &str = "embedded";
/// How long one evaluation in a worker may take.
const EMBEDDED_LIMIT: Duration = Duration::from_millis(250);
/// How long one evaluation in an OPA on this machine may take.
const LOCAL_LIMIT: Duration = Duration::from_millis(100);
/// How long one evaluation in an OPA elsewhere may take.
const REMOTE_LIMIT: Duration = Duration::from_millis(250);
/// The shortest and the longest deadline that may be configured: within less nothing answers, and nobody waits for longer.
const LIMITS: std::ops::RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_secs(10);
/// The shortest and the longest life of a mode lease.
const MODE_LEASES: std::ops::RangeInclusive<DurationMs> = DurationMs::from_secs(1)..=LIFETIME_MAX;
/// The largest number of evaluators: each holds connections and is a label of metrics.
const EVALUATORS_MAX: usize = 64;

/// The section `[policy]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicySettings {
    /// The evaluator of workflows that choose none; `embedded` when absent.
    #[serde(default)]
    pub default: Option<String>,
    /// How long a client that is only observed may go on when no server answers it, `1s` to `24h`; `15m` when absent.
    #[serde(default)]
    pub mode_lease: Option<String>,
    /// Evaluators by their names; `embedded` is always there, and here only to be given another deadline.
    #[serde(default)]
    pub evaluators: BTreeMap<String, EvaluatorSettings>,
    /// Who may have signed what is published.
    #[serde(default)]
    pub signing: SigningSettings,
}

/// One evaluator.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum EvaluatorSettings {
    /// The engine in workers of this server.
    Embedded(EmbeddedSettings),
    /// An Open Policy Agent.
    Opa(OpaSettings),
}

/// The engine in workers of this server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmbeddedSettings {
    /// How long one evaluation may take, `5ms` to `10s`; `250ms` when absent.
    #[serde(default)]
    pub deadline: Option<String>,
}

/// An Open Policy Agent.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpaSettings {
    /// Its address, above `v1/data`: `https`, or `http` on loopback.
    pub url: String,
    /// A file with a bearer token, mode 0600.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The authorities to trust for it, PEM; those of the system when absent.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// The name of the policy's bundle in OPA; without it every bundle of that OPA must be the policy.
    #[serde(default)]
    pub bundle: Option<String>,
    /// The package to evaluate, as a path; `gantral/policy` when absent.
    #[serde(default)]
    pub decision: Option<String>,
    /// How long one evaluation may take, `5ms` to `10s`; `100ms` on loopback and `250ms` elsewhere when absent.
    #[serde(default)]
    pub deadline: Option<String>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum PolicySettingsError {
    /// Not a name.
    #[error("`policy.evaluators`: {0}")]
    Name(#[from] IdError),
    /// The embedded engine has one name, and nothing else has it.
    #[error(
        "`policy.evaluators.{name}`: the kind `embedded` goes with the name `embedded`, and no other kind does"
    )]
    Embedded {
        /// The name.
        name: String,
    },
    /// Too many evaluators.
    #[error("`policy.evaluators` has more than {EVALUATORS_MAX}")]
    TooMany,
    /// No such evaluator.
    #[error("`policy.default` is `{name}`, which `policy.evaluators` does not have")]
    Default {
        /// As it was written.
        name: String,
    },
    /// No such time.
    #[error("`policy.evaluators.{name}.deadline` is `{deadline}`, which is not a time from `5ms` to `10s`")]
    Deadline {
        /// The evaluator.
        name: String,
        /// As it was written.
        deadline: String,
    },
    /// No such time.
    #[error("`policy.mode_lease` is `{text}`, which is not a time from `1s` to `24h`")]
    ModeLease {
        /// As it was written.
        text: String,
    },
    /// The OPA cannot be asked like that.
    #[error("`policy.evaluators.{name}`: {source}")]
    Opa {
        /// The evaluator.
        name: String,
        /// Why.
        source: OpaConfigError,
    },
}

/// One OPA under its name.
#[derive(Clone)]
struct Opa {
    name: Name,
    point: Arc<OpaPolicyPoint>,
    limit: Duration,
}

/// The evaluators beside the embedded one. Cheap to clone.
#[derive(Clone, Default)]
pub struct Opas {
    default: Option<Name>,
    points: Vec<Opa>,
    /// How long one evaluation in a worker may take, where the configuration says.
    embedded_limit: Option<Duration>,
}

impl PolicySettings {
    /// Reads names, times, tokens and certificates. Connects to nothing.
    ///
    /// # Errors
    /// `PolicySettingsError`, naming the member.
    pub fn open(&self) -> Result<Opas, PolicySettingsError> {
        if self.evaluators.len() > EVALUATORS_MAX {
            return Err(PolicySettingsError::TooMany);
        }
        let mut points = Vec::new();
        let mut embedded_limit = None;
        for (name, settings) in &self.evaluators {
            match settings {
                EvaluatorSettings::Embedded(settings) if name == EMBEDDED => {
                    let deadline = settings.deadline.as_deref();
                    embedded_limit = deadline.map(|text| deadline_of(name, text)).transpose()?;
                }
                EvaluatorSettings::Opa(settings) if name != EMBEDDED => points.push(open(name, settings)?),
                EvaluatorSettings::Embedded(_) | EvaluatorSettings::Opa(_) => {
                    return Err(PolicySettingsError::Embedded { name: name.clone() });
                }
            }
        }
        let default = match &self.default {
            Some(name) if name != EMBEDDED => {
                let found = points.iter().find(|opa| opa.name.as_str() == name);
                let unknown = || PolicySettingsError::Default { name: name.clone() };
                Some(found.ok_or_else(unknown)?.name.clone())
            }
            Some(_) | None => None,
        };
        Ok(Opas { default, points, embedded_limit })
    }
}

impl PolicySettings {
    /// Returns how long a mode lease holds, if the section says so.
    ///
    /// # Errors
    /// `ModeLease`.
    pub fn mode_lease(&self) -> Result<Option<DurationMs>, PolicySettingsError> {
        let lifetime = |text: &String| {
            let lifetime = DurationMs::parse(text).filter(|lifetime| MODE_LEASES.contains(lifetime));
            lifetime.ok_or_else(|| PolicySettingsError::ModeLease { text: text.clone() })
        };
        self.mode_lease.as_ref().map(lifetime).transpose()
    }
}

fn open(name: &str, settings: &OpaSettings) -> Result<Opa, PolicySettingsError> {
    let parsed = Name::parse(name)?;
    let OpaSettings { url, token_file, ca_file, bundle, decision, deadline } = settings;
    let config = OpaConfig {
        url: url.clone(),
        token_file: token_file.clone(),
        ca_file: ca_file.clone(),
        bundle: bundle.clone(),
        decision: decision.clone().unwrap_or_else(|| DECISION_DEFAULT.to_owned()),
    };
    let limit = match deadline {
        Some(text) => deadline_of(name, text)?,
        None if config.is_local() => LOCAL_LIMIT,
        None => REMOTE_LIMIT,
    };
    let point = OpaPolicyPoint::new(&config)
        .map_err(|source| PolicySettingsError::Opa { name: name.to_owned(), source })?;
    Ok(Opa { name: parsed, point: Arc::new(point), limit })
}

fn deadline_of(name: &str, text: &str) -> Result<Duration, PolicySettingsError> {
    let limit = DurationMs::parse(text).map(|limit| Duration::from_millis(limit.get()));
    limit
        .filter(|limit| LIMITS.contains(limit))
        .ok_or_else(|| PolicySettingsError::Deadline { name: name.to_owned(), deadline: text.to_owned() })
}

impl Opas {
    /// Returns what the engine evaluates with: the embedded evaluator and these.
    ///
    /// # Errors
    /// Never for a build of ours: `embedded` is a name.
    pub fn beside(&self, embedded: Arc<dyn PolicyPoint>) -> Result<Evaluators, PolicySettingsError> {
        let own = Name::parse(EMBEDDED)?;
        let embedded_limit = self.embedded_limit();
        let chosen = self.points.iter().find(|opa| Some(&opa.name) == self.default.as_ref());
        let default = match chosen {
            Some(opa) => Evaluators::new(Arc::new(TracedPoint(opa.point.clone())), opa.limit),
            None => Evaluators::new(Arc::clone(&embedded), embedded_limit),
        };
        let all = default.with(own, embedded, embedded_limit);
        let traced = |opa: &Opa| Arc::new(TracedPoint(opa.point.clone())) as Arc<dyn PolicyPoint>;
        let add = |all: Evaluators, opa: &Opa| all.with(opa.name.clone(), traced(opa), opa.limit);
        Ok(self.points.iter().fold(all, add))
    }

    /// Returns how long one evaluation in a worker may take.
    pub(crate) fn embedded_limit(&self) -> Duration {
        self.embedded_limit.unwrap_or(EMBEDDED_LIMIT)
    }

    /// Tells whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.points.is_empty()
    }

    /// Asks each whether it is there.
    pub(crate) async fn answers(&self) -> Vec<(&Name, bool)> {
        let mut answers = Vec::with_capacity(self.points.len());
        for opa in &self.points {
            answers.push((&opa.name, opa.point.answers().await));
        }
        answers
    }

    /// Returns what is known of each.
    pub(crate) fn status(&self) -> Vec<(&Name, OpaStatus)> {
        self.points.iter().map(|opa| (&opa.name, opa.point.status())).collect()
    }
}

#[cfg(test)]
mod tests;

//! The section `[delegations]` of the configuration: for how long humans may decide for each other.

use std::ops::RangeInclusive;

use gantral_core::time::DurationMs;
use gantral_engine::DELEGATION_LONGEST_DEFAULT;
use serde::Deserialize;

/// The shortest and the longest that may be allowed: roles that were taken away at the provider live on in a delegation until it is over.
const SPANS: RangeInclusive<DurationMs> = DurationMs::from_secs(60)..=DurationMs::from_secs(90 * 86_400);

/// The section `[delegations]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationSettings {
    /// How far away the end of a delegation may lie when it is given, `1m` to `90d`; `14d` when absent.
    #[serde(default)]
    pub longest: Option<String>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
#[error("`delegations.longest` is `{text}`, which is not a time from `1m` to `90d`")]
pub struct DelegationsError {
    /// As it was written.
    text: String,
}

impl DelegationSettings {
    /// Returns how far away the end of a delegation may lie.
    ///
    /// # Errors
    /// `DelegationsError`, with what was written.
    pub fn open(&self) -> Result<DurationMs, DelegationsError> {
        let Some(text) = &self.longest else { return Ok(DELEGATION_LONGEST_DEFAULT) };
        let span = DurationMs::parse(text).filter(|span| SPANS.contains(span));
        span.ok_or_else(|| DelegationsError { text: text.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_delegation_is_a_time_within_bounds() {
        for (text, expected) in [
            (None, Some(DELEGATION_LONGEST_DEFAULT)),
            (Some("1m"), Some(DurationMs::from_secs(60))),
            (Some("90d"), Some(DurationMs::from_secs(90 * 86_400))),
            (Some("59s"), None),
            (Some("91d"), None),
            (Some("for ever"), None),
        ] {
            let settings = DelegationSettings { longest: text.map(str::to_owned) };
            assert_eq!(settings.open().ok(), expected, "{text:?}");
        }
    }
}

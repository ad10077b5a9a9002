//! The section `[four_eyes]` of the configuration: what one person may not change alone.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use gantral_core::ids::TenantId;
use gantral_core::time::DurationMs;
use gantral_engine::{EXPIRES_DEFAULT, FourEyes, FourEyesRules, OPEN_DEFAULT, Unfreeze};
use serde::Deserialize;

/// The shortest and the longest time for which a proposal can be confirmed: nobody reads it in less, and what is older was not meant for
/// today.
const EXPIRIES: RangeInclusive<DurationMs> = DurationMs::from_secs(60)..=DurationMs::from_secs(30 * 86_400);
/// How many proposals of one tenant may be open at most: more than people can read.
const OPEN_MAX: RangeInclusive<usize> = 1..=200;

/// The section `[four_eyes]`. Without it, one person changes the rules alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FourEyesSettings {
    /// Whether putting a policy in force takes two persons, also by a rollback or with a workflow.
    #[serde(default)]
    pub policy: bool,
    /// Whether changing a mode takes two persons.
    #[serde(default)]
    pub mode: bool,
    /// Which administrators may lift a freeze; freezing always takes one person alone.
    #[serde(default)]
    pub unfreeze: UnfreezeSetting,
    /// For how long a proposal can be confirmed, `1m` to `30d`; `3d` when absent.
    #[serde(default)]
    pub expires: Option<String>,
    /// How many proposals of a tenant may be open at a time, 1 to 200; 32 when absent.
    #[serde(default)]
    pub open_max: Option<usize>,
    /// Tenants with rules of their own, which count instead of the ones above.
    #[serde(default)]
    pub tenants: BTreeMap<String, TenantFourEyes>,
}

/// What one person of a tenant may not change alone.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantFourEyes {
    /// As `policy` of the section.
    #[serde(default)]
    pub policy: bool,
    /// As `mode` of the section.
    #[serde(default)]
    pub mode: bool,
    /// As `unfreeze` of the section.
    #[serde(default)]
    pub unfreeze: UnfreezeSetting,
    /// As `expires` of the section.
    #[serde(default)]
    pub expires: Option<String>,
    /// As `open_max` of the section.
    #[serde(default)]
    pub open_max: Option<usize>,
}

/// Which administrators may lift a freeze.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnfreezeSetting {
    /// Any of them.
    #[default]
    Anyone,
    /// Another person than the one who froze.
    Another,
    /// Two persons: one proposes it, another confirms it.
    Two,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum FourEyesError {
    /// No such time.
    #[error("`{section}.expires` is `{text}`, which is not a time from `1m` to `30d`")]
    Expires {
        /// Where it stands.
        section: String,
        /// As it was written.
        text: String,
    },
    /// No such number.
    #[error("`{section}.open_max` is {number}, which is not 1 to 200")]
    OpenMax {
        /// Where it stands.
        section: String,
        /// As it was written.
        number: usize,
    },
    /// A tenant that is not served.
    #[error("`four_eyes.tenants` has `{tenant}`, which `tenants` does not name")]
    Tenant {
        /// As it was written.
        tenant: String,
    },
}

impl FourEyesSettings {
    /// Reads the section for the tenants that are served.
    ///
    /// # Errors
    /// `FourEyesError`, naming the member.
    pub fn open(&self, tenants: &[TenantId]) -> Result<FourEyes, FourEyesError> {
        let Self { policy, mode, unfreeze, expires, open_max, tenants: own } = self;
        let usual = rules("four_eyes", (*policy, *mode, *unfreeze), expires.as_deref(), *open_max)?;
        let own = own.iter().map(|(name, of)| {
            let served = tenants.iter().find(|tenant| tenant.as_str() == name);
            let tenant = served.ok_or_else(|| FourEyesError::Tenant { tenant: name.clone() })?;
            let section = format!("four_eyes.tenants.{name}");
            let takes = (of.policy, of.mode, of.unfreeze);
            Ok((tenant.clone(), rules(&section, takes, of.expires.as_deref(), of.open_max)?))
        });
        Ok(FourEyes { usual, tenants: own.collect::<Result<_, FourEyesError>>()? })
    }
}

fn rules(
    section: &str,
    (policy, mode, unfreeze): (bool, bool, UnfreezeSetting),
    expires: Option<&str>,
    open_max: Option<usize>,
) -> Result<FourEyesRules, FourEyesError> {
    let expires = match expires {
        None => EXPIRES_DEFAULT,
        Some(text) => {
            let time = DurationMs::parse(text).filter(|time| EXPIRIES.contains(time));
            time.ok_or_else(|| FourEyesError::Expires { section: section.to_owned(), text: text.to_owned() })?
        }
    };
    let open_max = open_max.unwrap_or(OPEN_DEFAULT);
    if !OPEN_MAX.contains(&open_max) {
        return Err(FourEyesError::OpenMax { section: section.to_owned(), number: open_max });
    }
    let unfreeze = match unfreeze {
        UnfreezeSetting::Anyone => Unfreeze::Anyone,
        UnfreezeSetting::Another => Unfreeze::Another,
        UnfreezeSetting::Two => Unfreeze::Two,
    };
    Ok(FourEyesRules { policy, mode, unfreeze, expires, open_max })
}

#[cfg(test)]
mod tests;

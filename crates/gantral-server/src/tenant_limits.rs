//! The section `[limits]` of the configuration: how much a tenant may send, begin and keep.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use gantral_core::ids::TenantId;
use gantral_engine::TenantLimits;
use gantral_store::Room;
use serde::Deserialize;

use crate::rates::{Rate, Rates};

/// Commands of a tenant in a second: one at least, so that `Retry-After: 1` is true; no more than any server takes.
const RATES: RangeInclusive<u32> = 1..=1_000_000;
/// The least number of open instances and of bytes: with none at all nothing could be done, which is what a freeze is for.
const LEAST: u64 = 1;

/// The section `[limits]`. What is absent is not limited.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// How many commands of a tenant one server takes in a second, 1 to 1,000,000.
    #[serde(default)]
    pub rate: Option<u32>,
    /// How many it takes at once after a pause; twice `rate` when absent.
    #[serde(default)]
    pub burst: Option<u32>,
    /// How many instances of a tenant may be open at a time, on all servers together.
    #[serde(default)]
    pub open_instances: Option<u64>,
    /// How many bytes of a tenant are kept before nothing new begins, on all servers together.
    #[serde(default)]
    pub stored_bytes: Option<u64>,
    /// Tenants with limits of their own, which count instead of the ones above.
    #[serde(default)]
    pub tenants: BTreeMap<String, TenantLimitSettings>,
}

/// The limits of one tenant.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TenantLimitSettings {
    /// As `rate` of the section.
    #[serde(default)]
    pub rate: Option<u32>,
    /// As `burst` of the section.
    #[serde(default)]
    pub burst: Option<u32>,
    /// As `open_instances` of the section.
    #[serde(default)]
    pub open_instances: Option<u64>,
    /// As `stored_bytes` of the section.
    #[serde(default)]
    pub stored_bytes: Option<u64>,
}

/// What is wrong with the section. Its author's fault.
#[derive(Debug, thiserror::Error)]
pub enum LimitsError {
    /// No such number.
    #[error("`{member}` is {number}, which is not {least} to {most}; leave it out where there is no limit")]
    Number {
        /// The member.
        member: String,
        /// As it was written.
        number: u64,
        /// The least that it may be.
        least: u64,
        /// The most that it may be.
        most: u64,
    },
    /// A burst of nothing.
    #[error(
        "`{section}.burst` is there and `{section}.rate` is not: a burst is what may come at once under a rate"
    )]
    Burst {
        /// Where it stands.
        section: String,
    },
    /// A tenant that is not served.
    #[error("`limits.tenants` has `{tenant}`, which `tenants` does not name")]
    Tenant {
        /// As it was written.
        tenant: String,
    },
}

impl LimitSettings {
    /// Reads the section for the tenants that are served: what may be there of each, and how much of it is taken at a time.
    ///
    /// # Errors
    /// `LimitsError`, naming the member.
    pub fn open(&self, tenants: &[TenantId]) -> Result<(TenantLimits, Rates), LimitsError> {
        let Self { rate, burst, open_instances, stored_bytes, tenants: own } = self;
        let usual = TenantLimitSettings {
            rate: *rate,
            burst: *burst,
            open_instances: *open_instances,
            stored_bytes: *stored_bytes,
        };
        let mut limits = TenantLimits { usual: room("limits", &usual)?, ..TenantLimits::default() };
        let usual = pace("limits", &usual)?;
        let mut paces = BTreeMap::new();
        for (name, of) in own {
            let served = tenants.iter().find(|tenant| tenant.as_str() == name);
            let tenant = served.ok_or_else(|| LimitsError::Tenant { tenant: name.clone() })?;
            let section = format!("limits.tenants.{name}");
            limits.tenants.insert(tenant.clone(), room(&section, of)?);
            paces.insert(tenant.clone(), pace(&section, of)?);
        }
        let of = |tenant: &TenantId| Some((tenant.clone(), paces.get(tenant).copied().unwrap_or(usual)?));
        Ok((limits, Rates::new(tenants.iter().filter_map(of))))
    }
}

fn room(section: &str, of: &TenantLimitSettings) -> Result<Room, LimitsError> {
    let check = |member: &str, number: Option<u64>| match number {
        Some(number) if number < LEAST => {
            let member = format!("{section}.{member}");
            Err(LimitsError::Number { member, number, least: LEAST, most: u64::MAX })
        }
        number => Ok(number),
    };
    Ok(Room {
        open_max: check("open_instances", of.open_instances)?,
        bytes_max: check("stored_bytes", of.stored_bytes)?,
    })
}

fn pace(section: &str, of: &TenantLimitSettings) -> Result<Option<Rate>, LimitsError> {
    let Some(per_second) = of.rate else {
        let alone = of.burst.is_some();
        return if alone { Err(LimitsError::Burst { section: section.to_owned() }) } else { Ok(None) };
    };
    let burst = of.burst.unwrap_or_else(|| per_second.saturating_mul(2).min(*RATES.end()));
    for (member, number) in [("rate", per_second), ("burst", burst)] {
        if !RATES.contains(&number) {
            return Err(LimitsError::Number {
                member: format!("{section}.{member}"),
                number: number.into(),
                least: (*RATES.start()).into(),
                most: (*RATES.end()).into(),
            });
        }
    }
    Ok(Some(Rate { per_second, burst }))
}

#[cfg(test)]
mod tests;

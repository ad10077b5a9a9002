//! How many commands of a tenant this server takes in a second.
//!
//! People and machines of a tenant have a count each, so that agents that run wild keep nobody from deciding, freezing and looking. What
//! ends something that has begun is never refused for its number: a report that is not taken makes an outcome unknown.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantral_core::ids::TenantId;

/// Commands that end or keep up what has begun, or that stop everything, by the templates of their routes.
pub(crate) const NEVER_REFUSED: [&str; 12] = [
    "/v1/calls/{id}/heartbeat",
    "/v1/calls/{id}/settle",
    "/v1/freeze",
    "/v1/instances/{id}/attempts/{n}/end",
    "/v1/instances/{id}/attempts/{n}/heartbeat",
    "/v1/instances/{id}/cancel",
    "/v1/instances/{id}/complete",
    "/v1/instances/{id}/fail",
    "/v1/instances/{id}/grants/{grant_id}/outcome",
    "/v1/instances/{id}/grants/{grant_id}/reconcile",
    "/v1/instances/{id}/outcome",
    "/v1/instances/{id}/withdraw",
];

/// How fast commands may come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// In a second, in the long run; at least 1.
    pub per_second: u32,
    /// At once, after a pause; at least 1.
    pub burst: u32,
}

/// The counts of the tenants that are limited.
#[derive(Debug, Default)]
pub struct Rates(BTreeMap<TenantId, [Mutex<Count>; 2]>);

/// One count: a bucket that runs empty at its rate.
#[derive(Debug)]
struct Count {
    /// How long one command keeps its place.
    each: Duration,
    /// How much the bucket holds, in the time that it takes to run empty.
    depth: Duration,
    /// When it is empty.
    empty_at: Instant,
}

impl Rates {
    /// Makes a count for the people and one for the machines of each of these tenants; others are not limited.
    pub fn new(rates: impl IntoIterator<Item = (TenantId, Rate)>) -> Self {
        let now = Instant::now();
        let counts = |rate: Rate| [(); 2].map(|()| Mutex::new(Count::of(rate, now)));
        Self(rates.into_iter().map(|(tenant, rate)| (tenant, counts(rate))).collect())
    }

    /// Counts one command that comes now, and tells whether it is taken.
    pub(crate) fn takes(&self, tenant: &TenantId, person: bool) -> bool {
        let Some([machines, people]) = self.0.get(tenant) else { return true };
        let count = if person { people } else { machines };
        count.lock().unwrap_or_else(PoisonError::into_inner).takes(Instant::now())
    }
}

impl Count {
    fn of(rate: Rate, now: Instant) -> Self {
        let each = Duration::from_secs(1) / rate.per_second.max(1);
        Self { each, depth: each * rate.burst.max(1), empty_at: now }
    }

    fn takes(&mut self, now: Instant) -> bool {
        let then = self.empty_at.max(now) + self.each;
        let fits = then.saturating_duration_since(now) <= self.depth;
        if fits {
            self.empty_at = then;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use gantral_api::routes::ROUTES;

    use super::*;

    #[test]
    fn after_a_burst_commands_are_taken_at_the_rate_and_what_is_refused_costs_nothing() {
        let now = Instant::now();
        let mut count = Count::of(Rate { per_second: 10, burst: 3 }, now);
        let taken = |count: &mut Count, millis: u64| count.takes(now + Duration::from_millis(millis));
        assert_eq!([0; 5].map(|millis| taken(&mut count, millis)), [true, true, true, false, false]);
        assert!(!taken(&mut count, 99));
        assert!(taken(&mut count, 100));
        assert!(!taken(&mut count, 150));
        // A pause gives no more than the burst.
        assert_eq!([60_000; 4].map(|millis| taken(&mut count, millis)), [true, true, true, false]);
    }

    #[test]
    fn people_are_not_refused_for_what_machines_send_nor_one_tenant_for_another() {
        let [acme, other] = ["acme", "other"].map(|name| TenantId::parse(name).unwrap());
        let rates = Rates::new([(acme.clone(), Rate { per_second: 1, burst: 1 })]);
        assert!(rates.takes(&acme, false) && !rates.takes(&acme, false));
        assert!(rates.takes(&acme, true));
        assert!((0..100).all(|_| rates.takes(&other, false)));
    }

    #[test]
    fn what_is_never_refused_for_its_number_are_routes_that_write() {
        for path in NEVER_REFUSED {
            assert!(ROUTES.iter().any(|route| route.path == path && route.writes()), "{path}");
        }
    }
}

//! The section as it is written.

use super::*;

fn opened(section: &str) -> Result<(TenantLimits, Rates), LimitsError> {
    let settings: LimitSettings = toml::from_str(section).unwrap();
    settings.open(&["acme", "other"].map(|name| TenantId::parse(name).unwrap()))
}

#[test]
fn tenant_with_limits_of_its_own_has_none_of_the_usual_ones() {
    let (limits, _) =
        opened("open_instances = 10\nstored_bytes = 1000\n[tenants.other]\nstored_bytes = 7\n").unwrap();
    let of = |name| limits.of(&TenantId::parse(name).unwrap());
    assert_eq!(of("acme"), Room { open_max: Some(10), bytes_max: Some(1000) });
    assert_eq!(of("other"), Room { open_max: None, bytes_max: Some(7) });
}

#[test]
fn what_is_not_written_is_not_limited() {
    let (limits, rates) = opened("").unwrap();
    let acme = TenantId::parse("acme").unwrap();
    assert_eq!(limits.of(&acme), Room::default());
    assert!((0..10_000).all(|_| rates.takes(&acme, false)));
}

#[test]
fn section_that_says_nothing_possible_is_refused_with_its_member() {
    for (section, said) in [
        ("rate = 0\n", "`limits.rate` is 0"),
        ("rate = 5\nburst = 0\n", "`limits.burst` is 0"),
        ("burst = 5\n", "`limits.burst` is there and `limits.rate` is not"),
        ("open_instances = 0\n", "`limits.open_instances` is 0"),
        ("[tenants.acme]\nstored_bytes = 0\n", "`limits.tenants.acme.stored_bytes` is 0"),
        ("[tenants.nobody]\nrate = 1\n", "`limits.tenants` has `nobody`"),
    ] {
        let refused = opened(section).map(drop).unwrap_err().to_string();
        assert!(refused.contains(said), "{section}: {refused}");
    }
}

use gantral_core::ids::TenantId;
use gantral_core::time::DurationMs;
use gantral_engine::{FourEyes, FourEyesRules, Unfreeze};

use super::FourEyesSettings;

fn tenants() -> Vec<TenantId> {
    ["acme", "other"].map(|name| TenantId::parse(name).unwrap()).to_vec()
}

fn read(toml: &str) -> Result<FourEyes, String> {
    let settings: FourEyesSettings = toml::from_str(toml).map_err(|error| error.to_string())?;
    settings.open(&tenants()).map_err(|error| error.to_string())
}

#[test]
fn without_the_section_one_person_changes_everything() {
    assert_eq!(read("").unwrap(), FourEyes::default());
    let usual = FourEyesRules::default();
    assert_eq!((usual.policy, usual.mode, usual.unfreeze), (false, false, Unfreeze::Anyone));
}

#[test]
fn a_tenant_may_have_rules_of_its_own() {
    let found = read(
        "policy = true\nunfreeze = \"another\"\nexpires = \"8h\"\nopen_max = 5\n
         [tenants.other]\nmode = true\nunfreeze = \"two\"",
    )
    .unwrap();
    let usual = FourEyesRules {
        policy: true,
        mode: false,
        unfreeze: Unfreeze::Another,
        expires: DurationMs::from_secs(8 * 3_600),
        open_max: 5,
    };
    let own = FourEyesRules { mode: true, unfreeze: Unfreeze::Two, ..FourEyesRules::default() };
    let [acme, other] = tenants().try_into().unwrap();
    assert_eq!((found.of(&acme), found.of(&other)), (usual, own));
}

#[test]
fn what_is_wrong_is_named_with_its_place() {
    for (toml, expected) in [
        ("expires = \"59s\"", "`four_eyes.expires` is `59s`, which is not a time from `1m` to `30d`"),
        ("expires = \"31d\"", "`four_eyes.expires` is `31d`, which is not a time from `1m` to `30d`"),
        ("open_max = 0", "`four_eyes.open_max` is 0, which is not 1 to 200"),
        (
            "[tenants.other]\nopen_max = 201",
            "`four_eyes.tenants.other.open_max` is 201, which is not 1 to 200",
        ),
        ("[tenants.nobody]\nmode = true", "`four_eyes.tenants` has `nobody`, which `tenants` does not name"),
    ] {
        assert_eq!(read(toml).unwrap_err(), expected);
    }
    for toml in ["freeze = true", "unfreeze = \"nobody\"", "[tenants.acme]\nfreeze = true"] {
        assert!(read(toml).is_err(), "{toml}: freezing is the brake and takes nobody else");
    }
}

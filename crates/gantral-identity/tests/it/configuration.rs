//! Configurations that would open a door are refused when they are read.

use gantral_core::ids::{Role, TenantId};
use gantral_identity::{ConfigError, Holders, IdentityConfig, Verifier};
use serde_json::{Value, json};

use crate::forge::{Key, config, identity, verifier, with};

fn error(issuers: &[Value]) -> ConfigError {
    Verifier::new(&identity(issuers)).unwrap_err()
}

#[test]
fn two_issuers_of_one_name_are_refused() {
    let (a, b) = (Key::ed25519("a"), Key::ed25519("b"));
    assert!(matches!(error(&[config(&[&a]), config(&[&b])]), ConfigError::IssuerTwice { .. }));
}

#[test]
fn nobody_configures_the_development_issuer() {
    let key = Key::ed25519("a");
    let config = with(config(&[&key]), json!({"issuer": gantral_identity::DEV_ISSUER_URL}));
    assert!(matches!(error(&[config]), ConfigError::Development { .. }));
}

#[test]
fn what_must_be_pinned_may_not_be_empty() {
    let key = Key::ed25519("a");
    for member in ["audiences", "algorithms", "token_types"] {
        let config = with(config(&[&key]), json!({ member: [] }));
        assert!(matches!(error(&[config]), ConfigError::Empty { member: found, .. } if found == member));
    }
    let keyless = config(&[]);
    assert!(matches!(error(&[keyless]), ConfigError::Keys { .. }));
}

#[test]
fn a_client_is_given_what_its_kind_uses_and_nothing_else() {
    let key = Key::ed25519("a");
    let owner = json!({"issuer": crate::forge::ISSUER, "subject": "bob"});
    for client in [
        json!({"kind": "human", "roles": ["RISK_OFFICER"]}),
        json!({"kind": "human", "teams": ["payments"]}),
        json!({"kind": "human", "owner": owner}),
        json!({"kind": "human", "queues": ["default"]}),
        json!({"kind": "workload"}),
        json!({"kind": "workload", "owner": owner, "queues": ["default"]}),
        json!({"kind": "workload", "owner": {"issuer": crate::forge::ISSUER, "subject": ""}}),
        json!({"kind": "runner"}),
        json!({"kind": "runner", "queues": ["default"], "roles": ["RUNNER"]}),
        json!({"kind": "runner", "queues": ["default"], "owner": owner}),
    ] {
        let config = with(config(&[&key]), json!({"clients": {"it": client}}));
        assert!(matches!(error(&[config]), ConfigError::Client { .. }), "{client}");
    }
}

#[test]
fn an_owner_nobody_could_ever_be_is_refused() {
    let key = Key::ed25519("a");
    let mut config = config(&[&key]);
    config["clients"]["agent"]["owner"]["issuer"] = json!("https://id.example/");
    assert!(matches!(error(&[config]), ConfigError::OwnerIssuer { .. }));
}

#[test]
fn a_machine_is_not_called_like_a_person() {
    let key = Key::ed25519("a");
    let runner = json!({"kind": "runner", "queues": ["default"]});
    let config = with(config(&[&key]), json!({"clients": {"0".repeat(64): runner}}));
    assert!(matches!(error(&[config]), ConfigError::LooksLikePerson { .. }));
}

#[test]
fn machines_of_one_tenant_have_different_names() {
    let (a, b) = (Key::ed25519("a"), Key::ed25519("b"));
    let second = with(config(&[&b]), json!({"issuer": "https://other.example"}));
    assert!(matches!(error(&[config(&[&a]), second.clone()]), ConfigError::ClientTwice { .. }));
    let mut elsewhere = second;
    for client in ["agent", "machine"] {
        elsewhere["clients"][client]["tenant"] = json!("other");
    }
    verifier(&[config(&[&a]), elsewhere]);
}

#[test]
fn names_that_are_not_names_are_refused() {
    let key = Key::ed25519("a");
    for (pointer, value) in [
        ("/tenant", json!("Upper")),
        ("/tenant/tenants/Example Ltd", json!("with space")),
        ("/admin_roles/0", json!("with space")),
        ("/clients/agent/tenant", json!("")),
        ("/clients/agent/roles/0", json!("")),
        ("/clients/agent/teams/0", json!("a b")),
        ("/clients/machine/queues/0", json!("a b")),
    ] {
        let mut config = config(&[&key]);
        *config.pointer_mut(pointer).unwrap() = value;
        assert!(matches!(error(&[config]), ConfigError::Name { .. }), "{pointer}");
    }
}

#[test]
fn a_misspelt_member_is_refused_and_not_ignored() {
    let key = Key::ed25519("a");
    for (pointer, member) in
        [("", "audience"), ("", "development"), ("/clients/agent", "requires"), ("/claims", "rolemap")]
    {
        let mut config = config(&[&key]);
        config.pointer_mut(pointer).unwrap()[member] = json!(true);
        let read: Result<IdentityConfig, _> = serde_json::from_value(json!({"issuers": [config]}));
        assert!(read.is_err(), "{pointer} {member}");
    }
}

#[test]
fn a_configuration_survives_being_written_and_read() {
    let key = Key::ed25519("a");
    let read = identity(&[config(&[&key])]);
    let again: IdentityConfig = serde_json::from_value(serde_json::to_value(&read).unwrap()).unwrap();
    assert_eq!(again, read);
}

#[test]
fn who_holds_a_role_is_as_certain_as_the_configuration() {
    let (key, other) = (Key::ed25519("a"), Key::ed25519("b"));
    let claims = |claims: Value| with(config(&[&key]), json!({ "tenant": "dev", "claims": claims }));
    let mapped = json!({"roles": "roles", "role_map": {"risk": ["RISK_OFFICER"]}});
    let machines = with(
        claims(json!({"roles": "roles"})),
        json!({"clients": {"it": {"kind": "runner", "queues": ["default"]}}}),
    );
    let beside = json!({"issuer": "https://beside.example", "tenant": "dev", "claims": {"roles": "roles"},
        "clients": {"people": {"kind": "human"}}});
    let beside = with(config(&[&other]), beside);
    for (issuers, role, expected) in [
        (vec![claims(mapped.clone())], "RISK_OFFICER", Holders::Named),
        (vec![claims(mapped.clone())], "CFO", Holders::Nobody),
        (vec![claims(json!({"roles": "roles"}))], "CFO", Holders::Unknown),
        (vec![claims(json!({}))], "CFO", Holders::Nobody),
        (vec![machines], "CFO", Holders::Nobody),
        (vec![with(claims(mapped.clone()), json!({"tenant": "other"}))], "RISK_OFFICER", Holders::Nobody),
        (vec![], "RISK_OFFICER", Holders::Nobody),
        // Of several providers the best counts.
        (vec![claims(mapped.clone()), beside.clone()], "RISK_OFFICER", Holders::Named),
        (vec![claims(mapped), beside], "CFO", Holders::Unknown),
    ] {
        let verifier = Verifier::new(&identity(&issuers)).unwrap();
        let holders = verifier.holders(&TenantId::parse("dev").unwrap(), &Role::parse(role).unwrap());
        assert_eq!(holders, expected, "{role}: {issuers:?}");
    }
}

#[test]
fn a_login_that_could_let_nobody_in_is_refused() {
    let key = Key::ed25519("a");
    let clients = json!({"cli": {"kind": "human"}, "bot": {"kind": "runner", "queues": ["q"]}});
    let of = |login: Value| with(config(&[&key]), json!({"clients": clients, "login": login}));
    for login in [
        json!({"client": "unknown"}),
        json!({"client": "bot"}),
        json!({"client": "cli", "scopes": ["openid profile"]}),
        json!({"client": "cli", "scopes": [""]}),
        json!({"client": "cli", "resource": "a\nb"}),
        json!({"client": "cli", "prompt": ""}),
        json!({"client": "cli", "scopes": ["profile"], "token": "id"}),
        // An ID token is for the client, which is none of our audiences here.
        json!({"client": "cli", "token": "id"}),
    ] {
        assert!(matches!(error(&[of(login.clone())]), ConfigError::Login { .. }), "{login}");
    }
    let verifier = Verifier::new(&identity(&[of(json!({"client": "cli"}))])).unwrap();
    let logins = verifier.logins();
    assert_eq!(logins.len(), 1);
    assert_eq!(
        (logins[0].0.as_str(), logins[0].1.scopes.as_slice()),
        (crate::forge::ISSUER, &["openid".to_owned()][..])
    );
}

#[test]
fn a_login_to_the_console_that_could_let_nobody_in_is_refused() {
    let key = Key::ed25519("a");
    let with_console = |console: Value| with(config(&[&key]), json!({ "console": console }));
    for console in [
        json!({"client": "nobody"}),
        json!({"client": "agent"}),
        json!({"client": "console", "secret_file": "a", "key_file": "b"}),
        json!({"client": "console", "key_id": "one"}),
        json!({"client": "console", "scopes": ["profile"]}),
        json!({"client": "console", "scopes": ["openid", "with space"]}),
        json!({"client": "console", "prompt": "\n"}),
    ] {
        let refused = error(&[with_console(console.clone())]);
        assert!(matches!(refused, ConfigError::Console { .. }), "{console}");
    }
    for console in
        [json!({"client": "console"}), json!({"client": "console", "key_file": "a", "key_id": "one"})]
    {
        verifier(&[with_console(console)]);
    }
}

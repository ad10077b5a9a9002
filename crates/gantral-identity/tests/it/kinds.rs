//! What somebody is comes from configuration, and a machine is never a human.

use gantral_core::ids::{Name, Role, TenantId};
use gantral_identity::{NotPermitted, Principal, PrincipalKind, TokenError};
use serde_json::json;

use crate::forge::{ISSUER, Key, accepted, config, human, machine, refused, verifier, with};

fn roles(principal: &Principal) -> Vec<&str> {
    principal.roles().iter().map(Role::as_str).collect()
}

#[test]
fn a_human_has_the_roles_and_teams_of_the_mapped_claims() {
    let key = Key::ed25519("a");
    let principal = accepted(&verifier(&[config(&[&key])]), &key.sign(&human()));
    assert_eq!(principal.kind(), PrincipalKind::Human);
    assert_eq!((principal.issuer(), principal.subject()), (ISSUER, "alice"));
    assert_eq!(principal.tenant().as_str(), "example");
    assert_eq!(principal.display_name(), "Alice");
    assert_eq!(roles(&principal), ["RISK_OFFICER"]);
    assert_eq!(principal.teams().iter().map(|team| team.as_str()).collect::<Vec<_>>(), ["payments"]);
    let approver = principal.approver().unwrap();
    assert_eq!((approver.human().issuer(), approver.human().subject()), (ISSUER, "alice"));
    assert!(principal.requester().is_ok());
    assert_eq!(principal.runner().unwrap_err(), NotPermitted::RunnerNeeded { found: PrincipalKind::Human });
    assert_eq!(principal.attempt_bearer().unwrap_err(), NotPermitted::AttemptNeeded);
}

#[test]
fn no_claim_makes_a_machine_human_or_gives_it_a_role() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let claims = json!({
        "kind": "human", "sub": "alice", "name": "Alice", "realm": {"roles": ["RISK_OFFICER", "PLATFORM_ADMIN"]},
        "groups": ["platform"], "queues": ["secret"], "owner": {"issuer": ISSUER, "subject": "mallory"},
        "roles": ["RISK_OFFICER"], "attempt": 1, "instance": "00000000-0000-4000-8000-000000000000",
    });
    for (client, kind) in [("agent", PrincipalKind::Workload), ("machine", PrincipalKind::Runner)] {
        let principal = accepted(&verifier, &key.sign(&with(machine(client), claims.clone())));
        assert_eq!(principal.kind(), kind);
        assert_eq!(principal.client().as_str(), client);
        assert_eq!(principal.display_name(), client);
        assert_eq!(principal.approver().unwrap_err(), NotPermitted::HumanNeeded { found: kind });
        assert_eq!(principal.administrator().unwrap_err(), NotPermitted::HumanNeeded { found: kind });
        assert_eq!(principal.attempt_bearer().unwrap_err(), NotPermitted::AttemptNeeded);
        assert!(!principal.roles().iter().any(|role| role.as_str() != "AGENT"));
        assert!(principal.human().is_none());
        assert!(principal.owner().is_none_or(|owner| owner.subject() == "bob"));
        assert!(!principal.queues().iter().any(|queue| queue.as_str() != "default"));
    }
}

#[test]
fn a_role_configured_for_a_workload_still_makes_it_no_approver() {
    let key = Key::ed25519("a");
    let mut config = config(&[&key]);
    config["clients"]["agent"]["roles"] = json!(["RISK_OFFICER", "PLATFORM_ADMIN"]);
    let principal = accepted(&verifier(&[config]), &key.sign(&machine("agent")));
    let expected = NotPermitted::HumanNeeded { found: PrincipalKind::Workload };
    assert_eq!(principal.approver().unwrap_err(), expected);
    assert_eq!(principal.administrator().unwrap_err(), expected);
}

#[test]
fn a_workload_requests_and_a_runner_claims_from_its_queues() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let agent = accepted(&verifier, &key.sign(&machine("agent")));
    assert!(agent.requester().is_ok());
    assert_eq!(agent.owner().unwrap().subject(), "bob");
    assert_eq!(agent.runner().unwrap_err(), NotPermitted::RunnerNeeded { found: PrincipalKind::Workload });
    let runner = accepted(&verifier, &key.sign(&machine("machine")));
    let expected = NotPermitted::RequesterNeeded { found: PrincipalKind::Runner };
    assert_eq!(runner.requester().unwrap_err(), expected);
    let identity = runner.runner().unwrap();
    assert!(identity.may_claim(&Name::parse("default").unwrap()));
    assert!(!identity.may_claim(&Name::parse("other").unwrap()));
}

#[test]
fn only_a_configured_role_administers() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let plain = accepted(&verifier, &key.sign(&human()));
    assert_eq!(plain.administrator().unwrap_err(), NotPermitted::AdministratorNeeded);
    let claims = with(human(), json!({"realm": {"roles": ["PLATFORM_ADMIN"]}}));
    assert!(accepted(&verifier, &key.sign(&claims)).administrator().is_ok());
}

#[test]
fn a_client_that_speaks_for_itself_is_no_human() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    refused(&verifier, &key.sign(&with(human(), json!({"sub": "console"}))), TokenError::Requirement);
}

#[test]
fn a_claim_that_the_client_requires_must_be_there() {
    let key = Key::ed25519("a");
    let mut config = config(&[&key]);
    config["clients"]["console"]["require"] = json!({"idtyp": ["user"]});
    let verifier = verifier(&[config]);
    accepted(&verifier, &key.sign(&with(human(), json!({"idtyp": "user"}))));
    for idtyp in [json!(null), json!("app"), json!(true), json!(["app"])] {
        refused(&verifier, &key.sign(&with(human(), json!({"idtyp": idtyp}))), TokenError::Requirement);
    }
}

#[test]
fn a_role_map_lets_through_what_it_lists_and_nothing_else() {
    let key = Key::ed25519("a");
    let mut config = config(&[&key]);
    config["claims"]["role_map"] = json!({"risk-team": ["RISK_OFFICER", "REVIEWER"]});
    let verifier = verifier(&[config]);
    let claims = with(human(), json!({"realm": {"roles": ["risk-team", "PLATFORM_ADMIN", "unlisted"]}}));
    let principal = accepted(&verifier, &key.sign(&claims));
    assert_eq!(roles(&principal), ["REVIEWER", "RISK_OFFICER"]);
    assert!(principal.administrator().is_err());
}

#[test]
fn values_that_are_no_role_names_stand_for_nothing() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let claims =
        with(human(), json!({"realm": {"roles": ["RISK_OFFICER", "with space", "", "RISK\u{200b}"]}}));
    assert_eq!(roles(&accepted(&verifier, &key.sign(&claims))), ["RISK_OFFICER"]);
}

#[test]
fn a_tenant_outside_the_configuration_is_refused() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    let tenant = |org| accepted(&verifier, &key.sign(&with(human(), json!({ "org": org })))).tenant().clone();
    assert_eq!(tenant("Other Ltd"), TenantId::parse("other").unwrap());
    for org in
        [json!("Evil Ltd"), json!("example"), json!("example ltd"), json!(["Example Ltd"]), json!(null)]
    {
        refused(&verifier, &key.sign(&with(human(), json!({ "org": org }))), TokenError::Tenant);
    }
}

#[test]
fn a_claim_never_moves_a_client_to_another_tenant() {
    let key = Key::ed25519("a");
    let verifier = verifier(&[config(&[&key])]);
    for org in ["Other Ltd", "Evil Ltd"] {
        refused(&verifier, &key.sign(&with(machine("agent"), json!({ "org": org }))), TokenError::Tenant);
    }
    let same = key.sign(&with(machine("agent"), json!({"org": "Example Ltd"})));
    assert_eq!(accepted(&verifier, &same).tenant().as_str(), "example");
}

#[test]
fn a_fixed_tenant_listens_to_no_claim() {
    let key = Key::ed25519("a");
    let mut config = with(config(&[&key]), json!({"tenant": "fixed"}));
    config["clients"]["agent"]["tenant"] = json!(null);
    let verifier = verifier(&[config]);
    let claims = with(machine("agent"), json!({"tenant": "other", "org": "Other Ltd"}));
    assert_eq!(accepted(&verifier, &key.sign(&claims)).tenant().as_str(), "fixed");
}

#[test]
fn a_service_account_of_kubernetes_is_a_workload_by_its_subject() {
    let key = Key::ed25519("a");
    let account = "system:serviceaccount:payments:refund-agent";
    let kubernetes = with(
        config(&[&key]),
        json!({
            "tenant": "acme", "token_types": ["none"], "claims": {"client": ["sub"]},
            "clients": {account: {"kind": "workload", "owner": {"issuer": ISSUER, "subject": "bob"}}},
        }),
    );
    let verifier = verifier(&[kubernetes]);
    let header = r#"{"alg":"EdDSA","kid":"a"}"#;
    let claims = |subject: &str| {
        let pod = json!({"kubernetes.io": {"namespace": "payments", "pod": {"name": "refund-agent-0"}}});
        with(machine(subject), with(pod, json!({"client_id": null, "nbf": null}))).to_string()
    };
    let principal = accepted(&verifier, &key.sign_raw(header, &claims(account)));
    assert_eq!((principal.kind(), principal.client().as_str()), (PrincipalKind::Workload, account));
    let other = claims("system:serviceaccount:payments:default");
    refused(&verifier, &key.sign_raw(header, &other), TokenError::UnknownClient);
}

//! The development issuer: real tokens, on the loopback interface only.

use std::net::SocketAddr;

use gantral_identity::{
    DEV_TENANT, DEV_TOKEN_TTL, DevDirectory, DevIssuer, DevTokenError, IdentityConfig, Principal,
    PrincipalKind, TokenError, TokenKey, Verifier, development_allowed,
};

use crate::forge::{accepted, now, refused};

fn issuer() -> DevIssuer {
    DevIssuer::new(TokenKey::generate().unwrap(), DevDirectory::standard())
}

fn verifier(issuer: &DevIssuer) -> Verifier {
    Verifier::new(&IdentityConfig { issuers: vec![issuer.config()] }).unwrap()
}

fn roles(principal: &Principal) -> Vec<&str> {
    principal.roles().iter().map(|role| role.as_str()).collect()
}

#[test]
fn the_standard_people_are_who_they_should_be() {
    let issuer = issuer();
    let verifier = verifier(&issuer);
    for (subject, role, administers) in [
        ("alice", "RISK_OFFICER", false),
        ("bob", "DEVELOPER", false),
        ("carol", "TECH_LEAD", false),
        ("dave", "PLATFORM_ADMIN", true),
    ] {
        let token = issuer.human_token(subject, now()).unwrap();
        assert_eq!(token.expires_at(), now().plus(DEV_TOKEN_TTL));
        let principal = accepted(&verifier, token.expose());
        assert_eq!(principal.kind(), PrincipalKind::Human);
        assert_eq!(principal.tenant().as_str(), DEV_TENANT);
        assert_eq!(roles(&principal), [role]);
        assert_eq!(principal.approver().unwrap().human().subject(), subject);
        assert_eq!(principal.administrator().is_ok(), administers);
        assert!(principal.is_development());
    }
}

#[test]
fn the_standard_clients_are_what_they_should_be() {
    let issuer = issuer();
    let verifier = verifier(&issuer);
    let agent = accepted(&verifier, issuer.client_token("refund-agent", now()).unwrap().expose());
    assert_eq!(agent.kind(), PrincipalKind::Workload);
    assert_eq!(agent.owner().unwrap().subject(), "bob");
    let bob = accepted(&verifier, issuer.human_token("bob", now()).unwrap().expose());
    assert_eq!(agent.owner(), bob.human().as_ref());
    let runner = accepted(&verifier, issuer.client_token("dev-runner", now()).unwrap().expose());
    assert_eq!(runner.kind(), PrincipalKind::Runner);
    assert!(runner.runner().is_ok());
    for machine in [agent, runner] {
        assert!(machine.approver().is_err());
        assert!(machine.administrator().is_err());
    }
}

#[test]
fn strangers_get_no_token() {
    let issuer = issuer();
    for name in ["mallory", "", "refund-agent"] {
        let unknown = DevTokenError::Unknown { name: name.to_owned() };
        assert_eq!(issuer.human_token(name, now()), Err(unknown));
    }
    assert!(issuer.client_token("alice", now()).is_err());
    assert!(issuer.client_token("gantral-cli", now()).is_err());
}

#[test]
fn another_development_issuer_proves_nothing_here() {
    let (ours, theirs) = (issuer(), issuer());
    let token = theirs.human_token("dave", now()).unwrap();
    refused(&verifier(&ours), token.expose(), TokenError::UnknownKey);
}

#[test]
fn an_issuer_that_comes_back_with_its_key_file_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.key");
    let issuer = || DevIssuer::new(TokenKey::load_or_generate(&path).unwrap(), DevDirectory::standard());
    let token = issuer().human_token("alice", now()).unwrap();
    accepted(&verifier(&issuer()), token.expose());
}

#[test]
fn development_identities_stay_on_the_loopback_interface() {
    let issuer = issuer();
    let principal = accepted(&verifier(&issuer), issuer.human_token("alice", now()).unwrap().expose());
    for (address, allowed) in [
        ("127.0.0.1:7117", true),
        ("127.8.9.10:1", true),
        ("[::1]:7117", true),
        ("[::ffff:127.0.0.1]:7117", true),
        ("0.0.0.0:7117", false),
        ("[::]:7117", false),
        ("10.0.0.1:7117", false),
        ("192.168.1.20:7117", false),
        ("169.254.169.254:80", false),
        ("[fe80::1]:7117", false),
        ("[::ffff:10.0.0.1]:7117", false),
        ("[::ffff:0.0.0.0]:7117", false),
        ("203.0.113.5:443", false),
    ] {
        let address: SocketAddr = address.parse().unwrap();
        assert_eq!(development_allowed(&address).is_ok(), allowed, "{address}");
        assert_eq!(principal.allowed_from(&address).is_ok(), allowed, "{address}");
    }
}

#[test]
fn a_real_issuers_people_come_from_anywhere() {
    let key = crate::forge::Key::ed25519("a");
    let verifier = crate::forge::verifier(&[crate::forge::config(&[&key])]);
    let principal = accepted(&verifier, &key.sign(&crate::forge::human()));
    assert!(!principal.is_development());
    assert!(principal.allowed_from(&"203.0.113.5:443".parse().unwrap()).is_ok());
}

#[test]
fn a_development_issuer_written_to_a_file_is_not_believed_again() {
    let issuer = issuer();
    let text = serde_json::to_string(&IdentityConfig { issuers: vec![issuer.config()] }).unwrap();
    let read: IdentityConfig = serde_json::from_str(&text).unwrap();
    assert!(Verifier::new(&read).is_err());
}

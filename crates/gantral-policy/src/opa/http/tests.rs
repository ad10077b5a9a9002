use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn refused(config: &OpaConfig) -> String {
    Http::new(config).expect_err("it cannot be used").to_string()
}

#[test]
fn only_https_and_loopback_addresses_are_spoken_to() {
    for good in [
        "https://opa.example.org",
        "https://opa.example.org:8181/behind/a/path/",
        "http://127.0.0.1:8181",
        "http://[::1]:8181/",
        "http://localhost:8181",
    ] {
        assert!(address(good).is_ok(), "{good}");
    }
    for bad in [
        "opa.example.org",
        "http://opa.example.org",
        "http://10.0.0.1:8181",
        "http://localhost.example.org",
        "unix:///run/opa.sock",
        "https://me:secret@opa.example.org",
        "https://opa.example.org?x=1",
        "https://opa.example.org#x",
    ] {
        let text = refused(&OpaConfig::new(bad));
        assert!(text.starts_with("the address cannot be used: ") && !text.contains("secret"), "{text}");
    }
    assert!(is_local("http://127.0.0.1:8181") && is_local("https://localhost"));
    assert!(!is_local("https://opa.example.org") && !is_local("http://opa.example.org"));
}

#[test]
fn requests_go_below_the_address_to_the_package() {
    let config = OpaConfig { decision: "teams/a_1/policy".into(), ..OpaConfig::new("http://127.0.0.1:1/x/") };
    let http = Http::new(&config).unwrap();
    assert_eq!(
        http.evaluate_url.as_str(),
        "http://127.0.0.1:1/x/v1/data/teams/a_1/policy?strict-builtin-errors=true&provenance=true"
    );
    assert_eq!(
        http.version_url.as_str(),
        "http://127.0.0.1:1/x/v1/data/teams/a_1/policy/gantral_no_such_rule?provenance=true"
    );
    assert_eq!(http.health_url.as_str(), "http://127.0.0.1:1/x/health");
    assert_eq!(http.host(), "127.0.0.1:1");
}

#[test]
fn a_package_is_names_between_slashes() {
    for bad in ["", "/a", "a/", "a//b", "a.b", "1a", "a/../b", "a/b?x", "ä", "a b"] {
        let config = OpaConfig { decision: bad.into(), ..OpaConfig::new("http://127.0.0.1:1") };
        assert!(refused(&config).contains("is not the path of a package"), "{bad}");
    }
}

#[test]
fn a_token_file_that_others_may_read_or_that_holds_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let config = OpaConfig { token_file: Some(path.clone()), ..OpaConfig::new("http://127.0.0.1:1") };
    assert!(refused(&config).contains("cannot be used"), "there is no file");
    let write = |content: &str, mode: u32| {
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    write("secret-word", 0o640);
    let text = refused(&config);
    assert!(text.contains("chmod 600") && !text.contains("secret-word"), "{text}");
    for content in ["", "\n", "two words", "é", &"x".repeat(9_000)] {
        write(content, 0o600);
        assert!(refused(&config).contains("not a token"), "{content}");
    }
    write("secret-word\n", 0o600);
    let http = Http::new(&config).unwrap();
    assert!(!format!("{http:?}").contains("secret-word"));
}

#[test]
fn authorities_are_read_from_a_file_of_certificates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    let config = OpaConfig { ca_file: Some(path.clone()), ..OpaConfig::new("https://opa.example.org") };
    assert!(refused(&config).contains("ca.pem"));
    std::fs::write(&path, "no certificate").unwrap();
    assert!(refused(&config).contains("it holds no certificate"));
}

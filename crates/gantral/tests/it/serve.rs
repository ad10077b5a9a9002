//! `gantral serve` as a service manager starts it: one file, a certificate, callers of a provider, a signal to end.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_evidence::trust::KeyRole;
use gantral_keys::{LocalSigner, Signer as _};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::json;
use tempfile::TempDir;

use crate::support::{Killed, Ran, gantral, part, repository, run, start, wait_until};

/// A provider of identities, a configuration that believes it, and a certificate.
pub struct Site {
    folder: TempDir,
    key: Vec<u8>,
}

impl Site {
    pub fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), key: LocalSigner::generate().unwrap() };
        let mut openssl = Command::new("openssl");
        openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]);
        openssl.args(["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]);
        openssl.args(["-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.arg("-keyout").arg(site.path("key.pem")).arg("-out").arg(site.path("cert.pem"));
        let made = openssl.output().expect("this test needs the openssl command");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::write(site.path("gantral.toml"), site.configuration("127.0.0.1:0")).unwrap();
        for (file, client, subject) in [
            ("console", "console", "ida"),
            ("otto", "console", "otto"),
            ("refund-agent", "refund-agent", "refund-agent"),
        ] {
            std::fs::write(site.path(file), site.token(client, subject)).unwrap();
        }
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn configuration(&self, listen: &str) -> String {
        let public = LocalSigner::from_pkcs8(KeyRole::Issuer, &self.key).unwrap();
        let x = URL_SAFE_NO_PAD.encode(public.public_key().as_bytes());
        let folder = self.folder.path().display();
        format!(
            "listen = '{listen}'\ndata = '{folder}/data'\ntenants = ['acme']
             [tls]\ncertificate = '{folder}/cert.pem'\nkey = '{folder}/key.pem'
             [[identity.issuers]]\nissuer = 'https://id.example'\naudiences = ['gantral']\nalgorithms = ['EdDSA']
             tenant = 'acme'
             [identity.issuers.keys.static]\nkeys = [{{ kty = 'OKP', crv = 'Ed25519', kid = 'one', x = '{x}' }}]
             [identity.issuers.claims]\nroles = 'roles'\nteams = 'teams'
             [identity.issuers.clients.console]\nkind = 'human'
             [identity.issuers.clients.refund-agent]\nkind = 'workload'\nteams = ['payments']
             owner = {{ issuer = 'https://id.example', subject = 'otto' }}\n"
        )
    }

    fn token(&self, client: &str, subject: &str) -> String {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": "https://id.example", "aud": "gantral", "sub": subject, "client_id": client,
            "roles": ["DEVELOPER"], "teams": ["payments"], "iat": seconds, "exp": seconds + 600,
        });
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&self.key)).unwrap()
    }

    /// Starts the server; returns it with its URL.
    pub fn serve(&self) -> (Killed, String) {
        let mut command = gantral(self.folder.path());
        command.args(["serve", "--json", "--config", "gantral.toml"]);
        start(command, &self.path("server.log"))
    }

    /// Starts a server upon another data folder; returns it with its URL.
    pub fn serve_from(&self, data: &str) -> (Killed, String) {
        let folder = self.folder.path().display();
        let other = self
            .configuration("127.0.0.1:0")
            .replace(&format!("data = '{folder}/data'"), &format!("data = '{folder}/{data}'"));
        std::fs::write(self.path("other.toml"), other).unwrap();
        let mut command = gantral(self.folder.path());
        command.args(["serve", "--json", "--config", "other.toml"]);
        start(command, &self.path("server.log"))
    }

    /// Runs a command as a client of the provider.
    pub fn run(&self, url: &str, client: &str, arguments: &[&str]) -> Ran {
        let (token, authority) = (self.path(client), self.path("cert.pem"));
        let of_server = ["--url", url, "--token-file", path(&token), "--ca-file", path(&authority)];
        run(self.folder.path(), &[arguments, &of_server].concat())
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn server_of_a_configuration_file_serves_over_tls_stops_when_asked_and_keeps_everything() {
    let site = Site::new();
    let (mut server, url) = site.serve();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    // Readiness comes with the first policy worker.
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let findings = site.run(&url, "console", &["doctor", "--json"]).status(0).json();
    let of = |check: &str| {
        let found = findings.as_array().unwrap().iter().find(|finding| finding["check"] == check);
        found.unwrap()["detail"].as_str().unwrap().to_owned()
    };
    assert!(of("ready").contains("takes writes"), "{findings}");
    assert!(of("token").contains("a human of tenant acme; roles DEVELOPER; teams payments"), "{findings}");

    // The same port speaks nothing but TLS, and believes nobody but the provider.
    let plain = site.run(&url.replace("https", "http"), "console", &["instances", "ls"]).status(1);
    assert!(plain.talk.contains("error: ") && plain.data.is_empty(), "{plain:?}");
    std::fs::write(site.path("stranger"), Site::new().token("console", "ida")).unwrap();
    let refused = site.run(&url, "stranger", &["instances", "ls"]).status(1);
    assert!(refused.talk.contains("[token_rejected]"), "{refused:?}");

    let definition = repository().join("examples/split-agent/workflow.toml");
    site.run(&url, "console", &["workflows", "apply", path(&definition)]).status(0);
    let id = site.run(&url, "refund-agent", &["instances", "create", "split-refund"]).status(0).word();
    assert_eq!(server.stop(), Some(0));
    let (mut server, url) = site.serve();
    let seen = site.run(&url, "console", &["instances", "show", &id, "--json"]).status(0).json();
    assert_eq!(seen["state"], "CREATED");
    let export = ["evidence", "export", &id, "--output", "a.gantral", "--trust-out", "trust.json"];
    site.run(&url, "console", &export).status(0);
    run(site.folder.path(), &["verify", "a.gantral", "--trust", "trust.json"]).status(0);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn signed_bundle_is_published_as_it_is_and_shown_with_its_signer() {
    let site = Site::new();
    let do_it = |program: &Path, arguments: &[&str]| {
        let ran = Command::new(program).args(arguments).current_dir(site.folder.path()).output();
        let ran = ran.unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        assert!(ran.status.success(), "{ran:?}");
    };
    let openssl = Path::new("openssl");
    do_it(openssl, &["genpkey", "-algorithm", "ed25519", "-out", "release.pem"]);
    do_it(openssl, &["pkey", "-in", "release.pem", "-pubout", "-out", "release.pub"]);
    let required = "[policy.signing]\nrequired = true\n[policy.signing.keys.release]\nalgorithm = 'EdDSA'\n";
    let text = site.configuration("127.0.0.1:0");
    let text = format!("{text}{required}file = '{}'\n", site.path("release.pub").display());
    std::fs::write(site.path("gantral.toml"), text).unwrap();
    let (_server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));

    let source = repository().join("policies/refunds");
    let source = path(&source);
    let refused = site.run(&url, "console", &["policy", "publish", source]).status(1);
    assert!(refused.talk.contains("[policy_unsigned]"), "{refused:?}");
    let opa = part("opa/opa");
    do_it(&opa, &["build", "-b", source, "-o", "unsigned.tar.gz"]);
    let version = run(site.folder.path(), &["policy", "version", "unsigned.tar.gz"]).status(0).word();
    let signing =
        ["--signing-alg", "EdDSA", "--signing-key", "release.pem", "--verification-key-id", "release"];
    let build = ["build", "-b", source, "-o", "refunds.tar.gz", "--revision", version.as_str()];
    do_it(&opa, &[&build[..], &signing].concat());
    let published = site.run(&url, "console", &["policy", "publish", "refunds.tar.gz"]).status(0);
    assert!(published.talk.contains("signed by `release` with EdDSA\n"), "{published:?}");
    let shown = site.run(&url, "console", &["policy", "show", &version]).status(0);
    assert!(shown.talk.contains("signed by `release` with EdDSA\n"), "{shown:?}");
    let shown = site.run(&url, "console", &["policy", "show", &version, "--json"]).status(0).json();
    assert_eq!(shown["signed_by"], json!({"key": "release", "algorithm": "EdDSA", "pinned": true}));
    // What the server hands out is still as it was signed: OPA takes it by the public key.
    site.run(&url, "console", &["policy", "show", &version, "--output", "copy"]).status(0);
    let mut check = Command::new(&opa);
    check.args(["build", "-b", ".", "-o", "../again.tar.gz", "--verification-key", "../release.pub"]);
    check.args([
        "--verification-key-id",
        "release",
        "--signing-alg",
        "EdDSA",
        "--signing-key",
        "../release.pem",
    ]);
    let checked = check.current_dir(site.path("copy")).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}

#[test]
fn configuration_that_cannot_be_served_is_refused_in_one_line() {
    let site = Site::new();
    let good = site.configuration("127.0.0.1:0");
    let plain = site.configuration("0.0.0.0:0").replace("[tls]", "[[identity.unknown]]");
    let open = site.configuration("0.0.0.0:0");
    let (before, after) = (open.find("[tls]").unwrap(), open.find("[[identity").unwrap());
    let open = format!("{}{}", &open[..before], &open[after..]);
    for (text, expected) in [
        (plain, "unknown field"),
        (open, "is not loopback: give a certificate and a key"),
        (good.replace("tenants = ['acme']", "tenants = ['other']"), "callers of tenant `acme`"),
        (good.replace("cert.pem", "missing.pem"), "missing.pem` cannot be used"),
        (
            good.replace("[tls]", "[tls]\nclient_certificates = 'machines'"),
            "no `tls.client_ca` says whose are believed",
        ),
    ] {
        std::fs::write(site.path("gantral.toml"), &text).unwrap();
        let ran = run(site.folder.path(), &["serve", "--config", "gantral.toml"]).status(1);
        assert!(ran.talk.lines().any(|line| line.starts_with("error: ")), "{ran:?}");
        assert!(ran.talk.contains(expected), "{expected}: {ran:?}");
        assert_eq!(ran.data, "");
    }
}

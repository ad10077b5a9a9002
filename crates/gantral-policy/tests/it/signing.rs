//! Signatures that a real OPA makes and checks: we accept what it accepts and is safe, and refuse what it refuses.

mod keys;

use std::path::Path;
use std::process::{Command, Output};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::time::UnixMillis;
use gantral_policy::bundle::Bundle;
use gantral_policy::bundle::signature::{Algorithm, KeyError, SignatureError, SignedBy, VerificationKeys};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::opa::service::program;
use keys::KeyPair;

const MODULE: &str = "package gantral.policy\n\ndefault decision := \"DENY\"\n";
/// JSON that two programs like to write differently.
const ODD: &str = r#"{"b": 1.50, "a": ["<é>&", 1e3, 1E5, 2e+07, true, null, "\u2028 x \u0001\b\f\u007f\"\\\/\n\r\t"],
  "Z": {"y": {}, "x": []}, "big": 12345678901234567890, "neg": -0, "ﬀ": 1, "😀": 2, "\ud83d\ude00b": 0.0010, "": false}"#;
const NOW: u64 = 1_800_000_000_000;

/// A folder with a bundle, and keys beside it.
struct Author {
    folder: TempDir,
    key: KeyPair,
}

impl Author {
    fn new(algorithm: Algorithm) -> Self {
        let author = Self { folder: tempfile::tempdir().unwrap(), key: KeyPair::new(algorithm) };
        let bundle = author.folder.path().join("bundle");
        std::fs::create_dir_all(bundle.join("team")).unwrap();
        std::fs::write(bundle.join("policy.rego"), MODULE).unwrap();
        std::fs::write(bundle.join("team/data.json"), ODD).unwrap();
        std::fs::write(bundle.join(".manifest"), r#"{"roots": ["gantral", "team"], "metadata": {"a": 1.0}}"#)
            .unwrap();
        std::fs::write(author.folder.path().join("private.pem"), &author.key.private).unwrap();
        std::fs::write(author.folder.path().join("public.pem"), &author.key.public).unwrap();
        author
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    fn opa(&self, arguments: &[&str]) -> Output {
        opa(self.folder.path(), arguments)
    }

    /// Builds a signed archive with `opa build`.
    fn build(&self, more: &[&str]) -> Bundle {
        let algorithm = self.key.algorithm.as_str();
        let signing = ["build", "-b", "bundle", "-o", "built.tar.gz", "--signing-key", "private.pem"];
        let built = self.opa(&[&signing[..], &["--signing-alg", algorithm], more].concat());
        assert!(built.status.success(), "{built:?}");
        Bundle::from_archive(&std::fs::read(self.path("built.tar.gz")).unwrap()).unwrap()
    }

    /// Signs the folder with `opa sign`, with these claims beside the files.
    fn sign(&self, claims: Option<Value>) -> Bundle {
        let algorithm = self.key.algorithm.as_str();
        let mut arguments = vec![
            "sign",
            "--bundle",
            ".",
            "-o",
            ".",
            "--signing-key",
            "../private.pem",
            "--signing-alg",
            algorithm,
        ];
        if let Some(claims) = claims {
            std::fs::write(self.path("claims.json"), claims.to_string()).unwrap();
            arguments.extend(["--claims-file", "../claims.json"]);
        }
        let signed = opa(&self.path("bundle"), &arguments);
        assert!(signed.status.success(), "{signed:?}");
        Bundle::from_directory(&self.path("bundle")).unwrap()
    }

    /// Signs any claims, under any header, as somebody who has the key.
    fn token(&self, header: Value, claims: &Value) -> String {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let message = format!("{}.{}", part(&header), part(claims));
        let signature = self.key.sign(message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }

    fn keys(&self, scope: Option<&str>) -> VerificationKeys {
        let mut keys = VerificationKeys::default();
        keys.add("default", self.key.algorithm.as_str(), self.key.public.as_bytes(), scope).unwrap();
        keys
    }

    /// Tells whether OPA loads this bundle and holds it against our key.
    fn opa_accepts(&self, bundle: &Bundle, scope: Option<&str>) -> bool {
        std::fs::write(self.path("checked.tar.gz"), bundle.to_archive().unwrap()).unwrap();
        let mut arguments = vec![
            "build",
            "-b",
            "checked.tar.gz",
            "-o",
            "again.tar.gz",
            "--verification-key",
            "public.pem",
            "--signing-alg",
            self.key.algorithm.as_str(),
            "--signing-key",
            "private.pem",
        ];
        if let Some(scope) = scope {
            arguments.extend(["--scope", scope]);
        }
        self.opa(&arguments).status.success()
    }
}

fn opa(folder: &Path, arguments: &[&str]) -> Output {
    let program = program();
    assert!(program.exists(), "the part `opa` is missing\nhint: `cargo xtask parts`");
    Command::new(program).args(arguments).current_dir(folder).output().unwrap()
}

fn now() -> UnixMillis {
    UnixMillis::new(NOW).unwrap()
}

fn verify(bundle: &Bundle, keys: &VerificationKeys) -> Result<Option<SignedBy>, SignatureError> {
    bundle.verify(keys, now())
}

/// Returns the bundle with one file put, or removed.
fn with(bundle: &Bundle, path: &str, content: Option<&[u8]>) -> Bundle {
    let others = bundle.files().filter(|(its, _)| *its != path);
    let mut files: Vec<_> = others.map(|(path, content)| (path.to_owned(), content.to_vec())).collect();
    files.extend(content.map(|content| (path.to_owned(), content.to_vec())));
    Bundle::from_files(files).unwrap()
}

fn with_token(bundle: &Bundle, token: &str) -> Bundle {
    with(bundle, ".signatures.json", Some(json!({"signatures": [token]}).to_string().as_bytes()))
}

fn token_of(bundle: &Bundle) -> String {
    let content = bundle.files().find(|(path, _)| *path == ".signatures.json").unwrap().1;
    let file: Value = serde_json::from_slice(content).unwrap();
    file["signatures"][0].as_str().unwrap().to_owned()
}

fn claims_of(bundle: &Bundle) -> Value {
    let token = token_of(bundle);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

#[test]
fn what_opa_signs_with_each_algorithm_is_accepted_and_says_who_signed() {
    for algorithm in Algorithm::ALL {
        let author = Author::new(algorithm);
        let by = SignedBy { key: "default".to_owned(), algorithm, scope: None };
        for bundle in [author.build(&[]), author.sign(None)] {
            assert!(author.opa_accepts(&bundle, None), "{algorithm:?}");
            assert_eq!(verify(&bundle, &author.keys(None)), Ok(Some(by.clone())), "{algorithm:?}");
        }
    }
}

#[test]
fn a_bundle_in_the_older_language_is_accepted_as_opa_signs_it() {
    let author = Author::new(Algorithm::Es256);
    std::fs::write(
        author.path("bundle/policy.rego"),
        "package gantral.policy\ndecision = \"DENY\" { true }\n",
    )
    .unwrap();
    let bundle = author.build(&["--v0-compatible"]);
    assert_eq!(bundle.rego_version(), gantral_policy::bundle::RegoVersion::V0);
    assert!(verify(&bundle, &author.keys(None)).unwrap().is_some());
}

#[test]
fn what_is_not_signed_is_told_apart_from_what_is() {
    let author = Author::new(Algorithm::Es256);
    let plain = Bundle::from_directory(&author.path("bundle")).unwrap();
    assert_eq!(verify(&plain, &author.keys(None)), Ok(None));
    let signed = author.build(&[]);
    assert_eq!(verify(&signed, &VerificationKeys::default()), Err(SignatureError::NoKeys));
}

#[test]
fn a_file_that_changed_came_or_went_after_signing_is_named_and_opa_refuses_it_too() {
    let author = Author::new(Algorithm::Es256);
    let signed = author.sign(None);
    let path = |path: &str| path.to_owned();
    let changed = MODULE.replace("DENY", "ALLOW");
    let cases: [(&str, Option<&[u8]>, SignatureError); 7] = [
        ("policy.rego", Some(changed.as_bytes()), SignatureError::Changed { path: path("policy.rego") }),
        ("team/data.json", Some(b"{}"), SignatureError::Changed { path: path("team/data.json") }),
        (
            ".manifest",
            Some(br#"{"roots":["gantral","team"]}"#),
            SignatureError::Changed { path: path(".manifest") },
        ),
        ("more.rego", Some(b"package more\n"), SignatureError::NotCovered { path: path("more.rego") }),
        ("data.json", Some(b"{}"), SignatureError::NotCovered { path: path("data.json") }),
        ("team/data.json", None, SignatureError::Absent { path: path("team/data.json") }),
        (".manifest", None, SignatureError::Absent { path: path(".manifest") }),
    ];
    for (file, content, refusal) in cases {
        let tampered = with(&signed, file, content);
        assert_eq!(verify(&tampered, &author.keys(None)), Err(refusal.clone()), "{file}");
        assert!(refusal.is_about_files());
        assert!(!author.opa_accepts(&tampered, None), "{file}");
    }
    // Another layout of the same data is the same data, for OPA as for us.
    let laid_out = serde_json::from_str::<Value>(ODD).unwrap();
    assert_ne!(serde_json::to_string(&laid_out).unwrap(), ODD);
    let spaced = ODD.replace(", ", "  ,\n ");
    let same = with(&signed, "team/data.json", Some(spaced.as_bytes()));
    assert!(author.opa_accepts(&same, None));
    assert!(verify(&same, &author.keys(None)).unwrap().is_some());
}

#[test]
fn our_own_revision_in_a_signed_bundle_would_break_it_so_it_is_published_as_it_is() {
    let author = Author::new(Algorithm::Es256);
    let signed = author.build(&[]);
    assert_eq!(signed.as_published().unwrap(), signed);
    let manifest = signed.files().find(|(path, _)| *path == ".manifest").unwrap().1;
    let mut manifest: Value = serde_json::from_slice(manifest).unwrap();
    manifest["revision"] = json!(signed.version().0.to_hex());
    let changed = with(&signed, ".manifest", Some(manifest.to_string().as_bytes()));
    assert_eq!(changed.version(), signed.version());
    assert!(!author.opa_accepts(&changed, None));
    assert_eq!(
        verify(&changed, &author.keys(None)),
        Err(SignatureError::Changed { path: ".manifest".to_owned() })
    );
}

#[test]
fn a_bundle_that_is_built_again_with_its_version_as_the_revision_keeps_that_version() {
    let author = Author::new(Algorithm::Rs256);
    let first = author.build(&[]);
    assert_eq!(first.revision(), "");
    assert!(!first.is_pinned());
    let version = first.version();
    let pinned = author.build(&["--revision", &version.0.to_hex()]);
    assert_eq!((pinned.version(), pinned.revision()), (version, version.0.to_hex()));
    assert!(pinned.is_pinned() && pinned.is_signed());
    assert!(verify(&pinned, &author.keys(None)).unwrap().is_some());
}

#[test]
fn the_signature_of_somebody_else_is_refused() {
    let (author, other) = (Author::new(Algorithm::Es256), Author::new(Algorithm::Es256));
    let signed = author.build(&[]);
    assert_eq!(verify(&signed, &other.keys(None)), Err(SignatureError::Forged { key: "default".to_owned() }));
    assert!(!other.opa_accepts(&signed, None));
    let mut named = VerificationKeys::default();
    named.add("release", "ES256", author.key.public.as_bytes(), None).unwrap();
    assert_eq!(verify(&signed, &named), Err(SignatureError::UnknownKey { key: "default".to_owned() }));
}

#[test]
fn a_signature_that_names_no_key_is_held_against_every_key_of_its_algorithm() {
    let author = Author::new(Algorithm::EdDsa);
    let (other, elliptic) = (KeyPair::new(Algorithm::EdDsa), KeyPair::new(Algorithm::Es256));
    let signed = author.sign(None);
    let mut keys = VerificationKeys::default();
    keys.add("a", "EdDSA", other.public.as_bytes(), None).unwrap();
    keys.add("b", "ES256", elliptic.public.as_bytes(), None).unwrap();
    assert_eq!(verify(&signed, &keys), Err(SignatureError::Forged { key: "a".to_owned() }));
    keys.add("c", "EdDSA", author.key.public.as_bytes(), None).unwrap();
    assert_eq!(verify(&signed, &keys).unwrap().unwrap().key, "c");
}

#[test]
fn the_scope_of_the_signature_must_be_that_of_the_key() {
    let author = Author::new(Algorithm::Es256);
    let scoped = author.sign(Some(json!({"keyid": "default", "scope": "prod", "iss": "release"})));
    let refused = Err(SignatureError::Scope { key: "default".to_owned() });
    for (scope, good) in [(Some("prod"), true), (Some("test"), false), (None, false)] {
        let told = verify(&scoped, &author.keys(scope));
        assert_eq!(author.opa_accepts(&scoped, scope), good, "{scope:?}");
        if good {
            assert_eq!(told.unwrap().unwrap().scope.as_deref(), scope);
        } else {
            assert_eq!(told, refused);
        }
    }
    let unscoped = author.sign(None);
    assert_eq!(verify(&unscoped, &author.keys(Some("prod"))), refused);
    assert!(!author.opa_accepts(&unscoped, Some("prod")));
}

#[test]
fn a_signature_that_has_expired_is_refused_though_opa_does_not_look() {
    let author = Author::new(Algorithm::Es256);
    let ends_at = |seconds: u64| author.sign(Some(json!({"exp": seconds})));
    assert!(verify(&ends_at(NOW / 1_000 + 1), &author.keys(None)).unwrap().is_some());
    let expired = ends_at(NOW / 1_000);
    assert_eq!(verify(&expired, &author.keys(None)), Err(SignatureError::Expired));
    assert!(author.opa_accepts(&ends_at(1), None));
    let signed = author.sign(None);
    let mut claims = claims_of(&signed);
    claims["exp"] = json!("tomorrow");
    let odd = with_token(&signed, &author.token(json!({"alg": "ES256"}), &claims));
    assert!(matches!(verify(&odd, &author.keys(None)), Err(SignatureError::Malformed { .. })));
}

#[test]
fn a_token_cannot_choose_its_algorithm() {
    let author = Author::new(Algorithm::Rs256);
    let signed = author.sign(None);
    let claims = claims_of(&signed);
    let refused = |algorithm: &str| Err(SignatureError::Algorithm { algorithm: algorithm.to_owned() });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", part(&json!({"alg": "none"})), part(&claims));
    assert_eq!(verify(&with_token(&signed, &unsigned), &author.keys(None)), refused("none"));
    assert!(!author.opa_accepts(&with_token(&signed, &unsigned), None));
    // The public key, which everybody knows, as the secret of an HMAC.
    let message = format!("{}.{}", part(&json!({"alg": "HS256"})), part(&claims));
    let secret = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, author.key.public.as_bytes());
    let tag = URL_SAFE_NO_PAD.encode(aws_lc_rs::hmac::sign(&secret, message.as_bytes()));
    assert_eq!(
        verify(&with_token(&signed, &format!("{message}.{tag}")), &author.keys(None)),
        refused("HS256")
    );
    // A good signature of the key under another name of an algorithm, named and unnamed.
    for header in [json!({"alg": "PS256", "kid": "default"}), json!({"alg": "RS512"})] {
        let token = author.token(header.clone(), &claims);
        let told = verify(&with_token(&signed, &token), &author.keys(None));
        assert_eq!(told, refused(header["alg"].as_str().unwrap()));
    }
    let extended = author.token(json!({"alg": "RS256", "crit": ["b64"], "b64": false}), &claims);
    assert!(matches!(
        verify(&with_token(&signed, &extended), &author.keys(None)),
        Err(SignatureError::Malformed { .. })
    ));
}

#[test]
fn what_is_signed_but_could_be_read_in_two_ways_is_refused() {
    let author = Author::new(Algorithm::EdDsa);
    let signed = author.sign(None);
    let claims = claims_of(&signed);
    let resigned = |claims: &Value| with_token(&signed, &author.token(json!({"alg": "EdDSA"}), claims));
    assert!(verify(&resigned(&claims), &author.keys(None)).unwrap().is_some());
    let change = |change: fn(&mut Value)| {
        let mut claims = claims.clone();
        change(&mut claims);
        verify(&resigned(&claims), &author.keys(None)).unwrap_err()
    };
    let malformed = |error: &SignatureError| matches!(error, SignatureError::Malformed { .. });
    assert!(malformed(&change(|claims| {
        let first = claims["files"][0].clone();
        claims["files"].as_array_mut().unwrap().push(first);
    })));
    assert!(malformed(&change(|claims| claims["files"] = json!({}))));
    assert!(malformed(&change(|claims| claims["files"][0] = json!({"name": "policy.rego"}))));
    assert!(malformed(&change(|claims| claims["scope"] = json!(["prod"]))));
    for weak in ["MD5", "SHA-1", "sha256", ""] {
        let mut claims = claims.clone();
        for file in claims["files"].as_array_mut().unwrap() {
            file["algorithm"] = json!(weak);
        }
        let told = verify(&resigned(&claims), &author.keys(None));
        assert_eq!(told, Err(SignatureError::Digest { path: ".manifest".to_owned() }), "{weak}");
    }
    let doubled = with(&signed, "team/data.json", Some(br#"{"a":1,"a":2}"#));
    let told = verify(&doubled, &author.keys(None));
    assert!(matches!(told, Err(SignatureError::Unreadable { .. })), "{told:?}");
    let token = token_of(&signed);
    for file in [
        json!({}),
        json!({"signatures": []}),
        json!({"signatures": [token, token]}),
        json!({"signatures": [token], "plugin": "other"}),
        json!({"signatures": [7]}),
        json!({"signatures": ["a.b"]}),
        json!({"signatures": [format!("{token}.x")]}),
        json!({"signatures": [format!("{token}=")]}),
        json!([token]),
    ] {
        let told =
            verify(&with(&signed, ".signatures.json", Some(file.to_string().as_bytes())), &author.keys(None));
        assert!(told.as_ref().is_err_and(malformed), "{file}: {told:?}");
    }
}

#[test]
fn each_byte_of_a_token_matters() {
    let author = Author::new(Algorithm::EdDsa);
    let signed = author.sign(None);
    let token = token_of(&signed);
    for at in (0..token.len()).step_by(7).chain([token.len() - 1]) {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        let other = with_token(&signed, &String::from_utf8(bytes).unwrap());
        assert!(verify(&other, &author.keys(None)).is_err(), "byte {at}");
    }
}

#[test]
fn keys_that_cannot_hold_are_refused_when_they_are_configured() {
    let elliptic = KeyPair::new(Algorithm::Es256);
    let add = |name: &str, algorithm: &str, pem: &str, scope| {
        VerificationKeys::default().add(name, algorithm, pem.as_bytes(), scope).unwrap_err()
    };
    let good = elliptic.public.as_str();
    assert_eq!(add("", "ES256", good, None), KeyError::Name);
    assert_eq!(add("a\nb", "ES256", good, None), KeyError::Name);
    assert_eq!(add("a", "ES256", good, Some("")), KeyError::Scope);
    assert!(matches!(add("a", "HS256", good, None), KeyError::Secret { .. }));
    assert!(matches!(add("a", "none", good, None), KeyError::Algorithm { .. }));
    assert_eq!(add("a", "ES256", &elliptic.private, None), KeyError::Pem);
    assert_eq!(add("a", "ES256", "secret", None), KeyError::Pem);
    for algorithm in Algorithm::ALL.into_iter().filter(|algorithm| *algorithm != Algorithm::Es256) {
        let name = algorithm.as_str();
        assert_eq!(add("a", name, good, None), KeyError::Kind { algorithm: name });
    }
    assert_eq!(add("a", "RS256", keys::SHORT_RSA, None), KeyError::Kind { algorithm: "RS256" });
    let mut keys = VerificationKeys::default();
    keys.add("a", "ES256", good.as_bytes(), None).unwrap();
    assert_eq!(keys.add("a", "ES256", good.as_bytes(), None), Err(KeyError::Twice));
    assert_eq!(format!("{keys:?}"), r#"{"a"}"#);
}

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Asks the library of CycloneDX itself what it thinks of a document.
fn is_sound(document: &str) -> bool {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("document"), document).unwrap();
    let program = "import sys\nfrom cyclonedx.schema import SchemaVersion\nfrom cyclonedx.validation.json import JsonStrictValidator\n\
                   sys.exit(7 if JsonStrictValidator(SchemaVersion.V1_6).validate_str(open('document').read()) else 0)";
    let given = std::env::var_os("GANTRAL_PARTS").map(PathBuf::from);
    let python = given.unwrap_or_else(|| root().join(".parts")).join("schemas/bin/python");
    assert!(python.exists(), "the part `schemas` is missing\nhint: `cargo xtask parts`");
    let ran = Command::new(python).args(["-c", program]).current_dir(folder.path()).output().unwrap();
    match ran.status.code() {
        Some(0) => true,
        Some(7) => false,
        _ => panic!("{}", String::from_utf8_lossy(&ran.stderr)),
    }
}

#[test]
fn list_of_components_is_sound_complete_and_the_same_each_time() {
    let document = sbom::document(&root(), "gantral").unwrap();
    assert_eq!(sbom::document(&root(), "gantral").unwrap(), document);
    assert!(is_sound(&document));
    assert!(!is_sound(&document.replace("\"library\"", "\"something\"")));
    let read: Value = serde_json::from_str(&document).unwrap();
    let components = read["components"].as_array().unwrap();
    let named = |name: &str| components.iter().find(|component| component["name"] == name);
    assert!(components.len() > 150, "{}", components.len());
    for used in ["rustls", "aws-lc-sys", "rusqlite", "tokio", "gantral-core"] {
        assert!(named(used).is_some(), "{used}");
    }
    // What only tests and builds use is in no program.
    for unused in ["proptest", "tempfile", "cc"] {
        assert!(named(unused).is_none() || unused == "tempfile", "{unused}");
    }
    for component in
        components.iter().filter(|component| !component["name"].as_str().unwrap().starts_with("gantral"))
    {
        assert!(
            component["hashes"][0]["content"].as_str().is_some_and(|digest| digest.len() == 64),
            "{component}"
        );
        assert!(component["licenses"][0]["expression"].is_string(), "{component}");
    }
    assert_eq!(read["dependencies"].as_array().unwrap().len(), components.len() + 1);
}

#[test]
fn program_that_needs_a_loader_is_told_from_one_that_does_not() {
    // This test itself was linked by the system.
    let own = fs::read(std::env::current_exe().unwrap()).unwrap();
    assert_eq!(needs_loader(&own), Some(true));
    let mut none = own.clone();
    let first = usize::try_from(u64::from_le_bytes(own[32..40].try_into().unwrap())).unwrap();
    let (length, count) = (usize::from(own[54]), usize::from(own[56]));
    for index in 0..count {
        let at = first + index * length;
        if none[at] == 3 {
            none[at] = 0;
        }
    }
    assert_eq!(needs_loader(&none), Some(false));
    for damaged in [&b""[..], b"#!/bin/sh\n", &own[..60]] {
        assert_eq!(needs_loader(damaged), None);
    }
}

#[test]
fn digests_are_checked_and_their_signature_verified_by_the_usual_tools() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("gantral"), "a program").unwrap();
    fs::write(out.join("gantral.cdx.json"), "{}").unwrap();
    digest(&out).unwrap();
    let check = |program: &str, words: &[&str]| {
        Command::new(program).args(words).current_dir(&out).output().unwrap().status.success()
    };
    assert!(check("sha256sum", &["--check", "--strict", "--quiet", DIGESTS]));
    assert_eq!(fs::read_to_string(out.join(DIGESTS)).unwrap().lines().count(), 2);
    assert!(check("openssl", &["genpkey", "-algorithm", "ed25519", "-out", "../key.pem"]));
    assert!(check("openssl", &["pkey", "-in", "../key.pem", "-pubout", "-out", "../public.pem"]));
    let key = folder.path().join("key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(sign(&out, &key).unwrap_err().to_string().contains("can be read by others"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    sign(&out, &key).unwrap();
    let verified = || {
        let words =
            ["pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "../public.pem", "-in", DIGESTS, "-sigfile"];
        check("openssl", &[&words[..], &["SHA256SUMS.sig"]].concat())
    };
    assert!(verified());
    fs::write(out.join(DIGESTS), "0  gantral\n").unwrap();
    assert!(!verified());
}

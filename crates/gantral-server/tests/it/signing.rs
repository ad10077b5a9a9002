//! Signed bundles: who signed is checked before anything is kept, and an OPA can check the same bundle.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use gantral_api::problem::Code;
use gantral_api::wire::{Activate, AuthorityAnswer, PageQuery, Scope, SignedBy};
use gantral_policy::bundle::Bundle;
use gantral_server::evaluators::PolicySettings;
use gantral_testkit::part;
use gantral_testkit::policy::{example, rules};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::evaluators::Site;
use crate::place::{code, to};

/// A server that takes nothing but what `release` has signed for `prod`.
struct Signed {
    site: Site,
}

fn run(folder: &Path, command: &mut Command) {
    let ran = command.current_dir(folder).output().expect("this test needs the openssl command, and OPA");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()));
}

/// Makes a key pair in `NAME.pem` and `NAME.pub`.
fn key(folder: &Path, name: &str) {
    let (private, public) = (format!("{name}.pem"), format!("{name}.pub"));
    run(
        folder,
        Command::new("openssl")
            .args(["genpkey", "-algorithm", "EC", "-out", &private])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256"]),
    );
    run(folder, Command::new("openssl").args(["pkey", "-pubout", "-in", &private, "-out", &public]));
}

/// Builds the folder with OPA, signed by a key for `prod`.
fn build(folder: &Path, source: &Bundle, key: &str, revision: &str) -> Bundle {
    let made = tempfile::tempdir_in(folder).unwrap();
    source.to_directory(&made.path().join("bundle")).unwrap();
    std::fs::write(made.path().join("claims.json"), r#"{"scope":"prod","keyid":"release"}"#).unwrap();
    run(
        made.path(),
        Command::new(part("opa/opa"))
            .args(["build", "-b", "bundle", "-o", "bundle.tar.gz", "--revision", revision])
            .args(["--signing-alg", "ES256", "--claims-file", "claims.json", "--signing-key"])
            .arg(folder.join(format!("{key}.pem"))),
    );
    Bundle::from_path(&made.path().join("bundle.tar.gz")).unwrap()
}

impl Signed {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        key(folder.path(), "release");
        key(folder.path(), "stranger");
        let more = section(&folder, true);
        Self { site: Site::start_with(folder, &more).await }
    }

    fn build(&self, source: &Bundle, key: &str, revision: &str) -> Bundle {
        build(self.site.folder.path(), source, key, revision)
    }

    /// Builds it twice, because the version is known only when it is built.
    fn pinned(&self, source: &Bundle) -> Bundle {
        let version = self.build(source, "release", "").version();
        self.build(source, "release", &version.0.to_hex())
    }

    async fn published(&self) -> usize {
        self.site.bob().policies(&PageQuery::default()).await.unwrap().items.len()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.site.folder.path().join(name)
    }

    /// The keys and the check of an OPA that trusts the key in this file.
    fn trusting(&self, key: &str) -> (Value, Value) {
        let key = std::fs::read_to_string(self.path(&format!("{key}.pub"))).unwrap();
        let keys = json!({"release": {"algorithm": "ES256", "key": key, "scope": "prod"}});
        (keys, json!({"keyid": "release", "scope": "prod"}))
    }
}

fn section(folder: &TempDir, required: bool) -> String {
    let file = folder.path().join("release.pub");
    format!(
        "[signing]\nrequired = {required}\n[signing.keys.release]\nalgorithm = 'ES256'\nfile = '{}'\nscope = 'prod'\n",
        file.display()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_kept_but_what_the_named_key_signed() {
    let signed = Signed::start().await;
    let bob = signed.site.bob();
    let refused = async |bundle: &Bundle| code(bob.publish_policy(bundle.to_archive().unwrap()).await);
    let plain = example("refunds");
    assert_eq!(refused(&plain).await, Code::PolicyUnsigned);
    // What nobody signed is not looked at any further.
    assert_eq!(refused(&rules("decision := {")).await, Code::PolicyUnsigned);
    assert_eq!(refused(&signed.build(&plain, "stranger", "")).await, Code::PolicySignatureBad);
    let good = signed.build(&plain, "release", "");
    let tampered = good.files().map(|(path, content)| {
        let more: &[u8] = if path.ends_with("policy.rego") { b"\ndecision := \"ALLOW\"\n" } else { b"" };
        (path.to_owned(), [content, more].concat())
    });
    assert_eq!(refused(&Bundle::from_files(tampered).unwrap()).await, Code::PolicyNotAsSigned);
    assert_eq!(signed.published().await, 0);

    let published = bob.publish_policy(good.to_archive().unwrap()).await.unwrap();
    let by = SignedBy {
        key: "release".to_owned(),
        algorithm: "ES256".to_owned(),
        scope: Some("prod".to_owned()),
        pinned: false,
    };
    assert_eq!(published.signed_by.as_ref(), Some(&by));
    let version = published.policy_version_id;
    assert_eq!(bob.policy_record(version).await.unwrap().signed_by, Some(by));
    let served = Bundle::from_archive(&bob.policy(version).await.unwrap()).unwrap();
    assert_eq!(served, good, "every file is as it was signed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_opa_that_checks_signatures_follows_what_is_signed_and_is_held_to_its_version() {
    let signed = Signed::start().await;
    let (site, bob) = (&signed.site, signed.site.bob());
    // With an OPA about, a revision that is not the version cannot come in force: nobody could tell what the OPA evaluates.
    let loose = signed.build(&example("refunds"), "release", "release-7");
    let loose = bob.publish_policy(loose.to_archive().unwrap()).await.unwrap();
    assert_eq!(site.apply(&loose, "near", "sidecar").await, Err(Code::PolicyUnpinned));

    let bundle = signed.pinned(&example("refunds"));
    let published = bob.publish_policy(bundle.to_archive().unwrap()).await.unwrap();
    assert_eq!(published.policy_version_id, loose.policy_version_id, "the revision is no part of it");
    assert!(published.signed_by.as_ref().unwrap().pinned);
    site.apply(&published, "near", "sidecar").await.unwrap();
    let served = bob.bundle_in_force(&Scope::Workflow { name: "near".parse().unwrap() }).await.unwrap();
    assert_eq!(Bundle::from_archive(&served).unwrap(), bundle);

    let (keys, signing) = signed.trusting("stranger");
    let wary = site.opa_that_checks("near", &keys, &signing);
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!matches!(site.ask("near").await.0, AuthorityAnswer::Allow(_)), "it took what it cannot check");
    drop(wary);
    let (keys, signing) = signed.trusting("release");
    let _opa = site.opa_that_checks("near", &keys, &signing);
    let answers = async |wanted: fn(&AuthorityAnswer) -> bool| {
        let begun = Instant::now();
        while !wanted(&site.ask("near").await.0) {
            assert!(begun.elapsed() < Duration::from_secs(20), "OPA does not follow");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    answers(|answer| matches!(answer, AuthorityAnswer::Allow(_))).await;
    let denying = signed.pinned(&rules("decision := \"DENY\""));
    let denying = bob.publish_policy(denying.to_archive().unwrap()).await.unwrap().policy_version_id;
    let activate: Activate =
        to(json!({"scope": {"kind": "workflow", "name": "near"}, "policy_version_id": denying}));
    bob.activate(&activate).await.unwrap();
    answers(|answer| matches!(answer, AuthorityAnswer::Deny(_))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_signatures_are_welcome_and_not_demanded_each_bundle_says_which_it_is() {
    let folder = tempfile::tempdir().unwrap();
    key(folder.path(), "release");
    let more = section(&folder, false);
    let site = Site::start_with(folder, &more).await;
    let (bob, source) = (site.bob(), rules("decision := \"DENY\""));
    let plain = bob.publish_policy(source.to_archive().unwrap()).await.unwrap();
    assert_eq!(plain.signed_by, None);
    let record = bob.policy_record(plain.policy_version_id).await.unwrap();
    assert_eq!(record.signed_by, None);
    let bundle = build(site.folder.path(), &source, "release", "");
    let signed = bob.publish_policy(bundle.to_archive().unwrap()).await.unwrap();
    let listed = bob.policies(&PageQuery::default()).await.unwrap().items;
    let keys: Vec<_> = listed
        .iter()
        .map(|item| (item.policy_version_id, item.signed_by.as_ref().map(|by| by.key.as_str())))
        .collect();
    assert!(keys.contains(&(signed.policy_version_id, Some("release"))), "{keys:?}");
    assert!(keys.contains(&(plain.policy_version_id, None)), "{keys:?}");
    // Without a key nobody could check a signature, and one that nobody checks is refused.
    let keyless = Site::start_with(tempfile::tempdir().unwrap(), "").await;
    let refused = keyless.bob().publish_policy(bundle.to_archive().unwrap()).await;
    assert_eq!(code(refused), Code::PolicySignatureBad);
}

#[test]
fn a_configuration_of_keys_that_cannot_hold_is_refused_with_the_member() {
    let folder = tempfile::tempdir().unwrap();
    key(folder.path(), "release");
    let opened = |text: &str| {
        let text = text.replace("FOLDER", &folder.path().display().to_string());
        let settings: PolicySettings = toml::from_str(&text).unwrap();
        settings.signing.open().map(drop).map_err(|error| error.to_string())
    };
    let release = "algorithm = 'ES256'\nfile = 'FOLDER/release.pub'";
    assert_eq!(opened(""), Ok(()));
    assert_eq!(opened(&format!("[signing]\nrequired = true\n[signing.keys.release]\n{release}")), Ok(()));
    for (text, part) in [
        ("[signing]\nrequired = true", "`policy.signing.required`"),
        ("[signing.keys.a]\nalgorithm = 'HS256'\nfile = 'FOLDER/release.pub'", "shared secret"),
        ("[signing.keys.a]\nalgorithm = 'RS256'\nfile = 'FOLDER/release.pub'", "`policy.signing.keys.a`"),
        ("[signing.keys.a]\nalgorithm = 'ES256'\nfile = 'FOLDER/release.pem'", "no `PUBLIC KEY`"),
        ("[signing.keys.a]\nalgorithm = 'ES256'\nfile = 'FOLDER/none.pub'", "none.pub` cannot be read"),
    ] {
        let refused = opened(text).unwrap_err();
        assert!(refused.contains(part), "{refused}");
    }
    let misspelt = toml::from_str::<PolicySettings>("[signing]\nrequire = true");
    assert!(misspelt.is_err());
}

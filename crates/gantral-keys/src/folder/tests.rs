use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use gantral_core::ids::TenantId;
use gantral_evidence::dsse::{PAYLOAD_TYPE, pae};
use gantral_evidence::trust::{Require, Trust};

use super::*;
use crate::delegated::DelegationTerms;
use crate::signer::SigningContext;

fn origin(text: &str) -> LogOrigin {
    LogOrigin::parse(text).unwrap()
}

fn reach(log: &str, size: u64, through: u64) -> LogReach {
    LogReach { origin: origin(log), size, through }
}

fn id_of(folder: &KeyFolder, role: KeyRole) -> KeyId {
    let current = folder.entries().iter().find(|entry| entry.role == role && entry.is_current());
    current.unwrap().public_key.id()
}

fn trust(folder: &KeyFolder, tenant: Option<&str>) -> Result<Trust, ExportError> {
    let tenant = tenant.map(|name| (TenantId::parse(name).unwrap(), origin(&format!("{name}/log"))));
    let terms = TrustTerms {
        tenant,
        require: Require::signed(),
        directory: Vec::new(),
        relying_party: None,
        delay_ms: 1,
        skew_ms: 1,
    };
    export_trust(folder.entries(), &terms)
}

async fn signs(folder: &KeyFolder) -> KeyId {
    let issuer = folder.issuer(DelegationTerms::default()).await.unwrap();
    let message = pae(PAYLOAD_TYPE, b"{}");
    let signature = issuer.signer.sign(SigningContext::Artifact, &message).await.unwrap();
    issuer.signer.public_key().verify_strict(&message, &signature.bytes).unwrap();
    signature.key_id
}

#[tokio::test]
async fn first_keys_are_made_once_and_each_has_its_role() {
    let data = tempfile::tempdir().unwrap();
    let folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    let entries = folder.entries().to_vec();
    assert_eq!(entries.iter().map(|entry| entry.role).collect::<Vec<_>>(), [KeyRole::Issuer, KeyRole::Log]);
    let log = folder.log().await.unwrap();
    assert_eq!(log.public_key().id(), id_of(&folder, KeyRole::Log));
    let message = pae(PAYLOAD_TYPE, b"{}");
    assert!(log.sign(SigningContext::Artifact, &message).await.is_err());
    assert_eq!(signs(&folder).await, id_of(&folder, KeyRole::Issuer));
    drop((folder, log));

    for name in ["keys.json", "issuer.pk8", "log.pk8"] {
        let mode = fs::metadata(data.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let again = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    assert_eq!(again.entries(), entries);
}

#[tokio::test]
async fn key_of_an_earlier_version_is_taken_over() {
    let data = tempfile::tempdir().unwrap();
    let key = LocalSigner::generate().unwrap();
    write_private(&data.path().join("issuer.pk8"), &key).unwrap();
    let folder = KeyFolder::serve(data.path()).await.unwrap();
    let known = LocalSigner::from_pkcs8(KeyRole::Issuer, &key).unwrap();
    assert_eq!(signs(&folder).await, known.public_key().id());
}

#[tokio::test]
async fn keys_change_only_while_no_server_uses_them() {
    let data = tempfile::tempdir().unwrap();
    let served = KeyFolder::serve(data.path()).await.unwrap();
    // Another server of the same folder is not refused here: the ledger decides that.
    drop(KeyFolder::serve(data.path()).await.unwrap());
    assert!(matches!(KeyFolder::change(data.path()), Err(KeysError::InUse { .. })));
    assert_eq!(KeyFolder::look(data.path()).unwrap(), served.entries());
    let log = served.log().await.unwrap();
    drop(served);
    assert!(matches!(KeyFolder::change(data.path()), Err(KeysError::InUse { .. })));
    drop(log);
    let changing = KeyFolder::change(data.path()).unwrap();
    assert!(matches!(KeyFolder::serve(data.path()).await, Err(KeysError::InUse { .. })));
    drop(changing);
    KeyFolder::serve(data.path()).await.unwrap();
}

#[tokio::test]
async fn rotation_ends_one_key_where_the_other_may_begin() {
    let data = tempfile::tempdir().unwrap();
    let mut folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    let first = id_of(&folder, KeyRole::Issuer);
    let reached = [reach("acme/log", 7, 9), reach("other/log", 0, 0)];
    let second = folder.rotate(KeyRole::Issuer, &NewKey::File, &reached).await.unwrap().public_key.id();
    drop(folder);

    let folder = KeyFolder::serve(data.path()).await.unwrap();
    assert_eq!(id_of(&folder, KeyRole::Issuer), second);
    assert_eq!(signs(&folder).await, second);
    assert_eq!(folder.earlier(KeyRole::Issuer).iter().map(PublicKey::id).collect::<Vec<_>>(), [first]);
    assert!(!data.path().join("issuer.pk8").exists(), "a key that is replaced signs no more");

    let trust = trust(&folder, Some("acme")).unwrap();
    let limits = |id| {
        let key = trust.key(id).unwrap();
        (key.valid_from, key.valid_until, key.compromised_from)
    };
    assert_eq!(limits(&first), (None, Some(9), None));
    assert_eq!(limits(&second), (Some(7), None, None));
}

#[tokio::test]
async fn file_for_every_tenant_has_no_index_of_one_log() {
    let data = tempfile::tempdir().unwrap();
    let mut folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    assert!(trust(&folder, None).unwrap().log().is_none());
    folder.rotate(KeyRole::Issuer, &NewKey::File, &[reach("acme/log", 7, 9)]).await.unwrap();
    assert!(matches!(trust(&folder, None), Err(ExportError::Tenant { .. })));
    let other = trust(&folder, Some("other")).unwrap();
    assert!(other.keys().all(|key| !key.has_window()));
}

#[tokio::test]
async fn exported_file_names_the_log_under_each_of_its_good_keys() {
    let data = tempfile::tempdir().unwrap();
    let mut folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    let first = id_of(&folder, KeyRole::Log);
    folder.rotate(KeyRole::Log, &NewKey::File, &[]).await.unwrap();
    let names = |trust: &Trust| {
        let logs = trust.log().unwrap().policy().logs();
        logs.iter().map(|log| (log.key.name().to_owned(), log.key.key().id())).collect::<Vec<_>>()
    };
    let both = trust(&folder, Some("acme")).unwrap();
    let second = id_of(&folder, KeyRole::Log);
    assert_eq!(names(&both), [("acme/log".to_owned(), first), ("acme/log".to_owned(), second)]);
    assert_eq!(Trust::parse(&both.encode()).unwrap(), both);
    folder.revoke(&first, &LogIndex { log: None, index: 0 }).unwrap();
    assert_eq!(names(&trust(&folder, Some("acme")).unwrap()), [("acme/log".to_owned(), second)]);
}

#[tokio::test]
async fn compromise_is_never_taken_back() {
    let data = tempfile::tempdir().unwrap();
    let mut folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    let id = id_of(&folder, KeyRole::Issuer);
    let at = |log: Option<&str>, index| LogIndex { log: log.map(origin), index };
    folder.revoke(&id, &at(Some("acme/log"), 9)).unwrap();
    let compromised =
        |folder: &KeyFolder, tenant| trust(folder, Some(tenant)).unwrap().key(&id).unwrap().compromised_from;
    assert_eq!((compromised(&folder, "acme"), compromised(&folder, "other")), (Some(9), None));
    let later = folder.revoke(&id, &at(Some("acme/log"), 10)).unwrap_err();
    assert!(matches!(later, KeysError::Compromised { from: 9, .. }));
    folder.revoke(&id, &at(Some("acme/log"), 4)).unwrap();
    folder.revoke(&id, &at(None, 6)).unwrap();
    assert_eq!((compromised(&folder, "acme"), compromised(&folder, "other")), (Some(4), Some(6)));
    let later = folder.revoke(&id, &at(Some("other/log"), 7)).unwrap_err();
    assert!(matches!(later, KeysError::Compromised { from: 6, .. }));
    let unknown = KeyId::parse(&"0".repeat(64)).unwrap();
    assert!(matches!(folder.revoke(&unknown, &at(None, 1)), Err(KeysError::Unknown { .. })));
    let entries = folder.entries().to_vec();
    drop(folder);
    assert_eq!(KeyFolder::change(data.path()).unwrap().entries(), entries);
}

#[tokio::test]
async fn file_that_somebody_damaged_is_named_and_used_by_nobody() {
    let data = tempfile::tempdir().unwrap();
    let folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    let id = id_of(&folder, KeyRole::Issuer).to_string();
    drop(folder);
    let path = data.path().join("keys.json");
    let good = fs::read_to_string(&path).unwrap();
    let current = "\"file\": \"issuer.pk8\"";
    for (from, to) in [
        ("gantral/keys/v1", "gantral/keys/v2"),
        ("\"role\"", "\"rule\""),
        ("\"role\": \"issuer\"", "\"role\": \"witness\""),
        ("\"role\": \"issuer\"", "\"role\": \"log\""),
        (&id, &"0".repeat(64)),
        (current, "\"file\": \"../issuer.pk8\""),
        ("\"valid_from\": []", "\"valid_from\": [{\"log\": \"A B\", \"index\": 1}]"),
        ("\"valid_from\": []", "\"valid_from\": [], \"valid_from\": []"),
        ("}", ""),
    ] {
        assert!(good.contains(from), "{from}");
        fs::write(&path, good.replacen(from, to, 1)).unwrap();
        let error = KeyFolder::serve(data.path()).await.err().unwrap();
        assert!(matches!(&error, KeysError::State { .. }), "{from} to {to}: {error}");
        assert!(matches!(KeyFolder::change(data.path()), Err(KeysError::State { .. })), "{from}");
    }
    fs::write(&path, &good).unwrap();
    KeyFolder::serve(data.path()).await.unwrap();
}

#[tokio::test]
async fn key_file_that_was_swapped_signs_nothing() {
    let data = tempfile::tempdir().unwrap();
    let folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    replace_private(&data.path().join("issuer.pk8"), &LocalSigner::generate().unwrap()).unwrap();
    let error = folder.issuer(DelegationTerms::default()).await.err().unwrap();
    assert!(matches!(&error, KeysError::OtherKey { .. }), "{error}");
}

#[tokio::test]
async fn folder_without_keys_is_neither_shown_nor_changed() {
    let data = tempfile::tempdir().unwrap();
    assert!(matches!(KeyFolder::look(data.path()), Err(KeysError::Missing { .. })));
    assert!(matches!(KeyFolder::change(data.path()), Err(KeysError::Missing { .. })));
    assert_eq!(fs::read_dir(data.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn many_rotations_of_many_logs_are_read_back() {
    let data = tempfile::tempdir().unwrap();
    let mut folder = KeyFolder::init(data.path(), NewKey::File).await.unwrap();
    let reached: Vec<LogReach> =
        (0..1_000).map(|tenant| reach(&format!("tenant-{tenant}/log"), 1 << 40, 1 << 41)).collect();
    for _ in 0..3 {
        folder.rotate(KeyRole::Issuer, &NewKey::File, &reached).await.unwrap();
    }
    let entries = folder.entries().to_vec();
    drop(folder);
    assert_eq!(KeyFolder::look(data.path()).unwrap(), entries);
}

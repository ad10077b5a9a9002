//! A server's folder whose issuer key is in OpenBao.

use gantral_core::time::UnixMillis;
use gantral_evidence::trust::KeyRole;
use gantral_keys::{
    DelegationTerms, KeyFolder, KeysError, NewKey, OpenBaoError, Renewal, Signature, SigningContext,
};
use serde_json::json;

use crate::openbao::{artifact, config, started};

/// Signs an artifact as a server that has just started does.
async fn signs(folder: &KeyFolder) -> Signature {
    let issuer = folder.issuer(DelegationTerms::default()).await.unwrap();
    let now = UnixMillis::parse("2026-01-02T00:00:00.000Z").unwrap();
    assert_eq!(issuer.renewed.unwrap().renew(now).await.unwrap(), Renewal::Renewed);
    let message = artifact();
    let signature = issuer.signer.sign(SigningContext::Artifact, &message).await.unwrap();
    assert!(issuer.delegations.find(&signature.key_id).unwrap().is_signed(&message, &signature.bytes));
    signature
}

#[tokio::test]
async fn delegations_of_a_version_that_was_rotated_away_still_count() {
    let bao = started(false).await;
    let data = bao.folder.path().join("data");
    let place = NewKey::OpenBao(config(&bao));
    let mut folder = KeyFolder::init(&data, place.clone()).await.unwrap();
    let before = signs(&folder).await;

    // There is no new version yet.
    let refused = folder.rotate(KeyRole::Issuer, &place, &[]).await.unwrap_err();
    assert!(matches!(&refused, KeysError::State { .. }), "{refused}");
    bao.post("transit/keys/gantral-issuer/rotate", json!({})).await;
    let refused = folder.rotate(KeyRole::Log, &place, &[]).await.unwrap_err();
    assert!(matches!(&refused, KeysError::Role { role: KeyRole::Log }), "{refused}");
    let first = folder.entries()[0].public_key.clone();
    folder.rotate(KeyRole::Issuer, &place, &[]).await.unwrap();
    drop(folder);

    let folder = KeyFolder::serve(&data).await.unwrap();
    assert_eq!(folder.earlier(KeyRole::Issuer), std::slice::from_ref(&first));
    let after = signs(&folder).await;
    let kept = folder.issuer(DelegationTerms::default()).await.unwrap().delegations;
    assert_eq!(kept.find(&before.key_id).unwrap().delegation.delegator, first.id());
    assert_ne!(kept.find(&after.key_id).unwrap().delegation.delegator, first.id());
    assert!(kept.find(&before.key_id).unwrap().is_signed(&artifact(), &before.bytes));
}

#[tokio::test]
async fn folder_that_cannot_reach_openbao_is_not_begun() {
    let mut bao = started(false).await;
    let data = bao.folder.path().join("data");
    let place = NewKey::OpenBao(config(&bao));
    bao.stop();
    let refused = KeyFolder::init(&data, place).await.err().unwrap();
    assert!(matches!(&refused, KeysError::OpenBao(OpenBaoError::Unreachable(_))), "{refused}");
    assert!(matches!(KeyFolder::look(&data), Err(KeysError::Missing { .. })));
}

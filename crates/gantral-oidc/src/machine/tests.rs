//! Machines at providers that answer, and that do not.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tempfile::TempDir;
use tokio::time::sleep;

use super::*;
use crate::told::Told;

fn secret_file(folder: &TempDir, mode: u32) -> PathBuf {
    let path = folder.path().join("secret");
    std::fs::write(&path, "s3cret:+\n").unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    path
}

fn tokens(told: &Told, folder: &TempDir) -> MachineTokens {
    MachineTokens::new(Machine {
        issuer: told.issuer.clone(),
        client: "refund agent".to_owned(),
        credential: Credential::SecretFile(secret_file(folder, 0o600)),
        scope: Some("api".to_owned()),
        audience: None,
        resource: None,
        ca_file: None,
    })
    .unwrap()
}

#[tokio::test]
async fn token_is_fetched_once_for_all_who_ask_and_again_before_its_end() {
    let (folder, (told, _serving)) = (tempfile::tempdir().unwrap(), Told::start().await);
    told.grants("first", 2);
    told.grants("second", 300);
    let tokens = tokens(&told, &folder);
    let (a, b) = tokio::join!(tokens.token(), tokens.token());
    assert_eq!((a.unwrap().expose(), b.unwrap().expose()), ("first", "first"));
    assert_eq!(told.came().len(), 1);
    sleep(Duration::from_millis(1_700)).await;
    assert_eq!(tokens.token().await.unwrap().expose(), "second");
    let came = &told.came()[1];
    assert_eq!(
        (came.form["grant_type"].as_str(), came.form["scope"].as_str()),
        ("client_credentials", "api")
    );
    // Both parts are encoded as in a form before they are joined.
    let basic = STANDARD.encode("refund+agent:s3cret%3A%2B");
    assert_eq!(came.authorization.as_deref(), Some(&*format!("Basic {basic}")));
}

#[tokio::test]
async fn provider_that_is_away_stops_nobody_whose_token_is_good() {
    let (folder, (told, serving)) = (tempfile::tempdir().unwrap(), Told::start().await);
    told.grants("good", 4);
    let tokens = tokens(&told, &folder);
    tokens.token().await.unwrap();
    serving.abort();
    let _ = serving.await;
    sleep(Duration::from_millis(3_300)).await;
    assert_eq!(tokens.token().await.unwrap().expose(), "good");
    sleep(Duration::from_millis(1_000)).await;
    // It is over, although the provider was not asked again.
    assert!(matches!(tokens.token().await, Err(GrantError::Discovery(_))));
}

#[tokio::test]
async fn token_that_was_not_believed_is_fetched_anew() {
    let (folder, (told, _serving)) = (tempfile::tempdir().unwrap(), Told::start().await);
    told.grants("first", 300);
    told.grants("second", 300);
    let tokens = tokens(&told, &folder);
    tokens.token().await.unwrap();
    assert!(!tokens.refused("another"));
    assert!(tokens.refused("first"));
    assert_eq!(tokens.token().await.unwrap().expose(), "second");
    assert!(!tokens.refused("first"), "whoever was late takes nothing away");
}

#[tokio::test]
async fn provider_that_takes_no_basic_gets_the_secret_in_the_form() {
    let (folder, (told, _serving)) = (tempfile::tempdir().unwrap(), Told::start().await);
    told.says("token_endpoint_auth_methods_supported", vec!["client_secret_post"]);
    told.grants("token", 300);
    tokens(&told, &folder).token().await.unwrap();
    let came = &told.came()[0];
    assert_eq!((came.authorization.as_ref(), came.form["client_secret"].as_str()), (None, "s3cret:+"));
}

#[tokio::test]
async fn secret_that_others_may_read_is_not_sent() {
    let (folder, (told, _serving)) = (tempfile::tempdir().unwrap(), Told::start().await);
    let tokens = tokens(&told, &folder);
    secret_file(&folder, 0o640);
    let refused = tokens.token().await.unwrap_err();
    assert!(
        matches!(refused, GrantError::Secret { .. }) && !refused.to_string().contains("s3cret"),
        "{refused}"
    );
    assert!(told.came().is_empty());
}

//! What is kept, where, and for whom to read.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use super::*;

const URL: &str = "https://gantral.example.com";
const NOW: u64 = 1_767_225_600_000;

fn now() -> UnixMillis {
    UnixMillis::new(NOW).unwrap()
}

fn granted(seconds: u64, refresh: Option<&str>) -> Granted {
    let token = |text: &str| Token::new(text.to_owned()).unwrap();
    Granted {
        access: token("the-access-token"),
        expires_in: Some(Duration::from_secs(seconds)),
        refresh: refresh.map(token),
        id: None,
    }
}

fn origin(sends: LoginToken) -> Origin {
    let scopes = vec!["openid".to_owned()];
    Origin {
        url: URL.to_owned(),
        issuer: "https://id.example.com".to_owned(),
        client: PublicClient { id: "cli".to_owned(), scopes, audience: None, resource: None, prompt: None },
        sends,
        ca_file: None,
        certificate: None,
        provider_ca_file: None,
    }
}

fn kept() -> Kept {
    Kept::new(origin(LoginToken::Access), granted(300, Some("the-refresh-token")), now()).unwrap()
}

fn folder() -> (tempfile::TempDir, Logins) {
    let folder = tempfile::tempdir().unwrap();
    let logins = Logins(folder.path().join("gantral/logins"));
    (folder, logins)
}

#[test]
fn login_is_kept_for_its_owner_alone_and_read_again() {
    let (_folder, logins) = folder();
    assert!(logins.read(URL).unwrap().is_none());
    logins.write(&kept()).unwrap();
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&logins.0), mode(&logins.path(URL, "json"))), (0o700, 0o600));
    let read = logins.read(URL).unwrap().unwrap();
    assert_eq!((read.token(), read.expires_at().get()), ("the-access-token", NOW + 300_000));
    assert_eq!(read.refresh_token().unwrap().expose(), "the-refresh-token");
    assert!(logins.read("https://another.example.com").unwrap().is_none());
    logins.remove(URL).unwrap();
    assert!(logins.read(URL).unwrap().is_none());
}

#[test]
fn folder_or_file_that_is_open_to_others_is_not_used() {
    let (_folder, logins) = folder();
    logins.write(&kept()).unwrap();
    let open = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    let file = logins.path(URL, "json");
    open(&file, 0o640);
    assert!(logins.read(URL).unwrap_err().to_string().contains("others may read it"));
    open(&file, 0o600);
    open(&logins.0, 0o750);
    for refused in [logins.read(URL).map(drop), logins.write(&kept())] {
        assert!(refused.unwrap_err().to_string().contains("is open to others"));
    }
}

#[test]
fn file_that_is_no_login_of_this_server_is_refused_without_a_word_of_it() {
    let (_folder, logins) = folder();
    logins.write(&kept()).unwrap();
    let file = logins.path(URL, "json");
    let good = std::fs::read_to_string(&file).unwrap();
    for text in [
        "the-secret".to_owned(),
        good.replace("\"form\":1", "\"form\":2"),
        good.replace(URL, "https://evil.example.com"),
        good.replace("\"form\":1", "\"form\":1,\"the-secret\":1"),
    ] {
        write_private(&file, text.as_bytes()).unwrap();
        let refused = logins.read(URL).unwrap_err();
        assert!(!format!("{refused}").contains("the-"), "{refused}");
        assert!(refused.remedy().unwrap().contains("gantral login --url"), "{refused}");
    }
}

#[test]
fn token_is_renewed_a_minute_or_a_fifth_of_its_life_before_its_end() {
    for (life, margin) in [(3_600, 60), (300, 60), (100, 20), (5, 1)] {
        let kept = Kept::new(origin(LoginToken::Access), granted(life, None), now()).unwrap();
        let at = |seconds: u64| now().plus(DurationMs::from_secs(seconds));
        assert!(kept.is_fresh(at(life - margin - 1)) && !kept.is_fresh(at(life - margin)), "{life}");
    }
}

#[test]
fn renewal_without_another_refresh_token_keeps_the_last_one() {
    let mut kept = kept();
    kept.take(granted(300, None), now()).unwrap();
    assert_eq!(kept.refresh_token().unwrap().expose(), "the-refresh-token");
    kept.take(granted(300, Some("the-next")), now()).unwrap();
    assert_eq!(kept.refresh_token().unwrap().expose(), "the-next");
}

#[test]
fn server_that_wants_id_tokens_gets_no_access_token() {
    let refused = Kept::new(origin(LoginToken::Id), granted(300, None), now()).unwrap_err();
    assert_eq!(refused.to_string(), "`https://id.example.com` gave no ID token");
    let id = Token::new("the-id-token".to_owned());
    let granted = Granted { id, ..granted(300, None) };
    assert_eq!(Kept::new(origin(LoginToken::Id), granted, now()).unwrap().token(), "the-id-token");
}

#[test]
fn one_server_has_one_address_however_it_is_written() {
    for url in [
        "https://gantral.example.com",
        "HTTPS://Gantral.Example.com:443/",
        "https://gantral.example.com/?a#b",
    ] {
        assert_eq!(address(url).unwrap(), URL);
    }
    assert_eq!(address("https://a.example/gantral/").unwrap(), "https://a.example/gantral");
    assert!(address("http://gantral.example.com").is_err());
}

#[tokio::test]
async fn one_process_at_a_time_changes_a_login() {
    let (_folder, logins) = folder();
    let first = logins.lock(URL).await.unwrap();
    let another = logins.lock("https://another.example.com").await;
    assert!(another.is_ok(), "another login is nobody's business");
    let second = tokio::spawn({
        let logins = logins.clone();
        async move { logins.lock(URL).await.map(drop) }
    });
    tokio::time::sleep(LOCK_PAUSE * 4).await;
    assert!(!second.is_finished());
    drop(first);
    second.await.unwrap().unwrap();
}

#[test]
fn debug_of_a_login_shows_no_token() {
    assert!(!format!("{:?}", kept()).contains("the-"), "{:?}", kept());
}

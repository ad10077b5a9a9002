use super::*;

fn settings(url: &str) -> StoreSettings {
    StoreSettings { url: url.to_owned(), password: None, connections: None }
}

#[test]
fn address_says_who_logs_in_where_and_into_what_and_nothing_secret() {
    for url in [
        "postgres://gantral@db.example.com/gantral",
        "postgresql://gantral@db.example.com:5433/gantral?sslrootcert=/etc/db.pem",
        "postgres://gantral@a.example.com,b.example.com/gantral",
        "postgres:///gantral?host=/run/postgresql&user=gantral",
        "postgres://gantral@%2Frun%2Fpostgresql/gantral",
    ] {
        assert!(settings(url).check_url().is_ok(), "{url}");
    }
    for (url, said) in [
        ("sqlite:/var/lib/ledger.db", "the file `ledger.db` in the folder `data`"),
        ("mysql://gantral@db/gantral", "is no `postgres://"),
        ("host=db user=gantral", "is no `postgres://"),
        ("postgres://db.example.com/gantral", "no user"),
        ("postgres://gantral@/gantral", "no host"),
        ("postgres://gantral@db.example.com", "no database"),
        ("postgres://gantral@db.example.com/", "no database"),
        ("postgres://gantral:canary@db.example.com/gantral", "holds a password"),
        ("postgres://gantral:@db.example.com/gantral", "holds a password"),
        ("postgres://gantral@db.example.com/gantral?password=canary", "holds a password"),
    ] {
        let error = settings(url).check_url().unwrap_err().to_string();
        assert!(error.contains("`store.url`") && error.contains(said), "{url}: {error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn database_that_cannot_be_opened_names_member_and_remedy() {
    let nowhere = settings("postgres://gantral@127.0.0.1:1/gantral");
    let error = nowhere.open().await.unwrap_err().to_string();
    assert!(error.starts_with("`store.url`: `127.0.0.1:1/gantral` cannot be reached"), "{error}");
    assert!(error.contains("is it running there"), "{error}");
    let password = StoreSettings { password: Some("canary".to_owned()), ..nowhere.clone() };
    let error = password.open().await.unwrap_err().to_string();
    assert!(error.starts_with("`store.password`: a secret is written `env:NAME`"), "{error}");
    for found in [0, 1, 201] {
        let connections = StoreSettings { connections: Some(found), ..nowhere.clone() };
        let error = connections.open().await.unwrap_err().to_string();
        assert_eq!(error, format!("`store.connections` is {found}, and must be from 2 to 200"));
    }
    let unknown = settings("postgres://gantral@127.0.0.1:1/gantral?fast=yes");
    let error = unknown.open().await.unwrap_err().to_string();
    assert!(error.contains("the address of the database is not one"), "{error}");
}

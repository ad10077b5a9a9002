//! A server whose database is destroyed, and what its archive is worth then.

use std::fs;

use crate::serve::Site;
use crate::support::{repository, run, wait_until};

#[test]
fn a_server_goes_on_upon_what_its_archive_brings_back_when_the_database_is_gone() {
    let site = Site::new();
    let archive = format!("file://{}", site.path("archive").display());
    let configuration = fs::read_to_string(site.path("gantral.toml")).unwrap();
    let configuration = format!("{configuration}[archive]\nurl = '{archive}'\nrequired = true\n");
    fs::write(site.path("gantral.toml"), configuration).unwrap();
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let definition = repository().join("examples/split-agent/workflow.toml");
    site.run(&url, "console", &["workflows", "apply", definition.to_str().unwrap()]).status(0);
    let create = ["instances", "create", "split-refund"];
    let first = site.run(&url, "refund-agent", &create).status(0).word();
    let open = site.run(&url, "refund-agent", &create).status(0).word();
    let shown = |url: &str| {
        let rows = site.run(url, "console", &["instances", "ls", "--json"]).status(0).json();
        let one = site.run(url, "console", &["instances", "show", &open, "--json"]).status(0).json();
        (rows, one["head"].clone(), one["state"].clone())
    };
    let before = shown(&url);
    let export = ["evidence", "export", &first, "--output", "before.gantral", "--trust-out", "trust.json"];
    site.run(&url, "console", &export).status(0);
    let verdict = |bundle: &str| {
        let ran = run(&site.path(""), &["verify", bundle, "--trust", "trust.json", "--json"]);
        (ran.status, ran.json()["verdict"].clone())
    };
    let valid = verdict("before.gantral");
    assert_eq!(valid.0, 0, "{valid:?}");

    // It comes after the ledger; each of these executions has one artifact.
    let verify = ["archive", "verify", "--url", &archive, "--trust", "trust.json", "--json"];
    let archived = |executions: u64| {
        let mut last = String::new();
        let is_whole = wait_until(|| {
            let ran = run(&site.path(""), &verify);
            last = format!("{ran:?}");
            ran.status == 0 && ran.json()["tenants"][0]["chains"]["VALID"] == executions
        });
        assert!(is_whole, "{last}");
    };
    archived(2);
    assert_eq!(server.stop(), Some(0));
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
        // SQLite removes what it no longer needs by itself.
        let _ = fs::remove_file(site.path("data").join(name));
    }
    fs::remove_dir_all(site.path("data/log")).unwrap();

    let rebuild = ["archive", "rebuild", "--url", &archive, "--trust", "trust.json", "--into", "data"];
    let rebuilt = run(&site.path(""), &rebuild).status(0);
    assert!(rebuilt.data.contains("2 executions; 2 have not ended"), "{rebuilt:?}");
    assert!(rebuilt.data.contains("persons: "), "{rebuilt:?}");
    run(&site.path(""), &rebuild).status(1);

    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    assert_eq!(shown(&url), before);
    let export = ["evidence", "export", &first, "--output", "after.gantral"];
    site.run(&url, "console", &export).status(0);
    assert_eq!(verdict("after.gantral"), valid);
    // It goes on, and so do its log and its archive.
    site.run(&url, "refund-agent", &create).status(0);
    archived(3);
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn an_archive_that_is_not_there_or_not_believed_is_no_verdict() {
    let folder = tempfile::tempdir().unwrap();
    let place = format!("file://{}", folder.path().join("nothing").display());
    run(folder.path(), &["archive", "verify", "--url", &place, "--trust", "none.json"]).status(3);
    run(folder.path(), &["archive", "verify", "--url", &place]).status(3);
    run(folder.path(), &["archive", "verify", "--url", "ftp://nowhere/", "--trust", "none.json"]).status(3);
}

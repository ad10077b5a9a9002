//! A backup of a server that serves, and what its restoring brings back: everything until then, verified, and a server that finds out
//! what it has forgotten, where anything remembers.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::serve::Site;
use crate::support::{part, repository, run, wait_until};

/// Copies a ledger while its server writes, by the online backup of SQLite, which the `.backup` of its shell is too.
const BACKUP: &str = "import sqlite3, sys
source, target = (sqlite3.connect(name) for name in sys.argv[1:])
source.backup(target)
target.close()";

/// Makes a backup as the page of the data folder says it: first the logs, then the ledger, then the keys.
fn back_up(data: &Path, backup: &Path) {
    fs::create_dir(backup).unwrap();
    let copy = |name: &str| {
        let copied = Command::new("cp").arg("-a").arg(data.join(name)).arg(backup).status().unwrap();
        assert!(copied.success(), "{name}");
    };
    copy("log");
    let ran = Command::new(part("python/bin/python"))
        .args(["-c", BACKUP])
        .args([data.join("ledger.db"), backup.join("ledger.db")])
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    for entry in fs::read_dir(data).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        if !name.starts_with("ledger.db") && name != "log" {
            copy(&name);
        }
    }
}

#[test]
fn backup_of_a_server_that_serves_brings_everything_until_then_back_and_its_log_tells_what_came_later() {
    let site = Site::new();
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let definition = repository().join("examples/split-agent/workflow.toml");
    site.run(&url, "console", &["workflows", "apply", definition.to_str().unwrap()]).status(0);
    let create =
        |url: &str| site.run(url, "refund-agent", &["instances", "create", "split-refund"]).status(0).word();
    let shown = |url: &str, id: &str| {
        site.run(url, "console", &["instances", "show", id, "--json"]).status(0).json()["head"].clone()
    };
    let ids: Vec<String> = (0..5).map(|_| create(&url)).collect();
    let export = ["evidence", "export", &ids[0], "--output", "first.gantral", "--trust-out", "trust.json"];
    site.run(&url, "console", &export).status(0);
    // Others write while it is copied.
    let heads = std::thread::scope(|scope| {
        let writing = scope.spawn(|| (0..5).map(|_| create(&url)).collect::<Vec<_>>());
        back_up(&site.path("data"), &site.path("backup"));
        writing.join().unwrap();
        ids.iter().map(|id| shown(&url, id)).collect::<Vec<_>>()
    });
    let later = create(&url);
    assert!(wait_until(|| site
        .run(&url, "console", &["evidence", "export", &later, "--output", "later.gantral"])
        .status
        == 0));
    assert_eq!(server.stop(), Some(0));

    // All of the machine is lost, and the backup is all that there is.
    fs::rename(site.path("data"), site.path("lost")).unwrap();
    fs::rename(site.path("backup"), site.path("data")).unwrap();
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0), "{}", log(&site));
    for (id, head) in ids.iter().zip(&heads) {
        assert_eq!(&shown(&url, id), head);
        let bundle = format!("{id}.again");
        site.run(&url, "console", &["evidence", "export", id, "--output", &bundle]).status(0);
        let verified = run(&site.path(""), &["verify", &bundle, "--trust", "trust.json", "--json"]).status(0);
        assert_eq!(verified.json()["verdict"], "VALID");
    }
    // What came later it does not know, and nothing that it has says so.
    assert_ne!(site.run(&url, "console", &["instances", "show", &later]).status, 0);
    create(&url);
    assert_eq!(server.stop(), Some(0));

    // Where the logs were not lost with the ledger, the server sees that they are ahead of it, and takes no write.
    fs::remove_dir_all(site.path("data/log")).unwrap();
    fs::rename(site.path("lost/log"), site.path("data/log")).unwrap();
    let (_server, url) = site.serve();
    let refused = site.run(&url, "refund-agent", &["instances", "create", "split-refund"]);
    assert_ne!(refused.status, 0);
    assert!(refused.talk.contains("read_only"), "{refused:?}");
    shown(&url, &ids[0]);
}

fn log(site: &Site) -> String {
    fs::read_to_string(site.path("server.log")).unwrap_or_default()
}

//! A backup of a data folder, and what its restoring brings back: everything until then, verified, and a server that finds out what it has
//! forgotten, where anything remembers.

use std::fs;
use std::process::Command;

use crate::serve::Site;
use crate::support::{repository, run, wait_until};

#[test]
fn backup_of_a_data_folder_brings_everything_until_then_back_and_its_log_tells_what_came_later() {
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
    let heads: Vec<_> = ids.iter().map(|id| shown(&url, id)).collect();
    // As the page of the data folder says it.
    assert_eq!(server.stop(), Some(0));
    let copied =
        Command::new("cp").arg("-a").args([site.path("data"), site.path("backup")]).status().unwrap();
    assert!(copied.success());
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let later: Vec<_> = (0..5).map(|_| create(&url)).collect();
    assert!(wait_until(|| site
        .run(&url, "console", &["evidence", "export", &later[4], "--output", "later.gantral"])
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
    assert_ne!(site.run(&url, "console", &["instances", "show", &later[4]]).status, 0);
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

//! How servers begin: with one identity, and with errors that say what to do.

use super::fleet::Fleet;
use crate::support::wait_until;

#[test]
fn servers_that_start_at_once_upon_an_empty_database_are_one_deployment() {
    let mut fleet = Fleet::new(3);
    (0..3).for_each(|number| fleet.start_node(number));
    (0..3).for_each(|number| fleet.ready(number));
    fleet.apply(2, None);
    let id = fleet.create(0);
    for number in 0..3 {
        assert_eq!(fleet.instance(number, &id)["state"], "CREATED");
    }
    let chain = fleet.run(1, "dora", &["governance", "ls", "--json"]).status(0).data;
    // The issuer key and that of the logs, each declared once, and none taken back.
    assert_eq!(
        (chain.matches("\"key_added\"").count(), chain.matches("\"key_retired\"").count()),
        (2, 0),
        "{chain}"
    );
}

#[test]
fn server_with_other_keys_is_refused_and_told_what_to_copy() {
    let mut fleet = Fleet::new(2);
    fleet.start_node(0);
    std::fs::remove_dir_all(fleet.path("node-1")).unwrap();
    let refused = fleet.refused(1).status(1);
    assert!(refused.talk.contains("the issuer key in the folder `data` is not the one"), "{refused:?}");
    assert!(refused.talk.contains("copy `keys.json`"), "{refused:?}");
    fleet.copy_keys(0, 1);
    std::fs::remove_file(fleet.path("node-1/attempts.pem")).unwrap();
    let refused = fleet.refused(1).status(1);
    assert!(
        refused.talk.contains("key of attempt tokens") && refused.talk.contains("copy `attempts.pem`"),
        "{refused:?}"
    );
    fleet.copy_keys(0, 1);
    fleet.start_node(1);
    fleet.ready(1);
    let chain = fleet.run(0, "dora", &["governance", "ls", "--json"]).status(0).data;
    assert_eq!(
        (chain.matches("\"key_added\"").count(), chain.matches("\"key_retired\"").count()),
        (2, 0),
        "{chain}"
    );
}

#[test]
fn rotated_key_is_taken_over_by_servers_that_were_given_it_and_refuses_those_that_were_not() {
    let mut fleet = Fleet::new(2);
    fleet.start_node(0);
    fleet.start_node(1);
    fleet.apply(0, None);
    let id = fleet.create(0);
    fleet.stop_node(0);
    let store = fleet.store(0);
    let rotated = fleet
        .run_here(&["keys", "--data", "node-0", "rotate", "--role", "issuer", "--store", &store])
        .status(0);
    assert!(!rotated.talk.contains("no log has a checkpoint yet"), "{rotated:?}");
    fleet.start_node(0);
    // One that was left running writes nothing any more.
    let said = || fleet.run(1, "dora", &["doctor", "--json"]).data;
    assert!(wait_until(|| said().contains("sign by other keys now")), "{}", said());
    let refused = fleet.run(1, "refund-agent", &["instances", "create", "refund"]).status(1);
    assert!(refused.talk.contains("[read_only]"), "{refused:?}");
    fleet.stop_node(1);
    let refused = fleet.refused(1).status(1);
    assert!(refused.talk.contains("the issuer key in the folder `data` is not the one"), "{refused:?}");
    fleet.copy_keys(0, 1);
    fleet.start_node(1);
    fleet.ready(1);
    fleet.run(1, "dora", &["instances", "cancel", &id]).status(0);
    for number in [0, 1] {
        let name = format!("{id}.gantral");
        let export = ["evidence", "export", &id, "--output", &name, "--trust-out", "hint.json"];
        fleet.run(number, "dora", &export).status(0);
        let verified = fleet.run_here(&["verify", &name, "--trust", "hint.json", "--json"]);
        assert_eq!(verified.status(0).json()["verdict"], "VALID");
        std::fs::remove_file(fleet.path("hint.json")).unwrap();
        std::fs::remove_file(fleet.path(&format!("{id}.gantral"))).unwrap();
    }
}

#[test]
fn configuration_that_cannot_be_meant_names_key_and_remedy() {
    let fleet = Fleet::new(1);
    let of = |more: &str, arguments: &[&str]| {
        fleet.configure(0, more);
        fleet.run_here(&[&["serve", "--config", "node-0.toml"], arguments].concat()).status(1).talk
    };
    let said = of("", &["--store", "postgres://gantral:canary@127.0.0.1:1/gantral"]);
    assert!(said.contains("`store.url` holds a password") && said.contains("env:NAME"), "{said}");
    assert!(!said.contains("canary"), "{said}");
    let said = of("", &["--store", "sqlite:ledger.db"]);
    assert!(said.contains("the ledger is the file `ledger.db` in the folder `data`"), "{said}");
    let said = of("", &["--store", "postgres://gantral@127.0.0.1:1/gantral"]);
    assert!(
        said.contains("`127.0.0.1:1/gantral` cannot be reached") && said.contains("is it running there"),
        "{said}"
    );
    let said = of("password = 'canary'", &[]);
    assert!(said.contains("`store.password`: a secret is written `env:NAME`"), "{said}");
    let said = of("password = 'env:NOT_THERE'", &[]);
    assert!(said.contains("`store.password`: the environment has no `NOT_THERE`"), "{said}");
    let said = of("connections = 1", &[]);
    assert!(said.contains("`store.connections` is 1, and must be from 2 to 200"), "{said}");
    let said = of("pool = 3", &[]);
    assert!(said.contains("unknown field `pool`"), "{said}");
}

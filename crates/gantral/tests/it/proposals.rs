//! Four eyes from the command line, on a server whose configuration file wants them.

use crate::serve::Site;
use crate::support::{Ran, repository, wait_until};

/// Writes the configuration of a site with a section of four eyes.
fn wanting(section: &str) -> Site {
    let site = Site::new();
    let text = format!("{}[four_eyes]\n{section}", site.configuration("127.0.0.1:0"));
    std::fs::write(site.path("gantral.toml"), text).unwrap();
    site
}

fn refused(ran: Ran, code: &str) {
    let ran = ran.status(1);
    assert!(ran.talk.contains(&format!("[{code}]")), "{ran:?}");
}

#[test]
fn what_one_person_activates_waits_for_another_also_across_a_restart() {
    let site = wanting("policy = true\nmode = true\nunfreeze = 'two'\nexpires = '1h'\n");
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    let definition = repository().join("examples/split-agent/workflow.toml");
    let applied = site.run(&url, "console", &["workflows", "apply", definition.to_str().unwrap()]).status(3);
    assert!(applied.data.contains("none is in force"), "{applied:?}");
    assert!(applied.talk.contains("hint: gantral proposals show "), "{applied:?}");
    let listed = site.run(&url, "otto", &["proposals", "ls", "--json"]).status(0).json();
    let proposal = &listed["items"][0];
    let (id, digest) = (proposal["proposal_id"].as_str().unwrap(), proposal["digest"].as_str().unwrap());
    let confirm = ["proposals", "confirm", id, "--digest", digest, "--reason", "read and agreed"];
    refused(site.run(&url, "console", &confirm), "same_person");
    refused(site.run(&url, "refund-agent", &confirm), "forbidden");

    assert_eq!(server.stop(), Some(0));
    let (_server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "otto", &["doctor"]).status == 0));
    let shown = site.run(&url, "otto", &["proposals", "show", id]).status(0);
    assert!(shown.data.contains("for workflow split-refund") && shown.data.contains(digest), "{shown:?}");
    assert!(shown.data.contains("instead of  no policy"), "{shown:?}");
    assert!(shown.talk.contains(&format!("gantral proposals confirm {id} --digest {digest}")), "{shown:?}");
    refused(site.run(&url, "refund-agent", &["instances", "create", "split-refund"]), "no_active_policy");
    let other = "0".repeat(64);
    let unread = ["proposals", "confirm", id, "--digest", other.as_str()];
    refused(site.run(&url, "otto", &unread), "proposal_differs");
    site.run(&url, "otto", &confirm).status(0);
    site.run(&url, "refund-agent", &["instances", "create", "split-refund"]).status(0);

    let ls = site.run(&url, "otto", &["proposals", "ls"]).status(0).data;
    assert_eq!(ls.trim(), "nothing is proposed");
    let all = site.run(&url, "otto", &["proposals", "ls", "--all"]).status(0).data;
    assert!(all.contains(id) && all.contains("confirmed"), "{all}");

    let mode = ["enforce", "disable", "--workflow", "split-refund", "--reason", "looking first"];
    let switched = site.run(&url, "otto", &mode).status(3);
    assert!(switched.data.contains("proposed: SHADOW for workflow split-refund"), "{switched:?}");
    let json = site.run(&url, "otto", &[&mode[..], &["--json"]].concat()).status(3).json();
    let id = json["proposal"]["proposal_id"].as_str().unwrap().to_owned();
    refused(site.run(&url, "console", &["proposals", "withdraw", &id]), "forbidden");
    site.run(&url, "otto", &["proposals", "withdraw", &id]).status(0);
    let digest = json["proposal"]["digest"].as_str().unwrap();
    refused(site.run(&url, "console", &["proposals", "confirm", &id, "--digest", digest]), "proposal_ended");
    let status = site.run(&url, "console", &["enforce", "status"]).status(0).data;
    assert_eq!(status.trim(), "what policy says is enforced everywhere");
}

#[test]
fn a_section_that_says_nothing_sensible_is_refused_with_its_member() {
    for (section, expected) in [
        ("expires = '1s'\n", "`four_eyes.expires` is `1s`"),
        ("[four_eyes.tenants.nobody]\npolicy = true\n", "`four_eyes.tenants` has `nobody`"),
        ("freeze = true\n", "unknown field `freeze`"),
    ] {
        let site = wanting(section);
        let ran = crate::support::run(&site.path(""), &["serve", "--config", "gantral.toml"]).status(1);
        assert!(ran.talk.contains(expected), "{ran:?}");
    }
}

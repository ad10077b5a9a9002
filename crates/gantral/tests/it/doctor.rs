//! `gantral doctor` for a deployment: everything that a configuration names is looked at, and nothing is changed.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;

use gantral_testkit::cluster::shared;
use gantral_testkit::{Bao, Opa};
use serde_json::Value;

use crate::nodes::fleet::Fleet;
use crate::provider::Followed;
use crate::serve::Site;
use crate::support::{Ran, block_on, run, wait_until};
use crate::witness;

/// Returns what was said of a check, each with its mark, and with a remedy where it is bad.
fn said(ran: &Ran, check: &str) -> Vec<(String, String)> {
    let findings = ran.json();
    let all = findings.as_array().unwrap().iter();
    all.filter(|finding| finding["check"] == check)
        .map(|finding| {
            let text = |member: &str| finding[member].as_str().unwrap_or_default().to_owned();
            assert_eq!(finding["mark"] == "bad", finding["remedy"] != Value::Null, "{finding}");
            (text("mark"), format!("{} / {}", text("detail"), text("remedy")))
        })
        .collect()
}

fn is(ran: &Ran, check: &str, mark: &str, part: &str) {
    let found = said(ran, check);
    assert!(found.iter().any(|(its, text)| its == mark && text.contains(part)), "{check}: {found:?}");
}

fn doctor(site: &Site) -> Ran {
    run(&site.path(""), &["doctor", "--config", "gantral.toml", "--json"])
}

#[test]
fn sound_deployment_is_found_sound_before_its_first_start_and_while_it_serves() {
    let site = Site::new();
    let archive = format!("[archive]\nurl = 'file://{}'\n", site.path("archive").display());
    let text = std::fs::read_to_string(site.path("gantral.toml")).unwrap();
    std::fs::write(site.path("gantral.toml"), text + &archive).unwrap();
    let before = doctor(&site).status(0);
    is(&before, "archive", "good", "it is empty");
    is(&before, "ledger", "good", "is made at the first start");
    is(&before, "keys", "good", "are made at the first start");
    for made in ["data", "archive"] {
        assert!(!site.path(made).exists(), "whoever looks makes nothing");
    }
    let (mut server, _) = site.serve();
    let ran = doctor(&site).status(0);
    for (check, part) in [
        ("configuration", "1 tenants"),
        ("tls", "fit each other"),
        ("disk", "MiB are free"),
        ("ledger", "ledger.db"),
        ("keys", "is the key of `log`"),
        ("identity", "in the configuration"),
        ("clock", "20"),
        ("policy", "a fresh worker answered"),
    ] {
        is(&ran, check, "good", part);
    }
    assert_eq!(server.stop(), Some(0));
}

#[test]
fn whatever_a_deployment_leans_on_is_asked_whether_it_is_there() {
    let mut site = Followed::new();
    let folder = site.path("");
    let bao = block_on(Bao::start(false));
    let token = block_on(bao.signing_key("issuer")).display().to_string();
    let place = ["--openbao-url", &bao.url, "--openbao-key", "issuer", "--openbao-token-file", &token];
    run(&folder, &[&["keys", "init", "--data", "data"][..], &place].concat()).status(0);
    let key = witness::init(&folder, "w");
    let (witness, address) = witness::serve(&folder, "w");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let opa = Opa::start(&folder, port, &[]);
    site.configure(&format!(
        "[[log.witnesses]]\nurl = 'http://{address}'\nkey = '{}'\n
         [policy.evaluators.near]\nkind = 'opa'\nurl = 'http://127.0.0.1:{port}'\n",
        key.split_whitespace().last().unwrap()
    ));
    let look = || run(&folder, &["doctor", "--config", "gantral.toml", "--json"]);
    let there = look().status(0);
    for (check, part) in [
        ("keys", "OpenBao has the key of `issuer`"),
        ("identity", "publishes keys"),
        ("witnesses", "answers"),
        ("evaluators", "`near` answers"),
    ] {
        is(&there, check, "good", part);
    }
    drop((bao, witness, opa));
    site.provider.stop();
    let gone = look().status(1);
    for check in ["keys", "identity", "witnesses", "evaluators"] {
        is(&gone, check, "bad", " / ");
    }
}

#[test]
fn whatever_is_wrong_is_named_with_its_remedy_and_hides_nothing_else() {
    let site = Site::new();
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    assert_eq!(server.stop(), Some(0));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let broken = format!(
        "{}[archive]\nurl = 'ftp://nowhere/'\n[four_eyes]\nexpires = '1s'\n
         [[log.witnesses]]\nurl = 'http://127.0.0.1:{free}'\nkey = 'w+1e0f8e9a+nothing'\n
         [[identity.issuers]]\nissuer = 'http://127.0.0.1:{free}/realm'\naudiences = ['gantral']\nalgorithms = ['EdDSA']
         tenant = 'acme'\nclients = {{}}\nkeys.published = {{}}\n
         [policy.evaluators.far]\nkind = 'opa'\nurl = 'http://127.0.0.1:{free}'\n",
        site.configuration("127.0.0.1:0")
    );
    std::fs::write(site.path("gantral.toml"), broken).unwrap();
    let key = site.path("data/issuer.pk8");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::copy(site.path("key.pem"), site.path("data/log.pk8")).unwrap();
    std::fs::write(site.path("cert.pem"), "no certificate").unwrap();
    let ran = doctor(&site).status(1);
    for (check, part) in [
        ("four eyes", "`four_eyes.expires` is `1s`"),
        ("tls", "cert.pem` cannot be used"),
        ("keys", "issuer.pk8"),
        ("identity", "realm"),
        ("evaluators", "`far` does not answer"),
        ("witnesses", "w+1e0f8e9a+nothing"),
        ("archive", "docs/archive.md"),
    ] {
        is(&ran, check, "bad", part);
    }
    is(&ran, "disk", "good", "MiB are free");
    std::fs::write(site.path("gantral.toml"), "listen = 'here'").unwrap();
    is(&doctor(&site).status(1), "configuration", "bad", "listen");
}

#[test]
fn database_is_looked_at_and_not_changed() {
    let fleet = Fleet::new(1);
    let look = || fleet.run_here(&["doctor", "--config", "node-0.toml", "--json"]);
    let before = look().status(0);
    is(&before, "ledger", "good", "its schema is made at the first start");
    let tables = || {
        block_on(async {
            let raw = shared().raw(fleet.database()).await;
            let count = "SELECT count(*) FROM pg_namespace WHERE nspname = 'gantral'";
            raw.query_one(count, &[]).await.unwrap().get::<_, i64>(0)
        })
    };
    assert_eq!(tables(), 0, "whoever looks makes nothing");
    let mut fleet = fleet;
    fleet.start_node(0);
    fleet.ready(0);
    let ran = fleet.run_here(&["doctor", "--config", "node-0.toml", "--json"]).status(0);
    is(&ran, "ledger", "good", "; schema ");
    is(&ran, "connections", "good", "connections are used");
    is(&ran, "clock", "good", "ms away");
    // One that nobody may write to.
    let text = std::fs::read_to_string(fleet.path("node-0.toml")).unwrap();
    block_on(async {
        let raw = shared().raw(fleet.database()).await;
        raw.batch_execute("CREATE ROLE looker LOGIN; GRANT USAGE ON SCHEMA gantral TO looker; GRANT SELECT ON gantral.schema_version TO looker")
            .await
            .unwrap();
    });
    std::fs::write(fleet.path("node-0.toml"), text.replace("postgres://postgres@", "postgres://looker@"))
        .unwrap();
    is(
        &fleet.run_here(&["doctor", "--config", "node-0.toml", "--json"]).status(1),
        "privileges",
        "bad",
        "GRANT",
    );
    block_on(async {
        let raw = shared().raw(fleet.database()).await;
        raw.batch_execute("DROP OWNED BY looker; DROP ROLE looker").await.unwrap();
    });
    std::fs::write(fleet.path("node-0.toml"), text.replace(fleet.database(), "no_such_database")).unwrap();
    is(
        &fleet.run_here(&["doctor", "--config", "node-0.toml", "--json"]).status(1),
        "ledger",
        "bad",
        "does not let us in",
    );
}

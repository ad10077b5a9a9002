//! The keys of a server over its life: made, replaced, lost to somebody else, and held in OpenBao.

use std::path::Path;

use gantral_testkit::Bao;
use serde_json::Value;

use crate::support::{Ran, World, block_on, run};

const DATA: &str = ".gantral-dev/data";

/// Runs a subcommand of `keys` in the folder of a world.
fn keys(world: &World, arguments: &[&str]) -> Ran {
    world.run(&[&["keys"], arguments].concat())
}

/// Returns the keys of a role: id and state, in the order in which they were made.
fn listed(world: &World, role: &str) -> Vec<(String, String)> {
    let listed = keys(world, &["ls", "--json"]).status(0).json();
    let of_role = listed.as_array().unwrap().iter().filter(|key| key["role"] == role);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    of_role.map(|key| (text(&key["key_id"]), text(&key["state"]))).collect()
}

/// Verifies a bundle against what the folder exports now.
fn judged(world: &World, bundle: &str) -> (i32, String, Vec<String>) {
    let trust = keys(world, &["export-trust", "--tenant", "dev"]).status(0).data;
    std::fs::write(world.path("exported.json"), trust).unwrap();
    let ran = run(world.folder(), &["verify", bundle, "--trust", "exported.json", "--json"]);
    let report = ran.json();
    let codes = report["findings"].as_array().unwrap().iter();
    let codes = codes.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    (ran.status, report["verdict"].as_str().unwrap().to_owned(), codes)
}

fn export(world: &World, id: &str, name: &str) {
    world.run(&["evidence", "export", id, "--format", "dir", "--output", name]).status(0);
}

/// Verifies a bundle as `judged` does. It is valid, unless a key has limits in the log and not every artifact a proof of its place.
#[track_caller]
fn holds(world: &World, bundle: &str) {
    let (status, verdict, codes) = judged(world, bundle);
    let trust: Value = serde_json::from_str(&world.text("exported.json")).unwrap();
    let limited = |key: &Value| !(key["valid_from"].is_null() && key["valid_until"].is_null());
    let limited = trust["keys"].as_array().unwrap().iter().any(limited);
    let files = |part: &str| std::fs::read_dir(world.path(bundle).join(part)).map_or(0, Iterator::count);
    if limited && files("proofs") < files("artifacts") {
        assert_eq!((status, &*verdict), (2, "INCONCLUSIVE"), "{bundle} {codes:?}");
        assert!(codes.iter().any(|code| code == "E_UNLOGGED"), "{bundle} {codes:?}");
    } else {
        assert_eq!((status, &*verdict), (0, "VALID"), "{bundle} {codes:?}");
    }
}

#[test]
fn chain_of_a_key_that_was_replaced_is_continued_and_verified_and_falls_with_its_compromise() {
    let mut world = World::start();
    world.apply("exit 0", "30s");
    let first = world.create();
    export(&world, &first, "before.gantral");
    let refused = keys(&world, &["rotate", "--role", "issuer"]).status(1);
    assert!(
        refused.talk.contains("in use") && refused.talk.contains("hint: stop the server first"),
        "{refused:?}"
    );

    world.kill_server();
    let rotated = keys(&world, &["rotate", "--role", "issuer"]).status(0);
    assert!(rotated.data.starts_with("ROLE"), "{rotated:?}");
    let [(old, old_state), (new, new_state)] = listed(&world, "issuer").try_into().unwrap();
    assert_eq!((&*old_state, &*new_state), ("earlier", "current"));
    world.start_server();

    // One chain under both keys, and one under the new key.
    let cancelled = world.run(&["instances", "cancel", &first]);
    cancelled.status(0);
    let second = world.create();
    export(&world, &first, "both.gantral");
    export(&world, &second, "after.gantral");
    for bundle in ["before.gantral", "both.gantral", "after.gantral"] {
        holds(&world, bundle);
    }
    assert_eq!(world.verified(&first, "hinted.gantral").status(0).json()["verdict"], "VALID");

    world.kill_server();
    let revoked = keys(&world, &["revoke", &old, "--from-index", "0"]).status(0);
    assert!(!revoked.talk.contains("still signs"), "{revoked:?}");
    for bundle in ["before.gantral", "both.gantral"] {
        let (status, verdict, codes) = judged(&world, bundle);
        assert_eq!((status, &*verdict), (2, "INCONCLUSIVE"), "{bundle}");
        assert!(codes.iter().any(|code| code == "E_KEY_COMPROMISED"), "{bundle} {codes:?}");
    }
    // Its own artifacts are under the new key. The governance chain that it stands under began under the old one.
    assert_eq!(judged(&world, "after.gantral").1, "INCONCLUSIVE");
    let report =
        run(world.folder(), &["verify", "after.gantral", "--trust", "exported.json", "--json"]).json();
    let fallen: Vec<&str> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["weight"] != "NOTE")
        .map(|finding| finding["where"].as_str().unwrap())
        .collect();
    assert!(!fallen.is_empty() && fallen.iter().all(|place| place.starts_with("governance ")), "{fallen:?}");
    assert_eq!(
        listed(&world, "issuer"),
        [(old, "compromised".to_owned()), (new.clone(), "current".to_owned())]
    );
    let current = keys(&world, &["revoke", &new, "--from-index", "5"]).status(0);
    assert!(current.talk.contains("still signs with this key"), "{current:?}");
    // What a compromised key signed stays readable here: the ledger is not where it is judged.
    world.start_server();
    assert_eq!(world.instance(&second)["state"], "CREATED");
}

#[test]
fn keys_are_made_once_and_their_files_are_their_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let missing = run(folder.path(), &["keys", "ls", "--data", "data"]).status(1);
    assert!(missing.talk.contains("hint: gantral keys init --data data"), "{missing:?}");
    let made = run(folder.path(), &["keys", "init", "--data", "data", "--json"]).status(0).json();
    let again = run(folder.path(), &["keys", "init", "--data", "data", "--json"]).status(0).json();
    assert_eq!(made, again);
    assert_eq!(made.as_array().unwrap().len(), 2);
    for name in ["keys.json", "issuer.pk8", "log.pk8"] {
        let mode = folder.path().join("data").join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert!(!made.to_string().contains("PRIVATE"));
}

#[test]
fn exported_file_demands_what_was_asked_for_and_names_the_log_of_its_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run(folder.path(), &[&["keys", "--data", "data"], arguments].concat());
    run(&["init"]).status(0);
    let demanded = "scope=complete,enforced,logged,witnessed=2,complete,snapshots,human_evidence=webauthn,human_device_bound";
    let exported = run(&["export-trust", "--tenant", "acme", "--require", demanded]).status(0);
    let trust = exported.json();
    assert_eq!(
        trust["require"],
        serde_json::json!({
            "complete": true, "enforced": true, "human_device_bound": true, "human_evidence": "webauthn", "logged": true,
            "scope": "complete", "snapshots": true, "witnessed": 2
        })
    );
    assert_eq!(trust["keys"][0]["tenants"], serde_json::json!(["acme"]));
    assert_eq!(trust["keys"][0]["origins"], serde_json::json!(["acme/log"]));
    let policy = trust["log"]["policy"].as_str().unwrap();
    assert!(policy.starts_with("log acme/log+"), "{policy}");
    assert!(exported.talk.contains(trust["keys"][0]["key_id"].as_str().unwrap()), "{exported:?}");
    run(&["export-trust", "--require", "nothing"]).status(2);
    let directory = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    let party = ["--relying-party", "gantral.example", "--origin", "https://gantral.example"];
    run(&[&["export-trust"], &party[..2]].concat()).status(2);
    let with = [&["export-trust", "--tenant", "acme", "--directory-key", directory], &party[..]].concat();
    let with = run(&with).status(0).json();
    let role = |role: &str| with["keys"].as_array().unwrap().iter().find(|key| key["role"] == role).cloned();
    assert_eq!(role("directory").unwrap()["public_key"], directory);
    assert_eq!(with["relying_party"]["origins"], serde_json::json!(["https://gantral.example"]));

    let id = trust["keys"][0]["key_id"].as_str().unwrap();
    run(&["revoke", id, "--from-index", "7", "--log", "acme/log"]).status(0);
    let exported = run(&["export-trust", "--tenant", "acme"]).status(0).json();
    assert_eq!(exported["keys"][0]["compromised_from"], 7);
    let refused = run(&["export-trust"]).status(1);
    assert!(refused.talk.contains("hint: name the tenant"), "{refused:?}");
    run(&["revoke", id, "--from-index", "8", "--log", "acme/log"]).status(1);
    run(&["rotate", "--role", "log", "--log", "acme/log", "--at-index", "9"]).status(0);
    let listed = run(&["ls", "--json"]).status(0).json();
    assert_eq!(listed[1]["valid_until"][0]["index"], 9);
    assert_eq!(listed[2]["valid_from"][0]["log"], "acme/log");
}

/// Asks for what the policy allows, and says how that went.
const SMALL: &str = "gantral ask refund --target order/7 --set amount=50 --consume > said.txt && gantral outcome SUCCEEDED --grant \"$(cat said.txt)\"";

#[test]
fn server_whose_key_is_in_openbao_works_on_while_it_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let (mut bao, token) = block_on(async {
        let bao = Bao::start(false).await;
        let token = bao.signing_key("issuer").await;
        (bao, token)
    });
    let secret = std::fs::read_to_string(&token).unwrap();
    let token = token.display().to_string();
    let place = ["--openbao-url", &bao.url, "--openbao-key", "issuer", "--openbao-token-file", &token];
    let shown = data.display().to_string();
    let made = run(folder.path(), &[&["keys", "init", "--data", &shown][..], &place].concat()).status(0);
    assert!(made.data.contains(&format!("transit/issuer in {}", bao.url)), "{made:?}");
    assert!(!data.join("issuer.pk8").exists());

    let mut world = World::start_with_data(&data);
    world.apply(SMALL, "30s");
    let first = world.create();
    world.kill_server();
    // Another process, another delegate: the chain of the first is read under the delegation that it kept.
    world.start_server();
    assert_eq!(world.instance(&first)["state"], "CREATED");
    let url = bao.url.clone();
    bao.stop();
    world.run(&["instances", "cancel", &first]).status(0);
    let second = world.create();
    world.start_runner();
    world.reach(&second, "COMPLETED");
    world.kill_runner();
    for (id, name) in [(&first, "first.gantral"), (&second, "second.gantral")] {
        export(&world, id, name);
        let (status, verdict, codes) = judged(&world, name);
        assert_eq!((status, &*verdict), (0, "VALID"), "{codes:?}");
    }
    // What the second consumed rests on governance artifacts that the first process sealed, under its delegate.
    let signed = ["verify", "second.gantral", "--trust", "exported.json", "--json"];
    assert_eq!(run(world.folder(), &signed).json()["assurance"]["governance"]["checked"], 1);
    assert_eq!(std::fs::read_dir(data.join("delegations")).unwrap().count(), 2);

    // Without the key a server does not even start: it could not sign.
    world.kill_server();
    let refused = world.run(&["dev", "--listen", "127.0.0.1:0"]).status(1);
    assert!(refused.talk.contains("openbao cannot be reached: no connection"), "{refused:?}");
    let log = world.text("server.log");
    assert!(!log.contains(secret.trim()) && !log.contains(&url), "{log}");
    assert!(world.path(DATA).exists());
}

#[test]
fn keys_that_are_handed_over_are_installed_once_and_never_in_the_place_of_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    run(folder.path(), &["keys", "init", "--data", &at("made")]).status(0);
    // As a secret is mounted: by way of a link, and readable by a group.
    std::fs::create_dir(at("mounted")).unwrap();
    for name in ["keys.json", "issuer.pk8", "log.pk8", "attempts.pem"] {
        std::fs::copy(at(&format!("made/{name}")), at(name)).unwrap();
        std::fs::set_permissions(at(name), std::os::unix::fs::PermissionsExt::from_mode(0o440)).unwrap();
        std::os::unix::fs::symlink(at(name), at(&format!("mounted/{name}"))).unwrap();
    }
    std::fs::write(at("mounted/ledger.db"), "no key").unwrap();
    let install =
        |data: &str| run(folder.path(), &["keys", "install", "--from", &at("mounted"), "--data", &at(data)]);
    for _ in 0..2 {
        let shown = install("data").status(0);
        assert_eq!(shown.data, run(folder.path(), &["keys", "ls", "--data", &at("made")]).status(0).data);
    }
    let mut names: Vec<_> =
        std::fs::read_dir(at("data")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["attempts.pem", "issuer.pk8", "keys.json", "log.pk8"]);
    let mode = |name: &str| {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(at(name)).unwrap().permissions())
    };
    assert_eq!((mode("data") & 0o777, mode("data/issuer.pk8") & 0o777), (0o700, 0o600));
    // A folder with keys of its own keeps them.
    run(folder.path(), &["keys", "init", "--data", &at("other")]).status(0);
    let before = std::fs::read(at("other/issuer.pk8")).unwrap();
    let refused = install("other").status(1);
    assert!(refused.talk.contains("is there with another content"), "{refused:?}");
    assert_eq!(std::fs::read(at("other/issuer.pk8")).unwrap(), before);
    // What is not all is nothing.
    std::fs::remove_file(at("mounted/attempts.pem")).unwrap();
    assert!(install("third").status(1).talk.contains("has no `attempts.pem`"));
    assert!(!Path::new(&at("third")).exists());
}

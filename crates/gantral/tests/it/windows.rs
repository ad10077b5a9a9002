//! Many executions at once: exported with the issuer's word that these are all, and verified together.

use gantral_evidence::container::{Manifest, OwnedFiles, read_tar, write_tar};
use gantral_evidence::dsse::Envelope;

use crate::support::{Ran, World, now};

const AGENT: &str = r#"set -eu
gantral ask refund --target order/1001 --set amount=10 --consume > answer
gantral outcome SUCCEEDED --grant "$(cat answer)"
"#;

/// Makes three executions, and exports the day that they were made in.
fn exported() -> (World, Vec<String>) {
    let mut world = World::start();
    world.apply(AGENT, "30s");
    world.start_runner();
    let ids: Vec<String> = (0..3).map(|_| world.create()).collect();
    for id in &ids {
        world.reach(id, "COMPLETED");
    }
    let to = world.run(&["instances", "show", &ids[2], "--json"]).status(0).json();
    let updated = to["created_at"].as_str().unwrap().to_owned();
    let export =
        ["evidence", "window", "--from", "2020-01-01T00:00:00.000Z", "--to", &updated, "-o", "early"];
    world.run(&export).status(0);
    std::thread::sleep(std::time::Duration::from_millis(50));
    let end = now();
    let export = ["evidence", "window", "--from", &updated, "--to", &end, "--output", "window", "--json"];
    let ran = world.run(&export).status(0);
    assert!(ran.json()["instances"].as_u64().unwrap() >= 1, "{ran:?}");
    let export =
        ["evidence", "window", "--from", "2020-01-01T00:00:00.000Z", "--to", &end, "-o", "all", "--json"];
    assert_eq!(world.run(&export).status(0).json()["instances"], 3);
    (world, ids)
}

fn verify(world: &World) -> Ran {
    let trust = world.path(".gantral-dev/trust.json").display().to_string();
    world.run(&["verify", "all", "--trust", &trust, "--json"])
}

fn codes(ran: &Ran) -> Vec<String> {
    let findings = ran.json()["findings"].as_array().unwrap().clone();
    let bad = findings.iter().filter(|finding| finding["weight"] != "NOTE");
    bad.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

/// Puts the newest artifact of one bundle into another, as signed by nobody who is known.
fn with_last_by_a_stranger(into: &[u8], from: &[u8]) -> Vec<u8> {
    let (from, read) = (read_tar(from).unwrap(), read_tar(into).unwrap());
    let (_, last) = from.within("artifacts/").last().unwrap();
    let mut envelope = Envelope::parse(last).unwrap();
    envelope.signatures[0].key_id = "0".repeat(64);
    let mut files = OwnedFiles::new();
    for (path, content) in read.iter().filter(|(path, _)| *path != "manifest.json") {
        files.insert(path, content.to_vec()).unwrap();
    }
    files.insert("artifacts/00000099.dsse.json", envelope.encode()).unwrap();
    let manifest = Manifest::read(&read).unwrap();
    files.seal(manifest.instance, manifest.scope).unwrap();
    write_tar(&files.as_files().unwrap())
}

#[test]
fn window_is_valid_whole_and_says_what_is_missing_or_exchanged() {
    let (world, ids) = exported();
    let whole = verify(&world).status(0);
    assert_eq!((&whole.json()["verdict"], &whole.json()["bundles"]), (&"VALID".into(), &3.into()));
    let trust = world.path(".gantral-dev/trust.json").display().to_string();
    let text = world.run(&["verify", "all", "--trust", &trust]).status(0);
    assert!(text.data.contains("executions   3"), "{text:?}");
    assert!(text.data.contains("gantral log monitor --bundles"), "{text:?}");
    assert_eq!(codes(&world.run(&["verify", "all", "--json"]).status(2)), ["E_NO_TRUST"]);

    let bundle = |id: &str| world.path(&format!("all/{id}.gantral"));
    let (first, second) = (std::fs::read(bundle(&ids[0])).unwrap(), std::fs::read(bundle(&ids[1])).unwrap());
    std::fs::remove_file(bundle(&ids[0])).unwrap();
    assert_eq!(codes(&verify(&world).status(2)), ["E_COMPLETENESS_UNPROVED"]);
    std::fs::write(bundle(&ids[0]), &second).unwrap();
    assert_eq!(codes(&verify(&world).status(1)), ["E_MIXED"]);
    std::fs::write(bundle(&ids[0]), with_last_by_a_stranger(&second, &first)).unwrap();
    assert_eq!(codes(&verify(&world).status(1)), ["E_MIXED"]);
    std::fs::write(bundle(&ids[0]), &first[..first.len() / 2]).unwrap();
    assert_eq!(codes(&verify(&world).status(1)), ["E_CONTAINER"]);
    std::fs::write(bundle(&ids[0]), &first).unwrap();
    verify(&world).status(0);

    let list = world.text("all/instances.json");
    let (head, tail) = list.split_at(list.find('[').unwrap() + 1);
    let shorter = format!("{head}{}", &tail[tail.find("},").unwrap() + 2..]);
    std::fs::write(world.path("all/instances.json"), shorter).unwrap();
    assert_eq!(codes(&verify(&world).status(1)), ["E_CONTAINER"]);
}

#[test]
fn window_that_is_not_over_is_not_signed() {
    let world = World::start();
    let export = [
        "evidence",
        "window",
        "--from",
        "2020-01-01T00:00:00.000Z",
        "--to",
        "2999-01-01T00:00:00.000Z",
        "-o",
        "w",
    ];
    let ran = world.run(&export).status(1);
    assert!(ran.talk.contains("lies in the future"), "{ran:?}");
    assert!(!world.path("w").exists());
}

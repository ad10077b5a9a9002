//! Secrets: they reach the process, and nothing else.

use gantral_core::state::State;
use gantral_edge::runner::RunnerEvent;
use gantral_testkit::files_holding;

use crate::place::{Place, runs, shell};

const CANARY: &str = "canary-5f1d8e0c-in-a-file";

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_reaches_the_process_and_nothing_else() {
    let place = Place::open().await;
    let (secret, out) = (place.folder.path().join("secret"), place.folder.path().join("out"));
    std::fs::write(&secret, format!("{CANARY}\n")).unwrap();
    let told =
        "echo \"told $KEY\"; printf '%s' \"$KEY\" | cut -c 1-9 | tr -d '\\n'; sleep 1; echo; echo $KEY >&2";
    let script = format!("printf '%s %s' \"$KEY\" \"$NAME\" > {}; {told}", out.display());
    let mut run = runs(&shell(&script), "30s");
    let references =
        [("KEY", format!("file:{}", secret.display())), ("NAME", "env:CARGO_PKG_NAME".to_owned())];
    run["secrets"] =
        references.into_iter().collect::<std::collections::BTreeMap<_, _>>().into_iter().collect();
    place.apply(&run).await;
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    place.reaches(id, State::Completed).await;
    let events = running.stop().await;
    assert_eq!(std::fs::read_to_string(&out).unwrap(), format!("{CANARY} gantral-edge"));
    assert!(!format!("{events:?}").contains(CANARY));
    assert_eq!(files_holding(place.folder.path(), CANARY), [out, secret]);
    // Careless processes print what they hold; the runner's log does not keep it.
    let log = std::fs::read_to_string(place.work().join("logs").join(format!("{id}-1.log"))).unwrap();
    assert_eq!(log, "told ***\ncanary-5f\n***\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_missing_fails_the_attempt_before_anything_is_launched() {
    for (reference, expected) in [
        ("env:GANTRAL_TEST_NO_SUCH_VARIABLE", "the runner's environment does not have"),
        ("file:/nowhere/to/be/found", "No such file"),
        ("file:relative", "not `env:NAME` or `file:/path`"),
        ("file:/dev/null", "empty, too long"),
        ("file:/dev/zero", "empty, too long"),
    ] {
        let place = Place::open().await;
        let mut run = runs(&shell("touch launched"), "30s");
        run["secrets"] = serde_json::json!({"KEY": reference});
        place.apply(&run).await;
        let id = place.create().await;
        let dir = place.folder.path().join("dir");
        std::fs::create_dir(&dir).unwrap();
        let running = place.run(|config| config.command_dir = Some(dir.clone())).await;
        place.reaches(id, State::Terminated).await;
        let events = running.stop().await;
        let why = events.iter().find_map(|event| match event {
            RunnerEvent::NotLaunched { why, .. } => Some(why.clone()),
            _ => None,
        });
        let why = why.unwrap();
        assert!(why.contains(expected) && why.contains("`KEY`") && why.contains(reference), "{why}");
        assert!(!dir.join("launched").exists());
    }
}

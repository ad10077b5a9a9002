//! The runner as a service manager sees it: its file of settings, and being told to stop.

use std::path::Path;
use std::process::Command;

use crate::support::{Killed, World, wait_until};

/// Never ends by itself, and says so where the test can see it.
const ENDLESS: &str = "echo $$ > running; while true; do sleep 0.1; done";

fn terminate(runner: &Killed) {
    let asked = Command::new("kill").args(["-TERM", &runner.pid().to_string()]).status().unwrap();
    assert!(asked.success());
}

fn lives(process: &str) -> bool {
    Path::new("/proc").join(process.trim()).exists()
}

#[test]
fn first_sigterm_lets_attempts_end_and_second_ends_them() {
    let world = World::start();
    world.apply(ENDLESS, "30s");
    let mut runner = world.runner("drain = '1h'\n[queues.default]\n");
    let id = world.create();
    assert!(wait_until(|| !world.text("running").is_empty()));
    terminate(&runner);
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert_eq!(world.instance(&id)["state"], "RUNNING");
    assert!(lives(&world.text("running")));
    assert_eq!(runner.stop(), Some(0));
    assert!(!lives(&world.text("running")));
    assert_eq!(world.reach(&id, "TERMINATED")["attempt"], 1);
}

#[test]
fn sigterm_ends_what_does_not_end_within_the_drain() {
    let world = World::start();
    world.apply(ENDLESS, "30s");
    let mut runner = world.runner("drain = '300ms'\n[queues.default]\nmax_concurrent = 1\n");
    let id = world.create();
    assert!(wait_until(|| !world.text("running").is_empty()));
    assert_eq!(runner.stop(), Some(0));
    assert_eq!(world.reach(&id, "TERMINATED")["attempt"], 1);
}

#[test]
fn limits_of_the_file_hold_for_the_command() {
    let world = World::start();
    world.apply("ulimit -n > files; ulimit -c >> files", "30s");
    let _runner = world.runner("[queues.default]\n[limits]\nopen_files = 40\n");
    let id = world.create();
    world.reach(&id, "COMPLETED");
    assert_eq!(world.text("files"), "40\n0\n");
}

#[test]
fn a_file_that_cannot_be_meant_starts_nothing() {
    let world = World::start();
    for (settings, said) in [
        ("concurency = 2\n", "unknown field `concurency`"),
        ("[queues.default]\n[limits]\nmemory = 'much'\n", "not a number of bytes such as `512MiB` (line 3)"),
        ("[limits]\nopen_files = 0\n", "`limits.open_files` is 0"),
        ("drain = '1m'\n", "name at least one queue"),
        ("cgroups = 'none'\n[queues.default]\n[limits]\nprocesses = 9\n", "needs control groups"),
    ] {
        std::fs::write(world.path("runner.toml"), settings).unwrap();
        let ran = world.run(&["runner", "--config", "runner.toml"]).status(1);
        assert!(ran.talk.contains(said), "{said}: {}", ran.talk);
    }
}

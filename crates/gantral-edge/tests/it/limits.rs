//! What an attempt may use.

use std::time::Duration;

use gantral_core::state::State;
use gantral_edge::child::{CgroupPlace, Limits};
use gantral_edge::runner::{ExecutorError, Runner, RunnerError, RunnerEvent};

use crate::place::{Place, dies, lives, numbers, runs, shell};

fn ended(event: &RunnerEvent) -> Option<(i32, State)> {
    match event {
        RunnerEvent::Ended { exit_status, state, .. } => Some((*exit_status, *state)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_process_of_an_attempt_has_the_limits_of_the_runner() {
    let place = Place::open().await;
    let out = place.folder.path().join("out");
    // In a child of the command: limits are inherited. Blocks of 512 bytes, and KiB for memory.
    let script = format!("sh -c 'ulimit -t; ulimit -n; ulimit -f; ulimit -v; ulimit -c' > {}", out.display());
    place.apply(&runs(&shell(&script), "30s")).await;
    let id = place.create().await;
    let (cpu_seconds, open_files) = (Some(77), Some(33));
    let (file_bytes, address_bytes) = (Some(512 << 10), Some(256 << 20));
    let limits = Limits { cpu_seconds, open_files, file_bytes, address_bytes };
    let running = place.run(|config| config.limits = limits).await;
    place.reaches(id, State::Completed).await;
    running.stop().await;
    assert_eq!(std::fs::read_to_string(out).unwrap(), "77\n33\n1024\n262144\n0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_uses_more_than_it_may_fails() {
    let place = Place::open().await;
    let big = place.folder.path().join("big");
    let script = format!("exec head -c 1000000 /dev/zero > {}", big.display());
    place.apply(&runs(&shell(&script), "30s")).await;
    place.create().await;
    let running = place.run(|config| config.limits.file_bytes = Some(100_000)).await;
    // The signal for a file that is too large.
    assert_eq!(running.tells(ended).await, (-25, State::Terminated));
    running.stop().await;
    assert!(std::fs::metadata(big).unwrap().len() <= 100_000);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_time_is_up_is_ended_and_has_failed() {
    for (script, status) in [
        ("while true; do sleep 0.1; done", -15),
        ("trap '' TERM; while true; do sleep 0.1; done", -9),
        // It says that all is well, because it was told to end: it is not.
        ("trap 'exit 0' TERM; while true; do sleep 0.1; done", 124),
    ] {
        let place = Place::open().await;
        let path = place.folder.path().join("self");
        place.apply(&runs(&shell(&format!("echo $$ > {}; {script}", path.display())), "30s")).await;
        place.create().await;
        let (time, grace) = (Duration::from_millis(700), Duration::from_millis(300));
        let running = place.run(|config| (config.time_max, config.grace) = (Some(time), grace)).await;
        running.tells(|event| matches!(event, RunnerEvent::TimeIsUp { .. }).then_some(())).await;
        assert_eq!(running.tells(ended).await, (status, State::Terminated), "{script}");
        assert!(!lives(numbers(&path, 1).await[0]));
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_cannot_be_kept_lets_no_runner_start() {
    let place = Place::open().await;
    let mut config = place.config().await;
    (config.cgroups, config.group_limits.processes) = (CgroupPlace::Nowhere, Some(10));
    let error = Runner::new(place.client("dev-runner"), config).unwrap_err();
    assert!(matches!(error, RunnerError::Executor(ExecutorError::Cgroup(_))), "{error}");
    assert!(error.to_string().contains("delegate one"), "{error}");

    let mut config = place.config().await;
    config.cgroups = CgroupPlace::Folder(place.folder.path().to_owned());
    let error = Runner::new(place.client("dev-runner"), config).unwrap_err();
    assert!(error.to_string().contains("no control group of version 2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_processes_are_limited_together_or_nothing_is_launched() {
    let place = Place::open().await;
    let path = place.folder.path().join("children");
    // More than it may start, or hold: either way it fails.
    let script = format!("for i in 1 2 3 4 5 6 7 8 9; do sleep 100 & echo $! >> {}; done", path.display());
    place.apply(&runs(&shell(&script), "30s")).await;
    place.create().await;
    let mut config = place.config().await;
    (config.group_limits.memory_bytes, config.group_limits.processes) = (Some(64 << 20), Some(5));
    match Runner::new(place.client("dev-runner"), config.clone()) {
        // This machine gives its controllers to nobody, or to version 1.
        Err(error) => assert!(matches!(error, RunnerError::Executor(ExecutorError::Cgroup(_))), "{error}"),
        Ok(runner) => {
            drop(runner);
            let running = place.run(|ours| ours.group_limits = config.group_limits).await;
            let (status, state) = running.tells(ended).await;
            assert!(status != 0 && state == State::Terminated, "{status}");
            for process in numbers(&path, 1).await {
                dies(process).await;
            }
            running.stop().await;
        }
    }
}

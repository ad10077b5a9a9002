//! Whole trees of processes: nothing of an attempt is left, wherever it went.

use std::path::Path;

use gantral_core::state::State;
use gantral_edge::child::{CgroupPlace, Launcher};
use gantral_edge::runner::RunnerEvent;
use gantral_testkit::is_ci;
use rustix::process::Signal;

use crate::place::{Place, dies, end, lives, numbers, runner_process, runs, shell, signal};

/// Starts a grandchild in a session of its own, which writes its number down and ends for no reason of its own.
fn stray(path: &Path) -> String {
    let path = path.display();
    let stay = "trap \"\" TERM HUP; while true; do sleep 0.1; done";
    format!("(setsid sh -c 'echo $$ >> {path}; {stay}' &) ; while [ ! -s {path} ]; do sleep 0.02; done")
}

/// Tells whether this machine gives control groups to these tests; a machine that builds must.
fn has_groups() -> bool {
    let own = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mount =
        mounts.lines().find(|line| line.contains(" - cgroup2 ")).and_then(|line| line.split(' ').nth(4));
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let folder = mount.zip(path).map(|(mount, path)| Path::new(mount).join(path).join("cgroup.procs"));
    let is_writable = folder.is_some_and(|file| std::fs::OpenOptions::new().write(true).open(file).is_ok());
    assert!(is_writable || !is_ci(), "these tests need a control group that they may write to");
    is_writable
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_group_and_session_ends_with_the_attempt() {
    for groups in [CgroupPlace::Nowhere, CgroupPlace::Own] {
        let place = Place::open().await;
        let path = place.folder.path().join("stray");
        place.apply(&runs(&shell(&stray(&path)), "30s")).await;
        let id = place.create().await;
        let running = place.run(|config| config.cgroups = groups.clone()).await;
        place.reaches(id, State::Completed).await;
        // Gone before the end was reported.
        assert!(!lives(numbers(&path, 1).await[0]), "{groups:?}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_group_and_session_is_killed_when_the_attempt_is_lost() {
    for groups in [CgroupPlace::Nowhere, CgroupPlace::Own] {
        let place = Place::open().await;
        let path = place.folder.path().join("stray");
        place.apply(&runs(&shell(&format!("{}; sleep 1000", stray(&path))), "3s")).await;
        let id = place.create().await;
        let running = place.run(|config| config.cgroups = groups.clone()).await;
        let process = numbers(&path, 1).await[0];
        place.human("dave").cancel(id.into()).await.unwrap();
        running.tells(|event| matches!(event, RunnerEvent::Lost { .. }).then_some(())).await;
        assert!(!lives(process), "{groups:?}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_leaves_group_and_session_dies_with_the_runner() {
    for groups in [CgroupPlace::Nowhere, CgroupPlace::Own] {
        let place = Place::open().await;
        let path = place.folder.path().join("stray");
        place.apply(&runs(&shell(&format!("{}; sleep 1000", stray(&path))), "30s")).await;
        place.create().await;
        let runner = runner_process(&place, &groups).await;
        let process = numbers(&path, 1).await[0];
        end(runner);
        dies(process).await;
    }
}

/// How the command's own process ended, as the runner heard of it.
fn ended(event: &RunnerEvent) -> Option<(i32, State)> {
    match event {
        RunnerEvent::Ended { exit_status, state, .. } => Some((*exit_status, *state)),
        _ => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_kills_its_guardian_dies_with_it_and_has_failed() {
    let place = Place::open().await;
    let path = place.folder.path().join("self");
    let script = format!("echo $$ >> {}; kill -9 $PPID; while true; do sleep 0.1; done", path.display());
    place.apply(&runs(&shell(&script), "30s")).await;
    place.create().await;
    let running = place.run(|config| config.cgroups = CgroupPlace::Nowhere).await;
    assert_eq!(running.tells(ended).await, (-9, State::Terminated));
    assert!(!lives(numbers(&path, 1).await[0]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_kills_the_guardian_and_left_before_is_still_in_the_control_group() {
    if !has_groups() {
        return;
    }
    let place = Place::open().await;
    let path = place.folder.path().join("stray");
    place.apply(&runs(&shell(&format!("{}; kill -9 $PPID; sleep 1000", stray(&path))), "30s")).await;
    place.create().await;
    let running = place.run(|_| {}).await;
    assert_eq!(running.tells(ended).await, (-9, State::Terminated));
    assert!(!lives(numbers(&path, 1).await[0]));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_that_was_stopped_saves_nobody() {
    let place = Place::open().await;
    let path = place.folder.path().join("self");
    let script = format!("echo $$ >> {}; kill -STOP $PPID; while true; do sleep 0.1; done", path.display());
    place.apply(&runs(&shell(&script), "3s")).await;
    let id = place.create().await;
    let running = place.run(|config| config.cgroups = CgroupPlace::Nowhere).await;
    let process = numbers(&path, 1).await[0];
    place.human("dave").cancel(id.into()).await.unwrap();
    running.tells(|event| matches!(event, RunnerEvent::Lost { .. }).then_some(())).await;
    dies(process).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_that_is_stopped_before_its_first_word_is_killed_with_the_lease() {
    let place = Place::open().await;
    let path = place.folder.path().join("guardian");
    place.apply(&runs(&shell("true"), "3s")).await;
    place.create().await;
    let stopped = format!("echo $$ >> {}; kill -STOP $$", path.display());
    let running = place
        .run(|config| {
            config.cgroups = CgroupPlace::Nowhere;
            config.launcher =
                Launcher { program: "/bin/sh".into(), arguments: vec!["-c".into(), stopped.into()] };
        })
        .await;
    let guardian = numbers(&path, 1).await[0];
    running.tells(|event| matches!(event, RunnerEvent::Lost { .. }).then_some(())).await;
    dies(guardian).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_starts_ends_what_outlived_both_runner_and_guardian() {
    if !has_groups() {
        return;
    }
    let place = Place::open().await;
    let (path, guardian) = (place.folder.path().join("stray"), place.folder.path().join("guardian"));
    let script = format!("{}; echo $PPID > {}; sleep 1000", stray(&path), guardian.display());
    place.apply(&runs(&shell(&script), "30s")).await;
    place.create().await;
    let runner = runner_process(&place, &CgroupPlace::Own).await;
    let (process, guardian) = (numbers(&path, 1).await[0], numbers(&guardian, 1).await[0]);
    // A runner that is stopped notices nothing.
    signal(runner.id(), Signal::STOP);
    signal(guardian, Signal::KILL);
    end(runner);
    assert!(lives(process), "nobody was left to end it");
    let again = place.run(|_| {}).await;
    dies(process).await;
    again.stop().await;
}

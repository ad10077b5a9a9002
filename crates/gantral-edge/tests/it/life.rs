//! The life of an attempt under a runner.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use gantral_core::ids::TenantId;
use gantral_core::state::{DecisionKind, State};
use gantral_edge::child::Launcher;
use gantral_edge::runner::{Runner, RunnerError, RunnerEvent};

use crate::place::{LONG, Place, dies, lives, numbers, runs, shell};
use crate::roles;

fn ended(event: &RunnerEvent) -> Option<(i32, State)> {
    match event {
        RunnerEvent::Ended { exit_status, state, .. } => Some((*exit_status, *state)),
        _ => None,
    }
}

fn processes(events: &[RunnerEvent]) -> Vec<u32> {
    let process = |event: &RunnerEvent| match event {
        RunnerEvent::Started { process, .. } => *process,
        _ => None,
    };
    events.iter().filter_map(process).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_asks_and_ends_and_a_fresh_one_acts_once_on_what_was_approved() {
    let place = Place::open().await;
    let ledger = place.folder.path().join("ledger");
    place.apply(&runs(&roles::agent(&ledger, "act"), "30s")).await;
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    place.reaches(id, State::WaitingForHuman).await;
    running.tells(ended).await;
    let asking = processes(&running.events());
    assert!(!lives(asking[0]), "nothing may wait while a human thinks");

    place.decide(DecisionKind::Override, Some(480)).await;
    place.reaches(id, State::Completed).await;
    let events = running.stop().await;
    let all = processes(&events);
    assert_eq!(events.iter().filter_map(ended).map(|(status, _)| status).collect::<Vec<_>>(), [3, 0]);
    assert_eq!(all.len(), 2);
    assert_ne!(all[0], all[1]);
    let text = std::fs::read_to_string(&ledger).unwrap();
    assert_eq!(text, format!("{} {{\"amount_minor\":480}}\n", all[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_lingers_at_its_gate_is_ended_and_the_decision_finds_a_fresh_one() {
    let place = Place::open().await;
    let ledger = place.folder.path().join("ledger");
    place.apply(&runs(&roles::agent(&ledger, "linger"), "6s")).await;
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    place.reaches(id, State::WaitingForHuman).await;
    place.decide(DecisionKind::Override, Some(480)).await;
    assert_eq!(running.tells(ended).await, (-15, State::Overridden));
    assert!(!lives(processes(&running.events())[0]), "nothing may run behind a gate");
    place.reaches(id, State::Completed).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_is_told_what_it_needs_and_nothing_else() {
    let place = Place::open().await;
    let out = place.folder.path().join("told");
    std::fs::create_dir(&out).unwrap();
    let script = format!(
        "cd {} && env > environment && cp -p $GANTRAL_TOKEN_FILE token && cp -p $GANTRAL_CONTEXT context \
         && cp -pr $(dirname $GANTRAL_CONTEXT) dir && cat > stdin",
        out.display()
    );
    place.apply(&runs(&shell(&script), "30s")).await;
    let id = place.create().await;
    let running = place.run(|config| config.inherit = vec!["CARGO_PKG_NAME".to_owned()]).await;
    place.reaches(id, State::Completed).await;
    running.stop().await;

    let read = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let mode = |name: &str| std::fs::metadata(out.join(name)).unwrap().permissions().mode() & 0o777;
    let environment = read("environment");
    let mut names: Vec<_> =
        environment.lines().filter_map(|line| line.split_once('=')).map(|(n, _)| n).collect();
    // What the shell sets for itself, and what this machine may not have.
    names.retain(|name| !["PWD", "OLDPWD", "SHLVL", "_", "LANG", "TZ", "HOME"].contains(name));
    names.sort_unstable();
    let expected = [
        "CARGO_PKG_NAME",
        "GANTRAL_ATTEMPT",
        "GANTRAL_CONTEXT",
        "GANTRAL_INSTANCE_ID",
        "GANTRAL_JOURNAL",
        "GANTRAL_MODE_LEASE",
        "GANTRAL_TENANT",
        "GANTRAL_TOKEN_FILE",
        "GANTRAL_TRUST",
        "GANTRAL_URL",
        "GANTRAL_WORKFLOW",
        "PATH",
        "TRACEPARENT",
    ];
    assert_eq!(names, expected);
    assert!(environment.contains(&format!("GANTRAL_INSTANCE_ID={id}")));
    let trace = id.to_string().replace('-', "");
    assert!(environment.contains(&format!("TRACEPARENT=00-{trace}-{}-01\n", &trace[16..])), "{environment}");
    assert!(environment.contains(&format!("GANTRAL_URL={}", place.url)));
    assert_eq!((mode("token"), mode("context"), mode("dir")), (0o600, 0o600, 0o700));
    assert!(read("token").split('.').count() == 3 && !read("token").contains('\n'));
    assert!(read("context").contains(&id.to_string()));
    assert_eq!(read("stdin"), "");
    assert_eq!(std::fs::read_dir(place.work().join("attempts")).unwrap().count(), 0);
    let log = std::fs::metadata(place.work().join("logs").join(format!("{id}-1.log"))).unwrap();
    assert_eq!(log.permissions().mode() & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exit_status_decides_how_an_instance_ends() {
    for (command, status, state) in [
        (shell("exit 0"), 0, State::Completed),
        (shell("exit 7"), 7, State::Terminated),
        // 3 is for attempts that a gate retired: without one it is a failure.
        (shell("exit 3"), 3, State::Terminated),
        (shell("kill -9 $$"), -9, State::Terminated),
        (shell("kill -15 $$"), -15, State::Terminated),
        (vec!["/nowhere/to/be/found".to_owned()], 127, State::Terminated),
        (vec!["/".to_owned()], 126, State::Terminated),
    ] {
        let place = Place::open().await;
        place.apply(&runs(&command, "30s")).await;
        place.create().await;
        let running = place.run(|_| {}).await;
        assert_eq!(running.tells(ended).await, (status, state), "{command:?}");
        running.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_no_guardian_launches_nothing() {
    let place = Place::open().await;
    place.apply(&runs(&shell("exit 0"), "30s")).await;
    place.create().await;
    let launcher = Launcher { program: "/bin/true".into(), arguments: Vec::new() };
    let running = place.run(|config| config.launcher = launcher).await;
    assert_eq!(running.tells(ended).await, (125, State::Terminated));
    let events = running.stop().await;
    assert!(events.iter().any(|event| matches!(event, RunnerEvent::NotLaunched { .. })), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn both_outputs_are_kept_up_to_their_limit() {
    let place = Place::open().await;
    let script = "printf out; printf err >&2; head -c 100000 /dev/zero | tr '\\0' x; echo the end";
    place.apply(&runs(&shell(script), "30s")).await;
    let id = place.create().await;
    let running = place.run(|config| config.log_bytes_max = 1_000).await;
    place.reaches(id, State::Completed).await;
    running.stop().await;
    let log = std::fs::read_to_string(place.work().join("logs").join(format!("{id}-1.log"))).unwrap();
    let kept = format!("outerr{}", "x".repeat(994));
    assert_eq!(log, format!("{kept}\n[gantral: everything after 1000 bytes was dropped]\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_process_leaves_behind_ends_with_it() {
    let place = Place::open().await;
    let left = place.folder.path().join("left");
    place.apply(&runs(&shell(&format!("sleep 1000 & echo $! > {}", left.display())), "30s")).await;
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    place.reaches(id, State::Completed).await;
    dies(numbers(&left, 1).await[0]).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_attempts_run_at_once_as_there_are_places() {
    let place = Place::open().await;
    let met = place.folder.path().join("met");
    std::fs::create_dir(&met).unwrap();
    // Ends only when another one runs at the same time.
    let script =
        format!("cd {} && touch $$ && while [ $(ls | wc -l) -lt 2 ]; do sleep 0.05; done", met.display());
    place.apply(&runs(&shell(&script), "30s")).await;
    let (one, other) = (place.create().await, place.create().await);
    let running = place.run(|config| config.concurrency = 2.try_into().unwrap()).await;
    place.reaches(one, State::Completed).await;
    place.reaches(other, State::Completed).await;
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_asked_to_stop_lets_its_attempt_end() {
    let place = Place::open().await;
    let go = place.folder.path().join("go");
    place.apply(&runs(&shell(&format!("while [ ! -e {} ]; do sleep 0.05; done", go.display())), "30s")).await;
    let id = place.create().await;
    let running = place.run(|_| {}).await;
    running.tells(|event| matches!(event, RunnerEvent::Started { .. }).then_some(())).await;
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!stopping.is_finished());
    std::fs::write(go, "").unwrap();
    let events = stopping.await.unwrap();
    assert_eq!(events.iter().find_map(ended), Some((0, State::Completed)));
    assert_eq!(*place.show(id).await.state, State::Completed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_must_stop_ends_what_does_not_end() {
    let place = Place::open().await;
    place.apply(&runs(&shell("trap '' TERM; while true; do sleep 0.1; done"), "30s")).await;
    place.create().await;
    let running = place
        .run(|config| (config.drain, config.grace) = (Duration::from_millis(100), Duration::from_millis(300)))
        .await;
    running.tells(|event| matches!(event, RunnerEvent::Started { .. }).then_some(())).await;
    let since = Instant::now();
    let events = running.stop().await;
    assert!(since.elapsed() < LONG);
    assert_eq!(events.iter().find_map(ended), Some((-9, State::Terminated)));
    assert!(!lives(processes(&events)[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_twice_waits_no_longer_and_the_end_is_reported() {
    let place = Place::open().await;
    place.apply(&runs(&shell("while true; do sleep 0.1; done"), "30s")).await;
    place.create().await;
    let running = place.run(|config| config.drain = Duration::from_secs(3_600)).await;
    running.tells(|event| matches!(event, RunnerEvent::Started { .. }).then_some(())).await;
    running.ask_to_stop();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!running.task.is_finished());
    let since = Instant::now();
    let events = running.stop().await;
    assert!(since.elapsed() < LONG);
    assert_eq!(events.iter().find_map(ended), Some((-15, State::Terminated)));
    assert!(!lives(processes(&events)[0]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_has_no_more_places_than_its_own() {
    let place = Place::open().await;
    let turns = place.folder.path().join("turns");
    let script = format!("echo in >> {0}; sleep 0.5; echo out >> {0}", turns.display());
    place.apply(&runs(&shell(&script), "30s")).await;
    let ids = [place.create().await, place.create().await, place.create().await];
    let running = place
        .run(|config| {
            config.concurrency = 3.try_into().unwrap();
            config.per_queue.insert(config.queues[0].clone(), 1.try_into().unwrap());
        })
        .await;
    for id in ids {
        place.reaches(id, State::Completed).await;
    }
    running.stop().await;
    assert_eq!(std::fs::read_to_string(turns).unwrap(), "in\nout\n".repeat(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_work_directory_belongs_to_one_runner_and_keeps_nothing_of_an_earlier_one() {
    let place = Place::open().await;
    let old = place.work().join("attempts/old");
    std::fs::create_dir_all(&old).unwrap();
    std::fs::write(old.join("token"), "secret").unwrap();
    let first = Runner::new(place.client("dev-runner"), place.config().await).unwrap();
    assert!(!old.exists());
    let second = Runner::new(place.client("dev-runner"), place.config().await);
    assert!(second.unwrap_err().to_string().contains("in use by another runner"));
    drop(first);
    Runner::new(place.client("dev-runner"), place.config().await).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_runner_of_the_pinned_tenant_runs() {
    let place = Place::open().await;
    let agent = Runner::new(place.client("refund-agent"), place.config().await).unwrap();
    let error = agent.run(std::future::pending()).await.unwrap_err();
    assert!(matches!(error, RunnerError::NotARunner { kind: "workload" }), "{error}");

    let mut config = place.config().await;
    config.pinned.tenant = TenantId::parse("another").unwrap();
    let runner = Runner::new(place.client("dev-runner"), config).unwrap();
    let error = runner.run(std::future::pending()).await.unwrap_err();
    assert!(matches!(error, RunnerError::OtherTenant { .. }), "{error}");

    let mut config = place.config().await;
    config.queues.clear();
    assert!(matches!(Runner::new(place.client("dev-runner"), config), Err(RunnerError::NoQueue)));
}

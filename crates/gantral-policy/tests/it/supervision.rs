//! Workers that die, deadlines, versions, and the queue.

use std::time::{Duration, Instant};

use gantral_core::digest::Digest;
use gantral_core::policy::{EvalFailure, PolicyVersionId, Verdict};
use gantral_engine::policy_point::PolicyPoint;
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{PATIENT, Point, policy};

/// Takes long enough to be killed in the middle, and ends by itself within a test's patience.
const SLOW: &str = r#"r := numbers.range(1, 250)
decision := "ALLOW" if count([1 | some a in r; some b in r; some c in [1, 2, 3, 4]; a + b + c < 0]) == 0"#;
/// Does not end within any patience.
const ENDLESS: &str = r#"r := numbers.range(1, 2000)
decision := "ALLOW" if count([1 | some a in r; some b in r; some c in r; some d in r; a + b + c + d < 0]) == 0"#;
const GOOD: &str = r#"decision := "ALLOW""#;

fn kill_workers(point: &Point) -> usize {
    let pids: Vec<u32> = point.rego.workers().iter().filter_map(|worker| worker.pid).collect();
    for pid in &pids {
        let pid = Pid::from_raw(i32::try_from(*pid).unwrap()).unwrap();
        // One that is gone already needs no signal.
        let _ = kill_process(pid, Signal::KILL);
    }
    pids.len()
}

#[tokio::test]
async fn a_worker_killed_in_mid_evaluation_is_replaced_and_the_evaluation_done_again() {
    let point = Point::with_workers(1);
    let slow = policy(SLOW);
    point.rego.ready(point.shelf.put(&slow)).await.unwrap();
    let (answer, ()) = tokio::join!(point.ask(&slow, "{}"), async {
        tokio::time::sleep(Duration::from_millis(30)).await;
        assert_eq!(kill_workers(&point), 1);
    });
    assert_eq!(answer.map(|evaluation| evaluation.verdict), Ok(Verdict::Allow));
    assert_eq!(point.rego.workers()[0].restarts, 1);
}

#[tokio::test]
async fn an_evaluation_that_has_no_time_left_after_its_worker_was_killed_is_closed() {
    let point = Point::with_workers(1);
    let slow = policy(ENDLESS);
    point.rego.ready(point.shelf.put(&slow)).await.unwrap();
    let limit = Duration::from_millis(100);
    let (answer, ()) = tokio::join!(point.ask_within(&slow, "{}", limit), async {
        tokio::time::sleep(Duration::from_millis(60)).await;
        kill_workers(&point);
    });
    let failure = answer.expect_err("there was no time to finish");
    assert_eq!(failure, EvalFailure::ResourceLimit);
    assert_eq!(point.ask(&policy(GOOD), "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
}

#[tokio::test]
async fn an_evaluation_that_two_workers_were_killed_over_counts_as_the_policys_doing() {
    let point = Point::with_workers(1);
    let endless = policy(ENDLESS);
    point.rego.ready(point.shelf.put(&endless)).await.unwrap();
    let asked = point.ask_within(&endless, "{}", PATIENT);
    tokio::pin!(asked);
    let failure = loop {
        tokio::select! {
            answer = &mut asked => break answer.expect_err("it cannot end"),
            () = tokio::time::sleep(Duration::from_millis(40)) => { kill_workers(&point); }
        }
    };
    assert_eq!(failure, EvalFailure::ResourceLimit);
}

#[tokio::test]
async fn a_slow_evaluation_does_not_take_the_others_with_it() {
    let point = Point::with_workers(1);
    let (slow, good) = (policy(ENDLESS), policy(GOOD));
    for bundle in [&slow, &good] {
        point.rego.ready(point.shelf.put(bundle)).await.unwrap();
    }
    let limit = Duration::from_secs(2);
    let good_asks = (0..8).map(|_| point.ask_within(&good, "{}", limit));
    let (hostile, others) =
        tokio::join!(point.ask_within(&slow, "{}", limit), futures_join(good_asks.collect()));
    assert_eq!(hostile, Err(EvalFailure::ResourceLimit));
    for answer in others {
        assert_eq!(answer.map(|evaluation| evaluation.verdict), Ok(Verdict::Allow));
    }
}

#[tokio::test]
async fn only_an_evaluation_that_no_worker_took_up_is_an_outage_when_time_runs_out() {
    let point = Point::with_workers(1);
    let (endless, good) = (policy(ENDLESS), policy(GOOD));
    for bundle in [&endless, &good] {
        point.rego.ready(point.shelf.put(bundle)).await.unwrap();
    }
    let (runaway, waiting) = tokio::join!(point.ask_within(&endless, "{}", Duration::from_secs(2)), async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        point.ask_within(&good, "{}", Duration::from_millis(200)).await
    });
    assert_eq!(waiting, Err(EvalFailure::DeadlineExceeded));
    assert_eq!(runaway, Err(EvalFailure::ResourceLimit));
    assert!(EvalFailure::DeadlineExceeded.is_outage() && !EvalFailure::ResourceLimit.is_outage());
}

async fn futures_join<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = pinned.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in pinned.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[tokio::test]
async fn versions_are_evaluated_side_by_side_and_fetched_once() {
    let point = Point::with_workers(1);
    let (allow, deny) = (policy(GOOD), policy(r#"decision := "DENY""#));
    assert_ne!(allow.version(), deny.version());
    for _ in 0..5 {
        assert_eq!(point.ask(&allow, "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
        assert_eq!(point.ask(&deny, "{}").await.map(|e| e.verdict), Ok(Verdict::Deny));
    }
    assert_eq!(*point.shelf.fetched.lock().unwrap(), 2);
}

#[tokio::test]
async fn more_versions_than_a_worker_keeps_all_answer() {
    let point = Point::with_workers(1);
    let bundles: Vec<_> = (0..40).map(|n| policy(&format!("{GOOD}\nversion := {n}"))).collect();
    for bundle in bundles.iter().chain(&bundles) {
        assert_eq!(point.ask(bundle, "{}").await.map(|e| e.verdict), Ok(Verdict::Allow));
    }
    assert_eq!(point.rego.workers()[0].restarts, 0);
}

#[tokio::test]
async fn a_bundle_under_a_wrong_version_is_a_mismatch_and_an_absent_one_unknown() {
    let point = Point::with_workers(1);
    let wrong = PolicyVersionId(Digest::of(b"something else"));
    point.shelf.put_as(wrong, policy(GOOD).to_archive().unwrap());
    let absent = PolicyVersionId(Digest::of(b"nothing"));
    assert_eq!(point.rego.ready(wrong).await, Err(EvalFailure::VersionMismatch));
    assert_eq!(point.rego.evaluate(wrong, b"{}", PATIENT).await.result, Err(EvalFailure::VersionMismatch));
    assert_eq!(point.rego.evaluate(absent, b"{}", PATIENT).await.result, Err(EvalFailure::VersionUnknown));
    assert_eq!(point.rego.ready(absent).await, Err(EvalFailure::VersionUnknown));
}

#[tokio::test]
async fn a_program_that_is_no_worker_is_unavailable_within_the_limit() {
    let shelf = std::sync::Arc::new(crate::support::Shelf::default());
    let version = shelf.put(&policy(GOOD));
    for program in ["/bin/false", "/bin/cat", "/nowhere/at-all"] {
        let command = gantral_policy::WorkerCommand { program: program.into(), args: Vec::new() };
        let point = gantral_policy::RegoPolicyPoint::start(
            &command,
            gantral_policy::PoolConfig::default(),
            std::sync::Arc::clone(&shelf) as std::sync::Arc<dyn gantral_policy::BundleSource>,
        )
        .unwrap();
        let started = Instant::now();
        let failure = point.evaluate(version, b"{}", Duration::from_secs(2)).await.result.expect_err(program);
        assert!(
            matches!(
                failure,
                EvalFailure::Unavailable | EvalFailure::ResourceLimit | EvalFailure::DeadlineExceeded
            ),
            "{program}: {failure:?}"
        );
        assert!(started.elapsed() < Duration::from_secs(4));
    }
}

#[tokio::test]
async fn workers_end_with_their_pool() {
    let point = Point::with_workers(2);
    assert!(point.ask(&policy(GOOD), "{}").await.is_ok());
    let pids: Vec<u32> = point.rego.workers().iter().filter_map(|worker| worker.pid).collect();
    drop(point);
    let gone = |pid: &u32| rustix::process::test_kill_process(Pid::from_raw(*pid as i32).unwrap()).is_err();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !pids.iter().all(gone) {
        assert!(Instant::now() < deadline, "workers are left");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The variable that makes [`server_process`] a server that is to be killed.
const SERVER: &str = "GANTRAL_POLICY_TEST_SERVER";

/// Becomes a server with busy workers when another test starts this program so; prints their process numbers.
#[tokio::test]
async fn server_process() {
    if std::env::var_os(SERVER).is_none() {
        return;
    }
    let point = Point::with_workers(2);
    let endless = policy(ENDLESS);
    point.rego.ready(point.shelf.put(&endless)).await.unwrap();
    while point.rego.workers().iter().any(|worker| worker.pid.is_none()) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let pids: Vec<String> =
        point.rego.workers().iter().filter_map(|worker| worker.pid).map(|pid| pid.to_string()).collect();
    println!("\nworkers {}", pids.join(" "));
    let _ = tokio::join!(point.ask(&endless, "{}"), point.ask(&endless, "{}"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_server_leaves_no_worker_behind() {
    use std::io::{BufRead, BufReader};
    let mut server = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["supervision::server_process", "--exact", "--nocapture"])
        .env(SERVER, "1")
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(server.stdout.take().unwrap()).lines();
    let pids: Vec<i32> = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("workers ").map(str::to_owned))
        .unwrap()
        .split(' ')
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert_eq!(pids.len(), 2);
    std::thread::sleep(Duration::from_millis(100));
    server.kill().unwrap();
    server.wait().unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while pids.iter().any(|pid| is_running(*pid)) {
        assert!(Instant::now() < deadline, "workers are left");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Tells whether a process runs; one that ended and waits for its new parent to notice does not.
#[cfg(target_os = "linux")]
fn is_running(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(") ").next().unwrap_or_default().starts_with('Z'))
}

/// What a policy could reach if it broke out of its engine: nothing of the server's environment, and little else.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_worker_has_nothing_of_the_servers_environment_and_cannot_lift_its_limits() {
    let point = Point::with_workers(1);
    assert!(point.ask(&policy(GOOD), "{}").await.is_ok());
    let pid = point.rego.workers()[0].pid.unwrap();
    // The one variable is told to an allocator, and says nothing of the server.
    let environment = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap();
    assert_eq!(environment, "MIMALLOC_ARENA_RESERVE=16MiB\0");
    assert_eq!(std::fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), std::path::Path::new("/"));
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let of = |name: &str| -> Vec<Option<u64>> {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().take(2).map(|word| word.parse().ok()).collect()
    };
    for (name, most) in [
        ("Max address space", 512 * 1024 * 1024),
        ("Max open files", 16),
        ("Max file size", 0),
        ("Max core file size", 0),
    ] {
        assert!(of(name).iter().all(|limit| limit.is_some_and(|limit| limit <= most)), "{name}: {limits}");
    }
    let seconds = of("Max cpu time")[0].unwrap();
    assert!(seconds <= 60, "{seconds} seconds of processor time");
}

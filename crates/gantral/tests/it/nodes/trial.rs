//! A crowd of agents and approvers at several servers while something is done to these: what it demands is the same whatever is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use gantral_api::wire::text;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::crowd::{Acted, Caller};
use super::fleet::Fleet;

/// Unless something else is said: long enough for each server to be met several times.
const SECONDS: u64 = 12;
const AGENTS: usize = 12;
/// How many bundles are verified by a process of their own as well, as an auditor does it.
const BY_PROCESS: usize = 3;

/// A number that whoever runs the tests says in a variable.
fn said(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Returns how long something is done to servers, and under how many agents: `GANTRAL_KILL_SECONDS`, `GANTRAL_KILL_AGENTS`.
pub fn length() -> Duration {
    Duration::from_secs(said("GANTRAL_KILL_SECONDS").unwrap_or(SECONDS))
}

fn agents() -> usize {
    said("GANTRAL_KILL_AGENTS").map_or(AGENTS, |agents| usize::try_from(agents).unwrap())
}

/// One instance whose agent has seen its end.
struct Ended {
    id: text::InstanceId,
    state: &'static str,
    at: Instant,
    took: Duration,
}

/// Has a crowd work at servers while `done` is done to them, and demands that everything ended as its agent saw it, that who acted did so once
/// and by a grant, that no deadline was taken for over, and that every bundle is valid. Says how the crowd was served, and what was done. `done` is told
/// how many instances have ended.
pub fn served_whole_and_once(
    fleet: &mut Fleet,
    done: impl FnOnce(&mut Fleet, &AtomicUsize) -> String,
) -> String {
    fleet.trust();
    fleet.apply(0, None);
    let agents = agents();
    let (acted, over, decided) =
        (Arc::new(Acted::default()), Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let count = Arc::new(AtomicUsize::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let crowd: Vec<_> = (0..agents)
        .map(|_| {
            let agent = Caller::new(fleet, "refund-agent");
            lives(&runtime, agent, Arc::clone(&acted), (Arc::clone(&over), Arc::clone(&count)))
        })
        .collect();
    let approvers: Vec<_> = (0..2)
        .map(|_| {
            let (approver, decided) = (Caller::new(fleet, "rita"), Arc::clone(&decided));
            runtime.spawn(async move { approver.decide_all(decided).await })
        })
        .collect();

    let began = Instant::now();
    let what = done(fleet, &count);
    let (length, until) = (began.elapsed(), Instant::now());
    over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for agent in crowd {
        all.extend(runtime.block_on(agent).unwrap());
    }
    decided.store(true, Ordering::Relaxed);
    for approver in approvers {
        runtime.block_on(approver).unwrap();
    }

    let meanwhile = all.iter().filter(|ended| ended.at < until).count();
    assert!(meanwhile > 0, "nobody got anything done while it was done: {what}");
    let completed = all.iter().filter(|ended| ended.state == "COMPLETED").count();
    // Who completed has acted, and nobody else has.
    assert_eq!(acted.count(), completed);
    let auditor = Caller::new(fleet, "dora");
    let shown = all.iter().map(|ended| (ended.id, ended.state)).collect();
    runtime.block_on(auditor.verify_all(shown, fleet.folder()));
    for (number, ended) in all.iter().take(BY_PROCESS).enumerate() {
        let verified = fleet.verified(number % fleet.urls().len(), &ended.id.to_string());
        assert_eq!(verified.json()["verdict"], "VALID");
    }
    let open = fleet.run(0, "rita", &["approvals", "ls", "--json"]).status(0).json();
    let left = open["items"].as_array().unwrap().len();
    format!(
        "{agents} agents, {what} in {:.0} s: {}; {left} gates were left open by agents who went when it was over",
        length.as_secs_f64(),
        figures(all, completed)
    )
}

/// Has one agent ask for one thing after the other, until it is over.
fn lives(
    runtime: &Runtime,
    agent: Caller,
    acted: Arc<Acted>,
    (over, count): (Arc<AtomicBool>, Arc<AtomicUsize>),
) -> JoinHandle<Vec<Ended>> {
    runtime.spawn(async move {
        let mut ended = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let began = Instant::now();
            let (id, state) = agent.refund(&acted).await;
            ended.push(Ended { id, state, at: Instant::now(), took: began.elapsed() });
            count.fetch_add(1, Ordering::Relaxed);
        }
        ended
    })
}

/// Says how the crowd was served: how much, how long it took one, and how long nobody was.
fn figures(mut all: Vec<Ended>, completed: usize) -> String {
    all.sort_by_key(|ended| ended.at);
    let stall = all.windows(2).map(|pair| pair[1].at.duration_since(pair[0].at)).max().unwrap_or_default();
    let mut took: Vec<Duration> = all.iter().map(|ended| ended.took).collect();
    took.sort_unstable();
    let part = |of: usize| took[(took.len() - 1) * of / 100];
    format!(
        "{} instances ended, {completed} of them carried out, each once; each verified; from creation to end {:?} at the median, {:?} at p99, {:?} at most; \
         the longest time in which none ended {stall:?}",
        all.len(),
        part(50),
        part(99),
        part(100)
    )
}

//! Servers that are killed again and again under a crowd: every gate ends as it should, and nothing is carried out twice.
//!
//! The length is said by `GANTRAL_KILL_SECONDS`, and how many agents there are by `GANTRAL_KILL_AGENTS`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use gantral_api::wire::text;

use super::crowd::{Acted, Caller};
use super::fleet::Fleet;

const NODES: usize = 3;
/// Unless something else is said: long enough for each server to be killed several times.
const SECONDS: u64 = 20;
const AGENTS: usize = 12;
/// How long all servers serve between two kills.
const BETWEEN: Duration = Duration::from_millis(700);

fn said(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

#[test]
fn crowd_is_served_whole_and_once_while_servers_are_killed_all_the_time() {
    let mut fleet = Fleet::start(NODES);
    fleet.trust();
    fleet.apply(0, None);
    let length = Duration::from_secs(said("GANTRAL_KILL_SECONDS").unwrap_or(SECONDS));
    let agents = said("GANTRAL_KILL_AGENTS").map_or(AGENTS, |agents| usize::try_from(agents).unwrap());
    let (acted, over, decided) =
        (Arc::new(Acted::default()), Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));

    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut crowd = Vec::new();
    for _ in 0..agents {
        let (agent, acted, over) =
            (Caller::new(&fleet, "refund-agent"), Arc::clone(&acted), Arc::clone(&over));
        crowd.push(runtime.spawn(async move {
            let mut ended = Vec::new();
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let (id, state) = agent.refund(&acted).await;
                ended.push(Ended { id, state, at: Instant::now(), took: began.elapsed() });
            }
            ended
        }));
    }
    let approvers: Vec<_> = (0..2)
        .map(|_| {
            let (approver, decided) = (Caller::new(&fleet, "rita"), Arc::clone(&decided));
            runtime.spawn(async move { approver.decide_all(decided).await })
        })
        .collect();

    let (began, mut kills) = (Instant::now(), 0);
    while began.elapsed() < length {
        std::thread::sleep(BETWEEN);
        let number = kills % NODES;
        fleet.kill_node(number);
        std::thread::sleep(BETWEEN / 2);
        fleet.start_node(number);
        kills += 1;
    }
    over.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for agent in crowd {
        all.extend(runtime.block_on(agent).unwrap());
    }
    decided.store(true, Ordering::Relaxed);
    for approver in approvers {
        runtime.block_on(approver).unwrap();
    }

    assert!(all.len() > agents, "only {} instances ended", all.len());
    let completed = all.iter().filter(|ended| ended.state == "COMPLETED").count();
    // Who completed has acted, and nobody else has.
    assert_eq!(acted.count(), completed);
    let auditor = Caller::new(&fleet, "dora");
    let shown = all.iter().map(|ended| (ended.id, ended.state)).collect();
    runtime.block_on(auditor.verify_all(shown, fleet.folder()));
    for (number, ended) in all.iter().take(NODES).enumerate() {
        // The same once more as an auditor does it, by a process of its own.
        assert_eq!(fleet.verified(number, &ended.id.to_string()).json()["verdict"], "VALID");
    }
    let open = fleet.run(0, "rita", &["approvals", "ls", "--json"]).status(0).json();
    println!("{agents} agents, {kills} kills in {} s: {}", length.as_secs(), figures(all, completed));
    println!("gates that were left by agents when it was over: {}", open["items"].as_array().unwrap().len());
}

/// One instance whose agent has seen its end.
struct Ended {
    id: text::InstanceId,
    state: &'static str,
    at: Instant,
    took: Duration,
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

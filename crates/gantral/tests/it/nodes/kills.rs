//! Servers that are killed again and again under a crowd: every gate ends as it should, and nothing is carried out twice.
//!
//! The length is said by `GANTRAL_KILL_SECONDS`, and how many agents there are by `GANTRAL_KILL_AGENTS`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

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
            let (mut ended, mut slowest) = (Vec::new(), Duration::ZERO);
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                ended.push(agent.refund(&acted).await);
                slowest = slowest.max(began.elapsed());
            }
            (ended, slowest)
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
    let (mut all, mut slowest) = (Vec::new(), Duration::ZERO);
    for agent in crowd {
        let (ended, longest) = runtime.block_on(agent).unwrap();
        all.extend(ended);
        slowest = slowest.max(longest);
    }
    decided.store(true, Ordering::Relaxed);
    for approver in approvers {
        runtime.block_on(approver).unwrap();
    }

    assert!(all.len() > agents, "only {} instances ended", all.len());
    let completed = all.iter().filter(|(_, state)| *state == "COMPLETED").count();
    // Who completed has acted, and nobody else has.
    assert_eq!(acted.count(), completed);
    for (number, (id, state)) in all.iter().enumerate() {
        let (node, id) = (number % NODES, id.to_string());
        assert_eq!(fleet.instance(node, &id)["state"], *state, "{id}");
        let verdict = fleet.verified(node, &id).json();
        assert_eq!(verdict["verdict"], "VALID", "{id}: {verdict}");
        std::fs::remove_file(fleet.path(&format!("{id}.gantral"))).unwrap();
    }
    let open = fleet.run(0, "rita", &["approvals", "ls", "--json"]).status(0);
    println!(
        "{} instances of {agents} agents, {completed} carried out, {kills} kills, the slowest took {slowest:?}; still open: {}",
        all.len(),
        open.data.trim()
    );
}

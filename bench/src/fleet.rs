//! Whole human gates, and gates that policy allows: upon a SQLite file, upon PostgreSQL with one, two and three servers, and what a team would
//! otherwise build upon Temporal, all in the same rounds.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::gates::{Measured, RUN, measure, prepare};
use crate::peer::{Gates, Peer};
use crate::postgres::{Binaries, Cluster, SETTINGS_TOLD};
use crate::server::{Beside, Server, share_keys};
use crate::{disk_folder, median, ms};

const ROUNDS: usize = 5;
/// How many servers share a database.
const SERVERS: [usize; 3] = [1, 2, 3];
/// One caller alone, and many.
const CONNECTIONS: [usize; 2] = [1, 64];

const LEGEND: &str = "\
A human gate is an ask that waits and the decision that ends the wait; there, a workflow that is started and its update with one activity.
The ratios are to Temporal with as many callers in the same round: how many times its gates a second, and what share of its p50. Its development
server keeps everything in memory, while ours are durable when they are answered.

who                         connections  per second        p50        p99     rate   p50
";

/// Whose figures a line has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Temporal,
    Sqlite { human: bool },
    Postgres { servers: usize, human: bool },
}

/// What one measurement of one round gave, and the peer's in the same round.
struct Figure {
    who: Who,
    connections: usize,
    per_second: f64,
    /// The median and the 99th of a hundred, in milliseconds.
    took: [f64; 2],
    peer: Gates,
}

/// Runs every round and prints medians.
pub fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let folder = tempfile::Builder::new().prefix("gantral-fleet").tempdir_in(disk_folder())?;
        let binaries = Binaries::find().context("no PostgreSQL: `cargo xtask parts` installs it")?;
        crate::print(&format!("{} with {SETTINGS_TOLD}\n", binaries.version()?))?;
        let cluster = Cluster::start(&binaries, &[]).await?;
        let mut figures = Vec::new();
        for round in 0..ROUNDS {
            figures.extend(self::round(folder.path(), &cluster, round).await?);
            crate::print(&format!("{} of {ROUNDS} rounds\n", round + 1))?;
        }
        let mut out = String::from(LEGEND);
        for human in [true, false] {
            for connections in CONNECTIONS {
                let upon_postgres = SERVERS.map(|servers| Who::Postgres { servers, human });
                for who in [Who::Temporal, Who::Sqlite { human }].into_iter().chain(upon_postgres) {
                    line(&mut out, &figures, who, connections)?;
                }
            }
        }
        for connections in CONNECTIONS {
            let rounds =
                figures.iter().filter(|one| one.who == Who::Temporal && one.connections == connections);
            let update = median(rounds.map(|one| one.peer.update_ms[0]));
            writeln!(out, "the update alone, {connections} callers: p50 {update:.2}ms")?;
        }
        crate::print(&out)
    })
}

fn line(out: &mut String, figures: &[Figure], who: Who, connections: usize) -> Result<()> {
    let of = |value: fn(&Figure) -> f64| {
        let rounds = figures.iter().filter(|figure| figure.who == who && figure.connections == connections);
        median(rounds.map(value))
    };
    let name = match who {
        Who::Temporal => "Temporal, update and activity".to_owned(),
        Who::Sqlite { human } => format!("SQLite, {}", kind(human)),
        Who::Postgres { servers, human } => format!("PostgreSQL, {servers} servers, {}", kind(human)),
    };
    let (rate, p50, p99) =
        (of(|figure| figure.per_second), of(|figure| figure.took[0]), of(|figure| figure.took[1]));
    let ratio = of(|figure| figure.per_second / figure.peer.per_second);
    let share = of(|figure| figure.took[0] / figure.peer.gate_ms[0]);
    writeln!(
        out,
        "{name:<36}{connections:>11}{rate:>12.0}{p50:>9.2}ms{p99:>9.2}ms{ratio:>8.1}x{share:>6.3}"
    )?;
    Ok(())
}

fn kind(human: bool) -> &'static str {
    if human { "human gate" } else { "gate (ALLOW)" }
}

/// One round. Nobody is there but who is measured and the database.
async fn round(folder: &Path, cluster: &Cluster, round: usize) -> Result<Vec<Figure>> {
    let mut peer = Peer::start(folder)?;
    let mut figures = Vec::new();
    for connections in CONNECTIONS {
        let peer = peer.measure(connections, RUN.as_secs())?;
        let (per_second, took) = (peer.per_second, peer.gate_ms);
        figures.push(Figure { who: Who::Temporal, connections, per_second, took, peer });
    }
    drop(peer);
    let peers: Vec<Gates> = figures.iter().map(|figure| figure.peer).collect();
    for upon in [None].into_iter().chain(SERVERS.map(Some)) {
        let data = folder.join(format!("data-{round}-{}", upon.unwrap_or_default()));
        let store = match upon {
            Some(servers) => Some(cluster.database(&format!("ledger_{round}_{servers}")).await?),
            None => None,
        };
        let servers = start(&data, upon.unwrap_or(1), store)?;
        prepare(servers.first().context("a server")?).await?;
        for (connections, &peer) in CONNECTIONS.into_iter().zip(&peers) {
            for human in [true, false] {
                let who = upon.map_or(Who::Sqlite { human }, |servers| Who::Postgres { servers, human });
                let Measured { per_second, p50, p99 } =
                    measure(&servers, "bench", connections, human, round).await?;
                let took = [p50, p99].map(ms);
                figures.push(Figure { who, connections, per_second, took, peer });
            }
        }
        drop(servers);
        fs::remove_dir_all(&data)?;
    }
    Ok(figures)
}

/// Starts servers that share a ledger, each with a data folder of its own.
fn start(data: &Path, count: usize, store: Option<String>) -> Result<Vec<Server>> {
    let beside = Beside { store, ..Beside::default() };
    let folders: Vec<_> = (0..count).map(|number| data.join(number.to_string())).collect();
    let mut servers: Vec<Server> = Vec::with_capacity(count);
    for folder in &folders {
        match folders.first().filter(|_| !servers.is_empty()) {
            Some(first) => share_keys(first, folder)?,
            None => fs::create_dir_all(folder)?,
        }
        servers.push(Server::with(folder, &beside)?);
    }
    Ok(servers)
}

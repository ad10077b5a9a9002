//! The same appends to PostgreSQL, unbatched: one transaction each.
//!
//! An append is one prepared statement and one round trip: it moves the head where sequence and hash are as expected, and
//! inserts the artifact. Callers share a pool of connections and need not wait for each other's answers to send, which
//! favours PostgreSQL over a pool that lends a connection to one caller at a time. What PostgreSQL commits together, it
//! does so on its own.

use std::sync::Arc;

use anyhow::{Result, ensure};
use tokio_postgres::{Client, Statement};

use super::{ARTIFACT_BYTES, hash, id, spawn_writers, state};
use crate::meter::{Disk, Meter, Window};
use crate::postgres::{Binaries, Cluster, SPARED};

/// The most connections; with more callers they are shared.
pub const CONNECTIONS_MAX: usize = 64;
/// How many instances one statement creates.
const LOAD_ROWS: usize = 10_000;

/// The two tables that an append touches, with the lists that are read from the first. Rows leave room in their page, so
/// that a head moves within it as long as the state stays.
const SCHEMA: &str = "
CREATE TABLE instance(
  id bytea PRIMARY KEY,
  tenant text NOT NULL,
  head_seq bigint NOT NULL,
  head_hash bytea NOT NULL,
  state smallint NOT NULL,
  team text NOT NULL,
  workflow text NOT NULL,
  waiting_since bigint,
  due_at bigint
) WITH (fillfactor = 70);
CREATE INDEX instance_state ON instance(tenant, state, waiting_since, id);
CREATE INDEX instance_team ON instance(tenant, team, waiting_since, id);
CREATE INDEX instance_workflow ON instance(tenant, workflow, waiting_since, id);
CREATE INDEX instance_due ON instance(due_at) WHERE due_at IS NOT NULL;
CREATE TABLE artifact(
  instance_id bytea NOT NULL,
  seq bigint NOT NULL,
  hash bytea NOT NULL,
  body bytea NOT NULL,
  PRIMARY KEY(instance_id, seq)
);
";

/// Creates instances with their first artifact.
const LOAD: &str = "
WITH made AS (
  INSERT INTO instance(id, tenant, head_seq, head_hash, state, team, workflow)
  SELECT id, 'default', 0, $2, 0, 'payments', 'refund' FROM unnest($1::bytea[]) AS given(id)
  RETURNING id
)
INSERT INTO artifact(instance_id, seq, hash, body) SELECT id, 0, $2, $3 FROM made";

/// Appends one artifact if the head is as expected; otherwise it touches no row.
const APPEND: &str = "
WITH moved AS (
  UPDATE instance SET head_seq = $4, head_hash = $5, state = $6
  WHERE id = $1 AND head_seq = $2 AND head_hash = $3
  RETURNING id
)
INSERT INTO artifact(instance_id, seq, hash, body) SELECT id, $4, $5, $7 FROM moved";

/// A server with its connections, and the heads of its instances.
pub struct Postgres {
    sessions: Vec<Arc<Session>>,
    chains: Vec<Chain>,
    /// Stops the server when dropped.
    _cluster: Cluster,
}

impl Postgres {
    /// Starts a server and creates the instances.
    pub async fn load(binaries: &Binaries, instances: usize) -> Result<Self> {
        let cluster = Cluster::start(binaries, &SPARED).await?;
        let client = cluster.connect().await?;
        client.batch_execute(SCHEMA).await?;
        let load = client.prepare(LOAD).await?;
        let chains: Vec<Chain> = (0..instances).map(|number| Chain { id: id(number), sequence: 0 }).collect();
        for chains in chains.chunks(LOAD_ROWS) {
            let ids: Vec<&[u8]> = chains.iter().map(|chain| chain.id.as_slice()).collect();
            let body = vec![7_u8; ARTIFACT_BYTES];
            client.execute(&load, &[&ids, &hash(0).as_slice(), &body]).await?;
        }
        // What it would do soon on its own, so that it need not do so in a round.
        client.batch_execute("VACUUM ANALYZE").await?;
        let mut sessions = Vec::with_capacity(CONNECTIONS_MAX);
        for _ in 0..CONNECTIONS_MAX {
            let client = cluster.connect().await?;
            let append = client.prepare(APPEND).await?;
            sessions.push(Arc::new(Session { client, append }));
        }
        Ok(Self { sessions, chains, _cluster: cluster })
    }

    /// Measures `writers` callers, each with its own share of the instances.
    pub async fn measure(&mut self, writers: usize, disk: Option<&Disk>) -> Result<Window> {
        let meter = Arc::new(Meter::default());
        let sessions = self.sessions.iter().cycle().cloned();
        let tasks = spawn_writers(std::mem::take(&mut self.chains), writers, sessions, &meter);
        let window = meter.measure(disk).await?;
        for own in tasks.join_all().await {
            self.chains.extend(own?);
        }
        Ok(window)
    }
}

/// One connection, and the statement prepared on it.
struct Session {
    client: Client,
    append: Statement,
}

/// One instance to append to.
struct Chain {
    id: [u8; 16],
    /// The sequence of its head.
    sequence: u64,
}

impl super::Chain for Chain {
    type Ledger = Arc<Session>;

    async fn step(&mut self, session: &Arc<Session>) -> Result<()> {
        let next = self.sequence + 1;
        let appended = session
            .client
            .execute(
                &session.append,
                &[
                    &self.id.as_slice(),
                    &self.sequence.cast_signed(),
                    &hash(self.sequence).as_slice(),
                    &next.cast_signed(),
                    &hash(next).as_slice(),
                    &i16::from(state(next)),
                    &vec![7_u8; ARTIFACT_BYTES],
                ],
            )
            .await?;
        ensure!(appended == 1, "the append was refused");
        self.sequence = next;
        Ok(())
    }
}

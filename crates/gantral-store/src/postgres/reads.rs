//! Rows that are asked for by their key, again and again: those that are asked for at once are read by one statement.
//!
//! What is answered was read after it was asked for.

use gantral_core::ids::TenantId;
use tokio::sync::oneshot;
use tokio_postgres::Row;

use super::columns::placed;
use super::db::{Db, params};
use super::queue::{Queue, serve};
use super::writer::Fail;
use super::{Inner, PostgresStore};
use crate::error::StoreError;

/// What a caller is answered.
type Answer<R> = Result<Option<R>, StoreError>;

/// The rows of one kind.
pub(super) struct Reads<R> {
    /// Reads the rows of the tenants `$1` with the keys `$2`: what `decode` reads, and as the last column the place of the key, from 0.
    sql: String,
    decode: fn(&Row) -> Result<R, Fail>,
    queue: Queue<Waiting<R>>,
}

/// Whose caller waits.
struct Waiting<R> {
    tenant: TenantId,
    key: [u8; 16],
    answer: oneshot::Sender<Answer<R>>,
}

impl<R> Reads<R> {
    /// Reads what `row` selects for the `tenant` and the `key` of `n`.
    pub(super) fn new(row: &str, decode: fn(&Row) -> Result<R, Fail>) -> Self {
        let sql = format!(
            "SELECT r.*, n.place - 1 FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS n(tenant, key, place), LATERAL ({row}) AS r"
        );
        Self { sql, decode, queue: Queue::default() }
    }

    /// Reads the rows of those who wait, in their order.
    async fn read(&self, store: &PostgresStore, waiting: &[Waiting<R>]) -> Result<Vec<Answer<R>>, Fail> {
        let tenants: Vec<&str> = waiting.iter().map(|one| one.tenant.as_str()).collect();
        let keys: Vec<&[u8]> = waiting.iter().map(|one| one.key.as_slice()).collect();
        let db = Db::take(&store.0.pool).await?;
        let mut answers: Vec<Answer<R>> = waiting.iter().map(|_| Ok(None)).collect();
        for row in db.query(&self.sql, params![tenants, keys]).await? {
            let answer = placed(&mut answers, &row, row.len().saturating_sub(1))?;
            *answer = (self.decode)(&row).map(Some).map_err(StoreError::from);
        }
        Ok(answers)
    }
}

impl PostgresStore {
    /// Returns the row of a kind that has this key.
    pub(super) async fn one<R: Send + 'static>(
        &self,
        of: fn(&Inner) -> &Reads<R>,
        tenant: TenantId,
        key: [u8; 16],
    ) -> Answer<R> {
        let (answer, answered) = oneshot::channel();
        if of(&self.0).queue.add(Waiting { tenant, key, answer }) {
            let store = self.clone();
            tokio::spawn(async move {
                serve(|| of(&store.0).queue.take(|_| true), |waiting| reply(store.clone(), of, waiting)).await
            });
        }
        // One that was taken and never answered was lost by a panic or with its runtime.
        answered
            .await
            .unwrap_or_else(|_| Err(StoreError::Failed { reason: "the read ended in the middle".to_owned() }))
    }
}

/// Reads what is waited for. Whoever no longer waits for the answer need not be told.
async fn reply<R: Send + 'static>(
    store: PostgresStore,
    of: fn(&Inner) -> &Reads<R>,
    waiting: Vec<Waiting<R>>,
) {
    match of(&store.0).read(&store, &waiting).await.map_err(StoreError::from) {
        Ok(answers) => {
            for (one, answer) in waiting.into_iter().zip(answers) {
                let _ = one.answer.send(answer);
            }
        }
        Err(error) => {
            for one in waiting {
                let _ = one.answer.send(Err(error.clone()));
            }
        }
    }
}

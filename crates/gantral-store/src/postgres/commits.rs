//! Reads in the order of the commits, as far as that is settled.

use gantral_core::ids::{InstanceId, TenantId};

use super::PostgresStore;
use super::columns::{count, int, names};
use super::db::{Query, params};
use super::writer::Fail;
use super::{instances, numbers};
use crate::columns::envelope;
use crate::commits::{COMMITS_MAX, Commit, Kept};
use crate::decoded;
use crate::error::StoreError;
use crate::governance::NO_INSTANCE;
use crate::page::{FILTER_NAMES_MAX, InstanceFilter};

impl PostgresStore {
    pub(crate) async fn newest_commit(&self) -> Result<u64, StoreError> {
        let db = self.db().await?;
        let horizon = numbers::horizon(&db).await?;
        let found = db
            .first("SELECT coalesce(max(number), 0) FROM artifact WHERE number <= $1", params![int(horizon)])
            .await?;
        Ok(found.map(|row| count(&row, 0)).transpose()?.unwrap_or_default())
    }

    pub(crate) async fn sampled(&self, numbers: Vec<u64>) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let db = self.db().await?;
        let mut sampled = Vec::with_capacity(numbers.len());
        for number in numbers {
            let found = db
                .first(
                    "SELECT envelope FROM artifact WHERE number <= $1 AND instance <> $2 ORDER BY number DESC LIMIT 1",
                    params![int(number), NO_INSTANCE.as_slice()],
                )
                .await?;
            sampled.push(found.map(|row| envelope(&row, 0)).transpose()?);
        }
        Ok(sampled)
    }

    pub(crate) async fn commits_within(
        &self,
        tenant: TenantId,
        filter: InstanceFilter,
        (first, last): (u64, u64),
    ) -> Result<Vec<Commit>, StoreError> {
        if filter.teams.as_ref().is_some_and(|teams| teams.len() > FILTER_NAMES_MAX) {
            return Err(Fail::Contradiction("a filter names too many teams").into());
        }
        let db = self.db().await?;
        let first = first.max(last.saturating_sub(COMMITS_MAX).saturating_add(1));
        let sql = "SELECT a.number, a.instance, i.workflow_version, a.sequence, a.hash, a.envelope
             FROM artifact a JOIN instance i ON i.tenant = a.tenant AND i.id = a.instance
             WHERE a.number >= ";
        let mut query = Query::new(sql.to_owned(), int(first));
        query.also(" AND a.number <= ", int(last)).also(" AND a.tenant = ", tenant.to_string());
        if let Some(state) = filter.state {
            query.also(" AND i.state = ", i64::from(state.0));
        }
        if let Some(workflow) = &filter.workflow {
            query.also(" AND i.workflow = ", workflow.to_string());
        }
        if let Some(session) = &filter.session {
            query.also(" AND i.session = ", session.to_string());
        }
        if let Some(teams) = &filter.teams {
            query.also(" AND i.team = ANY(", names(teams)).text(")");
        }
        query.text(" ORDER BY a.number DESC");
        Ok(query.run(&db).await?.iter().map(decoded::commit).collect::<Result<_, _>>()?)
    }

    pub(crate) async fn kept_with(
        &self,
        tenant: TenantId,
        artifacts: Vec<(InstanceId, u64)>,
    ) -> Result<Vec<Vec<Kept>>, StoreError> {
        let db = self.db().await?;
        let mut all = Vec::with_capacity(artifacts.len());
        for (id, number) in artifacts {
            // What an append keeps stands by the number of its last artifact. Artifacts of others may lie in between, but none of the chain's own.
            let found = db
                .query(
                    "SELECT s.commitment, s.label, s.salt, s.plaintext FROM snapshot s WHERE s.erased_at IS NULL AND s.artifact =
                       (SELECT a.number FROM artifact one
                          JOIN artifact a ON a.tenant = one.tenant AND a.instance = one.instance AND a.sequence >= one.sequence
                        WHERE one.number = $1 AND one.tenant = $2 AND one.instance = $3
                          AND EXISTS(SELECT 1 FROM snapshot k WHERE k.artifact = a.number)
                        ORDER BY a.sequence LIMIT 1)
                     ORDER BY s.commitment",
                    params![int(number), tenant.as_str(), id.as_bytes().as_slice()],
                )
                .await?;
            all.push(found.iter().map(decoded::kept).collect::<Result<_, Fail>>()?);
        }
        Ok(all)
    }

    pub(crate) async fn commit_of(
        &self,
        tenant: TenantId,
        id: InstanceId,
        sequence: u64,
    ) -> Result<Option<u64>, StoreError> {
        let db = self.db().await?;
        let found = instances::numbers(&db, &tenant, id.as_bytes(), sequence, 1).await?;
        Ok(found.first().and_then(|number| u64::try_from(*number).ok()))
    }
}

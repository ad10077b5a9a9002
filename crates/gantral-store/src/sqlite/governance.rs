//! The governance chain, and the rows that change with it only.

use gantral_core::ids::TenantId;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::append::put_artifact;
use super::columns::{count, digest, int};
use super::writer::{After, Fail};
use super::{SqliteStore, enrolments, instances, proposals, registry, snapshots, usage};
use crate::append::{Head, NewArtifact, SealedArtifact};
use crate::error::StoreError;
use crate::governance::{GovernanceAppend, GovernanceEffect, GovernanceOutcome, NO_INSTANCE};
use crate::proposals::ProposalEnd;
use crate::usage::Delta;

/// The artifacts of the governance chain of tenant `?1`, from the last one back to sequence `?2`.
pub(super) const CHAIN: &str = "WITH RECURSIVE chain(number, previous, sequence) AS (
    SELECT a.number, a.previous, a.sequence FROM governance g JOIN artifact a ON a.number = g.head_number
      WHERE g.tenant = ?1
    UNION ALL
    SELECT a.number, a.previous, a.sequence FROM chain c JOIN artifact a ON a.number = c.previous
      WHERE c.sequence > ?2)";

/// The head of a governance chain.
pub(super) struct Place {
    pub(super) head: Head,
    /// The number of its row.
    number: i64,
}

impl SqliteStore {
    pub(crate) async fn governance_head(&self, tenant: TenantId) -> Result<Option<Head>, StoreError> {
        self.look(move |connection| Ok(place(connection, &tenant)?.map(|place| place.head))).await
    }

    pub(crate) async fn append_governance(
        &self,
        append: GovernanceAppend,
    ) -> Result<GovernanceOutcome, StoreError> {
        if let Err(what) = append.check() {
            return Err(StoreError::Contradiction { what: what.to_owned() });
        }
        let delta = Delta::of_governance(&append);
        let GovernanceAppend { tenant, expected, artifact, signer, effects } = append;
        let artifact = NewArtifact { sealed: artifact, ends_chain: false, signer };
        self.write(move |connection, after| {
            let outcome = run(connection, &tenant, expected, &artifact, &effects, after)?;
            if outcome == GovernanceOutcome::Committed {
                usage::count(connection, &tenant, delta)?;
            }
            Ok(outcome)
        })
        .await
    }

    pub(crate) async fn governance_chain(
        &self,
        tenant: TenantId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<SealedArtifact>, StoreError> {
        self.read(move |connection| {
            let numbers = numbers(connection, &tenant, from, limit)?;
            Ok(instances::artifacts(connection, numbers)?)
        })
        .await
    }
}

/// Returns the numbers of the artifacts of a governance chain from sequence `from` on.
pub(super) fn numbers(
    connection: &Connection,
    tenant: &TenantId,
    from: u64,
    limit: usize,
) -> rusqlite::Result<Vec<i64>> {
    connection
        .prepare_cached(&format!(
            "{CHAIN} SELECT number FROM chain WHERE sequence >= ?2 ORDER BY sequence LIMIT ?3"
        ))?
        .query_map(params![tenant.as_str(), int(from), instances::chain_rows(limit)], |row| row.get(0))?
        .collect()
}

pub(super) fn place(connection: &Connection, tenant: &TenantId) -> rusqlite::Result<Option<Place>> {
    connection
        .prepare_cached("SELECT head_sequence, head_hash, head_number FROM governance WHERE tenant = ?1")?
        .query_row([tenant.as_str()], |row| {
            let head = Head { sequence: count(row, 0)?, hash: digest(row, 1)? };
            Ok(Place { head, number: row.get(2)? })
        })
        .optional()
}

/// Runs one append inside the writer's transaction: all is checked before anything is written.
fn run(
    connection: &Connection,
    tenant: &TenantId,
    expected: Option<Head>,
    artifact: &NewArtifact,
    effects: &[GovernanceEffect],
    after: &mut After,
) -> Result<GovernanceOutcome, Fail> {
    let before = place(connection, tenant)?;
    let head = before.as_ref().map(|place| place.head);
    if head != expected {
        return Ok(GovernanceOutcome::Moved(head));
    }
    for (number, effect) in effects.iter().enumerate() {
        if effect.comes_again(effects, number) || !is_possible(connection, tenant, effect)? {
            return Ok(GovernanceOutcome::Refused(effect.clone()));
        }
    }
    let previous = before.map(|place| place.number);
    let number = put_artifact(connection, tenant.as_str(), &NO_INSTANCE, artifact, previous)?;
    after.newest = Some(number);
    let head = artifact.sealed.head();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO governance(tenant, head_number, head_sequence, head_hash)
             VALUES(?1, ?2, ?3, ?4)",
        )?
        .execute(params![tenant.as_str(), number, int(head.sequence), head.hash.as_bytes()])?;
    for effect in effects {
        apply(connection, tenant, (number, head.sequence), effect, after)?;
    }
    Ok(GovernanceOutcome::Committed)
}

fn is_possible(
    connection: &Connection,
    tenant: &TenantId,
    effect: &GovernanceEffect,
) -> rusqlite::Result<bool> {
    match effect {
        GovernanceEffect::PutSnapshot { .. } | GovernanceEffect::EndProposalsOf { .. } => Ok(true),
        GovernanceEffect::ConfirmProposal { id, at, .. } => proposals::is_open(connection, tenant, *id, *at),
        GovernanceEffect::EraseSnapshot { instance, commitment, .. } => {
            Ok(snapshots::kept_by(connection, tenant, *instance, commitment)?.is_some())
        }
        GovernanceEffect::ErasePerson { issuer, subject } => {
            Ok(registry::person(connection, tenant, issuer, subject)?.is_some())
        }
        GovernanceEffect::SignEnrolment { entry, .. } => enrolments::waits(connection, tenant, entry),
    }
}

fn apply(
    connection: &Connection,
    tenant: &TenantId,
    (number, sequence): (i64, u64),
    effect: &GovernanceEffect,
    after: &mut After,
) -> rusqlite::Result<()> {
    match effect {
        GovernanceEffect::PutSnapshot { commitment, label, salt, plaintext } => {
            snapshots::put(connection, number, commitment, *label, salt, plaintext)
        }
        GovernanceEffect::EraseSnapshot { instance, commitment, at } => {
            if let Some(artifact) = snapshots::kept_by(connection, tenant, *instance, commitment)? {
                let bytes = snapshots::erase(connection, artifact, commitment, *at)?;
                after.erased |= bytes.is_some();
                usage::count(connection, tenant, Delta::erased(bytes.unwrap_or(0)))?;
            }
            Ok(())
        }
        GovernanceEffect::ErasePerson { issuer, subject } => {
            after.erased |= registry::forget_person(connection, tenant, issuer, subject)?;
            after.erased |= enrolments::forget_person(connection, tenant, issuer, subject)?;
            Ok(())
        }
        GovernanceEffect::ConfirmProposal { id, at, by } => {
            let end = ProposalEnd::confirmed(*at, by.clone(), sequence);
            // What opens the commitment stands with the artifact from now on, so that nothing is erased here.
            proposals::end_one(connection, tenant, *id, &end).map(drop)
        }
        GovernanceEffect::SignEnrolment { entry, envelope } => {
            enrolments::sign(connection, tenant, entry, envelope)
        }
        GovernanceEffect::EndProposalsOf { proposer, at } => {
            after.erased |= proposals::end_of(connection, tenant, proposer, *at)?;
            Ok(())
        }
    }
}

//! The governance chain, and the rows that change with it only.
//!
//! An append holds a lock on the tenant's head alone, so that appends of one tenant come one after the other, and none comes while an append
//! to another chain relies on the head. The lock is one with a name and not that of the row: the chain may not have begun, and whoever freezes a
//! tenant waits for the appends that are under way and not for all that come after. What an effect ends or erases is locked when it is looked
//! at: nobody else ends it before it is written.

use std::collections::{BTreeMap, BTreeSet};

use gantral_core::digest::Digest;
use gantral_core::ids::TenantId;
use tokio_postgres::Row;

use super::append::{Numbered, put_artifact};
use super::columns::{count, digest, get, int};
use super::db::{Db, params};
use super::locks::{self, On};
use super::reads::Reads;
use super::writer::{After, Fail};
use super::{PostgresStore, enrolments, instances, numbers, proposals, registry, snapshots, usage};
use crate::append::{Head, NewArtifact, SealedArtifact};
use crate::error::StoreError;
use crate::governance::{GovernanceAppend, GovernanceEffect, GovernanceOutcome, NO_INSTANCE};
use crate::proposals::ProposalEnd;
use crate::usage::Delta;

/// The head of a governance chain.
struct Place {
    head: Head,
    /// The number of its row.
    number: i64,
}

/// One append, as its transaction looks at it.
struct Governing {
    tenant: TenantId,
    expected: Option<Head>,
    artifact: NewArtifact,
    effects: Vec<GovernanceEffect>,
    /// What it adds to what is counted.
    delta: Delta,
}

impl PostgresStore {
    pub(crate) async fn governance_head(&self, tenant: TenantId) -> Result<Option<Head>, StoreError> {
        self.one(|inner| &inner.governance, tenant, NO_INSTANCE).await
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
        let governing = Governing { tenant, expected, artifact, effects, delta };
        self.write(governing, |governing, db, after| Box::pin(run(governing, db, after))).await
    }

    pub(crate) async fn governance_chain(
        &self,
        tenant: TenantId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<SealedArtifact>, StoreError> {
        let db = self.db().await?;
        Ok(instances::chain(&db, &tenant, &NO_INSTANCE, from, limit).await?)
    }
}

/// Returns the heads of the governance chains of those tenants that have one, and has nobody move any of them until the transaction ends.
pub(super) async fn held_heads<'a>(
    db: &Db,
    tenants: BTreeSet<&'a str>,
) -> Result<BTreeMap<&'a str, Digest>, Fail> {
    let mut heads = BTreeMap::new();
    for tenant in tenants {
        locks::shared(db, On::Governance, &[tenant]).await?;
        // A statement of its own: it sees what was committed before the lock was had.
        if let Some(place) = place(db, tenant).await? {
            heads.insert(tenant, place.head.hash);
        }
    }
    Ok(heads)
}

/// Reads the heads of governance chains, each of which is the only one of its tenant.
pub(super) fn reads() -> Reads<Head> {
    Reads::new("SELECT head_sequence, head_hash FROM governance WHERE tenant = n.tenant", head)
}

fn head(row: &Row) -> Result<Head, Fail> {
    Ok(Head { sequence: count(row, 0)?, hash: digest(row, 1)? })
}

/// Returns the head of a tenant's governance chain.
async fn place(db: &Db, tenant: &str) -> Result<Option<Place>, Fail> {
    let found = db
        .first(
            "SELECT head_sequence, head_hash, head_number FROM governance WHERE tenant = $1",
            params![tenant],
        )
        .await?;
    let Some(row) = found else { return Ok(None) };
    Ok(Some(Place { head: head(&row)?, number: get(&row, 2)? }))
}

/// Runs one append inside its transaction: all is checked before anything is written.
async fn run(governing: &Governing, db: &Db, after: &mut After) -> Result<GovernanceOutcome, Fail> {
    let Governing { tenant, expected, artifact, effects, delta } = governing;
    // Nobody but this one moves the head from here on, or relies on it. What is read behind the lock was committed before it was had.
    locks::alone(db, On::Governance, &[tenant.as_str()]).await?;
    let before = place(db, tenant.as_str()).await?;
    let head = before.as_ref().map(|place| place.head);
    if head != *expected {
        after.forgets = true;
        return Ok(GovernanceOutcome::Moved(head));
    }
    for (number, effect) in effects.iter().enumerate() {
        if effect.comes_again(effects, number) || !is_possible(db, tenant, effect).await? {
            after.forgets = true;
            return Ok(GovernanceOutcome::Refused(effect.clone()));
        }
    }
    after.numbers = numbers::take(db, 1).await?;
    let number = *after.numbers.last().ok_or(Fail::Contradiction("an artifact was not numbered"))?;
    let previous = before.map(|place| place.number);
    put_artifact(db, tenant.as_str(), &NO_INSTANCE, artifact, Numbered { previous, number }).await?;
    let head = artifact.sealed.head();
    db.later(
        "INSERT INTO governance(tenant, head_number, head_sequence, head_hash) VALUES($1, $2, $3, $4)
         ON CONFLICT(tenant) DO UPDATE SET head_number = excluded.head_number, head_sequence = excluded.head_sequence,
           head_hash = excluded.head_hash",
        params![tenant.as_str(), number, int(head.sequence), head.hash.as_bytes().as_slice()],
    )
    .await?;
    let mut delta = *delta;
    for effect in effects {
        let erased = apply(db, tenant, (head.sequence, number), effect).await?;
        delta.bytes = delta.bytes.saturating_sub(erased);
    }
    usage::count(db, tenant, delta).await?;
    Ok(GovernanceOutcome::Committed)
}

/// Tells whether an effect fits the rows that are there, and holds those that it ends or erases.
async fn is_possible(db: &Db, tenant: &TenantId, effect: &GovernanceEffect) -> Result<bool, Fail> {
    match effect {
        GovernanceEffect::PutSnapshot { .. } | GovernanceEffect::EndProposalsOf { .. } => Ok(true),
        GovernanceEffect::ConfirmProposal { id, at, .. } => proposals::hold_open(db, tenant, *id, *at).await,
        GovernanceEffect::EraseSnapshot { instance, commitment, .. } => {
            Ok(snapshots::kept_by(db, tenant, *instance, commitment).await?.is_some())
        }
        GovernanceEffect::ErasePerson { issuer, subject } => {
            registry::hold_person(db, tenant, issuer, subject).await
        }
        GovernanceEffect::SignEnrolment { entry, .. } => enrolments::hold_waiting(db, tenant, entry).await,
    }
}

/// Makes true what follows from the artifact, and returns how many bytes were erased.
async fn apply(
    db: &Db,
    tenant: &TenantId,
    (sequence, number): (u64, i64),
    effect: &GovernanceEffect,
) -> Result<i64, Fail> {
    match effect {
        GovernanceEffect::PutSnapshot { commitment, label, salt, plaintext } => {
            snapshots::put(db, number, commitment, *label, (salt, plaintext)).await?;
        }
        GovernanceEffect::EraseSnapshot { instance, commitment, at } => {
            return match snapshots::kept_by(db, tenant, *instance, commitment).await? {
                Some(artifact) => snapshots::erase(db, artifact, commitment, *at).await,
                None => Ok(0),
            };
        }
        GovernanceEffect::ErasePerson { issuer, subject } => {
            registry::forget_person(db, tenant, issuer, subject).await?;
            enrolments::forget_person(db, tenant, issuer, subject).await?;
        }
        GovernanceEffect::ConfirmProposal { id, at, by } => {
            // What opens the commitment stands with the artifact from now on.
            proposals::end_one(db, tenant, *id, &ProposalEnd::confirmed(*at, by.clone(), sequence)).await?;
        }
        GovernanceEffect::SignEnrolment { entry, envelope } => {
            enrolments::sign(db, tenant, entry, envelope).await?;
        }
        GovernanceEffect::EndProposalsOf { proposer, at } => {
            proposals::end_of(db, tenant, proposer, *at).await?;
        }
    }
    Ok(0)
}

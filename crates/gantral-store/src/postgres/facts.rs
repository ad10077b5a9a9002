//! What appends look at beside the rows of their instances, read for all of them at once.
//!
//! All of it is read under the locks of the instances, by statements of their own behind those that took the locks, and stays as it is until the
//! transaction ends: leases end, tasks change, grants are consumed and costs are reserved under the lock of their instance only, and the head of
//! a governance chain is held. A lease may be renewed meanwhile, which makes it longer.

use std::collections::BTreeSet;

use futures_util::future::try_join4;
use gantral_core::digest::Digest;
use gantral_core::ids::{AttemptNo, GrantId, Name};
use gantral_core::time::UnixMillis;
use tokio_postgres::Row;

use super::columns::{get, instant, name, placed, small, uuid};
use super::db::{Db, params};
use super::governance;
use super::writer::Fail;
use crate::append::Append;
use crate::effect::{Effect, Guard};

/// What there is for one append, of what it asks for.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// The attempt that holds the lease, and until when.
    pub(super) lease: Option<(AttemptNo, UnixMillis)>,
    /// The queue of the task, and whether it is released.
    pub(super) task: Option<(Name, bool)>,
    /// The grants that are not consumed.
    pub(super) unconsumed: BTreeSet<GrantId>,
    /// Whether something is reserved for a grant whose cost it settles.
    pub(super) has_reserved: bool,
    /// The head of the tenant's governance chain, which is held.
    pub(super) governance: Option<Digest>,
}

/// Who asks for a row: its place among the appends, and the key of its instance.
#[derive(Default)]
struct Asking<'a> {
    places: Vec<i64>,
    tenants: Vec<&'a str>,
    instances: Vec<&'a [u8]>,
    grants: Vec<GrantId>,
}

impl<'a> Asking<'a> {
    /// Returns those who ask for the row of their instance.
    fn of(appends: &[&'a Append], asks: fn(&Append) -> bool) -> Self {
        let mut asking = Self::default();
        for (place, append) in (0..).zip(appends) {
            if asks(append) {
                asking.add(place, append);
            }
        }
        asking
    }

    /// Returns those who ask for rows of grants, once for each.
    fn of_grants(appends: &[&'a Append], grants: fn(&Append) -> Vec<GrantId>) -> Self {
        let mut asking = Self::default();
        for (place, append) in (0..).zip(appends) {
            for grant in grants(append) {
                asking.add(place, append);
                asking.grants.push(grant);
            }
        }
        asking
    }

    fn add(&mut self, place: i64, append: &'a Append) {
        self.places.push(place);
        self.tenants.push(append.tenant.as_str());
        self.instances.push(append.instance.as_bytes());
    }

    /// Asks; where nobody does, the server is not asked either. Each row begins with the place of who asks.
    async fn ask(&self, db: &Db, sql: &str) -> Result<Vec<Row>, Fail> {
        match self.places.len() {
            0 => Ok(Vec::new()),
            _ if self.grants.is_empty() => {
                db.query(sql, params![self.places, self.tenants, self.instances]).await
            }
            _ => {
                let grants: Vec<&[u8]> =
                    self.grants.iter().map(|grant| grant.as_bytes().as_slice()).collect();
                db.query(sql, params![self.places, self.tenants, self.instances, grants]).await
            }
        }
    }
}

/// Reads what each append asks for, in their order. The rows of their instances are held.
pub(super) async fn read(db: &Db, appends: &[&Append]) -> Result<Vec<Facts>, Fail> {
    let leases =
        Asking::of(appends, |append| append.guards.iter().any(|guard| matches!(guard, Guard::Lease { .. })));
    let tasks = Asking::of(appends, |append| {
        append.guards.contains(&Guard::TaskReleased)
            || append.effects.iter().any(|effect| matches!(effect, Effect::EndLease { .. }))
    });
    let grants = Asking::of_grants(appends, used);
    let settled = Asking::of_grants(appends, settled);
    // All four are sent at once.
    let (leases, tasks, grants, reserved) = try_join4(
        leases.ask(
            db,
            "SELECT n.place, l.attempt, l.until FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS n(place, tenant, instance)
               JOIN lease l ON l.tenant = n.tenant AND l.instance = n.instance WHERE NOT l.ended",
        ),
        tasks.ask(
            db,
            "SELECT n.place, t.queue, t.released FROM unnest($1::bigint[], $2::text[], $3::bytea[]) AS n(place, tenant, instance)
               JOIN task t ON t.tenant = n.tenant AND t.instance = n.instance",
        ),
        grants.ask(
            db,
            "SELECT n.place, g.id
             FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[]) AS n(place, tenant, instance, id)
               JOIN grant_row g ON g.tenant = n.tenant AND g.instance = n.instance AND g.id = n.id
             WHERE g.consumed_by IS NULL",
        ),
        settled.ask(
            db,
            "SELECT n.place
             FROM unnest($1::bigint[], $2::text[], $3::bytea[], $4::bytea[]) AS n(place, tenant, instance, id)
               JOIN reservation r ON r.tenant = n.tenant AND r.id = n.id",
        ),
    )
    .await?;
    let mut all: Vec<Facts> = appends.iter().map(|_| Facts::default()).collect();
    for row in &leases {
        placed(&mut all, row, 0)?.lease = Some((AttemptNo(small(row, 1)?), instant(row, 2)?));
    }
    for row in &tasks {
        placed(&mut all, row, 0)?.task = Some((name(row, 1)?, get(row, 2)?));
    }
    for row in &grants {
        placed(&mut all, row, 0)?.unconsumed.insert(uuid(row, 1, GrantId::from_bytes)?);
    }
    for row in &reserved {
        placed(&mut all, row, 0)?.has_reserved = true;
    }
    let heads = governance::held_heads(db, relying(appends)).await?;
    for (facts, append) in all.iter_mut().zip(appends) {
        facts.governance = heads.get(append.tenant.as_str()).copied();
    }
    Ok(all)
}

/// Returns the grants that an append uses up or relies on, but for those that it makes itself.
fn used(append: &Append) -> Vec<GrantId> {
    let relied = append.guards.iter().filter_map(|guard| match guard {
        Guard::GrantUnconsumed(id) => Some(*id),
        _ => None,
    });
    let used = append.uses_of_grants().into_iter().filter(|of| !of.made_here).map(|of| of.id);
    relied.chain(used).collect()
}

/// Returns the grants whose costs an append settles.
fn settled(append: &Append) -> Vec<GrantId> {
    let settled = append.effects.iter().filter_map(|effect| match effect {
        Effect::Settle { grant, .. } => Some(*grant),
        _ => None,
    });
    settled.collect()
}

/// Returns the tenants upon the heads of whose governance chains appends rely.
fn relying<'a>(appends: &[&'a Append]) -> BTreeSet<&'a str> {
    let relies =
        |append: &&&Append| append.guards.iter().any(|guard| matches!(guard, Guard::GovernanceHead(_)));
    appends.iter().filter(relies).map(|append| append.tenant.as_str()).collect()
}

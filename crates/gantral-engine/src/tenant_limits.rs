//! How much there may be of a tenant: compared in the commit that begins something, and only there.
//!
//! What has begun goes on: a gate is decided, a grant is used, an outcome is reported and an execution ends, however much there is by then.

use std::collections::BTreeMap;

use gantral_core::ids::TenantId;
use gantral_store::{Guard, Room, Usage};

use crate::engine::Engine;
use crate::error::EngineError;

/// What tenants may have.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TenantLimits {
    /// What every tenant may have that has no limits of its own.
    pub usual: Room,
    /// Tenants with limits of their own, which count in place of the usual ones.
    pub tenants: BTreeMap<TenantId, Room>,
}

impl TenantLimits {
    /// Returns what a tenant may have.
    pub fn of(&self, tenant: &TenantId) -> Room {
        self.tenants.get(tenant).copied().unwrap_or(self.usual)
    }

    /// Returns what must stand when something of a tenant begins.
    pub(crate) fn guard(&self, tenant: &TenantId) -> Option<Guard> {
        let room = self.of(tenant);
        (room != Room::default()).then_some(Guard::Room(room))
    }
}

impl Engine {
    /// Returns what a tenant may have.
    pub fn room(&self, tenant: &TenantId) -> Room {
        self.0.config.limits.of(tenant)
    }

    /// Returns what is said where a tenant has no room for what would begin.
    pub(crate) async fn no_room(&self, tenant: &TenantId, room: Room) -> EngineError {
        match self.0.store.usage(tenant).await {
            // What is missing was said by the store; which of the two it was is only told from here.
            Ok(Usage { open, .. }) => match (room.open_max, room.bytes_max) {
                (Some(most), _) if open >= most => EngineError::InstancesFull { most },
                (_, Some(most)) => EngineError::StorageFull { most },
                (Some(most), None) => EngineError::InstancesFull { most },
                (None, None) => EngineError::Conflict,
            },
            Err(error) => error.into(),
        }
    }
}

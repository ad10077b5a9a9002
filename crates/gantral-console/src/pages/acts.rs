//! As whom a human may decide at a gate.

use gantral_api::wire::{DelegationView, GateView, text};
use gantral_core::time::UnixMillis;

use crate::words;

/// The roles under which a human may decide at a gate now: their own, and those that others lend them.
#[derive(Debug)]
pub struct Acts(Vec<Act>);

/// One of them.
#[derive(Debug)]
pub(crate) struct Act {
    /// What the form sends.
    pub value: String,
    pub text: String,
    lent: bool,
}

impl Acts {
    /// Chooses among the roles of a human and the delegations to them.
    pub fn at(gate: &GateView, own: &[text::Role], lent: &[DelegationView], now: UnixMillis) -> Self {
        let counts = |role: &&text::Role| gate.roles.contains(role);
        let own = own.iter().filter(counts).map(|role| Act {
            value: role.to_string(),
            text: role.to_string(),
            lent: false,
        });
        let stands = |one: &&DelegationView| *one.not_before <= now && now < *one.not_after;
        let lent = lent.iter().filter(stands).flat_map(|one| {
            one.roles.iter().filter(counts).map(|role| Act {
                value: format!("{role} {}", one.delegation),
                text: format!("{role}, for {}", words::actor(one.from.as_str())),
                lent: true,
            })
        });
        Self(own.chain(lent).collect())
    }

    /// Reads what the form sent: a role, and the delegation that lends it.
    pub fn read(value: &str) -> (&str, Option<&str>) {
        match value.split_once(' ') {
            Some((role, delegation)) => (role, Some(delegation)),
            None => (value, None),
        }
    }

    pub(crate) fn all(&self) -> &[Act] {
        &self.0
    }

    /// Tells whether a role of their own counts: nobody extends a gate for somebody else.
    pub(crate) fn has_own(&self) -> bool {
        self.0.iter().any(|act| !act.lent)
    }

    /// Tells whether they must say as whom they decide: under several roles, or for somebody else.
    pub(crate) fn is_a_choice(&self) -> bool {
        self.0.len() > 1 || self.0.iter().any(|act| act.lent)
    }
}

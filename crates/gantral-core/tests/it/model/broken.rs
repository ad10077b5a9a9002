//! The machine as it is, and machines that are wrong in one way each: whoever finds nothing wrong with these is blind.

use std::borrow::Cow;

use gantral_core::command::{Command, Decided, Refusal};
use gantral_core::decide::{decide, due};
use gantral_core::event::{Actor, Entry};
use gantral_core::instance::{Grant, Instance, Origin, Phase};
use gantral_core::time::UnixMillis;

use crate::world::{at, system};

/// What decides, and what the ledger compares.
pub trait Machine {
    /// Returns the instance as it is decided upon.
    fn sees<'a>(&self, instance: &'a Instance) -> Cow<'a, Instance> {
        Cow::Borrowed(instance)
    }

    /// Returns the instant at which it is decided.
    fn now(&self, now: UnixMillis) -> UnixMillis {
        now
    }

    fn decide(
        &self,
        instance: &Instance,
        actor: &Actor,
        command: Command,
        now: UnixMillis,
    ) -> Result<Decided, Refusal> {
        decide(&self.sees(instance), actor, command, self.now(now))
    }

    fn due(&self, instance: &Instance, now: UnixMillis) -> Vec<Entry> {
        due(instance, &system(), now)
    }

    fn compares_heads(&self) -> bool {
        true
    }

    fn compares_what_is_in_force(&self) -> bool {
        true
    }
}

/// Everything as it is.
pub struct Honest;

impl Machine for Honest {}

/// No time passes for it.
pub struct ClockStopped;

impl Machine for ClockStopped {
    fn now(&self, _: UnixMillis) -> UnixMillis {
        at(0)
    }
}

/// What was used up is there again.
pub struct GrantsComeBack;

impl Machine for GrantsComeBack {
    fn sees<'a>(&self, instance: &'a Instance) -> Cow<'a, Instance> {
        let mut seen = instance.clone();
        for (id, used) in std::mem::take(&mut seen.consumptions) {
            let grant = Grant {
                action: used.action,
                context: used.action,
                expires_at: instance.created.expires_at,
                origin: Origin::Policy { attempt: used.attempt },
                sequence: 0,
            };
            seen.grants.insert(id, grant);
        }
        Cow::Owned(seen)
    }
}

/// Whoever owns what asks is a stranger to it.
pub struct OwnersMayDecide;

impl Machine for OwnersMayDecide {
    fn sees<'a>(&self, instance: &'a Instance) -> Cow<'a, Instance> {
        let mut seen = instance.clone();
        seen.created.requester.iter_mut().for_each(|link| link.owner = None);
        Cow::Owned(seen)
    }
}

/// One vote satisfies it.
pub struct OneIsEnough;

impl Machine for OneIsEnough {
    fn sees<'a>(&self, instance: &'a Instance) -> Cow<'a, Instance> {
        let mut seen = instance.clone();
        if let Phase::Waiting(gate) = &mut seen.phase {
            gate.rule
                .stages
                .iter_mut()
                .flat_map(|stage| &mut stage.groups)
                .for_each(|group| group.required = 1);
        }
        Cow::Owned(seen)
    }
}

/// Time alone changes nothing.
pub struct NeverDue;

impl Machine for NeverDue {
    fn due(&self, _: &Instance, _: UnixMillis) -> Vec<Entry> {
        Vec::new()
    }
}

/// Whatever was decided is appended, whatever came before it.
pub struct NoHeads;

impl Machine for NoHeads {
    fn compares_heads(&self) -> bool {
        false
    }
}

/// What was decided under one rule is appended under another.
pub struct NoGuards;

impl Machine for NoGuards {
    fn compares_what_is_in_force(&self) -> bool {
        false
    }
}

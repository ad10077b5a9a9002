//! One state of a small world: an instance, the time, what is in force, and what servers have decided and not yet appended.

use std::hash::Hash;

use gantral_core::digest::Digest;
use gantral_core::event::{Actor, Entry, Event};
use gantral_core::instance::{Instance, Phase};
use gantral_core::state::EventKind;
use gantral_core::time::UnixMillis;

use crate::model::broken::Machine;
use crate::model::monitor::Monitor;
use crate::model::moves::Asked;
use crate::world::{World, seal};

/// What policy says while it is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Two of the leads must agree.
    Asks,
    /// Nobody is asked.
    Allows,
    /// Nothing may happen.
    Denies,
}

/// What a server has decided upon a head and not yet appended.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Flight {
    what: &'static str,
    head: u32,
    in_force: u32,
    /// The true time at which it was decided, which is what its entries say.
    at: UnixMillis,
    entries: Vec<Entry>,
}

/// How small a world is.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// How many attempts are assigned.
    pub attempts: u32,
    /// How many gates are opened.
    pub gates: u8,
    /// How many grants are given before nobody asks any more.
    pub grants: u8,
    /// What may come into force.
    pub policies: &'static [Policy],
    /// Whether everybody does everything, also what must always be refused.
    pub everything: bool,
    /// Whether deciding and appending are two steps.
    pub torn: bool,
}

/// One state.
#[derive(Debug, Clone)]
pub struct Small {
    pub world: World,
    pub policy: Policy,
    pub frozen: bool,
    pub bounds: Bounds,
    monitor: Monitor,
    /// How often what is in force has changed.
    in_force: u32,
    /// What one server has decided and not yet appended. Others append meanwhile what they decide: to this one it makes no difference
    /// how long they had it in flight.
    flight: Option<Flight>,
}

impl Small {
    /// One gate, at which everybody does everything.
    pub fn wide() -> Self {
        let policies = &[Policy::Asks, Policy::Allows, Policy::Denies];
        Self::of(Bounds { attempts: 2, gates: 1, grants: 2, policies, everything: true, torn: false })
    }

    /// Two gates and what follows, with fewer things to do at each.
    pub fn long() -> Self {
        let policies = &[Policy::Asks, Policy::Allows];
        Self::of(Bounds { attempts: 3, gates: 2, grants: 2, policies, everything: false, torn: false })
    }

    /// Where one server decides, and appends later or never, while others go on.
    pub fn torn() -> Self {
        let policies = &[Policy::Asks, Policy::Allows];
        Self::of(Bounds { attempts: 2, gates: 1, grants: 2, policies, everything: false, torn: true })
    }

    fn of(bounds: Bounds) -> Self {
        let world = World { sealed: Vec::new(), ..World::created() };
        let (policy, frozen, in_force) = (Policy::Asks, false, 0);
        Self { world, policy, frozen, bounds, monitor: Monitor::default(), in_force, flight: None }
    }

    /// What tells this state from others: whatever something that may follow depends on, and what was promised.
    pub fn key(&self) -> impl Hash + use<> {
        let instance = timeless(self.world.instance.clone());
        let instance_ended = instance.state().is_final();
        let (gates, grants) = (self.world.gates, self.world.grants);
        let flight = self.flight.clone().map(|flight| Flight {
            head: self.world.instance.events.wrapping_sub(flight.head),
            in_force: u32::from(flight.in_force == self.in_force),
            ..flight
        });
        let here = (instance.phase, instance.attempt, instance.live, instance.grants, instance.consumptions);
        let past =
            (instance.decided.map(|decided| decided.id), instance.exited, instance.walking, instance.asked);
        let around = (self.world.now, gates, grants, self.policy, self.frozen);
        let monitor = self.monitor.clone().timeless();
        // After the end nothing follows, wherever it came from.
        if instance_ended { None } else { Some((here, past, around, monitor, flight)) }
    }

    /// Changes what is in force, which every append names.
    pub fn govern(&mut self, change: impl FnOnce(&mut Self), machine: &dyn Machine) {
        change(self);
        self.in_force += 1;
        self.forget_the_hopeless(machine);
    }

    /// Lets time go on.
    pub fn wait_until(&mut self, instant: UnixMillis) {
        self.world.now = self.world.now.max(instant);
    }

    /// Gives one command in one step: decided, compared, appended.
    pub fn give(&mut self, actor: &Actor, asked: &Asked, machine: &dyn Machine) -> Result<bool, String> {
        let Some(entries) = self.decide(actor, asked, machine)? else { return Ok(false) };
        self.append(entries, self.world.now)?;
        self.forget_the_hopeless(machine);
        Ok(true)
    }

    /// Lets a server decide, and keep what it decided.
    pub fn begin(&mut self, actor: &Actor, asked: &Asked, machine: &dyn Machine) -> Result<bool, String> {
        let Some(entries) = self.decide(actor, asked, machine)? else { return Ok(false) };
        let (head, in_force) = (self.world.instance.events, self.in_force);
        self.flight = Some(Flight { what: asked.name, head, in_force, at: self.world.now, entries });
        Ok(true)
    }

    /// Returns what is in flight.
    pub fn in_flight(&self) -> Option<&'static str> {
        self.flight.as_ref().map(|flight| flight.what)
    }

    /// Lets what a server decided reach the ledger.
    pub fn land(&mut self, machine: &dyn Machine) -> Result<(), String> {
        let Some(flight) = self.flight.take() else { return Ok(()) };
        if self.is_refused(&flight, machine) {
            return Ok(());
        }
        self.append(flight.entries, flight.at)?;
        self.forget_the_hopeless(machine);
        Ok(())
    }

    /// Ends a server: what it had decided is gone.
    pub fn crash(&mut self) {
        self.flight = None;
    }

    /// Seals what is due; returns whether anything was.
    pub fn tick(&mut self, machine: &dyn Machine) -> Result<bool, String> {
        let entries = machine.due(&self.world.instance, self.world.now);
        let moved = !entries.is_empty();
        if moved {
            self.append(entries, self.world.now)?;
            self.forget_the_hopeless(machine);
        }
        Ok(moved)
    }

    fn decide(
        &self,
        actor: &Actor,
        asked: &Asked,
        machine: &dyn Machine,
    ) -> Result<Option<Vec<Entry>>, String> {
        if self.frozen && asked.needs_thaw {
            return Ok(None);
        }
        let decided = machine.decide(&self.world.instance, actor, asked.command.clone(), self.world.now);
        match decided {
            Ok(decided) if decided.events.is_empty() => Ok(None),
            Ok(decided) => Ok(Some(decided.events)),
            Err(refusal @ gantral_core::command::Refusal::Defect { .. }) => Err(refusal.to_string()),
            Err(_) => Ok(None),
        }
    }

    fn append(&mut self, entries: Vec<Entry>, decided_at: UnixMillis) -> Result<(), String> {
        for entry in entries {
            let hash = self.hash();
            let (world, wrong) = (&mut self.world, |faults| format!("the rulebook refuses: {faults:?}"));
            world.instance.apply(&entry, hash).map_err(wrong)?;
            self.monitor.hear(&entry, decided_at, self.frozen)?;
            // Names are used up when they are sealed: nobody else sees them before.
            let kind = entry.event.kind();
            self.world.gates += u8::from(kind == EventKind::HumanRequired);
            self.world.grants +=
                u8::from(matches!(kind, EventKind::Allowed | EventKind::Approved | EventKind::Overridden));
        }
        Ok(())
    }

    /// Hashes are compared with that of the opening artifact only, so one for each gate is enough.
    fn hash(&self) -> Digest {
        seal(usize::from(self.world.gates))
    }

    fn is_refused(&self, flight: &Flight, machine: &dyn Machine) -> bool {
        let needs_thaw = flight.entries.iter().any(|entry| {
            let assigns = matches!(&entry.event, Event::AttemptAssigned(launch) | Event::Resumed(launch) if launch.cause.is_none());
            assigns || matches!(&entry.event, Event::Consumed(_) | Event::Allowed(_) | Event::HumanRequired(_))
        });
        (machine.compares_heads() && flight.head != self.world.instance.events)
            || (machine.compares_what_is_in_force() && needs_thaw && flight.in_force != self.in_force)
    }

    /// What can only be refused any more is as good as gone.
    fn forget_the_hopeless(&mut self, machine: &dyn Machine) {
        if self.flight.as_ref().is_some_and(|flight| self.is_refused(flight, machine)) {
            self.flight = None;
        }
    }

    /// Whether a human is being asked.
    pub fn waits(&self) -> bool {
        matches!(self.world.instance.phase, Phase::Waiting(_))
    }
}

/// Instants that are only told and never compared tell no states apart.
fn timeless(mut instance: Instance) -> Instance {
    let nothing = instance.created.expires_at;
    if let Phase::Waiting(gate) = &mut instance.phase {
        gate.since = nothing;
    }
    for grant in instance.grants.values_mut() {
        grant.sequence = 0;
    }
    instance
}

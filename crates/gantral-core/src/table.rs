//! Every lawful move, as one table that the code, the specification, the verifier and the tests read.
//!
//! A move without a row is refused. The assertions below hold while this compiles. Source: `spec/states.md` §2.

use alloc::string::String;
use core::fmt::Write as _;

use crate::digest::{Digest, Hasher};
use crate::state::{ActorKind, EventKind, State};

/// A set of actor kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actors(u8);

impl Actors {
    const HUMAN: Self = Self(1);
    const WORKLOAD: Self = Self(2);
    const RUNNER: Self = Self(4);
    const SYSTEM: Self = Self(8);

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Tells whether the set holds this kind.
    pub const fn contains(self, kind: ActorKind) -> bool {
        let bit = match kind {
            ActorKind::Human => Self::HUMAN,
            ActorKind::Workload => Self::WORKLOAD,
            ActorKind::Runner => Self::RUNNER,
            ActorKind::System => Self::SYSTEM,
        };
        self.0 & bit.0 != 0
    }
}

const HUMAN: Actors = Actors::HUMAN;
const SYSTEM: Actors = Actors::SYSTEM;
const EXECUTOR: Actors = Actors::WORKLOAD.or(Actors::RUNNER);
const REQUESTER: Actors = Actors::WORKLOAD.or(HUMAN);
const ANYONE: Actors = EXECUTOR.or(HUMAN).or(SYSTEM);

/// One lawful move: in state `from` (`None`: before the instance exists), `event` by one of `by` leads to `to`.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The state before.
    pub from: Option<State>,
    /// The event.
    pub event: EventKind,
    /// Who may be the actor.
    pub by: Actors,
    /// The state after.
    pub to: State,
}

/// One event that is sealed without a move, and the states in which it is lawful.
#[derive(Debug, Clone, Copy)]
pub struct Sealed {
    /// The event.
    pub event: EventKind,
    /// Who may be the actor.
    pub by: Actors,
    /// The states in which it may stand.
    pub within: &'static [State],
}

const fn row(from: State, event: EventKind, by: Actors, to: State) -> Row {
    Row { from: Some(from), event, by, to }
}

use EventKind as E;
use State as S;

/// Every lawful move. Read top to bottom: it is the life of one execution.
pub const TABLE: &[Row] = &[
    Row { from: None, event: E::Created, by: REQUESTER, to: S::Created },
    row(S::Created, E::Started, ANYONE, S::Running),
    row(S::Running, E::HumanRequired, EXECUTOR, S::WaitingForHuman),
    row(S::WaitingForHuman, E::Approved, HUMAN, S::Approved),
    row(S::WaitingForHuman, E::Overridden, HUMAN, S::Overridden),
    row(S::WaitingForHuman, E::Rejected, REQUESTER.or(SYSTEM), S::Rejected),
    row(S::Approved, E::Resumed, ANYONE, S::Resumed),
    row(S::Overridden, E::Resumed, ANYONE, S::Resumed),
    row(S::Resumed, E::Running, ANYONE, S::Running),
    row(S::Running, E::Completed, EXECUTOR, S::Completed),
    row(S::Running, E::Terminated, ANYONE, S::Terminated),
    row(S::Rejected, E::Terminated, ANYONE, S::Terminated),
];

/// Where an attempt may live. A rejected instance ends in the same append: nothing stands between.
const LIVE: &[State] = &[S::Created, S::Running, S::WaitingForHuman, S::Approved, S::Overridden, S::Resumed];

/// Every event that is sealed without a move.
pub const SEALED: &[Sealed] = &[
    Sealed { event: E::AttemptAssigned, by: EXECUTOR, within: &[S::Created, S::Running, S::Resumed] },
    Sealed { event: E::AttemptEnded, by: EXECUTOR.or(SYSTEM), within: LIVE },
    Sealed { event: E::Allowed, by: EXECUTOR, within: &[S::Running] },
    Sealed { event: E::Observed, by: EXECUTOR, within: &[S::Running] },
    Sealed { event: E::EvaluatorFailed, by: EXECUTOR, within: &[S::Running] },
    Sealed { event: E::Vote, by: HUMAN, within: &[S::WaitingForHuman] },
    Sealed { event: E::Escalated, by: SYSTEM, within: &[S::WaitingForHuman] },
    Sealed { event: E::Extended, by: HUMAN, within: &[S::WaitingForHuman] },
    Sealed { event: E::Consumed, by: EXECUTOR, within: &[S::Running] },
    // RUNNING is not left while an outcome is owed or unknown, so these two have no other place.
    Sealed { event: E::Outcome, by: EXECUTOR.or(SYSTEM), within: &[S::Running] },
    Sealed { event: E::Reconciled, by: HUMAN, within: &[S::Running] },
];

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated while compiling: an index out of range does not compile"
)]
const _: () = {
    let mut i = 0;
    while i < TABLE.len() {
        let row = &TABLE[i];
        if let Some(from) = row.from {
            assert!(!from.is_final(), "nothing leaves a final state");
        }
        assert!(
            !row.to.grants() || row.by.0 == HUMAN.0,
            "only a human leads to a state in which authority is granted"
        );
        let mut j = i + 1;
        while j < TABLE.len() {
            assert!(
                !(same(row.from, TABLE[j].from) && row.event as u8 == TABLE[j].event as u8),
                "two rows for one state and event"
            );
            j += 1;
        }
        i += 1;
    }
    let mut i = 0;
    while i < SEALED.len() {
        let mut j = 0;
        while j < SEALED[i].within.len() {
            assert!(!SEALED[i].within[j].is_final(), "nothing is sealed after a final state");
            j += 1;
        }
        i += 1;
    }
};

const fn same(a: Option<State>, b: Option<State>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => a as u8 == b as u8,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

/// Why an event is not lawful.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unlawful {
    /// No row for this state and event.
    NoRow,
    /// The row exists, but not for this kind of actor.
    WrongActor,
}

/// Returns the state that follows when `event` by an actor of kind `by` happens in `from`.
pub fn successor(from: Option<State>, event: EventKind, by: ActorKind) -> Result<State, Unlawful> {
    let lawful = |actors: Actors, to| if actors.contains(by) { Ok(to) } else { Err(Unlawful::WrongActor) };
    if let Some(row) = TABLE.iter().find(|row| row.from == from && row.event == event) {
        return lawful(row.by, row.to);
    }
    let Some(state) = from else { return Err(Unlawful::NoRow) };
    match SEALED.iter().find(|sealed| sealed.event == event && sealed.within.contains(&state)) {
        Some(sealed) => lawful(sealed.by, state),
        None => Err(Unlawful::NoRow),
    }
}

/// The version of the rules that the table does not show: raised when `check` changes what verifies.
const RULES_VERSION: &str = "gantral/rules/1.0";

/// Returns the published text of the table: one line for each move and each sealed event.
pub fn published() -> String {
    let mut text = String::new();
    let name = |state: Option<State>| state.map_or("(nothing)", State::as_str);
    // Writing to a `String` cannot fail.
    let _ = writeln!(text, "{RULES_VERSION}");
    for row in TABLE {
        let _ = write!(text, "move {} {} {}", name(row.from), row.event, row.to.as_str());
        write_actors(&mut text, row.by);
    }
    for sealed in SEALED {
        for state in sealed.within {
            let _ = write!(text, "sealed {} {}", state.as_str(), sealed.event);
            write_actors(&mut text, sealed.by);
        }
    }
    text
}

fn write_actors(text: &mut String, actors: Actors) {
    for kind in ActorKind::ALL {
        if actors.contains(*kind) {
            let _ = write!(text, " {kind}");
        }
    }
    text.push('\n');
}

/// Returns the digest that every artifact carries of the table and rules that it was made under.
pub fn semantics_digest() -> Digest {
    Hasher::new("gantral/semantics/v1").bytes(published().as_bytes()).finish()
}

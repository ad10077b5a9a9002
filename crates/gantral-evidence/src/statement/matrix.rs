//! The matrix of event and member: what the detail of each event holds, and what must be `null`.
//!
//! One table for the decoder, the specification and the tests. A member that a row does not name does not exist for
//! that event. What holds between members (a walk to the end names no executor) is for the rulebook of the core.

use alloc::string::String;
use core::fmt::Write as _;

use gantral_core::state::EventKind;

/// Whether a member must hold a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// A value.
    Required,
    /// `null`.
    Null,
    /// A value or `null`.
    Optional,
}

/// The detail of one event: its members in canonical order.
#[derive(Debug, Clone, Copy)]
pub struct MatrixRow {
    /// The event.
    pub event: EventKind,
    /// Every member, with its presence.
    pub members: &'static [(&'static str, Presence)],
}

use EventKind as E;
use Presence::{Null as N, Optional as O, Required as R};

const fn row(event: EventKind, members: &'static [(&'static str, Presence)]) -> MatrixRow {
    MatrixRow { event, members }
}

/// An attachment: the lease belongs to the assignment.
const ATTACHED: &[(&str, Presence)] =
    &[("cause", O), ("context_commitment", O), ("executor", O), ("lease_ms", N)];
const GRANTED: &[(&str, Presence)] = &[("cause", N), ("decision", R), ("grant", R)];

/// What the detail of each event holds, in the order of the events.
pub const MATRIX: &[MatrixRow] = &[
    row(
        E::Created,
        &[
            ("context_commitment", O),
            ("expires_at", R),
            ("parent", O),
            ("requester", R),
            ("session_id", O),
            ("trigger", O),
        ],
    ),
    row(E::Started, ATTACHED),
    row(
        E::HumanRequired,
        &[
            ("deadline", R),
            ("escalation", R),
            ("gate", R),
            ("latest_deadline", R),
            ("policy", R),
            ("rule", R),
        ],
    ),
    row(E::Approved, GRANTED),
    row(E::Overridden, GRANTED),
    row(E::Rejected, &[("cause", R), ("decision", O), ("gate_id", R), ("grant", N)]),
    row(E::Resumed, &[("cause", O), ("context_commitment", O), ("executor", O), ("lease_ms", O)]),
    row(E::Running, ATTACHED),
    row(E::Completed, &[("cause", N), ("policy", N)]),
    row(E::Terminated, &[("cause", R), ("policy", O)]),
    row(E::AttemptAssigned, &[("cause", N), ("context_commitment", R), ("executor", R), ("lease_ms", R)]),
    row(E::AttemptEnded, &[("cause", R), ("executor", R), ("exit_status", O)]),
    row(E::Allowed, &[("action_commitment", R), ("context_commitment", R), ("grant", R), ("policy", R)]),
    row(E::Observed, &[("action_commitment", R), ("context_commitment", R), ("grant", N), ("policy", R)]),
    row(E::Vote, &[("cause", N), ("decision", R), ("grant", N)]),
    row(E::Escalated, &[("deadline", R), ("gate_id", R), ("gate_version", R), ("roles", R), ("step", R)]),
    row(E::Extended, &[("deadline", R), ("gate_id", R), ("gate_version", R), ("roles", R), ("step", N)]),
    row(
        E::Consumed,
        &[
            ("act_by", R),
            ("action_commitment", R),
            ("executor", R),
            ("grant_id", R),
            ("guard", R),
            ("policy", R),
        ],
    ),
    row(
        E::Outcome,
        &[("cost", O), ("evidence", R), ("grant_id", O), ("outcome_commitment", O), ("status", R)],
    ),
    row(E::Reconciled, &[("grant_id", R), ("justification_commitment", O), ("next", R), ("status", R)]),
    row(E::EvaluatorFailed, &[("policy", R)]),
];

#[expect(
    clippy::indexing_slicing,
    reason = "evaluated while compiling: an index out of range does not compile"
)]
const _: () = {
    assert!(MATRIX.len() == EventKind::ALL.len(), "one row for each event");
    let mut i = 0;
    while i < MATRIX.len() {
        assert!(MATRIX[i].event as usize == i, "rows stand in the order of the events");
        i += 1;
    }
};

/// Returns the members of one event's detail.
pub fn members(event: EventKind) -> &'static [(&'static str, Presence)] {
    // The assertion above makes the position the event.
    MATRIX.get(event as usize).map_or(&[], |row| row.members)
}

/// Returns the table as the specification prints it.
pub fn published() -> String {
    let mut text = String::from("| event | required | optional | always null |\n|---|---|---|---|\n");
    for row in MATRIX {
        let list = |wanted: Presence| {
            let mut cell = String::new();
            for (member, _) in row.members.iter().filter(|(_, presence)| *presence == wanted) {
                // Writing to a `String` cannot fail.
                let _ = write!(cell, "{}`{member}`", if cell.is_empty() { "" } else { ", " });
            }
            cell
        };
        let (required, optional, null) = (list(R), list(O), list(N));
        let _ = writeln!(text, "| `{}` | {required} | {optional} | {null} |", row.event);
    }
    text
}

//! Decisions of one person for another, and what the governance chain says of it.

use gantral_core::state::EventKind;
use gantral_core::time::UnixMillis;
use gantral_evidence::governance::Detail;

use super::guards::{and, beside, moded};
use crate::case::Case;
use crate::cast::*;
use crate::governance::*;
use crate::story::{Story, ballot_mut};
use crate::tales;

const TWIN: &str = "560-delegated-decision";

/// What person 9 gives person 1 for the role of finance, for an hour, and what `change` makes of it.
pub(super) fn delegated(change: impl FnOnce(&mut Detail)) -> Detail {
    let at = |offset: u64| UnixMillis::new(START + offset).unwrap();
    let mut detail = Detail::Delegated {
        from: person(9),
        to: person(1),
        roles: vec![role("finance")],
        not_before: at(0),
        not_after: at(3_600_000),
    };
    change(&mut detail);
    detail
}

/// An approval, the last artifact, by person 1 for person 9, under the second artifact of a chain.
fn approved(governance: &Governance) -> Story {
    let mut story = tales::approved();
    story.statements.truncate(story.position(EventKind::Approved) + 1);
    story.retell(EventKind::Approved, |statement| {
        if let Some(ballot) = ballot_mut(&mut statement.entry.event) {
            ballot.acts_for = Some(person(9));
            ballot.delegation = Some(governance.hash(1));
        }
    })
}

fn under(number: u16, slug: &'static str, about: &'static str, governance: &Governance) -> Case {
    beside(number, slug, about, &approved(governance), governance.files())
}

pub(super) fn all() -> Vec<Case> {
    let given = |change: fn(&mut Detail)| Governance::begin().then(delegated(change));
    let broken = |number, slug, about, change: fn(&mut Detail)| {
        under(number, slug, about, &given(change)).invalid(&and(["E_GUARD"]), TWIN)
    };
    let whole = given(|_| {});
    let revoked = whole.clone().then(Detail::DelegationRevoked { delegation: whole.hash(1) });
    let decided = approved(&whole).now;
    let later = revoked.clone().retell(2, |statement| statement.at = UnixMillis::new(decided).unwrap());
    vec![
        under(560, "delegated-decision", "A decision for another, who had delegated it", &whole)
            .valid(&and([])),
        broken(561, "delegated-by-somebody-else", "Somebody else had delegated", |detail| {
            if let Detail::Delegated { from, .. } = detail {
                *from = person(8);
            }
        }),
        broken(562, "delegated-to-somebody-else", "It was delegated to somebody else", |detail| {
            if let Detail::Delegated { to, .. } = detail {
                *to = person(8);
            }
        }),
        broken(563, "delegated-for-another-role", "It was delegated for another role", |detail| {
            if let Detail::Delegated { roles, .. } = detail {
                *roles = vec![role("legal")];
            }
        }),
        broken(564, "delegation-was-over", "The delegation was over", |detail| {
            if let Detail::Delegated { not_after, .. } = detail {
                *not_after = UnixMillis::new(START + 1).unwrap();
            }
        }),
        broken(565, "delegation-not-begun", "The delegation had not begun", |detail| {
            if let Detail::Delegated { not_before, .. } = detail {
                *not_before = UnixMillis::new(START + 3_599_999).unwrap();
            }
        }),
        broken(566, "delegation-that-is-none", "What is named is no delegation", |detail| *detail = moded()),
        under(567, "delegation-revoked-before", "The delegation was revoked before the decision", &revoked)
            .invalid(&and(["E_GUARD"]), "568-delegation-revoked-later"),
        under(568, "delegation-revoked-later", "The delegation was revoked after the decision", &later)
            .valid(&and([])),
    ]
}

//! Four eyes: what one person proposed and another put in force.

use gantral_core::ids::{ActorId, Role};
use gantral_core::state::ActorKind;
use gantral_evidence::governance::Proposer;
use gantral_evidence::trust::{Require, Trust};

use super::guards::*;
use crate::case::Case;
use crate::cast::*;
use crate::governance::*;
use crate::story::policy_version;

const PROPOSED: &str = "990-proposed-and-confirmed";

/// The policy of the stories, put in force for their workflow by two persons.
fn by_two() -> Governance {
    Governance::default().proposed(activated(own(), policy_version(), None))
}

/// The same, told otherwise.
fn told(change: impl FnOnce(&mut Proposer)) -> Governance {
    by_two().retell(0, |statement| {
        if let Some(proposer) = &mut statement.proposed_by {
            change(proposer);
        }
    })
}

fn required() -> Trust {
    trust_with(Require { four_eyes: true, ..Require::signed() })
}

pub(super) fn all() -> Vec<Case> {
    let mut cases = persons();
    cases.extend(forms());
    cases.extend(requirements());
    cases.sort_by_key(|case| case.number);
    cases
}

fn persons() -> Vec<Case> {
    let same = told(|proposer| proposer.actor.id = person(201).actor());
    let other_role = told(|proposer| {
        proposer.actor.id = person(201).actor();
        proposer.actor.role = Role::parse("CFO").ok();
        proposer.actor.issuer = Some("https://other.example".to_owned());
    });
    let no_human = by_two().retell(0, |statement| statement.actor.kind = ActorKind::Workload);
    let later = by_two().retell(0, |statement| {
        let at = statement.at;
        if let Some(proposer) = &mut statement.proposed_by {
            proposer.at = at.plus(gantral_core::time::DurationMs::new(1));
        }
    });
    let at_once = by_two().retell(0, |statement| {
        let at = statement.at;
        if let Some(proposer) = &mut statement.proposed_by {
            proposer.at = at;
        }
    });
    vec![
        under(
            990,
            "proposed-and-confirmed",
            "A policy that one person proposed and another put in force",
            &by_two(),
        )
        .valid(&KEPT),
        under(991, "proposed-by-the-same-person", "A policy that its proposer put in force, too", &same)
            .invalid(&and(["E_SELF_APPROVAL"]), PROPOSED),
        under(
            992,
            "proposed-under-another-role",
            "The same under another role and of another issuer",
            &other_role,
        )
        .invalid(&and(["E_SELF_APPROVAL"]), PROPOSED),
        under(993, "confirmed-by-no-human", "What a human proposed, a machine put in force", &no_human)
            .invalid(&and(["E_SELF_APPROVAL"]), PROPOSED),
        under(
            994,
            "proposed-after-it-was-confirmed",
            "In force a millisecond before it was proposed",
            &later,
        )
        .invalid(&and(["E_TIME_BACK"]), "988-proposed-and-confirmed-at-once"),
        under(
            988,
            "proposed-and-confirmed-at-once",
            "In force in the very millisecond in which it was proposed",
            &at_once,
        )
        .valid(&KEPT),
    ]
}

fn forms() -> Vec<Case> {
    let machine = told(|proposer| {
        proposer.actor.id = ActorId::parse("ci").unwrap();
        proposer.actor.kind = ActorKind::Workload;
    });
    let brake = by_two().then(moded()).retell(1, |statement| {
        statement.detail = frozen(team(), 1);
        let actor = statement.actor.clone();
        statement.proposed_by = Some(Proposer { actor, at: statement.at, justification: None });
    });
    let others = by_two().proposed(moded()).then(frozen(team(), 1)).proposed(lifted(team(), 2));
    vec![
        under(995, "proposed-by-a-machine", "What a machine proposed, a human put in force", &machine)
            .invalid(&and(["E_SCHEMA"]), PROPOSED),
        under(996, "freeze-that-was-proposed", "A freeze with a proposer, which no freeze has", &brake)
            .invalid(&and(["E_SCHEMA"]), "987-modes-and-lifts-proposed"),
        under(987, "modes-and-lifts-proposed", "A mode, and the end of a freeze, by two persons", &others)
            .valid(&KEPT),
    ]
}

fn requirements() -> Vec<Case> {
    let replaced = by_two().then(activated(own(), policy_version(), Some(policy_version())));
    let elsewhere = by_two().then(activated(team(), other_policy(), None));
    let definition = r#"{"team":"payments"}"#;
    let (story, path) = defined(elsewhere.under(used()), definition);
    let mut files = elsewhere.files();
    files.insert(path, definition.as_bytes().to_vec());
    vec![
        under(997, "four-eyes-as-required", "Four eyes are required, and two persons put the policy in force", &by_two())
            .under(&required())
            .valid(&KEPT),
        under(998, "one-person-where-two-are-required", "Four eyes are required, and one person put it in force anew", &replaced)
            .under(&required())
            .inconclusive(&and(["E_REQUIRE"])),
        Case::of(
            999,
            "four-eyes-not-shown",
            "Four eyes are required, and the governance chain is not there",
            &by_two().under(used()),
        )
        .under(&required())
        .inconclusive(&and(["E_REQUIRE"])),
        beside(
            989,
            "one-person-elsewhere",
            "Four eyes are required, and one person put another policy in force for the team, which does not count here",
            &story,
            files,
        )
        .under(&required())
        .valid(&KEPT),
    ]
}

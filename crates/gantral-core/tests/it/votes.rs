//! Quorum: several people, stages, and proposals that change.

use gantral_core::command::Refusal;
use gantral_core::event::Event;
use gantral_core::instance::Origin;
use gantral_core::rule::CountedVote;
use gantral_core::state::{DecisionKind, State};

use crate::world::{Refine, World, asks, at, digest, grant, human, person, role};

#[test]
fn two_votes_for_one_action_grant_it() {
    let mut world = World::waiting(asks(&["LEAD", "RISK"], 2));
    world.approve("lea", "LEAD").seals("vote").is(State::WaitingForHuman);
    world.approve("lea", "LEAD").refused(Refusal::AlreadyVoted);
    world.approve("lea", "RISK").refused(Refusal::AlreadyVoted);
    world.approve("rita", "RISK").seals("approved").is(State::Approved);
}

#[test]
fn a_changed_proposal_resets_the_votes() {
    let mut world = World::waiting(asks(&["LEAD"], 2));
    world.approve("lea", "LEAD").seals("vote");
    world.change("leo", "LEAD", "refund 480").seals("vote");
    world.approve("lara", "LEAD").seals("vote");
    assert_eq!(votes(&world), [("lara", "refund 4800")]);
    world.change("leo", "LEAD", "refund 480").seals("vote");
    world.change("lea", "LEAD", "refund 480").seals("overridden").is(State::Overridden);
    let granted = &world.instance.grants[&grant(world.grants)];
    assert_eq!(granted.action, digest("refund 480"));
    let Origin::Humans(origin) = &granted.origin else { panic!("not a human grant") };
    assert_eq!(origin.votes.len(), 2);
}

#[test]
fn one_rejection_among_votes_ends_it() {
    let mut world = World::waiting(asks(&["LEAD"], 3));
    world.approve("lea", "LEAD").seals("vote");
    world.reject("lea", "LEAD").seals("rejected terminated");
}

#[test]
fn an_escalation_drops_the_votes_of_those_who_are_no_longer_asked() {
    let mut world = World::waiting(asks(&["LEAD"], 2).then_asks(&["DIRECTOR"]));
    world.approve("lea", "LEAD").seals("vote");
    world.wait(600);
    assert_eq!(world.tick(), "escalated");
    world.approve("dana", "DIRECTOR").seals("vote");
    world.approve("dina", "DIRECTOR").seals("approved");
}

#[test]
fn an_escalation_drops_even_the_votes_of_those_who_are_asked_again() {
    let mut world = World::waiting(asks(&["LEAD"], 2).then_asks(&["LEAD", "DIRECTOR"]));
    world.approve("lea", "LEAD").seals("vote");
    world.wait(600);
    assert_eq!(world.tick(), "escalated");
    world.approve("dana", "DIRECTOR").seals("vote");
    world.approve("lea", "LEAD").seals("approved");
}

#[test]
fn an_extension_keeps_the_votes() {
    let mut world = World::waiting(asks(&["LEAD"], 2));
    world.approve("lea", "LEAD").seals("vote");
    world.extend(&human("leo", "LEAD"), at(1_000)).seals("extended");
    world.approve("leo", "LEAD").seals("approved");
}

#[test]
fn a_later_stage_is_asked_only_when_the_earlier_one_agrees() {
    let mut world = World::waiting(asks(&["LEAD"], 1).and_stage(&["RISK"], 1));
    world.approve("rita", "RISK").refused(Refusal::NotEligible { role: role("RISK") });
    world.approve("lea", "LEAD").seals("vote");
    world.approve("lea", "RISK").refused(Refusal::AlreadyVoted);
    world.approve("rita", "RISK").seals("approved");
}

#[test]
fn a_delegate_counts_once_whatever_hat_is_worn() {
    let mut world = World::waiting(asks(&["LEAD"], 2));
    world.approve("lea", "LEAD").seals("vote");
    let mut for_leo = world.ballot_of("LEAD", DecisionKind::Approve, digest("refund 4800"));
    for_leo.acts_for = Some(person("leo"));
    for_leo.delegation = Some(digest("delegation"));
    world.says("lea", for_leo.clone()).refused(Refusal::AlreadyVoted);
    world.says("dana", for_leo.clone()).seals("approved");

    let mut world = World::waiting(asks(&["LEAD"], 2));
    for_leo.request_artifact_hash = world.instance.gate().unwrap().opened_by;
    world.says("dana", for_leo).seals("vote");
    world.approve("dana", "LEAD").refused(Refusal::AlreadyVoted);
    world.approve("leo", "LEAD").refused(Refusal::AlreadyVoted);
    world.approve("lea", "LEAD").seals("approved");
}

fn votes(world: &World) -> Vec<(&'static str, &'static str)> {
    let people = ["lea", "leo", "lara"];
    let actions = ["refund 4800", "refund 480"];
    let gate = world.instance.gate().unwrap();
    let read = |vote: &CountedVote| {
        let who = people.into_iter().find(|name| person(name) == vote.person).unwrap();
        let what = actions.into_iter().find(|action| digest(action) == vote.action).unwrap();
        (who, what)
    };
    gate.votes.iter().map(read).collect()
}

#[test]
fn every_vote_is_sealed_with_what_it_grants() {
    let mut world = World::waiting(asks(&["LEAD"], 2));
    world.change("lea", "LEAD", "refund 480").seals("vote");
    let Some((entry, _)) = world.sealed.last() else { panic!("nothing sealed") };
    let Event::Vote(ballot) = &entry.event else { panic!("not a vote") };
    assert_eq!((ballot.asked, ballot.approved), (digest("refund 4800"), digest("refund 480")));
}

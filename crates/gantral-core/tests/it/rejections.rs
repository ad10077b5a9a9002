//! Rejections that do not close a gate by themselves.

use gantral_core::command::Refusal;
use gantral_core::event::Event;
use gantral_core::instance::Origin;
use gantral_core::state::{DecisionKind, State};

use crate::gates::cause;
use crate::world::{Refine, World, asks, at, digest, grant, human, lead, person, role};

#[test]
fn the_rejection_that_reaches_the_number_closes_the_gate() {
    let mut world = World::waiting(lead().unless(3));
    world.reject("lea", "LEAD").seals("vote").is(State::WaitingForHuman);
    world.reject("leo", "LEAD").seals("vote").is(State::WaitingForHuman);
    world.reject("lara", "LEAD").seals("rejected terminated").is(State::Terminated);
    assert_eq!(cause(&world), Some(gantral_core::state::Cause::Rejected));
    let decided = world.instance.decided.as_ref().unwrap();
    assert_eq!((decided.decision, decided.by.clone()), (DecisionKind::Reject, person("lara").actor()));
}

#[test]
fn enough_approvals_grant_although_somebody_rejected() {
    let mut world = World::waiting(asks(&["LEAD"], 2).unless(2));
    world.reject("lea", "LEAD").seals("vote");
    world.approve("leo", "LEAD").seals("vote");
    world.approve("lara", "LEAD").seals("approved").is(State::Approved);
    let Origin::Humans(origin) = &world.instance.grants[&grant(world.grants)].origin else {
        panic!("not human")
    };
    assert_eq!((origin.votes.len(), origin.rejections), (2, 1));
}

#[test]
fn who_rejected_can_neither_reject_again_nor_agree() {
    let mut world = World::waiting(asks(&["LEAD", "RISK"], 1).unless(2));
    world.reject("lea", "LEAD").seals("vote");
    world.reject("lea", "RISK").refused(Refusal::AlreadyVoted);
    world.approve("lea", "RISK").refused(Refusal::AlreadyVoted);
    world.change("lea", "LEAD", "refund 480").refused(Refusal::AlreadyVoted);
    world.approve("leo", "LEAD").seals("approved");
}

#[test]
fn who_agreed_can_still_reject_and_agrees_no_longer() {
    let mut world = World::waiting(asks(&["LEAD"], 2).unless(2));
    world.approve("lea", "LEAD").seals("vote");
    world.reject("lea", "LEAD").seals("vote");
    assert!(world.instance.gate().unwrap().votes.is_empty());
    world.approve("leo", "LEAD").seals("vote");
    world.approve("lea", "LEAD").refused(Refusal::AlreadyVoted);
    world.approve("lara", "LEAD").seals("approved");
}

#[test]
fn a_rejection_withdraws_nobody_elses_vote() {
    let mut world = World::waiting(asks(&["LEAD"], 3).unless(2));
    world.approve("lea", "LEAD").seals("vote");
    world.approve("leo", "LEAD").seals("vote");
    world.reject("leo", "LEAD").seals("vote");
    let votes: Vec<_> = world.instance.gate().unwrap().votes.iter().map(|vote| vote.person).collect();
    assert_eq!(votes, [person("lea")]);
}

#[test]
fn a_withdrawn_vote_opens_its_stage_again() {
    let mut world = World::waiting(lead().and_stage(&["RISK"], 1).unless(2));
    world.approve("lea", "LEAD").seals("vote");
    world.reject("lea", "LEAD").seals("vote");
    world.approve("rita", "RISK").refused(Refusal::NotEligible { role: role("RISK") });
    world.approve("leo", "LEAD").seals("vote");
    world.approve("rita", "RISK").seals("approved");
}

#[test]
fn a_rejection_is_open_to_every_role_of_every_stage_and_counts_over_all_of_them() {
    let mut world = World::waiting(lead().and_stage(&["RISK"], 1).unless(2));
    world.reject("rita", "RISK").seals("vote");
    world.reject("ina", "INTERN").refused(Refusal::NotEligible { role: role("INTERN") });
    world.reject("lea", "LEAD").seals("rejected terminated");
}

#[test]
fn a_changed_proposal_leaves_the_rejections_as_they_are() {
    let mut world = World::waiting(asks(&["LEAD"], 2).unless(2));
    world.reject("lea", "LEAD").seals("vote");
    world.change("leo", "LEAD", "refund 480").seals("vote");
    world.change("leo", "LEAD", "refund 100").seals("vote");
    world.reject("lara", "LEAD").seals("rejected terminated");

    let mut world = World::waiting(asks(&["LEAD"], 2).unless(2));
    world.change("leo", "LEAD", "refund 480").seals("vote");
    world.reject("lea", "LEAD").seals("vote");
    world.change("lara", "LEAD", "refund 480").seals("overridden");
}

#[test]
fn an_escalation_and_an_extension_leave_the_rejections_as_they_are() {
    let mut world = World::waiting(asks(&["LEAD"], 2).unless(2).then_asks(&["LEAD", "DIRECTOR"]));
    world.approve("leo", "LEAD").seals("vote");
    world.reject("lea", "LEAD").seals("vote");
    world.extend(&human("leo", "LEAD"), at(700)).seals("extended");
    world.wait(700);
    assert_eq!(world.tick(), "escalated");
    let gate = world.instance.gate().unwrap();
    assert_eq!((gate.votes.len(), gate.rejections.len(), gate.rule.rejections), (0, 1, 2));
    world.approve("lea", "LEAD").refused(Refusal::AlreadyVoted);
    world.reject("dana", "DIRECTOR").seals("rejected terminated");
}

#[test]
fn time_closes_a_gate_at_which_too_few_rejected() {
    let mut world = World::waiting(lead().unless(2));
    world.reject("lea", "LEAD").seals("vote");
    world.wait(600);
    assert_eq!(world.tick(), "rejected terminated");
    assert_eq!(cause(&world), Some(gantral_core::state::Cause::Timeout));
}

#[test]
fn the_creator_can_withdraw_what_somebody_rejected() {
    let mut world = World::waiting(lead().unless(2));
    world.reject("lea", "LEAD").seals("vote");
    world.withdraw().seals("rejected terminated");
    assert_eq!(cause(&world), Some(gantral_core::state::Cause::Withdrawn));
}

#[test]
fn whoever_asked_is_no_more_counted_among_those_who_reject_than_among_those_who_agree() {
    let mut world = World::waiting(lead().unless(2));
    world.reject("olivia", "LEAD").refused(Refusal::SelfApproval);
    world.reject("oscar", "LEAD").refused(Refusal::SelfApproval);
}

#[test]
fn a_delegate_rejects_once_whatever_hat_is_worn() {
    let mut world = World::waiting(lead().unless(3));
    let mut for_leo = world.ballot_of("LEAD", DecisionKind::Reject, digest("refund 4800"));
    for_leo.acts_for = Some(person("leo"));
    for_leo.delegation = Some(digest("delegation"));
    world.says("dana", for_leo.clone()).seals("vote");
    world.reject("dana", "LEAD").refused(Refusal::AlreadyVoted);
    world.reject("leo", "LEAD").refused(Refusal::AlreadyVoted);
    world.approve("leo", "LEAD").refused(Refusal::AlreadyVoted);
    world.says("lea", for_leo).refused(Refusal::AlreadyVoted);
    world.reject("lea", "LEAD").seals("vote");
}

#[test]
fn a_broken_glass_needs_no_other_rejection() {
    let advice = || lead().unless(3).plan(|plan| plan.rule.break_glass_roles = vec![role("DUTY")]);
    let mut world = World::waiting(advice());
    world.reject("lea", "LEAD").seals("vote");
    let mut by_duty = world.ballot_of("DUTY", DecisionKind::Reject, digest("refund 4800"));
    by_duty.break_glass = true;
    world.says("dora", by_duty).seals("rejected terminated");

    let mut world = World::waiting(advice());
    world.reject("lea", "LEAD").seals("vote");
    let mut by_duty = world.ballot_of("DUTY", DecisionKind::Approve, digest("refund 4800"));
    by_duty.break_glass = true;
    world.says("dora", by_duty).seals("approved");
}

#[test]
fn a_policy_in_force_under_which_it_had_been_refused_asks_again() {
    let granted = || {
        let mut world = World::waiting(lead().unless(2));
        world.reject("leo", "LEAD").seals("vote");
        world.approve("lea", "LEAD").seals("approved");
        world.assign().seals("resumed");
        world.attach(2).seals("running");
        world
    };
    let mut world = granted();
    world.consume(world.grants, "refund 4800", lead().unless(2)).seals("consumed");
    let mut world = granted();
    world.consume(world.grants, "refund 4800", lead()).seals("human_required");
    let gate = world.instance.gate().unwrap();
    assert_eq!((gate.rejections.len(), gate.votes.len()), (0, 0));
}

#[test]
fn a_counted_rejection_is_sealed_with_what_was_asked_for() {
    let mut world = World::waiting(lead().unless(2));
    world.reject("lea", "LEAD").seals("vote");
    let Some((entry, _)) = world.sealed.last() else { panic!("nothing sealed") };
    let Event::Vote(ballot) = &entry.event else { panic!("not a vote") };
    assert_eq!((ballot.asked, ballot.approved), (digest("refund 4800"), digest("refund 4800")));
    assert_eq!(ballot.decision, DecisionKind::Reject);
}

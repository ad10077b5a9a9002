//! Delegations: a human lends roles to another one, and a decision by it says so.

use std::collections::BTreeSet;

use gantral_core::command::Refusal;
use gantral_core::digest::Digest;
use gantral_core::event::{Ballot, Event};
use gantral_core::ids::Role;
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_engine::{
    Answer, Call, DecisionRequest, Done, EngineError, GovernanceReceipt, Governor, NewDelegation,
};
use gantral_evidence::verify::Verdict;
use gantral_identity::Approver;
use gantral_testkit::workflows::{REFUND, read};
use gantral_testkit::{World, policy};

use crate::governance::exported;
use crate::script::{SELF, Script, Step, decision, statements};

const HOUR: DurationMs = DurationMs::from_secs(3_600);

fn person(world: &World, name: &str) -> Approver {
    world.people.approver(name, world.clock.now())
}

fn lending(world: &World, to: &str, roles: &[&str]) -> NewDelegation {
    NewDelegation {
        to: person(world, to).human().clone(),
        roles: roles.iter().map(|role| Role::parse(role).unwrap()).collect(),
        not_before: None,
        not_after: world.clock.now().plus(HOUR),
    }
}

async fn give(
    world: &World,
    from: &str,
    new: NewDelegation,
) -> Result<Option<GovernanceReceipt>, EngineError> {
    world.engine().delegate(&mut world.call(), &person(world, from), Some("on holiday"), new).await
}

/// Lends FINANCE_LEAD; returns the name of the delegation.
async fn lent(world: &World, from: &str, to: &str) -> Digest {
    give(world, from, lending(world, to, &["FINANCE_LEAD"])).await.unwrap().unwrap().hash
}

async fn revoke(
    world: &World,
    who: &str,
    call: &mut Call,
    hash: Digest,
) -> Result<GovernanceReceipt, EngineError> {
    let approver = person(world, who);
    let actor = world.engine().actor(&mut world.call(), approver.principal(), None).await.unwrap();
    let administers = approver.principal().administrator().is_ok();
    let (tenant, by) = (world.tenant(), Governor { actor: &actor, why: None });
    world.engine().revoke_delegation(call, &tenant, by, administers, hash).await
}

async fn vote(script: &Script, who: &str, step: Step, by: Option<Digest>) -> Result<Done, EngineError> {
    let (world, gate) = (&script.world, script.learned.gate.unwrap());
    let request = DecisionRequest { delegation: by, ..decision(step) };
    world.engine().decide_gate(world.call(), &person(world, who), gate, request).await
}

async fn ballots(script: &Script) -> Vec<Ballot> {
    let sealed = statements(&script.world, script.id()).await.into_iter();
    sealed
        .filter_map(|statement| match statement.entry.event {
            Event::Vote(ballot) => Some(ballot),
            Event::Approved(granted) | Event::Overridden(granted) => Some(granted.ballot),
            Event::Rejected(rejected) => rejected.ballot,
            _ => None,
        })
        .collect()
}

/// A stranger finds the exported bundle valid, with the governance chain that the decision rests on.
async fn is_valid(script: &Script) {
    let report = exported(&script.world, script.id()).await;
    assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
}

async fn person_id(world: &World, name: &str) -> gantral_core::ids::PersonId {
    let actor = world.engine().actor(&mut world.call(), person(world, name).principal(), None).await.unwrap();
    gantral_core::ids::PersonId::from_actor(&actor.id).unwrap()
}

#[tokio::test]
async fn a_decision_by_a_delegation_says_for_whom_and_a_stranger_finds_it_valid() {
    let mut script = Script::begin(SELF, 3).await;
    let hash = lent(&script.world, "fiona", "rachel").await;
    script.world.restart();
    let done = vote(&script, "rachel", Step::Approve, Some(hash)).await.unwrap();
    assert!(matches!(done.answer, Answer::Voted { grant: Some(_) }), "{done:?}");
    let ballot = ballots(&script).await.remove(0);
    assert_eq!(ballot.acts_for, Some(person_id(&script.world, "fiona").await));
    assert_eq!((ballot.delegation, ballot.role.as_str()), (Some(hash), "FINANCE_LEAD"));
    is_valid(&script).await;
    // What was decided stands when the delegation ends.
    revoke(&script.world, "fiona", &mut script.world.call(), hash).await.unwrap();
    script.learned.amount = crate::script::LARGE;
    script.step(Step::Begin).await.unwrap();
    script.step(Step::Consume).await.unwrap();
    is_valid(&script).await;
}

#[tokio::test]
async fn a_delegation_that_does_not_carry_the_decision_counts_nothing() {
    let script = Script::begin(SELF, 3).await;
    let world = &script.world;
    let refused = async |who: &str, by: Digest| match vote(&script, who, Step::Approve, Some(by)).await {
        Err(EngineError::DelegationNotInForce { why }) => why,
        other => panic!("{other:?}"),
    };
    let hash = lent(world, "fiona", "rachel").await;
    assert_eq!(refused("cora", hash).await, "the delegation is to somebody else");
    assert_eq!(refused("fiona", hash).await, "the delegation is to somebody else");
    let unknown = "there is no such delegation, or it was revoked";
    assert_eq!(refused("rachel", Digest::of(b"another")).await, unknown);
    revoke(world, "fiona", &mut world.call(), hash).await.unwrap();
    assert_eq!(refused("rachel", hash).await, unknown);

    let now = world.clock.now();
    let at = |minutes: u64| now.plus(DurationMs::from_secs(minutes * 60));
    let later = NewDelegation {
        not_before: Some(at(10)),
        not_after: at(20),
        ..lending(world, "rachel", &["FINANCE_LEAD"])
    };
    let later = give(world, "fiona", later).await.unwrap().unwrap().hash;
    assert_eq!(refused("rachel", later).await, "the delegation has not begun");
    world.clock.advance(DurationMs::from_secs(20 * 60));
    assert_eq!(refused("rachel", later).await, "the delegation is over");

    let other = give(world, "bob", lending(world, "rachel", &["DEVELOPER"])).await.unwrap().unwrap().hash;
    let role = vote(&script, "rachel", Step::Approve, Some(other)).await.unwrap_err();
    assert!(
        matches!(role, EngineError::Refused(Refusal::SelfApproval | Refusal::NotEligible { .. })),
        "{role:?}"
    );
    let own = vote(&script, "rachel", Step::Approve, None).await.unwrap_err();
    assert!(matches!(own, EngineError::Refused(Refusal::NotEligible { .. })), "{own:?}");
    assert_eq!(ballots(&script).await, []);
}

#[tokio::test]
async fn a_person_who_was_erased_lends_nothing_any_more() {
    let script = Script::begin(SELF, 3).await;
    let world = &script.world;
    let hash = lent(world, "fiona", "rachel").await;
    let (tenant, by, fiona) = (world.tenant(), world.governor(), person(world, "fiona").human().clone());
    world.engine().erase_person(world.call(), &tenant, (&by).into(), &fiona).await.unwrap();
    let refused = vote(&script, "rachel", Step::Approve, Some(hash)).await;
    assert!(matches!(refused, Err(EngineError::DelegationNotInForce { .. })), "{refused:?}");
}

#[tokio::test]
async fn whoever_owns_what_asks_neither_decides_by_a_delegation_nor_delegates_it() {
    let script = Script::begin(SELF, 3).await;
    for (from, to) in [("bob", "rachel"), ("fiona", "bob")] {
        let hash = lent(&script.world, from, to).await;
        let refused = vote(&script, to, Step::Approve, Some(hash)).await;
        assert_eq!(refused.unwrap_err(), EngineError::Refused(Refusal::SelfApproval), "{from} to {to}");
    }
}

#[tokio::test]
async fn one_human_counts_once_whatever_hat_it_wears() {
    let mut script = Script::new(SELF).await;
    let two = REFUND.replace("\"timeout\": \"30m\"", "\"required_approvals\": 2, \"timeout\": \"30m\"");
    script
        .world
        .apply(read(&two.replace("\"version\": \"1\"", "\"version\": \"2\"")), &policy::example("refunds"))
        .await;
    for step in &SELF[..3] {
        script.step(*step).await.unwrap();
    }
    let (own, other) =
        (lent(&script.world, "fiona", "rachel").await, lent(&script.world, "frank", "rachel").await);
    let back = lent(&script.world, "frank", "fiona").await;
    vote(&script, "rachel", Step::Approve, Some(own)).await.unwrap();
    for (who, by) in [("fiona", None), ("rachel", Some(other)), ("fiona", Some(back)), ("rachel", Some(own))]
    {
        let refused = vote(&script, who, Step::Approve, by).await.unwrap_err();
        assert_eq!(refused, EngineError::Refused(Refusal::AlreadyVoted), "{who} {by:?}");
    }
    let decided = vote(&script, "frank", Step::Approve, None).await.unwrap();
    assert!(matches!(decided.answer, Answer::Voted { grant: Some(_) }), "{decided:?}");
    is_valid(&script).await;
}

#[tokio::test]
async fn only_own_roles_are_delegated_and_not_for_ever() {
    let world = World::new();
    let new = |to: &str, roles: &[&str]| lending(&world, to, roles);
    let end = |at: UnixMillis| NewDelegation { not_after: at, ..new("rachel", &["FINANCE_LEAD"]) };
    let now = world.clock.now();
    let member = |error: EngineError| match error {
        EngineError::Text { member, .. } => member,
        EngineError::Forbidden { .. } => "forbidden",
        other => panic!("{other:?}"),
    };
    for (new, expected) in [
        (new("rachel", &["CFO"]), "forbidden"),
        (new("rachel", &["FINANCE_LEAD", "CFO"]), "forbidden"),
        (new("rachel", &[]), "roles"),
        (new("fiona", &["FINANCE_LEAD"]), "to"),
        (end(now), "not_after"),
        (end(now.plus(DurationMs::from_secs(14 * 86_400 + 1))), "not_after"),
        (NewDelegation { not_before: Some(now.plus(HOUR)), ..new("rachel", &["FINANCE_LEAD"]) }, "not_after"),
    ] {
        let said = format!("{new:?}");
        assert_eq!(member(give(&world, "fiona", new).await.unwrap_err()), expected, "{said}");
    }
    // What was lent is nobody's to lend on.
    lent(&world, "fiona", "rachel").await;
    let on = give(&world, "rachel", new("cora", &["FINANCE_LEAD"])).await;
    assert_eq!(member(on.unwrap_err()), "forbidden");
    let again = give(&world, "fiona", new("rachel", &["FINANCE_LEAD"])).await;
    assert_eq!(again, Ok(None), "it is delegated already");
    for minute in 1..16 {
        give(&world, "fiona", end(now.plus(DurationMs::from_secs(minute * 60)))).await.unwrap().unwrap();
    }
    assert_eq!(
        member(give(&world, "fiona", end(now.plus(DurationMs::from_secs(77)))).await.unwrap_err()),
        "forbidden"
    );
}

#[tokio::test]
async fn a_delegation_is_listed_until_it_ends_and_revoked_by_its_giver_or_an_administrator() {
    let mut world = World::new();
    let (first, second) = (lent(&world, "fiona", "rachel").await, lent(&world, "frank", "cora").await);
    world.restart();
    let listed = async |world: &World, of: Option<&str>| -> Vec<Digest> {
        let tenant = world.tenant();
        let of = match of {
            Some(name) => {
                let approver = person(world, name);
                Some(world.engine().actor(&mut world.call(), approver.principal(), None).await.unwrap())
            }
            None => None,
        };
        let now = world.clock.now();
        let found = world.engine().delegations(&tenant, now, of.as_ref(), None, 10).await.unwrap();
        found.into_iter().map(|view| view.sealed.hash).collect()
    };
    assert_eq!(listed(&world, None).await, [first, second]);
    assert_eq!(listed(&world, Some("rachel")).await, [first]);
    assert_eq!(listed(&world, Some("frank")).await, [second]);
    let roles = BTreeSet::from([Role::parse("FINANCE_LEAD").unwrap()]);
    let (rachel, now) = (person(&world, "rachel"), world.clock.now());
    assert_eq!(world.engine().lent_roles(rachel.principal(), now).await.unwrap(), roles);
    for who in ["rachel", "frank"] {
        let refused = revoke(&world, who, &mut world.call(), first).await;
        assert!(matches!(refused, Err(EngineError::Forbidden { .. })), "{who}: {refused:?}");
    }
    revoke(&world, "dave", &mut world.call(), first).await.unwrap();
    let again = revoke(&world, "dave", &mut world.call(), first).await;
    assert!(matches!(again, Err(EngineError::NotFound { .. })), "{again:?}");
    assert_eq!(listed(&world, None).await, [second]);
    assert_eq!(world.engine().lent_roles(rachel.principal(), now).await.unwrap(), BTreeSet::new());
    world.clock.advance(HOUR);
    assert_eq!(listed(&world, None).await, []);
}

#[tokio::test]
async fn a_revocation_that_began_before_the_last_ballot_is_sealed_after_it() {
    let script = Script::begin(SELF, 3).await;
    let hash = lent(&script.world, "fiona", "rachel").await;
    let mut early = script.world.call();
    script.world.clock.advance(DurationMs::new(7));
    vote(&script, "rachel", Step::Approve, Some(hash)).await.unwrap();
    let revoked = revoke(&script.world, "fiona", &mut early, hash).await.unwrap();
    assert_eq!(revoked.at, script.world.clock.now());
    is_valid(&script).await;
}

#[tokio::test]
async fn a_ballot_and_the_revocation_of_its_delegation_at_once_leave_valid_evidence() {
    for _ in 0..8 {
        let script = Script::begin(SELF, 3).await;
        let world = &script.world;
        let hash = lent(world, "fiona", "rachel").await;
        let mut call = world.call();
        let (voted, revoked) = tokio::join!(
            vote(&script, "rachel", Step::Approve, Some(hash)),
            revoke(world, "fiona", &mut call, hash)
        );
        revoked.unwrap();
        assert_eq!(ballots(&script).await.len(), usize::from(voted.is_ok()), "{voted:?}");
        is_valid(&script).await;
    }
}

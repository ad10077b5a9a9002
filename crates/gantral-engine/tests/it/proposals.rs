//! Four eyes: one person proposes a change of the rules, another puts it in force.

use std::collections::BTreeSet;

use gantral_core::digest::{Digest, Hasher};
use gantral_core::event::Actor;
use gantral_core::ids::{ActorId, Role, TenantId, WorkflowId};
use gantral_core::policy::PolicyVersionId;
use gantral_core::state::{ActorKind, Mode};
use gantral_core::time::DurationMs;
use gantral_engine::{
    Activation, EngineError, FourEyesRules, GovernanceReceipt, Governor, ModeInForce, ProposalStanding,
    ProposalView, Ruled, Unfreeze,
};
use gantral_evidence::governance::{Detail, GovernanceKind, Scope};
use gantral_store::ProposalEnding;
use gantral_testkit::World;
use gantral_testkit::policy::rules;
use gantral_testkit::workflows::{REFUND, read};

const ALL: FourEyesRules = FourEyesRules {
    policy: true,
    mode: true,
    unfreeze: Unfreeze::Two,
    expires: DurationMs::from_secs(3_600),
    open_max: 4,
};

fn world(rules: FourEyesRules) -> World {
    let mut world = World::new();
    world.four_eyes(rules);
    world
}

async fn published(world: &World, word: &str) -> PolicyVersionId {
    world.publish(&rules(&format!("decision := \"DENY\"\nreasons contains \"{word}\""))).await
}

fn workflow() -> Scope {
    Scope::Workflow(WorkflowId::parse("refund").unwrap())
}

async fn activate(
    world: &World,
    name: &str,
    scope: &Scope,
    version: PolicyVersionId,
) -> Result<Ruled, EngineError> {
    let (tenant, by) = (world.tenant(), world.governor_named(name));
    let by = Governor { actor: &by, why: Some("the limit is too low") };
    let (call, version) = (&mut world.call(), Activation::Version(version));
    world.engine().activate_policy(call, &tenant, by, scope, version, None).await
}

fn proposed(ruled: Ruled) -> ProposalView {
    let Ruled::Proposed(view) = ruled else { panic!("{ruled:?}") };
    *view
}

async fn propose(world: &World, name: &str, scope: &Scope, version: PolicyVersionId) -> ProposalView {
    proposed(activate(world, name, scope, version).await.unwrap())
}

async fn confirm(
    world: &World,
    by: &Actor,
    view: &ProposalView,
    digest: Digest,
) -> Result<GovernanceReceipt, EngineError> {
    let (tenant, call) = (world.tenant(), &mut world.call());
    let by = Governor { actor: by, why: Some("read and agreed") };
    world.engine().confirm_proposal(call, &tenant, by, view.proposal.id, digest).await
}

async fn confirmed(world: &World, name: &str, view: &ProposalView) -> Result<GovernanceReceipt, EngineError> {
    confirm(world, &world.governor_named(name), view, view.digest).await
}

async fn in_force(world: &World) -> Vec<PolicyVersionId> {
    let policies = world.engine().policies_in_force(&world.tenant()).await.unwrap();
    policies.into_iter().map(|policy| policy.version).collect()
}

async fn standing(world: &World, view: &ProposalView) -> ProposalStanding {
    let now = world.clock.now();
    world.engine().proposal(&world.tenant(), view.proposal.id, now).await.unwrap().standing
}

#[tokio::test]
async fn what_is_proposed_is_in_force_once_another_person_confirmed_it_also_after_a_restart() {
    let mut world = world(ALL);
    let version = published(&world, "first").await;
    let view = propose(&world, "bob", &Scope::Tenant, version).await;
    assert_eq!(
        (view.standing.clone(), view.why.as_deref()),
        (ProposalStanding::Open, Some("the limit is too low"))
    );
    assert_eq!(in_force(&world).await, []);
    world.restart();
    world.clock.advance(DurationMs::new(5));
    let sealed = confirmed(&world, "carol", &view).await.unwrap();
    assert_eq!(in_force(&world).await, [version]);
    assert_eq!(sealed.detail, Detail::PolicyActivated { scope: Scope::Tenant, version, previous: None });
    let proposer = sealed.proposed_by.clone().unwrap();
    assert_eq!(proposer.proposer, view.proposal.proposer);
    assert_eq!(sealed.actor, world.governor_named("carol").id);
    assert_eq!(
        (proposer.why.as_deref(), sealed.why.as_deref()),
        (Some("the limit is too low"), Some("read and agreed"))
    );
    let end = ProposalStanding::Ended {
        how: ProposalEnding::Confirmed,
        at: world.clock.now(),
        by: Some(sealed.actor.clone()),
        sealed: Some(sealed.sequence),
    };
    assert_eq!(standing(&world, &view).await, end);

    // The chain says the same to whoever reads it later, and to an engine that has nothing in memory.
    world.restart();
    assert_eq!(
        world.engine().governance(&world.tenant(), 0, 10).await.unwrap(),
        std::slice::from_ref(&sealed)
    );
    // Whoever lost the answer gets it again; anybody else is told.
    assert_eq!(confirmed(&world, "carol", &view).await.unwrap(), sealed);
    let late = confirmed(&world, "dave", &view).await.unwrap_err();
    assert!(matches!(late, EngineError::ProposalEnded { how: ProposalEnding::Confirmed, .. }), "{late:?}");
}

#[tokio::test]
async fn nobody_confirms_their_own_proposal_under_whatever_role() {
    let world = world(ALL);
    let view = propose(&world, "bob", &Scope::Tenant, published(&world, "first").await).await;
    let bob = world.governor_named("bob");
    let other_role = Actor { role: Some(Role::parse("CFO").unwrap()), ..bob.clone() };
    let other_token = Actor { issuer: Some("https://other.example".to_owned()), role: None, ..bob.clone() };
    for by in [bob, other_role, other_token] {
        let refused = confirm(&world, &by, &view, view.digest).await.unwrap_err();
        assert!(matches!(refused, EngineError::SamePerson { .. }), "{refused:?}");
    }
    assert_eq!(in_force(&world).await, []);
    confirmed(&world, "carol", &view).await.unwrap();
}

#[tokio::test]
async fn a_machine_neither_proposes_nor_confirms() {
    let world = world(ALL);
    let version = published(&world, "first").await;
    let tenant = world.tenant();
    let view = propose(&world, "bob", &Scope::Tenant, version).await;
    for kind in [ActorKind::Workload, ActorKind::Runner, ActorKind::System] {
        let by = Actor { id: ActorId::parse("ci").unwrap(), kind, issuer: None, role: None };
        let refused = confirm(&world, &by, &view, view.digest).await.unwrap_err();
        assert!(matches!(refused, EngineError::Forbidden { .. }), "{refused:?}");
        let (call, version) = (&mut world.call(), Activation::Version(version));
        let refused =
            world.engine().activate_policy(call, &tenant, (&by).into(), &workflow(), version, None).await;
        assert!(matches!(refused, Err(EngineError::Forbidden { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn what_was_read_is_what_is_confirmed() {
    let world = world(ALL);
    let (first, second) = (published(&world, "first").await, published(&world, "second").await);
    let read = propose(&world, "bob", &Scope::Tenant, first).await;
    let other = propose(&world, "bob", &Scope::Tenant, second).await;
    let carol = world.governor_named("carol");
    let refused = confirm(&world, &carol, &read, other.digest).await.unwrap_err();
    assert_eq!(refused, EngineError::ProposalDiffers);
    let other = TenantId::parse("other").unwrap();
    let missing = world.engine().proposal(&other, read.proposal.id, world.clock.now());
    assert_eq!(missing.await.unwrap_err(), EngineError::NotFound { what: "the proposal" });
}

#[tokio::test]
async fn a_proposal_that_something_came_between_is_refused_and_says_what() {
    let world = world(ALL);
    let (first, second) = (published(&world, "first").await, published(&world, "second").await);
    let other_scope = propose(&world, "bob", &workflow(), first).await;
    let stale = propose(&world, "bob", &Scope::Tenant, first).await;
    let between = propose(&world, "dave", &Scope::Tenant, second).await;
    let sealed = confirmed(&world, "carol", &between).await.unwrap();
    let refused = confirmed(&world, "carol", &stale).await.unwrap_err();
    assert_eq!(refused, EngineError::ProposalMoved { changed: Some(sealed.sequence) });
    assert_eq!(in_force(&world).await, [second]);
    // What came between in another scope takes nothing away.
    confirmed(&world, "carol", &other_scope).await.unwrap();
}

#[tokio::test]
async fn the_same_change_is_one_proposal_whoever_asks_for_it() {
    let world = world(ALL);
    let version = published(&world, "first").await;
    let first = propose(&world, "bob", &Scope::Tenant, version).await;
    assert_eq!(propose(&world, "bob", &Scope::Tenant, version).await, first);
    let found = propose(&world, "dave", &Scope::Tenant, version).await;
    assert_eq!(found, first, "dave is shown what bob has proposed");
    confirmed(&world, "dave", &found).await.unwrap();
    assert_eq!(activate(&world, "bob", &Scope::Tenant, version).await.unwrap(), Ruled::Same);
}

#[tokio::test]
async fn a_policy_that_was_replaced_and_came_back_is_not_the_one_that_was_seen() {
    let mut world = world(FourEyesRules::default());
    let (first, second) = (published(&world, "first").await, published(&world, "second").await);
    activate(&world, "bob", &Scope::Tenant, first).await.unwrap().sealed().unwrap();
    world.four_eyes(ALL);
    let stale = propose(&world, "bob", &Scope::Tenant, second).await;
    world.four_eyes(FourEyesRules::default());
    let third = published(&world, "third").await;
    for version in [third, first] {
        activate(&world, "dave", &Scope::Tenant, version).await.unwrap().sealed().unwrap();
    }
    let refused = confirmed(&world, "carol", &stale).await.unwrap_err();
    assert_eq!(refused, EngineError::ProposalMoved { changed: Some(2) });
}

#[tokio::test]
async fn a_proposal_ends_when_its_time_is_over_or_its_author_takes_it_back() {
    let world = world(ALL);
    let (tenant, version) = (world.tenant(), published(&world, "first").await);
    let view = propose(&world, "bob", &Scope::Tenant, version).await;
    let withdraw = async |name: &str, view: &ProposalView| {
        let (by, now) = (world.governor_named(name), world.clock.now());
        world.engine().withdraw_proposal(&tenant, &by, view.proposal.id, now).await
    };
    assert!(matches!(withdraw("carol", &view).await, Err(EngineError::Forbidden { .. })));
    for _ in 0..2 {
        let taken_back = withdraw("bob", &view).await.unwrap();
        assert_eq!((taken_back.why, taken_back.proposal), (None, view.proposal.clone()));
    }
    let refused = confirmed(&world, "carol", &view).await.unwrap_err();
    assert!(
        matches!(refused, EngineError::ProposalEnded { how: ProposalEnding::Withdrawn, .. }),
        "{refused:?}"
    );

    let late = propose(&world, "bob", &Scope::Tenant, version).await;
    world.clock.advance(ALL.expires);
    let refused = confirmed(&world, "carol", &late).await.unwrap_err();
    let expired = |error: &EngineError| {
        matches!(error, EngineError::ProposalEnded { how: ProposalEnding::Expired, .. })
    };
    assert!(expired(&refused), "{refused:?}");
    assert!(withdraw("bob", &late).await.is_err_and(|error| expired(&error)));
    let open = world.engine().proposals(&tenant, world.clock.now(), true, None, 10).await.unwrap();
    assert_eq!(open, []);
    world.engine().tick(world.clock.now(), world.seed()).await.unwrap();
    let all = world.engine().proposals(&tenant, world.clock.now(), false, None, 10).await.unwrap();
    assert_eq!(all.iter().map(|view| view.why.clone()).collect::<Vec<_>>(), [None, None]);
    assert_eq!(in_force(&world).await, []);
}

#[tokio::test]
async fn so_many_proposals_of_a_tenant_are_open_and_no_more() {
    let world = world(FourEyesRules { open_max: 2, ..ALL });
    let mut views = Vec::new();
    for word in ["a", "b"] {
        views.push(propose(&world, "bob", &Scope::Tenant, published(&world, word).await).await);
    }
    let third = published(&world, "c").await;
    let refused = activate(&world, "bob", &Scope::Tenant, third).await.unwrap_err();
    assert_eq!(refused, EngineError::ProposalsFull { most: 2 });
    let (by, now) = (world.governor_named("bob"), world.clock.now());
    world.engine().withdraw_proposal(&world.tenant(), &by, views[0].proposal.id, now).await.unwrap();
    propose(&world, "bob", &Scope::Tenant, third).await;
}

#[tokio::test]
async fn two_who_confirm_at_once_leave_one_artifact_and_one_clear_answer() {
    let world = world(ALL);
    let view = propose(&world, "bob", &Scope::Tenant, published(&world, "first").await).await;
    let names = ["carol", "dave", "erin", "frank"];
    let tasks: Vec<_> = names
        .iter()
        .map(|name| {
            let (engine, tenant, by) = (world.engine().clone(), world.tenant(), world.governor_named(name));
            let (mut call, id, digest) = (world.call(), view.proposal.id, view.digest);
            tokio::spawn(async move {
                engine.confirm_proposal(&mut call, &tenant, (&by).into(), id, digest).await
            })
        })
        .collect();
    let mut won = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            Ok(receipt) => won.push(receipt),
            Err(EngineError::ProposalEnded { how: ProposalEnding::Confirmed, by: Some(_), .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(world.engine().governance(&world.tenant(), 0, 10).await.unwrap(), won);
}

#[tokio::test]
async fn a_mode_takes_two_and_a_definition_brings_no_policy_past_them() {
    let world = world(ALL);
    let (tenant, by) = (world.tenant(), world.governor_named("bob"));
    let version = published(&world, "first").await;
    let applied = world
        .engine()
        .apply_workflow(&tenant, read(REFUND), Some(version), (&by).into(), &mut world.call())
        .await
        .unwrap();
    assert!(applied.created && applied.activated.is_none());
    assert_eq!(in_force(&world).await, []);
    confirmed(&world, "carol", &applied.proposed.unwrap()).await.unwrap();
    assert_eq!(in_force(&world).await, [version]);

    let mode = ModeInForce { scope: workflow(), action: None, mode: Mode::Shadow };
    let ruled = world.engine().set_mode(&mut world.call(), &tenant, (&by).into(), &mode).await.unwrap();
    assert_eq!(world.engine().modes_in_force(&tenant).await.unwrap(), []);
    confirmed(&world, "carol", &proposed(ruled)).await.unwrap();
    assert_eq!(world.engine().modes_in_force(&tenant).await.unwrap(), [mode]);
}

/// Freezes as `first`, then lifts as `second` and confirms as `third`; returns how far that came.
async fn unfrozen(unfreeze: Unfreeze, first: &str, second: &str, third: Option<&str>) -> &'static str {
    let world = world(FourEyesRules { unfreeze, ..FourEyesRules::default() });
    let tenant = world.tenant();
    let set = async |name: &str, frozen: bool| {
        let by = world.governor_named(name);
        world.engine().set_frozen(&mut world.call(), &tenant, (&by).into(), &Scope::Tenant, frozen).await
    };
    assert!(set(first, true).await.unwrap().sealed().is_some(), "the brake takes one person");
    match set(second, false).await {
        Err(EngineError::SamePerson { .. }) => "refused",
        Ok(Ruled::Sealed(_)) => "lifted",
        Ok(Ruled::Proposed(view)) => match confirmed(&world, third.unwrap(), &view).await {
            Ok(_) => "lifted by two",
            Err(EngineError::SamePerson { .. }) => "refused to the second",
            Err(error) => panic!("{error:?}"),
        },
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn who_lifts_a_freeze_is_as_configured() {
    use Unfreeze::{Another, Anyone, Two};
    for (unfreeze, first, second, third, expected) in [
        (Anyone, "bob", "bob", None, "lifted"),
        (Another, "bob", "bob", None, "refused"),
        (Another, "bob", "carol", None, "lifted"),
        (Two, "bob", "bob", Some("bob"), "refused to the second"),
        (Two, "bob", "bob", Some("carol"), "lifted by two"),
        (Two, "bob", "carol", Some("bob"), "lifted by two"),
    ] {
        let found = unfrozen(unfreeze, first, second, third).await;
        assert_eq!(found, expected, "{unfreeze:?}: {first}, {second}, {third:?}");
    }
}

#[tokio::test]
async fn a_freeze_that_was_lifted_and_came_again_is_another_one() {
    let mut world = world(ALL);
    let tenant = world.tenant();
    let lift = async |world: &World| {
        let by = world.governor_named("bob");
        world
            .engine()
            .set_frozen(&mut world.call(), &tenant, (&by).into(), &Scope::Tenant, false)
            .await
            .unwrap()
    };
    world.set_frozen(true).await;
    let stale = proposed(lift(&world).await);
    world.four_eyes(FourEyesRules::default());
    lift(&world).await.sealed().unwrap();
    world.set_frozen(true).await;
    let refused = confirmed(&world, "carol", &stale).await.unwrap_err();
    assert_eq!(refused, EngineError::ProposalMoved { changed: Some(2) });
}

#[tokio::test]
async fn an_erased_person_leaves_no_proposal_that_they_could_confirm_as_another() {
    let world = world(ALL);
    let (tenant, engine) = (world.tenant(), world.engine());
    let human = world.people.human("bob", world.clock.now()).human().unwrap();
    let bob = world.people.human("bob", world.clock.now());
    let actor = engine.actor(&mut world.call(), &bob, None).await.unwrap();
    let version = Activation::Version(published(&world, "first").await);
    let ruled = engine
        .activate_policy(&mut world.call(), &tenant, (&actor).into(), &Scope::Tenant, version, None)
        .await
        .unwrap();
    let view = proposed(ruled);
    engine.erase_person(world.call(), &tenant, (&world.governor()).into(), &human).await.unwrap();
    let again = engine.actor(&mut world.call(), &bob, None).await.unwrap();
    assert!(again.id != actor.id, "the same human is another person now");
    let refused = confirm(&world, &again, &view, view.digest).await.unwrap_err();
    assert!(
        matches!(refused, EngineError::ProposalEnded { how: ProposalEnding::Withdrawn, .. }),
        "{refused:?}"
    );
}

#[tokio::test]
async fn what_a_proposer_said_is_erased_by_right() {
    let world = world(ALL);
    let view = propose(&world, "bob", &Scope::Tenant, published(&world, "first").await).await;
    let sealed = confirmed(&world, "carol", &view).await.unwrap();
    let commitment = sealed.proposed_by.unwrap().proposer.justification.unwrap();
    let (tenant, by) = (world.tenant(), world.governor());
    world.engine().erase_justification(world.call(), &tenant, (&by).into(), commitment).await.unwrap();
    let chain = world.engine().governance(&tenant, 0, 10).await.unwrap();
    assert_eq!(chain[0].proposed_by.as_ref().unwrap().why, None);
    assert_eq!(chain[0].why.as_deref(), Some("read and agreed"));
}

/// Whatever people try, in whatever order: what takes two was sealed by two, and each proposal led to one artifact at most.
#[tokio::test]
async fn nothing_that_takes_two_is_ever_in_force_by_one() {
    for seed in 0..6_u64 {
        let world = world(ALL);
        let versions = [published(&world, "a").await, published(&world, "b").await];
        let (names, scopes) = (["bob", "carol", "dave"], [Scope::Tenant, workflow()]);
        let mut views: Vec<ProposalView> = Vec::new();
        let mut sealed = 0;
        for step in 0..60_u64 {
            let drawn = Hasher::new("steps").bytes(&seed.to_be_bytes()).bytes(&step.to_be_bytes()).finish();
            let draw = |at: usize, of: usize| usize::from(drawn.as_bytes()[at]) % of;
            let name = names[draw(0, 3)];
            match draw(1, 6) {
                0 | 1 => match activate(&world, name, &scopes[draw(2, 2)], versions[draw(3, 2)]).await {
                    Ok(Ruled::Proposed(view)) => views.push(*view),
                    Ok(Ruled::Same) | Err(EngineError::ProposalsFull { .. }) => {}
                    other => panic!("seed {seed}: {other:?}"),
                },
                2..=4 if !views.is_empty() => {
                    let view = &views[draw(4, views.len())];
                    let before = standing(&world, view).await;
                    if confirmed(&world, name, view).await.is_ok() && before == ProposalStanding::Open {
                        sealed += 1;
                    }
                }
                5 if !views.is_empty() => {
                    let (by, id) = (world.governor_named(name), views[draw(4, views.len())].proposal.id);
                    let _ =
                        world.engine().withdraw_proposal(&world.tenant(), &by, id, world.clock.now()).await;
                }
                _ => {
                    world.clock.advance(DurationMs::from_secs(600));
                }
            }
        }
        let chain = world.engine().governance(&world.tenant(), 0, 100).await.unwrap();
        assert_eq!(chain.len(), sealed, "seed {seed}");
        assert!(sealed > 0, "seed {seed} tries nothing");
        let mut proposals = BTreeSet::new();
        for receipt in &chain {
            assert_eq!(receipt.event, GovernanceKind::PolicyActivated);
            let proposer = &receipt.proposed_by.as_ref().unwrap().proposer;
            assert!(
                proposer.actor.id != receipt.actor && proposer.at <= receipt.at,
                "seed {seed}: {receipt:?}"
            );
            assert!(proposals.insert(proposer.justification), "seed {seed}: one proposal, two artifacts");
        }
    }
}

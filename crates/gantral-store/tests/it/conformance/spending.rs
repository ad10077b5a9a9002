//! Running totals: exact, by instance, workflow and team, by month and day.

use gantral_core::ids::Name;
use gantral_core::time::UnixMillis;
use gantral_store::{
    AMOUNT_MAX, AppendOutcome, Effect, Guard, RULES_MAX, RULES_TOLD_FOR, Spending, Store, Total, Totals,
};

use crate::conformance::conformance;
use crate::world::{Chain, at, grant, team, tenant, workflow};

conformance!(
    what_is_reserved_becomes_what_it_cost,
    months_and_days_are_those_of_the_reservation,
    a_guard_of_totals_fails_after_any_change_of_either,
    what_costs_nothing_changes_no_total,
    amounts_end_at_the_largest_one,
    what_was_never_reserved_counts_nothing,
    uses_of_standing_rules_are_told_for_a_while_and_change_the_totals,
    of_too_many_standing_rules_nothing_is_told,
);

/// 2026-01-31T12:00:00Z.
const JANUARY: u64 = 1_769_860_800_000;
const DAY: u64 = 86_400_000;

async fn spending(store: &Store, chain: &Chain, at: UnixMillis) -> Spending {
    let (workflow, team) = (chain.index.workflow.clone(), chain.index.team.clone());
    store.spending(&chain.tenant, chain.id, &workflow, &team, at).await.unwrap()
}

fn reserve(amount: u64, millis: u64) -> (gantral_core::ids::GrantId, Effect) {
    let grant = grant();
    (grant, Effect::Reserve { grant, amount, at: at(millis) })
}

const fn total(spent: u64, reserved: u64) -> Total {
    Total { spent, reserved }
}

async fn what_is_reserved_becomes_what_it_cost(store: &Store) {
    let (mut one, mut other) = (Chain::new(&tenant("acme")), Chain::new(&tenant("acme")));
    let (cheaper, first) = reserve(100, JANUARY);
    let (as_much, second) = reserve(30, JANUARY);
    one.commit(store, vec![first]).await;
    other.commit(store, vec![second]).await;
    let now = at(JANUARY);
    let seen = spending(store, &one, now).await;
    assert_eq!(
        (seen.instance, seen.workflow.always, seen.team.day),
        (total(0, 100), total(0, 130), total(0, 130))
    );
    one.commit(store, vec![Effect::Settle { grant: cheaper, cost: Some(70) }]).await;
    other.commit(store, vec![Effect::Settle { grant: as_much, cost: None }]).await;
    let seen = spending(store, &one, now).await;
    assert_eq!(
        (seen.instance, seen.workflow.month, seen.team.always),
        (total(70, 0), total(100, 0), total(100, 0))
    );
    // Once only, whoever says it again.
    one.commit(store, vec![Effect::Settle { grant: cheaper, cost: Some(70) }]).await;
    assert_eq!(spending(store, &one, now).await, seen);
    let elsewhere = Chain { tenant: tenant("other"), ..one.clone() };
    assert_eq!(spending(store, &elsewhere, now).await, Spending::default());
}

async fn months_and_days_are_those_of_the_reservation(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let (january, first) = reserve(5, JANUARY);
    let (_, second) = reserve(7, JANUARY + DAY);
    chain.commit(store, vec![first, second]).await;
    chain.commit(store, vec![Effect::Settle { grant: january, cost: Some(4) }]).await;
    let then = spending(store, &chain, at(JANUARY)).await.team;
    assert_eq!((then.always, then.month, then.day), (total(4, 7), total(4, 0), total(4, 0)));
    let later = spending(store, &chain, at(JANUARY + DAY)).await.team;
    assert_eq!((later.always, later.month, later.day), (total(4, 7), total(0, 7), total(0, 7)));
}

async fn a_guard_of_totals_fails_after_any_change_of_either(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let guard = |workflow_changes, team_changes| Guard::Totals {
        workflow: workflow("refund"),
        workflow_changes,
        team: team("payments"),
        team_changes,
    };
    let append = chain.guarded(guard(0, 0));
    chain.committed(store, append).await;
    let (_, effect) = reserve(1, JANUARY);
    chain.commit(store, vec![effect]).await;
    let Spending { workflow: Totals { changes, .. }, team, .. } = spending(store, &chain, at(JANUARY)).await;
    assert_eq!((changes, team.changes), (1, 1));
    for stale in [guard(0, 0), guard(1, 0), guard(0, 1)] {
        let refused = store.append(chain.guarded(stale.clone())).await.unwrap();
        assert_eq!(refused, AppendOutcome::GuardFailed(stale));
    }
    let append = chain.guarded(guard(1, 1));
    chain.committed(store, append).await;
}

async fn what_costs_nothing_changes_no_total(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let (free, nothing) = reserve(0, JANUARY);
    chain.commit(store, vec![nothing]).await;
    let before = spending(store, &chain, at(JANUARY)).await;
    let (_, again) = reserve(0, JANUARY);
    chain.commit(store, vec![Effect::Settle { grant: free, cost: None }, again]).await;
    assert_eq!(spending(store, &chain, at(JANUARY)).await, before);
    assert_eq!(before, Spending { rules: before.rules.clone(), ..Spending::default() });
    // What was thought to cost nothing counts when it did.
    let (dearer, nothing) = reserve(0, JANUARY);
    chain.commit(store, vec![nothing]).await;
    chain.commit(store, vec![Effect::Settle { grant: dearer, cost: Some(5) }]).await;
    let after = spending(store, &chain, at(JANUARY)).await;
    assert_eq!((after.instance, after.workflow.changes), (total(5, 0), before.workflow.changes + 1));
}

async fn amounts_end_at_the_largest_one(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let (grant, first) = reserve(u64::MAX, JANUARY);
    let (_, second) = reserve(AMOUNT_MAX, JANUARY);
    chain.commit(store, vec![first, second]).await;
    assert_eq!(spending(store, &chain, at(JANUARY)).await.instance, total(0, AMOUNT_MAX));
    chain.commit(store, vec![Effect::Settle { grant, cost: Some(u64::MAX) }]).await;
    assert_eq!(spending(store, &chain, at(JANUARY)).await.instance.spent, AMOUNT_MAX);
}

async fn what_was_never_reserved_counts_nothing(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    chain.commit(store, vec![Effect::Settle { grant: grant(), cost: Some(9) }]).await;
    assert_eq!(spending(store, &chain, at(JANUARY)).await, Spending::default());
}

fn used(rule: &str, millis: u64) -> Effect {
    Effect::CountRule { rule: Name::parse(rule).unwrap(), at: at(millis) }
}

async fn uses_of_standing_rules_are_told_for_a_while_and_change_the_totals(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    let before = spending(store, &chain, at(JANUARY)).await;
    chain.commit(store, vec![used("r-2", JANUARY), used("r-1", JANUARY)]).await;
    chain.commit(store, vec![used("r-2", JANUARY + DAY)]).await;
    let told = async |chain: &Chain, millis| {
        let rules = spending(store, chain, at(millis)).await.rules.unwrap();
        rules.into_iter().map(|(rule, uses)| (rule.to_string(), uses)).collect::<Vec<_>>()
    };
    assert_eq!(told(&chain, JANUARY + DAY).await, [("r-1".to_owned(), 1), ("r-2".to_owned(), 2)]);
    let after = spending(store, &chain, at(JANUARY)).await;
    assert_eq!((after.workflow.changes, before.workflow.changes), (3, 0));
    assert_eq!(after.workflow.always, total(0, 0), "a use costs nothing");
    let later = JANUARY + RULES_TOLD_FOR.get() + 1;
    assert_eq!(told(&chain, later).await, [("r-2".to_owned(), 2)], "the other was not used for long");
    let mut elsewhere = Chain { tenant: tenant("other"), ..chain.clone() };
    assert!(told(&elsewhere, JANUARY).await.is_empty());
    elsewhere.tenant = chain.tenant.clone();
    elsewhere.index.workflow = workflow("deploy");
    assert!(told(&elsewhere, JANUARY).await.is_empty());
}

async fn of_too_many_standing_rules_nothing_is_told(store: &Store) {
    let mut chain = Chain::new(&tenant("acme"));
    for first in (0..RULES_MAX).step_by(16) {
        let rules = (first..first + 16).map(|number| used(&format!("r-{number}"), JANUARY)).collect();
        chain.commit(store, rules).await;
    }
    assert_eq!(spending(store, &chain, at(JANUARY)).await.rules.map(|rules| rules.len()), Some(RULES_MAX));
    chain.commit(store, vec![used("one-more", JANUARY)]).await;
    assert_eq!(spending(store, &chain, at(JANUARY)).await.rules, None);
}

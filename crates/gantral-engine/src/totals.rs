//! What was spent, for policies that keep a budget: told to policy, reserved with a consumption, settled with its outcome.
//!
//! Totals are exact. Whoever authorises something in a workflow that counts waits for whoever does so in the same team at that moment, and
//! commits only if the totals that policy saw still stand; so another server is excluded too.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_core::event::{Entry, Event};
use gantral_core::ids::{Name, TeamId, TenantId};
use gantral_core::json::{Number, Object, Value};
use gantral_core::state::OutcomeStatus;
use gantral_core::time::UnixMillis;
use gantral_core::workflow::Workflow;
use gantral_store::{AMOUNT_MAX, Effect, Guard, Spending, Total, Totals};
use tokio::sync::OwnedMutexGuard;

use crate::engine::Engine;
use crate::error::EngineError;
use crate::loaded::Loaded;
use crate::policy_input::InputError;

type Turn = Arc<tokio::sync::Mutex<()>>;

/// One turn for each team in which something that counts is being decided.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<(TenantId, TeamId), Turn>>);

impl Turns {
    fn of(&self, tenant: &TenantId, team: &TeamId) -> Turn {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(turns.entry((tenant.clone(), team.clone())).or_default())
    }
}

/// What was spent, as policy is told, what the action is expected to cost, and the turn in which it is decided upon.
pub(crate) struct Counted {
    spending: Spending,
    estimate: u64,
    workflow: Arc<Workflow>,
    _turn: OwnedMutexGuard<()>,
}

impl Engine {
    /// Returns what was spent, where the workflow counts it. Until it is dropped nobody else of the team decides in this process.
    ///
    /// # Errors
    /// `Input`: an estimate that is not whole, or too large; the store's.
    pub(crate) async fn counted(
        &self,
        loaded: &Loaded,
        estimate: Option<&Number>,
        now: UnixMillis,
    ) -> Result<Option<Counted>, EngineError> {
        let workflow = Arc::clone(&loaded.workflow);
        if !workflow.totals {
            return Ok(None);
        }
        let estimate = countable(estimate)?;
        let identity = &loaded.instance.identity;
        let turn = self.0.turns.of(&identity.tenant, &workflow.team).lock_owned().await;
        let store = &self.0.store;
        let spending =
            store.spending(&identity.tenant, identity.instance, &workflow.id, &workflow.team, now).await?;
        Ok(Some(Counted { spending, estimate, workflow, _turn: turn }))
    }
}

impl Counted {
    /// Returns the member of the input.
    pub(crate) fn to_input(&self) -> Object {
        told(&self.spending)
    }

    /// Returns what must still stand when something that rests on this commits.
    pub(crate) fn guard(&self) -> Guard {
        Guard::Totals {
            workflow: self.workflow.id.clone(),
            workflow_changes: self.spending.workflow.changes,
            team: self.workflow.team.clone(),
            team_changes: self.spending.team.changes,
        }
    }

    /// Returns the uses of these standing rules, where the events grant something by policy.
    pub(crate) fn uses(&self, entries: &[Entry], rules: Vec<Name>) -> Vec<Effect> {
        let granted = entries.iter().find(|entry| matches!(entry.event, Event::Allowed(_)));
        let count =
            |entry: &Entry| rules.into_iter().map(|rule| Effect::CountRule { rule, at: entry.at }).collect();
        granted.map_or_else(Vec::new, count)
    }

    /// Returns the reservations of the consumptions among these events.
    pub(crate) fn reservations(&self, entries: &[Entry]) -> Vec<Effect> {
        let reserve = |entry: &Entry| match &entry.event {
            Event::Consumed(detail) => {
                Some(Effect::Reserve { grant: detail.grant, amount: self.estimate, at: entry.at })
            }
            _ => None,
        };
        entries.iter().filter_map(reserve).collect()
    }
}

/// Returns what policy is told of what was spent.
pub(crate) fn told(spending: &Spending) -> Object {
    let one = |total: &Total| Object::new().with("reserved", total.reserved).with("spent", total.spent);
    let all =
        |totals: &Totals| one(&totals.always).with("day", one(&totals.day)).with("month", one(&totals.month));
    let rules = |used: &Vec<(Name, u64)>| {
        used.iter().fold(Object::new(), |rules, (rule, uses)| rules.with(rule.as_str(), *uses))
    };
    let totals = Object::new()
        .with("instance", one(&spending.instance))
        .with("team", all(&spending.team))
        .with("workflow", all(&spending.workflow));
    match &spending.rules {
        Some(used) => totals.with("rules", rules(used)),
        None => totals,
    }
}

/// Returns an estimate that can be counted.
fn countable(estimate: Option<&Number>) -> Result<u64, InputError> {
    let amount = estimate.map_or(Some(0), Number::as_u64).filter(|amount| *amount <= AMOUNT_MAX);
    amount.ok_or_else(|| InputError::Value {
        member: "execution.cost_estimate".to_owned(),
        expected: "a whole number of minor units, which this workflow counts",
    })
}

/// Returns the estimate of an input that was evaluated before.
pub(crate) fn estimated(input: &Value) -> Option<&Number> {
    input.get("execution")?.get("cost_estimate")?.as_number()
}

/// Returns what an outcome settles: a failure without a cost has cost nothing, a success what was expected. What nobody knows stays
/// reserved.
pub(crate) fn settled(event: &Event) -> Option<Effect> {
    let (grant, status, cost) = match event {
        Event::Outcome(outcome) => (outcome.grant?, outcome.status, outcome.cost),
        Event::Reconciled(found) => (found.grant, found.status, None),
        _ => return None,
    };
    match status {
        OutcomeStatus::Succeeded => Some(Effect::Settle { grant, cost }),
        OutcomeStatus::Failed => Some(Effect::Settle { grant, cost: Some(cost.unwrap_or(0)) }),
        OutcomeStatus::Unknown => None,
    }
}

//! What was spent: running totals for policies that keep a budget.
//!
//! A total changes in the transaction of the artifact that changes it, and only there, so that it is exact however many consume at the
//! same time. Amounts are whole minor units.

use gantral_core::ids::{InstanceId, Name, TeamId, TenantId, WorkflowId};
use gantral_core::time::{DurationMs, UnixMillis};

use crate::append::Append;
use crate::error::StoreError;
use crate::store::Store;

/// The largest amount, and the largest total: greater ones stay at it.
pub const AMOUNT_MAX: u64 = 9_007_199_254_740_991;

/// The most standing rules of one workflow whose uses are told. Where more were used lately, nothing is told of any.
pub const RULES_MAX: usize = 256;
/// For how long after its last use a standing rule is told of: longer than any that was proposed from a gate lasts.
pub const RULES_TOLD_FOR: DurationMs = DurationMs::from_secs(100 * 86_400);

/// One total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Total {
    /// What actions whose outcome is known have cost.
    pub spent: u64,
    /// What actions that were authorised are expected to cost, as long as nobody knows what came of them.
    pub reserved: u64,
}

/// The totals of one workflow or team.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Since there is a ledger.
    pub always: Total,
    /// In the month (UTC) of the instant that was asked about.
    pub month: Total,
    /// On its day (UTC).
    pub day: Total,
    /// How often any of these changed; what [`crate::Guard::Totals`] compares.
    pub changes: u64,
}

/// What was spent by one instance, and in its workflow and team.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spending {
    /// By the instance.
    pub instance: Total,
    /// In its workflow, over all versions.
    pub workflow: Totals,
    /// In the team that owns it.
    pub team: Totals,
    /// How often each standing rule that was used in the last [`RULES_TOLD_FOR`] has granted something in the workflow; `None` where more than
    /// [`RULES_MAX`] were.
    pub rules: Option<Vec<(Name, u64)>>,
}

/// Nothing was spent, and no rule used.
impl Default for Spending {
    fn default() -> Self {
        let (instance, workflow, team) = Default::default();
        Self { instance, workflow, team, rules: Some(Vec::new()) }
    }
}

/// Returns the month and the day of an instant, of UTC.
pub(crate) fn periods(at: UnixMillis) -> [String; 2] {
    let text = at.to_text();
    [7, 10].map(|length| text.chars().take(length).collect())
}

/// What is reserved for a grant, and where it counts.
pub(crate) struct Reservation {
    pub(crate) instance: InstanceId,
    pub(crate) workflow: WorkflowId,
    pub(crate) team: TeamId,
    pub(crate) amount: u64,
    pub(crate) at: UnixMillis,
}

impl Reservation {
    /// Returns what an append reserves in the totals of its instance.
    pub(crate) fn of(append: &Append, amount: u64, at: UnixMillis) -> Self {
        let (workflow, team) = (append.index.workflow.clone(), append.index.team.clone());
        Self { instance: append.instance, workflow, team, amount: amount.min(AMOUNT_MAX), at }
    }

    /// Returns the totals that change when so much is added, by kind, name and period: none where nothing is.
    pub(crate) fn places(&self, spent: u64, reserved: i64) -> Vec<(&'static str, String, String)> {
        if (spent, reserved) == (0, 0) {
            return Vec::new();
        }
        let [month, day] = periods(self.at);
        let mut places = vec![("instance", self.instance.to_string(), String::new())];
        for (kind, name) in [("workflow", self.workflow.as_str()), ("team", self.team.as_str())] {
            for period in ["", &month, &day] {
                places.push((kind, name.to_owned(), period.to_owned()));
            }
        }
        places
    }
}

impl Store {
    /// Returns what was spent until now, with the month and day of an instant.
    ///
    /// # Errors
    /// See [`StoreError`]; a read may be asked again.
    pub async fn spending(
        &self,
        tenant: &TenantId,
        instance: InstanceId,
        workflow: &WorkflowId,
        team: &TeamId,
        at: UnixMillis,
    ) -> Result<Spending, StoreError> {
        match self {
            Self::Sqlite(store) => {
                store.spending(tenant.clone(), instance, workflow.clone(), team.clone(), at).await
            }
            Self::Postgres(store) => {
                store.spending(tenant.clone(), instance, workflow.clone(), team.clone(), at).await
            }
        }
    }
}

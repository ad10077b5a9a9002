//! What two policies make of the same asks, on the screen.

use gantral_api::wire::{DiffFailure, DiffPages, Transition};

use crate::out::{FAINT, STRONG, styled};
use crate::table::table;
use gantral_core::json::text::inert;

/// What an ask may become, in the order in which it is shown.
const CLASSES: [&str; 4] = ["ALLOW", "REQUIRE_HUMAN", "DENY", "FAILED"];

/// What was counted of two policies.
pub struct Sides<'a> {
    /// What they are called here.
    pub names: [&'static str; 2],
    pub transitions: &'a [Transition],
    pub failures: &'a [DiffFailure],
    pub pages: &'a [DiffPages],
    pub left_out: u64,
}

impl Sides<'_> {
    /// Returns the parts of what is shown: matrix, what is left out, samples of what changes, failures and pages.
    pub fn parts(&self) -> Vec<String> {
        let mut parts = vec![self.matrix()];
        if self.left_out > 0 {
            parts.push(format!(
                "{} asks are left out: their input was erased or is not of this contract",
                self.left_out
            ));
        }
        let changed = self.transitions.iter().filter(|row| row.a != row.b || row.a == "FAILED");
        parts.extend(changed.map(|transition| self.samples(transition)));
        if !self.failures.is_empty() {
            parts.push(self.failures());
        }
        if !self.pages.is_empty() {
            parts.push(self.pages());
        }
        parts
    }

    /// Rows are what the first says, columns what the second says.
    fn matrix(&self) -> String {
        let count = |a: &str, b: &str| {
            let found = self.transitions.iter().find(|transition| transition.a == a && transition.b == b);
            found.map_or(0, |transition| transition.gates)
        };
        let [a, b] = self.names;
        let corner = format!("{a} \\ {b}");
        let heading = std::iter::once(corner.as_str()).chain(CLASSES).map(str::to_owned).collect();
        let rows = CLASSES.map(|a| {
            let counts = CLASSES.map(|b| count(a, b).to_string());
            std::iter::once(a.to_owned()).chain(counts).collect()
        });
        table(&std::iter::once(heading).chain(rows).collect::<Vec<Vec<String>>>())
    }

    fn samples(&self, transition: &Transition) -> String {
        let heading = format!("{} -> {}", inert(&transition.a), inert(&transition.b));
        let mut lines = vec![format!("{}: {}", styled(STRONG, heading), transition.gates)];
        for sample in &transition.samples {
            let action = inert(sample.action.as_deref().unwrap_or("(erased)"));
            let why: Vec<String> = [&sample.failure_a, &sample.failure_b]
                .into_iter()
                .zip(self.names)
                .filter_map(|(failure, side)| failure.as_ref().map(|failure| format!("{side}: {failure}")))
                .chain(sample.reasons.iter().cloned())
                .collect();
            let why = if why.is_empty() { String::new() } else { format!("  {}", inert(&why.join("; "))) };
            let (instance, at) = (sample.instance_id, styled(FAINT, sample.at));
            lines.push(format!("  {instance}  {at}  {}  {action}{why}", inert(sample.workflow_id.as_str())));
        }
        lines.join("\n")
    }

    fn failures(&self) -> String {
        let [a, b] = self.names.map(str::to_uppercase);
        let mut rows = vec![vec!["FAILURE".to_owned(), a, b]];
        rows.extend(
            self.failures.iter().map(|row| vec![inert(&row.failure), row.a.to_string(), row.b.to_string()]),
        );
        table(&rows)
    }

    fn pages(&self) -> String {
        let [a, b] = self.names.map(str::to_uppercase);
        let (a_day, b_day) = (format!("{a} A DAY"), format!("{b} A DAY"));
        let mut rows = vec![vec!["PAGES".to_owned(), a, b, a_day, b_day]];
        let tenths = |tenths: u64| format!("{}.{}", tenths / 10, tenths % 10);
        rows.extend(self.pages.iter().map(|row| {
            let role = inert(&row.role.to_string());
            let days = [tenths(row.a_per_day_tenths), tenths(row.b_per_day_tenths)];
            [vec![role, row.a.to_string(), row.b.to_string()], days.to_vec()].concat()
        }));
        table(&rows)
    }
}

/// Puts parts below each other.
pub fn joined(parts: impl IntoIterator<Item = String>) -> String {
    parts.into_iter().map(|part| part.trim_end().to_owned()).collect::<Vec<_>>().join("\n\n")
}

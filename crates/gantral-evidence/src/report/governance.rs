//! What the governance chain shows, as people and programs read it.

use alloc::format;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use gantral_core::json::{Object, Value};

use super::Line;
use crate::verify::GovernanceAssurance;

/// Returns what the governance chain shows, in words.
pub(super) fn governance_lines(governance: &GovernanceAssurance) -> Vec<Line> {
    let GovernanceAssurance { artifacts, checked, unchecked, unnamed, erased, .. } = governance;
    let all = checked.saturating_add(*unchecked).saturating_add(*unnamed);
    let mut lines = Vec::new();
    if all > 0 {
        let text = if *checked == all {
            "for every action: nothing was frozen, and its policy was the one in force".to_string()
        } else if *checked > 0 {
            format!(
                "for {checked} of {all} actions: nothing was frozen, and their policy was the one in force"
            )
        } else {
            "not proved: no governance chain in the bundle shows it".to_string()
        };
        lines.push(Line::new("in force", text));
    }
    if *artifacts > 0 {
        lines.push(Line::new("", format!("{artifacts} artifacts of the governance chain verified")));
    }
    if *erased > 0 {
        let text = format!("what stood behind {erased} commitments was erased by right");
        lines.push(Line::new("erased", text));
    }
    lines
}

/// Returns what the governance chain shows, for programs.
pub(super) fn governance_value(governance: &GovernanceAssurance) -> Value {
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let keys: Vec<Value> = governance.doubted_keys.iter().map(|key| Value::from(key.to_string())).collect();
    let object = Object::new()
        .with("artifacts", number(governance.artifacts))
        .with("checked", number(governance.checked))
        .with("doubted_keys", keys)
        .with("erased", number(governance.erased))
        .with("unchecked", number(governance.unchecked))
        .with("unnamed", number(governance.unnamed));
    Value::Object(object)
}

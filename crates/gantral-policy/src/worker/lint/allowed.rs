//! Sets of values that a condition lets through, and whether two of them have anything in common.

use std::cmp::Ordering;

use serde_json::Value;

/// The values of one subject with which a condition holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Allowed {
    /// Exactly these.
    OneOf(Vec<Value>),
    /// Every defined value but these.
    NoneOf(Vec<Value>),
    /// Those above a bound, in the order that Rego gives all values; with the bound itself where `true`.
    Above(Value, bool),
    /// Those below a bound.
    Below(Value, bool),
}

impl Allowed {
    /// Returns the defined values that this does not let through.
    pub(super) fn complement(self) -> Self {
        match self {
            Self::OneOf(values) => Self::NoneOf(values),
            Self::NoneOf(values) => Self::OneOf(values),
            Self::Above(bound, inclusive) => Self::Below(bound, !inclusive),
            Self::Below(bound, inclusive) => Self::Above(bound, !inclusive),
        }
    }

    /// Tells whether no value passes both. Says no wherever it does not know.
    pub(super) fn is_disjoint(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::OneOf(values), other) | (other, Self::OneOf(values)) => {
                values.iter().all(|value| !other.admits(value))
            }
            (Self::Above(low, low_included), Self::Below(high, high_included))
            | (Self::Below(high, high_included), Self::Above(low, low_included)) => match order(low, high) {
                Some(Ordering::Greater) => true,
                Some(Ordering::Equal) => !(*low_included && *high_included),
                Some(Ordering::Less) | None => false,
            },
            (Self::NoneOf(_) | Self::Above(..), Self::NoneOf(_) | Self::Above(..))
            | (Self::NoneOf(_) | Self::Below(..), Self::NoneOf(_) | Self::Below(..)) => false,
        }
    }

    fn admits(&self, value: &Value) -> bool {
        let among =
            |values: &[Value]| values.iter().any(|other| order(other, value) == Some(Ordering::Equal));
        match self {
            Self::OneOf(values) => among(values),
            Self::NoneOf(values) => !among(values),
            Self::Above(bound, inclusive) => match order(value, bound) {
                Some(Ordering::Equal) => *inclusive,
                Some(Ordering::Greater) | None => true,
                Some(Ordering::Less) => false,
            },
            Self::Below(bound, inclusive) => match order(value, bound) {
                Some(Ordering::Equal) => *inclusive,
                Some(Ordering::Less) | None => true,
                Some(Ordering::Greater) => false,
            },
        }
    }
}

/// Compares two values as Rego does; `None` for two different collections of one kind.
pub(super) fn order(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64()?.partial_cmp(&b.as_f64()?),
        (Value::String(a), Value::String(b)) => Some(a.cmp(b)),
        _ if kind(a) != kind(b) => Some(kind(a).cmp(&kind(b))),
        _ => (a == b).then_some(Ordering::Equal),
    }
}

/// The place of a value's kind in the order of all values.
const fn kind(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_without_a_common_value_are_disjoint_from_both_sides() {
        let one_of = |values: Value| Allowed::OneOf(values.as_array().unwrap().clone());
        let above = |bound: i32| Allowed::Above(json!(bound), false);
        let from = |bound: i32| Allowed::Above(json!(bound), true);
        let below = |bound: i32| Allowed::Below(json!(bound), false);
        let upto = |bound: i32| Allowed::Below(json!(bound), true);
        for (a, b, expect) in [
            (one_of(json!(["a", "b"])), one_of(json!(["c"])), true),
            (one_of(json!(["a", "b"])), one_of(json!(["b"])), false),
            (one_of(json!([1])), one_of(json!([1.0])), false),
            (one_of(json!(["a"])), one_of(json!(["a"])).complement(), true),
            (one_of(json!(["a"])), one_of(json!(["b"])).complement(), false),
            (one_of(json!([5])), above(5), true),
            (one_of(json!([5])), from(5), false),
            // Rego orders texts after numbers.
            (one_of(json!(["a"])), above(5), false),
            (one_of(json!(["a"])), below(5), true),
            (above(5), upto(5), true),
            (from(5), upto(5), false),
            (above(7), below(5), true),
            (above(5), below(7), false),
            (above(5), above(7), false),
            (above(5), one_of(json!([9])).complement(), false),
        ] {
            assert_eq!((a.is_disjoint(&b), b.is_disjoint(&a)), (expect, expect), "{a:?} {b:?}");
        }
    }
}

//! What is said at once of what was gathered.

use std::collections::HashMap;

use gantral_core::ids::Name;
use gantral_store::Gathered;

/// The most gates and proposals that one digest speaks of: so many fit into a message of every chat, and are read. The others follow.
pub(crate) const DIGEST_MAX: usize = 30;

/// What a digest is made of.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Composed {
    /// The newest message about each thing that it speaks of, in the order in which these were first told.
    pub said: Vec<Gathered>,
    /// Every message about these.
    pub told: Vec<Gathered>,
    /// Messages about things that nobody has to hear of any more.
    pub left_out: Vec<Gathered>,
}

/// Puts a digest together. With `leave_out`, what was decided, withdrawn or cancelled meanwhile is left out, unless an earlier message
/// spoke of it and this one says how it ended.
pub(crate) fn compose(gathered: Vec<Gathered>, leave_out: bool) -> Composed {
    let mut groups: Vec<Vec<Gathered>> = Vec::new();
    let mut places: HashMap<[u8; 16], usize> = HashMap::new();
    for item in gathered {
        let place = *places.entry(*item.row.about.subject()).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(item),
            None => groups.push(vec![item]),
        }
    }
    let mut composed = Composed::default();
    for group in groups {
        if leave_out && is_over(&group) {
            composed.left_out.extend(group);
        } else if composed.said.len() < DIGEST_MAX {
            composed.said.extend(group.last().cloned());
            composed.told.extend(group);
        }
    }
    composed
}

/// Tells whether nobody has to hear of something any more.
fn is_over(group: &[Gathered]) -> bool {
    let Some(newest) = group.last() else { return true };
    let Some(ended) = &newest.ended else { return false };
    if newest.row.resolution.is_none() {
        // It asks for what has been done, or cannot be done any more.
        return true;
    }
    let is_news = group.iter().any(|item| item.row.kind.as_str().ends_with(".opened"));
    is_news && !expired(ended)
}

/// Tells whether nobody decided in time: that is news also to those who never heard of it.
fn expired(ended: &Name) -> bool {
    ended.as_str() == "timeout"
}

#[cfg(test)]
mod tests;

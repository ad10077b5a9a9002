//! The members of a JSON object, kept in canonical order.

use alloc::string::String;
use alloc::vec::Vec;
use core::cmp::Ordering;

use super::Value;

/// The members of an object, always in the order of RFC 8785 §3.2.3, so that lookup is a binary search, writing is one
/// pass, and two objects with the same members are equal however they were spelled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Object(Vec<(String, Value)>);

impl Object {
    /// Returns an object without members.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Takes members in any order; fails if two have one name.
    pub(super) fn from_unordered(mut members: Vec<(String, Value)>) -> Option<Self> {
        let ascending = |(a, b): (&(String, Value), &(String, Value))| compare_names(&a.0, &b.0).is_lt();
        if !members.iter().zip(members.iter().skip(1)).all(ascending) {
            members.sort_by(|a, b| compare_names(&a.0, &b.0));
            if !members.iter().zip(members.iter().skip(1)).all(ascending) {
                return None;
            }
        }
        Some(Self(members))
    }

    fn find(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(other, _)| compare_names(other, name))
    }

    /// Returns the value of a member.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let at = self.find(name).ok()?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Sets a member; returns the value that it replaced.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Value>) -> Option<Value> {
        let (name, value) = (name.into(), value.into());
        match self.find(&name) {
            Ok(at) => self.0.get_mut(at).map(|(_, old)| core::mem::replace(old, value)),
            Err(at) => {
                self.0.insert(at, (name, value));
                None
            }
        }
    }

    /// Sets a member and returns the object, for building one in an expression.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.insert(name, value);
        self
    }

    /// Removes a member and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<Value> {
        self.find(name).ok().map(|at| self.0.remove(at).1)
    }

    /// Iterates over the members in canonical order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Value)> + DoubleEndedIterator {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// Iterates over the names in canonical order.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> + DoubleEndedIterator {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Says whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl IntoIterator for Object {
    type Item = (String, Value);
    type IntoIter = alloc::vec::IntoIter<(String, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

/// Compares names by UTF-16 code units (RFC 8785 §3.2.3) without encoding them.
///
/// UTF-8 bytes sort by code point. UTF-16 differs in one place: surrogates (U+10000 and up, first byte F0 to F4) come
/// before U+E000 to U+FFFF (first byte EE or EF). Two names first differ either at the first byte of a character in
/// both, or inside a character whose first bytes are equal; so lifting EE and EF above F4 is enough.
pub(super) fn compare_names(a: &str, b: &str) -> Ordering {
    let lifted = |byte: &u8| if matches!(byte, 0xee | 0xef) { byte + 0x10 } else { *byte };
    a.bytes()
        .zip(b.bytes())
        .find(|(a, b)| a != b)
        .map_or_else(|| a.len().cmp(&b.len()), |(a, b)| lifted(&a).cmp(&lifted(&b)))
}

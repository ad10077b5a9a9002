//! Members of an object as they were written, and where.

use std::collections::HashSet;
use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// The members of an object, in their order, each value as it was written.
#[derive(Debug)]
pub struct Members<'a>(Vec<(String, &'a RawValue)>);

/// Why a text has no members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MembersError {
    /// It is not one JSON object.
    NotAnObject,
    /// Two members have one name: readers differ in which of them counts.
    Twice,
}

/// Takes an object apart.
pub fn members(text: &str) -> Result<Members<'_>, MembersError> {
    let found: Members<'_> = serde_json::from_str(text).map_err(|_| MembersError::NotAnObject)?;
    let mut seen = HashSet::with_capacity(found.0.len());
    if found.names().all(|name| seen.insert(name)) { Ok(found) } else { Err(MembersError::Twice) }
}

/// Takes an object apart of which it is not minded that a member is there twice.
pub fn any_members(text: &str) -> Option<Members<'_>> {
    serde_json::from_str(text).ok()
}

/// Returns where a part that was read out of a text stands in it.
pub fn span(text: &str, part: &str) -> Option<Range<usize>> {
    let start = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = start.checked_add(part.len())?;
    (text.get(start..end)? == part).then_some(start..end)
}

/// Returns an object with the value at a path replaced or added, objects on the way included; the rest stays byte for byte. `None` where
/// something on the way is no object.
pub fn with_value(text: &str, path: &[&str], value: &str) -> Option<String> {
    let Some((name, below)) = path.split_first() else { return Some(value.to_owned()) };
    let found = members(text).ok()?;
    if let Some(old) = found.last(name) {
        let place = span(text, old)?;
        let new = with_value(old, below, value)?;
        return Some([text.get(..place.start)?, &new, text.get(place.end..)?].concat());
    }
    let close = text.rfind('}')?;
    let comma = if found.names().next().is_some() { "," } else { "" };
    let new = with_value("{}", below, value)?;
    let name = crate::call::quoted(name);
    Some([text.get(..close)?, comma, &name, ":", &new, text.get(close..)?].concat())
}

impl<'a> Members<'a> {
    /// Returns the value under a name.
    pub fn last(&self, name: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value.get())
    }

    /// Returns the names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// Returns names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.get()))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, formatter: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    found.push(entry);
                }
                Ok(found)
            }
        }
        deserializer.deserialize_map(Reader).map(Members)
    }
}

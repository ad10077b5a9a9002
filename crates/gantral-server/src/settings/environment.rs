//! What the environment says in place of the configuration file.
//!
//! `GANTRAL__STORE__URL` is `store.url`, `GANTRAL__LOG__WITNESSES__0__CA_FILE` that of the first witness: what follows the prefix is the
//! path of a member in small letters, with two underscores for each dot. A value that is one in TOML is that (`true`, `40`, `["acme"]`), and
//! text otherwise; quotes make it text in any case. A name that is not of small letters, digits and underscores is said in the file only.

use std::collections::BTreeMap;
use std::ffi::OsString;

use toml::{Table, Value};

/// What the names of such variables begin with. One underscore is for variables that no file has.
const PREFIX: &str = "GANTRAL__";

/// Why a variable says nothing. Its value is not shown: somebody may have put a secret there.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum VariableError {
    /// The name leads nowhere.
    #[error("the variable `{variable}` is no path: `{prefix}` and names, with two underscores between them", prefix = PREFIX)]
    Name {
        /// The variable.
        variable: String,
    },
    /// The value is not text.
    #[error("the value of the variable `{variable}` is not UTF-8")]
    Text {
        /// The variable.
        variable: String,
    },
    /// The file has something else in the way.
    #[error("the variable `{variable}` leads into `{member}`, which holds no members")]
    InTheWay {
        /// The variable.
        variable: String,
        /// The path up to there.
        member: String,
    },
    /// A list has no such place.
    #[error(
        "the variable `{variable}` names place {place} of `{member}`, which has {length}: places are counted from 0"
    )]
    NoPlace {
        /// The variable.
        variable: String,
        /// The list.
        member: String,
        /// As it was written.
        place: String,
        /// How many it has.
        length: usize,
    },
    /// What is said cannot be.
    #[error("the variable `{variable}` cannot stand for `{member}`: {reason}")]
    Value {
        /// The variable.
        variable: String,
        /// The member.
        member: String,
        /// Why not.
        reason: String,
    },
}

/// Which variable said each member, by its path.
#[derive(Debug, Default)]
pub(super) struct Said(BTreeMap<String, String>);

impl Said {
    /// Tells whether the file stands as it is.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the variable that is behind an error about a member: one that said it, or something in it.
    pub(super) fn behind(&self, member: &str) -> Option<&str> {
        let inside = |path: &str| {
            path.strip_prefix(member).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        self.0.iter().find(|(path, _)| inside(path)).map(|(_, variable)| variable.as_str())
    }
}

/// Puts what the environment says into a configuration.
///
/// # Errors
/// `VariableError`, naming the variable.
pub(super) fn apply(
    table: &mut Table,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<Said, VariableError> {
    let mut ours = BTreeMap::new();
    for (name, value) in environment {
        let Ok(variable) = name.into_string() else { continue };
        if variable.starts_with(PREFIX) {
            ours.insert(variable, value);
        }
    }
    let mut said = Said::default();
    // By their names, so that a list stands before its places do.
    for (variable, value) in ours {
        let Ok(text) = value.into_string() else { return Err(VariableError::Text { variable }) };
        let path = variable.strip_prefix(PREFIX).unwrap_or_default().to_ascii_lowercase();
        let names: Vec<&str> = path.split("__").collect();
        if names.iter().any(|name| name.is_empty() || name.starts_with('_')) {
            return Err(VariableError::Name { variable });
        }
        put(table, &names, value_of(&text), &variable)?;
        said.0.insert(names.join("."), variable);
    }
    Ok(said)
}

fn put(table: &mut Table, names: &[&str], value: Value, variable: &str) -> Result<(), VariableError> {
    let Some(((last, way), (first, rest))) = names.split_last().zip(names.split_first()) else {
        return Ok(());
    };
    if way.is_empty() {
        table.insert((*last).to_owned(), value);
        return Ok(());
    }
    let mut place = table.entry((*first).to_owned()).or_insert_with(|| Value::Table(Table::new()));
    for (index, name) in rest.iter().enumerate() {
        let (variable, is_last) = (variable.to_owned(), index + 1 == rest.len());
        let member = || names.get(..=index).unwrap_or_default().join(".");
        place = match place {
            Value::Table(inside) if is_last => {
                inside.insert((*name).to_owned(), value);
                return Ok(());
            }
            Value::Table(inside) => {
                inside.entry((*name).to_owned()).or_insert_with(|| Value::Table(Table::new()))
            }
            Value::Array(items) => {
                let length = items.len();
                let found = name.parse::<usize>().ok().and_then(|place| items.get_mut(place));
                let missing = || VariableError::NoPlace {
                    variable,
                    member: member(),
                    place: (*name).to_owned(),
                    length,
                };
                let found = found.ok_or_else(missing)?;
                if is_last {
                    *found = value;
                    return Ok(());
                }
                found
            }
            _ => return Err(VariableError::InTheWay { variable, member: member() }),
        };
    }
    Ok(())
}

/// Reads a value as TOML where it is one, and as text otherwise.
fn value_of(text: &str) -> Value {
    let read = toml::from_str::<Table>(&format!("value = {text}")).ok();
    // A value with a line of its own behind it is none.
    let only = read.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    match only {
        // No member is a date: what looks like one is text.
        None | Some(Value::Datetime(_)) => Value::String(text.to_owned()),
        Some(value) => value,
    }
}

#[cfg(test)]
mod tests;

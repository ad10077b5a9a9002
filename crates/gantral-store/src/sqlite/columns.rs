//! The columns of a row of SQLite.

use rusqlite::Row;
use rusqlite::types::Type;

pub(super) use crate::columns::{
    Cells, count, digest, instance, instant, int, joined, maybe_digest, maybe_instant, millis, name, rows,
    salt, split, text,
};

/// A stored column that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("column {index}: {reason}")]
struct Damage {
    index: usize,
    reason: String,
}

impl Cells for Row<'_> {
    type Fault = rusqlite::Error;

    fn damage(index: usize, reason: impl ToString) -> rusqlite::Error {
        let damage = Damage { index, reason: reason.to_string() };
        rusqlite::Error::FromSqlConversionFailure(index, Type::Null, Box::new(damage))
    }

    fn is_null(&self, index: usize) -> rusqlite::Result<bool> {
        Ok(self.get_ref(index)?.data_type() == Type::Null)
    }

    fn int(&self, index: usize) -> rusqlite::Result<i64> {
        self.get(index)
    }

    fn flag(&self, index: usize) -> rusqlite::Result<bool> {
        self.get(index)
    }

    fn str(&self, index: usize) -> rusqlite::Result<&str> {
        Ok(self.get_ref(index)?.as_str()?)
    }

    fn blob(&self, index: usize) -> rusqlite::Result<&[u8]> {
        Ok(self.get_ref(index)?.as_blob()?)
    }
}

/// Returns names as the list that `json_each` takes apart; no name needs an escape.
pub(super) fn json(names: &[impl std::fmt::Display]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", quoted.join(","))
}

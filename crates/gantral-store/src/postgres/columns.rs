//! The columns of a row of PostgreSQL.

use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, Type};

use super::writer::Fail;
pub(super) use crate::columns::{
    Cells, array, count, digest, instance, instant, int, joined, maybe_digest, maybe_instant, millis, name,
    rows, salt, small, text, uuid,
};

impl Cells for Row {
    type Fault = Fail;

    fn damage(index: usize, reason: impl ToString) -> Fail {
        Fail::Damaged(format!("column {index}: {}", reason.to_string()))
    }

    fn is_null(&self, index: usize) -> Result<bool, Fail> {
        Ok(get::<Option<Present>>(self, index)?.is_none())
    }

    fn int(&self, index: usize) -> Result<i64, Fail> {
        get(self, index)
    }

    fn flag(&self, index: usize) -> Result<bool, Fail> {
        get(self, index)
    }

    fn str(&self, index: usize) -> Result<&str, Fail> {
        get(self, index)
    }

    fn blob(&self, index: usize) -> Result<&[u8], Fail> {
        get(self, index)
    }
}

/// Reads a column as it is.
pub(super) fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, Fail> {
    row.try_get(index).map_err(|error| Row::damage(index, super::writer::reason(&error)))
}

/// Returns the element at the place that a column names, from 0: of whoever asked for the row, among several.
pub(super) fn placed<'a, T>(all: &'a mut [T], row: &Row, index: usize) -> Result<&'a mut T, Fail> {
    let place = usize::try_from(get::<i64>(row, index)?).ok();
    place
        .and_then(|place| all.get_mut(place))
        .ok_or(Fail::Contradiction("a row was answered that nobody asked for"))
}

/// Stands for a value of any type that is there.
struct Present;

impl<'a> FromSql<'a> for Present {
    fn from_sql(_: &Type, _: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Self)
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Returns names as the list that `= ANY` looks through.
pub(super) fn names(names: &[impl ToString]) -> Vec<String> {
    names.iter().map(ToString::to_string).collect()
}

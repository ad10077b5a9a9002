//! Values that are encoded before they are sent, so that whoever gives them need not keep them.

use bytes::{BufMut as _, BytesMut};
use tokio_postgres::Statement;
use tokio_postgres::types::{IsNull, Kind, ToSql, Type, to_sql_checked};

use super::db::Param;
use super::writer::Fail;

const NOT_OF_ITS_TYPE: Fail = Fail::Contradiction("a parameter of a statement is not of its type");

/// One value as the server reads it; nothing for a null.
#[derive(Debug)]
pub(super) struct Encoded(Option<BytesMut>);

impl Encoded {
    /// Encodes the parameters of a statement.
    pub(super) fn all(statement: &Statement, params: &[Param<'_>]) -> Result<Vec<Self>, Fail> {
        Self::of_kinds(statement, params, |kind| Ok(kind))
    }

    /// Encodes one row for a statement that takes arrays: an element for each of them.
    pub(super) fn row(statement: &Statement, params: &[Param<'_>]) -> Result<Vec<Self>, Fail> {
        Self::of_kinds(statement, params, element)
    }

    /// Encodes each value as the type that `of` makes of that of its parameter.
    fn of_kinds(
        statement: &Statement,
        params: &[Param<'_>],
        of: fn(&Type) -> Result<&Type, Fail>,
    ) -> Result<Vec<Self>, Fail> {
        if statement.params().len() != params.len() {
            return Err(Fail::Contradiction("a statement has other parameters than it was given"));
        }
        statement.params().iter().zip(params).map(|(kind, param)| Self::new(of(kind)?, *param)).collect()
    }

    /// Returns the columns of rows that have `width` values each: the parameters of a statement that takes arrays.
    pub(super) fn columns(rows: &[Vec<Self>], width: usize) -> Vec<Vec<&Self>> {
        (0..width).map(|place| rows.iter().filter_map(|row| row.get(place)).collect()).collect()
    }

    fn new(kind: &Type, param: Param<'_>) -> Result<Self, Fail> {
        let mut bytes = BytesMut::new();
        match param.to_sql_checked(kind, &mut bytes) {
            Ok(IsNull::No) => Ok(Self(Some(bytes))),
            Ok(IsNull::Yes) => Ok(Self(None)),
            Err(_) => Err(NOT_OF_ITS_TYPE),
        }
    }
}

/// Returns of what an array consists.
fn element(kind: &Type) -> Result<&Type, Fail> {
    match kind.kind() {
        Kind::Array(element) => Ok(element),
        _ => Err(NOT_OF_ITS_TYPE),
    }
}

impl ToSql for Encoded {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let Some(bytes) = &self.0 else { return Ok(IsNull::Yes) };
        out.put_slice(bytes);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

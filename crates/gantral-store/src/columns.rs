//! Values to columns and back, whatever database keeps them. A column that does not parse is damage, never a default.

use std::borrow::Cow;

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{AttemptNo, IdError, InstanceId, Name, Role};
use gantral_core::time::UnixMillis;

use crate::packed::unpack;

/// One row of an answer. Columns are counted from 0.
pub(crate) trait Cells {
    /// Why a column could not be read.
    type Fault;

    /// Returns the fault of a column that holds what it may not.
    fn damage(index: usize, reason: impl ToString) -> Self::Fault;
    /// Tells whether a column of any type is null.
    fn is_null(&self, index: usize) -> Result<bool, Self::Fault>;
    /// Reads a whole number.
    fn int(&self, index: usize) -> Result<i64, Self::Fault>;
    /// Reads a flag.
    fn flag(&self, index: usize) -> Result<bool, Self::Fault>;
    /// Reads a text.
    fn str(&self, index: usize) -> Result<&str, Self::Fault>;
    /// Reads bytes.
    fn blob(&self, index: usize) -> Result<&[u8], Self::Fault>;
}

/// Returns the integer column for a count. Counts are bounded far below the limit; one above it is stored as the limit.
pub(crate) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Returns the integer column for an instant.
pub(crate) fn millis(at: UnixMillis) -> i64 {
    int(at.get())
}

/// Returns the integer column for a row limit.
pub(crate) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Writes roles as one text; no role contains a space.
pub(crate) fn joined(roles: &[Role]) -> String {
    roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")
}

/// Reads what `read` reads, where the column is not null.
pub(crate) fn maybe<R: Cells, T>(
    row: &R,
    index: usize,
    read: impl FnOnce(&R, usize) -> Result<T, R::Fault>,
) -> Result<Option<T>, R::Fault> {
    if row.is_null(index)? { Ok(None) } else { read(row, index).map(Some) }
}

pub(crate) fn count<R: Cells>(row: &R, index: usize) -> Result<u64, R::Fault> {
    small(row, index)
}

/// Reads a number that has a narrower range than its column.
pub(crate) fn small<R: Cells, T: TryFrom<i64, Error: ToString>>(
    row: &R,
    index: usize,
) -> Result<T, R::Fault> {
    T::try_from(row.int(index)?).map_err(|error| R::damage(index, error))
}

pub(crate) fn instant<R: Cells>(row: &R, index: usize) -> Result<UnixMillis, R::Fault> {
    UnixMillis::new(count(row, index)?).map_err(|error| R::damage(index, error))
}

pub(crate) fn maybe_instant<R: Cells>(row: &R, index: usize) -> Result<Option<UnixMillis>, R::Fault> {
    maybe(row, index, instant)
}

pub(crate) fn string<R: Cells>(row: &R, index: usize) -> Result<String, R::Fault> {
    row.str(index).map(str::to_owned)
}

/// Reads an envelope from the column that [`pack`](crate::packed::pack) made of it.
pub(crate) fn envelope<R: Cells>(row: &R, index: usize) -> Result<Vec<u8>, R::Fault> {
    let found = unpack(row.blob(index)?);
    found.map(Cow::into_owned).ok_or_else(|| R::damage(index, "an envelope that ends early"))
}

pub(crate) fn bytes<R: Cells>(row: &R, index: usize) -> Result<Vec<u8>, R::Fault> {
    row.blob(index).map(<[u8]>::to_vec)
}

/// Reads exactly so many bytes.
pub(crate) fn array<R: Cells, const N: usize>(row: &R, index: usize) -> Result<[u8; N], R::Fault> {
    row.blob(index)?.try_into().map_err(|error| R::damage(index, error))
}

pub(crate) fn digest<R: Cells>(row: &R, index: usize) -> Result<Digest, R::Fault> {
    array(row, index).map(Digest::from_bytes)
}

pub(crate) fn maybe_digest<R: Cells>(row: &R, index: usize) -> Result<Option<Digest>, R::Fault> {
    maybe(row, index, digest)
}

pub(crate) fn salt<R: Cells>(row: &R, index: usize) -> Result<Salt, R::Fault> {
    array(row, index).map(Salt::from_bytes)
}

pub(crate) fn attempt<R: Cells>(row: &R, index: usize) -> Result<AttemptNo, R::Fault> {
    small(row, index).map(AttemptNo)
}

pub(crate) fn instance<R: Cells>(row: &R, index: usize) -> Result<InstanceId, R::Fault> {
    uuid(row, index, InstanceId::from_bytes)
}

/// Reads sixteen bytes as the identifier that `wrap` checks.
pub(crate) fn uuid<R: Cells, T>(
    row: &R,
    index: usize,
    wrap: fn([u8; 16]) -> Result<T, IdError>,
) -> Result<T, R::Fault> {
    wrap(array(row, index)?).map_err(|error| R::damage(index, error))
}

/// Reads a text as the identifier that `parse` checks.
pub(crate) fn text<R: Cells, T>(
    row: &R,
    index: usize,
    parse: fn(&str) -> Result<T, IdError>,
) -> Result<T, R::Fault> {
    parse(row.str(index)?).map_err(|error| R::damage(index, error))
}

/// Reads a text that may be null.
pub(crate) fn maybe_text<R: Cells, T>(
    row: &R,
    index: usize,
    parse: fn(&str) -> Result<T, IdError>,
) -> Result<Option<T>, R::Fault> {
    maybe(row, index, |row, index| text(row, index, parse))
}

pub(crate) fn name<R: Cells>(row: &R, index: usize) -> Result<Name, R::Fault> {
    text(row, index, Name::parse)
}

pub(crate) fn label<R: Cells>(row: &R, index: usize) -> Result<CommitmentLabel, R::Fault> {
    CommitmentLabel::parse(row.str(index)?).ok_or_else(|| R::damage(index, "not a commitment label"))
}

/// Reads roles that were written as one text.
pub(crate) fn split<R: Cells>(row: &R, index: usize) -> Result<Vec<Role>, R::Fault> {
    let roles = row.str(index)?.split(' ').filter(|role| !role.is_empty()).map(Role::parse);
    roles.collect::<Result<_, _>>().map_err(|error| R::damage(index, error))
}

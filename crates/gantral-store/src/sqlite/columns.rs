//! Values to columns and back. A column that does not parse is damage, never a default.

use gantral_core::digest::{CommitmentLabel, Digest, Salt};
use gantral_core::ids::{AttemptNo, IdError, InstanceId, Name, Role};
use gantral_core::time::UnixMillis;
use rusqlite::Row;
use rusqlite::types::Type;

/// A stored column that does not parse.
#[derive(Debug, thiserror::Error)]
#[error("column {index}: {reason}")]
struct Damage {
    index: usize,
    reason: String,
}

fn damage(index: usize, kind: Type, reason: impl ToString) -> rusqlite::Error {
    let damage = Damage { index, reason: reason.to_string() };
    rusqlite::Error::FromSqlConversionFailure(index, kind, Box::new(damage))
}

/// Returns the integer column for a count. Counts are bounded far below the limit; one above it is stored as the limit.
pub(super) fn int(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Returns the integer column for an instant.
pub(super) fn millis(at: UnixMillis) -> i64 {
    int(at.get())
}

/// Returns the integer column for a row limit.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

pub(super) fn count(row: &Row<'_>, index: usize) -> rusqlite::Result<u64> {
    u64::try_from(row.get::<_, i64>(index)?).map_err(|error| damage(index, Type::Integer, error))
}

pub(super) fn instant(row: &Row<'_>, index: usize) -> rusqlite::Result<UnixMillis> {
    UnixMillis::new(count(row, index)?).map_err(|error| damage(index, Type::Integer, error))
}

pub(super) fn maybe_instant(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<UnixMillis>> {
    if is_null(row, index)? { Ok(None) } else { instant(row, index).map(Some) }
}

pub(super) fn digest(row: &Row<'_>, index: usize) -> rusqlite::Result<Digest> {
    row.get(index).map(Digest::from_bytes)
}

pub(super) fn maybe_digest(row: &Row<'_>, index: usize) -> rusqlite::Result<Option<Digest>> {
    Ok(row.get::<_, Option<[u8; 32]>>(index)?.map(Digest::from_bytes))
}

pub(super) fn salt(row: &Row<'_>, index: usize) -> rusqlite::Result<Salt> {
    row.get(index).map(Salt::from_bytes)
}

pub(super) fn attempt(row: &Row<'_>, index: usize) -> rusqlite::Result<AttemptNo> {
    row.get(index).map(AttemptNo)
}

pub(super) fn instance(row: &Row<'_>, index: usize) -> rusqlite::Result<InstanceId> {
    uuid(row, index, InstanceId::from_bytes)
}

/// Reads sixteen bytes as the identifier that `wrap` checks.
pub(super) fn uuid<T>(
    row: &Row<'_>,
    index: usize,
    wrap: fn([u8; 16]) -> Result<T, IdError>,
) -> rusqlite::Result<T> {
    wrap(row.get(index)?).map_err(|error| damage(index, Type::Blob, error))
}

/// Reads a text as the identifier that `parse` checks.
pub(super) fn text<T>(
    row: &Row<'_>,
    index: usize,
    parse: fn(&str) -> Result<T, IdError>,
) -> rusqlite::Result<T> {
    parse(row.get_ref(index)?.as_str()?).map_err(|error| damage(index, Type::Text, error))
}

pub(super) fn name(row: &Row<'_>, index: usize) -> rusqlite::Result<Name> {
    text(row, index, Name::parse)
}

/// Returns names as the list that `json_each` takes apart; no name needs an escape.
pub(super) fn json(names: &[impl std::fmt::Display]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("\"{name}\"")).collect();
    format!("[{}]", quoted.join(","))
}

/// Reads a text that may be null.
pub(super) fn maybe_text<T>(
    row: &Row<'_>,
    index: usize,
    parse: fn(&str) -> Result<T, IdError>,
) -> rusqlite::Result<Option<T>> {
    if is_null(row, index)? { Ok(None) } else { text(row, index, parse).map(Some) }
}

pub(super) fn label(row: &Row<'_>, index: usize) -> rusqlite::Result<CommitmentLabel> {
    let text = row.get_ref(index)?.as_str()?;
    CommitmentLabel::parse(text).ok_or_else(|| damage(index, Type::Text, "not a commitment label"))
}

/// Writes roles as one text; no role contains a space.
pub(super) fn joined(roles: &[Role]) -> String {
    roles.iter().map(Role::as_str).collect::<Vec<_>>().join(" ")
}

pub(super) fn split(row: &Row<'_>, index: usize) -> rusqlite::Result<Vec<Role>> {
    let text = row.get_ref(index)?.as_str()?;
    text.split(' ')
        .filter(|role| !role.is_empty())
        .map(|role| Role::parse(role).map_err(|error| damage(index, Type::Text, error)))
        .collect()
}

pub(super) fn is_null(row: &Row<'_>, index: usize) -> rusqlite::Result<bool> {
    Ok(row.get_ref(index)?.data_type() == Type::Null)
}

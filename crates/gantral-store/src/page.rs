//! Filters, cursors and pages of lists.

use std::fmt;
use std::str::FromStr;

use gantral_core::ids::{Name, Role, SessionId, TeamId, WorkflowId};
use gantral_core::time::UnixMillis;

use crate::append::StateCode;

/// The most rows of one page; a larger limit gets this many.
pub const PAGE_MAX: usize = 200;
/// The most artifacts of one page of a chain; a larger limit gets this many.
pub const CHAIN_PAGE_MAX: usize = 1_000;
/// The most teams, and the most roles, that one filter may name.
pub const FILTER_NAMES_MAX: usize = 256;

/// Which instances are listed. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InstanceFilter {
    /// In this state.
    pub state: Option<StateCode>,
    /// Of one of these teams; `None` is any team, an empty list is none.
    pub teams: Option<Vec<TeamId>>,
    /// Of this workflow.
    pub workflow: Option<WorkflowId>,
    /// Of this session.
    pub session: Option<SessionId>,
}

/// Which gates are listed. Everything that is set must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GateFilter {
    /// Only those that are closed, from the one that was closed last; instead of only those that are open, from the nearest deadline.
    /// Closed ones are found fast within a workflow; without one, all of the tenant's are put in order.
    pub closed: bool,
    /// Decided by at least one of these roles; `None` is any role, an empty list is none.
    pub roles: Option<Vec<Role>>,
    /// Of one of these teams; `None` is any team, an empty list is none.
    pub teams: Option<Vec<TeamId>>,
    /// Of this workflow.
    pub workflow: Option<WorkflowId>,
    /// Of this action.
    pub action: Option<Name>,
}

/// Where a list goes on: the sort key of the last row seen. Its text form is opaque to clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cursor {
    pub(crate) at: UnixMillis,
    pub(crate) id: [u8; 16],
}

/// The text is not a cursor that this store gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor of this list")]
pub struct CursorError;

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}{:032x}", self.at.get(), u128::from_be_bytes(self.id))
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() != 44 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(CursorError);
        }
        let (at, id) = text.split_at_checked(12).ok_or(CursorError)?;
        let at = u64::from_str_radix(at, 16).map_err(|_| CursorError)?;
        let id = u128::from_str_radix(id, 16).map_err(|_| CursorError)?;
        Ok(Self { at: UnixMillis::new(at).map_err(|_| CursorError)?, id: id.to_be_bytes() })
    }
}

/// One page of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The rows, in the order of the list.
    pub items: Vec<T>,
    /// Where the list goes on; `None` at its end.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Cuts rows that were read with one more than `limit` to a page.
    pub(crate) fn cut(mut items: Vec<T>, limit: usize, cursor: impl Fn(&T) -> Cursor) -> Self {
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

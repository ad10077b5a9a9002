//! One handler a route: extract, name the capability, call the engine, show the answer.

pub(crate) mod attempts;
pub(crate) mod authority;
pub(crate) mod bundles;
pub(crate) mod calls;
pub(crate) mod candidates;
pub(crate) mod delegations;
pub(crate) mod diffs;
pub(crate) mod evidence;
pub(crate) mod freezes;
pub(crate) mod gates;
pub(crate) mod governance;
pub(crate) mod instances;
pub(crate) mod issuers;
pub(crate) mod logs;
pub(crate) mod notifications;
pub(crate) mod operations;
pub(crate) mod orchestration;
pub(crate) mod outages;
pub(crate) mod passkeys;
pub(crate) mod policies;
pub(crate) mod proposals;
pub(crate) mod shadow;
pub(crate) mod standing;
pub(crate) mod workflows;

use std::str::FromStr;

use gantral_api::wire::{CURSOR_BYTES_MAX, PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};

pub(crate) use crate::parameters::{Path, Query};
use crate::problems::{Answer, Failure};

/// Reads cursor and limit of a list.
pub(crate) fn page<C>(cursor: Option<&str>, limit: Option<u32>) -> Answer<(Option<C>, usize)>
where
    C: FromStr<Err: std::error::Error>,
{
    if cursor.is_some_and(|cursor| cursor.len() > CURSOR_BYTES_MAX) {
        return Err(Failure::parameter("cursor", "not a cursor of this list"));
    }
    let cursor = cursor
        .map(C::from_str)
        .transpose()
        .map_err(|error| Failure::parameter("cursor", error.to_string()))?;
    Ok((cursor, limit_of(limit)?))
}

/// Reads the limit of a list.
pub(crate) fn limit_of(limit: Option<u32>) -> Answer<usize> {
    let limit = limit.unwrap_or(PAGE_ITEMS_DEFAULT);
    if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
        return Err(Failure::parameter("limit", format!("`limit` is not 1 to {PAGE_ITEMS_MAX}")));
    }
    usize::try_from(limit).map_err(|_| Failure::parameter("limit", "`limit` is too large"))
}

/// One page of a list whose items have numbers, which are its cursors.
pub(crate) struct Numbered {
    /// Behind which number the page begins, or before which one, as the list goes.
    pub cursor: Option<u64>,
    /// The most items.
    pub limit: usize,
}

impl Numbered {
    /// Reads cursor and limit.
    pub(crate) fn read(cursor: Option<&str>, limit: Option<u32>) -> Answer<Self> {
        let limit = limit_of(limit)?;
        let cursor = cursor.map(str::parse::<u64>).transpose();
        let cursor = cursor.map_err(|_| Failure::parameter("cursor", "not a cursor of this list"))?;
        Ok(Self { cursor, limit })
    }

    /// Returns the cursor of the page behind this one: where it is full, from its last item.
    pub(crate) fn next<T>(&self, found: &[T], number: impl Fn(&T) -> u64) -> Option<String> {
        found.last().filter(|_| found.len() == self.limit).map(|last| number(last).to_string())
    }
}

/// A document of a body, parsed strictly: exact numbers, no duplicate members.
pub(crate) fn value(document: &gantral_api::wire::Document, path: &str) -> Answer<gantral_core::json::Value> {
    document.to_value().map_err(|error| Failure::member(path, error.to_string()))
}

/// An action of a body, parsed as strictly.
pub(crate) fn action(action: &gantral_api::wire::Action) -> Answer<gantral_core::json::Value> {
    action.to_value().map_err(|error| Failure::member("action.parameters", error.to_string()))
}

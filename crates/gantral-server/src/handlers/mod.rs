//! One handler a route: extract, name the capability, call the engine, show the answer.

pub(crate) mod attempts;
pub(crate) mod authority;
pub(crate) mod evidence;
pub(crate) mod gates;
pub(crate) mod instances;
pub(crate) mod operations;
pub(crate) mod policies;
pub(crate) mod workflows;

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use gantral_api::problem::Code;
use gantral_api::wire::{PAGE_ITEMS_DEFAULT, PAGE_ITEMS_MAX};
use gantral_store::Cursor;
use serde::de::DeserializeOwned;

use crate::problems::{Answer, Failure};

/// Path parameters, with our problem for what is not one.
pub(crate) struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        axum::extract::Path::<T>::from_request_parts(parts, state)
            .await
            .map(|path| Self(path.0))
            .map_err(|error| Failure::new(Code::InvalidParameter, error.body_text()))
    }
}

/// Query parameters, with our problem for what is not one.
pub(crate) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|error| Failure::new(Code::InvalidParameter, error.body_text()))
    }
}

/// Reads cursor and limit of a list.
pub(crate) fn page(cursor: Option<&str>, limit: Option<u32>) -> Answer<(Option<Cursor>, usize)> {
    let cursor = cursor
        .map(Cursor::from_str)
        .transpose()
        .map_err(|error| Failure::new(Code::InvalidParameter, error.to_string()))?;
    Ok((cursor, limit_of(limit)?))
}

/// Reads the limit of a list.
pub(crate) fn limit_of(limit: Option<u32>) -> Answer<usize> {
    let limit = limit.unwrap_or(PAGE_ITEMS_DEFAULT);
    if !(1..=PAGE_ITEMS_MAX).contains(&limit) {
        return Err(Failure::new(Code::InvalidParameter, format!("`limit` is not 1 to {PAGE_ITEMS_MAX}")));
    }
    usize::try_from(limit).map_err(|_| Failure::new(Code::InvalidParameter, "`limit` is too large"))
}

/// A document of a body, parsed strictly: exact numbers, no duplicate members.
pub(crate) fn value(document: &gantral_api::wire::Document, path: &str) -> Answer<gantral_core::json::Value> {
    document.to_value().map_err(|error| {
        gantral_api::problem::Problem::new(Code::InvalidBody, error.to_string()).with("path", path).into()
    })
}

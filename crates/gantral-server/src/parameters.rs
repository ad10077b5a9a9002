//! Path and query parameters: read with our problem for what is not one, and none ignored.

use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, MatchedPath, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use gantral_api::problem::Code;
use gantral_api::routes::{ROUTES, Route};
use serde::de::DeserializeOwned;

use crate::problems::{Answer, Failure};

/// Path parameters.
pub(crate) struct Path<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(rejection) => Err(path_failure(parts, &rejection)),
        }
    }
}

fn path_failure(parts: &Parts, rejection: &PathRejection) -> Failure {
    let template = parts.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    let names: Vec<&str> =
        template.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}')).collect();
    let single = if let [name] = names.as_slice() { *name } else { "path" };
    let PathRejection::FailedToDeserializePathParams(error) = rejection else {
        return Failure::parameter(single, "the path cannot be read");
    };
    match error.kind() {
        ErrorKind::DeserializeError { key, message, .. } => Failure::parameter(key, message.clone()),
        ErrorKind::Message(message) => Failure::parameter(single, message.clone()),
        ErrorKind::ParseErrorAtIndex { index, .. } => {
            Failure::parameter(names.get(*index).copied().unwrap_or(single), "not a number of this range")
        }
        _ => Failure::parameter(single, "the path cannot be read"),
    }
}

/// Query parameters.
pub(crate) struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Failure> {
        axum::extract::Query::<T>::from_request_parts(parts, state)
            .await
            .map(|query| Self(query.0))
            .map_err(|error| query_failure(&error.body_text()))
    }
}

/// Reads `…query string: name: why`, which is how the extractor says which parameter it could not read.
fn query_failure(text: &str) -> Failure {
    let (_, said) = text.split_once("query string: ").unwrap_or(("", text));
    match said.split_once(": ") {
        Some((name, why)) if name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            Failure::parameter(name, why)
        }
        _ => Failure::new(Code::InvalidParameter, said),
    }
}

/// Refuses query parameters that the route does not know: a misspelt filter must not vanish.
pub(crate) async fn known_only(request: Request, next: Next) -> Answer<Response> {
    if let Some(query) = request.uri().query()
        && let Some(route) = route_of(&request)
    {
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split_once('=').map_or(pair, |(name, _)| name);
            if !route.query.iter().any(|known| known.name == name) {
                let shown: String = name.chars().take(40).filter(|c| !c.is_control()).collect();
                return Err(Failure::parameter(&shown, "the route knows no such query parameter"));
            }
        }
    }
    Ok(next.run(request).await)
}

fn route_of(request: &Request) -> Option<&'static Route> {
    let matched = request.extensions().get::<MatchedPath>()?.as_str();
    ROUTES.iter().find(|route| route.path == matched && route.method.as_str() == request.method().as_str())
}

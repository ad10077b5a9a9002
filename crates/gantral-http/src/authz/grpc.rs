//! As much of gRPC as a service of two methods needs: length-prefixed messages, trailers, no compression.
//! Source: gRPC over HTTP/2.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::response::Response;
use http_body_util::{BodyExt as _, Full};

/// How many bytes stand before a message.
const PREFIX_BYTES: usize = 5;
/// The largest message, in bytes: what Envoy is told of a request, with a body of 1 MiB.
pub const MESSAGE_BYTES_MAX: usize = 2 << 20;

/// A status of gRPC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It went well.
    Ok = 0,
    /// The message is none.
    InvalidArgument = 3,
    /// The message is too large.
    ResourceExhausted = 8,
    /// No such method.
    Unimplemented = 12,
    /// The token is missing.
    Unauthenticated = 16,
}

/// Takes the first whole message off; `None` if more has to come.
///
/// # Errors
/// The status that says what is wrong with it.
pub fn next(bytes: &mut Vec<u8>) -> Result<Option<Vec<u8>>, Status> {
    let Some(prefix) = bytes.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let [compressed, length @ ..] = *prefix;
    if compressed != 0 {
        return Err(Status::Unimplemented);
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > MESSAGE_BYTES_MAX {
        return Err(Status::ResourceExhausted);
    }
    let end = PREFIX_BYTES.saturating_add(length);
    if bytes.len() < end {
        return Ok(None);
    }
    let rest = bytes.split_off(end);
    let message = bytes.split_off(PREFIX_BYTES);
    *bytes = rest;
    Ok(Some(message))
}

/// Answers with a message, or without one where something is wrong.
pub fn answer(status: Status, message: Option<Vec<u8>>) -> Response {
    let mut body = Vec::new();
    if let Some(message) = message {
        body.push(0);
        body.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
        body.extend_from_slice(&message);
    }
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from(status as u16));
    let trailers = async move { Some(Ok(trailers)) };
    let mut response = Response::new(Body::new(Full::new(Bytes::from(body)).with_trailers(trailers)));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_off_one_by_one_and_never_in_part() {
        let mut bytes = vec![0, 0, 0, 0, 2, b'a', b'b', 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(next(&mut bytes), Ok(Some(b"ab".to_vec())));
        assert_eq!(next(&mut bytes), Ok(Some(Vec::new())));
        assert_eq!((next(&mut bytes), bytes.len()), (Ok(None), 2));
        assert_eq!(next(&mut vec![1, 0, 0, 0, 0]), Err(Status::Unimplemented));
        assert_eq!(next(&mut vec![0, 0xff, 0, 0, 0]), Err(Status::ResourceExhausted));
    }
}

//! Which parts of a request policy is told beside the action: headers, members of the query, members of a JSON body.
//!
//! A chosen header is part of the call: it is shown, kept and sealed. What is not chosen never leaves this process but to the service, and what
//! carries a credential cannot be chosen.

use axum::http::HeaderName;
use gantral_core::json::{Object, Pointer, Value};

use crate::request::{BadRequest, Head};

/// The most parts that are chosen.
pub const CHOICES_MAX: usize = 32;
/// The longest value of a header that is chosen, in bytes: it stands in the action that a human reads.
const VALUE_BYTES_MAX: usize = 1024;
/// Parts of the names of headers under which credentials travel.
const CREDENTIALS: [&str; 10] = [
    "authorization",
    "cookie",
    "token",
    "secret",
    "password",
    "credential",
    "api-key",
    "apikey",
    "signature",
    "session",
];
/// Two calls that differ in it are two calls: that is what it is for.
const ALWAYS: HeaderName = HeaderName::from_static("idempotency-key");

/// Why something cannot be chosen. Whoever configured it is at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// No such part.
    #[error("`{text}` is not `header:NAME`, `query:NAME` or `body:/POINTER`")]
    Shape {
        /// What was given.
        text: String,
    },
    /// A credential would be shown to people and kept in the ledger.
    #[error("the header `{name}` carries a credential: it cannot be chosen")]
    Credential {
        /// The header.
        name: String,
    },
    /// Too many.
    #[error("more than {CHOICES_MAX} parts are chosen")]
    TooMany,
}

/// What is chosen.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    headers: Vec<HeaderName>,
    query: Vec<String>,
    body: Vec<Pointer>,
}

impl Choice {
    /// Reads what is chosen.
    ///
    /// # Errors
    /// [`ChoiceError`].
    pub fn parse<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<Self, ChoiceError> {
        let mut choice = Self::default();
        for (number, text) in texts.into_iter().enumerate() {
            if number >= CHOICES_MAX {
                return Err(ChoiceError::TooMany);
            }
            let shape = || ChoiceError::Shape { text: text.to_owned() };
            match text.split_once(':').ok_or_else(shape)? {
                ("header", name) => {
                    let header: HeaderName = name.parse().map_err(|_| shape())?;
                    if carries_credential(header.as_str()) {
                        return Err(ChoiceError::Credential { name: header.to_string() });
                    }
                    choice.headers.push(header);
                }
                ("query", name) if !name.is_empty() => choice.query.push(name.to_owned()),
                ("body", pointer) => choice.body.push(Pointer::parse(pointer).ok_or_else(shape)?),
                _ => return Err(shape()),
            }
        }
        Ok(choice)
    }

    /// Returns the headers of a request that are part of the call.
    ///
    /// # Errors
    /// `Header`, if one of them is there twice, is not text or is too long.
    pub fn headers(&self, head: &Head) -> Result<Object, BadRequest> {
        let mut found = Object::new();
        for name in self.headers.iter().chain([&ALWAYS]) {
            match head.one(name)? {
                Some(value) if value.len() > VALUE_BYTES_MAX => return Err(BadRequest::Header),
                Some(value) => drop(found.insert(name.as_str(), value)),
                None => {}
            }
        }
        Ok(found)
    }

    /// Returns what is told of a request as attributes, each under the name that it was chosen by; what is not there is left out.
    pub fn attributes(
        &self,
        headers: &Object,
        query: &[(String, String)],
        body: Option<&Value>,
        path: &[(&str, String)],
    ) -> Object {
        let mut found = Object::new();
        for (name, value) in headers.iter() {
            found.insert(format!("header:{name}"), value.clone());
        }
        for name in &self.query {
            let values: Vec<Value> =
                query.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str().into()).collect();
            // One that is there twice is told as both: readers differ in which of them counts.
            match values.as_slice() {
                [] => {}
                [one] => drop(found.insert(format!("query:{name}"), one.clone())),
                _ => drop(found.insert(format!("query:{name}"), Value::Array(values))),
            }
        }
        for pointer in &self.body {
            if let Some(value) = body.and_then(|body| pointer.find(body)) {
                found.insert(format!("body:{}", pointer.as_str()), value.clone());
            }
        }
        for (name, value) in path {
            found.insert(format!("path:{name}"), value.as_str());
        }
        found
    }
}

/// Tells whether credentials travel under such a name.
fn carries_credential(name: &str) -> bool {
    CREDENTIALS.iter().any(|part| name.contains(part))
}

/// Takes a query apart, as forms are: `+` is a space, and what is no UTF-8 is replaced.
pub fn pairs(query: &str) -> Vec<(String, String)> {
    let decoded = |text: &str| {
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.bytes();
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let digits: Vec<u8> = rest.clone().take(2).collect();
                    let hex = digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit);
                    let number = core::str::from_utf8(&digits).ok().filter(|_| hex);
                    match number.and_then(|number| u8::from_str_radix(number, 16).ok()) {
                        Some(number) => {
                            bytes.push(number);
                            rest.nth(1);
                        }
                        None => bytes.push(byte),
                    }
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let members = query.split('&').filter(|member| !member.is_empty());
    let halves = members.map(|member| member.split_once('=').unwrap_or((member, "")));
    halves.map(|(name, value)| (decoded(name), decoded(value))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_cannot_be_chosen() {
        for name in
            ["Authorization", "cookie", "X-Api-Key", "x-auth-token", "X-Session-Id", "x-client-secret"]
        {
            let refused = Choice::parse([format!("header:{name}").as_str()]).unwrap_err();
            assert_eq!(refused, ChoiceError::Credential { name: name.to_ascii_lowercase() });
        }
        for text in ["x-team", "header:", "header:a b", "query:", "body:amount", "cookie:a"] {
            assert!(matches!(Choice::parse([text]), Err(ChoiceError::Shape { .. })), "{text}");
        }
        assert!(Choice::parse(["header:x-team", "query:dry", "body:/a/0"]).is_ok());
        assert_eq!(Choice::parse(vec!["query:a"; CHOICES_MAX + 1]).unwrap_err(), ChoiceError::TooMany);
    }

    #[test]
    fn query_is_taken_apart_as_a_form() {
        let found = pairs("a=1&b=x+y%20z&a=%32&c&%zz=%4&=");
        let found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        assert_eq!(found, [("a", "1"), ("b", "x y z"), ("a", "2"), ("c", ""), ("%zz", "%4"), ("", "")]);
    }
}

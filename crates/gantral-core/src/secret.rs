//! What looks like a secret is refused at the door: Gantral stores references, never secrets.
//!
//! A heuristic, and documented as one: it knows the well-known shapes of credentials and the names under which people
//! pass them. It cannot recognise a password in an innocent member; declare such members away instead.

use alloc::string::{String, ToString};

use crate::json::Value;

/// Schemes of references that only an executor resolves.
pub const REFERENCE_SCHEMES: [&str; 2] = ["env:", "file:"];

/// Beginnings of credentials that are published as such by those who issue them.
const PREFIXES: [&str; 14] = [
    "AKIA",
    "ASIA",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xapp-",
    "sk_live_",
    "rk_live_",
    "hvs.",
    "AIza",
];

/// The shortest text behind a known prefix that counts as a credential, in bytes.
const PREFIXED_BYTES_MIN: usize = 16;

/// Member names under which credentials are passed, compared without case, `-` and `_`.
const NAMES: [&str; 10] = [
    "password",
    "passwd",
    "secret",
    "clientsecret",
    "apikey",
    "accesstoken",
    "refreshtoken",
    "authorization",
    "privatekey",
    "credentials",
];

/// Finds the first member that holds what looks like a secret, and returns the path to it (`/a/0/b`), never the value.
pub fn find_inline_secret(value: &Value) -> Option<String> {
    find(value, &mut String::new(), "")
}

/// Tells whether a text is a reference that an executor resolves.
pub fn is_reference(text: &str) -> bool {
    REFERENCE_SCHEMES.iter().any(|scheme| text.starts_with(scheme))
}

fn find(value: &Value, path: &mut String, name: &str) -> Option<String> {
    let length = path.len();
    match value {
        Value::String(text) => (is_secret_name(name) && !text.is_empty() && !is_reference(text)
            || looks_like_secret(text))
        .then(|| path.clone()),
        Value::Array(elements) => elements.iter().enumerate().find_map(|(index, element)| {
            path.truncate(length);
            path.push('/');
            path.push_str(&index.to_string());
            find(element, path, name)
        }),
        Value::Object(object) => object.iter().find_map(|(member, value)| {
            path.truncate(length);
            path.push('/');
            path.push_str(member);
            find(value, path, member)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

fn is_secret_name(name: &str) -> bool {
    let plain: String =
        name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect();
    NAMES.contains(&plain.as_str())
}

/// Tells whether a text holds what looks like a credential, by its form alone.
pub(crate) fn looks_like_secret(text: &str) -> bool {
    if text.contains("PRIVATE KEY-----") {
        return true;
    }
    text.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',' | ';' | '=' | '@'))
        .any(is_credential)
}

fn is_credential(word: &str) -> bool {
    PREFIXES
        .iter()
        .any(|prefix| word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= PREFIXED_BYTES_MIN))
        || is_signed_token(word)
}

/// Three base64url parts of which the first two are JSON objects: a JSON Web Token.
fn is_signed_token(word: &str) -> bool {
    let mut parts = word.split('.');
    let (Some(header), Some(claims), Some(signature), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    header.starts_with("eyJ") && claims.starts_with("eyJ") && signature.len() >= PREFIXED_BYTES_MIN
}

#[cfg(test)]
mod tests;

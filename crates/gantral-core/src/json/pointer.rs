//! Where a value stands in another one (RFC 6901).

use alloc::string::String;
use alloc::vec::Vec;

use super::Value;
use super::text::check_clean;

/// The longest pointer, in bytes.
pub const POINTER_BYTES_MAX: usize = 256;
/// The most steps of a pointer.
pub const POINTER_STEPS_MAX: usize = 16;

/// A pointer that leads somewhere below the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    text: String,
    steps: Vec<String>,
}

impl Pointer {
    /// Reads a pointer such as `/order/lines/0/amount`; `None` for the root, and for what is none or longer than any good one.
    pub fn parse(text: &str) -> Option<Self> {
        let below = text.strip_prefix('/').filter(|_| text.len() <= POINTER_BYTES_MAX)?;
        check_clean(text).ok()?;
        let steps = below.split('/').map(step).collect::<Option<Vec<_>>>()?;
        (steps.len() <= POINTER_STEPS_MAX).then(|| Self { text: text.into(), steps })
    }

    /// Returns it as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the names of its members, or places in lists, from the root down.
    pub fn steps(&self) -> &[String] {
        &self.steps
    }

    /// Returns the name of its first member.
    pub fn first(&self) -> &str {
        self.steps.first().map_or("", String::as_str)
    }

    /// Returns what stands there.
    pub fn find<'a>(&self, root: &'a Value) -> Option<&'a Value> {
        self.steps.iter().try_fold(root, |value, step| match value {
            Value::Object(object) => object.get(step),
            Value::Array(items) => items.get(index(step)?),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
        })
    }
}

/// Reads a step: `~1` is a slash and `~0` a tilde.
fn step(text: &str) -> Option<String> {
    let mut read = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        read.push(match c {
            '~' => match characters.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            c => c,
        });
    }
    Some(read)
}

/// Reads the place in a list: digits without a zero before them.
fn index(step: &str) -> Option<usize> {
    let is_plain = step == "0" || !step.starts_with('0');
    let is_number = !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit());
    step.parse().ok().filter(|_| is_plain && is_number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

    use super::*;
    use crate::json::{Profile, parse};

    #[test]
    fn a_pointer_finds_what_the_standard_says() {
        let text = br#"{"foo": ["bar", "baz"], "": 0, "a/b": 1, "m~n": 8, "deep": {"0": [{"x": null}]}}"#;
        let root = parse(text, &Profile::DOCUMENT).unwrap();
        let check = |pointer: &str, expected: Option<&str>| {
            let pointer = Pointer::parse(pointer).unwrap();
            let found = pointer.find(&root).map(|value| String::from_utf8(value.to_canonical()).unwrap());
            assert_eq!(found.as_deref(), expected, "{}", pointer.as_str());
        };
        check("/foo/0", Some("\"bar\""));
        check("/", Some("0"));
        check("/a~1b", Some("1"));
        check("/m~0n", Some("8"));
        check("/deep/0/0/x", Some("null"));
        for none in ["/foo/2", "/foo/00", "/foo/-", "/foo/+1", "/foo/0/0", "/none", "/deep/1"] {
            check(none, None);
        }
        assert_eq!(Pointer::parse("/a~1b/c").unwrap().first(), "a/b");
    }

    #[test]
    fn what_is_no_pointer_is_refused() {
        let long = alloc::format!("/{}", "a".repeat(POINTER_BYTES_MAX));
        let deep = "/a".repeat(POINTER_STEPS_MAX + 1);
        for bad in ["", "foo", "/a~", "/a~2", "/a\u{202e}b", &long, &deep] {
            assert!(Pointer::parse(bad).is_none(), "{bad}");
        }
    }
}

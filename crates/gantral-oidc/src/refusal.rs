//! What a provider says when it refuses (RFC 6749 section 5.2), made harmless.

use std::fmt;

use serde::Deserialize;

/// The longest code that is shown, in characters.
const CODE_MAX: usize = 64;
/// The longest description that is shown, in characters.
const DESCRIPTION_MAX: usize = 200;

/// A refusal. Its words are whoever's: only plain ASCII of them is kept, and not much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    code: String,
    description: Option<String>,
}

impl Refusal {
    /// Takes what was said.
    pub(crate) fn new(code: &str, description: Option<&str>) -> Self {
        Self {
            code: plain(code, CODE_MAX),
            description: description.map(|text| plain(text, DESCRIPTION_MAX)).filter(|text| !text.is_empty()),
        }
    }

    /// Reads an answer; `None` if it is no refusal.
    pub(crate) fn read(answer: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Document {
            error: String,
            error_description: Option<String>,
        }
        let document: Document = serde_json::from_slice(answer).ok()?;
        Some(Self::new(&document.error, document.error_description.as_deref()))
    }

    /// Returns the code, such as `access_denied`.
    pub fn code(&self) -> &str {
        &self.code
    }

    /// Tells whether it may be otherwise in a moment.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.code.as_str(), "temporarily_unavailable" | "server_error" | "slow_down")
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.code)?;
        match &self.description {
            Some(description) => write!(f, " ({description})"),
            None => Ok(()),
        }
    }
}

/// Returns the beginning of a text; what is no plain ASCII in it is a question mark.
fn plain(text: &str, most: usize) -> String {
    let plain = |c: char| if matches!(c, ' '..='~') && c != '`' { c } else { '?' };
    text.chars().take(most).map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_refusal_are_short_and_cannot_act() {
        let hostile = "\u{1b}[2Jyou are \u{202e}logged in`\r\n".to_owned() + &"x".repeat(9_999);
        let answer = serde_json::json!({"error": hostile, "error_description": hostile}).to_string();
        let said = Refusal::read(answer.as_bytes()).unwrap().to_string();
        assert!(said.starts_with("`?[2Jyou are ?logged in???x"), "{said}");
        assert!(said.len() < 300 && said.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{said}");
    }

    #[test]
    fn answer_that_is_no_refusal_is_none() {
        for answer in ["", "{}", "[]", r#"{"error":1}"#, "<html>"] {
            assert_eq!(Refusal::read(answer.as_bytes()), None, "{answer}");
        }
    }
}

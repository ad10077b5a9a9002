//! A token, as a provider gave it: a secret whose content is its server's affair and not ours.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::time::{DurationMs, UnixMillis};
use serde::Deserialize;

/// The longest token that is kept, in bytes; headers of most servers end near this.
const TOKEN_BYTES_MAX: usize = 16 << 10;
/// How long a token counts as good of which nobody says how long it is.
const LIFETIME_UNSAID: Duration = Duration::from_secs(60);

/// A token: shown by nothing but [`expose`](Self::expose).
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Takes a text that can be a token: visible ASCII, not empty, at most 16 KiB.
    pub fn new(text: String) -> Option<Self> {
        let fits = (1..=TOKEN_BYTES_MAX).contains(&text.len());
        (fits && text.bytes().all(|byte| byte.is_ascii_graphic())).then_some(Self(text))
    }

    /// Returns the token itself, to be given to whom it is for and to nobody else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Returns the `exp` of a token that is a JWT. Nothing vouches for it: it only tells when a new one is worth asking for.
    pub fn expires_at(&self) -> Option<UnixMillis> {
        #[derive(Deserialize)]
        struct Claims {
            exp: u64,
        }
        let claims = self.0.split('.').nth(1)?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()?;
        UnixMillis::new(claims.exp.checked_mul(1_000)?).ok()
    }
}

/// Never shows it.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What a provider gave.
#[derive(Debug, Clone)]
pub struct Granted {
    /// The access token.
    pub access: Token,
    /// How long the provider says that the access token is good.
    pub expires_in: Option<Duration>,
    /// What another access token is had for.
    pub refresh: Option<Token>,
    /// The ID token.
    pub id: Option<Token>,
}

impl Granted {
    /// Returns until when one of its tokens is good: the earliest that anybody says, and a minute from `now` where nobody does.
    pub fn expires_at(&self, token: &Token, now: UnixMillis) -> UnixMillis {
        let told = self.expires_in.filter(|_| *token == self.access);
        let told = told.map(|told| now.plus(millis(told)));
        let known = [told, token.expires_at()].into_iter().flatten().min();
        known.unwrap_or_else(|| now.plus(millis(LIFETIME_UNSAID)))
    }
}

fn millis(duration: Duration) -> DurationMs {
    DurationMs::from_secs(duration.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_767_225_600;

    fn of(claims: &str) -> Token {
        Token::new(format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))).unwrap()
    }

    fn check(access: &str, told: Option<u64>, expected: u64) {
        let access = of(access);
        let granted = Granted {
            access: access.clone(),
            expires_in: told.map(Duration::from_secs),
            refresh: None,
            id: None,
        };
        let now = UnixMillis::new(NOW * 1_000).unwrap();
        assert_eq!(granted.expires_at(&access, now).get() / 1_000, NOW + expected);
    }

    #[test]
    fn a_token_is_good_until_the_earliest_that_anybody_says() {
        let exp = |seconds: u64| format!(r#"{{"exp":{}}}"#, NOW + seconds);
        check(&exp(300), None, 300);
        check(&exp(300), Some(200), 200);
        check(&exp(100), Some(200), 100);
        check("not a claim", Some(200), 200);
        check("{}", None, 60);
    }

    #[test]
    fn what_cannot_be_a_token_is_none() {
        for text in ["", "a b", "a\r\nHost: b", "é", &"a".repeat(TOKEN_BYTES_MAX + 1)] {
            assert_eq!(Token::new(text.to_owned()), None, "{text}");
        }
        assert_eq!(format!("{:?}", Token::new("hunter2".to_owned())), "Some(Token(..))");
    }
}

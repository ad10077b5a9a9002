//! What only the program that began a login knows (RFC 7636), and random texts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_core::digest::Digest;

use crate::endpoint::GrantError;

/// How many random bytes make a text that nobody guesses: 43 characters, as section 4.1 recommends.
const RANDOM_BYTES: usize = 32;

/// Returns a text that nobody guesses.
pub(crate) fn random_text() -> Result<String, GrantError> {
    let mut bytes = [0; RANDOM_BYTES];
    getrandom::fill(&mut bytes).map_err(|_| GrantError::Random)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

/// A verifier, which proves later that the one who exchanges a code is the one who asked for it.
pub(crate) struct Pkce {
    verifier: String,
}

impl Pkce {
    /// Makes one.
    pub(crate) fn new() -> Result<Self, GrantError> {
        Ok(Self { verifier: random_text()? })
    }

    /// Takes a verifier as somebody sent it.
    #[cfg(test)]
    pub(crate) fn of(verifier: &str) -> Self {
        Self { verifier: verifier.to_owned() }
    }

    /// Returns the verifier, for the exchange.
    pub(crate) fn verifier(&self) -> &str {
        &self.verifier
    }

    /// Returns what is said of it at the beginning, by the method `S256`.
    pub(crate) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Digest::of(self.verifier.as_bytes()).as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenge_is_that_of_rfc_7636_appendix_b() {
        let pkce = Pkce::of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(pkce.challenge(), "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
    }

    #[test]
    fn two_verifiers_are_never_one() {
        let (a, b) = (Pkce::new().unwrap(), Pkce::new().unwrap());
        assert_eq!(a.verifier().len(), 43);
        assert_ne!(a.verifier(), b.verifier());
    }
}

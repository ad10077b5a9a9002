//! One human, as an issuer knows them, and the bytes that a person commitment is made of.

use gantral_core::json::{Object, Value};

/// The longest issuer or subject, in bytes. OpenID Connect allows 255 for a subject; Kubernetes names are longer.
pub(crate) const IDENTITY_BYTES_MAX: usize = 512;

/// One human: who vouches, and under which name. Within one issuer a subject is never given to somebody else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HumanSubject {
    issuer: String,
    subject: String,
}

/// Why an issuer or a subject is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("issuer and subject are 1 to 512 bytes without control characters")]
pub struct SubjectError;

pub(crate) fn is_identity_text(text: &str) -> bool {
    (1..=IDENTITY_BYTES_MAX).contains(&text.len()) && !text.chars().any(char::is_control)
}

impl HumanSubject {
    /// Wraps an issuer and the subject it vouches for; both 1 to 512 bytes without control characters.
    ///
    /// This is a name and no proof: a proof is a [`crate::Principal`].
    pub fn new(issuer: &str, subject: &str) -> Result<Self, SubjectError> {
        if is_identity_text(issuer) && is_identity_text(subject) {
            Ok(Self { issuer: issuer.to_owned(), subject: subject.to_owned() })
        } else {
            Err(SubjectError)
        }
    }

    /// Returns the issuer's identifier, exactly as in the token.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Returns the subject, exactly as in the token.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Returns the bytes for the person commitment; see [`person_bytes`].
    pub fn person_bytes(&self) -> Vec<u8> {
        person_bytes(&self.issuer, &self.subject)
    }
}

/// Shows nothing of the human: logs are no place for personal data.
impl std::fmt::Debug for HumanSubject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HumanSubject(..)")
    }
}

/// Returns the plaintext of a person commitment: the canonical JSON (RFC 8785) `{"issuer":…,"subject":…}`.
///
/// Two different pairs never give the same bytes, whatever characters they contain, because JSON quotes and escapes
/// each text; and a disclosure can be read without knowing Gantral. `person_id` is
/// `commit(Person, salt, person_bytes(issuer, subject))`.
pub fn person_bytes(issuer: &str, subject: &str) -> Vec<u8> {
    Value::Object(Object::new().with("issuer", issuer).with("subject", subject)).to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn person_bytes_are_canonical_json() {
        assert_eq!(
            person_bytes("https://id.example", "alice"),
            br#"{"issuer":"https://id.example","subject":"alice"}"#
        );
    }

    #[test]
    fn moving_the_border_between_issuer_and_subject_changes_the_person() {
        let pairs = [
            ("a", "bc"),
            ("ab", "c"),
            ("a\",\"subject\":\"b", "c"),
            ("a", "b\",\"subject\":\"c"),
            ("a\\", "bc"),
        ];
        for (index, left) in pairs.iter().enumerate() {
            for right in &pairs[index + 1..] {
                assert_ne!(person_bytes(left.0, left.1), person_bytes(right.0, right.1));
            }
        }
    }

    #[test]
    fn a_subject_with_control_characters_or_of_no_length_is_refused() {
        for subject in ["", "a\nb", "a\u{0}", &"x".repeat(IDENTITY_BYTES_MAX + 1)] {
            assert_eq!(HumanSubject::new("https://id.example", subject), Err(SubjectError));
        }
        assert!(HumanSubject::new("https://id.example", &"x".repeat(IDENTITY_BYTES_MAX)).is_ok());
    }

    #[test]
    fn debug_of_a_human_shows_no_personal_data() {
        let human = HumanSubject::new("https://id.example", "alice").unwrap();
        assert!(!format!("{human:?}").contains("alice"));
    }
}

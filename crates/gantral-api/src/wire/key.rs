//! The key that makes a write repeatable.

use core::fmt;

/// The longest key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// The value of the `Idempotency-Key` header: 1 to 128 visible ASCII characters, chosen by the caller.
///
/// Scoped to tenant, principal, attempt and route. The same key with the same body returns the first answer; with
/// another body it is refused.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct IdempotencyKey(String);

/// Why a text is not a key. The caller's fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an idempotency key is 1 to 128 visible ASCII characters")]
pub struct KeyError;

impl IdempotencyKey {
    /// Takes a key as sent.
    ///
    /// # Errors
    /// If it is empty, too long, or has a character that is not visible ASCII.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let fits = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&text.len());
        if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(KeyError)
        }
    }

    /// Makes a key of sixteen random bytes: 32 hexadecimal digits.
    pub fn from_random(bytes: [u8; 16]) -> Self {
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Returns the text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

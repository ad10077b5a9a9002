//! Which free text may be signed: text that looks like what it is.
//!
//! Two texts that look alike must not differ, and a text must not be able to hide a part of itself or reorder what
//! stands beside it on a screen where somebody decides.

/// Why a text may not be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// A control character (general category Cc), or a line or paragraph separator (U+2028, U+2029).
    #[error("text contains a control character")]
    Control,
    /// A character that changes the direction of writing: U+061C, U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069.
    #[error("text contains a character that changes the direction of writing")]
    Bidi,
    /// A character without width: U+180E, U+200B to U+200D, U+2060 to U+2064, U+FEFF, or a tag (U+E0000 to U+E007F).
    #[error("text contains an invisible character")]
    Invisible,
    /// A code point that is no character: U+FDD0 to U+FDEF, and the last two of each plane.
    #[error("text contains a code point that is no character")]
    Noncharacter,
    /// Not in Unicode normalization form C.
    #[error("text is not in normalization form C")]
    NotNfc,
}

/// Checks that a text is in NFC and free of characters that cannot be seen.
///
/// # Errors
/// The first reason found; the caller's fault, and the same for the same text.
pub fn check_clean(text: &str) -> Result<(), TextError> {
    if text.is_ascii() {
        let has_control = text.bytes().any(|byte| byte.is_ascii_control());
        return if has_control { Err(TextError::Control) } else { Ok(()) };
    }
    text.chars().try_for_each(check_char)?;
    if unicode_normalization::is_nfc(text) { Ok(()) } else { Err(TextError::NotNfc) }
}

fn check_char(c: char) -> Result<(), TextError> {
    match c {
        '\u{2028}' | '\u{2029}' => Err(TextError::Control),
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
            Err(TextError::Bidi)
        }
        '\u{180e}'
        | '\u{200b}'..='\u{200d}'
        | '\u{2060}'..='\u{2064}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => Err(TextError::Invisible),
        '\u{fdd0}'..='\u{fdef}' => Err(TextError::Noncharacter),
        _ if u32::from(c) & 0xfffe == 0xfffe => Err(TextError::Noncharacter),
        _ if c.is_control() => Err(TextError::Control),
        _ => Ok(()),
    }
}

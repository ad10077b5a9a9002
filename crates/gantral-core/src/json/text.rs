//! Which free text may be signed: text that looks like what it is.
//!
//! Two texts that look alike must not differ, and a text must not be able to hide a part of itself or reorder what
//! stands beside it on a screen where somebody decides.

use alloc::format;
use alloc::string::String;

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

/// Tells whether a character shows itself and nothing but itself: it neither acts nor reorders nor hides. Fillers, joiners and selectors
/// have a shape of nothing, or change the one before them.
pub fn is_plain(c: char) -> bool {
    let hides = matches!(
        c,
        '\u{ad}'
            | '\u{34f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{ffa0}'
            | '\u{e0100}'..='\u{e01ef}'
    );
    !hides && check_clean(c.encode_utf8(&mut [0; 4])).is_ok()
}

/// Returns a text with every character that is not [plain](is_plain) spelled out as `\uXXXX`, so that JSON stays the same value.
pub fn inert(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
            continue;
        }
        let mut units = [0_u16; 2];
        for unit in c.encode_utf16(&mut units) {
            shown.push_str(&format!("\\u{unit:04x}"));
        }
    }
    shown
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

#[cfg(test)]
mod tests {
    use super::inert;

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in ["refund order/1001", "Rückerstattung über 480 €", "返金", "a\\u0041b"] {
            assert_eq!(inert(text), text);
        }
    }

    #[test]
    fn what_acts_or_hides_is_spelled_out() {
        for (text, expect) in [
            ("\x1b[2Jgone", "\\u001b[2Jgone"),
            ("a\r\nb\tc", "a\\u000d\\u000ab\\u0009c"),
            ("safe\u{202e}txt.exe", "safe\\u202etxt.exe"),
            ("pay\u{200b}pal", "pay\\u200bpal"),
            ("tag\u{e0041}", "tag\\udb40\\udc41"),
            ("\u{9b}31m", "\\u009b31m"),
            ("a\u{feff}b\u{ad}c\u{3164}", "a\\ufeffb\\u00adc\\u3164"),
        ] {
            assert_eq!(inert(text), expect);
        }
    }
}

//! Text that others wrote, made harmless for a terminal.
//!
//! An agent's words must not move the cursor, hide a part of themselves or reorder what stands beside them on the screen
//! where somebody decides. Whatever could is shown by its number, as JSON spells it, so that JSON stays the same value.

use gantral_core::json::text::check_clean;

/// Returns the text with every character that acts, hides or looks like another spelled out as `\uXXXX`.
pub fn inert(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if is_plain(c) {
            shown.push(c);
        } else {
            let mut units = [0_u16; 2];
            for unit in c.encode_utf16(&mut units) {
                shown.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    shown
}

fn is_plain(c: char) -> bool {
    // Fillers, joiners and selectors have a shape of nothing, or change the one before them.
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
    fn what_acts_on_a_terminal_is_spelled_out() {
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

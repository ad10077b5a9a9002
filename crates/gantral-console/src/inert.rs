//! Text that others wrote, made harmless for a page.

use std::fmt::{self, Display, Formatter};

use askama::filters::HtmlSafe;
use gantral_core::json::text::is_plain;

/// The most characters that are shown of one text; what is left out is said.
const SHOWN_CHARS_MAX: usize = 200_000;

/// Somebody else's text as HTML: markup is escaped, and each character that acts, hides or reorders is shown by its number, in a box.
#[derive(Debug, Clone, Copy)]
pub struct Inert<'a>(pub &'a str);

impl Display for Inert<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars().take(SHOWN_CHARS_MAX) {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                '\n' => f.write_str("\n")?,
                c if is_plain(c) => write!(f, "{c}")?,
                c => write!(f, "<span class=\"hidden-character\">U+{:04X}</span>", u32::from(c))?,
            }
        }
        let more = self.0.chars().count().saturating_sub(SHOWN_CHARS_MAX);
        if more > 0 {
            write!(f, " <span class=\"hidden-character\">… and {more} characters more</span>")?;
        }
        Ok(())
    }
}

/// Returns the text of a file with spaces for its tabs, which mean nothing in one and would be spelled out.
pub fn without_tabs(text: &str) -> String {
    text.replace('\t', "    ")
}

/// It escapes by itself.
impl HtmlSafe for Inert<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_it_is_markup_and_nothing_hides() {
        let hostile = "<script>alert(1)</script>\u{202e}gpj.exe\u{200b}\u{1b}[2J'\"&";
        assert_eq!(
            Inert(hostile).to_string(),
            "&lt;script&gt;alert(1)&lt;/script&gt;<span class=\"hidden-character\">U+202E</span>gpj.exe\
             <span class=\"hidden-character\">U+200B</span><span class=\"hidden-character\">U+001B</span>[2J&#39;&quot;&amp;"
        );
    }

    #[test]
    fn a_very_long_text_is_cut_and_says_so() {
        let shown = Inert(&"x".repeat(1_000_000)).to_string();
        assert!(shown.len() < 201_000 && shown.contains("and 800000 characters more"), "{}", shown.len());
    }

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in ["refund order/1001", "Rückerstattung über 480 €", "返金\nzwei"] {
            assert_eq!(Inert(text).to_string(), text);
        }
    }
}

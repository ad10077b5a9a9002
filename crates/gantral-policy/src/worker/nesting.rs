//! A look at Rego source before it is parsed: how deep its brackets nest.
//!
//! The parser tries a comprehension before it settles for a plain term, so its work doubles with each nested `[` or
//! `{`. Strings, raw strings and comments are skipped; nothing else of the language matters here.

/// The deepest nesting of `[` and `{`: a rule's body, comprehensions and objects within, and room to spare. Parsing the
/// worst term of this depth takes some tens of milliseconds.
pub(super) const BRACE_DEPTH_MAX: usize = 10;
/// The deepest nesting of all brackets, which bounds the recursion of the parser and of everything after it.
pub(super) const DEPTH_MAX: usize = 32;

/// Returns the line (from 1) where the source nests too deep, if it does.
pub(super) fn too_deep(source: &str) -> Option<usize> {
    let (mut braces, mut all, mut line) = (0_usize, 0_usize, 1_usize);
    let mut bytes = source.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\n' => line += 1,
            b'"' => line += skip_string(&mut bytes),
            b'`' => line += skip_past(&mut bytes, b'`'),
            b'#' => line += skip_past(&mut bytes, b'\n'),
            b'[' | b'{' => (braces, all) = (braces + 1, all + 1),
            b'(' => all += 1,
            b']' | b'}' => (braces, all) = (braces.saturating_sub(1), all.saturating_sub(1)),
            b')' => all = all.saturating_sub(1),
            _ => {}
        }
        if braces > BRACE_DEPTH_MAX || all > DEPTH_MAX {
            return Some(line);
        }
    }
    None
}

/// Skips to the closing quote; returns the number of lines passed, though the language allows none.
fn skip_string(bytes: &mut std::str::Bytes<'_>) -> usize {
    let mut lines = 0;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => break,
            b'\\' => {
                bytes.next();
            }
            b'\n' => lines += 1,
            _ => {}
        }
    }
    lines
}

/// Skips to after this byte; returns the number of lines passed.
fn skip_past(bytes: &mut std::str::Bytes<'_>, end: u8) -> usize {
    let mut lines = 0;
    for byte in bytes.by_ref() {
        lines += usize::from(byte == b'\n');
        if byte == end {
            break;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expect: Option<usize>) {
        assert_eq!(too_deep(source), expect, "{source}");
    }

    #[test]
    fn nesting_at_the_limit_passes_and_one_more_is_found_with_its_line() {
        let at_limit = "[".repeat(BRACE_DEPTH_MAX) + &"]".repeat(BRACE_DEPTH_MAX);
        check(&format!("package a\nx := {at_limit}\ny := {at_limit}"), None);
        check(&format!("package a\nx := [{at_limit}]"), Some(2));
        check(&("(".repeat(DEPTH_MAX) + "1"), None);
        check(&("(".repeat(DEPTH_MAX + 1) + "1"), Some(1));
    }

    #[test]
    fn brackets_in_strings_and_comments_do_not_count() {
        let many = "[".repeat(40);
        check(&format!("x := \"{many}\\\"{many}\""), None);
        check(&format!("x := `{many}\n{many}`"), None);
        check(&format!("# {many}\nx := 1"), None);
        check(&format!("# a comment\nx := `raw\n`\ny := {many}"), Some(4));
    }

    #[test]
    fn a_string_that_does_not_end_cannot_hide_nesting_from_the_parser() {
        // The parser refuses a line break within a string, so what follows is never parsed.
        check(&format!("x := \"\n{}", "[".repeat(40)), None);
    }
}

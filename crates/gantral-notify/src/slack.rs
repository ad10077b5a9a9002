//! The form of a message for an incoming webhook of Slack (`spec/notifications.md` §5).
//!
//! What names and values say is written as `text` elements of rich text and as plain text. Slack reads no mark-up in either, so that a
//! text can neither mention, nor link, nor look like something else. Only the fallback, which is shown where no blocks are, is mark-up:
//! there the characters that begin something are replaced.

use serde_json::{Value, json};

use crate::words::{OPEN, Words};

/// The media type of the request.
pub(crate) const MEDIA_TYPE: &str = "application/json";
/// What the link of one line of several says.
const OPEN_ONE: &str = "open";
/// The longest header that Slack takes, in characters.
const HEADER_MAX: usize = 150;

/// Returns the body.
pub(crate) fn body(words: &Words) -> Value {
    let header = shortened(&words.title, HEADER_MAX);
    let mut elements = Vec::new();
    for (label, text) in &words.facts {
        elements.push(json!({"type": "text", "text": format!("{label}: "), "style": {"bold": true}}));
        elements.push(json!({"type": "text", "text": format!("{text}\n")}));
    }
    let mut sections = vec![json!({"type": "rich_text_section", "elements": elements})];
    for (text, url) in &words.items {
        let (text, link) = (format!("{text} "), json!({"type": "link", "url": url, "text": OPEN_ONE}));
        let elements = [json!({"type": "text", "text": text}), link, json!({"type": "text", "text": "\n"})];
        sections.push(json!({"type": "rich_text_section", "elements": elements}));
    }
    // A section of nothing is refused.
    if words.facts.is_empty() {
        sections.remove(0);
    }
    json!({
        "text": fallback(&words.title),
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [
            {"type": "header", "text": plain(&header)},
            {"type": "rich_text", "elements": sections},
            {"type": "actions", "elements": [{"type": "button", "text": plain(OPEN), "url": words.url}]},
        ],
    })
}

fn plain(text: &str) -> Value {
    json!({"type": "plain_text", "text": text, "emoji": false})
}

/// Writes a text where Slack looks for mark-up: `&`, `<` and `>` as it asks for, and no `@` that could call somebody.
fn fallback(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '@' => escaped.push('\u{ff20}'),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Returns the beginning of a text that is too long.
fn shortened(text: &str, characters_max: usize) -> String {
    if text.chars().count() <= characters_max {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(characters_max.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests;

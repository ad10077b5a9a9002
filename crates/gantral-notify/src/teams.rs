//! The form of a message for a webhook of a Teams workflow: an Adaptive Card (`spec/notifications.md` §5).
//!
//! What names and values say is written as runs of text. Teams reads Markdown in text blocks and facts and not in runs, and mentions only
//! whom the card lists as an entity, which ours never does.

use serde_json::{Value, json};

use crate::words::{OPEN, Words};

/// The media type of the request.
pub(crate) const MEDIA_TYPE: &str = "application/json";

/// What the link of one line of several says.
const OPEN_ONE: &str = "open";

/// Returns the body.
pub(crate) fn body(words: &Words) -> Value {
    let title = json!({"type": "TextRun", "text": words.title, "weight": "Bolder", "size": "Large"});
    let mut body = vec![json!({"type": "RichTextBlock", "inlines": [title]})];
    for (label, text) in &words.facts {
        let label = json!({"type": "TextRun", "text": format!("{label}: "), "weight": "Bolder"});
        let text = json!({"type": "TextRun", "text": text});
        body.push(json!({"type": "RichTextBlock", "spacing": "Small", "inlines": [label, text]}));
    }
    for (text, url) in &words.items {
        let text = json!({"type": "TextRun", "text": format!("{text} ")});
        let open = json!({"type": "Action.OpenUrl", "url": url});
        let link = json!({"type": "TextRun", "text": OPEN_ONE, "selectAction": open});
        body.push(json!({"type": "RichTextBlock", "spacing": "Small", "inlines": [text, link]}));
    }
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": body,
                "actions": [{"type": "Action.OpenUrl", "title": OPEN, "url": words.url}],
            },
        }],
    })
}

#[cfg(test)]
mod tests;

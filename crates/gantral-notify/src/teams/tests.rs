#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

use super::*;

fn words(text: &str) -> Words {
    Words {
        title: format!("Approval wanted: {text}"),
        facts: vec![("Workflow".to_owned(), text.to_owned())],
        items: Vec::new(),
        url: "https://gantral.example.com/console/gates/1".to_owned(),
    }
}

#[test]
fn a_message_is_an_adaptive_card_with_a_button() {
    let run = |text: &str| json!({"type": "TextRun", "text": text});
    let label = json!({"type": "TextRun", "text": "Workflow: ", "weight": "Bolder"});
    let title =
        json!({"type": "TextRun", "text": "Approval wanted: refund", "weight": "Bolder", "size": "Large"});
    let open = json!({
        "type": "Action.OpenUrl",
        "title": "Open in the console",
        "url": "https://gantral.example.com/console/gates/1",
    });
    let found = body(&words("refund"));
    assert_eq!(found["type"], "message");
    let attachment = &found["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    let card = &attachment["content"];
    assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    assert_eq!(card["actions"], json!([open]));
    let blocks = json!([
        {"type": "RichTextBlock", "inlines": [title]},
        {"type": "RichTextBlock", "spacing": "Small", "inlines": [label, run("refund")]},
    ]);
    assert_eq!(card["body"], blocks);
}

#[test]
fn no_text_is_where_markdown_is_read_and_nobody_is_mentioned() {
    let hostile = "[click](https://evil.example) **bold** <at>Everyone</at> # big";
    let found = body(&words(hostile)).to_string();
    let card: Value = serde_json::from_str(&found).unwrap();
    assert!(!found.contains("\"TextBlock\"") && !found.contains("\"FactSet\""), "{found}");
    assert!(!found.contains("\"entities\"") && !found.contains("\"msteams\""), "{found}");
    let content = &card["attachments"][0]["content"];
    for block in content["body"].as_array().unwrap() {
        assert_eq!(block["type"], "RichTextBlock");
        for run in block["inlines"].as_array().unwrap() {
            assert_eq!(run["type"], "TextRun");
            assert!(run.get("selectAction").is_none());
        }
    }
    assert_eq!(content["actions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_digest_is_a_line_and_a_link_for_each() {
    let items = vec![(
        "[x](https://evil.example)".to_owned(),
        "https://gantral.example.com/console/gates/1".to_owned(),
    )];
    let body = body(&Words { items, facts: Vec::new(), ..words("refund") });
    let line = &body["attachments"][0]["content"]["body"][1]["inlines"];
    let open = json!({"type": "Action.OpenUrl", "url": "https://gantral.example.com/console/gates/1"});
    assert_eq!(line[0], json!({"type": "TextRun", "text": "[x](https://evil.example) "}));
    assert_eq!(line[1], json!({"type": "TextRun", "text": "open", "selectAction": open}));
}

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that cannot go on says so by panicking"
)]

use super::*;

/// What an agent may have written, or somebody who names things.
const HOSTILE: &str =
    "<!here> <@U1> @channel *bold* _i_ `c` <https://evil.example|click> &lt; :fire: https://evil.example";

fn words(text: &str) -> Words {
    Words {
        title: format!("Approval wanted: {text}"),
        facts: vec![("Workflow".to_owned(), text.to_owned())],
        items: Vec::new(),
        url: "https://gantral.example.com/console/gates/1".to_owned(),
    }
}

#[test]
fn a_message_is_a_header_facts_and_a_button() {
    let expected = json!({
        "text": "Approval wanted: refund",
        "mrkdwn": false,
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": "Approval wanted: refund", "emoji": false}},
            {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [
                {"type": "text", "text": "Workflow: ", "style": {"bold": true}},
                {"type": "text", "text": "refund\n"},
            ]}]},
            {"type": "actions", "elements": [{
                "type": "button",
                "text": {"type": "plain_text", "text": "Open in the console", "emoji": false},
                "url": "https://gantral.example.com/console/gates/1",
            }]},
        ],
    });
    assert_eq!(body(&words("refund")), expected);
}

/// Collects every object that holds a text, by the type that it says it is.
fn holders<'a>(value: &'a Value, text: &str, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(members) => {
            for member in members.values() {
                if member.as_str().is_some_and(|member| member.contains(text)) {
                    found.push(members["type"].as_str().unwrap());
                }
                holders(member, text, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| holders(item, text, found)),
        _ => {}
    }
}

#[test]
fn no_text_mentions_links_or_formats() {
    let body = body(&words(HOSTILE));
    let mut found = Vec::new();
    holders(&body["blocks"], "U1", &mut found);
    assert_eq!(found, ["plain_text", "text"], "{body}");
    let mut links = Vec::new();
    holders(&body["blocks"], "https://", &mut links);
    assert_eq!(links, ["plain_text", "text", "button"]);
    let fallback = body["text"].as_str().unwrap();
    assert!(!fallback.contains(['<', '>', '@']), "{fallback}");
    assert!(fallback.contains("&lt;!here&gt;") && fallback.contains("&amp;lt;"), "{fallback}");
    assert_eq!(body["mrkdwn"], false);
}

#[test]
fn a_header_is_no_longer_than_slack_takes() {
    let long = body(&words(&"ü".repeat(400)));
    let header = long["blocks"][0]["text"]["text"].as_str().unwrap();
    assert!(header.chars().count() == HEADER_MAX && header.ends_with('…'), "{header}");
}

#[test]
fn a_digest_is_a_line_and_a_link_for_each() {
    let items = vec![(HOSTILE.to_owned(), "https://gantral.example.com/console/gates/1".to_owned())];
    let body = body(&Words { items, facts: Vec::new(), ..words("refund") });
    let sections = body["blocks"][1]["elements"].as_array().unwrap();
    assert_eq!(sections.len(), 1);
    let link = json!({"type": "link", "url": "https://gantral.example.com/console/gates/1", "text": "open"});
    assert_eq!(sections[0]["elements"][1], link);
    let mut found = Vec::new();
    holders(&body["blocks"], "U1", &mut found);
    assert_eq!(found, ["text"]);
}

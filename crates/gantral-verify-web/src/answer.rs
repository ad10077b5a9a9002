//! The answer as the page shows it: the report of the verifier, and its sentences.

use gantral_core::json::{Object, Value};
use gantral_evidence::report::{Section, meaning, sections};
use gantral_evidence::verify::Report;

/// Returns what the JSON report leaves to people: what the verdict means, and the parts of the report in sentences.
pub fn sentences(report: &Report) -> Vec<u8> {
    let parts: Vec<Value> = sections(report).iter().map(part).collect();
    let object = Object::new().with("meaning", meaning(report)).with("sections", parts);
    Value::Object(object).to_canonical()
}

fn part(section: &Section) -> Value {
    let line =
        |(label, text): (&str, &str)| Value::Object(Object::new().with("label", label).with("text", text));
    let lines: Vec<Value> = section.lines.iter().map(|each| line((each.label, each.text.as_str()))).collect();
    Value::Object(Object::new().with("lines", lines).with("title", section.title))
}

//! The answer as the page shows it: the report of the verifier, and its sentences.

use gantral_core::json::{Object, Value};
use gantral_evidence::report::{self, Section};
use gantral_evidence::verify::{Report, Verdict};
use gantral_evidence::window::WindowReport;

/// The report on what was given.
#[derive(Debug)]
pub enum Answer {
    /// On one bundle.
    Bundle(Box<Report>),
    /// On a window.
    Window(Box<WindowReport>),
}

impl Answer {
    /// Returns the verdict.
    pub fn verdict(&self) -> Verdict {
        match self {
            Self::Bundle(report) => report.verdict,
            Self::Window(report) => report.verdict,
        }
    }

    /// Returns the report as `gantral-verify --json` prints it.
    pub fn json(&self) -> Vec<u8> {
        match self {
            Self::Bundle(report) => report::to_json(report),
            Self::Window(report) => report::window::to_json(report),
        }
    }

    /// Returns the report as `gantral-verify` prints it.
    pub fn text(&self) -> String {
        match self {
            Self::Bundle(report) => report::to_text(report),
            Self::Window(report) => report::window::to_text(report),
        }
    }

    /// Returns what the JSON report leaves to people: what the verdict means, the parts of the report in sentences, and, of a window,
    /// whose findings stand together by their codes, what each code means.
    pub fn sentences(&self) -> Vec<u8> {
        let object = match self {
            Self::Bundle(report) => said(report::meaning(report), &report::sections(report)),
            Self::Window(report) => {
                let codes = report.codes().into_iter();
                let codes =
                    codes.fold(Object::new(), |codes, code| codes.with(code.as_str(), code.meaning()));
                let (meaning, sections) = (report::window::meaning(report), report::window::sections(report));
                said(meaning, &sections).with("codes", codes)
            }
        };
        Value::Object(object).to_canonical()
    }
}

fn said(meaning: &str, sections: &[Section]) -> Object {
    let parts: Vec<Value> = sections.iter().map(part).collect();
    Object::new().with("meaning", meaning).with("sections", parts)
}

fn part(section: &Section) -> Value {
    let line =
        |(label, text): (&str, &str)| Value::Object(Object::new().with("label", label).with("text", text));
    let lines: Vec<Value> = section.lines.iter().map(|each| line((each.label, each.text.as_str()))).collect();
    Value::Object(Object::new().with("lines", lines).with("title", section.title))
}

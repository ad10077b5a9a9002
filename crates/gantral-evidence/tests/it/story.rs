//! The stories that `gantral-vectors` tells, and what a test says of their verdicts.

use gantral_evidence::verify::Report;

pub use gantral_vectors::cast::*;
pub use gantral_vectors::story::*;

/// The verdict, and every code that is not a note.
pub fn answer(report: &Report) -> (&'static str, Vec<&'static str>) {
    let codes = report.codes().into_iter().filter(|code| code.starts_with("E_")).collect();
    (report.verdict.as_str(), codes)
}

#[track_caller]
pub fn assert_valid(report: &Report) {
    assert_eq!(answer(report), ("VALID", vec![]), "{:#?}", report.findings);
}

#[track_caller]
pub fn assert_answer(report: &Report, verdict: &str, codes: &[&str]) {
    assert_eq!(answer(report), (verdict, codes.to_vec()), "{:#?}", report.findings);
}

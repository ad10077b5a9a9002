//! Pages that show nothing of the ledger.

use askama::Template;

use crate::inert::Inert;
use crate::page::{Page, Shell};

/// Somebody of the development issuer.
#[derive(Debug, Clone)]
pub struct Person {
    /// Their subject.
    pub subject: String,
    /// Their name.
    pub name: String,
    /// Their roles, in words.
    pub roles: String,
}

/// Where people log in.
#[derive(Debug, Template)]
#[template(path = "login.html")]
pub struct LoginPage {
    /// The frame.
    pub shell: Shell,
    /// Identity providers, by their exact name.
    pub providers: Vec<String>,
    /// People of the development issuer.
    pub people: Vec<Person>,
    /// The path to go to afterwards.
    pub to: String,
    /// What went wrong.
    pub problem: Option<String>,
}

impl Page for LoginPage {}

/// What went wrong, and what to do about it.
#[derive(Debug, Template)]
#[template(path = "problem.html")]
pub struct ProblemPage {
    /// The frame.
    pub shell: Shell,
    /// What, in a sentence.
    pub title: String,
    /// What exactly. Untrusted: it may repeat what was sent.
    pub detail: String,
    /// What to do.
    pub remedy: String,
    /// The stable code.
    pub code: String,
    /// The number under which the log knows the request.
    pub request_id: String,
}

impl Page for ProblemPage {}

/// What each state means to people.
const STATES: [(&str, &str); 9] = [
    ("CREATED", "It is recorded and waits for its first process. Nothing has run."),
    ("RUNNING", "A process works. What it may do alone it does; for anything else it must ask."),
    (
        "WAITING_FOR_HUMAN",
        "It asked for something that a human must allow. No process runs. Nothing happens by itself but the end of the time.",
    ),
    ("APPROVED", "Humans allowed exactly what was asked for. A fresh process has not begun yet."),
    ("OVERRIDDEN", "Humans allowed something else than was asked for. A fresh process has not begun yet."),
    ("REJECTED", "A human said no, or nobody said anything in time. What was asked for does not happen."),
    ("RESUMED", "A fresh process is about to begin, with what was allowed."),
    ("COMPLETED", "It has ended, and everything that it did under a grant has an outcome."),
    ("TERMINATED", "It has ended before its goal: denied, rejected, failed, cancelled, or out of time."),
];

/// Help.
#[derive(Debug, Template)]
#[template(path = "help.html")]
pub struct HelpPage {
    /// The frame.
    pub shell: Shell,
}

impl Page for HelpPage {}

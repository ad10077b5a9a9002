//! What goes wrong, as the command line says it: one line, a stable code where there is one, a remedy, an exit status.

use std::fmt;
use std::path::Path;

use gantral_api::problem::Problem;

use crate::exit::Exit;
use gantral_core::json::text::inert;

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub struct Failure {
    message: String,
    code: Option<String>,
    hint: Option<String>,
    exit: Exit,
    problem: Option<Box<Problem>>,
    silent: bool,
}

impl Failure {
    /// Returns a failure with a message: lower case, one line, no full stop.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            code: None,
            hint: None,
            exit: Exit::FAILED,
            problem: None,
            silent: false,
        }
    }

    /// Returns the failure of something that was done to a file.
    pub fn file(what: &str, path: &Path, error: &impl fmt::Display) -> Self {
        Self::new(format!("cannot {what} `{}`: {error}", path.display()))
    }

    /// Returns the failure of what the server refused.
    pub fn refused(problem: Problem) -> Self {
        Self {
            message: problem.detail().to_owned(),
            code: Some(problem.code().as_str().to_owned()),
            hint: Some(problem.remedy().to_owned()),
            exit: Exit::FAILED,
            problem: Some(Box::new(problem)),
            silent: false,
        }
    }

    /// Returns what is left to say when the reader of standard output has gone: nothing.
    pub fn reader_gone() -> Self {
        Self { silent: true, exit: Exit::DONE, ..Self::new("") }
    }

    /// Names the stable code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Says what can be done about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Sets the exit status.
    #[must_use]
    pub const fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Returns the exit status.
    pub const fn status(&self) -> Exit {
        self.exit
    }

    /// Says whether there is nothing to say.
    pub const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Returns what can be done about it.
    pub fn remedy(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Returns the failure as the document that `--json` prints: what the server sent, or the same members.
    pub fn to_json(&self) -> String {
        let written = match &self.problem {
            Some(problem) => serde_json::to_string(problem),
            None => serde_json::to_string(&serde_json::json!({
                "code": self.code.as_deref().unwrap_or("failed"),
                "detail": self.message,
                "remedy": self.hint,
            })),
        };
        written.unwrap_or_default()
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&inert(&self.message))?;
        match &self.code {
            Some(code) => write!(f, " [{code}]"),
            None => Ok(()),
        }
    }
}

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::refused(problem)
    }
}

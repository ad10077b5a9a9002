//! Where words go: data to standard output, talk to standard error.
//!
//! Colour is stripped where nobody can see it, or where `NO_COLOR` asks for it, and never carries a meaning alone.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

/// What is most important in a line.
pub const STRONG: Style = Style::new().bold();
/// What stands aside.
pub const FAINT: Style = Style::new().dimmed();
/// What is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default().bold();
/// What is not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What waits, or what to look at.
pub const LOOK: Style = AnsiColor::Yellow.on_default().bold();

/// Puts a style around a word.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Returns how many there are of something: `1 leaf`, `2 leaves`.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// The two outputs of this process.
#[derive(Debug, Clone, Copy)]
pub struct Out {
    /// Whether data is JSON.
    pub json: bool,
}

impl Out {
    /// Prints lines of data for people; nothing when data is JSON.
    pub fn text(self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { self.data(text) }
    }

    /// Prints a line of data, whatever its form.
    pub fn data(self, text: &str) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| gone(&error))
    }

    /// Prints bytes of data as they are.
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut out = io::stdout().lock();
        out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| gone(&error))
    }

    /// Prints a value as one line of JSON when data is JSON, and otherwise what `text` makes of it.
    pub fn show<T: Serialize>(self, value: &T, text: impl FnOnce(&T) -> String) -> Result<(), Failure> {
        if !self.json {
            return self.data(text(value).trim_end());
        }
        let line = serde_json::to_string(value)
            .map_err(|error| Failure::new(format!("the answer cannot be written as JSON: {error}")))?;
        self.data(&line)
    }

    /// Says something; nobody's program depends on it.
    pub fn talk(self, text: impl std::fmt::Display) {
        // Whether anybody listens changes nothing.
        let _ = writeln!(anstream::stderr().lock(), "{text}");
    }

    /// Says what to do next.
    pub fn hint(self, text: impl std::fmt::Display) {
        self.talk(format_args!("{} {text}", styled(FAINT, "hint:")));
    }

    /// Says what went wrong.
    pub fn failure(self, failure: &Failure) {
        if failure.is_silent() {
            return;
        }
        self.talk(format_args!("{} {failure}", styled(BAD, "error:")));
        if let Some(remedy) = failure.remedy() {
            self.hint(remedy);
        }
        if self.json {
            // The one line of data that there is; a reader that has gone needs none.
            let _ = self.data(&failure.to_json());
        }
    }
}

fn gone(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        Failure::reader_gone()
    } else {
        Failure::new(format!("cannot write to standard output: {error}"))
    }
}

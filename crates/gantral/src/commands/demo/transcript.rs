//! How the demo tells its story: numbered steps, a label before each line.

use crate::failure::Failure;
use crate::out::{FAINT, Out, STRONG, styled};

/// The teller.
pub struct Transcript {
    out: Out,
    steps: u32,
}

impl Transcript {
    /// Begins.
    pub const fn new(out: Out) -> Self {
        Self { out, steps: 0 }
    }

    /// Begins the next step.
    pub fn step(&mut self, title: &str) -> Result<(), Failure> {
        let gap = if self.steps == 0 { "" } else { "\n" };
        self.steps += 1;
        self.out.text(&format!("{gap}{}", styled(STRONG, format_args!("{}  {title}", self.steps))))
    }

    /// Tells one fact.
    pub fn fact(&self, label: &str, text: impl std::fmt::Display) -> Result<(), Failure> {
        self.out.text(&format!("   {}{text}", styled(FAINT, format_args!("{label:<11}"))))
    }

    /// Shows a command that was run, what it printed, and how it ended.
    pub fn command(&self, command: &str, printed: &[&str], status: i32) -> Result<(), Failure> {
        self.out.text(&format!("   $ {command}"))?;
        for line in printed {
            self.out.text(format!("   {line}").trim_end())?;
        }
        self.fact("exit", status)
    }
}

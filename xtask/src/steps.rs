//! Steps that run one after the other, are timed, and stop at the first failure.
//!
//! A step's own output goes to the terminal untouched: nothing is captured, counted or rephrased here.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::parts::Parts;

/// One run over the repository, with the steps that have passed so far.
pub struct Run<'a> {
    root: &'a Path,
    parts: &'a Parts,
    passed: Vec<(&'static str, Duration)>,
}

impl<'a> Run<'a> {
    /// Starts a run without steps.
    pub fn new(root: &'a Path, parts: &'a Parts) -> Self {
        Self { root, parts, passed: Vec::new() }
    }

    /// Runs `work` as the step `name`.
    ///
    /// # Errors
    /// Whatever `work` failed with, under the name of the step.
    pub fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> Result<()> {
        println!("==> {name}");
        let start = Instant::now();
        work().with_context(|| format!("step `{name}` failed after {}", seconds(start.elapsed())))?;
        self.passed.push((name, start.elapsed()));
        Ok(())
    }

    /// Runs the cargo that runs us, so that the whole run uses one toolchain.
    ///
    /// # Errors
    /// When cargo does not start or ends with anything but 0.
    pub fn cargo(&mut self, name: &'static str, arguments: &[&str]) -> Result<()> {
        self.command(name, &cargo(), arguments)
    }

    /// Runs the cargo that runs us, with one more variable in its environment.
    ///
    /// # Errors
    /// When cargo does not start or ends with anything but 0.
    pub fn cargo_under(
        &mut self,
        name: &'static str,
        variable: (&str, &str),
        arguments: &[&str],
    ) -> Result<()> {
        let mut command = Command::new(cargo());
        command.args(arguments).current_dir(self.root).env("GANTRAL_PARTS", self.parts.dir());
        command.env(variable.0, variable.1);
        self.step(name, || succeed(&mut command))
    }

    /// Runs a program at the root of the repository, with the parts announced to it.
    ///
    /// # Errors
    /// When it does not start or ends with anything but 0.
    pub fn command(
        &mut self,
        name: &'static str,
        program: &impl AsRef<OsStr>,
        arguments: &[&str],
    ) -> Result<()> {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(self.root).env("GANTRAL_PARTS", self.parts.dir());
        self.step(name, || succeed(&mut command))
    }

    /// Prints how long each step took.
    pub fn print_summary(&self) {
        println!("\n{}", summary(&self.passed));
    }
}

/// Runs a command to its end.
///
/// # Errors
/// When it does not start or ends with anything but 0; the message repeats the command line.
pub fn succeed(command: &mut Command) -> Result<()> {
    let status: ExitStatus = command.status().with_context(|| format!("cannot start {}", line(command)))?;
    if !status.success() {
        bail!("{} ended with {status}", line(command));
    }
    Ok(())
}

/// Returns the cargo that runs us, or the one on the path when started by hand.
pub fn cargo() -> std::ffi::OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

fn line(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words: Vec<_> =
        std::iter::once(program).chain(command.get_args()).map(|word| word.to_string_lossy()).collect();
    format!("`{}`", words.join(" "))
}

fn summary(passed: &[(&str, Duration)]) -> String {
    let total = passed.iter().map(|(_, took)| *took).sum();
    let mut text = String::new();
    for (name, took) in passed.iter().chain([&("all", total)]) {
        text.push_str(&format!("{name:<22}{:>8}\n", seconds(*took)));
    }
    text
}

fn seconds(took: Duration) -> String {
    format!("{:.1} s", took.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_step_ends_the_run_under_its_name() {
        let root = tempfile::tempdir().unwrap();
        let parts = Parts::new(root.path());
        let mut run = Run::new(root.path(), &parts);
        run.step("first", || Ok(())).unwrap();
        let error = run.command("second", &"sh", &["-c", "exit 3"]).unwrap_err();
        assert!(format!("{error:#}").contains("step `second` failed"), "{error:#}");
        assert!(format!("{error:#}").contains("`sh -c exit 3` ended with exit status: 3"), "{error:#}");
        assert_eq!(run.passed.len(), 1);
    }

    #[test]
    fn a_step_learns_where_the_parts_are() {
        let root = tempfile::tempdir().unwrap();
        let parts = Parts::new(root.path());
        let mut run = Run::new(root.path(), &parts);
        run.command("look", &"sh", &["-c", r#"test "$GANTRAL_PARTS" = "$PWD/.parts""#]).unwrap();
    }

    #[test]
    fn summary_lists_every_step_and_the_whole() {
        let text = summary(&[("format", Duration::from_millis(1_500)), ("test", Duration::from_secs(60))]);
        assert_eq!(
            text,
            "format                   1.5 s\ntest                    60.0 s\nall                     61.5 s\n"
        );
    }
}

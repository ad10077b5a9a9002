//! OPA as a program on this machine, which evaluates once and ends: for evaluating again what an OPA evaluated once.
//!
//! Neither policy nor input is to be trusted. The program gets an empty environment and no builtin that reaches the network, the clock or the
//! machine, so that it gives the same wherever and whenever it runs; whatever needs one of them is not evaluated at all.
//!
//! The calls block, as those of [`crate::EvaluateAgain`].

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use gantral_core::ids::Name;
use gantral_core::json::{self, Profile, Value};
use gantral_core::policy::{EvalFailure, Evaluation, EvaluatorId};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::answer::{ANSWER_BYTES_MAX, read_result};
use crate::bundle::Bundle;

/// How long the program may take to say what it is.
const KNOWN_WITHIN: Duration = Duration::from_secs(30);
/// The largest list of capabilities, in bytes; that of OPA 1.9 has 140 KiB.
const CAPABILITIES_BYTES_MAX: usize = 4 << 20;
const BUNDLE: &str = "bundle.tar.gz";
const CAPABILITIES: &str = "capabilities.json";

/// Why a program cannot evaluate. The environment's fault.
#[derive(Debug, thiserror::Error)]
pub enum OpaProgramError {
    /// It cannot be run, or a file for it cannot be written.
    #[error("`{program}` cannot be used: {error}", program = program.display())]
    Io {
        /// The program.
        program: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// It is no OPA.
    #[error("`{program}` does not speak as an OPA does", program = program.display())]
    NoOpa {
        /// The program.
        program: PathBuf,
    },
}

/// Why an evaluation came to nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotAnswered {
    /// The policy failed, and would again.
    Failed(EvalFailure),
    /// It was not done, for a reason.
    NotDone(String),
}

/// An OPA that evaluates.
pub struct OpaProgram {
    program: PathBuf,
    id: EvaluatorId,
    runtime: Runtime,
    folder: PathBuf,
}

impl OpaProgram {
    /// Asks a program which OPA it is, and what it can do. It is started in a folder that is used for nothing else, and gets its files there.
    ///
    /// # Errors
    /// The environment's; may be tried again.
    pub fn open(program: &Path, folder: &Path) -> Result<Self, OpaProgramError> {
        let failed = |error| OpaProgramError::Io { program: program.to_owned(), error };
        let no_opa = || OpaProgramError::NoOpa { program: program.to_owned() };
        // As its folder is another one.
        let program_path = std::path::absolute(program).map_err(failed)?;
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let ask = |words: &[&str], bytes_max| {
            let run = run(&program_path, words, folder, &[], bytes_max);
            match runtime.block_on(async { timeout(KNOWN_WITHIN, run).await }) {
                Ok(told) => told.map_err(failed),
                Err(_) => Err(no_opa()),
            }
        };
        let version = String::from_utf8(ask(&["version"], ANSWER_BYTES_MAX)?).map_err(|_| no_opa())?;
        let version = version.lines().find_map(|line| line.strip_prefix("Version: ")).ok_or_else(no_opa)?;
        let version = Name::parse(version.trim()).map_err(|_| no_opa())?;
        let capabilities = ask(&["capabilities", "--current"], CAPABILITIES_BYTES_MAX)?;
        let capabilities = repeatable(&capabilities).ok_or_else(no_opa)?;
        std::fs::write(folder.join(CAPABILITIES), capabilities).map_err(failed)?;
        let engine = Name::parse("opa").map_err(|_| no_opa())?;
        let id = EvaluatorId { engine, version };
        Ok(Self { program: program_path, id, runtime, folder: folder.to_owned() })
    }

    /// Returns the engine and its version.
    pub const fn id(&self) -> &EvaluatorId {
        &self.id
    }

    /// Evaluates an input under the package of the contract. Blocks up to `limit`.
    ///
    /// # Errors
    /// What an OPA would have answered, or why nothing was answered.
    pub fn evaluate(
        &self,
        policy: &Bundle,
        input: &[u8],
        limit: Duration,
    ) -> Result<Evaluation, NotAnswered> {
        let not_done = |why: String| NotAnswered::NotDone(why);
        let archive = policy.to_archive().map_err(|error| not_done(error.to_string()))?;
        std::fs::write(self.folder.join(BUNDLE), archive).map_err(|error| not_done(error.to_string()))?;
        let words = [
            "eval",
            "--bundle",
            BUNDLE,
            "--capabilities",
            CAPABILITIES,
            "--stdin-input",
            "--strict-builtin-errors",
            "--format=json",
            "data.gantral.policy",
        ];
        let run = run(&self.program, &words, &self.folder, input, ANSWER_BYTES_MAX);
        let told = self.runtime.block_on(async { timeout(limit, run).await });
        let told = told.map_err(|_| not_done(EvalFailure::DeadlineExceeded.to_string()))?;
        read(&told.map_err(|error| not_done(error.to_string()))?)
    }
}

/// Runs the program with an empty environment, and returns what it prints. It is killed when nobody waits any more.
async fn run(
    program: &Path,
    words: &[&str],
    folder: &Path,
    input: &[u8],
    bytes_max: usize,
) -> io::Result<Vec<u8>> {
    let mut child = Command::new(program)
        .args(words)
        .current_dir(folder)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::ErrorKind::BrokenPipe.into());
    };
    let mut printed = Vec::new();
    let mut stdout = stdout.take(u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1));
    let give = async {
        // One that reads nothing closes its end.
        let _ = stdin.write_all(input).await;
        drop(stdin);
    };
    let (read, ()) = tokio::join!(stdout.read_to_end(&mut printed), give);
    read?;
    if printed.len() > bytes_max {
        return Err(io::Error::other("it prints too much"));
    }
    child.wait().await?;
    Ok(printed)
}

/// Takes out of what an OPA can do whatever does not always give the same.
fn repeatable(capabilities: &[u8]) -> Option<Vec<u8>> {
    let mut capabilities: serde_json::Value = serde_json::from_slice(capabilities).ok()?;
    let builtins = capabilities.get_mut("builtins")?.as_array_mut()?;
    builtins.retain(|builtin| builtin.get("nondeterministic") != Some(&serde_json::Value::Bool(true)));
    if builtins.is_empty() {
        return None;
    }
    // Nothing is fetched for a schema either.
    capabilities.as_object_mut()?.insert("allow_net".to_owned(), serde_json::json!([]));
    serde_json::to_vec(&capabilities).ok()
}

/// Reads what `opa eval` printed.
fn read(printed: &[u8]) -> Result<Evaluation, NotAnswered> {
    let not_done = |why: &str| Err(NotAnswered::NotDone(why.to_owned()));
    let Ok(Value::Object(members)) =
        json::parse(printed, &Profile::DOCUMENT.with_bytes_max(ANSWER_BYTES_MAX))
    else {
        return not_done("OPA printed no answer");
    };
    if let Some(errors) = members.get("errors").and_then(Value::as_array) {
        let code = |error: &Value| error.get("code").and_then(Value::as_str).unwrap_or_default().to_owned();
        let codes: Vec<String> = errors.iter().map(code).collect();
        let is = |wanted: &str| codes.iter().any(|code| code == wanted);
        return if is("eval_conflict_error") {
            Err(NotAnswered::Failed(EvalFailure::Conflict))
        } else if !is("eval_cancel_error") && codes.iter().any(|code| code.starts_with("eval_")) {
            Err(NotAnswered::Failed(EvalFailure::Evaluation))
        } else {
            let shown = codes.first().map_or("an error", String::as_str);
            Err(NotAnswered::NotDone(format!("OPA does not evaluate it: {shown}")))
        };
    }
    let value = |result: &Value| {
        let expressions = result.get("expressions").and_then(Value::as_array)?;
        expressions.first()?.get("value").cloned()
    };
    let result = members.get("result").and_then(Value::as_array).and_then(|results| results.first());
    match result.and_then(value) {
        None => Err(NotAnswered::Failed(EvalFailure::Undefined)),
        Some(result) => read_result(result).map_err(NotAnswered::Failed),
    }
}

#[cfg(test)]
mod tests;

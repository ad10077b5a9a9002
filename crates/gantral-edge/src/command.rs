//! Commands as actions: what would run, named exactly enough that it can be approved, and run as approved.
//!
//! The action of a command is the program that would run with the digest of its file, its arguments, the folder, the names of the
//! environment variables that it is given, and the digests of the files that were named as its input. It is looked at twice: before it is
//! asked for, and just before it runs. Nothing else of the environment reaches it.

mod carry;
mod resolve;
mod signals;
mod terminal;

use std::path::PathBuf;

use gantral_api::wire::{Action, Document};
use gantral_core::digest::Digest;
use gantral_core::json::{Object, Value};

pub use self::carry::{Captured, CarryError, Ended, carry_out};
pub use self::resolve::{CommandSpec, ResolveError, file_digest, resolve};
pub use self::terminal::{Keeper, keep};

/// The name of the action, as workflows declare it.
pub const ACTION: &str = "command.run";
/// The most arguments: what a human can still read.
pub const ARGUMENTS_MAX: usize = 256;
/// The most bytes of all arguments together.
pub const ARGUMENTS_BYTES_MAX: usize = 64 << 10;
/// The most input files.
pub const INPUTS_MAX: usize = 32;
/// The most environment variables beyond the usual ones.
pub const VARIABLES_MAX: usize = 64;
/// The variables that every command is given, as far as they are set: who, where, in which language and on which terminal.
pub const VARIABLES_USUAL: &[&str] =
    &["HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"];

/// One command, as it would run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The file that is executed.
    pub executable: PathBuf,
    /// SHA-256 of that file.
    pub digest: Digest,
    /// What follows it.
    pub arguments: Vec<String>,
    /// The folder that it runs in.
    pub directory: PathBuf,
    /// The names of the variables that it is given beside [`VARIABLES_USUAL`], in order.
    pub environment: Vec<String>,
    /// The files that were named as its input, each with its SHA-256.
    pub inputs: Vec<(PathBuf, Digest)>,
}

/// Why an action is not a command that can be run here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotACommand {
    /// Another action.
    #[error("the action is `{name}` and not `{ACTION}`")]
    Name {
        /// Its name.
        name: String,
    },
    /// A parameter is missing, or of another kind.
    #[error("the parameter `{name}` of the command is missing or of another kind")]
    Parameter {
        /// Which.
        name: &'static str,
    },
}

impl Resolved {
    /// Returns the action.
    ///
    /// # Errors
    /// Never for what [`resolve`] returns: paths and arguments are text.
    pub fn action(&self) -> Result<Action, NotACommand> {
        let text =
            |path: &PathBuf, name| path.to_str().map(Value::from).ok_or(NotACommand::Parameter { name });
        let words = |words: &[String]| Value::Array(words.iter().map(|word| word.as_str().into()).collect());
        let input = |(path, digest): &(PathBuf, Digest)| {
            let file = Object::new().with("path", text(path, "inputs")?).with("sha256", digest.to_hex());
            Ok(Value::Object(file))
        };
        let parameters = Object::new()
            .with("executable", text(&self.executable, "executable")?)
            .with("executable_sha256", self.digest.to_hex())
            .with("arguments", words(&self.arguments))
            .with("directory", text(&self.directory, "directory")?)
            .with("environment", words(&self.environment))
            .with("inputs", Value::Array(self.inputs.iter().map(input).collect::<Result<_, _>>()?));
        let unwritable = |name| NotACommand::Parameter { name };
        let parameters = String::from_utf8(Value::Object(parameters).to_canonical());
        let parameters = parameters.map_err(|_| unwritable("arguments"))?;
        let target = self.executable.file_name().and_then(|name| name.to_str()).unwrap_or("command");
        Ok(Action {
            name: ACTION.parse().map_err(|_| unwritable("name"))?,
            target: target.to_owned(),
            parameters: Document::from_text(parameters).map_err(|_| unwritable("arguments"))?,
        })
    }

    /// Reads an action back: as approved, perhaps changed by a human.
    ///
    /// # Errors
    /// If it is no command.
    pub fn of(action: &Action) -> Result<Self, NotACommand> {
        if action.name.as_str() != ACTION {
            return Err(NotACommand::Name { name: action.name.to_string() });
        }
        let wrong = |name| NotACommand::Parameter { name };
        let parameters = action.parameters.to_value().map_err(|_| wrong("arguments"))?;
        let text = |name: &'static str| parameters.get(name).and_then(Value::as_str).ok_or(wrong(name));
        let digest = |text: &str, name| Digest::parse(text).map_err(|_| wrong(name));
        let array = |name: &'static str| parameters.get(name).and_then(Value::as_array).ok_or(wrong(name));
        let words = |name: &'static str| -> Result<Vec<String>, NotACommand> {
            let words = array(name)?.iter().map(|word| word.as_str().map(str::to_owned));
            words.collect::<Option<_>>().ok_or(wrong(name))
        };
        let input = |file: &Value| {
            let member = |name: &str| file.get(name).and_then(Value::as_str).ok_or(wrong("inputs"));
            Ok((PathBuf::from(member("path")?), digest(member("sha256")?, "inputs")?))
        };
        Ok(Self {
            executable: text("executable")?.into(),
            digest: digest(text("executable_sha256")?, "executable_sha256")?,
            arguments: words("arguments")?,
            directory: text("directory")?.into(),
            environment: words("environment")?,
            inputs: array("inputs")?.iter().map(input).collect::<Result<_, _>>()?,
        })
    }
}

#[cfg(test)]
mod tests;

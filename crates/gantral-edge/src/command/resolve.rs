//! Finding out what would run, and whether it is still the same.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use gantral_core::digest::Digest;
use sha2::{Digest as _, Sha256};

use super::{ARGUMENTS_BYTES_MAX, ARGUMENTS_MAX, INPUTS_MAX, Resolved, VARIABLES_MAX, VARIABLES_USUAL};

/// The largest file of which a digest is made: 4 GiB, more than any program or plan.
const FILE_BYTES_MAX: u64 = 4 << 30;
/// How much of a file is read at once.
const CHUNK_BYTES: usize = 64 << 10;

/// A command as it was typed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandSpec {
    /// Program and arguments; a program without `/` is looked for in `path`.
    pub words: Vec<String>,
    /// Where programs are looked for: the value of `PATH`.
    pub path: String,
    /// The folder that it runs in.
    pub directory: PathBuf,
    /// The names of the variables that it is given beside the usual ones.
    pub environment: Vec<String>,
    /// Files whose content is part of what is approved.
    pub inputs: Vec<PathBuf>,
}

/// Why a command cannot be named, or is no longer what was approved. Nothing of it ran.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// Nothing was typed.
    #[error("there is no command")]
    Empty,
    /// The program is nowhere on the path, or not executable.
    #[error("there is no program `{program}`")]
    NoProgram {
        /// The first word.
        program: String,
    },
    /// More than a human can look at.
    #[error("the command has more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        max: usize,
    },
    /// A path that is not text.
    #[error("the path `{path}` is not UTF-8")]
    NotText {
        /// The path, as far as it can be shown.
        path: String,
    },
    /// The name of a variable that is none, or that only Gantral sets.
    #[error("`{name}` is no variable that a command may be given")]
    Variable {
        /// The name.
        name: String,
    },
    /// A file cannot be read.
    #[error("`{path}` cannot be read: {error}")]
    File {
        /// The file.
        path: String,
        /// Why.
        error: io::Error,
    },
    /// A file is not what it was when the command was approved.
    #[error("`{path}` is not what was approved: its content has changed")]
    Changed {
        /// The file.
        path: String,
    },
    /// The folder is gone.
    #[error("the folder `{path}` is not there")]
    NoFolder {
        /// The folder.
        path: String,
    },
}

/// Finds out what a command would run.
///
/// # Errors
/// [`ResolveError`]; the caller must change the command.
pub fn resolve(spec: &CommandSpec) -> Result<Resolved, ResolveError> {
    let (program, arguments) = spec.words.split_first().ok_or(ResolveError::Empty)?;
    let too_many = |what, max| Err(ResolveError::TooMany { what, max });
    if arguments.len() > ARGUMENTS_MAX {
        return too_many("arguments", ARGUMENTS_MAX);
    }
    if arguments.iter().map(String::len).sum::<usize>() > ARGUMENTS_BYTES_MAX {
        return too_many("bytes of arguments", ARGUMENTS_BYTES_MAX);
    }
    if spec.inputs.len() > INPUTS_MAX {
        return too_many("input files", INPUTS_MAX);
    }
    if spec.environment.len() > VARIABLES_MAX {
        return too_many("variables", VARIABLES_MAX);
    }
    let directory = std::path::absolute(&spec.directory).map_err(|error| file(&spec.directory, error))?;
    let found = find(program, &spec.path, &directory);
    let executable = found.ok_or_else(|| ResolveError::NoProgram { program: program.clone() })?;
    let mut inputs = Vec::with_capacity(spec.inputs.len());
    for path in &spec.inputs {
        let path = text(directory.join(path))?;
        let digest = file_digest(&path)?;
        inputs.push((path, digest));
    }
    inputs.sort();
    inputs.dedup();
    Ok(Resolved {
        digest: file_digest(&executable)?,
        executable: text(executable)?,
        arguments: arguments.to_vec(),
        directory: text(directory)?,
        environment: variables(&spec.environment)?,
        inputs,
    })
}

impl Resolved {
    /// Checks that program and inputs are what they were, just before it runs.
    ///
    /// # Errors
    /// `Changed`, or why it cannot be known: nothing may run.
    pub fn unchanged(&self) -> Result<(), ResolveError> {
        if !self.directory.is_dir() {
            return Err(ResolveError::NoFolder { path: self.directory.display().to_string() });
        }
        // A human may have changed what the command is given, and must not have to know which names are taken.
        variables(&self.environment)?;
        let named = std::iter::once((&self.executable, &self.digest));
        for (path, approved) in named.chain(self.inputs.iter().map(|(path, digest)| (path, digest))) {
            if file_digest(path)? != *approved {
                return Err(ResolveError::Changed { path: path.display().to_string() });
            }
        }
        Ok(())
    }
}

fn variables(names: &[String]) -> Result<Vec<String>, ResolveError> {
    let wrong = |name: &String| ResolveError::Variable { name: name.clone() };
    let mut chosen = BTreeSet::new();
    for name in names {
        let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let begins = name.bytes().next().is_some_and(|byte| !byte.is_ascii_digit());
        // What lets somebody act as this program must not reach what it runs.
        if !plain || !begins || name.starts_with("GANTRAL_") {
            return Err(wrong(name));
        }
        if !VARIABLES_USUAL.contains(&name.as_str()) {
            chosen.insert(name.clone());
        }
    }
    Ok(chosen.into_iter().collect())
}

/// Looks for a program as a shell does, without what only a shell has.
fn find(program: &str, path: &str, directory: &Path) -> Option<PathBuf> {
    if program.contains('/') {
        let named = directory.join(program);
        return is_program(&named).then_some(named);
    }
    let folders = path.split(':').filter(|folder| folder.starts_with('/'));
    folders.map(|folder| Path::new(folder).join(program)).find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    let executable = |found: std::fs::Metadata| found.is_file() && found.permissions().mode() & 0o111 != 0;
    std::fs::metadata(path).is_ok_and(executable)
}

fn text(path: PathBuf) -> Result<PathBuf, ResolveError> {
    if path.to_str().is_some() {
        Ok(path)
    } else {
        Err(ResolveError::NotText { path: path.display().to_string() })
    }
}

fn file(path: &Path, error: io::Error) -> ResolveError {
    ResolveError::File { path: path.display().to_string(), error }
}

/// Returns the SHA-256 of what a file holds now.
///
/// # Errors
/// A file that cannot be read, or is no file.
pub fn file_digest(path: &Path) -> Result<Digest, ResolveError> {
    let hashed = || -> io::Result<Digest> {
        let file = File::open(path)?;
        let length = file.metadata()?;
        if !length.is_file() {
            return Err(io::Error::other("it is not a file"));
        }
        let mut sha = Sha256::new();
        let mut reader = file.take(FILE_BYTES_MAX.saturating_add(1));
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut total: u64 = 0;
        loop {
            let read = reader.read(&mut chunk)?;
            let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else { break };
            total = total.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            if total > FILE_BYTES_MAX {
                return Err(io::Error::other("it is larger than 4 GiB"));
            }
            sha.update(bytes);
        }
        Ok(Digest::from_bytes(sha.finalize().into()))
    };
    hashed().map_err(|error| file(path, error))
}

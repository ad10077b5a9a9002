//! Reading a request body, and saying where it is wrong.

use serde::de::DeserializeOwned;

/// How many containers deep a path leads; what is further inside is not named. No body of ours nests as deep, and the documents in
/// them may hold a megabyte of brackets.
const PATH_STEPS_MAX: usize = 32;

/// How much of what the reader said is repeated, in characters: it quotes names and texts of the body, however long they are.
const WHY_CHARS_MAX: usize = 512;

/// Why a body is not what the route takes. The caller's fault; sending it again is pointless.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct BodyError {
    /// The member at which reading stopped, as a path such as `action.parameters` or `evidence[0].digest`; empty for
    /// the body itself.
    pub path: String,
    /// What is wrong there.
    pub why: String,
}

/// Reads one body: JSON in UTF-8, no unknown or duplicate members, nothing after it.
///
/// # Errors
/// The first thing that is wrong, and where.
pub fn read_body<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, BodyError> {
    let error = match serde_json::from_slice(bytes) {
        Ok(body) => return Ok(body),
        Err(error) => error,
    };
    let path = path_at(bytes, offset_of(bytes, error.line(), error.column()));
    let text = error.to_string();
    // serde_json appends where it stopped; the path says it better.
    let why = text.rsplit_once(" at line ").map_or(text.as_str(), |(why, _)| why);
    let why = why.chars().filter(|c| !c.is_control()).take(WHY_CHARS_MAX).collect();
    Err(BodyError { path, why })
}

/// Turns line and column, both counted from 1 and in bytes, into an offset. The column counts what was consumed.
fn offset_of(bytes: &[u8], line: usize, column: usize) -> usize {
    let start: usize =
        bytes.split(|byte| *byte == b'\n').take(line.saturating_sub(1)).map(|l| l.len() + 1).sum();
    (start + column).min(bytes.len())
}

/// One open container on the way to a place.
enum Step {
    /// An object, and the member that was named last.
    Member(String),
    /// An array, and the element that is being read.
    Element(usize),
}

/// Returns the path of the value that is being read at an offset. Good for any prefix of JSON; for other bytes the
/// path is a guess, and only a hint anyway.
fn path_at(bytes: &[u8], offset: usize) -> String {
    let mut steps: Vec<Step> = Vec::new();
    let mut rest = bytes.get(..offset).unwrap_or(bytes);
    let mut names = false;
    // How many containers are open below the last step.
    let mut deeper = 0_usize;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            b'{' | b'[' if steps.len() >= PATH_STEPS_MAX => deeper = deeper.saturating_add(1),
            b'}' | b']' | b',' if deeper > 0 => deeper -= usize::from(*first != b','),
            b'{' => {
                steps.push(Step::Member(String::new()));
                names = true;
            }
            b'[' => {
                steps.push(Step::Element(0));
                names = false;
            }
            b'}' | b']' => {
                steps.pop();
            }
            b',' => match steps.last_mut() {
                Some(Step::Element(index)) => *index += 1,
                Some(Step::Member(_)) => names = true,
                None => {}
            },
            b'"' => {
                let (text, after) = string_end(rest);
                rest = after;
                if let (true, 0, Some(Step::Member(name))) = (names, deeper, steps.last_mut()) {
                    *name =
                        String::from_utf8_lossy(text).chars().filter(|c| !c.is_control()).take(64).collect();
                    names = false;
                }
            }
            _ => {}
        }
    }
    spell(&steps)
}

/// Splits behind the closing quote of a string whose opening quote was consumed.
fn string_end(bytes: &[u8]) -> (&[u8], &[u8]) {
    let mut escaped = false;
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'"' if !escaped => {
                let (text, after) = bytes.split_at(at);
                return (text, after.get(1..).unwrap_or_default());
            }
            b'\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    (bytes, &[])
}

fn spell(steps: &[Step]) -> String {
    let mut path = String::new();
    for step in steps {
        match step {
            Step::Member(name) if name.is_empty() => {}
            Step::Member(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Element(index) => path.push_str(&format!("[{index}]")),
        }
    }
    path
}

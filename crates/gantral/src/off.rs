//! Gantral taken away from a script: it goes on as it would without, and says so.

use crate::failure::Failure;
use crate::out::{LOOK, Out, styled};

/// Whoever runs an agent takes Gantral away by this variable, and by nothing else: an agent that merely lost its configuration stops.
const SWITCH: &str = "GANTRAL";
/// The one word that does it.
const OFF: &str = "off";
/// What every process of a runner is given.
const LAUNCHED: &str = "GANTRAL_INSTANCE_ID";

/// Tells whether Gantral was taken away from the script that calls, and says so. Only for what asks by its own good will: what stands in the path of
/// an action is taken away by taking it out of the path.
///
/// # Errors
/// Another word, and a process that a runner launched: its authority is the runner's, and no variable of its own takes that away.
pub fn is_off(out: Out) -> Result<bool, Failure> {
    let word = std::env::var_os(SWITCH).unwrap_or_default();
    if word.is_empty() {
        return Ok(false);
    }
    if word != OFF {
        return Err(Failure::new(format!("`{SWITCH}` is `{OFF}`, or not set")).code("not_an_attempt"));
    }
    if std::env::var_os(LAUNCHED).is_some_and(|id| !id.is_empty()) {
        let message = format!("`{SWITCH}={OFF}` in a process that a runner launched");
        return Err(Failure::new(message)
            .code("not_an_attempt")
            .hint("take the workflow from the runner instead"));
    }
    out.talk(format_args!(
        "{}: gantral is off ({SWITCH}={OFF}): nobody is asked, and nothing is recorded",
        styled(LOOK, "GO ON")
    ));
    Ok(true)
}

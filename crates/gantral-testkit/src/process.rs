//! What the system says of processes.

use std::path::Path;

/// Returns the letter for what a process or a thread does, from its file `stat`: `T` stands still, `Z` has ended and was not looked at. `None` when it
/// is gone. Source: proc_pid_stat(5).
pub(crate) fn state(stat: &Path) -> Option<char> {
    let stat = std::fs::read_to_string(stat).ok()?;
    // The name, which may hold anything, ends with the last parenthesis.
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

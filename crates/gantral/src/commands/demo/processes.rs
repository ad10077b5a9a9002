//! Which processes of an attempt are alive, from the system's own list and nobody's memory.

use std::fs;
use std::path::Path;

use crate::failure::Failure;

/// A process of this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// The group that it belongs to.
    pub group: u32,
    /// Its words, joined by blanks.
    pub command: String,
}

/// Returns every live process that has `word` among its words, or belongs to one of `groups`. The dead that nobody has
/// collected yet do not count: they cannot act.
pub fn alive(word: &str, groups: &[u32]) -> Result<Vec<Process>, Failure> {
    let processes = Path::new("/proc");
    let entries = fs::read_dir(processes).map_err(|error| Failure::file("read", processes, &error))?;
    let found = entries.filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let process = read(pid)?;
        let is_named = process.command.split(' ').any(|part| part == word);
        (is_named || groups.contains(&process.group)).then_some(process)
    });
    let mut found: Vec<Process> = found.collect();
    found.sort_by_key(|process| process.pid);
    Ok(found)
}

/// Returns the group of a process, if it lives.
pub fn group_of(pid: u32) -> Option<u32> {
    read(pid).map(|process| process.group)
}

/// Reads one process; `None` if it is gone, or dead.
fn read(pid: u32) -> Option<Process> {
    let folder = Path::new("/proc").join(pid.to_string());
    let stat = fs::read_to_string(folder.join("stat")).ok()?;
    // The second field is the name in parentheses and may hold anything; what follows the last one is regular:
    // state, parent, group.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?;
    let group = fields.nth(1)?.parse().ok()?;
    if matches!(state, "Z" | "X") {
        return None;
    }
    let words = fs::read(folder.join("cmdline")).ok()?;
    let words: Vec<_> =
        words.split(|byte| *byte == 0).filter(|word| !word.is_empty()).map(String::from_utf8_lossy).collect();
    Some(Process { pid, group, command: words.join(" ") })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;
    use std::time::{Duration, Instant};

    #[test]
    fn child_is_seen_while_it_lives_and_not_afterwards() {
        let mut child = Command::new("sleep").arg("60.25").spawn().unwrap();
        // The words of a process stand in the list a moment after its start was reported.
        let patience = Instant::now() + Duration::from_secs(10);
        let mut seen = alive("60.25", &[]).unwrap();
        while seen.is_empty() && Instant::now() < patience {
            std::thread::yield_now();
            seen = alive("60.25", &[]).unwrap();
        }
        assert_eq!(seen.iter().map(|process| process.pid).collect::<Vec<_>>(), [child.id()]);
        assert_eq!(group_of(child.id()), group_of(std::process::id()));
        child.kill().unwrap();
        // Dead and not yet collected.
        while group_of(child.id()).is_some() {
            std::thread::yield_now();
        }
        assert_eq!(alive("60.25", &[]).unwrap(), []);
        child.wait().unwrap();
    }
}

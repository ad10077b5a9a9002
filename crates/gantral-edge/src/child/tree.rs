//! Everything that descends from this process, whatever group or session it moved itself into.
//!
//! A process that loses its parent is given to the nearest ancestor that adopts orphans. Once this process is one, nothing that it started
//! ends up elsewhere while it lives, and the table of processes says what that is. What runs as another user cannot be ended this way, and a
//! process that ends its guardian first is not found: a control group reaches both.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, getpid, kill_process, wait};

/// How long descendants are looked for and ended: one that cannot be ended must not hold up the end of the others.
const END_WITHIN: Duration = Duration::from_secs(1);
/// The pause between two looks: the system takes a moment to end what was killed.
const PAUSE: Duration = Duration::from_millis(2);
/// The most generations between a process and its guardian that are looked through.
const DEPTH_MAX: usize = 1_024;

/// Lets this process adopt what its descendants leave behind. Whoever calls it waits by [`wait_for`], which buries the orphans too.
///
/// # Errors
/// The system's. Where it knows no such thing, orphans go their way and only the group is reached.
#[cfg(target_os = "linux")]
pub fn adopt_orphans() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(getpid()))?)
}

/// Elsewhere only the group is reached.
#[cfg(not(target_os = "linux"))]
pub fn adopt_orphans() -> io::Result<()> {
    Ok(())
}

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waited {
    /// By itself, with a status.
    Exited(i32),
    /// By a signal.
    Killed(i32),
}

/// Waits for the end of one child, and buries every other that ends until then.
///
/// # Errors
/// The system's, when it knows no such child.
pub fn wait_for(child: u32) -> io::Result<Waited> {
    let awaited = i32::try_from(child).ok();
    loop {
        match wait(WaitOptions::empty()) {
            Ok(Some((ended, status))) if Some(ended.as_raw_nonzero().get()) == awaited => {
                return Ok(match status.exit_status() {
                    Some(code) => Waited::Exited(code),
                    None => Waited::Killed(status.terminating_signal().unwrap_or_default()),
                });
            }
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Ends everything that descends from this process, and returns when nothing of it is left, or what is left cannot be ended.
///
/// All of it is stopped before any of it is killed, so that nothing starts another process meanwhile. Buries nobody.
pub fn end_descendants() {
    let until = Instant::now() + END_WITHIN;
    let mut stopped = Vec::new();
    loop {
        let living = descendants();
        let fresh: Vec<Pid> = living.iter().copied().filter(|pid| !stopped.contains(pid)).collect();
        let time_is_up = Instant::now() >= until;
        if living.is_empty() {
            return;
        }
        if fresh.is_empty() || time_is_up {
            signal(&living, Signal::KILL);
            if time_is_up {
                return;
            }
            std::thread::sleep(PAUSE);
        } else {
            signal(&fresh, Signal::STOP);
            stopped.extend(fresh);
        }
    }
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        // An error means that it is gone, or not ours to end.
        let _ = kill_process(*process, signal);
    }
}

/// Returns every living descendant of this process. Where there is no table of processes, none.
fn descendants() -> Vec<Pid> {
    let parents = table();
    let mut found = vec![getpid().as_raw_nonzero().get()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(parents.iter().filter(|row| row.parent == parent).map(|row| row.process));
        next += 1;
    }
    let is_alive = |process: &&i32| parents.iter().any(|row| row.process == **process && row.alive);
    found.iter().skip(1).filter(is_alive).filter_map(|process| Pid::from_raw(*process)).collect()
}

/// Tells whether a process descends from another one, as far as the table of processes says.
pub(crate) fn descends_from(process: i32, ancestor: i32) -> bool {
    let mut at = process;
    // A process has fewer ancestors than this; a table that was read while it changed may have a loop.
    for _ in 0..DEPTH_MAX {
        match row(at) {
            Some(row) if row.parent == ancestor => return true,
            Some(row) if row.parent > 1 => at = row.parent,
            Some(_) | None => return false,
        }
    }
    false
}

struct Row {
    process: i32,
    parent: i32,
    alive: bool,
}

fn table() -> Vec<Row> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    processes.filter_map(row).collect()
}

fn row(process: i32) -> Option<Row> {
    let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
    parse(process, &String::from_utf8_lossy(&stat))
}

/// Reads a line of `/proc/PID/stat`: the name stands in brackets and may hold brackets itself.
fn parse(process: i32, stat: &str) -> Option<Row> {
    let mut words = stat.rsplit_once(')')?.1.split_whitespace();
    let state = words.next()?;
    let parent = words.next()?.parse().ok()?;
    Some(Row { process, parent, alive: !matches!(state, "Z" | "X" | "x") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_hides_no_parent() {
        let row = parse(7, "7 (a) S 1 (b) T 42 7 7 0 -1").unwrap();
        assert_eq!((row.process, row.parent, row.alive), (7, 42, true));
        assert!(!parse(7, "7 (sh) Z 1 7").unwrap().alive);
        for damaged in ["", "7 (sh", "7 (sh)", "7 (sh) S", "7 (sh) S x"] {
            assert!(parse(7, damaged).is_none(), "{damaged}");
        }
    }
}

//! How much memory some work took at most, as the kernel counted it for this process.

use std::fs;

/// Runs `work`, and returns by how many bytes the memory of this process grew while it ran, at its peak. `None` where the kernel
/// does not tell: it is asked through `/proc`. Other threads count too, so whoever measures runs alone.
pub fn peak_growth<T>(work: impl FnOnce() -> T) -> (T, Option<u64>) {
    // 5 forgets the peak (proc_pid_clear_refs(5)).
    let reset = fs::write("/proc/self/clear_refs", "5").ok();
    let before = status("VmRSS:");
    let answer = work();
    let grown = || status("VmHWM:")?.checked_sub(before?);
    (answer, reset.and_then(|()| grown()))
}

/// Returns one line of the status of this process, in bytes.
fn status(name: &str) -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kib.checked_mul(1_024)
}

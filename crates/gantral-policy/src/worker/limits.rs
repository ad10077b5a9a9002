//! The limits that a worker sets on itself. The server's deadline is the first fence; these hold without the server.

use std::io;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

/// Address space, in bytes: several prepared bundles of the largest size, and far below what hurts a server.
const MEMORY_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// Open files: the three standard ones, the copy of the socket, and a little room for the runtime.
const FILES_MAX: u64 = 16;
/// Processor time for one request, in seconds. A check with many tests is the longest.
const CPU_SECONDS_MAX: u64 = 20;
/// How often the processor time is renewed at most: a worker that serves for days must not run out of it.
const RENEW_EVERY: Duration = Duration::from_secs(1);

/// Limits this process for good, and lets it die with its parent.
pub(super) fn restrict_self() -> io::Result<()> {
    die_with_parent()?;
    fix(Resource::Core, 0)?;
    fix(Resource::Nofile, FILES_MAX)?;
    fix(Resource::Fsize, 0)?;
    fix(Resource::As, MEMORY_BYTES_MAX)?;
    renew_cpu()
}

/// Lowers a limit beyond recall; one that is lower already stays.
fn fix(resource: Resource, limit: u64) -> io::Result<()> {
    let limit = getrlimit(resource).maximum.map_or(limit, |old| old.min(limit));
    Ok(setrlimit(resource, Rlimit { current: Some(limit), maximum: Some(limit) })?)
}

/// Asks for a signal at the death of the thread that started this process.
#[cfg(target_os = "linux")]
fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?)
}

/// Elsewhere an idle worker ends when its socket closes, and a busy one by its processor time.
#[cfg(not(target_os = "linux"))]
fn die_with_parent() -> io::Result<()> {
    Ok(())
}

/// Moves the soft limit to the allowance of one more request, counted from what was used so far.
fn renew_cpu() -> io::Result<()> {
    let used = u64::try_from(clock_gettime(ClockId::ProcessCPUTime).tv_sec).unwrap_or(0);
    let maximum = getrlimit(Resource::Cpu).maximum;
    let current = used.saturating_add(CPU_SECONDS_MAX).min(maximum.unwrap_or(u64::MAX));
    Ok(setrlimit(Resource::Cpu, Rlimit { current: Some(current), maximum })?)
}

/// Renews the processor time between requests.
#[derive(Debug)]
pub(super) struct CpuAllowance {
    renewed: Instant,
}

impl Default for CpuAllowance {
    fn default() -> Self {
        Self { renewed: Instant::now() }
    }
}

impl CpuAllowance {
    /// Called before each request. A failure leaves the old limit, which is the safe side.
    pub(super) fn renew(&mut self) {
        if self.renewed.elapsed() >= RENEW_EVERY {
            let _ = renew_cpu();
            self.renewed = Instant::now();
        }
    }
}

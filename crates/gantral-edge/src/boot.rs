//! Which start of the machine this is: what a process wrote and did not flush outlives the process, and not the machine.

/// Where Linux tells a random name of its start.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// Returns the name of this start of the machine: another one after each start, the same for every process until then. `None` where the
/// system has no such name, and nothing may rest on it.
pub fn id() -> Option<String> {
    let id = std::fs::read_to_string(BOOT_ID).ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

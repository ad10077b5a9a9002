//! A control group for each attempt, where the system gives this runner some: what is in it is ended at once and as a whole, and its memory
//! and number of processes are limited together. Source: the kernel's documentation of control group v2.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use gantral_core::digest::Digest;
use rustix::fs::Access;

/// How long the system may take to bury what was killed.
const EMPTY_WITHIN: Duration = Duration::from_secs(1);
/// The pause between two looks.
const PAUSE: Duration = Duration::from_millis(2);
/// What the names of a runner's groups begin with.
const PREFIX: &str = "gantral-";
/// How many characters of the digest of its work directory tell a runner from others.
const NAME_LEN: usize = 16;

/// Where control groups are made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum CgroupPlace {
    /// Below the group that the runner is in, where that is writable; else there are none.
    #[default]
    Own,
    /// There are none.
    Nowhere,
    /// Below this folder. If it cannot be used the runner does not start.
    Folder(PathBuf),
}

/// What all processes of one attempt may use together. If any of it is set, control groups are required.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CgroupLimits {
    /// Memory, in bytes, without swap: who needs more is ended, with all the others of the attempt.
    pub memory_bytes: Option<u64>,
    /// Processes and threads at one time.
    pub processes: Option<u64>,
}

/// Why control groups cannot be used as they are configured. The environment is at fault, and nothing is launched.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There are none, and a limit needs them.
    #[error(
        "a limit of memory or processes needs control groups, and this runner may make none: delegate one to it"
    )]
    Needed,
    /// The system does not limit what is configured.
    #[error("the control group `{path}` has no controller `{controller}`: delegate it to this runner")]
    Controller {
        /// The group.
        path: String,
        /// What is missing.
        controller: &'static str,
    },
    /// The system refused.
    #[error("the control group `{path}` cannot be used: {error}")]
    Io {
        /// The group.
        path: String,
        /// Why.
        error: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.display().to_string();
    move |error| CgroupError::Io { path, error }
}

/// The groups of one runner.
#[derive(Debug)]
pub(crate) struct Cgroups {
    folder: PathBuf,
    limits: CgroupLimits,
}

impl Cgroups {
    /// Makes the group of a runner with this work directory, which it holds, and ends what an earlier one left in it.
    ///
    /// `None` where there are none and none are needed.
    pub(crate) fn open(
        place: &CgroupPlace,
        limits: &CgroupLimits,
        work: &Path,
    ) -> Result<Option<Self>, CgroupError> {
        let needed = *limits != CgroupLimits::default();
        let base = match place {
            CgroupPlace::Folder(folder) => Some(folder.clone()),
            CgroupPlace::Own => own().filter(|folder| is_ours(folder)),
            CgroupPlace::Nowhere => None,
        };
        let Some(base) = base else {
            return if needed { Err(CgroupError::Needed) } else { Ok(None) };
        };
        match Self::below(&base, limits, work) {
            // Nobody asked for them.
            Err(error) if *place == CgroupPlace::Own && !needed => {
                tracing::warn!(%error, "no control groups are used");
                Ok(None)
            }
            groups => groups.map(Some),
        }
    }

    fn below(base: &Path, limits: &CgroupLimits, work: &Path) -> Result<Self, CgroupError> {
        let name = Digest::of(work.as_os_str().as_bytes()).to_hex();
        let folder = base.join(format!("{PREFIX}{}", name.get(..NAME_LEN).unwrap_or_default()));
        let groups = Self { folder, limits: limits.clone() };
        groups.end_what_was_left();
        match fs::create_dir(&groups.folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(at(&groups.folder)(error));
            }
            Ok(()) | Err(_) => {}
        }
        if !groups.folder.join("cgroup.kill").exists() {
            let error = io::Error::other("it is no control group of version 2 of Linux 5.14 or later");
            return Err(at(base)(error));
        }
        for controller in groups.controllers() {
            enable(base, controller)?;
            enable(&groups.folder, controller)?;
        }
        Ok(groups)
    }

    fn controllers(&self) -> impl Iterator<Item = &'static str> + use<> {
        let memory = self.limits.memory_bytes.map(|_| "memory");
        memory.into_iter().chain(self.limits.processes.map(|_| "pids"))
    }

    fn end_what_was_left(&self) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                drop(Cgroup { folder: entry.path() });
            }
        }
    }

    /// Makes the group of one attempt, with its limits.
    pub(crate) fn attempt(&self, name: &str) -> Result<Cgroup, CgroupError> {
        let folder = self.folder.join(name);
        fs::create_dir(&folder).map_err(at(&folder))?;
        // From here on it is removed again.
        let group = Cgroup { folder };
        let set = |file: &str, value: String| {
            let path = group.folder.join(file);
            fs::write(&path, value).map_err(at(&path))
        };
        if let Some(bytes) = self.limits.memory_bytes {
            set("memory.max", bytes.to_string())?;
            set("memory.oom.group", "1".to_owned())?;
            // Where there is no swap there is no such file, and nothing to limit.
            if group.folder.join("memory.swap.max").exists() {
                set("memory.swap.max", "0".to_owned())?;
            }
        }
        if let Some(processes) = self.limits.processes {
            set("pids.max", processes.to_string())?;
        }
        Ok(group)
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // An error means that another thread still ends an attempt; the next runner with this work directory removes it.
        let _ = fs::remove_dir(&self.folder);
    }
}

/// The group of one attempt. Dropping it ends what is in it, and removes it.
#[derive(Debug)]
pub(crate) struct Cgroup {
    folder: PathBuf,
}

impl Cgroup {
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Ends everything in it, at once. Returns before it is gone.
    pub(crate) fn kill(&self) {
        if let Err(error) = fs::write(self.folder.join("cgroup.kill"), "1") {
            tracing::warn!(group = %self.folder.display(), %error, "a control group cannot be ended");
        }
    }

    /// Returns when nothing is left in it, or what is left does not end.
    pub(crate) fn wait_until_empty(&self) {
        let until = Instant::now() + EMPTY_WITHIN;
        while self.is_populated() && Instant::now() < until {
            std::thread::sleep(PAUSE);
        }
    }

    fn is_populated(&self) -> bool {
        let events = fs::read_to_string(self.folder.join("cgroup.events")).unwrap_or_default();
        events.lines().any(|line| line == "populated 1")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if self.is_populated() {
            self.kill();
            self.wait_until_empty();
        }
        remove(&self.folder);
    }
}

/// Removes a group, with those that were made in it.
fn remove(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove(&entry.path());
        }
    }
    if let Err(error) = fs::remove_dir(folder) {
        tracing::warn!(group = %folder.display(), %error, "a control group stays behind");
    }
}

/// Has a controller work in the groups below this one.
fn enable(folder: &Path, controller: &'static str) -> Result<(), CgroupError> {
    let path = folder.join("cgroup.controllers");
    let there = fs::read_to_string(&path).map_err(at(&path))?;
    if !there.split_whitespace().any(|one| one == controller) {
        return Err(CgroupError::Controller { path: folder.display().to_string(), controller });
    }
    let path = folder.join("cgroup.subtree_control");
    let enabled = fs::read_to_string(&path).map_err(at(&path))?;
    if enabled.split_whitespace().any(|one| one == controller) {
        return Ok(());
    }
    fs::write(&path, format!("+{controller}")).map_err(at(&path))
}

/// Where the file system of control groups is, and which group stands at its root.
struct Mount {
    folder: PathBuf,
    root: String,
}

fn mount() -> Option<Mount> {
    let text = fs::read_to_string("/proc/self/mountinfo").ok()?;
    text.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut words = before.split_whitespace().skip(3);
        let (root, folder) = (words.next()?, words.next()?);
        let is_v2 = after.split_whitespace().next() == Some("cgroup2");
        is_v2.then(|| Mount { folder: folder.into(), root: root.to_owned() })
    })
}

/// Returns the folder of the group that this process is in.
fn own() -> Option<PathBuf> {
    folder_of("self")
}

/// Tells whether a process is in a group, or in one below it.
pub(super) fn holds(folder: &Path, process: i32) -> bool {
    folder_of(&process.to_string()).is_some_and(|found| found.starts_with(folder))
}

/// Returns the folder of the group that a process is in, by its name in the table of processes.
fn folder_of(process: &str) -> Option<PathBuf> {
    let mount = mount()?;
    let text = fs::read_to_string(format!("/proc/{process}/cgroup")).ok()?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let below = path.strip_prefix(mount.root.trim_end_matches('/')).unwrap_or(path);
    Some(mount.folder.join(below.trim_start_matches('/')))
}

/// Tells whether groups can be made in a folder, and processes be moved from it into them.
fn is_ours(folder: &Path) -> bool {
    let may = |path: &Path| rustix::fs::access(path, Access::WRITE_OK).is_ok();
    may(folder) && may(&folder.join("cgroup.procs"))
}

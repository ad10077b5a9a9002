//! A small disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::is_ci;

/// A file system of a certain size in memory, unmounted when dropped.
#[derive(Debug)]
pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts one upon a folder. `None` where nobody may, which is no answer in CI.
    ///
    /// # Panics
    /// In CI, where it must be possible.
    #[expect(clippy::print_stderr, reason = "whoever runs the tests is to know that one did nothing")]
    pub fn mount(folder: &Path, size: &str) -> Option<Self> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder)
            .output()
            .is_ok_and(|output| output.status.success());
        if !mounted {
            assert!(!is_ci(), "this test needs the right to mount a file system; CI must have it");
            eprintln!("skipped: no right to mount a file system");
        }
        mounted.then(|| Self(folder.to_owned()))
    }

    /// Gives it another size; what is on it stays.
    ///
    /// # Panics
    /// When the system refuses: it is no smaller than what is on it.
    pub fn resize(&self, size: &str) {
        let remounted = Command::new("mount")
            .args(["-o", &format!("remount,size={size}")])
            .arg(&self.0)
            .status()
            .expect("`mount` can be run");
        assert!(remounted.success(), "the file system cannot have the size {size}");
    }

    /// Takes up whatever is free.
    ///
    /// # Panics
    /// When it cannot be written for another reason than that it is full.
    pub fn fill(&self) {
        let mut file = fs::File::create(self.ballast()).expect("a file can be made");
        let filled = std::io::copy(&mut std::io::repeat(0), &mut file);
        let error = filled.expect_err("a disk has an end");
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
    }

    /// Frees what [`Tmpfs::fill`] took.
    ///
    /// # Panics
    /// When it took nothing.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("it was filled");
    }

    fn ballast(&self) -> PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Whoever still has a file open on it keeps nobody waiting.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

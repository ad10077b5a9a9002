//! A real engine of containers, and an image that holds nothing: what runs in it is this machine's, mounted to be read only.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use gantral_edge::runner::{ContainerConfig, EngineKind, ExecutorConfig, Pull};
use tempfile::TempDir;

/// What the image is called, and what stands in its one file.
const IMAGE: &str = "localhost/gantral-test:1";
pub const MARK: &str = "in the image of the tests";

/// Podman, with a storage of its own.
pub struct Engine {
    storage: TempDir,
}

impl Engine {
    /// Makes the image. The engine and what it runs containers by are of the system (`cargo xtask parts` installs them).
    pub fn open() -> Self {
        let engine = Self { storage: tempfile::tempdir().unwrap() };
        let (image, archive) = (engine.storage.path().join("image"), engine.storage.path().join("image.tar"));
        for folder in ["tmp", "run", "proc", "dev", "sys", "etc"] {
            std::fs::create_dir_all(image.join(folder)).unwrap();
        }
        std::fs::write(image.join("etc/mark"), MARK).unwrap();
        let packed = Command::new("tar").arg("-C").arg(&image).arg("-cf").arg(&archive).arg(".").status();
        assert!(packed.unwrap().success());
        let imported = engine.ask(&["import", "--quiet", archive.to_str().unwrap(), IMAGE]);
        assert!(
            imported.status.success(),
            "an engine of containers is needed\nhint: `cargo xtask parts`\n{}",
            String::from_utf8_lossy(&imported.stderr)
        );
        engine
    }

    fn options(&self) -> Vec<String> {
        let below = |part: &str| self.storage.path().join(part).display().to_string();
        let mut options = vec![format!("--root={}", below("root")), format!("--runroot={}", below("run"))];
        options.extend(
            ["--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--runtime=runc"].map(str::to_owned),
        );
        options
    }

    pub fn ask(&self, words: &[&str]) -> Output {
        Command::new("podman").args(self.options()).args(words).output().unwrap()
    }

    /// Every container that there is, whatever has become of it.
    pub fn containers(&self) -> Vec<String> {
        let found = self.ask(&["ps", "--all", "--quiet", "--no-trunc"]);
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    /// Containers that share the network of this machine, and may write into a folder of it.
    pub fn config(&self, shared: &Path) -> ContainerConfig {
        let mut run_options: Vec<String> = ["/bin", "/lib", "/lib64", "/usr"]
            .into_iter()
            .filter(|folder| Path::new(folder).exists())
            .map(|folder| format!("--volume={folder}:{folder}:ro"))
            .collect();
        let own = std::env::current_exe().unwrap();
        let own = own.parent().unwrap().display().to_string();
        run_options.push(format!("--volume={own}:{own}:ro"));
        run_options.push(format!("--volume={0}:{0}:rw", shared.display()));
        // The engine would raise them, which not every machine permits.
        run_options.extend(["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"].map(str::to_owned));
        ContainerConfig {
            engine: EngineKind::Podman,
            program: PathBuf::from("podman"),
            engine_options: self.options(),
            run_options,
            image: IMAGE.to_owned(),
            pull: Pull::Never,
            network: Some("host".to_owned()),
            url: None,
            milli_cpus: None,
            writable: false,
            tmp_bytes: 16 << 20,
        }
    }

    pub fn executor(&self, shared: &Path) -> ExecutorConfig {
        ExecutorConfig::Container(self.config(shared))
    }
}

/// Nothing of the storage may stay mounted, or it could not be removed.
impl Drop for Engine {
    fn drop(&mut self) {
        self.ask(&["rm", "--all", "--force", "--time=0"]);
        self.ask(&["rmi", "--all", "--force"]);
    }
}

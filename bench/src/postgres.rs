//! A PostgreSQL server of our own: a new data folder on the disk that is measured, reached by a socket, gone when dropped.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use crate::{disk_folder, part};

/// What the server is told beyond its defaults. The first four make an answered commit durable by the same call as ours.
const SETTINGS: [&str; 7] = [
    "fsync=on",
    "synchronous_commit=on",
    "full_page_writes=on",
    "wal_sync_method=fdatasync",
    "shared_buffers=512MB",
    "max_connections=200",
    "listen_addresses=",
];
/// What spares the server what it would do at work between two measurements as well as in them, where it is the peer: there is no checkpoint in
/// any round, while ours are measured with theirs.
pub const SPARED: [&str; 2] = ["max_wal_size=16GB", "checkpoint_timeout=1h"];
/// The settings that decide what an answer means, as the output names them.
pub const SETTINGS_TOLD: &str =
    "fsync=on, synchronous_commit=on, wal_sync_method=fdatasync, through a socket";
/// The role that owns a new cluster, and the account that the server runs as when we are root, which it refuses to be.
const OWNER: &str = "postgres";
/// Only names the socket: the server listens on no network.
const PORT: u16 = 5432;
/// How long the server may take to answer.
const START_WAIT: Duration = Duration::from_secs(30);
/// How long before the server is asked again.
const POLL: Duration = Duration::from_millis(50);

/// The folder of an installed PostgreSQL's programs.
pub struct Binaries(PathBuf);

impl Binaries {
    /// Returns the pinned ones, or else the first on the search path, or else the newest where Debian keeps them.
    pub fn find() -> Option<Self> {
        let pinned = part("postgres/server/bin").canonicalize().ok();
        let path = env::var_os("PATH").unwrap_or_default();
        let complete = |dir: &PathBuf| dir.join("initdb").is_file() && dir.join("postgres").is_file();
        pinned.into_iter().chain(env::split_paths(&path)).chain(debian()).find(complete).map(Self)
    }

    /// Returns what the server says it is, such as `postgres (PostgreSQL) 15.18`.
    pub fn version(&self) -> Result<String> {
        let output = Command::new(self.0.join("postgres")).arg("--version").output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }
}

/// Returns where Debian keeps the programs of each version, the newest first.
fn debian() -> Vec<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin"))))
        .collect();
    found.sort_by(|one, other| other.cmp(one));
    found.into_iter().map(|(_, bin)| bin).collect()
}

/// A running server, stopped when dropped.
pub struct Cluster {
    process: Child,
    /// Its data, log and configuration.
    folder: TempDir,
    /// Its socket, in a folder of its own because the path of a socket may have no more than 107 bytes.
    socket: TempDir,
}

impl Cluster {
    /// Makes a cluster in a new folder on the disk that is measured, and starts it with further settings.
    ///
    /// # Errors
    /// When the server cannot be started; the text holds what it said.
    pub async fn start(binaries: &Binaries, further: &[&str]) -> Result<Self> {
        let folder =
            tempfile::Builder::new().prefix("gantral-postgres").tempdir_in(disk_folder().canonicalize()?)?;
        let socket = tempfile::Builder::new().prefix("gantral-postgres").tempdir()?;
        let account = if geteuid().is_root() { Some(Account::named(OWNER)?) } else { None };
        let program = |name: &str| {
            let mut command = Command::new(binaries.0.join(name));
            command.current_dir(folder.path()).stdin(Stdio::null());
            if let Some(account) = &account {
                command.uid(account.user).gid(account.group);
            }
            command
        };
        if let Some(account) = &account {
            for dir in [&folder, &socket] {
                chown(dir.path(), Some(account.user), Some(account.group))?;
            }
        }
        let data = folder.path().join("data");
        let made = program("initdb")
            .args(["--username", OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--pgdata"])
            .arg(&data)
            .output()
            .context("cannot start `initdb`")?;
        ensure!(made.status.success(), "cannot make a cluster: {}", String::from_utf8_lossy(&made.stderr));
        let log = File::create(folder.path().join("log"))?;
        let mut server = program("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(socket.path()).arg("-p").arg(PORT.to_string());
        server.args(SETTINGS.iter().chain(further).flat_map(|setting| ["-c", setting]));
        let process =
            server.stdout(log.try_clone()?).stderr(log).spawn().context("cannot start `postgres`")?;
        let mut cluster = Self { process, folder, socket };
        cluster.ready().await?;
        Ok(cluster)
    }

    /// Waits until the server answers.
    async fn ready(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            let Err(error) = self.connect().await else { return Ok(()) };
            if self.process.try_wait()?.is_some() || began.elapsed() > START_WAIT {
                let said = fs::read_to_string(self.folder.path().join("log"))?;
                bail!("PostgreSQL does not answer ({error}): {said}");
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// Makes an empty database, and returns the address that a server of ours is told.
    ///
    /// # Errors
    /// When there is one of that name.
    pub async fn database(&self, name: &str) -> Result<String> {
        self.connect().await?.batch_execute(&format!("CREATE DATABASE {name}")).await?;
        let socket = self.socket.path().display().to_string().replace('/', "%2F");
        Ok(format!("postgres://{OWNER}@{socket}:{PORT}/{name}"))
    }

    /// Opens one connection, which lives as long as its client.
    pub async fn connect(&self) -> Result<Client> {
        let mut config = Config::new();
        config.host_path(self.socket.path()).port(PORT).user(OWNER).dbname(OWNER);
        let (client, connection) = config.connect(NoTls).await?;
        // What ends a connection is told to the client's next statement.
        tokio::spawn(async move { connection.await.ok() });
        Ok(client)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // The folder goes with the server: it need not write anything down, only leave no process and no shared memory.
        if kill_process(Pid::from_child(&self.process), Signal::QUIT).is_ok() {
            // An error says that it has ended already.
            let _ = self.process.wait();
        }
    }
}

/// An account of this machine.
struct Account {
    user: u32,
    group: u32,
}

impl Account {
    fn named(name: &str) -> Result<Self> {
        let accounts = fs::read_to_string("/etc/passwd")?;
        let lines = accounts.lines().map(|line| line.split(':').collect::<Vec<_>>());
        for fields in lines {
            if let [found, _, user, group, ..] = fields[..]
                && found == name
            {
                return Ok(Self { user: user.parse()?, group: group.parse()? });
            }
        }
        bail!("PostgreSQL does not run as root, and there is no account `{name}` to run it as")
    }
}

//! A real PostgreSQL server: the pinned part, with data of its own, reached by a socket, gone with the process that started it.
#![expect(clippy::unwrap_used, reason = "what goes wrong with the server fails the test that needs it")]

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use gantral_store::fault::FaultPlan;
use gantral_store::{PostgresOptions, Store};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls};

use crate::tmpfs::Tmpfs;
use crate::{part, process};

/// The role that owns the cluster.
const OWNER: &str = "postgres";
/// Whom the server runs as where we are root, which it refuses to be: nobody.
const NOBODY: u32 = 65_534;
/// What the server is told beyond its defaults. It flushes, as a real one does; it is small, because it is one of many parts of a test run.
const SETTINGS: [&str; 6] = [
    "fsync=on",
    "full_page_writes=on",
    "listen_addresses=",
    "shared_buffers=32MB",
    "max_connections=300",
    "unix_socket_permissions=0700",
];
/// Only names the socket, unless a test makes the server listen on a network as well.
const PORT: u16 = 5432;
/// How long the server may take to answer.
const START_WAIT: Duration = Duration::from_secs(60);
/// Runs the server until the process that started it has gone or says so, by the end of standard input. What is killed outright cannot clean up
/// after itself, so that this does it, unless its last word is that everything stays. It outlives what interrupts the whole test run.
const WATCH: &str = r#"
trap : INT TERM
"$0" "$@" </dev/null >>log 2>&1 &
echo $! >pid
last=$(cat)
kill -QUIT $! 2>/dev/null
wait
test "$last" = stay || rm -rf "$PWD"
"#;

/// A running server, stopped when dropped or when the process ends.
pub struct Cluster {
    watch: Child,
    /// Its end ends the server.
    input: Option<ChildStdin>,
    /// What the folder is on, where it is a disk of its own.
    disk: Option<Tmpfs>,
    /// Data, log and socket. In the temporary folder itself: the path of a socket may have no more than 107 bytes.
    folder: TempDir,
    settings: Vec<String>,
    port: u16,
}

/// Returns the folder of the server's programs, free of links: it finds its libraries beside them.
fn programs() -> PathBuf {
    part("postgres/server/bin").canonicalize().unwrap()
}

impl Cluster {
    /// Makes a cluster, and starts its server.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Makes a cluster, and starts its server with settings that count more than ours.
    pub fn start_with(settings: &[&str]) -> Self {
        Self::prepared(PORT, settings, |_| ())
    }

    /// Makes a cluster, lets `prepare` put files into the folder of its data, and starts its server at a port.
    pub fn prepared(port: u16, settings: &[&str], prepare: impl FnOnce(&Path)) -> Self {
        Self::begin(port, settings, Self::folder(), None, prepare)
    }

    /// Makes a cluster upon a disk of its own of so many MiB, and starts its server. `None` where nobody may mount one.
    pub fn on_small_disk(mib: usize) -> Option<Self> {
        let folder = Self::folder();
        let disk = Tmpfs::mount(folder.path(), &format!("{mib}m"))?;
        Some(Self::begin(PORT, &[], folder, Some(disk), |_| ()))
    }

    fn folder() -> TempDir {
        tempfile::Builder::new().prefix("gantral-pg").tempdir().unwrap()
    }

    fn begin(
        port: u16,
        settings: &[&str],
        folder: TempDir,
        disk: Option<Tmpfs>,
        prepare: impl FnOnce(&Path),
    ) -> Self {
        if is_root(folder.path()) {
            chown(folder.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let made = Self::program(folder.path(), &programs().join("initdb"))
            .args(["--username", OWNER, "--auth=trust", "--encoding=UTF8", "--locale=C", "--pgdata=data"])
            .output()
            .unwrap();
        assert!(made.status.success(), "no cluster: {}", String::from_utf8_lossy(&made.stderr));
        let data = folder.path().join("data");
        prepare(&data);
        if folder.path().metadata().unwrap().uid() == NOBODY {
            for file in fs::read_dir(&data).unwrap() {
                chown(file.unwrap().path(), Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
        let settings = SETTINGS.iter().chain(settings).map(|setting| (*setting).to_owned()).collect();
        Self::run(port, settings, folder, disk)
    }

    /// Starts the server of a cluster that is there.
    fn run(port: u16, settings: Vec<String>, folder: TempDir, disk: Option<Tmpfs>) -> Self {
        let (watch, input) = Self::watch(folder.path(), port, &settings);
        let cluster = Self { watch, input, disk, folder, settings, port };
        cluster.ready();
        cluster
    }

    /// Makes a second server of what is here, which only reads and follows this one. From then on this one answers no commit that the other has
    /// not on its disk as well.
    pub async fn standby(&mut self) -> Self {
        // Ended at once, and all of it: what is copied is what a crash leaves.
        self.stay();
        let folder = Self::folder();
        let owner = self.folder.path().metadata().unwrap();
        chown(folder.path(), Some(owner.uid()), Some(owner.gid())).unwrap();
        let ours = |program: &str| Self::program(self.folder.path(), Path::new(program));
        let copied = ours("cp").args(["-a", "data"]).arg(folder.path()).status().unwrap();
        let marked = ours("touch").arg(folder.path().join("data/standby.signal")).status().unwrap();
        assert!(copied.success() && marked.success());
        self.restart();
        let mut settings = self.settings.clone();
        settings.push(format!("primary_conninfo={}", self.address(OWNER)));
        let standby = Self::run(self.port, settings, folder, None);
        let raw = self.raw(OWNER).await;
        raw.batch_execute("ALTER SYSTEM SET synchronous_standby_names TO '*'").await.unwrap();
        raw.batch_execute("SELECT pg_reload_conf()").await.unwrap();
        let began = Instant::now();
        let follows = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'";
        while raw.query(follows, &[]).await.unwrap().is_empty() {
            assert!(began.elapsed() < START_WAIT, "the standby does not follow");
            std::thread::sleep(Duration::from_millis(20));
        }
        standby
    }

    /// Has a standby take over. The server that it followed must not run any more.
    pub async fn promote(&self) {
        let row = self.raw(OWNER).await.query_one("SELECT pg_promote()", &[]).await.unwrap();
        assert!(row.get::<_, bool>(0), "the standby does not take over");
    }

    fn program(folder: &Path, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(folder).stdin(Stdio::null());
        if folder.metadata().unwrap().uid() == NOBODY {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn watch(folder: &Path, port: u16, settings: &[String]) -> (Child, Option<ChildStdin>) {
        let mut command = Self::program(folder, Path::new("sh"));
        command.args(["-c", WATCH]).arg(programs().join("postgres")).args(["-D", "data", "-p"]);
        command.arg(port.to_string()).arg("-k").arg(folder);
        command.args(settings.iter().flat_map(|setting| ["-c", setting])).stdin(Stdio::piped());
        let mut watch = command.spawn().unwrap();
        let input = watch.stdin.take();
        (watch, input)
    }

    /// Waits until the server answers. Without a runtime, because a test may be in one.
    fn ready(&self) {
        let (began, socket) = (Instant::now(), self.socket());
        let log = || fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        while !(socket.exists() && log().lines().rev().any(|line| line.contains("ready to accept"))) {
            assert!(began.elapsed() < START_WAIT, "PostgreSQL does not answer: {}", log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server as a power failure would, as far as a process can be killed, and waits for all of it to go.
    pub fn crash(&mut self) {
        assert!(Command::new("kill").args(["-KILL", &self.pid()]).status().unwrap().success());
        self.stay();
    }

    fn pid(&self) -> String {
        fs::read_to_string(self.folder.path().join("pid")).unwrap().trim().to_owned()
    }

    /// Ends the watch, and lets everything stay where it is.
    fn stay(&mut self) {
        if let Some(mut input) = self.input.take() {
            input.write_all(b"stay").unwrap();
        }
        self.watch.wait().unwrap();
    }

    /// Starts the server again upon what is there.
    pub fn restart(&mut self) {
        fs::remove_file(self.folder.path().join("log")).unwrap();
        let began = Instant::now();
        // Processes of the killed server may still be there, and hold its shared memory: it then refuses, and is asked again.
        loop {
            (self.watch, self.input) = Self::watch(self.folder.path(), self.port, &self.settings);
            std::thread::sleep(Duration::from_millis(300));
            if self.is_up() {
                return self.ready();
            }
            self.stay();
            assert!(began.elapsed() < START_WAIT, "PostgreSQL does not start again");
        }
    }

    /// Tells whether the server that was started last still runs. One that has ended is there until its watch looks.
    pub fn is_up(&self) -> bool {
        let stat = format!("/proc/{}/stat", self.pid());
        process::state(Path::new(&stat)).is_some_and(|state| state != 'Z')
    }

    /// Returns the disk of a cluster that has one of its own.
    pub fn disk(&self) -> &Tmpfs {
        self.disk.as_ref().unwrap()
    }

    /// Returns the socket.
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join(format!(".s.PGSQL.{}", self.port))
    }

    /// Returns the address of a database.
    pub fn address(&self, database: &str) -> String {
        format!("host={} port={} user={OWNER} dbname={database}", self.folder.path().display(), self.port)
    }

    /// Returns the same as a URL.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{OWNER}@{}/{database}", self.host())
    }

    /// Returns the URL by which whichever takes writes is found, this one or its standby.
    pub fn url_with(&self, standby: &Self, database: &str) -> String {
        let hosts = format!("{},{}", self.host(), standby.host());
        format!("postgres://{OWNER}@{hosts}/{database}?target_session_attrs=read-write")
    }

    fn host(&self) -> String {
        format!("{}:{}", self.folder.path().display().to_string().replace('/', "%2F"), self.port)
    }

    /// Opens a connection that is not the store's.
    pub async fn raw(&self, database: &str) -> Client {
        let config: Config = self.address(database).parse().unwrap();
        let (client, connection) = config.connect(NoTls).await.unwrap();
        tokio::spawn(async move { connection.await.ok() });
        client
    }

    /// Makes an empty database, and returns its name.
    pub async fn database(&self) -> String {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let name = format!("ledger_{}", NEXT.fetch_add(1, Ordering::Relaxed));
        self.raw(OWNER).await.batch_execute(&format!("CREATE DATABASE {name}")).await.unwrap();
        name
    }

    /// Removes a database, and whoever is still connected to it.
    pub async fn remove(&self, database: &str) {
        let sql = format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)");
        self.raw(OWNER).await.batch_execute(&sql).await.unwrap();
    }

    /// Opens a store in a database.
    pub async fn open(&self, database: &str, faults: Option<FaultPlan>) -> Store {
        let options = PostgresOptions { faults, ..PostgresOptions::default() };
        Store::open_postgres(&self.address(database), options).await.unwrap()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.disk.is_some() {
            // What is on it goes with it.
            return self.stay();
        }
        self.input = None;
        self.watch.wait().ok();
    }
}

fn is_root(ours: &Path) -> bool {
    ours.metadata().unwrap().uid() == 0
}

/// Returns the one server that all tests of this process share.
pub fn shared() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(Cluster::start)
}

/// A store in a database of its own, on the server that is shared.
pub struct Ledger {
    /// The store.
    pub store: Store,
    /// What the database is called.
    pub database: String,
}

impl Ledger {
    /// Makes a database with a store in it.
    pub async fn fresh() -> Self {
        Self::faulty(None).await
    }

    /// Makes a database with a store in it, whose writes fail as planned.
    pub async fn faulty(faults: Option<FaultPlan>) -> Self {
        let database = shared().database().await;
        Self { store: shared().open(&database, faults).await, database }
    }

    /// Opens a connection to the same database that is not the store's.
    pub async fn raw(&self) -> Client {
        shared().raw(&self.database).await
    }

    /// Removes the database. One of a test that failed stays until the server goes.
    pub async fn gone(self) {
        drop(self.store);
        shared().remove(&self.database).await;
    }
}

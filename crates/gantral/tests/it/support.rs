//! The binary as a process, a development server, a runner, and workflows whose command is a shell script.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use gantral_testkit::cluster::shared;
use serde_json::Value;
use tempfile::TempDir;

use crate::temporal;

/// Longer than anything takes on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub use gantral_testkit::{part, repository};

/// Returns the binary with an environment that holds nothing of whoever runs the tests but the path to programs; ours
/// comes first in it, so that scripts find it by name.
pub fn gantral(folder: &Path) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_gantral"));
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(binary);
    command
        .env_clear()
        .env("PATH", format!("{}:{path}", binary.parent().unwrap().display()))
        .current_dir(folder)
        .stdin(Stdio::null());
    if let Some(database) = database_of(folder) {
        command.env("GANTRAL_STORE", database);
    }
    command
}

/// Returns the database of what is served from a folder, where the suite is told to run upon PostgreSQL (`GANTRAL_TEST_STORE=postgres`), or
/// with Temporal: one for each folder, gone with the server that all of them are on.
fn database_of(folder: &Path) -> Option<String> {
    static KNOWN: Mutex<BTreeMap<PathBuf, String>> = Mutex::new(BTreeMap::new());
    let with_temporal = temporal::is_told().then(|| "postgres".to_owned());
    match std::env::var("GANTRAL_TEST_STORE").ok().or(with_temporal)?.as_str() {
        "postgres" => {}
        other => panic!("GANTRAL_TEST_STORE is `{other}`, and not `postgres`"),
    }
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let address = || shared().url(&block_on(shared().database()));
    Some(known.entry(folder.to_owned()).or_insert_with(address).clone())
}

/// Runs something to its end, also where a test has a runtime of its own.
pub fn block_on<T: Send>(future: impl Future<Output = T> + Send) -> T {
    let run = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future);
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// Returns the command of a runner of `acme` that works in a folder, by the `trust.json` there.
pub fn runner(folder: &Path, queue: &str) -> Command {
    let mut command = gantral(folder);
    command.args([
        "runner",
        "--queue",
        queue,
        "--trust",
        "trust.json",
        "--tenant",
        "acme",
        "--work-dir",
        "work",
    ]);
    command
}

/// What a command said, and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub status: i32,
    pub data: String,
    pub talk: String,
}

impl Ran {
    pub fn of(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or(-1),
            data: String::from_utf8(output.stdout).unwrap(),
            talk: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Demands an exit status.
    #[track_caller]
    pub fn status(self, expected: i32) -> Self {
        assert_eq!(self.status, expected, "{}{}", self.data, self.talk);
        self
    }

    /// Reads the data as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Returns the data as one word.
    pub fn word(&self) -> String {
        self.data.trim().to_owned()
    }
}

/// Runs the binary to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(gantral(folder).args(arguments).output().unwrap())
}

/// Starts a server whose log is appended to `log`; returns it with the URL that it says.
pub fn start(mut command: Command, log: &Path) -> (Killed, String) {
    let file = File::options().create(true).append(true).open(log).unwrap();
    let mut child = command.stdout(Stdio::piped()).stderr(file).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let server = Killed(child);
    let said: Value = serde_json::from_str(&line)
        .unwrap_or_else(|_| panic!("the server does not start: {}", std::fs::read_to_string(log).unwrap()));
    (server, said["url"].as_str().unwrap().to_owned())
}

/// A process that dies with the test.
pub struct Killed(Child);

impl Killed {
    pub fn of(child: Child) -> Self {
        Self(child)
    }

    /// Asks it to end, as a service manager does, and returns its exit status.
    pub fn stop(&mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().unwrap();
        assert!(asked.success());
        let mut status = None;
        assert!(wait_until(|| {
            status = self.0.try_wait().unwrap();
            status.is_some()
        }));
        status.and_then(|status| status.code())
    }

    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Ends it as a crash would: SIGKILL, and nothing that it could do about it.
    pub fn kill(&mut self) {
        // An error means that it is gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A development server in a folder of its own, with whatever a test starts beside it.
pub struct World {
    folder: TempDir,
    server: Option<Killed>,
    runner: Option<Killed>,
    /// What releases work, where the suite is told to run with Temporal.
    orchestrator: Option<Killed>,
    url: String,
}

impl World {
    /// Starts a server on a free port.
    pub fn start() -> Self {
        let mut world = Self::new();
        world.start_server();
        world
    }

    /// Starts a server whose ledger and keys are in another folder.
    pub fn start_with_data(data: &Path) -> Self {
        let mut world = Self::new();
        std::fs::create_dir(world.path(".gantral-dev")).unwrap();
        std::os::unix::fs::symlink(data, world.path(".gantral-dev/data")).unwrap();
        world.start_server();
        world
    }

    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            server: None,
            runner: None,
            orchestrator: None,
            url: "http://127.0.0.1:0".to_owned(),
        }
    }

    /// Starts a runner with these settings, whose talk is in `runner.log`.
    pub fn runner(&self, settings: &str) -> Killed {
        std::fs::write(self.path("runner.toml"), settings).unwrap();
        let log = File::options().create(true).append(true).open(self.path("runner.log")).unwrap();
        let mut command = gantral(self.folder());
        command.args(["runner", "--config", "runner.toml"]).stdout(Stdio::null()).stderr(log);
        Killed::of(command.spawn().unwrap())
    }

    /// Starts the server on the address that it had before.
    pub fn start_server(&mut self) {
        self.start_server_with(&[]);
    }

    /// Starts it with further arguments.
    pub fn start_server_with(&mut self, arguments: &[&str]) {
        let listen = self.url.trim_start_matches("http://").to_owned();
        let mut command = gantral(self.folder.path());
        command.args(["dev", "--json", "--listen", &listen]).args(arguments).env("GANTRAL_LOG", "info");
        let temporal = temporal::address();
        if temporal.is_some() {
            command.args(["--orchestrator", "temporal"]);
        }
        let (server, url) = start(command, &self.path("server.log"));
        self.server = Some(server);
        self.url = url;
        // It knows the server by its address, which may be another one than before.
        self.orchestrator =
            temporal.map(|address| temporal::orchestrator(self.folder(), &self.url, &address));
    }

    /// Kills the server.
    pub fn kill_server(&mut self) {
        self.server.take().unwrap().kill();
    }

    /// Returns the number of the server's process.
    pub fn server_pid(&self) -> u32 {
        self.server.as_ref().unwrap().pid()
    }

    /// Starts a runner of queue `default`.
    pub fn start_runner(&mut self) {
        self.start_runner_with(&[], &[]);
    }

    /// Starts a runner of queue `default` with further arguments and variables.
    pub fn start_runner_with(&mut self, arguments: &[&str], variables: &[(&str, &Path)]) {
        let log = File::options().create(true).append(true).open(self.path("runner.log")).unwrap();
        let child = gantral(self.folder.path())
            .args(["runner", "--queue", "default", "--json"])
            .args(arguments)
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.runner = Some(Killed(child));
    }

    /// Kills the runner.
    pub fn kill_runner(&mut self) {
        self.runner.take().unwrap().kill();
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the text of a file, empty if there is none.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Runs a command in the folder, as whoever usually does such things.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        run(self.folder.path(), arguments)
    }

    /// Applies a workflow `refund` under the policy of the demo. Its command is a shell script, written to `agent.sh`.
    pub fn apply(&self, script: &str, lease: &str) {
        std::fs::write(self.path("agent.sh"), script).unwrap();
        let definition = format!(
            "policy = '{}'
             id = 'refund'\nversion = '1'\nteam = 'payments'\nmateriality = 'MEDIUM'\ndomain = 'finance'
             [run]\nqueue = 'default'\nlease = '{lease}'\ncommand = ['sh', '{}']
             [actions.refund.parameters]\namount = {{ type = 'integer' }}\nnote = {{ type = 'string', default = '' }}
             [floors]\ndefault_approvers = ['RISK_OFFICER']\nrequired_evidence = 'development'\n",
            repository().join("policies/demo").display(),
            self.path("agent.sh").display(),
        );
        std::fs::write(self.path("workflow.toml"), definition).unwrap();
        self.run(&["workflows", "apply", "workflow.toml"]).status(0);
    }

    /// Creates an instance of `refund`.
    pub fn create(&self) -> String {
        self.run(&["instances", "create", "refund"]).status(0).word()
    }

    /// Returns an instance as it stands.
    pub fn instance(&self, id: &str) -> Value {
        self.run(&["instances", "show", id, "--json"]).status(0).json()
    }

    /// Waits until an instance is in a state, and returns it.
    #[track_caller]
    pub fn reach(&self, id: &str, state: &str) -> Value {
        let mut seen = Value::Null;
        let reached = wait_until(|| {
            seen = self.instance(id);
            seen["state"] == state
        });
        // Requests are the looking itself.
        let telling = |name: &str| {
            let text = self.text(name);
            text.lines().filter(|line| !line.contains(r#""status":2"#)).collect::<Vec<_>>().join("\n")
        };
        let logs = || format!("{}\n{}", telling("server.log"), telling("runner.log"));
        assert!(reached, "{} ({}), not {state}\n{}", seen["state"], seen["cause"], logs());
        seen
    }

    /// Exports an instance and has it verified by a process of its own.
    pub fn verified(&self, id: &str, name: &str) -> Ran {
        let trust = format!("{name}.trust.json");
        self.run(&["evidence", "export", id, "--output", name, "--trust-out", &trust]).status(0);
        run(self.folder.path(), &["verify", name, "--trust", &trust, "--json"])
    }
}

/// Returns the instant, as options take it.
pub fn now() -> String {
    let millis = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    gantral_core::time::UnixMillis::new(u64::try_from(millis).unwrap()).unwrap().to_text()
}

/// Waits until something holds; says whether it does.
pub fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    true
}

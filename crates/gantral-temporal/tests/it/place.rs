//! A Temporal server, a server of Gantral that asks it, what stands between them, and a runner: processes that die with the test.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use gantral_temporal::execution::Execution;
use serde_json::Value;
use tempfile::TempDir;
use temporalio_client::{Client, ClientOptions, Connection, ConnectionOptions, WorkflowFetchHistoryOptions};
use temporalio_common::protos::temporal::api::history::v1::History;

/// Longer than anything takes on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(90);
/// Longer than it takes until something begins that may begin.
pub const A_WHILE: Duration = Duration::from_secs(3);

/// A process that dies with the test.
pub struct Killed(Child);

impl Killed {
    /// Ends it as a crash would.
    pub fn kill(mut self) {
        self.end();
    }

    /// Asks it to end, as a service manager does, and returns its exit status.
    pub fn stop(mut self) -> Option<i32> {
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(asked.success());
        let mut status = None;
        assert!(wait_until(|| {
            status = self.0.try_wait().unwrap();
            status.is_some()
        }));
        status.and_then(|status| status.code())
    }

    fn end(&mut self) {
        // An error means that it is gone, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        self.end();
    }
}

/// Everything that a deployment is made of. Dropped in this order: whoever asks goes before whoever answers.
pub struct Place {
    pub runner: Option<Killed>,
    pub bridge: Option<Killed>,
    gantral: Option<Killed>,
    pub temporal: Option<Killed>,
    /// What Temporal is told besides, as `KEY=VALUE` of its dynamic configuration.
    told: &'static [&'static str],
    port: u16,
    url: String,
    folder: TempDir,
}

impl Place {
    /// Starts everything.
    pub fn start() -> Self {
        let mut place = Self::without_bridge();
        place.start_bridge();
        place
    }

    /// Starts everything but what releases work.
    pub fn without_bridge() -> Self {
        Self::upon(&[])
    }

    /// Starts everything but what releases work, upon a Temporal that is told something besides.
    pub fn upon(told: &'static [&'static str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // Let go of at once, and taken again by the server: nobody else takes it in between but by a great accident.
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let url = String::new();
        let mut place =
            Self { runner: None, bridge: None, gantral: None, temporal: None, told, port, url, folder };
        place.start_temporal();
        let mut command = place.gantral();
        command.args(["dev", "--json", "--listen", "127.0.0.1:0", "--orchestrator", "temporal"]);
        let log = place.log("server.log");
        let mut child =
            command.env("GANTRAL_LOG", "info").stdout(Stdio::piped()).stderr(log).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        place.gantral = Some(Killed(child));
        let said: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{}", place.text("server.log")));
        place.url = said["url"].as_str().unwrap().to_owned();
        place
    }

    /// Starts Temporal on the port and the file that it had before.
    pub fn start_temporal(&mut self) {
        let (port, file) = (self.port.to_string(), self.folder.path().join("temporal.db"));
        let log = self.log("temporal.log");
        let mut command = Command::new(part("temporal/bin/temporal"));
        command
            .args([
                "server",
                "start-dev",
                "--headless",
                "--ip",
                "127.0.0.1",
                "--port",
                &port,
                "--log-level",
                "error",
            ])
            .args(["--db-filename".as_ref(), file.as_os_str()])
            .args(self.told.iter().flat_map(|told| ["--dynamic-config-value", told]))
            .env("HOME", self.folder.path())
            .stdout(Stdio::null())
            .stderr(log);
        self.temporal = Some(Killed(command.spawn().unwrap()));
        let answers = wait_until(|| self.temporal(&["operator", "cluster", "health"]).status.success());
        assert!(answers, "{}", self.text("temporal.log"));
    }

    /// Starts what releases work, which looks for instances without a workflow each second.
    pub fn start_bridge(&mut self) {
        self.bridge = Some(self.another_bridge(&[]));
    }

    /// Starts one more of what releases work, with further arguments.
    pub fn another_bridge(&self, arguments: &[&str]) -> Killed {
        let token = self.folder.path().join(".gantral-dev/tokens/dev-orchestrator.token");
        let log = self.log("bridge.log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_gantral-temporal"));
        command
            .args(["--url", &self.url, "--search-every", "1", "--queue", "default", "--token-file"])
            .arg(token)
            .args(arguments)
            .env_clear()
            .env("TEMPORAL_ADDRESS", format!("127.0.0.1:{}", self.port))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log);
        Killed(command.spawn().unwrap())
    }

    /// Starts a runner of queue `default`.
    pub fn start_runner(&mut self) {
        let log = self.log("runner.log");
        let mut command = self.gantral();
        command.args(["runner", "--queue", "default", "--json"]).stdout(Stdio::null()).stderr(log);
        self.runner = Some(Killed(command.spawn().unwrap()));
    }

    /// Returns the command line of Gantral, in the folder of the server.
    fn gantral(&self) -> Command {
        let program = gantral();
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(&program);
        command
            .env_clear()
            .env("PATH", format!("{}:{path}", program.parent().unwrap().display()))
            .current_dir(self.folder.path())
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of Gantral, which must succeed, and returns what it says.
    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> String {
        said(self.gantral().args(arguments).output().unwrap())
    }

    /// Runs a command of Temporal's own.
    pub fn temporal(&self, arguments: &[&str]) -> Output {
        Command::new(part("temporal/bin/temporal"))
            .args(arguments)
            .args(["--address", &format!("127.0.0.1:{}", self.port)])
            .env("HOME", self.folder.path())
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    /// Returns what Temporal knows of the workflow of an instance.
    pub fn workflow(&self, id: &str) -> Value {
        let workflow = workflow(id);
        let output = self.temporal(&["workflow", "describe", "--workflow-id", &workflow, "--output", "json"]);
        serde_json::from_slice(&output.stdout).unwrap_or(Value::Null)
    }

    /// Returns the history of the workflow of an instance.
    pub fn history(&self, id: &str) -> History {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (id, port) = (workflow(id), self.port);
        runtime.block_on(async move {
            let address = url::Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
            let connection = Connection::connect(ConnectionOptions::new(address).build()).await.unwrap();
            let client = Client::new(connection, ClientOptions::new("default").build()).unwrap();
            let workflow = client.get_workflow_handle::<Execution>(id);
            let history = workflow.fetch_history(WorkflowFetchHistoryOptions::default());
            History { events: history.into_events().await.unwrap() }
        })
    }

    /// Applies workflow `refund`, whose command is a shell script, under the policy of the demo: humans decide.
    pub fn apply(&self, script: &str) {
        let agent = self.folder.path().join("agent.sh");
        std::fs::write(&agent, script).unwrap();
        let definition = format!(
            "policy = '{}'
             id = 'refund'\nversion = '1'\nteam = 'payments'\nmateriality = 'MEDIUM'\ndomain = 'finance'
             [run]\nqueue = 'default'\nlease = '30s'\ncommand = ['sh', '{}']
             [actions.refund.parameters]\namount = {{ type = 'integer' }}\nnote = {{ type = 'string', default = '' }}
             [floors]\ndefault_approvers = ['RISK_OFFICER']\nrequired_evidence = 'development'\n",
            repository().join("policies/demo").display(),
            agent.display(),
        );
        std::fs::write(self.folder.path().join("workflow.toml"), definition).unwrap();
        self.run(&["workflows", "apply", "workflow.toml"]);
    }

    pub fn create(&self) -> String {
        self.run(&["instances", "create", "refund"]).trim().to_owned()
    }

    /// Approves the one gate that an instance waits at.
    pub fn approve(&self, id: &str) {
        let gate = self.instance(id)["gate"]["gate_id"].as_str().unwrap().to_owned();
        self.run(&["approvals", "approve", &gate, "--yes", "--reason", "looked at the order"]);
    }

    pub fn instance(&self, id: &str) -> Value {
        serde_json::from_str(&self.run(&["instances", "show", id, "--json"])).unwrap()
    }

    /// Waits until an instance is in a state, and returns it.
    #[track_caller]
    pub fn reach(&self, id: &str, state: &str) -> Value {
        let mut seen = Value::Null;
        let reached = wait_until(|| {
            seen = self.instance(id);
            seen["state"] == state
        });
        let logs = || {
            ["server.log", "runner.log", "bridge.log", "temporal.log"].map(|log| self.text(log)).join("\n")
        };
        assert!(reached, "{} ({}), not {state}\n{}", seen["state"], seen["cause"], logs());
        seen
    }

    /// Waits for longer than it takes to begin what may begin, and says how the instance stands then.
    pub fn still(&self, id: &str) -> (String, u64) {
        std::thread::sleep(A_WHILE);
        let seen = self.instance(id);
        (seen["state"].as_str().unwrap().to_owned(), seen["attempt"].as_u64().unwrap())
    }

    /// Returns the path of a file in the folder of the server.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the text of a file, empty if there is none.
    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    fn log(&self, name: &str) -> File {
        File::options().create(true).append(true).open(self.path(name)).unwrap()
    }
}

/// Returns the identifier of the workflow of an instance of the development tenant.
pub fn workflow(id: &str) -> String {
    format!("gantral/dev/instance/{id}")
}

#[track_caller]
fn said(output: Output) -> String {
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}{talk}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until something holds; tells whether it did in time.
pub fn wait_until(mut holds: impl FnMut() -> bool) -> bool {
    let until = Instant::now() + PATIENCE;
    while Instant::now() < until {
        if holds() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    false
}

/// Returns the root of this repository.
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Returns the program of the servers, built before these tests: it is of another workspace, which cargo does not build for them.
fn gantral() -> PathBuf {
    let beside = Path::new(env!("CARGO_BIN_EXE_gantral-temporal")).with_file_name("gantral");
    let program = std::env::var_os("GANTRAL_BIN").map_or(beside, PathBuf::from);
    assert!(program.exists(), "`{}` is missing\nhint: `cargo xtask temporal`", program.display());
    program
}

/// Returns a file of the pinned parts.
#[track_caller]
fn part(path: &str) -> PathBuf {
    let given = std::env::var_os("GANTRAL_PARTS").map(PathBuf::from);
    let part = given.unwrap_or_else(|| repository().join(".parts")).join(path);
    assert!(part.exists(), "the part `{path}` is missing\nhint: `cargo xtask parts`");
    part
}

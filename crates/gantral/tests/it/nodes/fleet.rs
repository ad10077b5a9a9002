//! The servers, and those who talk to them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use gantral_evidence::trust::KeyRole;
use gantral_keys::{LocalSigner, Signer as _};
use gantral_testkit::cluster::shared;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Killed, Ran, block_on, gantral, part, repository, start, wait_until};

/// How long a token lives: longer than the longest run.
const TOKEN_SECONDS: u64 = 6 * 3_600;

/// A provider of identities, a database, and servers that share both and their keys and nothing else.
pub struct Fleet {
    folder: TempDir,
    key: Vec<u8>,
    database: Database,
    nodes: Vec<Node>,
    /// The library by which a server reads a clock that tests set, where they do.
    clocks: Option<PathBuf>,
}

/// Where the servers keep the ledger.
enum Database {
    /// By this name upon the server that all tests share.
    Shared(String),
    /// At an address for each server, upon what belongs to the test.
    At(Vec<String>),
}

/// One server.
struct Node {
    process: Option<Killed>,
    url: String,
}

impl Fleet {
    /// Prepares so many servers, and starts none.
    pub fn new(nodes: usize) -> Self {
        Self::prepared(nodes, Database::Shared(block_on(shared().database())))
    }

    /// Starts a server for each address of one database.
    pub fn upon(addresses: Vec<String>) -> Self {
        let mut fleet = Self::prepared(addresses.len(), Database::At(addresses));
        fleet.start_all();
        fleet
    }

    /// Starts servers each of which has a clock of its own.
    pub fn with_clocks(nodes: usize) -> Self {
        let mut fleet = Self::new(nodes);
        fleet.clocks = Some(part("faketime/libfaketime.so.1"));
        (0..nodes).for_each(|number| fleet.set_clock(number, 0));
        fleet.start_all();
        fleet
    }

    /// Ends all servers, and starts them again upon another database, each with more at the end of its store's configuration. The database
    /// before is gone.
    pub fn move_to(&mut self, database: String, more: &str) {
        self.nodes.iter_mut().for_each(|node| node.process = None);
        let before = std::mem::replace(&mut self.database, Database::Shared(database));
        if let Database::Shared(before) = before {
            block_on(shared().remove(&before));
        }
        for number in 0..self.nodes.len() {
            self.configure(number, more);
            self.start_node(number);
        }
    }

    /// Sets the clock of a server to so many seconds from what it should show.
    pub fn set_clock(&self, number: usize, seconds: i64) {
        // Put in place whole: the server may read it at any moment.
        let (new, clock) = (self.path("clock.new"), self.clock(number));
        std::fs::write(&new, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(new, clock).unwrap();
    }

    fn clock(&self, number: usize) -> PathBuf {
        self.path(&format!("node-{number}.clock"))
    }

    fn prepared(nodes: usize, database: Database) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let node = |_| {
            // Free now; whoever starts again starts there again.
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            Node { process: None, url: format!("http://127.0.0.1:{port}") }
        };
        let nodes = (0..nodes).map(node).collect();
        let fleet = Self { folder, key: LocalSigner::generate().unwrap(), database, nodes, clocks: None };
        for (name, client, roles) in [
            ("dora", "console", vec!["DEVELOPER", "PLATFORM_ADMIN"]),
            ("rita", "console", vec!["RISK_OFFICER"]),
            ("refund-agent", "refund-agent", vec![]),
            ("runner", "runner", vec![]),
        ] {
            std::fs::write(fleet.path(name), fleet.token(client, name, &roles)).unwrap();
        }
        for number in 0..fleet.nodes.len() {
            fleet.configure(number, "");
        }
        let made = fleet.run_here(&["keys", "init", "--data", "node-0"]);
        made.status(0);
        for number in 1..fleet.nodes.len() {
            fleet.copy_keys(0, number);
        }
        fleet
    }

    /// Prepares servers, and starts them all.
    pub fn start(nodes: usize) -> Self {
        let mut fleet = Self::new(nodes);
        fleet.start_all();
        fleet
    }

    fn start_all(&mut self) {
        let nodes = self.nodes.len();
        (0..nodes).for_each(|number| self.start_node(number));
        (0..nodes).for_each(|number| self.ready(number));
    }

    /// Writes the configuration of a server, with more at its end.
    pub fn configure(&self, number: usize, more: &str) {
        let public = LocalSigner::from_pkcs8(KeyRole::Issuer, &self.key).unwrap();
        let x = URL_SAFE_NO_PAD.encode(public.public_key().as_bytes());
        let (folder, listen) = (self.folder.path().display(), self.url(number).trim_start_matches("http://"));
        let store = self.store(number);
        let text = format!(
            "listen = '{listen}'\npublic_url = 'https://gantral.test'\ndata = '{folder}/node-{number}'\ntenants = ['acme']
             [store]\nurl = '{store}'\n{more}
             [[identity.issuers]]\nissuer = 'https://id.example'\naudiences = ['gantral']\nalgorithms = ['EdDSA']
             tenant = 'acme'\nadmin_roles = ['PLATFORM_ADMIN']
             [identity.issuers.keys.static]\nkeys = [{{ kty = 'OKP', crv = 'Ed25519', kid = 'one', x = '{x}' }}]
             [identity.issuers.claims]\nroles = 'roles'\nteams = 'teams'
             [identity.issuers.clients.console]\nkind = 'human'
             [identity.issuers.clients.refund-agent]\nkind = 'workload'\nteams = ['payments']
             owner = {{ issuer = 'https://id.example', subject = 'otto' }}
             [identity.issuers.clients.runner]\nkind = 'runner'\nteams = ['payments']\nqueues = ['default']\n"
        );
        std::fs::write(self.path(&format!("node-{number}.toml")), text).unwrap();
    }

    /// Gives a server the keys of another one.
    pub fn copy_keys(&self, from: usize, to: usize) {
        let (from, to) = (self.path(&format!("node-{from}")), self.path(&format!("node-{to}")));
        std::fs::remove_dir_all(&to).ok();
        let copied = Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap();
        assert!(copied.success());
    }

    fn token(&self, client: &str, subject: &str, roles: &[&str]) -> String {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": "https://id.example", "aud": "gantral", "sub": subject, "client_id": client,
            "roles": roles, "teams": ["payments"], "iat": seconds, "exp": seconds + TOKEN_SECONDS,
        });
        let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::EdDSA) };
        jsonwebtoken::encode(&header, &claims, &EncodingKey::from_ed_der(&self.key)).unwrap()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the name of the database upon the server that all tests share.
    pub fn database(&self) -> &str {
        match &self.database {
            Database::Shared(name) => name,
            Database::At(_) => panic!("the database belongs to the test"),
        }
    }

    /// Returns the address of the database for a server.
    pub fn store(&self, number: usize) -> String {
        match &self.database {
            Database::Shared(name) => shared().url(name),
            Database::At(addresses) => addresses[number].clone(),
        }
    }

    pub fn url(&self, number: usize) -> &str {
        &self.nodes[number].url
    }

    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(|node| node.url.clone()).collect()
    }

    /// Starts a server, and returns as soon as it serves.
    pub fn start_node(&mut self, number: usize) {
        let mut command = self.gantral();
        command.args(["serve", "--json", "--config", &format!("node-{number}.toml")]);
        if let Some(library) = &self.clocks {
            // What is measured by the other clock, which nobody can set, stays as it is.
            command
                .env("LD_PRELOAD", library)
                .env("FAKETIME_TIMESTAMP_FILE", self.clock(number))
                .env("FAKETIME_NO_CACHE", "1")
                .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        }
        let (process, url) = start(command, &self.path(&format!("node-{number}.log")));
        assert_eq!(url, self.nodes[number].url);
        self.nodes[number].process = Some(process);
    }

    /// Runs a server that is expected not to start, and returns what it says.
    pub fn refused(&self, number: usize) -> Ran {
        self.run_here(&["serve", "--config", &format!("node-{number}.toml")])
    }

    /// Waits until a server is ready.
    pub fn ready(&self, number: usize) {
        assert!(wait_until(|| self.is_ready(number)), "node {number} is not ready: {}", self.log(number));
    }

    /// Tells whether a server says that it is ready.
    pub fn is_ready(&self, number: usize) -> bool {
        let doctor = self.run(number, "dora", &["doctor", "--json"]);
        doctor.data.contains("takes writes")
    }

    /// Kills a server as a crash would.
    pub fn kill_node(&mut self, number: usize) {
        self.nodes[number].process.take().unwrap().kill();
    }

    /// Asks a server to end, and expects that it does so in order.
    pub fn stop_node(&mut self, number: usize) {
        assert_eq!(self.nodes[number].process.take().unwrap().stop(), Some(0));
    }

    /// Returns the binary, which finds its database in the configuration alone.
    fn gantral(&self) -> Command {
        let mut command = gantral(self.folder.path());
        command.env_remove("GANTRAL_STORE");
        command
    }

    pub fn log(&self, number: usize) -> String {
        std::fs::read_to_string(self.path(&format!("node-{number}.log"))).unwrap_or_default()
    }

    pub fn run_here(&self, arguments: &[&str]) -> Ran {
        Ran::of(self.gantral().args(arguments).output().unwrap())
    }

    /// Runs a command at a server, as somebody.
    pub fn run(&self, number: usize, who: &str, arguments: &[&str]) -> Ran {
        let token = self.path(who);
        let of_server = ["--url", self.url(number), "--token-file", token.to_str().unwrap()];
        self.run_here(&[arguments, &of_server].concat())
    }

    /// Applies a workflow `refund` at a server, under the policy of the demo; with a command for runners, if there is one.
    pub fn apply(&self, number: usize, script: Option<&str>) {
        let run = script.map(|script| {
            std::fs::write(self.path("agent.sh"), script).unwrap();
            let script = self.path("agent.sh");
            format!("[run]\nqueue = 'default'\nlease = '30s'\ncommand = ['sh', '{}']\n", script.display())
        });
        let definition = format!(
            "policy = '{}'
             id = 'refund'\nversion = '1'\nteam = 'payments'\nmateriality = 'MEDIUM'\ndomain = 'finance'
             {}
             [actions.refund.parameters]\namount = {{ type = 'integer' }}\n
             [floors]\ndefault_approvers = ['RISK_OFFICER']\nrequired_evidence = 'development'\n",
            repository().join("policies/demo").display(),
            run.unwrap_or_default(),
        );
        std::fs::write(self.path("workflow.toml"), definition).unwrap();
        self.run(number, "dora", &["workflows", "apply", "workflow.toml"]).status(0);
    }

    /// Creates an instance of `refund` at a server.
    pub fn create(&self, number: usize) -> String {
        self.run(number, "refund-agent", &["instances", "create", "refund"]).status(0).word()
    }

    /// Returns an instance as a server shows it.
    pub fn instance(&self, number: usize, id: &str) -> Value {
        self.run(number, "dora", &["instances", "show", id, "--json"]).status(0).json()
    }

    /// Waits until a server shows an instance in a state, and returns it.
    #[track_caller]
    pub fn reach(&self, number: usize, id: &str, state: &str) -> Value {
        let mut seen = Value::Null;
        let reached = wait_until(|| {
            seen = self.instance(number, id);
            seen["state"] == state
        });
        assert!(reached, "{} ({}), not {state}\n{}", seen["state"], seen["cause"], self.log(number));
        seen
    }

    /// Writes the trust file of somebody who pinned the issuer key, and returns its name.
    pub fn trust(&self) -> &'static str {
        let exported = self.run_here(&["keys", "--data", "node-0", "export-trust"]).status(0);
        std::fs::write(self.path("trust.json"), exported.data).unwrap();
        "trust.json"
    }

    /// Exports an instance from a server, and has it verified by a process of its own.
    pub fn verified(&self, number: usize, id: &str) -> Ran {
        let name = format!("{id}.gantral");
        self.run(number, "dora", &["evidence", "export", id, "--output", &name]).status(0);
        self.run_here(&["verify", &name, "--trust", "trust.json", "--json"])
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.nodes.clear();
        // One of a test that failed stays until the server goes.
        if let Database::Shared(name) = &self.database
            && !std::thread::panicking()
        {
            block_on(shared().remove(name));
        }
    }
}

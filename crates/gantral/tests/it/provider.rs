//! An identity provider as a process of its own, and a server that follows it.

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{Killed, Ran, gantral, part, repository, run, start};

/// A provider that really is one; its program is in `tests/provider`. It ends with the test.
pub struct Provider {
    pub issuer: String,
    child: Child,
    /// Closed when the test ends, also by a panic, which ends the provider.
    _input: ChildStdin,
    /// Kept open: it says something now and then, and would end if nobody could hear it.
    _output: BufReader<ChildStdout>,
}

impl Provider {
    /// Starts it with the people of the tests; `redirect` is where its web client may be sent back to.
    pub fn start(folder: &Path, redirect: &str) -> Self {
        let modules = part("node/node_modules/");
        let settings = json!({
            "people": {
                "ada": {"name": "Ada", "groups": ["risk-officers", "payments"]},
                "otto": {"name": "Otto", "groups": ["developers", "payments"]},
                "pia": {"name": "Pia", "groups": ["admins", "platform"]},
            },
            "redirect_uris": [redirect],
            "runner_key": runner_key(folder),
            "modules": modules,
        });
        let file = folder.join("provider.json");
        std::fs::write(&file, settings.to_string()).unwrap();
        let log = std::fs::File::create(folder.join("provider.log")).unwrap();
        let mut child = Command::new("node")
            .arg(repository().join("crates/gantral/tests/provider/provider.mjs"))
            .arg(&file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("this test needs node");
        let input = child.stdin.take().unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{}", std::fs::read_to_string(folder.join("provider.log")).unwrap()));
        Self { issuer: said["issuer"].as_str().unwrap().to_owned(), child, _input: input, _output: output }
    }

    /// Calls one of the doors that only tests use.
    pub fn test(&self, path: &str) -> Value {
        let text = curl(&[&format!("{}/test/{path}", self.issuer)]);
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("{text}"))
    }

    /// Returns the access token that a login of this person by the command line gives.
    pub fn human_token(&self, subject: &str) -> String {
        self.test(&format!("token?subject={subject}&client=gantral-cli")).as_str().unwrap().to_owned()
    }

    /// Returns a token that a client fetches for itself, by its secret.
    pub fn client_token(&self, client: &str, secret: &str) -> String {
        let text = curl(&[
            "-u",
            &format!("{client}:{secret}"),
            "-d",
            "grant_type=client_credentials",
            &format!("{}/token", self.issuer),
        ]);
        let answer: Value = serde_json::from_str(&text).unwrap();
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{text}")).to_owned()
    }

    /// Has a person open an address in a real browser, log in there and say yes, or no; returns the text of the last page.
    pub fn browse(&self, url: &str, subject: &str, deny: bool) -> String {
        let modules = part("node/node_modules/");
        let said = json!({"url": url, "subject": subject, "deny": deny, "modules": modules});
        let output = Command::new("node")
            .arg(repository().join("crates/gantral/tests/provider/browser.mjs"))
            .arg(said.to_string())
            .output()
            .expect("this test needs node");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let page: Value = serde_json::from_slice(&output.stdout).unwrap();
        page["text"].as_str().unwrap().to_owned()
    }

    /// Ends it: nobody answers any more.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes the key of the runner, `runner.pem`; returns its public part.
fn runner_key(folder: &Path) -> String {
    let openssl = |arguments: &[&str]| {
        let output = Command::new("openssl").args(arguments).current_dir(folder).output();
        let output = output.expect("this test needs openssl");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "runner.pem"]);
    openssl(&["pkey", "-in", "runner.pem", "-pubout"])
}

/// Writes a file that only its owner reads.
pub fn private(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn curl(arguments: &[&str]) -> String {
    let output =
        Command::new("curl").args(["--silent", "--show-error", "--max-time", "20"]).args(arguments).output();
    let output = output.expect("this test needs curl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// A provider, and a server of a configuration that follows it.
pub struct Followed {
    pub provider: Provider,
    listen: SocketAddr,
    public_url: String,
    folder: TempDir,
}

impl Followed {
    pub fn new() -> Self {
        Self::reached_at("127.0.0.1")
    }

    /// Makes a server that browsers reach under another name of this machine.
    pub fn reached_at(host: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // A provider sends people back to addresses that were registered only: the server's must be known before it starts.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let public_url = format!("http://{host}:{}", listen.port());
        let provider = Provider::start(folder.path(), &format!("{public_url}/console/callback"));
        let site = Self { provider, listen, public_url, folder };
        private(&site.path("console.secret"), "console-secret\n");
        std::fs::write(site.path("gantral.toml"), site.configuration()).unwrap();
        site
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Returns the URL under which browsers reach it.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    fn configuration(&self) -> String {
        let (data, issuer) = (self.path("data"), &self.provider.issuer);
        format!(
            "listen = '{}'\npublic_url = '{}'\ndata = '{}'\ntenants = ['acme']
             [[identity.issuers]]\nissuer = '{issuer}'\naudiences = ['gantral']\nalgorithms = ['ES256']
             tenant = 'acme'\nadmin_roles = ['PLATFORM_ADMIN']\nkeys.published = {{}}
             [identity.issuers.login]\nclient = 'gantral-cli'
             scopes = ['openid', 'offline_access', 'profile', 'groups']\nprompt = 'consent'
             [identity.issuers.console]\nclient = 'gantral-console'\nsecret_file = '{}'
             scopes = ['openid', 'profile', 'groups']
             [identity.issuers.claims]\nroles = 'groups'\nteams = 'groups'
             role_map = {{ risk-officers = ['RISK_OFFICER'], developers = ['DEVELOPER'], admins = ['PLATFORM_ADMIN'] }}
             team_map = {{ payments = ['payments'], platform = ['platform'] }}
             [identity.issuers.clients.gantral-cli]\nkind = 'human'
             [identity.issuers.clients.gantral-console]\nkind = 'human'
             [identity.issuers.clients.refund-agent]\nkind = 'workload'\nteams = ['payments']
             owner = {{ issuer = '{issuer}', subject = 'otto' }}
             [identity.issuers.clients.payments-runner]\nkind = 'runner'\nqueues = ['payments']\nteams = ['payments']\n",
            self.listen,
            self.public_url,
            data.display(),
            self.path("console.secret").display(),
        )
    }

    /// Adds a section to the configuration, before the server starts.
    pub fn configure(&self, section: &str) {
        let text = format!("{}{section}", self.configuration());
        std::fs::write(self.path("gantral.toml"), text).unwrap();
    }

    /// Starts the server; returns it with its URL.
    pub fn serve(&self) -> (Killed, String) {
        let mut command = gantral(self.folder.path());
        command.args(["serve", "--json", "--config", "gantral.toml"]);
        start(command, &self.path("server.log"))
    }

    /// Runs a command with a token.
    pub fn run(&self, url: &str, token: &str, arguments: &[&str]) -> Ran {
        let file = self.path("token");
        std::fs::write(&file, token).unwrap();
        run(
            self.folder.path(),
            &[arguments, &["--url", url, "--token-file", file.to_str().unwrap()]].concat(),
        )
    }
}

//! A service over HTTP with the proxy before it, clients that others wrote, and a human.

mod authz;
mod away;
mod crashes;
mod governed;
mod refused;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::support::{Killed, PATIENCE, World, gantral, repository, start, wait_until};

/// Prints what a bundle discloses, as it was committed to.
const OPEN_DISCLOSURES: &str = r#"
import base64, json, sys, tarfile
bundle = tarfile.open(sys.argv[1])
for name in bundle.getnames():
    if name.startswith("disclosures/"):
        for text in json.load(bundle.extractfile(name)).values():
            try:
                print(base64.b64decode(text, validate=True).decode())
            except (TypeError, ValueError):
                pass
"#;

/// A service that keeps a ledger, the proxy before it, and a server of Gantral.
struct Shop {
    world: World,
    service: Killed,
    service_port: String,
    /// What of ours stands before it, or beside what does.
    command: &'static str,
    proxy: Option<Killed>,
    url: String,
    /// Where clients go.
    front: String,
    arguments: Vec<String>,
}

/// What curl brought back.
#[derive(Debug)]
struct Got {
    status: u16,
    headers: String,
    body: String,
}

impl Got {
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Demands a problem with a code, and returns it.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> Value {
        let problem = self.json();
        assert_eq!((self.status, problem["code"].as_str()), (status, Some(code)), "{self:?}");
        problem
    }
}

impl Shop {
    fn open(arguments: &[&str]) -> Self {
        Self::with("proxy", arguments)
    }

    fn with(command: &'static str, arguments: &[&str]) -> Self {
        let world = World::start();
        let (service, service_port) = serve(&world, "0");
        let url = "http://127.0.0.1:0".to_owned();
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        let mut shop =
            Self { world, service, service_port, command, proxy: None, front: url.clone(), url, arguments };
        shop.start_proxy();
        shop
    }

    fn start_proxy(&mut self) {
        let mut command = gantral(self.world.folder());
        let listen = self.url.trim_start_matches("http://").to_owned();
        command.args([self.command, "--json", "--listen", &listen]).args(&self.arguments);
        if self.command == "proxy" {
            let upstream = format!("http://127.0.0.1:{}", self.service_port);
            command.args(["--name", "shop", "--upstream", &upstream]);
        }
        let (proxy, url) = start(command, &self.world.path("proxy.log"));
        self.proxy = Some(proxy);
        self.front.clone_from(&url);
        self.url = url;
    }

    fn kill_proxy(&mut self) {
        self.proxy.take().unwrap().kill();
    }

    fn start_service(&mut self) {
        (self.service, self.service_port) = serve(&self.world, &self.service_port);
    }

    /// Starts curl with a request; what follows are its own arguments.
    fn send(&self, method: &str, path: &str, more: &[&str]) -> Child {
        let mut command = Command::new("curl");
        command.args(["-sS", "-i", "--path-as-is", "-X", method, "--max-time", "60"]).args(more);
        command.arg(format!("{}{path}", self.front));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn curl(&self, method: &str, path: &str, more: &[&str]) -> Got {
        got(self.send(method, path, more))
    }

    fn json(&self, method: &str, path: &str, body: &str) -> Got {
        self.curl(method, path, &["-H", "content-type: application/json", "-d", body])
    }

    fn ledger(&self) -> String {
        self.world.text("ledger")
    }

    /// Turns something on beside the service.
    fn switch(&self, name: &str, text: &str) {
        std::fs::write(self.world.path(&format!("ledger.{name}")), text).unwrap();
    }

    fn switch_off(&self, name: &str) {
        std::fs::remove_file(self.world.path(&format!("ledger.{name}"))).unwrap();
    }

    fn gate(&self) -> String {
        let mut gate = None;
        let found = wait_until(|| {
            let open = self.world.run(&["approvals", "ls", "--json"]).status(0).json();
            gate = open["items"][0]["gate_id"].as_str().map(ToOwned::to_owned);
            gate.is_some()
        });
        assert!(found, "nothing waits: {}", self.world.text("proxy.log"));
        gate.unwrap()
    }

    fn approve(&self) -> String {
        let gate = self.gate();
        self.world.run(&["approvals", "approve", &gate, "--reason", "it is owed"]).status(0);
        gate
    }

    /// Waits until all so many requests have an outcome, and returns these, the last first.
    #[track_caller]
    fn outcomes(&self, count: usize) -> Vec<Value> {
        let mut seen = Vec::new();
        let told = wait_until(|| {
            let all = self.world.run(&["instances", "ls", "--json"]).status(0).json();
            let ids =
                all["items"].as_array().unwrap().iter().map(|item| item["instance_id"].as_str().unwrap());
            let shown: Vec<Value> = ids.map(|id| self.world.instance(id)).collect();
            seen = shown.iter().flat_map(|one| one["outcomes"].as_array().unwrap().clone()).collect();
            seen.len() == count && seen.iter().all(|outcome| outcome["status"].is_string())
        });
        assert!(told, "{seen:?}");
        seen
    }

    /// Verifies the newest execution, and returns what its bundle discloses.
    fn disclosed(&self) -> String {
        let all = self.world.run(&["instances", "ls", "--json"]).status(0).json();
        let id = all["items"][0]["instance_id"].as_str().unwrap().to_owned();
        let report = self.world.verified(&id, "newest.gantral").status(0).json();
        assert_eq!(
            (&report["verdict"], &report["assurance"]["enforcement"]),
            (&"VALID".into(), &"enforced".into())
        );
        let bundle = self.world.path("newest.gantral");
        let opened = Command::new("python3").args(["-c", OPEN_DISCLOSURES]).arg(bundle).output().unwrap();
        String::from_utf8(opened.stdout).unwrap()
    }

    /// Writes bytes to the proxy as they are, and returns all that comes back.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(self.url.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }
}

fn serve(world: &World, port: &str) -> (Killed, String) {
    let script = repository().join("crates/gantral/tests/http/shop.py");
    let mut command = Command::new("python3");
    command.arg("-B").arg(script).arg(world.path("ledger")).arg(port).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (Killed::of(child), line.trim().to_owned())
}

#[track_caller]
fn got(child: Child) -> Got {
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut rest = text.as_str();
    // What says to go on comes before the answer.
    while rest.starts_with("HTTP/1.1 100") {
        rest = rest.split_once("\r\n\r\n").unwrap().1;
    }
    let (head, body) = rest.split_once("\r\n\r\n").unwrap_or_else(|| {
        panic!("no answer: {text} {}", String::from_utf8_lossy(&output.stderr));
    });
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Got { status, headers: head.to_ascii_lowercase(), body: body.to_owned() }
}

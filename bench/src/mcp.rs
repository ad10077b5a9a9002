//! Calls of tools over MCP: straight to a server, through `gantral mcp`, and through gateways of others.
//!
//! The governed call is one that policy allows: asked for, sealed and consumed durably before it is sent. Its outcome is sealed once the client has its
//! result, and so in the way of the next call. The gateways of others decide nothing and record nothing: they are what a message costs that somebody
//! else takes apart and passes on.

use std::fmt::Write as _;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::{disk_folder, median, ms, part, quantiles};

/// How often everything is measured.
const ROUNDS: usize = 5;
/// How many calls of one round are timed, after as many as warm everything up.
const CALLS: usize = 400;
const WARM: usize = 100;
/// How long a program may take to start.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection that is not used is kept: servers close theirs after 5 s, and each way waits while the others are measured.
const IDLE: Duration = Duration::from_secs(2);
const REVISION: &str = "2025-06-18";

const LEGEND: &str = "\
One call of a tool that answers at once, by one client alone, over a session that stands. The governed call is allowed by policy: what it adds holds a token
checked, a policy evaluated, artifacts signed, committed durably and verified, and a durable line in the folder of calls before the call is sent. Its outcome is
sealed once the client has its result, in the way of the next call.

                                                  p50        p99     p50 above
";

/// One way to the tool.
struct Way {
    name: &'static str,
    /// Which way it is measured against.
    against: Option<usize>,
    client: Box<dyn Caller>,
    /// What its tool is called.
    tool: &'static str,
}

/// A client with a session.
trait Caller {
    /// Sends one request, and returns its result.
    fn request(&mut self, method: &str, params: &Value) -> Result<Value>;
    /// Sends a notification.
    fn notify(&mut self, method: &str) -> Result<()>;
}

/// Runs every measurement and prints medians.
pub fn run() -> Result<()> {
    let folder = tempfile::Builder::new().prefix("gantral-mcp").tempdir_in(disk_folder())?;
    let places = Places::find(folder.path())?;
    let (_dev, url) = places.dev()?;
    let (_listens, upstream) = places.everything_over_http()?;
    let before_http = ["--listen", "127.0.0.1:0", "--upstream", &upstream].map(str::to_owned);
    let (_over_http, governed_http) = places.listening(places.governed(&url, "http", &before_http))?;
    let before_stdio =
        [&["--listen".to_owned(), "127.0.0.1:0".to_owned(), "--".to_owned()][..], &places.everything()];
    let (_mixed, governed_mixed) =
        places.listening(places.governed(&url, "mixed", &before_stdio.concat()))?;
    let (_proxy, proxied) = places.mcp_proxy()?;
    let through = [&["--".to_owned()][..], &places.everything()].concat();
    let way = |name, against, client, tool| Way { name, against, client, tool };
    let mut ways = [
        way("stdio, straight", None, Lines::start(&places.everything())?, "echo"),
        way("stdio, gantral mcp", Some(0), Lines::start(&places.governed(&url, "stdio", &through))?, "echo"),
        way("stdio, mcp-gateway", Some(0), Lines::start(&places.mcp_gateway()?)?, "everything_echo"),
        way("HTTP, straight", None, Posts::open(&upstream)?, "echo"),
        way("HTTP, gantral mcp before HTTP", Some(3), Posts::open(&governed_http)?, "echo"),
        way("HTTP, gantral mcp before stdio", Some(0), Posts::open(&governed_mixed)?, "echo"),
        way("HTTP, mcp-proxy before stdio", Some(0), Posts::open(&proxied)?, "echo"),
    ];
    for way in &mut ways {
        begin(way).with_context(|| way.name.to_owned())?;
    }
    let mut taken = vec![Vec::new(); ways.len()];
    for round in 0..ROUNDS {
        for (way, taken) in ways.iter_mut().zip(&mut taken) {
            taken.push(measure(way, round).with_context(|| way.name.to_owned())?);
        }
    }
    let of = |rounds: &[[f64; 2]], value: fn(&[f64; 2]) -> f64| median(rounds.iter().map(value));
    let mut out = String::from(LEGEND);
    for (way, rounds) in ways.iter().zip(&taken) {
        let (p50, p99) = (of(rounds, |[p50, _]| *p50), of(rounds, |[_, p99]| *p99));
        write!(out, "{:<44}{p50:>8.2}ms{p99:>9.2}ms", way.name)?;
        if let Some(other) = way.against.and_then(|other| taken.get(other)) {
            let above =
                median(rounds.iter().zip(other).map(|([through, _], [straight, _])| through - straight));
            write!(out, "{above:>12.2}ms")?;
        }
        out.push('\n');
    }
    crate::print(&out)
}

/// Shakes hands, and sees that the tool answers.
fn begin(way: &mut Way) -> Result<()> {
    let hello = json!({"protocolVersion": REVISION, "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}});
    way.client.request("initialize", &hello)?;
    way.client.notify("notifications/initialized")?;
    way.client.request("tools/list", &json!({}))?;
    for _ in 0..WARM {
        call(way, "warm")?;
    }
    Ok(())
}

/// Calls the tool once, and looks for the word in its answer.
fn call(way: &mut Way, word: &str) -> Result<()> {
    let result =
        way.client.request("tools/call", &json!({"name": way.tool, "arguments": {"message": word}}))?;
    let failed = result.get("isError").and_then(Value::as_bool).unwrap_or_default();
    ensure!(!failed && result.to_string().contains(word), "{result}");
    Ok(())
}

/// Returns p50 and p99 of one round, in milliseconds.
fn measure(way: &mut Way, round: usize) -> Result<[f64; 2]> {
    let mut taken = Vec::with_capacity(CALLS);
    for number in 0..CALLS {
        let word = format!("round {round} call {number}");
        let begun = Instant::now();
        call(way, &word)?;
        taken.push(begun.elapsed());
    }
    Ok(quantiles(taken).map(ms))
}

/// Where programs are, and a folder for what they keep.
struct Places {
    folder: PathBuf,
    gantral: PathBuf,
    parts: PathBuf,
}

impl Places {
    fn find(folder: &Path) -> Result<Self> {
        let gantral = std::env::current_exe()?.with_file_name("gantral");
        ensure!(gantral.exists(), "`cargo build --release -p gantral` makes what is measured");
        let parts = std::path::absolute(part(""))?;
        ensure!(
            parts.join("peers/bin/mcp-proxy").exists(),
            "`cargo xtask parts --peers` installs what is measured against"
        );
        Ok(Self { folder: std::path::absolute(folder)?, gantral, parts })
    }

    fn everything(&self) -> Vec<String> {
        vec![self.parts.join("mcp-node/node_modules/.bin/mcp-server-everything").display().to_string()]
    }

    fn place(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    /// Starts `gantral dev`; returns its address too.
    fn dev(&self) -> Result<(Started, String)> {
        let arguments = ["dev", "--dir", &self.place("dev"), "--listen", "127.0.0.1:0"].map(str::to_owned);
        self.listening([&[self.gantral.display().to_string()][..], &arguments].concat())
    }

    fn governed(&self, url: &str, name: &str, rest: &[String]) -> Vec<String> {
        let own = [
            &self.gantral.display().to_string(),
            "mcp",
            "--name",
            "everything",
            "--url",
            url,
            "--token-file",
            &self.place("dev/tokens/dev-gate.token"),
            "--trust",
            &self.place("dev/trust.json"),
            "--tenant",
            "dev",
            "--spool",
            &self.place(name),
        ];
        own.into_iter().map(str::to_owned).chain(rest.iter().cloned()).collect()
    }

    /// Starts a program that says where it listens, and returns the address.
    fn listening(&self, command: Vec<String>) -> Result<(Started, String)> {
        let (program, arguments) = command.split_first().context("a program")?;
        let mut child = Command::new(program);
        child.args(arguments).current_dir(&self.folder).stdin(Stdio::null());
        let mut child = Started(child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?);
        let mut lines = BufReader::new(child.0.stdout.take().context("an output")?);
        let mut line = String::new();
        while lines.read_line(&mut line)? > 0 {
            if let Some(at) = line.find("http://127.0.0.1:") {
                let url = line
                    .get(at..)
                    .and_then(|url| url.split_whitespace().next())
                    .context("an address")?
                    .to_owned();
                // Its output goes on being read, so that it never waits for us.
                std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
                return Ok((child, url));
            }
            line.clear();
        }
        bail!("`{program}` said no address")
    }

    fn everything_over_http(&self) -> Result<(Started, String)> {
        let port = free_port()?;
        let [program] = &self.everything()[..] else { bail!("one program") };
        let mut command = Command::new(program);
        command.arg("streamableHttp").env("PORT", port.to_string());
        Ok((waited_for(command, port)?, format!("http://127.0.0.1:{port}/mcp")))
    }

    fn mcp_proxy(&self) -> Result<(Started, String)> {
        let port = free_port()?;
        let mut command = Command::new(self.parts.join("peers/bin/mcp-proxy"));
        command.args(["--port", &port.to_string(), "--"]).args(self.everything());
        Ok((waited_for(command, port)?, format!("http://127.0.0.1:{port}/mcp")))
    }

    fn mcp_gateway(&self) -> Result<Vec<String>> {
        let [program] = &self.everything()[..] else { bail!("one program") };
        let servers = json!({"everything": {"command": program, "args": []}});
        let file = self.folder.join("mcp.json");
        std::fs::write(
            &file,
            json!({"mcpServers": {"mcp-gateway": {"command": "none", "servers": servers}}}).to_string(),
        )?;
        let program = self.parts.join("peers/bin/mcp-gateway").display().to_string();
        Ok(vec![program, "--mcp-json-path".to_owned(), file.display().to_string()])
    }
}

/// A program that ends with this.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn waited_for(mut command: Command, port: u16) -> Result<Started> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let started = Started(child);
    let begun = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(begun.elapsed() < PATIENCE, "{command:?} does not listen");
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(started)
}

/// A session over standard input and output.
struct Lines {
    _child: Started,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    sent: u64,
}

impl Lines {
    fn start(command: &[String]) -> Result<Box<dyn Caller>> {
        let (program, arguments) = command.split_first().context("a program")?;
        let mut child = Command::new(program);
        child.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = child.spawn().with_context(|| program.clone())?;
        let stdin = child.stdin.take().context("an input")?;
        let stdout = BufReader::new(child.stdout.take().context("an output")?);
        Ok(Box::new(Self { _child: Started(child), stdin, stdout, sent: 0 }))
    }

    fn send(&mut self, message: &Value) -> Result<()> {
        let mut line = message.to_string();
        line.push('\n');
        Ok(self.stdin.write_all(line.as_bytes())?)
    }
}

impl Caller for Lines {
    fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.sent += 1;
        self.send(&json!({"jsonrpc": "2.0", "id": self.sent, "method": method, "params": params}))?;
        let mut line = String::new();
        loop {
            line.clear();
            ensure!(self.stdout.read_line(&mut line)? > 0, "it ended");
            if let Some(result) = result(&line, self.sent)? {
                return Ok(result);
            }
        }
    }

    fn notify(&mut self, method: &str) -> Result<()> {
        self.send(&json!({"jsonrpc": "2.0", "method": method}))
    }
}

/// A session over streamable HTTP.
struct Posts {
    runtime: Runtime,
    http: Client,
    url: String,
    session: Option<String>,
    sent: u64,
}

impl Posts {
    fn open(url: &str) -> Result<Box<dyn Caller>> {
        // Another client of this program may have chosen it before.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let http = Client::builder().tls_certs_only([]).no_proxy().timeout(PATIENCE).pool_idle_timeout(IDLE);
        let http = http.build()?;
        Ok(Box::new(Self { runtime, http, url: url.to_owned(), session: None, sent: 0 }))
    }

    /// Sends a message, and returns the body of the answer.
    fn post(&mut self, message: &Value) -> Result<String> {
        let mut request = self.http.post(&self.url).header("content-type", "application/json");
        request = request.header("accept", "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session).header("mcp-protocol-version", REVISION);
        }
        let request = request.body(message.to_string());
        let (session, text) = self.runtime.block_on(async {
            let answer = request.send().await?.error_for_status()?;
            let session = answer.headers().get("mcp-session-id").cloned();
            Ok::<_, anyhow::Error>((session, answer.text().await?))
        })?;
        if let Some(session) = session {
            self.session = Some(session.to_str()?.to_owned());
        }
        Ok(text)
    }
}

impl Caller for Posts {
    fn request(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.sent += 1;
        let answer =
            self.post(&json!({"jsonrpc": "2.0", "id": self.sent, "method": method, "params": params}))?;
        for line in answer.lines() {
            let data = line.strip_prefix("data:").unwrap_or(line).trim();
            if data.starts_with('{')
                && let Some(result) = result(data, self.sent)?
            {
                return Ok(result);
            }
        }
        bail!("no answer")
    }

    fn notify(&mut self, method: &str) -> Result<()> {
        self.post(&json!({"jsonrpc": "2.0", "method": method}))?;
        Ok(())
    }
}

/// Returns the result, if this message is the answer to this request.
fn result(message: &str, id: u64) -> Result<Option<Value>> {
    let mut message: Value = serde_json::from_str(message)?;
    if message.get("id") != Some(&json!(id)) || message.get("method").is_some() {
        return Ok(None);
    }
    if let Some(error) = message.get("error") {
        bail!("{error}");
    }
    Ok(message.get_mut("result").map(Value::take))
}

//! Whatever dies at whichever step of a governed call: the requests of the interceptor pass through a place where they can be held, before they
//! reach Gantral and after they were answered.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

use super::crashes::processes;
use super::*;

/// A request of the interceptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Ask,
    Take,
    Settle,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    /// The request has not reached Gantral.
    Before,
    /// Gantral has answered, and the answer has not arrived.
    After,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Interceptor,
    Client,
    Gantral,
    Server,
}

/// What is to be held: it tells when it is there, and is told whether it passes or is lost.
struct Armed {
    step: Step,
    side: Side,
    reached: SyncSender<()>,
    passes: Receiver<bool>,
}

/// The place between the interceptor and Gantral.
struct Seam {
    url: String,
    armed: Arc<Mutex<Option<Armed>>>,
}

impl Seam {
    fn before(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let gantral = world.url().trim_start_matches("http://").to_owned();
        let armed = Arc::new(Mutex::new(None));
        let found = armed.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().map_while(Result::ok) {
                let (gantral, armed) = (gantral.clone(), found.clone());
                // Whoever connected may be gone: then there is nobody to tell.
                std::thread::spawn(move || drop(carry(connection, &gantral, &armed)));
            }
        });
        Self { url, armed }
    }

    fn arm(&self, step: Step, side: Side) -> (Receiver<()>, Sender<bool>) {
        let (reached, is_there) = sync_channel(1);
        let (pass, passes) = channel();
        *self.armed.lock().unwrap() = Some(Armed { step, side, reached, passes });
        (is_there, pass)
    }
}

/// Carries one request over a connection that ends with it.
fn carry(mut client: TcpStream, gantral: &str, armed: &Mutex<Option<Armed>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(());
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line == "\r\n" {
            break;
        }
        if !lower.starts_with("connection:") {
            head.push_str(&line);
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let held = held(&head, armed);
    let wait = |side: Side| match &held {
        Some(armed) if armed.side == side => {
            armed.reached.send(()).unwrap();
            armed.passes.recv().unwrap_or(false)
        }
        _ => true,
    };
    if !wait(Side::Before) {
        return Ok(());
    }
    let mut server = TcpStream::connect(gantral)?;
    server.write_all(format!("{head}Connection: close\r\n\r\n").as_bytes())?;
    server.write_all(&body)?;
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    if wait(Side::After) { client.write_all(&answer) } else { Ok(()) }
}

fn held(head: &str, armed: &Mutex<Option<Armed>>) -> Option<Armed> {
    let path = head.split(' ').nth(1)?.split('?').next()?;
    let step = match path.rsplit('/').next()? {
        "calls" => Step::Ask,
        "take" => Step::Take,
        "settle" => Step::Settle,
        _ => return None,
    };
    armed.lock().unwrap().take_if(|armed| armed.step == step)
}

/// One call, in a place of its own, and what is seen of it.
struct Case<'a> {
    world: &'a mut World,
    seam: &'a Seam,
    name: String,
    known: BTreeSet<String>,
}

impl Case<'_> {
    fn command(&self) -> Vec<String> {
        let ledger = self.world.path(&self.name).display().to_string();
        let server = [&interpreter(), "-B", &ours("pay.py"), &ledger];
        let words = [&["--name", "pay", "--hold", "40", "--"][..], &server].concat();
        let mut command = interceptor(self.world, &words);
        let spool = self.world.path(&format!("{}.spool", self.name)).display().to_string();
        for (option, value) in [("--url", &self.seam.url), ("--spool", &spool)] {
            let at = command.iter().position(|word| word == option).unwrap();
            command[at + 1].clone_from(value);
        }
        command
    }

    fn start(&self) -> Lines {
        Lines::ready(&self.command(), self.world.folder())
    }

    fn transfer(&self, client: &mut Lines, id: &str) {
        client.call(id, "transfer", json!({"amount": 5, "to": self.name}));
    }

    /// Approves whatever waits.
    fn approve(&self) {
        let open = self.world.run(&["approvals", "ls", "--json"]).status(0).json();
        for item in open["items"].as_array().unwrap() {
            let gate = item["gate_id"].as_str().unwrap();
            self.world.run(&["approvals", "approve", gate, "--reason", "it is owed"]).status(0);
        }
    }

    fn instances(&self) -> BTreeSet<String> {
        let all = self.world.run(&["instances", "ls", "--json"]).status(0).json();
        let ids = all["items"].as_array().unwrap().iter();
        ids.map(|item| item["instance_id"].as_str().unwrap().to_owned())
            .filter(|id| !self.known.contains(id))
            .collect()
    }

    /// Approves whatever is asked for until what came of it is known.
    fn outcome(&self) -> String {
        let mut seen = Vec::new();
        let known = wait_until(|| {
            self.approve();
            seen = self
                .instances()
                .iter()
                .flat_map(|id| self.world.instance(id)["outcomes"].as_array().unwrap().clone())
                .map(|outcome| outcome["status"].as_str().unwrap_or("none").to_owned())
                .collect();
            !seen.is_empty() && !seen.contains(&"none".to_owned())
        });
        assert!(known, "{}: {seen:?}", self.name);
        seen.join(" ")
    }

    /// Plays the case; returns what is said of the call, and how often it was carried out.
    fn play(&mut self, victim: Victim, step: Step, side: Side) -> (String, usize) {
        let (is_there, pass) = self.seam.arm(step, side);
        let mut client = self.start();
        self.transfer(&mut client, "1");
        let reached = wait_until(|| {
            // It is asked for before humans are, and a question that waits for them is answered after.
            if step != Step::Ask && (step, side) != (Step::Take, Side::Before) {
                self.approve();
            }
            is_there.try_recv().is_ok()
        });
        assert!(reached, "{}", self.name);
        let mut again = None;
        match victim {
            Victim::Interceptor => {
                client.child.kill();
                let _ = pass.send(false);
                again = Some(self.start());
            }
            Victim::Client => {
                client.input.take();
                let _ = pass.send(true);
                ended(&client.child);
                again = Some(self.start());
            }
            Victim::Gantral => {
                self.world.kill_server();
                let _ = pass.send(false);
                self.world.start_server();
            }
            Victim::Server => {
                for pid in processes(&["pay.py", &self.world.path(&self.name).display().to_string()]) {
                    assert!(Command::new("kill").args(["-KILL", &pid]).status().unwrap().success());
                }
                let _ = pass.send(true);
                std::thread::sleep(std::time::Duration::from_millis(500));
                again = Some(self.start());
            }
        }
        let outcome = self.outcome();
        drop((client, again));
        (outcome, self.world.text(&self.name).lines().count())
    }
}

/// Waits for the end of an interceptor whose client has gone.
fn ended(child: &Killed) {
    let place = PathBuf::from(format!("/proc/{}/stat", child.pid()));
    let ended = wait_until(|| {
        let stat = std::fs::read_to_string(&place).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    });
    assert!(ended, "an interceptor stays without a client");
}

/// What may be said of the call, and how often it was carried out.
type True = &'static [(&'static str, usize)];
const DONE: True = &[("SUCCEEDED", 1)];
const NOT_BEGUN: True = &[("FAILED", 0)];
/// Whoever begins anew asks for what was asked, or takes what was granted. What was granted to somebody who had gone by then is not sent.
const EITHER: True = &[("SUCCEEDED", 1), ("FAILED", 0)];

/// Every step, for those whose death the interceptor lives to see.
const EVERY_STEP: &[(Step, Side, True)] = &[
    (Step::Ask, Side::Before, EITHER),
    (Step::Ask, Side::After, EITHER),
    (Step::Take, Side::Before, EITHER),
    (Step::Take, Side::After, EITHER),
    (Step::Settle, Side::Before, DONE),
    (Step::Settle, Side::After, DONE),
];

/// Kills somebody at each step, and demands that what is said afterwards is true.
fn survives(victim: Victim, cases: &[(Step, Side, True)]) {
    let mut world = world();
    let seam = Seam::before(&world);
    let mut wrong = Vec::new();
    for (step, side, expected) in cases {
        let name = format!("{step:?}-{side:?}");
        let mut case = Case { world: &mut world, seam: &seam, name, known: BTreeSet::new() };
        case.known = case.instances();
        let (outcome, count) = case.play(victim, *step, *side);
        if !expected.contains(&(outcome.as_str(), count)) {
            wrong.push((step, side, outcome, count));
        }
    }
    assert!(wrong.is_empty(), "{victim:?}: {wrong:#?}");
}

#[test]
fn interceptor_that_is_killed_at_any_step_leaves_one_execution_at_most_and_a_true_outcome() {
    let cases = [
        (Step::Ask, Side::Before, EITHER),
        (Step::Ask, Side::After, EITHER),
        (Step::Take, Side::Before, DONE),
        (Step::Take, Side::After, NOT_BEGUN),
        (Step::Settle, Side::Before, DONE),
        (Step::Settle, Side::After, DONE),
    ];
    survives(Victim::Interceptor, &cases);
}

#[test]
fn client_that_goes_at_any_step_leaves_one_execution_at_most_and_a_true_outcome() {
    survives(Victim::Client, EVERY_STEP);
}

#[test]
fn gantral_that_is_killed_at_any_step_goes_on_and_the_call_happens_once() {
    let cases = [Step::Ask, Step::Take, Step::Settle]
        .map(|step| [Side::Before, Side::After].map(|side| (step, side, DONE)));
    survives(Victim::Gantral, cases.as_flattened());
}

#[test]
fn server_that_is_killed_at_any_step_leaves_one_execution_at_most_and_a_true_outcome() {
    survives(Victim::Server, EVERY_STEP);
}

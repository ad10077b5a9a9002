//! `gantral demo`: the whole story in half a minute, on this machine, with nothing prepared.
//!
//! Nothing is pretended: agent and verifier are processes of their own, the human decides through the public API, and every
//! claim of the transcript is checked before it is printed. The demo fails if one does not hold.

mod forgery;
mod processes;
mod stage;
mod transcript;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use clap::Args;
use gantral_api::client::Client;
use gantral_api::wire::{CreateInstance, Decide, GateView, InstanceView, ShowInstance, text};
use gantral_core::digest::CommitmentLabel;
use gantral_core::json::{Object, Value};
use gantral_core::state::{DecisionKind, EventKind, State};
use gantral_core::time::DurationMs;
use gantral_policy::bundle::Bundle;

use super::evidence::{Format, write_new};
use super::{policy, workflows};
use crate::bundle_files::unpack;
use crate::connection::run_long;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::input::{canonical, changed, document, setting};
use crate::out::{FAINT, Out, styled};
use crate::show;
use forgery::Forged;
use gantral_core::json::text::inert;
use stage::{QUEUE, Stage};
use transcript::Transcript;

const POLICY: &str = include_str!("../../../../policies/demo/policy.rego");
const POLICY_TEST: &str = include_str!("../../../../policies/demo/policy_test.rego");
const WORKFLOW: &str = include_str!("../../../../policies/demo/workflow.toml");

/// What the customer claims, and what alice thinks of it.
const CLAIMED: u32 = 4_800;
const GRANTED: u32 = 480;
const REASON: &str = "one month is owed, not ten";
/// How long the dead may take to leave the list of processes.
const BURIAL: Duration = Duration::from_secs(2);
/// How long one long poll is held.
const WAIT: DurationMs = DurationMs::from_secs(5);
/// How many long polls the demo has patience for.
const WAITS_MAX: u32 = 4;
const BUNDLE: &str = "demo.gantral";
const TRUST: &str = "trust.json";

/// Arguments of `demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// Keeps the bundle and the trust file in this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Whether the bundle is kept as one file or as a directory
    #[arg(long, value_enum, default_value_t = Format::File, requires = "out")]
    out_format: Format,
}

/// Plays the demo.
pub fn run(args: &DemoArgs, out: Out) -> Result<Exit, Failure> {
    if let Some(folder) = &args.out {
        for name in [BUNDLE, TRUST] {
            let path = folder.join(name);
            if path.exists() {
                return Err(Failure::new(format!("`{}` exists already", path.display()))
                    .hint("name another folder, or remove what an earlier demo kept there"));
            }
        }
    }
    run_long(async {
        let mut stage = Stage::start().await?;
        let mut told = Transcript::new(out);
        let played = play(&mut stage, &mut told).await;
        let kept = match (&played, &args.out) {
            (Ok(bundle), Some(folder)) => keep(bundle, &stage, folder, args.out_format),
            _ => Ok(()),
        };
        let closed = stage.close().await;
        played?;
        kept?;
        closed?;
        if out.json {
            out.data(r#"{"verdict":"VALID","forged_payload":"INVALID","forged_disclosure":"INVALID"}"#)?;
        }
        match &args.out {
            Some(folder) => next_step(folder, out),
            None => out.hint(
                "gantral demo --out DIR keeps the bundle and the trust file; gantral dev goes on from here",
            ),
        }
        Ok(Exit::DONE)
    })
}

async fn play(stage: &mut Stage, told: &mut Transcript) -> Result<Vec<u8>, Failure> {
    told.step("Everything starts, in a temporary folder")?;
    prepare(stage, told).await?;
    told.step("An agent runs, asks for authority, and exits")?;
    let agent = stage.client("refund-agent")?;
    let (waiting, first) = ask(stage, told, &agent).await?;
    told.step("A human sees exactly what was asked, and changes it")?;
    decide(&stage.client("alice")?, told, &waiting).await?;
    told.step("A fresh process does what was approved, once")?;
    act(stage, told, &agent, &waiting, first).await?;
    told.step("A stranger verifies it, with two files and nothing else")?;
    let bundle = agent.evidence(waiting.instance_id).await?;
    let stranger = Stranger::new(stage)?;
    stranger.believes(&bundle, told)?;
    told.step("One byte of one signed artifact is changed")?;
    let forged = forgery::payload(&bundle, EventKind::Overridden)?;
    stranger.catches(&forged, told, "artifact ")?;
    told.step("One disclosure is changed")?;
    // With the comma, because the claimed amount begins with the granted one.
    let (true_amount, false_amount) = (format!("\"amount\":{GRANTED},"), format!("\"amount\":{CLAIMED},"));
    let forged = forgery::disclosure(&bundle, CommitmentLabel::Action, &true_amount, &false_amount)?;
    stranger.catches(&forged, told, "action of artifact ")?;
    Ok(bundle)
}

/// Publishes the policy and applies the workflow, whose command is this program.
async fn prepare(stage: &Stage, told: &Transcript) -> Result<(), Failure> {
    told.fact("server", stage.url())?;
    let files = [("policy.rego", POLICY), ("policy_test.rego", POLICY_TEST)];
    let bundle = Bundle::from_files(files.map(|(path, text)| (path, text.as_bytes().to_vec())))
        .map_err(|error| Failure::new(error.to_string()))?;
    let (definition, _) = workflows::parse(WORKFLOW).map_err(Failure::new)?;
    let definition = with_command(definition, &stage.path("ledger.txt"))?;
    let id = "refund".parse().map_err(Failure::new)?;
    let client = stage.client("bob")?;
    let published = policy::published(&client, &bundle).await?;
    let applied = workflows::register(&client, &id, &definition, Some(published.policy_version_id)).await?;
    told.fact(
        "policy",
        format_args!("{}, {} tests passed", published.policy_version_id, published.tests.passed),
    )?;
    told.fact("workflow", format_args!("{id} version {}", applied.version))?;
    told.fact("runner", format_args!("dev-runner, on queue `{QUEUE}`"))
}

fn with_command(definition: Value, ledger: &Path) -> Result<Value, Failure> {
    let program = std::env::current_exe();
    let program =
        program.map_err(|error| Failure::new(format!("this program cannot find itself: {error}")))?;
    let words = [&*program.to_string_lossy(), "demo-agent", "--ledger", &*ledger.to_string_lossy()];
    let command: Vec<Value> = words.into_iter().map(Value::from).collect();
    let (Value::Object(mut members), run) = (definition.clone(), definition.get("run")) else {
        return Err(Failure::new("the definition of the demo is no object"));
    };
    let Some(Value::Object(run)) = run else {
        return Err(Failure::new("the workflow of the demo has no `run`"));
    };
    members.insert("run", run.clone().with("command", command));
    Ok(Value::Object(members))
}

/// Creates the instance and follows the first process to its end at the gate.
async fn ask(stage: &mut Stage, told: &Transcript, agent: &Client) -> Result<(InstanceView, u32), Failure> {
    let input = Object::new().with("order", "1001").with("claimed", CLAIMED);
    let body = CreateInstance {
        workflow: "refund".parse().map_err(Failure::new)?,
        version: None,
        session_id: None,
        trigger: None,
        input: Some(document(&Value::Object(input))?),
        call: None,
        parent: None,
    };
    let created = agent.create_instance(&body).await?;
    told.fact("instance", created.instance.instance_id)?;
    let (pid, attempt) = stage.process_started().await?;
    told.fact("agent", format_args!("process {pid}, attempt {attempt}"))?;
    let group = processes::group_of(pid);
    let status = stage.process_ended().await?;
    let waiting = reached(agent, created.instance.instance_id, State::WaitingForHuman).await?;
    let gate = gate_of(&waiting)?;
    told.fact("asks for", inert(&canonical(&gate.action)?))?;
    told.fact("policy", format_args!("REQUIRE_HUMAN: {}", inert(&gate.reasons.join("; "))))?;
    told.fact("exits", format_args!("with status {status}, which means: it waits"))?;
    nobody_is_alive(stage, group)?;
    told.fact("alive", format_args!("no process {pid}, none of its group, none named `demo-agent`"))?;
    Ok((waiting, pid))
}

/// Looks for processes of the agent in the list of the system.
fn nobody_is_alive(stage: &Stage, group: Option<u32>) -> Result<(), Failure> {
    let ledger = stage.path("ledger.txt");
    let groups: Vec<u32> = group.into_iter().collect();
    let deadline = std::time::Instant::now() + BURIAL;
    loop {
        let alive = processes::alive(&ledger.to_string_lossy(), &groups)?;
        match alive.first() {
            None => return Ok(()),
            Some(process) if std::time::Instant::now() >= deadline => {
                let (pid, command) = (process.pid, inert(&process.command));
                return Err(Failure::new(format!("process {pid} is still alive: {command}")));
            }
            Some(_) => std::thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// Shows the gate to alice, and sends what she says.
async fn decide(alice: &Client, told: &Transcript, waiting: &InstanceView) -> Result<(), Failure> {
    let gate = alice.gate(gate_of(waiting)?.gate_id).await?;
    let setting = setting(&format!("amount={GRANTED}")).map_err(Failure::new)?;
    let action = changed(&gate.action, &[setting], None)?;
    told.fact("alice sees", inert(&canonical(&gate.action)?))?;
    told.fact("she says", format_args!("OVERRIDE, because: {REASON}"))?;
    told.fact("approved", inert(&canonical(&action)?))?;
    let body = Decide {
        decision: DecisionKind::Override.into(),
        gate_version: gate.version,
        role: None,
        action: Some(action),
        justification: REASON.parse().map_err(Failure::new)?,
        delegation: None,
        break_glass: false,
        assertion: None,
    };
    let decided = alice.decide(gate.gate_id, &body).await?;
    told.fact("sealed", show::receipts(&decided.artifacts))
}

/// Follows the fresh process, and counts what it did.
async fn act(
    stage: &mut Stage,
    told: &Transcript,
    agent: &Client,
    waiting: &InstanceView,
    first: u32,
) -> Result<(), Failure> {
    let (pid, attempt) = stage.process_started().await?;
    if pid == first || attempt <= waiting.attempt {
        return Err(Failure::new(format!("process {pid} of attempt {attempt} is not a fresh one")));
    }
    told.fact("agent", format_args!("process {pid}, attempt {attempt}"))?;
    let status = stage.process_ended().await?;
    let done = reached(agent, waiting.instance_id, State::Completed).await?;
    told.fact("exits", format_args!("with status {status}"))?;
    let ledger = stage.path("ledger.txt");
    let paid = std::fs::read_to_string(&ledger).map_err(|error| Failure::file("read", &ledger, &error))?;
    let lines: Vec<&str> = paid.lines().collect();
    let expected = format!("refund order/1001 {GRANTED} EUR");
    if lines != [expected.as_str()] {
        return Err(Failure::new(format!(
            "the ledger has {} lines: {}",
            lines.len(),
            inert(&lines.join("; "))
        )));
    }
    told.fact("paid", format_args!("{} time: {expected}", lines.len()))?;
    told.fact("instance", format_args!("{}, {} artifacts", done.state, done.head.sequence + 1))
}

/// Waits until the instance is in a state; any other end is a failure.
async fn reached(client: &Client, id: text::InstanceId, state: State) -> Result<InstanceView, Failure> {
    let mut seen = client.instance(id, &ShowInstance::default()).await?;
    for _ in 0..WAITS_MAX {
        if *seen.state == state || seen.state.is_final() {
            break;
        }
        let query = ShowInstance { wait: Some(WAIT.into()), after: Some(seen.head.sequence) };
        seen = client.instance(id, &query).await?;
    }
    if *seen.state == state {
        return Ok(seen);
    }
    let cause = seen.cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
    Err(Failure::new(format!("the instance is {}{cause}, and not {state}", seen.state)))
}

fn gate_of(instance: &InstanceView) -> Result<&GateView, Failure> {
    instance.gate.as_ref().ok_or_else(|| Failure::new("the instance has no gate"))
}

/// Somebody with two files, in a folder of their own, who trusts nobody.
struct Stranger {
    folder: PathBuf,
}

impl Stranger {
    fn new(stage: &Stage) -> Result<Self, Failure> {
        let folder = stage.path("stranger");
        std::fs::create_dir(&folder).map_err(|error| Failure::file("make", &folder, &error))?;
        write_new(&folder.join(TRUST), &stage.trust().encode())?;
        Ok(Self { folder })
    }

    fn believes(&self, bundle: &[u8], told: &Transcript) -> Result<(), Failure> {
        let (printed, status) = self.verify(bundle, BUNDLE)?;
        if status != 0 || !printed.starts_with("VALID\n") {
            return Err(Failure::new(format!("the bundle does not verify: status {status}")).hint(printed));
        }
        told.command(&command(BUNDLE), &story(&printed), status)
    }

    /// Verifies what was forged: it must be INVALID, and name the place.
    fn catches(&self, forged: &Forged, told: &Transcript, place: &str) -> Result<(), Failure> {
        let name = "forged.gantral";
        told.fact("changed", format_args!("{}: {}", short(&forged.path), forged.what))?;
        let (printed, status) = self.verify(&forged.tar, name)?;
        let lines = accusation(&printed);
        let is_named = lines.iter().any(|line| line.contains(place));
        if status != 1 || !printed.starts_with("INVALID\n") || !is_named {
            return Err(Failure::new(format!("the forgery is not caught: status {status}")).hint(printed));
        }
        told.command(&command(name), &lines, status)
    }

    /// Starts this program anew as a verifier: an empty environment, and nothing to read but the two files.
    fn verify(&self, bundle: &[u8], name: &str) -> Result<(String, i32), Failure> {
        let path = self.folder.join(name);
        std::fs::write(&path, bundle).map_err(|error| Failure::file("write", &path, &error))?;
        let program = std::env::current_exe();
        let run = program.and_then(|program| {
            Command::new(program)
                .args(["verify", name, "--trust", TRUST])
                .env_clear()
                .current_dir(&self.folder)
                .output()
        });
        let Output { stdout, status, .. } =
            run.map_err(|error| Failure::new(format!("the verifier cannot be started: {error}")))?;
        std::fs::remove_file(&path).map_err(|error| Failure::file("remove", &path, &error))?;
        let printed = String::from_utf8_lossy(&stdout).into_owned();
        Ok((printed, status.code().unwrap_or(i32::from(Exit::NOT_VERIFIED.0))))
    }
}

fn command(bundle: &str) -> String {
    format!("gantral verify {bundle} --trust {TRUST}")
}

/// Returns what a verifier says of a good bundle: the verdict, and what happened.
fn story(printed: &str) -> Vec<&str> {
    let verdict = printed.lines().take(2);
    let happened = printed.lines().skip_while(|line| !line.starts_with("What happened"));
    verdict.chain(["…"]).chain(happened.take_while(|line| !line.is_empty())).chain(["…"]).collect()
}

/// Returns what a verifier says of a bad bundle: the verdict, and what is wrong.
fn accusation(printed: &str) -> Vec<&str> {
    let verdict = printed.lines().take(2);
    let wrong =
        printed.lines().skip_while(|line| *line != "What is wrong").take_while(|line| !line.is_empty());
    verdict.chain(wrong.skip(1)).collect()
}

/// Shortens the digest in a path.
fn short(path: &str) -> String {
    const DIGEST_CHARS: usize = 64;
    match path.rsplit_once('/') {
        Some((folder, name)) if name.len() > DIGEST_CHARS => {
            let (begin, end): (String, String) =
                (name.chars().take(12).collect(), name.chars().skip(DIGEST_CHARS).collect());
            format!("{folder}/{begin}…{end}")
        }
        _ => path.to_owned(),
    }
}

fn keep(bundle: &[u8], stage: &Stage, folder: &Path, format: Format) -> Result<(), Failure> {
    std::fs::create_dir_all(folder).map_err(|error| Failure::file("make", folder, &error))?;
    match format {
        Format::File => write_new(&folder.join(BUNDLE), bundle)?,
        Format::Dir => unpack(bundle, &folder.join(BUNDLE))?,
    }
    write_new(&folder.join(TRUST), &stage.trust().encode())
}

fn next_step(folder: &Path, out: Out) {
    let (bundle, trust) = (folder.join(BUNDLE), folder.join(TRUST));
    out.hint(format_args!(
        "gantral verify {} --trust {} {}",
        bundle.display(),
        trust.display(),
        styled(FAINT, "verifies it again")
    ));
}

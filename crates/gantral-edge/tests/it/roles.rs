//! What this program becomes when it is started by its own tests.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_api::wire::{Ask, AuthorityAnswer, ConsumeAnswer, Document, ReportOutcome};
use gantral_core::ids::{Name, TenantId};
use gantral_core::state::OutcomeStatus;
use gantral_edge::child::{CgroupPlace, Launcher, guard};
use gantral_edge::runner::{Pinned, Runner, RunnerConfig, RunnerSettings};
use gantral_edge::script::{Asked, Script};
use gantral_evidence::trust::Trust;
use gantral_identity::DEV_TENANT;

use crate::place::refund;

/// What it wants, and more than it gets.
pub const ASKED: u64 = 4_800;

/// Words that make this program do one role; two threads, or the harness speaks before the role does.
fn words(role: &str) -> Vec<String> {
    [role, "--exact", "--nocapture", "--test-threads=2", "--"].map(str::to_owned).to_vec()
}

/// Returns what stands after `--`, if this process was started for a role.
fn started_for(role: &str) -> Option<Vec<OsString>> {
    let mut arguments = std::env::args_os().skip(1);
    let named = arguments.next().is_some_and(|first| first == role);
    let rest: Vec<OsString> = arguments.skip_while(|word| word != "--").skip(1).collect();
    (named && !rest.is_empty()).then_some(rest)
}

fn end(code: ExitCode) -> ! {
    std::process::exit(if code == ExitCode::SUCCESS { 0 } else { 125 })
}

/// Starts guardians in this program.
pub fn launcher() -> Launcher {
    let arguments = words("roles::guardian").into_iter().map(OsString::from).collect();
    Launcher { program: std::env::current_exe().unwrap(), arguments }
}

/// The command of an agent that asks, and acts on what was approved by writing into `ledger`.
pub fn agent(ledger: &std::path::Path, manner: &str) -> Vec<String> {
    let mut command = vec![std::env::current_exe().unwrap().display().to_string()];
    command.extend(words("roles::agent_process"));
    command.extend([ledger.display().to_string(), manner.to_owned()]);
    command
}

/// The command of a runner in a process of its own.
pub fn runner(
    url: &str,
    token: &std::path::Path,
    trust: &std::path::Path,
    work: &std::path::Path,
    groups: &CgroupPlace,
) -> Vec<String> {
    let mut command = vec![std::env::current_exe().unwrap().display().to_string()];
    command.extend(words("roles::runner_process"));
    command.push(url.to_owned());
    command.extend([token, trust, work].map(|path| path.display().to_string()));
    command.push(if *groups == CgroupPlace::Own { "own" } else { "nowhere" }.to_owned());
    command
}

#[test]
fn guardian() {
    if let Some(command) = started_for("roles::guardian") {
        end(guard(&command));
    }
}

#[test]
fn agent_process() {
    let Some(words) = started_for("roles::agent_process") else { return };
    let [ledger, manner] = &words[..] else { panic!("{words:?}") };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    std::process::exit(runtime.block_on(play(&PathBuf::from(ledger), manner.to_str().unwrap())));
}

/// Asks and ends, or lingers; after a gate does what was approved, and says so unless it vanishes before.
async fn play(ledger: &std::path::Path, manner: &str) -> i32 {
    let script = Script::from_environment().unwrap();
    if script.grant().is_none() {
        let (step, trigger, cost_estimate, attributes) = (None, None, None, None);
        let (action, consume, executor) = (refund(ASKED), false, None);
        let ask = Ask { action, step, trigger, cost_estimate, attributes, consume, executor };
        let answer = script.ask(&ask).await.unwrap();
        assert!(
            matches!(answer, Asked::Answered(answer) if matches!(*answer, AuthorityAnswer::RequireHuman(_)))
        );
        if manner == "linger" {
            std::future::pending::<()>().await;
        }
        return 3;
    }
    let action = script.approved_action().unwrap();
    let (_, answer) = script.consume(None, None).await.unwrap();
    assert!(matches!(answer, ConsumeAnswer::Allow(_)));
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(ledger).unwrap();
    if manner == "secret" {
        writeln!(file, "grant {}", script.grant().unwrap()).unwrap();
        while !ledger.with_file_name("go").exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let secret = script.secret("pay".parse().unwrap(), None).await.unwrap();
        writeln!(file, "secret {}", String::from_utf8_lossy(&secret.value)).unwrap();
        report(&script).await;
        return 0;
    }
    writeln!(file, "{} {}", std::process::id(), action.parameters.as_str()).unwrap();
    if manner == "vanish" {
        std::future::pending::<()>().await;
    }
    // Whoever consumes again is refused, because the first time may have acted.
    assert!(script.consume(None, None).await.is_err());
    report(&script).await;
    0
}

/// Reports that it is done.
async fn report(script: &Script) {
    let result = Some(Document::from_text(r#"{"done":true}"#).unwrap());
    let (status, cost, evidence) = (OutcomeStatus::Succeeded.into(), None, Vec::new());
    let report = ReportOutcome { status, result, cost, evidence };
    script.outcome(None, &report).await.unwrap();
    // Whoever reports again says the same again.
    script.outcome(None, &report).await.unwrap();
}

#[test]
fn runner_process() {
    let Some(words) = started_for("roles::runner_process") else { return };
    let [url, token, trust, work, groups, containers @ ..] = &words[..] else { panic!("{words:?}") };
    let trust = Trust::parse(&std::fs::read(trust).unwrap()).unwrap();
    let pinned = Pinned { trust, tenant: TenantId::parse(DEV_TENANT).unwrap() };
    let queues = vec![Name::parse("default").unwrap()];
    let mut config = RunnerConfig::new(queues, pinned, PathBuf::from(work), launcher());
    config.cgroups = if groups == "own" { CgroupPlace::Own } else { CgroupPlace::Nowhere };
    if let [image, options] = containers {
        let options: [Vec<String>; 2] = serde_json::from_str(options.to_str().unwrap()).unwrap();
        let settings = serde_json::json!({"executor": {"kind": "container", "engine": "podman", "pull": "never",
            "image": image.to_str().unwrap(), "network": "host",
            "engine_options": options[0], "run_options": options[1]}});
        serde_json::from_value::<RunnerSettings>(settings).unwrap().apply(&mut config).unwrap();
    }
    let token = TokenSource::File(PathBuf::from(token));
    let client = Client::new(ClientConfig::new(url.to_str().unwrap(), token)).unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(Runner::new(client, config).unwrap().run(std::future::pending())).unwrap();
}

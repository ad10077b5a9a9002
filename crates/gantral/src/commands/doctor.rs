//! `gantral doctor`: what is wrong with this machine, the server and the token.
//!
//! Every check runs, whatever the others find; each says what it saw and what to do about it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use gantral_api::client::Client;
use gantral_core::json::text::inert;
use gantral_keys::{Held, KeyFolder};
use gantral_policy::bundle::Bundle;
use gantral_policy::check;
use gantral_server::examine::{Examined, examine};
use gantral_server::settings::Settings;
use gantral_server::store::LEDGER;
use serde::Serialize;

use super::policy::worker;
use crate::cli::Server;
use crate::connection::{DevFolder, Target, run as converse};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::out::{BAD, FAINT, GOOD, LOOK, Out, styled};
use crate::show::me;
use crate::when::now;

/// How long the first evaluation of a fresh worker may take before something is wrong with the machine.
const WORKER_TIME_MAX: Duration = Duration::from_secs(5);
/// Seconds between 1970 and the day on which this was written: a clock before that is wrong.
const BUILT_AFTER_MS: u64 = 1_767_225_600_000;

/// Arguments of `doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Which server, and as whom.
    #[command(flatten)]
    server: Server,
    /// The data folder of a server on this machine, to look at its files
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The configuration of `gantral serve`: everything that it names is looked at, and nothing is changed
    #[arg(long, value_name = "FILE", env = "GANTRAL_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
}

/// How a check went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Mark {
    Good,
    Bad,
    Skipped,
}

/// One check.
#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    mark: Mark,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
}

impl Finding {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, mark: Mark::Good, detail: detail.into(), remedy: None }
    }

    fn skipped(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, mark: Mark::Skipped, detail: detail.into(), remedy: None }
    }

    fn bad(check: &'static str, failure: &Failure) -> Self {
        let remedy = failure.remedy().map(str::to_owned);
        Self { check, mark: Mark::Bad, detail: failure.to_string(), remedy }
    }
}

/// Runs every check.
pub fn run(args: &DoctorArgs, out: Out) -> Result<Exit, Failure> {
    let mut findings = vec![clock(), evaluator()];
    if let Some(config) = &args.config {
        findings.extend(deployment(config)?);
        if args.server.url.is_none() && args.data.is_none() {
            return told(&findings, out);
        }
    }
    let target = args.server.target(out, "bob");
    let data = args.data.clone().or_else(|| {
        let dev: &DevFolder = target.as_ref().ok()?.dev.as_ref()?;
        Some(dev.data())
    });
    match data {
        Some(data) => findings.extend(files(&data)),
        None if args.config.is_some() => {}
        None => findings.push(Finding::skipped("ledger", "no data folder is named: `--data DIR`")),
    }
    match target {
        Ok(target) => findings.extend(server(&target)),
        Err(failure) => findings.push(Finding::bad("server", &failure)),
    }
    told(&findings, out)
}

/// Shows what was found, and says whether anything is wrong.
fn told(findings: &[Finding], out: Out) -> Result<Exit, Failure> {
    let sound = findings.iter().all(|finding| finding.mark != Mark::Bad);
    out.show(&findings, |findings| shown(findings))?;
    Ok(if sound { Exit::DONE } else { Exit::FAILED })
}

/// Looks at everything that a configuration names.
fn deployment(config: &Path) -> Result<Vec<Finding>, Failure> {
    let settings = match Settings::read(config, std::env::vars_os()) {
        Ok(settings) => settings,
        Err(error) => {
            let failure = Failure::new(error.to_string().replace('\n', " "))
                .hint("docs/configuration.md has every member; nothing else was looked at");
            return Ok(vec![Finding::bad("configuration", &failure)]);
        }
    };
    let found = converse(async { Ok(examine(&settings).await) })?;
    let finding = |seen: Examined| match seen.remedy {
        None => Finding::good(seen.check, seen.detail),
        Some(remedy) => Finding::bad(seen.check, &Failure::new(seen.detail).hint(remedy)),
    };
    Ok(found.into_iter().map(finding).collect())
}

fn shown(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let (style, word) = match finding.mark {
            Mark::Good => (GOOD, "good"),
            Mark::Bad => (BAD, "BAD "),
            Mark::Skipped => (LOOK, "skip"),
        };
        text.push_str(&format!("{}  {:<13} {}\n", styled(style, word), finding.check, finding.detail));
        if let Some(remedy) = &finding.remedy {
            text.push_str(&format!("                     {} {remedy}\n", styled(FAINT, "hint:")));
        }
    }
    text
}

fn clock() -> Finding {
    let now = now();
    if now.get() > BUILT_AFTER_MS {
        return Finding::good("clock", now.to_text());
    }
    let failure = Failure::new(format!("the clock says {}", now.to_text()))
        .hint("set the clock: tokens, leases and deadlines depend on it");
    Finding::bad("clock", &failure)
}

/// Starts a worker and evaluates a policy of two lines.
fn evaluator() -> Finding {
    let evaluated = || -> Result<String, Failure> {
        let source = b"package gantral.policy\ndefault decision := \"DENY\"\n".to_vec();
        let bundle =
            Bundle::from_files([("policy.rego", source)]).map_err(|error| Failure::new(error.to_string()))?;
        let started = std::time::Instant::now();
        let evaluation = check::eval(&worker()?, &bundle, b"{}", WORKER_TIME_MAX)
            .map_err(|error| Failure::new(error.to_string()))?;
        let took = started.elapsed().as_millis();
        Ok(format!("a fresh worker answered {} after {took} ms", evaluation.verdict.as_str()))
    };
    match evaluated() {
        Ok(detail) => Finding::good("policy", detail),
        Err(failure) => Finding::bad(
            "policy",
            &failure.hint("workers limit their own memory and time: is `ulimit` or the sandbox tighter?"),
        ),
    }
}

/// Looks at the files of a server: the ledger is there, and keys are their owner's alone.
fn files(data: &Path) -> Vec<Finding> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut findings = Vec::new();
    let ledger = data.join(LEDGER);
    findings.push(match std::fs::metadata(&ledger) {
        Ok(metadata) => Finding::good("ledger", format!("`{}`, {} bytes", ledger.display(), metadata.len())),
        Err(error) => Finding::bad("ledger", &Failure::file("read", &ledger, &error)),
    });
    let held = KeyFolder::look(data).unwrap_or_default().into_iter().filter_map(|entry| match entry.held {
        Some(Held::File(name)) => Some(name),
        Some(Held::OpenBao(_)) | None => None,
    });
    for name in std::iter::once("keys.json".to_owned()).chain(held).chain(["attempts.pem".to_owned()]) {
        let path = data.join(name);
        findings.push(match std::fs::metadata(&path) {
            Ok(metadata) if metadata.permissions().mode() & 0o077 == 0 => {
                Finding::good("keys", format!("`{}` is its owner's alone", path.display()))
            }
            Ok(metadata) => {
                let mode = metadata.permissions().mode() & 0o777;
                let failure = Failure::new(format!("`{}` has mode {mode:04o}", path.display()))
                    .hint("others may have read it: replace the key, with mode 0600");
                Finding::bad("keys", &failure)
            }
            Err(error) => Finding::bad("keys", &Failure::file("read", &path, &error)),
        });
    }
    findings
}

/// Asks the server whether it lives, whether it may act, and whom it sees.
fn server(target: &Target) -> Vec<Finding> {
    let client: Client = match target.client() {
        Ok(client) => client,
        Err(failure) => return vec![Finding::bad("server", &failure)],
    };
    let health = converse(async { Ok(client.health().await?) });
    let mut findings = vec![match &health {
        Ok(health) => Finding::good("server", format!("{} answers, version {}", target.url, health.version)),
        Err(failure) => Finding::bad("server", failure),
    }];
    if health.is_err() {
        return findings;
    }
    findings.push(match converse(async { Ok(client.ready().await?) }) {
        Ok(_) => Finding::good("ready", "the ledger takes writes and a policy worker runs"),
        Err(failure) => Finding::bad("ready", &failure),
    });
    findings.push(match converse(async { Ok(client.me().await?) }) {
        Ok(caller) => Finding::good(
            "token",
            format!("{}: {}", inert(&target.credentials.described()), me::line(&caller)),
        ),
        Err(failure) => Finding::bad("token", &failure),
    });
    findings
}

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use gantral_core::ids::TenantId;
use gantral_core::state::State;
use gantral_engine::state_code;
use gantral_notify::ChannelStatus;
use gantral_store::{OutboxCount, Room, Usage};
use gantral_testkit::golden;

use super::*;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

/// What a server with one of everything looks up.
fn seen(name: &Name) -> Seen<'_> {
    let issuer = "https://id.example.com".to_owned();
    Seen {
        now: at(61_000),
        counts: StoreCounts {
            instances: vec![(state_code(State::Running), 3)],
            open_gates: 2,
            oldest_gate: Some(at(1_000)),
            tasks: 1,
            oldest_task: Some(at(90_000)),
        },
        restarts: 4,
        evaluators: vec![(name, OpaStatus { breaker: BreakerState::Open, opened: 5 })],
        logged: Logged {
            still: 1,
            behind: 7,
            leaves: vec![
                (TenantId::parse("acme").unwrap(), 10, Some(8)),
                (TenantId::parse("other").unwrap(), 6, None),
            ],
        },
        archive: ArchiveStanding {
            behind: 11,
            behind_for: Duration::from_secs(12),
            stopped: 1,
            holds_back: None,
        },
        told: Told {
            channels: vec![ChannelStatus { name: name.clone(), delivered: 1, failed: 2, gone: false }],
            counts: vec![OutboxCount {
                recipient: name.clone(),
                waiting: 3,
                oldest: Some(at(31_000)),
                dead: 1,
            }],
        },
        providers: vec![ProviderStatus { issuer, age: None, failures: 2 }],
        spans_dropped: 12,
        checks: ["history", "ledger", "clock", "policy", "log", "archive"].map(|name| {
            let wrong = (name == "history").then(|| (Code::ReadOnly, "a witness has seen more".to_owned()));
            Check { name, wrong }
        }),
        tenants: vec![TenantUsage {
            tenant: TenantId::parse("acme").unwrap(),
            usage: Usage { open: 5, bytes: 1_000 },
            room: Room { open_max: Some(10), bytes_max: Some(4_000) },
        }],
    }
}

/// The exposition of such a server, after one request and one candidate.
fn exposition() -> String {
    let metrics = Metrics::default();
    metrics.request(&Request {
        method: "POST",
        route: "/v1/instances",
        status: 503,
        code: Some(Code::NotReady),
        taken: Duration::from_millis(3),
    });
    metrics.candidate(CandidateAsk::Evaluated, 9);
    metrics.too_fast(&TenantId::parse("acme").unwrap());
    metrics.content_erased(&TenantId::parse("acme").unwrap(), 2);
    metrics.exposition(&seen(&Name::parse("pager").unwrap())).unwrap()
}

/// Returns what is known of each metric of an exposition: kind, labels, and what it is.
fn described(text: &str) -> BTreeMap<String, (String, BTreeSet<String>, String)> {
    let mut found: BTreeMap<String, (String, BTreeSet<String>, String)> = BTreeMap::new();
    let mut help = "";
    let mut current = String::new();
    for line in text.lines() {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        match words[..] {
            ["#", "HELP", _, text] => help = text,
            ["#", "TYPE", name, kind] => {
                current = if kind == "counter" { format!("{name}_total") } else { name.to_owned() };
                let help = help.trim_end_matches('.').to_owned();
                found.insert(current.clone(), (kind.to_owned(), BTreeSet::new(), help));
            }
            _ => {
                let Some((_, rest)) = line.split_once('{') else { continue };
                let (labels, _) = rest.split_once('}').unwrap();
                let names = labels.split("\",").filter_map(|label| label.split_once('=')).map(|pair| pair.0);
                let labels = &mut found.get_mut(&current).unwrap().1;
                labels.extend(names.filter(|name| *name != "le").map(str::to_owned));
            }
        }
    }
    found
}

#[test]
fn ages_are_those_of_the_oldest_and_none_is_below_zero() {
    let text = exposition();
    for line in [
        "gantral_instances{state=\"RUNNING\"} 3",
        "gantral_gates_oldest_seconds 60.0",
        "gantral_runner_tasks_oldest_seconds 0.0",
        "gantral_notifications_oldest_seconds{channel=\"pager\"} 30.0",
        "gantral_log_leaves{tenant=\"other\"} 6",
        "gantral_log_witnessed_leaves{tenant=\"acme\"} 8",
        "gantral_log_behind_artifacts 7",
        "gantral_tenant_open_instances{tenant=\"acme\"} 5",
        "gantral_tenant_stored_bytes_max{tenant=\"acme\"} 4000",
        "gantral_tenant_rate_exceeded_total{tenant=\"acme\"} 1",
        "gantral_tenant_content_erased_total{tenant=\"acme\"} 2",
        "gantral_not_ready{check=\"history\"} 1",
        "gantral_not_ready{check=\"ledger\"} 0",
        "gantral_issuer_keys_age_seconds{issuer=\"https://id.example.com\"} -1.0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(!text.contains("gantral_log_witnessed_leaves{tenant=\"other\"}"), "{text}");
}

#[test]
fn metrics_are_what_the_documentation_says() {
    let mut page = "# Metrics\n\nWhat `GET /metrics` of a server tells Prometheus; written by a test. What is said of the ledger \
         is the same on every server, what is counted is each server's own since its start.\n\nAlert rules over them, with tests, are in \
         [`deploy/prometheus`](../deploy/prometheus/alerts.yml), and a dashboard for Grafana in [`deploy/grafana`](../deploy/grafana/gantral.json).\n\n\
         | metric | kind | labels | meaning |\n|---|---|---|---|\n"
        .to_owned();
    for (name, (kind, labels, help)) in described(&exposition()) {
        assert!(!help.is_empty(), "{name}");
        let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
        page.push_str(&format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", ")));
    }
    golden(&repository().join("docs/metrics.md"), &page);
}

#[test]
fn alerts_and_dashboard_ask_for_metrics_that_there_are() {
    let known = described(&exposition());
    for file in ["deploy/prometheus/alerts.yml", "deploy/grafana/gantral.json"] {
        let text = std::fs::read_to_string(repository().join(file)).unwrap();
        let word = |rest: &str| {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            rest[..end].to_owned()
        };
        let asked: BTreeSet<String> =
            text.match_indices("gantral_").map(|(at, _)| word(&text[at..])).collect();
        assert!(asked.len() > 10, "{file}: {asked:?}");
        for name in asked {
            let series = name.trim_end_matches("_bucket");
            assert!(
                known.contains_key(series),
                "{file} asks for {name}, which is not among {:?}",
                known.keys()
            );
        }
    }
}

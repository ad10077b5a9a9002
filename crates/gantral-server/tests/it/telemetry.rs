//! Traces, as a collector that decodes them by the official types gets them.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use gantral_api::wire::{AuthorityAnswer, ShowInstance, text};
use gantral_server::telemetry::TelemetrySettings;
use gantral_testkit::{AGENT, part};
use serde_json::{Value, json};

use crate::place::{Place, decision, refund, to};

/// What a caller sends, and says with it that it records.
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// The same, of a caller that does not record.
const SILENT: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
/// How long spans may take to arrive.
const LONG: Duration = Duration::from_secs(20);

/// A collector, and every line that it has written: one for each batch.
struct Collector {
    process: Child,
    lines: mpsc::Receiver<String>,
    endpoint: String,
}

impl Collector {
    fn start() -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut process = Command::new(part("otlp/bin/python"))
            .args(["-u", "-m", "oteltap", "--port", &port.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let began = Instant::now();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(began.elapsed() < LONG, "the collector does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { process, lines, endpoint: format!("http://127.0.0.1:{port}") }
    }

    /// Waits until a span of this name has come, and returns all that have come since this was called last, and all that was written.
    async fn spans_until(&self, name: &str) -> (Vec<Value>, String) {
        let (mut spans, mut text, began) = (Vec::new(), String::new(), Instant::now());
        while !spans.iter().any(|span: &Value| span["name"] == name) {
            assert!(began.elapsed() < LONG, "no `{name}` among {spans:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
            while let Ok(line) = self.lines.try_recv() {
                let Ok(batch) = serde_json::from_str::<Value>(&line) else { continue };
                collect(&batch, &mut spans);
                text.push_str(&line);
            }
        }
        (spans, text)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Finds the spans in whatever the collector writes around them.
fn collect(value: &Value, spans: &mut Vec<Value>) {
    match value {
        Value::Object(members) if members.contains_key("spanId") => spans.push(value.clone()),
        Value::Object(members) => members.values().for_each(|value| collect(value, spans)),
        Value::Array(items) => items.iter().for_each(|value| collect(value, spans)),
        _ => {}
    }
}

/// Returns the digits of the trace that an instance has.
fn digits(instance: &text::InstanceId) -> String {
    instance.to_string().replace('-', "")
}

/// Returns an id as hexadecimal digits.
fn id(span: &Value, member: &str) -> String {
    span[member].as_str().unwrap_or_default().to_owned()
}

fn attribute(span: &Value, key: &str) -> Option<String> {
    let found = span["attributes"].as_array()?.iter().find(|attribute| attribute["key"] == key)?;
    Some(text(found["value"].as_object()?.values().next()?))
}

/// Returns a value as text: numbers of 64 bits are texts in JSON, or numbers.
fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The section that has everything traced and sent to a collector.
fn sent_to(endpoint: &str) -> TelemetrySettings {
    TelemetrySettings { otlp_endpoint: Some(endpoint.to_owned()), ..TelemetrySettings::default() }
}

#[tokio::test]
async fn request_is_a_span_of_its_callers_trace_and_says_nothing_of_what_it_held() {
    let collector = Collector::start();
    let mut place = Place::start().await;
    place.apply_refunds().await;
    let created = place.create("refund").await.instance_id;
    let (_, attached) = place.begin(created).await;
    place.trace(sent_to(&collector.endpoint)).await;

    let path = format!("/v1/instances/{created}/authority");
    let action = json!({"name": "refund", "target": "canary-target",
        "parameters": {"amount_minor": 48_777, "currency": "EUR"}});
    let ask = json!({"action": action, "attributes": {"note": "canary-note"}}).to_string();
    let token = attached.token.as_str();
    let asked = place.write("POST", &path, token, &ask).header("traceparent", PARENT).send().await.unwrap();
    assert_eq!(asked.status(), 202);
    let answer: Value = asked.json().await.unwrap();
    // What nobody records is not recorded here, and what watches is nothing of interest.
    let agent = place.client_token(AGENT);
    for path in ["/v1/me", "/metrics"] {
        place.request("GET", path, Some(&agent)).header("traceparent", SILENT).send().await.unwrap();
    }
    let gates = place.human("fiona").gates(&to(json!({}))).await.unwrap();
    let said = decision("APPROVE", gates.items[0].version);
    place.human("fiona").decide(gates.items[0].gate_id, &said).await.unwrap();
    place.request("GET", "/v1/canary-path?canary-query=1", Some(&agent)).send().await.unwrap();

    let (spans, written) = collector.spans_until("GET (none)").await;
    let of = |name: &str| {
        spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("{name}: {spans:?}"))
    };
    let asked = of("POST /v1/instances/{id}/authority");
    assert_eq!(
        (id(asked, "traceId"), id(asked, "parentSpanId")),
        (PARENT[3..35].to_owned(), PARENT[36..52].to_owned())
    );
    assert_eq!(asked["kind"], 2, "that of a server");
    assert_eq!(attribute(asked, "gantral.instance_id"), Some(created.to_string()));
    assert_eq!(attribute(asked, "http.response.status_code").as_deref(), Some("202"));
    assert_eq!(asked["links"][0]["traceId"], digits(&created), "the trace of the instance is linked");
    // From the trace to the artifact: the hash of the last one that it sealed.
    let sealed = answer["artifacts"].as_array().unwrap().last().unwrap();
    assert_eq!(attribute(asked, "gantral.artifact.hash").as_deref(), sealed["hash"].as_str());
    for name in ["evaluate policy", "sign"] {
        let inside = of(name);
        assert_eq!(
            (id(inside, "traceId"), id(inside, "parentSpanId")),
            (id(asked, "traceId"), id(asked, "spanId"))
        );
        let began = |span: &Value| text(&span["startTimeUnixNano"]).parse::<u64>().unwrap();
        assert!(began(inside) >= began(asked), "{inside} {asked}");
    }
    assert_eq!(attribute(of("evaluate policy"), "gantral.verdict").as_deref(), Some("REQUIRE_HUMAN"));
    assert_ne!(id(of("GET (none)"), "traceId"), id(asked, "traceId"), "it began a trace of its own");
    assert!(
        !spans.iter().any(|span| span["name"] == "GET /v1/me" || span["name"] == "GET /metrics"),
        "{spans:?}"
    );
    for hidden in
        ["canary", "48777", "EUR", "looked at the order", "fiona", "Fiona", AGENT, token, agent.as_str()]
    {
        assert!(!written.contains(hidden), "telemetry holds `{hidden}`");
    }
}

#[tokio::test]
async fn one_gate_is_one_trace_with_the_digits_of_its_instance_whatever_server_goes_on() {
    let collector = Collector::start();
    let mut place = Place::start().await;
    place.trace(sent_to(&collector.endpoint)).await;
    place.apply_refunds().await;
    let instance = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(instance).await;
    assert!(matches!(
        attempt.ask(instance, &refund(48_000)).await.unwrap(),
        AuthorityAnswer::RequireHuman(_)
    ));
    place.restart().await;
    let gates = place.human("fiona").gates(&to(json!({}))).await.unwrap();
    let said = decision("APPROVE", gates.items[0].version);
    place.human("fiona").decide(gates.items[0].gate_id, &said).await.unwrap();
    place.human("bob").instance(instance, &ShowInstance::default()).await.unwrap();
    let (attempt, attached) = place.begin(instance).await;
    let grant = attached.grant.unwrap();
    let consume = to(json!({ "action": grant.action }));
    attempt.consume(instance, grant.grant_id, &consume).await.unwrap();
    attempt.report_outcome(instance, grant.grant_id, &to(json!({"status": "SUCCEEDED"}))).await.unwrap();
    attempt.complete(instance).await.unwrap();

    let (spans, _) = collector.spans_until("POST /v1/instances/{id}/complete").await;
    let trace = digits(&instance);
    let inside: Vec<&Value> = spans.iter().filter(|span| id(span, "traceId") == trace).collect();
    let begun = inside.iter().find(|span| span["name"] == "instance").expect("the trace has a first span");
    assert_eq!((id(begun, "spanId"), id(begun, "parentSpanId")), (trace[16..].to_owned(), String::new()));
    for name in [
        "POST /v1/instances/{id}/attempts",
        "POST /v1/instances/{id}/authority",
        "decide",
        "POST /v1/instances/{id}/grants/{grant_id}/consume",
        "POST /v1/instances/{id}/grants/{grant_id}/outcome",
        "POST /v1/instances/{id}/complete",
    ] {
        let found = inside.iter().find(|span| span["name"] == name);
        let span = found.unwrap_or_else(|| panic!("no `{name}` in the trace: {spans:?}"));
        assert_eq!(id(span, "parentSpanId"), trace[16..], "{name}");
    }
    let decided = inside.iter().find(|span| span["name"] == "decide").unwrap();
    let signed = |span: &&&Value| span["name"] == "sign" && span["parentSpanId"] == decided["spanId"];
    assert!(inside.iter().any(|span| signed(&span)), "the signature of the decision is within it");
    let read = spans.iter().find(|span| span["name"] == "GET /v1/instances/{id}").unwrap();
    assert_ne!(id(read, "traceId"), trace, "what is only read is no part of it");
}

#[tokio::test]
async fn requests_that_a_stopped_server_still_answers_are_carried() {
    let collector = Collector::start();
    let mut place = Place::start().await;
    place.trace(sent_to(&collector.endpoint)).await;
    place.apply_refunds().await;
    let instance = place.create("refund").await;
    let path = format!("/v1/instances/{}?after={}&wait=1s", instance.instance_id, instance.head.sequence);
    let polled = place.request("GET", &path, Some(&place.client_token(AGENT))).send();
    let polling = tokio::spawn(polled);
    tokio::time::sleep(Duration::from_millis(300)).await;
    place.stop().await;
    assert!(polling.await.unwrap().unwrap().status().is_success());
    collector.spans_until("GET /v1/instances/{id}").await;
}

#[tokio::test]
async fn a_collector_that_is_away_costs_no_request_anything_but_its_spans() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut place = Place::start().await;
    place.trace(sent_to(&format!("http://127.0.0.1:{port}"))).await;
    let agent = place.client_token(AGENT);
    for _ in 0..20 {
        assert_eq!(place.request("GET", "/v1/me", Some(&agent)).send().await.unwrap().status(), 200);
    }
    let began = Instant::now();
    loop {
        let metrics = place.request("GET", "/metrics", None).send().await.unwrap().text().await.unwrap();
        if metrics.lines().any(|line| line == "gantral_telemetry_spans_dropped 20.0") {
            return;
        }
        assert!(began.elapsed() < LONG, "{metrics}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[test]
fn section_that_cannot_be_is_refused_with_its_member() {
    for (section, said) in [
        ("otlp_endpoint = 'collector'", "not one such as"),
        ("otlp_endpoint = 'http://collector.example'", "plain http is for loopback"),
        ("otlp_endpoint = 'http://127.0.0.1:4318'\nsample_percent = 101", "101"),
        ("sample_percent = 5", "otlp_endpoint"),
    ] {
        let settings: TelemetrySettings = toml::from_str(section).unwrap();
        let refused = settings.open().map(drop).unwrap_err().to_string();
        assert!(refused.contains(said) && refused.contains("`telemetry`"), "{section}: {refused}");
    }
}

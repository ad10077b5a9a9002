//! What the log says of requests, and what it never says.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::EnvFilter;

use crate::place::{Place, refused, to};

/// What this test program logs, whichever test it comes from.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn the_log_has_a_line_for_each_request_and_nothing_of_what_it_held() {
    let log = Log::default();
    let writer = log.clone();
    let builder = tracing_subscriber::fmt().with_env_filter(EnvFilter::new("gantral=trace"));
    builder.with_ansi(false).with_writer(move || writer.clone()).init();

    let place = Place::start().await;
    place.apply_refunds().await;
    let id = place.create("refund").await.instance_id;
    let (attempt, attached) = place.begin(id).await;
    let action = json!({"name": "refund", "target": "canary-target", "parameters": {"amount_minor": 48_000}});
    attempt.ask(id, &to(json!({"action": action}))).await.unwrap();
    let token = place.human_token("alice");
    let lost = refused(place.request("GET", "/canary-path?canary-query=1", Some(&token))).await;
    refused(place.request("GET", "/v1/me", Some("canary-token"))).await;

    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let number = lost.member("request_id").unwrap().as_str().unwrap();
    let line = text.lines().find(|line| line.contains(number)).unwrap();
    for part in ["method=\"GET\"", "route=\"(none)\"", "status=404", "duration_ms=", "code=\"not_found\""] {
        assert!(line.contains(part), "{line}");
    }
    assert!(text.contains("route=\"/v1/instances/{id}/authority\" status=202"), "{text}");
    for hidden in ["canary", token.as_str(), attached.token.as_str(), "48000", "Alice", "alice"] {
        assert!(!text.contains(hidden), "the log holds `{hidden}`");
    }
}

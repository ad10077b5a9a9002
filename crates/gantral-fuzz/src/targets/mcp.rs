//! What clients send to the interceptor, and what servers stream to it.

use gantral_mcp::message::{Kind, Message};
use gantral_mcp::seal::Keyring;
use gantral_mcp::sse::Events;
use gantral_mcp::state::{STATE_BYTES_MAX, State};
use serde_json::Value;

use crate::target::{Answer, Seen, Target, ensure, refused, twice};

pub const MESSAGE: Target = Target {
    name: "mcp_message",
    bytes_max: 8 << 10,
    tokens: &[
        "\"method\":",
        "\"Method\":",
        "\"\\u006dethod\":",
        "tools/call",
        "tools\\/call",
        "\"id\":",
        "\"params\":{",
        "\"result\":{}",
        "\"jsonrpc\":\"2.0\"",
        "\r",
        "\n",
        "[",
        "]",
        "1e0",
        "-0",
        "\u{2028}",
    ],
    seeds: |_| {
        let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":1.5},"_meta":{"progressToken":1}}}"#;
        let batch =
            r#"[{"jsonrpc":"2.0","id":"a","method":"ping"},{"jsonrpc":"2.0","method":"notifications/x"}]"#;
        let answer = r#"{"jsonrpc":"2.0","id":7,"result":{"roots":[]}}"#;
        [call, batch, answer].map(|text| text.as_bytes().to_vec()).to_vec()
    },
    check: check_message,
};
pub const EVENTS: Target = Target {
    name: "mcp_events",
    bytes_max: 8 << 10,
    tokens: &[
        "data:",
        "data: {}",
        "event: message",
        "id: 1",
        "retry: 5",
        ": ping",
        "\n\n",
        "\r\n\r\n",
        "\r\r",
        "\n",
    ],
    seeds: |_| vec![b": ping\n\nevent: message\nid: 1\ndata: {\"a\":\ndata: 1}\n\ndata: {}\r\n\r\n".to_vec()],
    check: check_events,
};

pub const STATE: Target = Target {
    name: "mcp_state",
    bytes_max: STATE_BYTES_MAX + 16,
    tokens: &[
        "\"gantral1.",
        "\"gantral1.AAAA\"",
        "\"id\":",
        "\"gate\":",
        "\"call\":",
        "\"whose\":",
        "\"good_until_ms\":",
        "\"round\":",
        "18446744073709551615",
        "-1",
        "=",
        "_",
    ],
    seeds: |_| {
        let sealed = format!("\"gantral1.{}\"", "A".repeat(400));
        let plain =
            r#"{"id":"00","gate":"g","call":"c","whose":"w","good_until_ms":1800000000000,"round":1}"#;
        [sealed.as_str(), plain].map(|text| text.as_bytes().to_vec()).to_vec()
    },
    check: check_state,
};

/// Whatever a client brings, nothing opens that no key sealed; and what was sealed is read as it was.
fn check_state(bytes: &[u8]) -> Answer {
    if let Ok(text) = core::str::from_utf8(bytes) {
        // There is no file of this name, and no key.
        let keys = Keyring::new("/dev/null/keys".into(), None);
        let opened = State::opened(text, &keys, "c", "w", 0).map_err(|bad| bad.code());
        ensure(opened.is_err(), "what no key sealed does not open")?;
    }
    match twice(|| State::read(bytes))? {
        Some(state) => {
            let again = serde_json::to_vec(&state).ok().and_then(|plain| State::read(&plain));
            ensure(again.as_ref() == Some(&state), "a state is read as it was written")?;
            Ok(Seen::Accepted)
        }
        None => Ok(refused(&"no state")),
    }
}

fn check_message(bytes: &[u8]) -> Answer {
    let read = twice(|| {
        Message::from_client(bytes.to_vec()).map(|message| message.kind().clone()).map_err(|(error, _)| error)
    })?;
    let kind = match read {
        Ok(kind) => kind,
        Err(error) => return Ok(refused(&error)),
    };
    let line = Message::from_client(bytes.to_vec()).map(Message::into_line).unwrap_or_default();
    let ends = line.iter().filter(|byte| matches!(byte, b'\r' | b'\n')).count();
    ensure(ends == 1 && line.ends_with(b"\n"), "a message is one line for every reader of lines")?;
    let again = Message::from_client(line).map(|message| message.kind().clone());
    ensure(again.is_ok_and(|again| again == kind), "a line is the same message")?;
    // Another reader, which takes the last of two members and knows no limit of ours, finds the same method.
    let other = serde_json::from_slice::<Value>(bytes).ok();
    let others = other.as_ref().and_then(|value| value.get("method")).and_then(Value::as_str);
    match &kind {
        Kind::Request { method, .. } | Kind::Notification { method } => {
            // A reader with a limit of depth finds nothing at all.
            ensure(other.is_none() || others == Some(method), "every reader finds the same method")?;
        }
        Kind::Response { .. } => ensure(others.is_none(), "an answer has no method")?,
        Kind::Batch => {
            let elements = Message::from_client(bytes.to_vec()).map(|message| message.elements());
            let elements = elements.unwrap_or_default();
            let found: Vec<Option<&str>> = elements
                .iter()
                .map(|element| match element.kind() {
                    Kind::Request { method, .. } | Kind::Notification { method } => Some(method.as_str()),
                    Kind::Response { .. } | Kind::Batch | Kind::Foreign => None,
                })
                .collect();
            ensure(!elements.iter().any(|element| *element.kind() == Kind::Batch), "no batch is in a batch")?;
            let all = other.as_ref().and_then(Value::as_array);
            let others = all.map(|all| {
                all.iter().map(|value| value.get("method").and_then(Value::as_str)).collect::<Vec<_>>()
            });
            ensure(
                others.is_none_or(|others| others == found),
                "every reader finds the same methods in a batch",
            )?;
        }
        Kind::Foreign => ensure(false, "what a client sends is understood or refused")?,
    }
    Ok(Seen::Accepted)
}

fn check_events(bytes: &[u8]) -> Answer {
    let read = |cut: usize| {
        let mut events = Events::default();
        let fed = bytes.chunks(cut.max(1)).try_for_each(|chunk| events.add(chunk));
        let found: Vec<_> = std::iter::from_fn(|| events.pop()).collect();
        fed.map(|()| found).map_err(|error| error.to_string())
    };
    let whole = twice(|| read(bytes.len()))?;
    match whole {
        Ok(events) => {
            let texts: Vec<_> = events.iter().map(|event| event.data.clone()).collect();
            let cut = read(1).map(|events| events.iter().map(|event| event.data.clone()).collect::<Vec<_>>());
            ensure(cut.as_ref() == Ok(&texts), "events are the same however the stream is cut")?;
            Ok(Seen::Accepted)
        }
        Err(why) => Ok(refused(&why)),
    }
}

//! What agents say to hooks and to runners, and commands that came back from a human.

use gantral_api::wire::Action;
use gantral_edge::command::Resolved;
use gantral_edge::hook::{self, MESSAGE_BYTES_MAX};
use gantral_edge::secret::{REQUEST_BYTES_MAX, Request};

use crate::target::{Answer, Seen, Target, ensure, refused, twice};

pub const HOOK: Target = Target {
    name: "hook",
    bytes_max: 4 << 10,
    tokens: &[
        "\"hook_event_name\":\"PreToolUse\"",
        "\"hook_event_name\":\"PostToolUseFailure\"",
        "\"hook_event_name\":\"beforeShellExecution\"",
        "\"hook_event_name\":\"afterMCPExecution\"",
        "\"tool_name\":\"Bash\"",
        "\"tool_input\":{}",
        "\"tool_use_id\":\"t\"",
        "\"conversation_id\":\"c\"",
    ],
    seeds: |_| {
        let before = r#"{"session_id":"s","cwd":"/","hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"ls"},"tool_use_id":"t"}"#;
        let cursor = r#"{"conversation_id":"c d","hook_event_name":"afterMCPExecution","tool_name":"q","tool_input":"{\"a\":1}","result_json":"{}"}"#;
        [before, cursor].map(|text| text.as_bytes().to_vec()).to_vec()
    },
    check: check_hook,
};

pub const COMMAND: Target = Target {
    name: "command",
    bytes_max: 4 << 10,
    tokens: &[
        "\"arguments\":[\"-c\"]",
        "\"environment\":[]",
        "\"inputs\":[{\"path\":\"/p\",\"sha256\":\"\"}]",
    ],
    seeds: |_| {
        let digest = "0".repeat(64);
        let parameters = format!(
            r#"{{"arguments":["-c","a"],"directory":"/","environment":["A"],"executable":"/bin/sh","executable_sha256":"{digest}","inputs":[{{"path":"/p","sha256":"{digest}"}}]}}"#
        );
        vec![format!(r#"{{"name":"command.run","target":"sh","parameters":{parameters}}}"#).into_bytes()]
    },
    check: check_command,
};

pub const SECRET_REQUEST: Target = Target {
    name: "secret_request",
    bytes_max: 2 << 10,
    tokens: &["\"ask\":\"secret\"", "\"ask\":\"records\"", "\"name\":\"n\"", "\"grant\":\"\""],
    seeds: |_| {
        let grant = "903cb2e7-1f0c-4b5e-9d3a-0123456789ab";
        let secret = format!(r#"{{"ask":"secret","name":"pay-key","grant":"{grant}"}}"#);
        vec![secret.into_bytes(), format!(r#"{{"ask":"records","grant":"{grant}"}}"#).into_bytes()]
    },
    check: check_secret_request,
};

fn check_secret_request(bytes: &[u8]) -> Answer {
    let request = match twice(|| Request::parse(bytes))? {
        Ok(request) => request,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(bytes.len() <= REQUEST_BYTES_MAX, "nothing larger is read")?;
    let again = serde_json::to_vec(&request)
        .map_err(|error| error.to_string())
        .and_then(|bytes| Request::parse(&bytes));
    ensure(again.is_ok_and(|again| again == request), "a request is what it is written as")?;
    Ok(Seen::Accepted)
}

fn check_hook(bytes: &[u8]) -> Answer {
    let said = match twice(|| hook::read(bytes))? {
        Ok(said) => said,
        Err(error) => return Ok(refused(&error)),
    };
    ensure(bytes.len() <= MESSAGE_BYTES_MAX, "nothing larger is read")?;
    ensure(said.action.name.as_str() == hook::ACTION, "it is the action that workflows declare")?;
    ensure(said.action.to_value().is_ok(), "the action can be asked for")?;
    Ok(Seen::Accepted)
}

fn check_command(bytes: &[u8]) -> Answer {
    let action: Action = match serde_json::from_slice(bytes) {
        Ok(action) => action,
        Err(error) => return Ok(refused(&error)),
    };
    let resolved = match twice(|| Resolved::of(&action))? {
        Ok(resolved) => resolved,
        Err(error) => return Ok(refused(&error)),
    };
    let again = resolved.action().and_then(|action| Resolved::of(&action));
    ensure(again.is_ok_and(|again| again == resolved), "a command is the action that it came from")?;
    Ok(Seen::Accepted)
}

use super::*;

const BEFORE: &str = r#"{"session_id":"abc-1","transcript_path":"/t","cwd":"/project","hook_event_name":"PreToolUse",
 "tool_name":"Bash","tool_input":{"command":"rm -r build","description":"tidy"},"tool_use_id":"toolu_1"}"#;
const AFTER: &str = r#"{"session_id":"abc-1","cwd":"/project","hook_event_name":"PostToolUse","tool_name":"Bash",
 "tool_input":{"command":"rm -r build","description":"tidy"},"tool_use_id":"toolu_1","tool_response":{"stdout":""}}"#;
const CURSOR: &str = r#"{"conversation_id":"c 1","generation_id":"g","hook_event_name":"beforeShellExecution","command":"rm -r build","cwd":"/project"}"#;
const CURSOR_MCP: &str = r#"{"conversation_id":"c 1","hook_event_name":"beforeMCPExecution","tool_name":"query","tool_input":"{\"sql\":\"select 1\"}"}"#;

fn said(text: &str) -> Said {
    read(text.as_bytes()).unwrap()
}

#[test]
fn what_an_agent_is_about_to_do_is_an_action() {
    let before = said(BEFORE);
    assert_eq!((before.dialect, before.moment), (Dialect::ToolUse, Moment::Before));
    assert_eq!(before.session.as_ref().unwrap().as_str(), "abc-1");
    assert_eq!((before.action.name.as_str(), before.action.target.as_str()), (ACTION, "Bash"));
    assert_eq!(
        before.action.parameters.as_str(),
        r#"{"directory":"/project","input":{"command":"rm -r build","description":"tidy"},"tool":"Bash"}"#
    );
    let after = said(AFTER);
    assert_eq!((after.moment, after.key), (Moment::After { well: true }, before.key));
    assert!(after.answered.is_some() && before.answered.is_none());
    let failed = said(&AFTER.replace("PostToolUse", "PostToolUseFailure"));
    assert_eq!(failed.moment, Moment::After { well: false });
    let other = said(&BEFORE.replace("toolu_1", "toolu_2"));
    assert_ne!(other.key, before.key, "the same tool used twice is two uses");
}

#[test]
fn the_other_dialect_says_the_same() {
    let shell = said(CURSOR);
    assert_eq!((shell.dialect, shell.moment), (Dialect::Cursor, Moment::Before));
    assert_eq!(shell.session.as_ref().unwrap().as_str().len(), 64, "what is no name is digested");
    assert_eq!(
        shell.action.parameters.as_str(),
        r#"{"directory":"/project","input":{"command":"rm -r build"},"tool":"Shell"}"#
    );
    let after = CURSOR.replace("before", "after").replace("\"cwd\"", "\"output\":\"x\",\"cwd\"");
    assert_eq!(said(&after).key, shell.key);
    let mcp = said(CURSOR_MCP);
    assert_eq!(
        mcp.action.parameters.as_str(),
        r#"{"directory":"","input":{"sql":"select 1"},"tool":"query"}"#
    );
}

#[test]
fn what_is_not_understood_is_an_error() {
    for (text, expected) in [
        ("", None),
        ("{}", Some(NotUnderstood::Member { member: "hook_event_name" })),
        (r#"{"hook_event_name":"Stop"}"#, Some(NotUnderstood::Event { event: "Stop".to_owned() })),
        (r#"{"hook_event_name":"PreToolUse"}"#, Some(NotUnderstood::Member { member: "tool_name" })),
        (
            r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":[]}"#,
            Some(NotUnderstood::Member { member: "tool_input" }),
        ),
        (r#"{"hook_event_name":"PreToolUse","hook_event_name":"Stop"}"#, None),
    ] {
        let error = read(text.as_bytes()).unwrap_err();
        match expected {
            Some(expected) => assert_eq!(error, expected, "{text}"),
            None => assert!(matches!(error, NotUnderstood::Json(_)), "{text}: {error}"),
        }
    }
}

#[test]
fn an_agent_is_answered_in_its_dialect() {
    let text = |dialect, told: &Told| {
        answer(dialect, told).map(|value| String::from_utf8(value.to_canonical()).unwrap())
    };
    assert_eq!(text(Dialect::ToolUse, &Told::May), None, "its own rules go on");
    let changed = Told::MayAs(Value::Object(Object::new().with("command", "ls")));
    let expected = r#"{"hookSpecificOutput":{"hookEventName":"PreToolUse","permissionDecision":"allow","permissionDecisionReason":"approved with changes","updatedInput":{"command":"ls"}}}"#;
    assert_eq!(text(Dialect::ToolUse, &changed).unwrap(), expected);
    for (told, word) in [
        (Told::Waits("w".to_owned()), "deny"),
        (Told::No("w".to_owned()), "deny"),
        (Told::Later("w".to_owned()), "defer"),
    ] {
        let said = text(Dialect::ToolUse, &told).unwrap();
        assert!(said.contains(&format!("\"permissionDecision\":\"{word}\"")), "{said}");
        assert!(text(Dialect::Cursor, &told).unwrap().contains(r#""permission":"deny""#));
    }
    assert_eq!(text(Dialect::Cursor, &Told::May).unwrap(), r#"{"permission":"allow"}"#);
    assert!(
        text(Dialect::Cursor, &changed).unwrap().contains(r#""permission":"deny""#),
        "it would do something else"
    );
}

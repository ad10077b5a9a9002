use super::*;

fn page(tools: &str) -> Message {
    Message::from_server(format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{"tools":{tools} }}}}"#).into_bytes())
}

fn tool(schema: &str) -> Tool {
    tools_of(page(&format!(r#"[{{"name":"t","inputSchema":{schema}}}]"#)).text()).remove(0).1
}

fn object(text: &str) -> Object {
    json::parse(text.as_bytes(), &Profile::DOCUMENT).unwrap().as_object().unwrap().clone()
}

#[test]
fn defaults_are_filled_in_also_below_and_behind_references() {
    let tool = tool(
        r##"{"type":"object","properties":{"a":{"default":5},"b":{"type":"string"},"c":{"$ref":"#/$defs/C"},
            "d":{"default":{},"properties":{"e":{"default":null}}}},
            "$defs":{"C":{"properties":{"x":{"default":[1]},"c":{"$ref":"#/$defs/C","default":{}}}}}}"##,
    );
    assert_eq!(tool.filled(object(r#"{"b":"x"}"#)), object(r#"{"a":5,"b":"x","d":{"e":null}}"#));
    // A schema that refers to itself ends somewhere.
    let filled = Value::Object(tool.filled(object(r#"{"a":1,"c":{"x":2},"d":{}}"#)));
    assert_eq!(filled.get("a").and_then(Value::as_i64), Some(1));
    assert_eq!(filled.get("c").and_then(|c| c.get("x")).and_then(Value::as_i64), Some(2));
    assert!(filled.get("c").and_then(|c| c.get("c")).is_some());
}

#[test]
fn digest_is_that_of_the_schema_however_it_is_written() {
    let one = tool(r#"{"type":"object","properties":{"a":{"type":"integer"}}}"#);
    let spaced = tool(r#"{ "properties" : {"a":{"type":"integer"}}, "type":"object" }"#);
    let other = tool(r#"{"type":"object","properties":{"a":{"type":"number"}}}"#);
    assert_eq!(one.digest, spaced.digest);
    assert_ne!(one.digest, other.digest);
}

#[test]
fn tools_of_ours_stand_at_the_end_of_the_last_page_and_nothing_else_changes() {
    let added = with_elements(page(r#"[ {"name":"t"} ]"#), "tools", &[r#"{"name":"w"}"#.to_owned()]);
    assert_eq!(added.text(), r#"{"jsonrpc":"2.0","id":1,"result":{"tools":[ {"name":"t"} ,{"name":"w"}] }}"#);
    assert_eq!(
        with_elements(page("[]"), "tools", &["{}".to_owned(), "{}".to_owned()]).text(),
        page("[{},{}]").text()
    );
    let not_last = r#"{"id":1,"result":{"tools":[],"nextCursor":"x"}}"#;
    assert_eq!(
        with_elements(Message::from_server(not_last.as_bytes().to_vec()), "tools", &["{}".to_owned()]).text(),
        not_last
    );
    let error = r#"{"id":1,"error":{"code":-32601,"message":"no"}}"#;
    assert_eq!(
        with_elements(Message::from_server(error.as_bytes().to_vec()), "tools", &["{}".to_owned()]).text(),
        error
    );
}

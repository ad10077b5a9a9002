use super::*;

fn client(text: &str) -> Result<Kind, NotAMessage> {
    Message::from_client(text.as_bytes().to_vec()).map(|message| message.kind).map_err(|(error, _)| error)
}

#[test]
fn requests_notifications_and_answers_are_told_apart() {
    let request = client(r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#).unwrap();
    assert_eq!(request, Kind::Request { id: Id::Number(7), method: "ping".to_owned() });
    let request = client(r#"{"id":"a","method":"tools\/call"}"#).unwrap();
    assert_eq!(request, Kind::Request { id: Id::Text("a".to_owned()), method: "tools/call".to_owned() });
    let notification = client(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#).unwrap();
    assert_eq!(notification, Kind::Notification { method: "notifications/initialized".to_owned() });
    let answer = client(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).unwrap();
    assert_eq!(answer, Kind::Response { id: Some(Id::Number(1)) });
}

#[test]
fn what_two_readers_could_understand_differently_is_refused() {
    let twice = r#"{"id":1,"method":"ping","method":"tools/call"}"#;
    // Readers that ignore case take the second for the method.
    let folded = r#"{"id":1,"method":"ping","Method":"tools/call"}"#;
    let escaped = r#"{"id":1,"method":"ping","\u006dethod":"tools/call"}"#;
    for text in [twice, folded, escaped] {
        assert_eq!(client(text), Err(NotAMessage::Ambiguous), "{text}");
    }
    for text in
        [r#"{"id":1.0,"method":"ping"}"#, r#"{"id":1e0,"method":"ping"}"#, r#"{"id":null,"method":"ping"}"#]
    {
        assert_eq!(client(text), Err(NotAMessage::BadId), "{text}");
    }
    for text in ["", "7", "{", "{}{}", "\u{feff}{}"] {
        assert_eq!(client(text), Err(NotAMessage::NotJson), "{text}");
    }
    for text in ["{}", r#"{"id":1}"#, r#"{"id":1,"method":"ping","result":{}}"#, r#"{"id":1,"method":7}"#] {
        assert_eq!(client(text), Err(NotAMessage::Shapeless), "{text}");
    }
}

#[test]
fn batch_is_understood_message_by_message_or_not_at_all() {
    let calls = r#"[{"id":1,"method":"ping"},{"id":2,"method":"tools\/call","params":{}}]"#;
    let read = Message::from_client(calls.as_bytes().to_vec()).unwrap();
    assert_eq!(*read.kind(), Kind::Batch);
    let kinds: Vec<_> = read.elements().into_iter().map(|element| element.kind).collect();
    let request = |id, method: &str| Kind::Request { id: Id::Number(id), method: method.to_owned() };
    assert_eq!(kinds, [request(1, "ping"), request(2, "tools/call")]);
    assert_eq!(client(r#" [{"id":1,"method":"ping"}]"#), Ok(Kind::Batch));
    for bad in
        [r#"[{"id":1,"method":"ping","Method":"x"}]"#, "[]", "[[]]", r#"[[{"id":1,"method":"ping"}]]"#, "[7]"]
    {
        assert_eq!(client(bad), Err(NotAMessage::BadBatch), "{bad}");
    }
    let many = format!("[{}]", vec![r#"{"method":"x"}"#; BATCH_MAX + 1].join(","));
    assert_eq!(client(&many), Err(NotAMessage::BadBatch));
}

#[test]
fn line_holds_one_message_for_every_reader_of_lines() {
    let hidden = "{\"jsonrpc\":\"2.0\",\"method\":\"x\",\"params\":\r{\"id\":1,\"method\":\"tools/call\"}\n}";
    let line = Message::from_client(hidden.as_bytes().to_vec()).unwrap().into_line();
    let text = String::from_utf8(line).unwrap();
    assert_eq!(text.matches(['\r', '\n']).count(), 1, "{text:?}");
    assert!(text.ends_with("}\n"));
}

#[test]
fn answer_is_renamed_and_else_unchanged() {
    let text = r#"{ "result" : {"id":"inner"} , "id" : "gantral:1" , "jsonrpc":"2.0"}"#;
    let renamed = Message::from_server(text.as_bytes().to_vec()).renamed(&Id::Number(4));
    assert_eq!(renamed.text(), r#"{ "result" : {"id":"inner"} , "id" : 4 , "jsonrpc":"2.0"}"#);
}

#[test]
fn what_a_server_says_passes_whatever_it_is() {
    for bytes in [&b"starting up"[..], b"\xff\xfe", b"{\"id\":1.5,\"result\":{}}"] {
        let message = Message::from_server(bytes.to_vec());
        assert_eq!(message.bytes(), bytes);
    }
}

#[test]
fn value_is_put_where_it_belongs_and_the_rest_stays_byte_for_byte() {
    let check = |text: &str, path: &[&str], after: Option<&str>| {
        assert_eq!(with_value(text, path, "7").as_deref(), after, "{text} {path:?}");
    };
    check(
        r#"{ "a" : 1.50 , "b":{"c":{ }}}"#,
        &["b", "c", "d"],
        Some(r#"{ "a" : 1.50 , "b":{"c":{ "d":7}}}"#),
    );
    check(r#"{"a":[ 1 ] }"#, &["a"], Some(r#"{"a":7 }"#));
    check(r#"{"a":1 }"#, &["b", "c"], Some(r#"{"a":1 ,"b":{"c":7}}"#));
    check("{}", &["a"], Some(r#"{"a":7}"#));
    check(r#"{"a":1}"#, &["a", "b"], None);
    check(r#"{"a":{},"a":{}}"#, &["a", "b"], None);
}

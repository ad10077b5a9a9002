//! What is not governed passes as it is.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::governed::{everything_over_http, listening};
use super::*;

/// One of each thing that clients ask `server-everything`, with the space and the order that a client of others might write.
const ASKED: &[&str] = &[
    r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#,
    r#"{ "method" : "resources/list", "id":"two", "jsonrpc":"2.0", "params":{ } }"#,
    r#"{"jsonrpc":"2.0","id":3,"method":"resources/templates/list"}"#,
    r#"{"jsonrpc":"2.0","id":4,"method":"prompts/list","params":{"_meta":{"x":1.50e2}}}"#,
    r#"{"jsonrpc":"2.0","id":5,"method":"prompts/get","params":{"name":"simple-prompt"}}"#,
    r#"{"jsonrpc":"2.0","id":6,"method":"completion/complete","params":{"ref":{"type":"ref/prompt","name":"completable-prompt"},"argument":{"name":"department","value":"E"}}}"#,
    r#"{"jsonrpc":"2.0","id":7,"method":"logging/setLevel","params":{"level":"error"}}"#,
    r#"{"jsonrpc":"2.0","id":8,"method":"resources/read","params":{"uri":"demo://nowhere"}}"#,
    r#"{"jsonrpc":"2.0","id":9,"method":"no/such/method","params":{"é":"\u00e9😀"}}"#,
];

#[test]
fn untouched_messages_pass_byte_for_byte_in_both_directions() {
    let world = world();
    let server = node("mcp-server-everything");
    let heard = |name: &str| world.path(name).display().to_string();
    // What reaches the server is recorded before it.
    let recorded = |name: &str| {
        ["sh", "-c", "tee \"$0\" | \"$1\"", &heard(name), &server].map(ToOwned::to_owned).to_vec()
    };
    let talk = |command: Vec<String>| {
        let mut client = Lines::ready(&command, world.folder());
        let answers: Vec<String> = ASKED
            .iter()
            .map(|line| {
                client.send(line);
                let id = serde_json::from_str::<Value>(line).unwrap()["id"].to_string();
                client.answer_line(&id)
            })
            .collect();
        client.leave();
        answers
    };
    let direct = talk(recorded("direct"));
    let words = recorded("through");
    let words: Vec<&str> =
        ["--name", "everything", "--"].into_iter().chain(words.iter().map(String::as_str)).collect();
    let through = talk(interceptor(&world, &words));
    assert_eq!(through, direct);
    assert_eq!(world.text("through"), world.text("direct"));
    assert!(world.text("through").contains(ASKED[1]), "{}", world.text("through"));
}

#[test]
fn list_of_tools_gains_ours_at_its_end_and_nothing_else() {
    let world = world();
    let asked = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let list = |command: &[String]| {
        let mut client = Lines::ready(command, world.folder());
        client.send(asked);
        client.answer_line("1")
    };
    let server = node("mcp-server-memory");
    let direct = list(std::slice::from_ref(&server));
    let through = list(&interceptor(&world, &["--name", "memory", "--", &server]));
    let at = through.find(r#",{"name":"gantral_wait""#).unwrap();
    let rest = &through[at + through.len() - direct.len()..];
    assert_eq!(format!("{}{rest}", &through[..at]), direct);
    let tools = |text: &str| {
        serde_json::from_str::<Value>(text).unwrap()["result"]["tools"].as_array().unwrap().clone()
    };
    let (theirs, all) = (tools(&direct), tools(&through));
    assert_eq!(all[..theirs.len()], theirs[..]);
    let added: Vec<_> = all[theirs.len()..].iter().map(|tool| tool["name"].as_str().unwrap()).collect();
    assert_eq!(added, ["gantral_wait", "gantral_result"]);
}

#[test]
fn message_with_two_meanings_does_not_reach_the_server() {
    let world = world();
    let heard = world.path("heard").display().to_string();
    let server = node("mcp-server-memory");
    let command =
        interceptor(&world, &["--name", "memory", "--", "sh", "-c", "tee \"$0\" | \"$1\"", &heard, &server]);
    let mut client = Lines::ready(&command, world.folder());
    let call = r#"{"name":"create_entities","arguments":{"entities":[]}}"#;
    for line in [
        format!(r#"{{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{call}}}"#),
        format!(r#"{{"jsonrpc":"2.0","id":2,"method":"ping","method":"tools/call","params":{call}}}"#),
        r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"read_graph","Name":"create_entities"}}"#.to_owned(),
    ] {
        client.send(&line);
        let id = serde_json::from_str::<Value>(&line).unwrap()["id"].to_string();
        assert!(client.answer(&id)["error"]["code"].is_i64(), "{line}");
    }
    // Nobody is told of these: they name no request.
    client.send(&format!(r#"[{{"jsonrpc":"2.0","id":4,"method":"tools/call","params":{call}}}]"#));
    client.send(&format!(r#"{{"jsonrpc":"2.0","method":"tools/call","params":{call}}}"#));
    client.send(r#"{"jsonrpc":"2.0","id":5,"method":"ping"}"#);
    client.answer("5");
    assert!(!world.text("heard").contains("tools/call"), "{}", world.text("heard"));
}

#[test]
fn what_the_server_asks_the_client_comes_back_to_it() {
    let world = world();
    let server = node("mcp-server-everything");
    let mut client =
        Lines::start(&interceptor(&world, &["--name", "everything", "--", &server]), world.folder());
    client.send(
        &INITIALIZE.replace(r#""capabilities":{}"#, r#""capabilities":{"roots":{"listChanged":true}}"#),
    );
    client.answer("0");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let asked = loop {
        let said: Value = serde_json::from_str(&client.line()).unwrap();
        if said["method"] == "roots/list" {
            break said["id"].to_string();
        }
    };
    client.send(&format!(
        r#"{{"jsonrpc":"2.0","id":{asked},"result":{{"roots":[{{"uri":"file:///srv","name":"srv"}}]}}}}"#
    ));
    client.call("1", "echo", json!({"message": "hi"}));
    assert_eq!(client.answer("1")["result"]["content"][0]["text"], "Echo: hi");
}

/// Passes bytes on to a server, and remembers what was sent to it; returns the address.
fn recording(server: &str) -> (String, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let server = server.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let remembers = heard.clone();
    std::thread::spawn(move || {
        for mut client in listener.incoming().map_while(Result::ok) {
            let mut server = TcpStream::connect(&server).unwrap();
            let (mut answers, mut to_client) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || drop(std::io::copy(&mut answers, &mut to_client)));
            let remembers = remembers.clone();
            std::thread::spawn(move || {
                let mut piece = [0; 4096];
                while let Ok(length) = client.read(&mut piece)
                    && length > 0
                {
                    remembers.lock().unwrap().extend_from_slice(&piece[..length]);
                    server.write_all(&piece[..length]).unwrap();
                }
            });
        }
    });
    (url, heard)
}

/// Sends messages over HTTP in one session, and returns the data of the events, or the body, of each answer.
fn posted(url: &str, messages: &[&str]) -> Vec<Vec<String>> {
    let post = |session: Option<&str>, message: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-i", "--max-time", "60", "-H", "Content-Type: application/json"]);
        curl.args(["-H", "Accept: application/json, text/event-stream", "-H", "Expect:"]);
        if let Some(session) = session {
            curl.args([
                "-H",
                &format!("Mcp-Session-Id: {session}"),
                "-H",
                "Mcp-Protocol-Version: 2025-11-25",
            ]);
        }
        let output = curl.args(["--data-binary", message, url]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let begun = post(None, INITIALIZE);
    let session = begun.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")).unwrap().to_owned();
    post(Some(&session), r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let answers = messages.iter().map(|message| {
        let answer = post(Some(&session), message);
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let data = body.lines().filter_map(|line| line.strip_prefix("data: "));
        // An event that says nothing only begins the stream: those of one connection are not those of the other.
        let data: Vec<_> = data.filter(|data| !data.is_empty()).collect();
        if data.is_empty() {
            vec![body.to_owned()]
        } else {
            data.into_iter().map(ToOwned::to_owned).collect()
        }
    });
    answers.collect()
}

#[test]
fn untouched_messages_pass_byte_for_byte_over_http_with_every_event() {
    let world = world_where_passes("trigger-long-running-operation");
    let (_server, url) = everything_over_http(&world);
    let call = r#"{"jsonrpc":"2.0","id":20,"method":"tools/call","params":{"name":"trigger-long-running-operation","arguments":{"duration":0.4,"steps":2},"_meta":{"progressToken":"p 1"}}}"#;
    let spaced = "{\r\n  \"jsonrpc\": \"2.0\",\n\t\"id\": \"21\", \"method\": \"ping\" }";
    let messages = [ASKED, &[spaced, call]].concat();
    let (recorded, heard) = recording(&url);
    let direct = posted(&recorded, &messages);
    let directly = std::mem::take(&mut *heard.lock().unwrap());
    let (_interceptor, listens) = listening(&world, &["--name", "everything", "--upstream", &recorded]);
    let through = posted(&listens, &messages);
    let (asked, told) = (messages.len() - 1, direct.last().unwrap());
    assert_eq!(through[..asked], direct[..asked]);
    // A call is asked for and sent under an id of ours; what the server says of it meanwhile is untouched, and so is what it answers.
    assert_eq!(told.len(), 3, "two events and the answer: {told:?}");
    let through = &through[asked];
    assert_eq!(through[..2], told[..2]);
    let result = |answer: &str| serde_json::from_str::<Value>(answer).unwrap()["result"].to_string();
    assert_eq!(result(&through[2]), result(&told[2]));
    let heard = heard.lock().unwrap().clone();
    let reached = |heard: &[u8], text: &str| heard.windows(text.len()).any(|part| part == text.as_bytes());
    for message in &messages[..asked] {
        assert!(reached(&directly, message) && reached(&heard, message), "{message}");
    }
    assert!(!reached(&heard, call) && reached(&heard, r#""_meta":{"progressToken":"p 1"}"#));
}

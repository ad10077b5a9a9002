use std::time::Duration;

use serde_json::{Value, json};

use super::*;

/// A server that is nothing but the other end of a way.
struct Peer {
    hears: mpsc::Receiver<Message>,
    says: mpsc::Sender<Message>,
}

impl Peer {
    async fn heard(&mut self) -> Value {
        let message = tokio::time::timeout(Duration::from_secs(5), self.hears.recv()).await.unwrap().unwrap();
        serde_json::from_str(message.text()).unwrap()
    }

    async fn say(&self, said: Value) {
        self.says.send(Message::from_server(said.to_string().into_bytes())).await.unwrap();
    }

    /// Hears a request and answers it.
    async fn answers(&mut self, result: Value) -> Value {
        let heard = self.heard().await;
        self.say(json!({"jsonrpc": "2.0", "id": heard["id"], "result": result})).await;
        heard
    }
}

fn two() -> (Link, Peer, Peer) {
    two_within(fan::BEGIN_WITHIN)
}

fn way() -> (Link, Peer) {
    let (to_server, hears) = mpsc::channel(8);
    let (says, from_server) = mpsc::channel(8);
    (Link { to_server, from_server }, Peer { hears, says })
}

/// Begins as often as it is asked to; the other ends are received.
fn again_and_again() -> (Begins, mpsc::Receiver<Peer>) {
    let (given, taken) = mpsc::channel(1);
    let begins = move || {
        let (link, peer) = way();
        given.try_send(peer).map_err(std::io::Error::other)?;
        Ok(link)
    };
    (Arc::new(begins), taken)
}

fn never() -> Begins {
    Arc::new(|| Err(std::io::Error::other("it begins once")))
}

fn two_within(begin_within: Duration) -> (Link, Peer, Peer) {
    let ((one, a), (other, b)) = (way(), way());
    let named = |text: &str| Prefix::parse(text).unwrap();
    {
        let servers = vec![(named("a"), one, never()), (named("b"), other, never())];
        let link = join_within(servers, begin_within, Pauses::USUAL);
        (link, a, b)
    }
}

async fn send(link: &Link, said: Value) {
    link.to_server.send(Message::from_client(said.to_string().into_bytes()).unwrap()).await.unwrap();
}

async fn next(link: &mut Link) -> (Value, Message) {
    let message =
        tokio::time::timeout(Duration::from_secs(5), link.from_server.recv()).await.unwrap().unwrap();
    (serde_json::from_str(message.text()).unwrap(), message)
}

/// Shakes hands with both.
async fn ready() -> (Link, Peer, Peer) {
    let (mut link, mut a, mut b) = two();
    send(&link, json!({"id": 0, "method": "initialize", "params": {}})).await;
    let can = |version: &str, what: &str| json!({"protocolVersion": version, "capabilities": {what: {"listChanged": true}}, "instructions": what});
    a.answers(can("2025-11-25", "tools")).await;
    b.answers(can("2025-06-18", "prompts")).await;
    let (begun, _) = next(&mut link).await;
    assert_eq!(begun["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(
        begun["result"]["capabilities"],
        json!({"tools": {"listChanged": true}, "prompts": {"listChanged": true}})
    );
    assert_eq!(begun["result"]["instructions"], "# a\n\ntools\n\n# b\n\nprompts");
    send(&link, json!({"method": "notifications/initialized"})).await;
    assert_eq!(a.heard().await["method"], "notifications/initialized");
    assert_eq!(b.heard().await["method"], "notifications/initialized");
    (link, a, b)
}

#[tokio::test]
async fn lists_are_one_list_with_a_prefix_for_each_server_and_all_their_pages() {
    let (mut link, mut a, mut b) = ready().await;
    send(&link, json!({"id": 1, "method": "tools/list"})).await;
    a.answers(json!({"tools": [{"name": "x", "n": 1.50}], "nextCursor": "p"})).await;
    assert_eq!(a.answers(json!({"tools": [{"name": "y"}]})).await["params"]["cursor"], "p");
    b.answers(json!({"tools": [{"name": "x"}]})).await;
    let (listed, _) = next(&mut link).await;
    assert_eq!(
        listed["result"],
        json!({"tools": [{"name": "a__x", "n": 1.50}, {"name": "a__y"}, {"name": "b__x"}]})
    );
    send(&link, json!({"id": 2, "method": "resources/list"})).await;
    a.answers(json!({"resources": [{"uri": "file:///x"}]})).await;
    let asked = b.heard().await;
    b.say(json!({"id": asked["id"], "error": {"code": -32601, "message": "no"}})).await;
    assert_eq!(next(&mut link).await.0["result"]["resources"], json!([{"uri": "a+file:///x"}]));
}

#[tokio::test]
async fn request_goes_to_the_server_that_it_names_and_what_that_names_comes_back_with_its_prefix() {
    let (mut link, mut a, mut b) = ready().await;
    send(
        &link,
        json!({"id": 7, "method": "tools/call", "params": {"name": "b__pay__now", "arguments": {"a": 1}}}),
    )
    .await;
    let linked = json!({"content": [{"type": "resource_link", "uri": "demo://1"}, {"type": "text", "text": "demo://1"}]});
    let heard = b.answers(linked).await;
    assert_eq!(heard["params"], json!({"name": "pay__now", "arguments": {"a": 1}}));
    let (answer, _) = next(&mut link).await;
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["uri"]), (&json!(7), &json!("b+demo://1")));
    assert_eq!(answer["result"]["content"][1]["text"], "demo://1");
    send(&link, json!({"id": 8, "method": "resources/read", "params": {"uri": "a+demo://1"}})).await;
    assert_eq!(a.answers(json!({"contents": [{"uri": "demo://1"}]})).await["params"]["uri"], "demo://1");
    assert_eq!(next(&mut link).await.0["result"]["contents"][0]["uri"], "a+demo://1");
    for (id, params) in [(9, json!({"name": "c__x"})), (10, json!({"name": "x"}))] {
        send(&link, json!({"id": id, "method": "tools/call", "params": params})).await;
        assert_eq!(next(&mut link).await.0["error"]["code"], INVALID_PARAMS);
    }
}

#[tokio::test]
async fn what_two_servers_ask_under_one_id_comes_back_to_each() {
    let (mut link, mut a, mut b) = ready().await;
    a.say(json!({"id": 1, "method": "roots/list"})).await;
    let first = next(&mut link).await.0["id"].clone();
    b.say(json!({"id": 1, "method": "roots/list"})).await;
    let second = next(&mut link).await.0["id"].clone();
    assert_ne!(first, second);
    send(&link, json!({"id": second, "result": {"roots": ["b"]}})).await;
    send(&link, json!({"id": first, "result": {"roots": ["a"]}})).await;
    assert_eq!(a.heard().await, json!({"id": 1, "result": {"roots": ["a"]}}));
    assert_eq!(b.heard().await, json!({"id": 1, "result": {"roots": ["b"]}}));
}

#[tokio::test]
async fn cancellation_and_progress_reach_whom_they_are_about() {
    let (mut link, mut a, mut b) = ready().await;
    let params = json!({"name": "b__x", "_meta": {"progressToken": "t"}});
    send(&link, json!({"id": 3, "method": "tools/call", "params": params})).await;
    let heard = b.heard().await;
    b.say(json!({"method": "notifications/progress", "params": {"progressToken": "t", "progress": 1}})).await;
    assert_eq!(next(&mut link).await.0["params"]["progressToken"], "t");
    send(&link, json!({"method": "notifications/cancelled", "params": {"requestId": 3, "reason": "r"}}))
        .await;
    let cancelled = b.heard().await;
    assert_eq!(cancelled["params"], json!({"requestId": heard["id"], "reason": "r"}));
    send(&link, json!({"id": 4, "method": "ping"})).await;
    assert_eq!(a.heard().await["method"], "ping");
}

#[tokio::test]
async fn server_that_ends_takes_its_own_requests_with_it_and_nothing_else() {
    let (mut link, mut a, mut b) = ready().await;
    send(&link, json!({"id": 3, "method": "tools/call", "params": {"name": "a__x"}})).await;
    a.heard().await;
    send(&link, json!({"id": 4, "method": "tools/call", "params": {"name": "b__x"}})).await;
    drop(a);
    let (answer, message) = next(&mut link).await;
    assert_eq!((&answer["id"], &answer["error"]["code"]), (&json!(3), &json!(-32000)));
    // It may have been done.
    assert!(matches!(message.answered(), Err(Lost::Unanswered(_))));
    for what in ["tools", "prompts", "resources"] {
        assert_eq!(next(&mut link).await.0["method"], format!("notifications/{what}/list_changed"));
    }
    b.answers(json!({"content": []})).await;
    assert_eq!(next(&mut link).await.0["id"], 4);
    send(&link, json!({"id": 5, "method": "tools/call", "params": {"name": "a__x"}})).await;
    assert!(matches!(next(&mut link).await.1.answered(), Err(Lost::NotSent(_))));
    send(&link, json!({"id": 6, "method": "tools/list"})).await;
    b.answers(json!({"tools": [{"name": "x"}]})).await;
    assert_eq!(next(&mut link).await.0["result"]["tools"], json!([{"name": "b__x"}]));
    drop(b);
    while link.from_server.recv().await.is_some() {}
}

#[tokio::test]
async fn server_that_is_late_holds_up_nobody_and_takes_part_once_it_is_there() {
    let (mut link, mut a, mut b) = two_within(Duration::from_millis(50));
    send(&link, json!({"id": 0, "method": "initialize", "params": {}})).await;
    a.answers(json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}})).await;
    let asked = b.heard().await;
    let message = link.from_server.recv().await.unwrap();
    assert!(message.text().contains("\"id\":0"), "{}", message.text());
    send(&link, json!({"method": "notifications/initialized"})).await;
    assert_eq!(a.heard().await["method"], "notifications/initialized");
    b.say(json!({"id": asked["id"], "result": {"protocolVersion": "2025-11-25", "capabilities": {}}})).await;
    assert_eq!(b.heard().await["method"], "notifications/initialized");
    assert_eq!(next(&mut link).await.0["method"], "notifications/tools/list_changed");
}

#[tokio::test]
async fn client_shakes_hands_unless_all_servers_do_without() {
    let (mut link, mut a, mut b) = two();
    let discover = |id: u32| json!({"id": id, "method": "server/discover", "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}});
    let can = |versions: Value| json!({"supportedVersions": versions, "capabilities": {}, "ttlMs": 5, "cacheScope": "public", "resultType": "complete"});
    send(&link, discover(1)).await;
    a.answers(can(json!(["2026-07-28", "2027-01-01"]))).await;
    b.answers(can(json!(["2026-07-28"]))).await;
    let found = next(&mut link).await.0["result"].clone();
    assert_eq!((&found["supportedVersions"], &found["ttlMs"]), (&json!(["2026-07-28"]), &json!(5)));
    send(&link, discover(2)).await;
    a.answers(can(json!(["2026-07-28"]))).await;
    let asked = b.heard().await;
    b.say(json!({"id": asked["id"], "error": {"code": -32601, "message": "no"}})).await;
    let refused = next(&mut link).await.0;
    assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(2), &json!(METHOD_NOT_FOUND)));
}

#[tokio::test]
async fn server_that_ended_is_started_again_later_and_later_and_shakes_hands_as_the_client_did() {
    let ((first, mut old), (other, mut b)) = (way(), way());
    let (begins, mut taken) = again_and_again();
    let named = |text: &str| Prefix::parse(text).unwrap();
    let servers = vec![(named("a"), first, begins), (named("b"), other, never())];
    let pauses = Pauses { first: Duration::from_millis(100), lasts: Duration::from_secs(2), ..Pauses::USUAL };
    let mut link = join_within(servers, fan::BEGIN_WITHIN, pauses);
    send(&link, json!({"id": 0, "method": "initialize", "params": {"clientInfo": {"name": "c"}}})).await;
    let can = || json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}});
    old.answers(can()).await;
    b.answers(can()).await;
    assert_eq!(next(&mut link).await.0["id"], 0);
    send(&link, json!({"method": "notifications/initialized"})).await;
    assert_eq!(b.heard().await["method"], "notifications/initialized");
    for pause in [100, 200, 400] {
        drop(old);
        let ended = Instant::now();
        assert_eq!(next(&mut link).await.0["method"], "notifications/tools/list_changed");
        old = taken.recv().await.unwrap();
        assert!(ended.elapsed() >= Duration::from_millis(pause), "{:?}", ended.elapsed());
        let hello = old.answers(can()).await;
        let said = (&hello["method"], &hello["params"]["clientInfo"]["name"]);
        assert_eq!(said, (&json!("initialize"), &json!("c")));
        assert_eq!(old.heard().await["method"], "notifications/initialized");
        while next(&mut link).await.0["method"] != "notifications/resources/list_changed" {}
        while next(&mut link).await.0["method"] != "notifications/resources/list_changed" {}
        send(&link, json!({"id": pause, "method": "tools/call", "params": {"name": "a__x"}})).await;
        old.answers(json!({"content": []})).await;
        assert_eq!(next(&mut link).await.0["id"], pause);
    }
    tokio::time::sleep(pauses.lasts).await;
    drop(old);
    let ended = Instant::now();
    taken.recv().await.unwrap();
    assert!(ended.elapsed() < Duration::from_millis(800), "it had stayed: {:?}", ended.elapsed());
}

#[tokio::test]
async fn server_that_does_not_stay_is_given_up() {
    let ((first, old), (other, _b)) = (way(), way());
    let (begins, mut taken) = again_and_again();
    let named = |text: &str| Prefix::parse(text).unwrap();
    let servers = vec![(named("a"), first, begins), (named("b"), other, never())];
    let pauses = Pauses { first: Duration::from_millis(1), max: Duration::from_millis(5), ..Pauses::USUAL };
    let _link = join_within(servers, fan::BEGIN_WITHIN, pauses);
    drop(old);
    for _ in 0..10 {
        drop(taken.recv().await.unwrap());
    }
    let more = tokio::time::timeout(Duration::from_millis(200), taken.recv()).await;
    assert!(more.is_err(), "it was started an eleventh time");
}

#[tokio::test]
async fn server_that_was_spoken_to_without_a_handshake_begins_anew_to_shake_hands() {
    let (first, mut old) = way();
    let (begins, mut taken) = again_and_again();
    let mut link = join(vec![(Prefix::parse("a").unwrap(), first, begins)]);
    send(&link, json!({"id": 1, "method": "server/discover"})).await;
    old.answers(json!({"supportedVersions": []})).await;
    assert_eq!(next(&mut link).await.0["error"]["code"], METHOD_NOT_FOUND);
    send(&link, json!({"id": 2, "method": "initialize", "params": {}})).await;
    let mut new = taken.recv().await.unwrap();
    new.answers(json!({"protocolVersion": "2025-11-25", "capabilities": {}})).await;
    assert_eq!(next(&mut link).await.0["result"]["protocolVersion"], "2025-11-25");
    // The end of the old conversation is not that of the server.
    drop(old);
    send(&link, json!({"id": 3, "method": "ping"})).await;
    new.answers(json!({})).await;
    assert_eq!(next(&mut link).await.0["id"], 3);
}

#[test]
fn prefix_is_one_for_models_and_for_addresses() {
    for text in ["files", "a", "web-2"] {
        assert_eq!(Prefix::parse(text).unwrap().as_str(), text);
    }
    for text in ["", "2", "Files", "a_b", "a.b", "a/b", "-", &"a".repeat(25)] {
        assert_eq!(Prefix::parse(text), Err(BadPrefix), "{text}");
    }
    assert_eq!(split("files____x"), Some(("files", "__x")));
}

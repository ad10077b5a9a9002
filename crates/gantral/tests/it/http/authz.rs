//! Proxies of others, which ask before they send a request on: Envoy over gRPC and over HTTP, Caddy.

use std::path::PathBuf;

use serde_json::json;

use super::*;

/// Over gRPC, with the access log that says what came of it.
pub(super) const GRPC: [(&str, &str); 3] = [
    ("PROTOCOL", "http2_protocol_options"),
    ("SERVICE", "grpc_service: { envoy_grpc: { cluster_name: gantral }, timeout: 30s }"),
    (
        "ACCESS_LOG",
        r#"[{ name: envoy.access_loggers.http_grpc, typed_config: {
            "@type": type.googleapis.com/envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig,
            common_config: { log_name: gantral, transport_api_version: V3, buffer_flush_interval: 0.2s, grpc_service: { envoy_grpc: { cluster_name: gantral } } },
            additional_request_headers_to_log: [gantral-instance, gantral-grant] } }]"#,
    ),
];

/// Over HTTP, without a word about what came of it.
const HTTP: [(&str, &str); 3] = [
    ("PROTOCOL", "http_protocol_options"),
    (
        "SERVICE",
        r#"http_service: {
            server_uri: { uri: "http://gantral", cluster: gantral, timeout: 30s },
            path_prefix: /ext_authz,
            authorization_response: {
              allowed_upstream_headers: { patterns: [{ prefix: gantral- }] },
              allowed_client_headers: { patterns: [{ prefix: gantral- }, { exact: retry-after }, { exact: content-type }] } } }"#,
    ),
    ("ACCESS_LOG", "[]"),
];

const REFUND: &str = r#"{"amount_minor":480000}"#;
const PATH: &str = "/orders/7/refunds";
const DONE: &str = "POST /orders/7/refunds {\"amount_minor\":480000}\n";

/// A program of others, which `cargo xtask parts` installs: as its package calls it, or as it is called in `bin`.
fn part(package: &str, name: &str) -> PathBuf {
    let proxies = crate::support::part("proxies");
    let python = std::fs::read_dir(proxies.join("lib")).ok().and_then(|mut found| found.next()?.ok());
    let inside = python.map(|python| python.path().join("site-packages").join(package));
    let found = inside.filter(|path| path.is_file()).or_else(|| Some(proxies.join("bin").join(name)));
    found.filter(|path| path.is_file()).expect("`cargo xtask parts` installs what this test needs")
}

fn free_port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

/// The shop, something of ours that is asked, and a proxy of others before it.
pub(super) struct Asked {
    pub(super) shop: Shop,
    port: String,
    proxy: Killed,
}

impl Asked {
    pub(super) fn behind(start: impl FnOnce(&Shop, &str) -> Killed, arguments: &[&str]) -> Self {
        let mut shop = Shop::with("authz", arguments);
        let port = free_port();
        shop.front = format!("http://127.0.0.1:{port}");
        let proxy = start(&shop, &port);
        let asked = Self { shop, port, proxy };
        asked.is_up();
        asked
    }

    /// Puts another in the place of the proxy.
    pub(super) fn replace(&mut self, start: impl FnOnce(&Shop, &str) -> Killed) {
        self.proxy.kill();
        self.proxy = start(&self.shop, &self.port);
        self.is_up();
    }

    fn is_up(&self) {
        let place = format!("127.0.0.1:{}", self.port);
        assert!(wait_until(|| TcpStream::connect(&place).is_ok()), "{}", self.shop.world.text("other.log"));
    }

    fn envoy(how: &[(&str, &str)], arguments: &[&str]) -> Self {
        Self::behind(|shop, port| envoy(shop, port, how, true), &[&["--bodies"], arguments].concat())
    }
}

/// Starts Envoy, with the filter that asks or without.
pub(super) fn envoy(shop: &Shop, port: &str, how: &[(&str, &str)], asks: bool) -> Killed {
    let template = repository().join("crates/gantral/tests/http/envoy.yaml");
    let mut text = std::fs::read_to_string(template).unwrap();
    if !asks {
        let (before, filter) =
            text.split_once("                  - name: envoy.filters.http.ext_authz").unwrap();
        let (_, after) = filter.split_once("SERVICE\n").unwrap();
        text = format!("{before}{after}");
    }
    let how = if asks { how } else { &[("PROTOCOL", "http_protocol_options"), ("ACCESS_LOG", "[]")] };
    let ours = shop.url.rsplit_once(':').unwrap().1;
    let ports = [("LISTEN", port), ("GANTRAL", ours), ("SHOP", shop.service_port.as_str())];
    for (word, value) in how.iter().chain(&ports) {
        text = text.replace(word, value);
    }
    let file = shop.world.path("envoy.yaml");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(part("envoy/_bin/envoy", "envoy"));
    command.arg("-c").arg(file).args([
        "--concurrency",
        "1",
        "--log-level",
        "warning",
        "--disable-hot-restart",
    ]);
    logged(&shop.world, command)
}

/// Starts Caddy, with the directive that asks or without.
pub(super) fn caddy(shop: &Shop, port: &str, asks: bool) -> Killed {
    let ours = shop.url.trim_start_matches("http://");
    let asking = format!(
        " forward_auth {ours} {{\n  uri /forward_auth\n  copy_headers Gantral-Instance Gantral-Grant\n }}\n"
    );
    let asking = if asks { asking } else { String::new() };
    let text = format!(
        "{{\n admin off\n auto_https off\n}}\nhttp://127.0.0.1:{port} {{\n{asking} reverse_proxy 127.0.0.1:{}\n}}\n",
        shop.service_port
    );
    let file = shop.world.path("Caddyfile");
    std::fs::write(&file, text).unwrap();
    let mut command = Command::new(part("caddy/_bin/caddy", "caddy"));
    command.args(["run", "--adapter", "caddyfile", "--config"]).arg(file).env("HOME", shop.world.folder());
    logged(&shop.world, command)
}

fn logged(world: &World, mut command: Command) -> Killed {
    let log = std::fs::File::options().create(true).append(true).open(world.path("other.log")).unwrap();
    let command = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Killed::of(command.spawn().unwrap())
}

#[test]
fn envoy_asks_and_its_access_log_says_what_came_of_it() {
    let asked = Asked::envoy(&GRPC, &["--name", "shop"]);
    let shop = &asked.shop;
    assert_eq!(shop.curl("GET", "/orders/7", &[]).status, 200);
    let small = shop.json("POST", PATH, r#"{"amount_minor":5000}"#);
    assert_eq!(small.status, 201, "policy reads the body: {small:?}");
    assert!(small.json()["headers"]["gantral-grant"].is_string(), "{small:?}");
    assert!(shop.outcomes(2).iter().all(|outcome| outcome["status"] == "SUCCEEDED"));
    let waiting = shop.json("POST", PATH, REFUND).problem(403, "waiting_for_human");
    assert_eq!(waiting["executed"], false);
    let again = shop.json("POST", PATH, REFUND).problem(403, "waiting_for_human");
    assert_eq!(again["gate_id"], waiting["gate_id"], "it joins");
    let shown = shop.world.run(&["approvals", "show", waiting["gate_id"].as_str().unwrap()]).status(0).data;
    assert!(shown.contains("480000") && shown.contains("POST shop/orders/7/refunds"), "{shown}");
    assert_eq!(shop.approve(), waiting["gate_id"]);
    assert_eq!(shop.json("POST", PATH, REFUND).status, 201);
    assert_eq!(shop.outcomes(3)[0]["status"], "SUCCEEDED");
    assert!(shop.disclosed().contains(r#""reported":true,"status":201"#));
    let next = shop.json("POST", PATH, REFUND).problem(403, "waiting_for_human");
    assert_ne!(next["gate_id"], waiting["gate_id"], "one approval is for one request");
    assert_eq!(shop.ledger().lines().last().map(|line| format!("{line}\n")).as_deref(), Some(DONE));
    assert_eq!(shop.ledger().lines().count(), 2);
}

#[test]
fn what_a_human_changed_does_not_go_through_envoy() {
    let asked = Asked::envoy(&GRPC, &["--hold", "20s"]);
    let shop = &asked.shop;
    let client = shop.send("POST", PATH, &["-H", "content-type: application/json", "-d", REFUND]);
    let set = r#"body={"amount_minor":1}"#;
    let words = ["approvals", "override", &shop.gate(), "--set", set, "--reason", "less will do"];
    shop.world.run(&words).status(0);
    got(client).problem(403, "action_differs");
    assert_eq!((shop.outcomes(1)[0]["status"].as_str(), shop.ledger().as_str()), (Some("FAILED"), ""));
    shop.curl("POST", "/internal/a", &[]).problem(403, "denied");
    shop.curl("DELETE", "/a/%2e%2e/b", &[]).problem(400, "path_ambiguous");
    assert_eq!(shop.ledger(), "");
}

#[test]
fn envoy_says_that_the_service_was_never_reached() {
    let mut asked = Asked::envoy(&GRPC, &[]);
    asked.shop.service.kill();
    let shop = &asked.shop;
    assert_eq!(shop.curl("GET", "/orders/7", &[]).status, 503);
    assert_eq!(shop.outcomes(1)[0]["status"], "FAILED");
    assert!(shop.disclosed().contains(r#""executed":false"#));
}

#[test]
fn without_gantral_nothing_goes_through_envoy() {
    let mut asked = Asked::envoy(&GRPC, &["--rule", "pass GET /public"]);
    asked.shop.world.kill_server();
    asked.shop.curl("DELETE", "/orders/7", &[]).problem(503, "gantral_unreachable");
    assert_eq!(asked.shop.curl("GET", "/public", &["-H", "gantral-grant: forged"]).status, 200);
    asked.shop.kill_proxy();
    assert_eq!(asked.shop.curl("DELETE", "/orders/7", &[]).status, 403);
    assert_eq!(asked.shop.curl("GET", "/public", &[]).status, 403);
    assert_eq!(asked.shop.ledger(), "");
}

#[test]
fn envoy_over_http_leaves_unknown_what_nobody_reports_and_asks_again_for_the_next() {
    let mut asked = Asked::envoy(&HTTP, &["--name", "shop"]);
    let shop = &asked.shop;
    let waiting = shop.json("POST", PATH, REFUND);
    assert!(waiting.headers.contains("retry-after: 5"), "{waiting:?}");
    let gate = waiting.problem(403, "waiting_for_human")["gate_id"].clone();
    assert_eq!(shop.approve(), gate);
    let passed = shop.json("POST", PATH, REFUND);
    assert_eq!(passed.status, 201);
    // Nobody has reported, and the next one is asked for all the same.
    let next = shop.json("POST", PATH, REFUND).problem(403, "waiting_for_human");
    assert_ne!(next["gate_id"], gate);
    let joined = shop.json("POST", PATH, REFUND).problem(403, "waiting_for_human");
    assert_eq!(next["gate_id"], joined["gate_id"]);
    assert_eq!(shop.ledger(), DONE);
    let headers = passed.json()["headers"].clone();
    let instance = headers["gantral-instance"].as_str().unwrap().to_owned();
    asked.shop.kill_proxy();
    assert!(wait_until(|| asked.shop.world.instance(&instance)["outcomes"][0]["status"] == "UNKNOWN"));
}

#[test]
fn service_behind_caddy_reports_what_came_of_it() {
    let asked = Asked::behind(|shop, port| caddy(shop, port, true), &["--name", "shop"]);
    let shop = &asked.shop;
    assert_eq!(shop.curl("GET", "/orders/7?a=1", &[]).json()["path"], "/orders/7?a=1");
    let waiting = shop.json("POST", PATH, REFUND).problem(403, "waiting_for_human");
    let gate = waiting["gate_id"].as_str().unwrap();
    let shown = shop.world.run(&["approvals", "show", gate, "--json"]).status(0).json();
    assert_eq!(shown["action"]["parameters"]["body_unseen"], true, "{shown}");
    shop.approve();
    let passed = shop.json("POST", PATH, REFUND);
    let headers = passed.json()["headers"].clone();
    let (instance, grant) =
        (headers["gantral-instance"].as_str().unwrap(), headers["gantral-grant"].as_str().unwrap());
    let report = |grant: &str, status: &str| {
        let named = [
            format!("gantral-instance: {instance}"),
            format!("gantral-grant: {grant}"),
            format!("gantral-status: {status}"),
        ];
        let words: Vec<&str> = named.iter().flat_map(|name| ["-H", name]).collect();
        let mut command = Command::new("curl");
        command.args(["-sS", "-i", "-X", "POST"]).args(words).arg(format!("{}/gantral/outcome", shop.url));
        got(command.stdout(Stdio::piped()).spawn().unwrap())
    };
    report("00000000-0000-4000-8000-000000000000", "201").problem(409, "outcome_not_owed");
    report(grant, "perhaps").problem(400, "outcome_unreadable");
    assert_eq!(report(grant, "201").status, 204);
    assert_eq!(shop.world.instance(instance)["outcomes"][0]["status"], json!("SUCCEEDED"));
    assert_eq!(shop.ledger(), DONE);
}

#[test]
fn service_asks_for_itself_and_a_question_that_waits_is_no_permission() {
    let mut shop = Shop::with("authz", &[]);
    let ask = |shop: &Shop, path: &str, body: &str| {
        shop.curl(
            "POST",
            path,
            &["-H", "content-type: application/json", "-H", "x-request-id: r7", "-d", body],
        )
    };
    let question = |name: &str| {
        format!(
            r#"{{"subject":{{"type":"agent","id":"a"}},"action":{{"name":"{name}"}},"resource":{{"type":"todo","id":"1"}}}}"#
        )
    };
    let one = "/access/v1/evaluation";
    let read = ask(&shop, one, &question("can_read_todos"));
    assert!(read.status == 200 && read.headers.contains("x-request-id: r7"), "{read:?}");
    assert_eq!(read.json()["decision"], true);
    let denied = ask(&shop, one, &question("can_erase_todo")).json();
    assert_eq!((&denied["decision"], &denied["context"]["code"]), (&json!(false), &json!("denied")));
    let waiting = ask(&shop, one, &question("can_update_todo")).json();
    assert_eq!(
        (&waiting["decision"], &waiting["context"]["code"]),
        (&json!(false), &json!("waiting_for_human"))
    );
    assert_eq!(waiting["context"]["gate_id"], shop.approve());
    let permitted = ask(&shop, one, &question("can_update_todo")).json();
    assert_eq!(permitted["decision"], true, "{permitted}");
    let next = ask(&shop, one, &question("can_update_todo")).json();
    assert_eq!(next["decision"], false, "one approval is for one act");
    assert_ne!(next["context"]["gate_id"], waiting["context"]["gate_id"]);
    let many = format!(
        r#"{{"evaluations":[{},{},{}],"options":{{"evaluations_semantic":"deny_on_first_deny"}}}}"#,
        question("can_read_todos"),
        question("can_erase_todo"),
        question("can_read_todos")
    );
    let several = ask(&shop, "/access/v1/evaluations", &many).json();
    let decisions: Vec<&Value> =
        several["evaluations"].as_array().unwrap().iter().map(|one| &one["decision"]).collect();
    assert_eq!(decisions, [&json!(true), &json!(false)]);
    ask(&shop, one, r#"{"subject":{}}"#).problem(400, "evaluation_unreadable");
    shop.world.kill_server();
    ask(&shop, one, &question("can_read_todos")).problem(503, "gantral_unreachable");
}

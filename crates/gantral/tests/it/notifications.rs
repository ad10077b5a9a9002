//! A webhook and a server that is killed while it tells it.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_api::wire::{Ask, Attach, AuthorityAnswer, CreateInstance};
use serde_json::{Value, json};

use crate::serve::Site;
use crate::support::{repository, wait_until};

/// The secret of the webhook, which stands in its file and nowhere else.
const SECRET: &str = "whsec_Q0FOQVJZLUNBTkFSWS1DQU5BUlktQ0FOQVJZLTAx";
/// The bytes that it stands for.
const SECRET_BYTES: &str = "CANARY-CANARY-CANARY-CANARY-01";
/// A part of the address, which may be a token.
const TOKEN: &str = "hook-token-CANARY";

/// A receiver that answers nobody while it holds.
struct Receiver {
    address: SocketAddr,
    came: Arc<Mutex<Vec<String>>>,
    holds: Arc<AtomicBool>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, came) = (listener.local_addr().unwrap(), Arc::<Mutex<Vec<String>>>::default());
        let holds = Arc::new(AtomicBool::new(false));
        let (keep, held) = (Arc::clone(&came), Arc::clone(&holds));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (keep, held) = (Arc::clone(&keep), Arc::clone(&held));
                std::thread::spawn(move || answer(stream.unwrap(), &keep, &held));
            }
        });
        Self { address, came, holds }
    }

    /// Returns identifier and kind of what came, in order.
    fn messages(&self) -> Vec<(String, String)> {
        let read = |text: &String| {
            let event: Value = serde_json::from_str(text.split_once("\r\n\r\n").unwrap().1).unwrap();
            let of = |name: &str| event[name].as_str().unwrap().to_owned();
            (of("id"), of("type"))
        };
        self.came.lock().unwrap().iter().map(read).collect()
    }
}

/// Reads one request; answers it, or lets the caller wait until it is gone.
fn answer(mut stream: TcpStream, came: &Mutex<Vec<String>>, holds: &AtomicBool) {
    let (mut request, mut buffer) = (Vec::new(), [0; 4_096]);
    loop {
        let read = stream.read(&mut buffer).unwrap_or(0);
        if read == 0 {
            return;
        }
        request.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&request).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        if body.len() == length.parse::<usize>().unwrap() {
            came.lock().unwrap().push(text);
            break;
        }
    }
    while holds.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(20));
    }
    // An error means that nobody waits any more.
    let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
}

/// Returns a site whose server tells the receiver of everything, and whose workflow agents run themselves.
fn site(receiver: &Receiver) -> Site {
    let site = Site::new();
    let file = site.path("hook");
    std::fs::write(&file, SECRET).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let configuration = format!(
        "{}\n[[notifications.webhooks]]\nname = 'pager'\nurl = 'http://{}/{TOKEN}'\nsecrets = ['file:{}']\n",
        site.configuration("127.0.0.1:0"),
        receiver.address,
        file.display(),
    );
    std::fs::write(site.path("gantral.toml"), configuration).unwrap();
    let definition =
        std::fs::read_to_string(repository().join("examples/split-agent/workflow.toml")).unwrap();
    let (before, rest) = definition.split_once("[run]").unwrap();
    let (_, after) = rest.split_once("[actions").unwrap();
    let policies = repository().join("policies/refunds");
    let definition =
        format!("{before}[actions{after}").replace("../../policies/refunds", policies.to_str().unwrap());
    std::fs::write(site.path("workflow.toml"), definition).unwrap();
    site
}

/// Opens a gate, and returns it.
fn open_gate(site: &Site, url: &str) -> String {
    let token = std::fs::read_to_string(site.path("refund-agent")).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let parsed = |value: Value| value.to_string();
    runtime.block_on(async {
        let config = ClientConfig {
            ca_file: Some(site.path("cert.pem")),
            ..ClientConfig::new(url, TokenSource::Fixed(token))
        };
        let agent = Client::new(config).unwrap();
        let create: CreateInstance = serde_json::from_str(r#"{"workflow":"split-refund"}"#).unwrap();
        let id = agent.create_instance(&create).await.unwrap().instance.instance_id;
        let attached = agent.attach(id, Attach::SelfRun).await.unwrap();
        let action = json!({"name": "refund", "target": "order/7", "parameters": {"amount_minor": 480_000}});
        let ask: Ask = serde_json::from_str(&parsed(json!({"action": action}))).unwrap();
        let attempt = agent.with_token(TokenSource::Fixed(attached.token));
        match attempt.ask(id, &ask).await.unwrap() {
            AuthorityAnswer::RequireHuman(waiting) => waiting.gate_id.to_string(),
            other => panic!("{other:?}"),
        }
    })
}

#[test]
fn a_server_that_is_killed_while_it_tells_a_webhook_tells_it_again_and_keeps_no_secret() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let (mut server, url) = site.serve();
    assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
    site.run(&url, "console", &["workflows", "apply", site.path("workflow.toml").to_str().unwrap()])
        .status(0);
    // Killed while the receiver has the message and has not answered.
    receiver.holds.store(true, Ordering::SeqCst);
    let gate = open_gate(&site, &url);
    assert!(wait_until(|| receiver.messages().len() == 1));
    server.kill();
    receiver.holds.store(false, Ordering::SeqCst);
    let (mut server, url) = site.serve();
    assert!(wait_until(|| receiver.messages().len() == 2));
    let messages = receiver.messages();
    assert_eq!(messages[0], messages[1], "the same message, under the same identifier");
    assert_eq!(messages[0].1, "gantral.gate.opened");
    assert!(receiver.came.lock().unwrap()[0].contains(&gate));
    // Killed just after a gate opened: whatever was durable is told.
    let second = open_gate(&site, &url);
    server.kill();
    let (server, url) = site.serve();
    assert!(wait_until(|| receiver.came.lock().unwrap().iter().any(|text| text.contains(&second))));
    let refused = site.run(&url, "console", &["notifications", "dead", "ls"]).status(1);
    assert!(refused.talk.contains("[forbidden]"), "{refused:?}");

    // Neither secret nor address is anywhere but in what the operator wrote.
    drop(server);
    let mut looked_at = 0;
    let mut folders = vec![site.path("data"), site.path("server.log")];
    while let Some(path) = folders.pop() {
        if path.is_dir() {
            folders.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        for canary in [SECRET, SECRET_BYTES, TOKEN] {
            assert!(!text.contains(canary), "{path:?} holds {canary}");
        }
        looked_at += 1;
    }
    assert!(looked_at > 5, "{looked_at}");
    for text in receiver.came.lock().unwrap().iter() {
        assert!(!text.contains(SECRET) && !text.contains(SECRET_BYTES) && !text.contains("480000"), "{text}");
    }
}

#[test]
fn a_webhook_that_cannot_be_told_is_refused_at_the_start_without_its_secret() {
    let receiver = Receiver::start();
    let site = site(&receiver);
    let good = std::fs::read_to_string(site.path("gantral.toml")).unwrap();
    for (text, expected) in [
        (good.replace("http://127.0.0.1", "http://hooks.invalid"), "plain http is for loopback"),
        (good.replace("secrets = ['file:", &format!("secrets = ['{SECRET}', 'file:")), "env:NAME"),
        (good.replace("/hook'", "/none'"), "cannot be used"),
    ] {
        std::fs::write(site.path("gantral.toml"), &text).unwrap();
        let ran =
            crate::support::run(site.path("").as_path(), &["serve", "--config", "gantral.toml"]).status(1);
        assert!(ran.talk.contains("webhook `pager`") && ran.talk.contains(expected), "{expected}: {ran:?}");
        assert!(!ran.talk.contains(SECRET) && !ran.talk.contains(TOKEN), "{ran:?}");
    }
}

#[test]
fn nothing_is_enforced_where_nobody_would_hear_of_a_gate_unless_one_insists() {
    let receiver = Receiver::start();
    for told in [true, false] {
        let site = site(&receiver);
        if !told {
            std::fs::write(site.path("gantral.toml"), site.configuration("127.0.0.1:0")).unwrap();
        }
        let (mut server, url) = site.serve();
        assert!(wait_until(|| site.run(&url, "console", &["doctor"]).status == 0));
        let definition = site.path("workflow.toml");
        site.run(&url, "console", &["workflows", "apply", definition.to_str().unwrap()]).status(0);
        site.run(&url, "console", &["enforce", "disable", "--workflow", "split-refund"]).status(0);
        let enable = ["enforce", "enable", "--workflow", "split-refund"];
        // Only the provider knows who has which role, so that it is refused here whoever is told.
        let refused = site.run(&url, "console", &enable).status(1);
        assert!(refused.talk.contains("[approvers_unconfirmed]"), "{refused:?}");
        let says = refused.talk.contains("workflow split-refund: nobody is told when a gate opens");
        assert_eq!(says, !told, "{refused:?}");
        site.run(&url, "console", &[&enable[..], &["--yes"]].concat()).status(0);
        assert_eq!(server.stop(), Some(0));
    }
}

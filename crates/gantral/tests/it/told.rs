//! Mail server, chat, webhook and identity provider are away: gates open and close, and everybody hears of it later, in order.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use gantral_api::client::{Client, ClientConfig, TokenSource};
use gantral_api::wire::{Ask, Attach, AuthorityAnswer, CreateInstance};
use gantral_testkit::mail::{MAIL_PASSWORD, MAIL_USER, MailServer, TakenMail};
use serde_json::{Value, json};

use crate::provider::{Followed, private};
use crate::support::{repository, wait_until};

/// What must reach nobody by a message.
const CANARY: &str = "CANARY-of-the-order";
/// Longer than a change takes on a machine that is busy with other tests, and much shorter than anybody waits for who is away.
const PROMPT: Duration = Duration::from_secs(10);
/// How long a receiver may take to answer, as it is configured.
const TIMEOUT: &str = "1s";

/// A receiver of requests: takes them, or accepts them and never answers.
struct Receiver {
    address: SocketAddr,
    bodies: Arc<Mutex<Vec<Value>>>,
    answers: Arc<AtomicBool>,
}

impl Receiver {
    fn start(answers: bool) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (bodies, answers) = (Arc::<Mutex<Vec<Value>>>::default(), Arc::new(AtomicBool::new(answers)));
        let (keep, does) = (Arc::clone(&bodies), Arc::clone(&answers));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (keep, does) = (Arc::clone(&keep), Arc::clone(&does));
                std::thread::spawn(move || take(stream.unwrap(), &keep, &does));
            }
        });
        Self { address, bodies, answers }
    }

    /// Returns the gates that the button of each message leads to.
    fn gates(&self) -> Vec<String> {
        let bodies = self.bodies.lock().unwrap();
        let url = |body: &Value| body["blocks"][2]["elements"][0]["url"].as_str().unwrap().to_owned();
        bodies.iter().map(|body| url(body).rsplit('/').next().unwrap().to_owned()).collect()
    }
}

fn take(mut stream: TcpStream, bodies: &Mutex<Vec<Value>>, answers: &AtomicBool) {
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
        if body.len() < length.parse::<usize>().unwrap() {
            continue;
        }
        if !answers.load(Ordering::SeqCst) {
            // Whoever asked gives up, and closes.
            while stream.read(&mut buffer).unwrap_or(0) > 0 {}
            return;
        }
        bodies.lock().unwrap().push(serde_json::from_str(body).unwrap());
        // An error means that nobody waits any more.
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
        return;
    }
}

/// A site whose gates are told to a chat, a webhook and two mailboxes.
struct Told {
    site: Followed,
    chat: Receiver,
    /// Where the webhook is, once it is.
    webhook: SocketAddr,
    /// Where the mail server is, once it is.
    mail: u16,
}

impl Told {
    fn new() -> Self {
        let site = Followed::new();
        let chat = Receiver::start(false);
        // Their ports were free a moment ago, and nobody listens there. The mail server is started once for its certificate.
        let webhook = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mail = MailServer::start(&site.path(""), "implicit", 0).port;
        private(&site.path("chat"), &format!("http://{}/services/T0/B0/{CANARY}\n", chat.address));
        private(&site.path("hook"), "whsec_Q0FOQVJZLUNBTkFSWS1DQU5BUlktQ0FOQVJZLTAx");
        private(&site.path("mail"), MAIL_PASSWORD);
        let path = |name: &str| site.path(name).display().to_string();
        let more = format!(
            "[[notifications.webhooks]]\nname = 'chat'\nformat = 'slack'\nurl = 'file:{}'\ntimeout = '{TIMEOUT}'
             [[notifications.webhooks]]\nname = 'hook'\nurl = 'http://{webhook}/'\nsecrets = ['file:{}']\ntimeout = '{TIMEOUT}'
             [notifications.mail]\nhost = 'localhost'\nport = {mail}\nca_file = '{}'\nuser = '{MAIL_USER}'
             password = 'file:{}'\nfrom = 'Gantral <gantral@example.com>'\ntimeout = '{TIMEOUT}'
             [[notifications.mail.to]]\nname = 'officers'\naddress = 'officers@example.com'\nroles = ['RISK_OFFICER']
             [[notifications.mail.to]]\nname = 'admins'\naddress = 'admins@example.com'\nroles = ['PLATFORM_ADMIN']\n",
            path("chat"), path("hook"), path("mail.crt"), path("mail"),
        );
        let before = std::fs::read_to_string(site.path("gantral.toml")).unwrap();
        std::fs::write(site.path("gantral.toml"), before + &more).unwrap();
        let definition = format!(
            "policy = '{}'
             id = 'refund'\nversion = '1'\nteam = 'payments'\nmateriality = 'MEDIUM'\ndomain = 'finance'
             [actions.refund]\nnotify_members = ['/amount']
             [actions.refund.parameters]\namount = {{ type = 'integer' }}\ncurrency = {{ type = 'string', default = 'EUR' }}
             note = {{ type = 'string', required = false, policy = false }}
             [floors]\nleast_verdict = 'REQUIRE_HUMAN'\ndefault_approvers = ['RISK_OFFICER']\nrequired_evidence = 'operator'\n",
            repository().join("policies/demo").display(),
        );
        std::fs::write(site.path("workflow.toml"), definition).unwrap();
        Self { site, chat, webhook, mail }
    }

    /// Opens a gate with a token of the agent, and returns it.
    fn open(&self, url: &str, token: &str) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let agent = Client::new(ClientConfig::new(url, TokenSource::Fixed(token.to_owned()))).unwrap();
            let create: CreateInstance = serde_json::from_str(r#"{"workflow":"refund"}"#).unwrap();
            let id = agent.create_instance(&create).await.unwrap().instance.instance_id;
            let attached = agent.attach(id, Attach::SelfRun).await.unwrap();
            let parameters = json!({"amount": 4_800, "note": CANARY});
            let action =
                json!({"name": "refund", "target": format!("order/{CANARY}"), "parameters": parameters});
            let ask: Ask = serde_json::from_str(&json!({"action": action}).to_string()).unwrap();
            let attempt = agent.with_token(TokenSource::Fixed(attached.token));
            match attempt.ask(id, &ask).await.unwrap() {
                AuthorityAnswer::RequireHuman(waiting) => waiting.gate_id.to_string(),
                other => panic!("{other:?}"),
            }
        })
    }

    fn approve(&self, url: &str, token: &str, gate: &str) {
        self.site.run(url, token, &["approvals", "approve", gate, "--reason", CANARY]).status(0);
    }
}

/// Returns what the officers were mailed: kind of the message, and gate.
fn mailed(mails: &[TakenMail]) -> Vec<(String, String)> {
    let of = |mail: &TakenMail| {
        let subject = mail.header("Subject").unwrap();
        let thread = mail.header("References").unwrap();
        let gate = thread["<gate-".len()..].split('@').next().unwrap();
        (subject["[gantral] ".len()..].to_owned(), gate.to_owned())
    };
    mails.iter().map(of).collect()
}

#[test]
fn gates_open_and_close_while_everybody_is_away_and_all_is_told_later_in_order() {
    let mut told = Told::new();
    let (mut server, url) = told.site.serve();
    let admin = told.site.provider.human_token("pia");
    told.site.run(&url, &admin, &["workflows", "apply", "workflow.toml"]).status(0);
    let ada = told.site.provider.human_token("ada");
    let agent = told.site.provider.client_token("refund-agent", "agent-secret");

    // A mail server that accepts and never answers, a chat that does the same, a webhook that is down; then the server is killed.
    let silent = TcpListener::bind(("127.0.0.1", told.mail)).unwrap();
    let mut gates = vec![told.open(&url, &agent)];
    server.kill();
    let (_server, url) = told.site.serve();
    // And no identity provider: who is known by the keys that were read goes on.
    assert!(wait_until(|| told.site.run(&url, &ada, &["whoami"]).status == 0));
    told.site.provider.stop();
    for _ in 0..3 {
        let begun = Instant::now();
        gates.push(told.open(&url, &agent));
        told.approve(&url, &ada, &gates[gates.len() - 2]);
        assert!(begun.elapsed() < PROMPT, "{:?}", begun.elapsed());
    }
    assert!(told.chat.gates().is_empty());

    // All are back.
    drop(silent);
    let mail = MailServer::start(&told.site.path(""), "implicit", told.mail);
    told.chat.answers.store(true, Ordering::SeqCst);
    let hook = TcpListener::bind(told.webhook).unwrap();
    let (bodies, answers) = (Arc::<Mutex<Vec<Value>>>::default(), AtomicBool::new(true));
    let keep = Arc::clone(&bodies);
    std::thread::spawn(move || {
        for stream in hook.incoming() {
            take(stream.unwrap(), &keep, &answers);
        }
    });
    let mut expected = vec![("Approval wanted: refund".to_owned(), gates[0].clone())];
    for pair in gates.windows(2) {
        expected.push(("Approval wanted: refund".to_owned(), pair[1].clone()));
        expected.push(("Approved: refund".to_owned(), pair[0].clone()));
    }
    assert!(wait_until(|| mail.taken().len() >= 7), "{:?}", mailed(&mail.taken()));
    assert_eq!(mailed(&mail.taken()), expected, "in the order in which it happened");
    assert!(wait_until(|| told.chat.gates().len() >= 7), "{:?}", told.chat.gates());
    let order: Vec<String> = expected.iter().map(|(_, gate)| gate.clone()).collect();
    assert_eq!(told.chat.gates(), order);
    let ids = || -> BTreeSet<String> {
        bodies.lock().unwrap().iter().map(|body| body["id"].as_str().unwrap().to_owned()).collect()
    };
    assert!(wait_until(|| ids().len() >= 7), "{:?}", ids());
    assert_eq!(ids().len(), 7);

    // What a workflow lets messages show is there, and nothing else of what was asked for.
    for mail in mail.taken() {
        assert!(mail.to == ["officers@example.com"] && mail.tls && mail.login, "{mail:?}");
        assert!(mail.text.contains("/amount: 4800"), "{mail:?}");
        assert!(!mail.text.contains(CANARY) && !mail.text.contains("EUR"), "{mail:?}");
    }
    let log = std::fs::read_to_string(told.site.path("server.log")).unwrap();
    assert!(!log.contains(CANARY) && !log.contains(MAIL_PASSWORD), "{log}");
    assert!(log.contains("takes no messages") && log.contains("takes messages again"), "{log}");
}

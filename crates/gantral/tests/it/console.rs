//! A person at the console of a development server, in a real browser.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::machines::{agent, apply, ran, start_runner};
use crate::provider::{Followed, curl};
use crate::support::{World, part, repository};

/// Asks for a refund of 4800 in its first life, and does in its second what was approved.
const AGENT: &str = "set -eu
if [ \"$GANTRAL_ATTEMPT\" = 1 ]; then exec gantral ask refund --target order/1001 --set amount=4800; fi
gantral consume > approved.json
gantral outcome SUCCEEDED\n";

/// Lets somebody work at the browser, and returns everything that they saw; `at_inbox` is called once they look at an empty inbox.
fn work(url: &str, hands: &str, at_inbox: impl FnOnce()) -> Vec<Value> {
    play("console.mjs", url, hands, at_inbox)
}

/// Plays a script of `tests/browser`; see `work`.
pub fn play(script: &str, url: &str, hands: &str, at_inbox: impl FnOnce()) -> Vec<Value> {
    let mut at_inbox = Some(at_inbox);
    play_at(script, url, hands, |at| {
        if at == "inbox"
            && let Some(at_inbox) = at_inbox.take()
        {
            at_inbox();
        }
    })
}

/// Plays a script of `tests/browser`; `at` is called with each place that they say they have come to.
pub fn play_at(script: &str, url: &str, hands: &str, mut at: impl FnMut(&str)) -> Vec<Value> {
    let modules = part("node/node_modules/");
    let mut command = Command::new("node");
    command
        .arg(repository().join("crates/gantral/tests/browser").join(script))
        .arg(modules)
        .args([url, hands]);
    if let Some(pictures) = std::env::var_os("GANTRAL_PICTURES") {
        command.arg(pictures);
    }
    let mut child = command.stdout(Stdio::piped()).spawn().expect("this test needs node");
    let mut seen: Vec<Value> = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let what: Value = serde_json::from_str(&line.unwrap()).unwrap();
        if what["failed"].is_null()
            && let Some(place) = what["at"].as_str().filter(|_| what["impact"].is_null())
        {
            at(place);
        }
        seen.push(what);
    }
    assert!(child.wait().unwrap().success(), "{seen:?}");
    seen
}

/// Demands that they came to the end, and that nothing was wrong with any page.
#[track_caller]
pub fn nothing_wrong(seen: &[Value]) {
    let wrong: Vec<&Value> = seen
        .iter()
        .filter(|what| {
            ["failed", "broken", "elsewhere", "impact", "wider"].iter().any(|word| !what[word].is_null())
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(seen.iter().any(|what| what["done"] == true), "{seen:?}");
}

#[test]
fn person_sees_a_refund_come_changes_it_and_the_agent_goes_on() {
    let mut world = World::start();
    world.apply(AGENT, "1m");
    world.start_runner();
    let mut id = String::new();
    let seen = work(world.url(), "mouse", || id = world.create());
    nothing_wrong(&seen);
    let looked: Vec<&str> = seen.iter().filter_map(|what| what["looked"].as_str()).collect();
    let expected =
        ["login", "inbox", "gate", "gate-unfolded", "changes", "decided", "execution", "executions", "help"];
    assert_eq!(looked, expected);
    world.reach(&id, "COMPLETED");
    assert!(world.text("approved.json").contains("480") && !world.text("approved.json").contains("4800"));
    world.verified(&id, "story.gantral").status(0);
}

#[test]
fn person_without_a_mouse_does_the_same() {
    let mut world = World::start();
    world.apply(AGENT, "1m");
    world.start_runner();
    let mut id = String::new();
    nothing_wrong(&work(world.url(), "keyboard", || id = world.create()));
    world.reach(&id, "COMPLETED");
}

#[test]
fn person_of_a_real_provider_logs_in_and_does_the_same() {
    let site = Followed::new();
    let (_server, url) = site.serve();
    let script = site.path("agent.sh");
    std::fs::write(&script, AGENT).unwrap();
    apply(&site, &url, &["sh", script.to_str().unwrap()]);
    let _runner = start_runner(&site, &url);
    let mut id = String::new();
    let create = || id = ran(agent(&site, &url).args(["instances", "create", "refund"])).status(0).word();
    nothing_wrong(&work(&url, "provider", create));
    let shown = ran(agent(&site, &url).args(["instances", "show", &id, "--json"])).status(0).json();
    assert_eq!(shown["state"], "COMPLETED", "{shown}");
    // Whom the provider vouched for decided, and the server says so; nobody's session is left behind.
    let export = ["evidence", "export", &id, "--output", "story.gantral"];
    ran(agent(&site, &url).args(export)).status(0);
    let verified = ["verify", "story.gantral", "--trust", "trust.json", "--json"];
    let report = crate::support::run(&site.path(""), &verified).status(0).data;
    assert!(report.contains("operator") && !report.contains("development"), "{report}");
}

/// What came back of one request: its status, where it leads, the cookies that it sets, and its text.
struct Came {
    status: u16,
    location: String,
    cookies: Vec<String>,
    text: String,
}

fn fetch(url: &str, cookie: &str) -> Came {
    let answer = curl(&["--include", "--cookie", cookie, url]);
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let headers = |name: &str| {
        let name = format!("{name}: ");
        head.lines().filter_map(move |line| line.strip_prefix(&name).map(str::to_owned)).collect::<Vec<_>>()
    };
    Came {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        location: headers("location").pop().unwrap_or_default(),
        cookies: headers("set-cookie"),
        text: text.to_owned(),
    }
}

/// Begins a login; returns the cookie of the browser, and the state that the provider would repeat.
fn begin(url: &str, issuer: &str) -> (String, String) {
    let came = fetch(&format!("{url}/console/login/provider?issuer={issuer}"), "");
    assert_eq!(came.status, 303, "{}", came.text);
    let query = came.location.split_once('?').unwrap().1;
    let member = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(name)).unwrap().to_owned();
    assert_eq!(member("code_challenge_method="), "S256");
    assert!(!member("nonce=").is_empty() && query.contains("redirect_uri=http%3A%2F%2F127.0.0.1"));
    (came.cookies[0].split(';').next().unwrap().to_owned(), member("state="))
}

#[test]
fn answer_to_another_login_browser_or_provider_lets_nobody_in() {
    let mut site = Followed::new();
    let (_server, url) = site.serve();
    let issuer = site.provider.issuer.clone();
    let (cookie, state) = begin(&url, &issuer);
    let (other_cookie, _) = begin(&url, &issuer);
    let back = |query: &str, cookie: &str| fetch(&format!("{url}/console/callback?{query}"), cookie);
    let hostile = "error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E%E2%80%AEyes";
    for (query, cookie, why) in [
        (format!("state={state}&code=x&iss={issuer}"), "", "no login that this browser began"),
        (
            format!("state={state}&code=x&iss={issuer}"),
            other_cookie.as_str(),
            "no login that this browser began",
        ),
        (format!("state=guessed&code=x&iss={issuer}"), &cookie, "no login that this browser began"),
        ("code=x".to_owned(), &cookie, "no login that this browser began"),
        (format!("state={state}&code=x&iss=https://evil.example"), &cookie, "of another issuer"),
        (format!("state={state}&code=x"), &cookie, "of another issuer"),
        (format!("state={state}&code=guessed&iss={issuer}"), &cookie, "it refuses: `invalid_grant`"),
        (format!("state={state}&iss={issuer}"), &cookie, "is not one with a code"),
        (format!("state={state}&iss={issuer}&{hostile}"), &cookie, "access_denied"),
    ] {
        let came = back(&query, cookie);
        assert!(matches!(came.status, 403 | 503), "{query}: {}", came.status);
        assert!(came.text.contains(why), "{query}: {}", came.text);
        assert!(!came.text.contains("<script>alert") && !came.text.contains('\u{202e}'), "{query}");
        let session = came.cookies.iter().find(|cookie| cookie.starts_with("gantral="));
        assert_eq!(session, None, "{query}");
    }
    let unknown = fetch(&format!("{url}/console/login/provider?issuer=https://evil.example"), "");
    assert_eq!((unknown.status, unknown.location.as_str()), (400, ""));
    let elsewhere = fetch(&format!("{url}/console/login?return=https://evil.example"), "");
    assert!(!elsewhere.text.contains("evil.example"));
    let log = std::fs::read_to_string(site.path("server.log")).unwrap();
    assert!(!log.contains(&state) && !log.contains("guessed"), "{log}");
    // What the provider says of itself is remembered for a while; what it would exchange is not.
    site.provider.stop();
    let (cookie, state) = begin(&url, &issuer);
    let came = back(&format!("state={state}&code=x&iss={issuer}"), &cookie);
    assert_eq!(came.status, 503);
    assert!(came.text.contains("no connection") && came.text.contains("Log in at"), "{}", came.text);
}

//! People who log in at a real identity provider, with a real browser.

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::provider::{Followed, curl};
use crate::support::{Killed, Ran, gantral};

/// A server that follows a provider, and the home of somebody who logs in there.
struct Place {
    site: Followed,
    _server: Killed,
    url: String,
    /// Everything that was ever said, on whatever output.
    said: std::cell::RefCell<String>,
}

/// A login that waits for its browser.
struct Waiting {
    child: Child,
    talk: BufReader<std::process::ChildStderr>,
    heard: String,
}

impl Waiting {
    /// Reads what it says until a line begins with these words, and returns that line.
    fn line(&mut self, beginning: &str) -> String {
        loop {
            let mut line = String::new();
            assert_ne!(self.talk.read_line(&mut line).unwrap(), 0, "{}", self.heard);
            self.heard.push_str(&line);
            if line.starts_with(beginning) {
                return line.trim().to_owned();
            }
        }
    }

    fn ended(mut self) -> Ran {
        self.talk.read_to_string(&mut self.heard).unwrap();
        let ran = Ran::of(self.child.wait_with_output().unwrap());
        Ran { talk: self.heard, ..ran }
    }
}

impl Place {
    fn new() -> Self {
        let site = Followed::new();
        let (server, url) = site.serve();
        std::fs::create_dir(site.path("home")).unwrap();
        Self { site, _server: server, url, said: std::cell::RefCell::default() }
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = gantral(&self.site.path(""));
        command.args(arguments).env("HOME", self.site.path("home"));
        command
    }

    fn heard(&self, ran: Ran) -> Ran {
        self.said.borrow_mut().push_str(&format!("{}{}", ran.data, ran.talk));
        ran
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        self.heard(Ran::of(self.command(arguments).output().unwrap()))
    }

    fn begin(&self, arguments: &[&str]) -> Waiting {
        let mut command = self.command(&[&["login", "--url", &self.url], arguments].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let talk = BufReader::new(child.stderr.take().unwrap());
        Waiting { child, talk, heard: String::new() }
    }

    /// Logs in with the browser of this machine.
    fn login(&self, subject: &str) -> Ran {
        let mut waiting = self.begin(&[]);
        let address = waiting.line("http");
        let page = self.site.provider.browse(&address, subject, false);
        assert!(page.contains("You can close this page"), "{page}");
        self.heard(waiting.ended())
    }

    fn folder(&self) -> PathBuf {
        self.site.path("home/.config/gantral/logins")
    }

    fn file(&self) -> PathBuf {
        let files = std::fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path());
        files.filter(|path| path.extension().is_some_and(|e| e == "json")).last().unwrap()
    }

    fn kept(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.file()).unwrap()).unwrap()
    }

    /// Demands that no token of a login was ever said.
    fn nothing_leaked(&self, logins: &[Value]) {
        let said =
            self.said.borrow().clone() + &std::fs::read_to_string(self.site.path("server.log")).unwrap();
        for login in logins {
            for member in ["token", "refresh_token"] {
                assert!(!said.contains(login[member].as_str().unwrap()), "{member}: {said}");
            }
        }
    }
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn person_logs_in_with_a_browser_goes_on_after_the_token_is_over_and_logs_out() {
    let place = Place::new();
    place.site.provider.test("lifetime?seconds=1");
    let logged_in = place.login("ada").status(0);
    assert!(
        logged_in.data.contains("as Ada, a human of tenant acme; roles RISK_OFFICER; teams payments"),
        "{logged_in:?}"
    );
    let first = place.kept();
    assert_eq!((mode(&place.folder()), mode(&place.file())), (0o700, 0o600));

    // It is over. Four processes at once renew it, and take its refresh token once.
    std::thread::sleep(Duration::from_millis(1_100));
    place.site.provider.test("lifetime?seconds=300");
    let whoami =
        || place.command(&["whoami", "--json"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let running: Vec<Child> = (0..4).map(|_| whoami().unwrap()).collect();
    for child in running {
        let me = place.heard(Ran::of(child.wait_with_output().unwrap())).status(0).json();
        assert_eq!((me["display"].as_str(), me["tenant"].as_str()), (Some("Ada"), Some("acme")), "{me}");
        assert_eq!(me["credentials"], "your login");
    }
    assert_eq!(place.site.provider.test("refreshed"), 1);
    let second = place.kept();
    assert_ne!(first["refresh_token"], second["refresh_token"]);

    // Every command takes it, at the server that was named and at the one that is remembered.
    place.run(&["approvals", "ls", "--url", &place.url]).status(0);
    place.run(&["approvals", "ls"]).status(0);
    let shown = place.run(&["whoami"]).status(0);
    assert!(shown.data.contains("renewed by itself"), "{shown:?}");
    let elsewhere = place.run(&["approvals", "ls", "--url", "https://gantral.example.com"]).status(1);
    assert!(elsewhere.talk.contains("gantral login --url https://gantral.example.com"), "{elsewhere:?}");

    // After the logout neither this machine nor the provider knows it.
    place.run(&["logout"]).status(0);
    let left = std::fs::read_dir(place.folder()).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(left.filter(|path| path.extension().is_some_and(|e| e == "json")).count(), 0);
    let refused = place.run(&["approvals", "ls", "--url", &place.url]).status(1);
    assert!(refused.talk.contains("no token for"), "{refused:?}");
    place.run(&["logout"]).status(1);
    let token = second["refresh_token"].as_str().unwrap();
    let form = format!("grant_type=refresh_token&client_id=gantral-cli&refresh_token={token}");
    let answer = curl(&["-d", &form, &format!("{}/token", place.site.provider.issuer)]);
    assert!(answer.contains("invalid_grant"), "{answer}");
    place.nothing_leaked(&[first, second]);
}

#[test]
fn person_without_a_browser_here_types_a_code_elsewhere_and_may_say_no() {
    let place = Place::new();
    let mut waiting = place.begin(&["--device", "--json"]);
    let address = waiting.line("or open ");
    let page = place.site.provider.browse(address.trim_start_matches("or open "), "pia", false);
    assert!(page.contains("Sign-in Success"), "{page}");
    let logged_in = place.heard(waiting.ended()).status(0).json();
    assert_eq!(
        (logged_in["me"]["display"].as_str(), logged_in["url"].as_str()),
        (Some("Pia"), Some(&*place.url))
    );
    place.run(&["issuers", "ls"]).status(0);
    let kept = place.kept();

    let mut waiting = place.begin(&["--device"]);
    let address = waiting.line("or open ");
    place.site.provider.browse(address.trim_start_matches("or open "), "pia", true);
    let refused = place.heard(waiting.ended()).status(1);
    assert!(refused.talk.contains("`access_denied`"), "{refused:?}");
    assert_eq!(place.kept(), kept, "the login of before stays");
    place.nothing_leaked(&[kept]);
}

#[test]
fn only_the_browser_that_was_sent_ends_the_wait() {
    let place = Place::new();
    let mut waiting = place.begin(&[]);
    let address = waiting.line("http");
    let (_, redirect) = address.split_once("redirect_uri=").unwrap();
    let redirect = redirect.split('&').next().unwrap().replace("%3A", ":").replace("%2F", "/");
    for query in ["?code=stolen&state=guessed", "?error=access_denied", "?code=stolen", "/../etc/passwd"] {
        let page = curl(&[&format!("{redirect}{query}")]);
        assert!(page.contains("not the answer to a login"), "{page}");
    }
    place.site.provider.browse(&address, "otto", false);
    let logged_in = place.heard(waiting.ended()).status(0);
    assert!(logged_in.data.contains("as Otto"), "{logged_in:?}");
}

#[test]
fn login_that_the_provider_or_the_disk_no_longer_vouches_for_is_asked_for_again() {
    let mut place = Place::new();
    place.site.provider.test("lifetime?seconds=1");
    place.login("ada").status(0);
    let (spent, file) = (std::fs::read(place.file()).unwrap(), place.file());
    std::thread::sleep(Duration::from_millis(1_100));
    place.run(&["whoami"]).status(0);
    let renewed = place.kept();

    // A refresh token that was taken already, from a copy: the provider refuses it, and ends the whole login.
    std::fs::write(&file, &spent).unwrap();
    let refused = place.run(&["whoami"]).status(1);
    assert!(
        refused.talk.contains("`invalid_grant`") && refused.talk.contains("gantral login --url"),
        "{refused:?}"
    );

    // A file that others may read is not used.
    place.site.provider.test("lifetime?seconds=300");
    place.login("ada").status(0);
    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o644)).unwrap();
    let refused = place.run(&["whoami"]).status(1);
    assert!(refused.talk.contains("others may read it"), "{refused:?}");
    place.login("ada").status(0);
    assert_eq!(mode(&file), 0o600);

    // A provider that is away stops nobody whose token is good.
    place.site.provider.stop();
    place.run(&["whoami"]).status(0);
    let told = place.run(&["logout"]).status(0);
    assert!(told.talk.contains("was not told"), "{told:?}");
    place.nothing_leaked(&[renewed, serde_json::from_slice(&spent).unwrap()]);
}

#[test]
fn server_that_names_no_provider_says_so() {
    let world = crate::support::World::start();
    let home = world.path("home");
    let ran = gantral(world.folder()).args(["login", "--url", world.url()]).env("HOME", &home).output();
    let refused = Ran::of(ran.unwrap()).status(1);
    assert!(refused.talk.contains("names no provider to log in with"), "{refused:?}");
}

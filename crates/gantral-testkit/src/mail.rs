//! A mail server for tests: aiosmtpd, with TLS, a login, and answers that a test chooses.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::part;

const SCRIPT: &str = include_str!("mail_server.py");
/// As whom one logs in.
pub const MAIL_USER: &str = "gantral";
/// And by what.
pub const MAIL_PASSWORD: &str = "CANARY-of-the-mail-server";

/// One mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TakenMail {
    /// From whom, as the envelope says.
    pub from: String,
    /// To whom, as the envelope says.
    pub to: Vec<String>,
    /// How the client greeted.
    pub hello: String,
    /// Headers and body.
    pub text: String,
    /// Whether it came over TLS.
    pub tls: bool,
    /// Whether the client had logged in.
    pub login: bool,
}

impl TakenMail {
    /// Returns the value of a header, with its folds undone.
    pub fn header(&self, name: &str) -> Option<String> {
        let head = self.text.split_once("\r\n\r\n").map_or(self.text.as_str(), |(head, _)| head);
        let unfolded = head.replace("\r\n ", " ");
        let found = unfolded.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        found.map(str::to_owned)
    }
}

/// A server that runs until it is dropped.
pub struct MailServer {
    /// Where it listens, on `127.0.0.1`.
    pub port: u16,
    folder: PathBuf,
    taken: Arc<Mutex<Vec<TakenMail>>>,
    child: Child,
}

impl Drop for MailServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl MailServer {
    /// Starts one with its files in this folder, on this port, or on a free one if it is 0. `tls` is `implicit`, `starttls` or `none`.
    ///
    /// # Panics
    /// When it cannot be started: the parts are installed by `cargo xtask parts`.
    pub fn start(folder: &Path, tls: &str, port: u16) -> Self {
        if !folder.join("mail.crt").exists() {
            certificate(folder);
        }
        let configured = json!({
            "port": port, "tls": tls, "user": MAIL_USER, "password": MAIL_PASSWORD,
            "certificate": folder.join("mail.crt"), "key": folder.join("mail.key"), "replies": folder.join("replies.json"),
        });
        let mut command = Command::new(part("mail/bin/python"));
        command.args(["-c", SCRIPT, &configured.to_string()]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("the mail server starts");
        let output = child.stdout.take().expect("the output is a pipe");
        let mut lines = BufReader::new(output).lines();
        let Some(port) = lines.next().and_then(Result::ok).and_then(|line| told_port(&line)) else {
            panic!("the mail server of the tests does not start");
        };
        let taken = Arc::<Mutex<Vec<TakenMail>>>::default();
        let keep = Arc::clone(&taken);
        std::thread::spawn(move || {
            for mail in lines.map_while(Result::ok).filter_map(|line| told_mail(&line)) {
                keep.lock().expect("nobody panics with the list").push(mail);
            }
        });
        Self { port, folder: folder.to_owned(), taken, child }
    }

    /// Returns the authority of its certificate, which is for `localhost`.
    pub fn ca_file(&self) -> PathBuf {
        self.folder.join("mail.crt")
    }

    /// Answers so at a step, `rcpt` or `data`, from now on; takes everything without one.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn answer(&self, step: Option<(&str, &str)>) {
        let replies = step.map_or_else(|| json!({}), |(step, answer)| json!({step: answer}));
        let (path, fresh) = (self.folder.join("replies.json"), self.folder.join("replies.fresh"));
        std::fs::write(&fresh, replies.to_string()).expect("the folder can be written");
        std::fs::rename(fresh, path).expect("the folder can be written");
    }

    /// Returns what it took, in order.
    ///
    /// # Panics
    /// Never.
    pub fn taken(&self) -> Vec<TakenMail> {
        self.taken.lock().expect("nobody panics with the list").clone()
    }
}

fn told_port(line: &str) -> Option<u16> {
    let told: Value = serde_json::from_str(line).ok()?;
    u16::try_from(told.get("port")?.as_u64()?).ok()
}

fn told_mail(line: &str) -> Option<TakenMail> {
    let told: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| Some(told.get(name)?.as_str()?.to_owned());
    let to = told.get("to")?.as_array()?.iter().filter_map(|to| Some(to.as_str()?.to_owned()));
    Some(TakenMail {
        from: text("from")?,
        to: to.collect(),
        hello: text("hello")?,
        text: text("text")?,
        tls: told.get("tls")?.as_bool()?,
        login: told.get("login")?.as_bool()?,
    })
}

/// Makes a certificate for `localhost` that is its own authority.
fn certificate(folder: &Path) {
    let mut openssl = Command::new("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]);
    openssl.args(["-days", "2", "-keyout", "mail.key", "-out", "mail.crt", "-subj", "/CN=localhost"]);
    openssl.args([
        "-addext",
        "subjectAltName=DNS:localhost",
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    let made = openssl.current_dir(folder).output().expect("this test needs openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

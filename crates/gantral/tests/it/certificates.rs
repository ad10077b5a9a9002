//! Certificates of clients, before `gantral serve`: who has to show one, and what comes of none, of a stranger's and of one that has ended.

use std::path::PathBuf;
use std::process::Command;

use gantral_testkit::certificates::Authority;

use crate::serve::Site;
use crate::support::{Killed, Ran, part, repository};

/// A server that asks for certificates of an authority, and clients of it and of another one.
struct Asking {
    site: Site,
    clients: Authority,
    strangers: Authority,
    _server: Killed,
    url: String,
}

impl Asking {
    fn of(who: &str) -> Self {
        let (site, clients, strangers) = (Site::new(), Authority::new(), Authority::new());
        clients.issue("agent");
        clients.issue_ended("former");
        strangers.issue("agent");
        let file = site.path("gantral.toml");
        let authorities = clients.path("ca.pem");
        let asks = format!("[tls]\nclient_ca = '{}'\nclient_certificates = '{who}'", authorities.display());
        let text = std::fs::read_to_string(&file).unwrap().replace("[tls]", &asks);
        std::fs::write(&file, text).unwrap();
        let (server, url) = site.serve();
        Self { site, clients, strangers, _server: server, url }
    }

    /// Runs a command as a client of the provider, without a certificate.
    fn run(&self, client: &str, arguments: &[&str]) -> Ran {
        self.site.run(&self.url, client, arguments)
    }

    /// Runs a command as a client of the provider, with the certificate of that name.
    fn run_showing(&self, of: &Authority, name: &str, client: &str, arguments: &[&str]) -> Ran {
        let [chain, key] = ["pem", "key"].map(|kind| of.path(&format!("{name}.{kind}")));
        let (chain, key) = (chain.to_str().unwrap(), key.to_str().unwrap());
        let shown = ["--certificate-file", chain, "--certificate-key-file", key];
        self.run(client, &[arguments, &shown].concat())
    }

    /// Asks with curl, without a certificate; returns the status, 000 where there is no answer.
    fn status(&self, path: &str, more: &[&str]) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "-o", "answer", "-w", "%{http_code}", "--cacert"]).arg(self.site.path("cert.pem"));
        curl.args(more).arg(format!("{}{path}", self.url)).current_dir(self.site.path(""));
        String::from_utf8(curl.output().unwrap().stdout).unwrap()
    }

    /// Runs a program of an agent in Python, which finds addresses and files in its environment.
    fn python(&self, program: &str) -> Ran {
        let named = |name: &str, path: PathBuf| (name.to_owned(), path);
        let mut python = Command::new(part("agents/bin/python"));
        python.args(["-c", program]).env_clear().env("URL", &self.url).current_dir(self.site.path(""));
        python.env("PYTHONPATH", repository().join("clients/python/src")).env("PYTHONDONTWRITEBYTECODE", "1");
        python.envs([
            named("TOKEN", self.site.path("refund-agent")),
            named("CA", self.site.path("cert.pem")),
            named("CERTIFICATE", self.clients.path("agent.pem")),
            named("KEY", self.clients.path("agent.key")),
        ]);
        Ran::of(python.output().unwrap())
    }

    fn apply(&self, shows: bool) {
        // Without the commands of a runner: these agents run themselves.
        let text = std::fs::read_to_string(repository().join("examples/split-agent/workflow.toml")).unwrap();
        let (before, after) = (text.find("[run]").unwrap(), text.find("[actions").unwrap());
        let policy = repository().join("policies/refunds");
        let text = format!("{}{}", &text[..before], &text[after..]);
        let text = text.replace("../../policies/refunds", policy.to_str().unwrap());
        std::fs::write(self.site.path("workflow.toml"), text).unwrap();
        let words = ["workflows", "apply", "workflow.toml"];
        if shows {
            self.run_showing(&self.clients, "agent", "console", &words).status(0);
        } else {
            self.run("console", &words).status(0);
        }
    }
}

/// Begins an attempt of an execution with a certificate, and prints its token.
const ATTACH: &str = "
import os, pathlib, gantral
env = os.environ
client = gantral.Gantral(env['URL'], token=pathlib.Path(env['TOKEN']), ca_file=env['CA'],
    certificate_file=env['CERTIFICATE'], certificate_key_file=env['KEY'])
instance = client.create('split-refund', input={'order': 'order/1001'})['instance']['instance_id']
attempt = client.attach(instance)
print(instance, attempt._token)
";

/// The same without a certificate.
const WITHOUT: &str = "
import os, pathlib, gantral
env = os.environ
client = gantral.Gantral(env['URL'], token=pathlib.Path(env['TOKEN']), ca_file=env['CA'])
try:
    client.create('split-refund', input={'order': 'order/1001'})
except gantral.GantralError as error:
    print(getattr(error, 'code', type(error).__name__))
";

const CREATE: [&str; 3] = ["instances", "create", "split-refund"];

#[test]
fn a_machine_without_a_certificate_has_a_token_for_nothing_and_people_need_none() {
    let asking = Asking::of("machines");
    // A probe, and a human, who has a browser and a second factor.
    assert_eq!(asking.status("/healthz", &[]), "200");
    asking.apply(false);

    let refused = asking.run("refund-agent", &CREATE).status(1);
    assert!(refused.talk.contains("[certificate_required]"), "{refused:?}");
    assert!(asking.python(WITHOUT).status(0).data.contains("certificate_required"));
    // One that is shown has to be good, whoever shows it.
    for (of, name) in [(&asking.strangers, "agent"), (&asking.clients, "former")] {
        for client in ["refund-agent", "console"] {
            let refused = asking.run_showing(of, name, client, &["instances", "ls"]).status(1);
            assert!(refused.talk.contains("[unreachable]"), "{refused:?}");
        }
    }
    asking.run_showing(&asking.clients, "agent", "refund-agent", &CREATE).status(0);

    // An attempt has a token for minutes, which only a machine with a certificate was given.
    let begun = asking.python(ATTACH).status(0);
    let (instance, token) = begun.data.trim().split_once(' ').unwrap();
    let (route, bearer) =
        (format!("/v1/instances/{instance}/fail"), format!("Authorization: Bearer {token}"));
    let headers = ["-H", &bearer, "-H", "Content-Type: application/json", "-H", "Idempotency-Key: one", "-d"];
    let status = asking.status(&route, &[&headers[..], &["{}"]].concat());
    assert_eq!(status, "200", "{}", std::fs::read_to_string(asking.site.path("answer")).unwrap());
}

#[test]
fn where_every_connection_needs_a_certificate_nothing_is_said_to_one_without() {
    let asking = Asking::of("required");
    assert_eq!(asking.status("/healthz", &[]), "000");
    for client in ["refund-agent", "console"] {
        let refused = asking.run(client, &["instances", "ls"]).status(1);
        assert!(refused.talk.contains("[unreachable]"), "{refused:?}");
    }
    assert!(asking.python(WITHOUT).status(0).data.contains("unreachable"));
    asking.apply(true);
    asking.run_showing(&asking.clients, "agent", "refund-agent", &CREATE).status(0);
    asking.python(ATTACH).status(0);
}

#[test]
fn a_certificate_that_cannot_be_shown_is_said_before_anything_is_asked() {
    let site = Site::new();
    let (missing, cert) = (site.path("missing.pem"), site.path("cert.pem"));
    for (file, expected) in [(&missing, "missing.pem` cannot be used"), (&cert, "as a client's certificate")]
    {
        let arguments = ["instances", "ls", "--certificate-file", file.to_str().unwrap()];
        let refused = site.run("https://127.0.0.1:1", "console", &arguments).status(1);
        assert!(refused.talk.contains(expected), "{refused:?}");
    }
}

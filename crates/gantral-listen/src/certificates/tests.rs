use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use axum::Router;
use axum::routing::get;
use gantral_testkit::certificates::Authority;
use tokio::sync::watch;

use super::*;
use crate::{Listening, ServeLimits, serve};

/// A server of one authority that believes clients of another, and says what it was told of a connection.
struct Started {
    address: SocketAddr,
    servers: Authority,
    _stop: watch::Sender<bool>,
}

async fn started(clients: Option<(&Authority, bool)>) -> Started {
    let servers = Authority::new();
    servers.issue("server");
    let clients = clients.map(|(of, required)| ClientAuthorities { file: of.path("ca.pem"), required });
    let files = TlsFiles { clients, ..TlsFiles::new(servers.path("server.pem"), servers.path("server.key")) };
    let listening = Listening::bind("127.0.0.1:0".parse().unwrap(), Some(&files)).await.unwrap();
    let address = listening.address();
    let answer = async |Extension(shown): Extension<ClientCertificate>| format!("certificate {shown:?}");
    let (stop, stopped) = watch::channel(false);
    let limits = ServeLimits { connections_max: None, headers_within: LOOK_EVERY, drain: LOOK_EVERY };
    tokio::spawn(serve(Router::new().route("/", get(answer)), listening, limits, stopped));
    Started { address, servers, _stop: stop }
}

impl Started {
    /// Asks with the client of OpenSSL, which shows a certificate if it has one; returns what came back.
    async fn ask(&self, shows: Option<(&Authority, &str)>) -> String {
        let mut client = Command::new("openssl");
        client.args(["s_client", "-quiet", "-verify_return_error", "-connect", &self.address.to_string()]);
        client.arg("-CAfile").arg(self.servers.path("ca.pem"));
        if let Some((of, name)) = shows {
            client.arg("-cert").arg(of.path(&format!("{name}.pem")));
            client.arg("-key").arg(of.path(&format!("{name}.key")));
        }
        client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let asked = tokio::task::spawn_blocking(move || {
            let mut running = client.spawn().unwrap();
            // Who is refused may be gone before it has sent everything.
            let request = b"GET / HTTP/1.1\r\nhost: here\r\nconnection: close\r\n\r\n";
            let _ = running.stdin.as_mut().unwrap().write_all(request);
            String::from_utf8(running.wait_with_output().unwrap().stdout).unwrap()
        });
        asked.await.unwrap()
    }
}

#[tokio::test]
async fn where_a_certificate_is_required_only_good_ones_of_the_authority_are_answered() {
    let (clients, strangers) = (Authority::new(), Authority::new());
    clients.issue("agent");
    clients.issue_ended("former");
    strangers.issue("agent");
    let server = started(Some((&clients, true))).await;
    assert!(server.ask(Some((&clients, "agent"))).await.ends_with("certificate Shown"));
    for refused in [None, Some((&strangers, "agent")), Some((&clients, "former"))] {
        assert_eq!(server.ask(refused).await, "");
    }
}

#[tokio::test]
async fn where_one_is_asked_for_its_absence_is_told_and_a_wrong_one_refused() {
    let (clients, strangers) = (Authority::new(), Authority::new());
    clients.issue("agent");
    clients.issue_ended("former");
    strangers.issue("agent");
    let server = started(Some((&clients, false))).await;
    assert!(server.ask(None).await.ends_with("certificate Absent"));
    assert!(server.ask(Some((&clients, "agent"))).await.ends_with("certificate Shown"));
    for refused in [(&strangers, "agent"), (&clients, "former")] {
        assert_eq!(server.ask(Some(refused)).await, "");
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_asked_for_says_nothing() {
    let clients = Authority::new();
    clients.issue("agent");
    let server = started(None).await;
    assert!(server.ask(Some((&clients, "agent"))).await.ends_with("certificate NotAsked"));
    assert!(server.ask(None).await.ends_with("certificate NotAsked"));
}

/// Files that a server stands on, in one folder, so that they can be renewed one by one.
fn laid_out(into: &Path, servers: &Authority, clients: &Authority) -> TlsFiles {
    for (file, from) in [("server.pem", servers), ("server.key", servers), ("ca.pem", clients)] {
        fs::copy(from.path(file), into.join(file)).unwrap();
    }
    let clients = Some(ClientAuthorities { file: into.join("ca.pem"), required: true });
    TlsFiles { clients, ..TlsFiles::new(into.join("server.pem"), into.join("server.key")) }
}

#[tokio::test]
async fn renewed_files_are_in_force_once_all_of_them_are_there_and_not_before() {
    let (before, after) = (Authority::new(), Authority::new());
    before.issue("server");
    after.issue("server");
    let folder = tempfile::tempdir().unwrap();
    let mut certificates = Certificates::read(laid_out(folder.path(), &before, &before)).await.unwrap();
    let inner = |certificates: &Certificates| Arc::as_ptr(&certificates.config.get_inner());
    let first = inner(&certificates);
    assert!(!certificates.look().await.unwrap());

    // The certificate is renewed, and its key not yet.
    fs::copy(after.path("server.pem"), folder.path().join("server.pem")).unwrap();
    assert!(certificates.look().await.is_err());
    assert_eq!(inner(&certificates), first);
    fs::copy(after.path("server.key"), folder.path().join("server.key")).unwrap();
    assert!(certificates.look().await.unwrap());
    let second = inner(&certificates);
    assert_ne!(second, first);

    // Another authority of clients counts alone; a file without any changes nothing.
    fs::copy(after.path("ca.pem"), folder.path().join("ca.pem")).unwrap();
    assert!(certificates.look().await.unwrap());
    let third = inner(&certificates);
    assert_ne!(third, second);
    fs::write(folder.path().join("ca.pem"), "").unwrap();
    let refused = certificates.look().await.unwrap_err().to_string();
    assert!(refused.ends_with("ca.pem` cannot be used: it holds no certificate"), "{refused}");
    assert_eq!(inner(&certificates), third);
}

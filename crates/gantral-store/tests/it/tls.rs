//! Whom we believe to be the database, and what is told to anybody else: nothing.

use std::fs;
use std::net::TcpListener as Port;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use gantral_store::{ConnectError, Password, PostgresOptions, Store};
use gantral_testkit::cluster::Cluster;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::world::{Chain, tenant};

const PASSWORD: &str = "correct-horse-battery";

/// A folder of authorities and certificates.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn new() -> Self {
        let certificates = Self(tempfile::tempdir().unwrap());
        for authority in ["ours", "theirs"] {
            let make = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";
            certificates.openssl(&format!(
                "{make} -subj /CN={authority} -keyout {authority}.key -out {authority}.pem"
            ));
        }
        certificates
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        let made = command.args(arguments.split(' ')).current_dir(self.0.path()).output();
        assert!(made.is_ok(), "this test needs the openssl command");
        let made = made.unwrap();
        assert!(made.status.success(), "{arguments}: {}", String::from_utf8_lossy(&made.stderr));
    }

    /// Makes a certificate that our authority signs, for names as openssl writes them.
    fn make(&self, file: &str, subject: &str, names: &str, days: i32) {
        let key = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        self.openssl(&format!("{key} -subj /CN={subject} -keyout {file}.key -out {file}.csr"));
        let extensions = format!("subjectAltName={names}\nbasicConstraints=critical,CA:FALSE\n");
        fs::write(self.path(&format!("{file}.ext")), extensions).unwrap();
        self.openssl(&format!(
            "x509 -req -sha256 -in {file}.csr -CA ours.pem -CAkey ours.key -CAcreateserial -extfile {file}.ext -days {days} -out {file}.pem"
        ));
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }
}

/// A server that asks for a password, and its port.
fn server(certificate: Option<(&Certificates, &str)>, hba: &str) -> (Cluster, u16) {
    let port = Port::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut settings = vec!["listen_addresses=127.0.0.1"];
    if certificate.is_some() {
        settings.extend([
            "ssl=on",
            "ssl_cert_file=server.pem",
            "ssl_key_file=server.key",
            "ssl_ca_file=clients.pem",
        ]);
    }
    let cluster = Cluster::prepared(port, &settings, |data| {
        fs::write(data.join("pg_hba.conf"), format!("local all all trust\n{hba}\n")).unwrap();
        if let Some((certificates, file)) = certificate {
            fs::copy(certificates.path(&format!("{file}.pem")), data.join("server.pem")).unwrap();
            fs::copy(certificates.path(&format!("{file}.key")), data.join("server.key")).unwrap();
            fs::copy(certificates.path("ours.pem"), data.join("clients.pem")).unwrap();
            fs::set_permissions(data.join("server.key"), fs::Permissions::from_mode(0o600)).unwrap();
        }
    });
    (cluster, port)
}

/// Makes the role that logs in, with a database.
async fn prepare(cluster: &Cluster) {
    let raw = cluster.raw("postgres").await;
    raw.batch_execute(&format!("CREATE ROLE gantral LOGIN PASSWORD '{PASSWORD}'")).await.unwrap();
    raw.batch_execute("CREATE DATABASE ledger OWNER gantral").await.unwrap();
}

async fn open(address: &str) -> Result<Store, ConnectError> {
    let password = Some(Password::new(PASSWORD.to_owned()));
    Store::open_postgres(address, PostgresOptions { password, ..PostgresOptions::default() }).await
}

/// Stands between a client and a server, and remembers what the client says.
async fn overhear(server: u16) -> (u16, Arc<Mutex<Vec<u8>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (port, heard) = (listener.local_addr().unwrap().port(), Arc::new(Mutex::new(Vec::new())));
    let ears = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(("127.0.0.1", server)).await.unwrap();
            let ((mut up, mut down), (mut from, mut to)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from, &mut down).await });
            let ears = Arc::clone(&ears);
            tokio::spawn(async move {
                let mut bytes = [0; 4096];
                while let Ok(count @ 1..) = up.read(&mut bytes).await {
                    ears.lock().unwrap().extend_from_slice(&bytes[..count]);
                    if to.write_all(&bytes[..count]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    (port, heard)
}

fn holds(heard: &Mutex<Vec<u8>>, needle: &str) -> bool {
    heard.lock().unwrap().windows(needle.len()).any(|window| window == needle.as_bytes())
}

fn root(path: &Path) -> String {
    format!("sslrootcert={}", path.display())
}

#[tokio::test]
async fn a_server_is_told_who_we_are_when_it_has_proved_who_it_is_and_not_before() {
    let certificates = Certificates::new();
    certificates.make("good", "db", "DNS:db.example.com,IP:127.0.0.1", 2);
    let (cluster, server) = server(Some((&certificates, "good")), "hostssl all gantral all scram-sha-256");
    prepare(&cluster).await;
    let (port, heard) = overhear(server).await;
    let (ours, theirs) = (root(&certificates.path("ours.pem")), root(&certificates.path("theirs.pem")));
    let trusted = [
        format!("postgres://gantral@127.0.0.1:{port}/ledger?sslmode=verify-full&{ours}"),
        format!("postgresql://gantral@127.0.0.1:{port}/ledger?{ours}&sslmode=require&application_name=here"),
        // Naming an authority is asking for it.
        format!("postgres://gantral@127.0.0.1:{port}/ledger?{ours}"),
        // Whatever is called so is elsewhere, and need not be told to prove itself.
        format!("postgres://gantral@db.example.com:{port}/ledger?hostaddr=127.0.0.1&{ours}"),
        // What is said is bound to this connection, so that nobody can hand it on.
        format!("postgres://gantral@127.0.0.1:{port}/ledger?channel_binding=require&{ours}"),
    ];
    let mut chain = Chain::new(&tenant("acme"));
    for address in &trusted {
        let store = open(address).await.unwrap_or_else(|error| panic!("{address}: {error}"));
        chain.commit(&store, vec![]).await;
        let raw = cluster.raw("ledger").await;
        let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING(pid) WHERE usename = 'gantral' AND NOT ssl";
        assert_eq!(raw.query_one(plain, &[]).await.unwrap().get::<_, i64>(0), 0, "{address}");
    }
    assert!(!holds(&heard, "gantral") && !holds(&heard, PASSWORD));

    let refused = [
        (
            format!("127.0.0.1:{port}/ledger?sslmode=require&{theirs}"),
            "name the file of the one that has by `sslrootcert`",
        ),
        (format!("127.0.0.1:{port}/ledger?sslmode=verify-full"), "no authority that is believed"),
        (format!("localhost:{port}/ledger?{ours}"), "another name"),
        (format!("db2.example.com:{port}/ledger?hostaddr=127.0.0.1&{ours}"), "another name"),
        // Nobody has said anything about TLS, and the machine does not know the authority.
        (format!("db.example.com:{port}/ledger?hostaddr=127.0.0.1"), "no authority that is believed"),
    ];
    for (address, why) in &refused {
        let error = open(&format!("postgres://gantral@{address}")).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Untrusted { .. }) && error.to_string().contains(why),
            "{address}: {error}"
        );
    }
    assert!(!holds(&heard, "gantral") && !holds(&heard, PASSWORD), "somebody was told who we are");

    // Where it is asked for by its name, and only there, nothing is encrypted; this server then lets nobody in.
    let error =
        open(&format!("postgres://gantral@127.0.0.1:{port}/ledger?sslmode=disable")).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error}");
    assert!(holds(&heard, "gantral"));
}

#[tokio::test]
async fn a_certificate_that_has_expired_and_one_for_another_name_are_told_apart() {
    let certificates = Certificates::new();
    certificates.make("expired", "db", "IP:127.0.0.1", -1);
    certificates.make("other", "db", "DNS:other.example.com", 2);
    for (file, why) in [("expired", "expired"), ("other", "another name")] {
        let (_cluster, port) = server(Some((&certificates, file)), "host all all all scram-sha-256");
        let ours = root(&certificates.path("ours.pem"));
        let error = open(&format!("postgres://gantral@127.0.0.1:{port}/ledger?{ours}")).await.unwrap_err();
        assert!(
            matches!(error, ConnectError::Untrusted { .. }) && error.to_string().contains(why),
            "{file}: {error}"
        );
    }
}

#[tokio::test]
async fn a_server_without_tls_gets_no_password_unless_we_are_told_that_nobody_is_in_between() {
    // The worst that a server can ask for: the password itself.
    let (cluster, server) = server(None, "host all all all password");
    prepare(&cluster).await;
    let (port, heard) = overhear(server).await;
    for address in [
        format!("db.example.com:{port}/ledger?hostaddr=127.0.0.1"),
        format!("db.example.com:{port}/ledger?hostaddr=127.0.0.1&sslmode=require"),
        format!("127.0.0.1:{port}/ledger?sslmode=verify-full"),
    ] {
        let error = open(&format!("postgres://gantral@{address}")).await.unwrap_err();
        let told =
            matches!(error, ConnectError::Untrusted { .. }) && error.to_string().contains("sslmode=disable");
        assert!(told, "{address}: {error}");
    }
    let keywords = format!("host=db.example.com hostaddr=127.0.0.1 port={port} user=gantral dbname=ledger");
    assert!(matches!(open(&keywords).await.unwrap_err(), ConnectError::Untrusted { .. }));
    assert!(!holds(&heard, PASSWORD) && !holds(&heard, "gantral"));
    for address in [
        format!("db.example.com:{port}/ledger?hostaddr=127.0.0.1&sslmode=disable"),
        format!("127.0.0.1:{port}/ledger"),
        format!("localhost:{port}/ledger"),
    ] {
        open(&format!("postgres://gantral@{address}"))
            .await
            .unwrap_or_else(|error| panic!("{address}: {error}"));
    }
    open(&format!("{keywords} sslmode=disable")).await.unwrap();
    assert!(holds(&heard, PASSWORD));
}

#[tokio::test]
async fn a_server_that_wants_a_certificate_of_us_gets_it() {
    let certificates = Certificates::new();
    certificates.make("good", "db", "IP:127.0.0.1", 2);
    certificates.make("client", "gantral", "DNS:node-1.example.com", 2);
    let hba = "hostssl all gantral all cert";
    let (cluster, port) = server(Some((&certificates, "good")), hba);
    prepare(&cluster).await;
    let (ours, client) = (root(&certificates.path("ours.pem")), certificates.path("client"));
    let address = format!("postgres://gantral@127.0.0.1:{port}/ledger?{ours}");
    let with = format!("{address}&sslcert={0}.pem&sslkey={0}.key", client.display());
    let store = open(&with).await.unwrap();
    Chain::new(&tenant("acme")).commit(&store, vec![]).await;
    let error = open(&address).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Refused { .. }) && error.to_string().contains("certificate"),
        "{error}"
    );
}

#[tokio::test]
async fn an_address_that_asks_for_what_it_cannot_mean_is_refused_with_what_helps() {
    let empty = tempfile::NamedTempFile::new().unwrap();
    let empty = empty.path().display().to_string();
    for (query, why) in [
        ("sslmode=prefer".to_owned(), "say `verify-full`"),
        ("sslmode=allow".to_owned(), "say `verify-full`"),
        ("sslmode=verify-ca".to_owned(), "say `verify-full`"),
        ("sslmode=yes".to_owned(), "is one of"),
        ("sslmode=disable&sslmode=require".to_owned(), "`sslmode` is in it twice"),
        (format!("sslmode=disable&sslrootcert={empty}"), "leave one of them out"),
        (format!("sslrootcert={empty}"), "it holds no certificate"),
        ("sslrootcert=/nowhere/ca%20file.pem".to_owned(), "/nowhere/ca file.pem"),
        (format!("sslcert={empty}"), "give `sslkey`"),
        (format!("sslkey={empty}"), "give `sslcert`"),
    ] {
        let error = open(&format!("postgres://gantral@127.0.0.1:1/ledger?{query}")).await.unwrap_err();
        assert!(error.to_string().contains(why), "{query}: {error}");
    }
    let error = open(&format!("postgres://gantral:{PASSWORD}@127.0.0.1:1/ledger")).await.unwrap_err();
    assert!(
        error.to_string().contains("another one beside it") && !error.to_string().contains(PASSWORD),
        "{error}"
    );
    assert!(!format!("{:?}", Password::new(PASSWORD.to_owned())).contains(PASSWORD));
}

//! An authority of certificates for tests, made by the `openssl` command.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// What `openssl ca` must be told of where it keeps its books.
const BOOKS: &str = "[ca]\ndefault_ca = books\n[books]\ndatabase = index.txt\nrand_serial = yes\nnew_certs_dir = .\ndefault_md = sha256\npolicy = names\n\
                     [names]\ncommonName = supplied\n\
                     [leaf]\nbasicConstraints = critical,CA:FALSE\nsubjectAltName = IP:127.0.0.1\nextendedKeyUsage = serverAuth,clientAuth\n";
const CURVE: [&str; 5] = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/// An authority, in a folder of its own.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

impl Authority {
    /// Makes an authority, whose certificate is `ca.pem`.
    #[expect(clippy::new_without_default, reason = "it runs programs and writes files")]
    pub fn new() -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a folder") };
        std::fs::write(made.path("ca.cnf"), BOOKS).expect("a file");
        std::fs::write(made.path("index.txt"), "").expect("a file");
        let words = ["-x509", "-days", "2", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"];
        made.openssl(&[&["req"], &CURVE[..], &words[..]].concat());
        made
    }

    /// Returns where a file is: `ca.pem`, or one that was issued.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Issues a certificate for 127.0.0.1, for servers and clients: `NAME.pem` and `NAME.key`.
    pub fn issue(&self, name: &str) {
        self.sign(name, &["-days", "2"]);
    }

    /// Issues one that has ended.
    pub fn issue_ended(&self, name: &str) {
        self.sign(name, &["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"]);
    }

    fn sign(&self, name: &str, time: &[&str]) {
        let [request, key, certificate] = ["csr", "key", "pem"].map(|kind| format!("{name}.{kind}"));
        let subject = format!("/CN={name}");
        let words = ["-subj", &subject, "-keyout", &key, "-out", &request];
        self.openssl(&[&["req"], &CURVE[..], &words[..]].concat());
        let words = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
        let more = ["-extensions", "leaf", "-in", &request, "-out", &certificate];
        self.openssl(&[&words[..], time, &more[..]].concat());
    }

    fn openssl(&self, words: &[&str]) {
        let ran = Command::new("openssl").args(words).current_dir(self.folder.path()).output();
        let ran = ran.expect("this test needs the openssl command");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

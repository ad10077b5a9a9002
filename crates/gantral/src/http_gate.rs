//! What `proxy` and `authz` are told alike: which requests are governed, what policy hears of them, who may come, and where they listen.

use std::path::PathBuf;

use clap::Args;
use gantral_api::wire::text;
use gantral_http::choice::Choice;
use gantral_http::proxy::{ClientHeader, TlsFiles};
use gantral_http::rules::Rules;

use crate::failure::Failure;
use crate::interceptor;

/// How much of a file of rules is read, in bytes.
const RULES_BYTES_MAX: u64 = 256 << 10;

/// What help says about rules.
pub const RULES: &str = "\
Rules: `pass`, `ask` or `refuse`, methods, a path; the first that fits counts, and what none fits is asked for. Segments are plain,
`{name}` or `*`; `/**` at the end means everything below. `pass` goes on without Gantral; the path of an `ask` names the target.

    pass GET,HEAD /**
    refuse * /internal/**
    ask POST /orders/{order}/refunds";

/// Options of whatever governs requests.
#[derive(Debug, Args)]
pub struct GateArgs {
    /// The workflow that governs the requests
    #[arg(long, default_value = "http")]
    pub workflow: text::WorkflowId,
    /// Which requests are asked for, see below; may be given several times, and comes before those of the file
    #[arg(long = "rule", value_name = "RULE")]
    rules: Vec<String>,
    /// A file of rules, one a line
    #[arg(long = "rules", value_name = "FILE")]
    rules_file: Option<PathBuf>,
    /// A part of a request that policy is told: `header:NAME`, `query:NAME`, `body:/POINTER`
    #[arg(long = "attribute", value_name = "PART")]
    attributes: Vec<String>,
    /// The header that tells clients apart, whose value goes nowhere; `Authorization` and `Cookie` when absent
    #[arg(long, value_name = "NAME")]
    client_header: Option<String>,
    /// The certificate chain, PEM, leaf first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_certificate: Option<PathBuf>,
    /// The private key of the certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_certificate")]
    tls_key: Option<PathBuf>,
    /// Where it is kept who this is, and what waits, for the owner alone; one for each process
    #[arg(long, value_name = "DIR")]
    pub spool: Option<PathBuf>,
}

impl GateArgs {
    /// Reads the rules.
    pub fn rules(&self) -> Result<Rules, Failure> {
        let file = match &self.rules_file {
            Some(path) => {
                let failed = |error: std::io::Error| Failure::file("read", path, &error);
                if std::fs::metadata(path).map_err(failed)?.len() > RULES_BYTES_MAX {
                    return Err(Failure::new(format!(
                        "`{}` is larger than any file of rules",
                        path.display()
                    )));
                }
                std::fs::read_to_string(path).map_err(failed)?
            }
            None => String::new(),
        };
        Rules::parse(self.rules.iter().map(String::as_str).chain(file.lines())).map_err(said)
    }

    /// Reads what is chosen.
    pub fn choice(&self) -> Result<Choice, Failure> {
        Choice::parse(self.attributes.iter().map(String::as_str)).map_err(said)
    }

    /// Reads what tells clients apart.
    pub fn client_header(&self) -> Result<Option<ClientHeader>, Failure> {
        self.client_header.as_deref().map(ClientHeader::parse).transpose().map_err(said)
    }

    /// Returns certificate and key.
    pub fn tls(&self) -> Option<TlsFiles> {
        let files = self.tls_certificate.clone().zip(self.tls_key.clone());
        files.map(|(certificate, key)| TlsFiles::new(certificate, key))
    }
}

/// Reads a token, if a file is named.
pub fn token(path: Option<&std::path::Path>) -> Result<Option<String>, Failure> {
    path.map(interceptor::token).transpose()
}

/// Says what is wrong.
pub fn said(error: impl std::fmt::Display) -> Failure {
    Failure::new(error.to_string())
}

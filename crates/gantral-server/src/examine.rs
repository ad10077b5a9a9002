//! What is wrong with a deployment, found by reading the configuration that `gantral serve` reads and looking at everything that it names.
//!
//! Nothing is changed: no schema is made, no key, no object. A server may run meanwhile. Every check is made, whatever the others find.

mod keys;
mod ledger;
mod others;

use std::path::Path;
use std::time::Duration;

use gantral_core::ids::TenantId;

use crate::listen::listen;
use crate::settings::Settings;

/// How long a check that asks somebody else may take.
const WITHIN: Duration = Duration::from_secs(10);
/// The least that should be free on the disk of the data folder, in bytes: a write-ahead log of 64 MiB, several times.
const FREE_BYTES_MIN: u64 = 1 << 30;

/// How one check went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Examined {
    /// What was looked at.
    pub check: &'static str,
    /// What was seen.
    pub detail: String,
    /// What to do about it; `None` where all is well.
    pub remedy: Option<String>,
}

impl Examined {
    fn good(check: &'static str, detail: impl Into<String>) -> Self {
        Self { check, detail: detail.into(), remedy: None }
    }

    fn bad(check: &'static str, detail: impl ToString, remedy: impl Into<String>) -> Self {
        Self { check, detail: detail.to_string(), remedy: Some(remedy.into()) }
    }

    /// Tells whether all is well.
    pub const fn is_good(&self) -> bool {
        self.remedy.is_none()
    }
}

/// Looks at everything that a configuration names.
pub async fn examine(settings: &Settings) -> Vec<Examined> {
    let mut found = sections(settings);
    found.push(tls(settings).await);
    found.push(disk(&settings.data));
    found.extend(ledger::ledger(settings).await);
    found.extend(keys::keys(&settings.data).await);
    found.extend(others::issuers(settings).await);
    found.extend(others::evaluators(settings).await);
    found.extend(others::witnesses(settings).await);
    found.extend(others::archive(settings).await);
    found
}

/// Reads what each section says, as a start does.
fn sections(settings: &Settings) -> Vec<Examined> {
    let mut found = Vec::new();
    let mut tenants = Vec::new();
    for name in &settings.tenants {
        match TenantId::parse(name) {
            Ok(tenant) => tenants.push(tenant),
            Err(error) => {
                found.push(Examined::bad("tenants", format!("`{name}`: {error}"), "correct `tenants`"))
            }
        }
    }
    let read: [(&'static str, Result<(), String>); 8] = [
        ("policy", settings.policy.open().map(drop).map_err(|error| error.to_string())),
        ("signing", settings.policy.signing.open().map(drop).map_err(|error| error.to_string())),
        ("notifications", settings.notifications.open(&tenants).map(drop).map_err(|error| error.to_string())),
        ("four eyes", settings.four_eyes.open(&tenants).map(drop).map_err(|error| error.to_string())),
        ("delegations", settings.delegations.open().map(drop).map_err(|error| error.to_string())),
        ("limits", settings.limits.open(&tenants).map(drop).map_err(|error| error.to_string())),
        ("telemetry", settings.telemetry.open().map(drop).map_err(|error| error.to_string())),
        ("retention", settings.retention.open(&tenants).map(drop).map_err(|error| error.to_string())),
    ];
    for (check, read) in read {
        if let Err(why) = read {
            found.push(Examined::bad(
                check,
                why,
                "correct the member that is named, in the configuration or the environment",
            ));
        }
    }
    if found.is_empty() {
        let count = tenants.len();
        found.push(Examined::good(
            "configuration",
            format!("every section can be read; {count} tenants are served"),
        ));
    }
    found
}

/// Binds a free port of the address as the server would, with its certificate.
async fn tls(settings: &Settings) -> Examined {
    let address = std::net::SocketAddr::new(settings.listen.ip(), 0);
    let files = match settings.tls_files() {
        Ok(files) => files,
        Err(error) => {
            return Examined::bad("tls", error, "name the authorities, or ask nobody for a certificate");
        }
    };
    match listen(address, files.as_ref(), false).await {
        Ok(_) if settings.tls.is_some() => Examined::good("tls", "certificate and key fit each other"),
        Ok(_) => Examined::good("tls", format!("plain, on `{}` only", settings.listen.ip())),
        Err(error) => Examined::bad(
            "tls",
            error,
            "anything but loopback needs `tls`; the certificate is PEM, leaf first, and the key belongs to the leaf",
        ),
    }
}

fn disk(data: &Path) -> Examined {
    // A folder that is still to be made is on the disk of the one that it will be in.
    let there = data.ancestors().find(|folder| folder.exists()).unwrap_or(Path::new("/"));
    match rustix::fs::statvfs(there) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let detail = format!("{} MiB are free for `{}`", free >> 20, data.display());
            if free >= FREE_BYTES_MIN {
                Examined::good("disk", detail)
            } else {
                Examined::bad(
                    "disk",
                    detail,
                    "make room: a full disk stops every write until the server is started again",
                )
            }
        }
        Err(error) => Examined::bad(
            "disk",
            format!("`{}`: {error}", there.display()),
            "see to it that the folder can be read",
        ),
    }
}

//! The section `[store]` of the configuration: where the ledger is, and who opens it.

use std::path::{Path, PathBuf};

use gantral_notify::{SecretError, resolve_line};
use gantral_store::{CONNECTIONS, ConnectError, OpenError, Password, PostgresOptions, Store};
use serde::Deserialize;

use crate::backup::is_unfinished;

pub use gantral_store::LEDGER;

/// How an address begins.
const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];
/// How many connections a server may keep: two, so that a write never waits for whoever reads beside it; and no more than help, since each is a
/// process of the database server.
const CONNECTIONS_RANGE: std::ops::RangeInclusive<usize> = 2..=200;

/// The section `[store]`. Without it the ledger is a SQLite file in the data folder, for one server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSettings {
    /// A PostgreSQL database, for any number of servers: `postgres://user@host:port/database`. Never with a password.
    pub url: String,
    /// Where the password is: `env:NAME` or `file:/path`.
    #[serde(default)]
    pub password: Option<String>,
    /// How many connections this server keeps at most; 16 when absent.
    #[serde(default)]
    pub connections: Option<usize>,
}

/// Why the ledger is not open. `store.…` names the member of the configuration.
#[derive(Debug, thiserror::Error)]
pub enum StoreSettingsError {
    /// Not an address of a database that serves.
    #[error(
        "`store.url` is no `postgres://user@host:port/database`; without a store the ledger is the file `ledger.db` in the folder `data`"
    )]
    Scheme,
    /// A password where everybody may read it. It is not repeated.
    #[error(
        "`store.url` holds a password, which belongs elsewhere: take it out, and say `password = \"env:NAME\"` or `\"file:/path\"` beside the url"
    )]
    PasswordInUrl,
    /// It is not said who logs in, where or into what.
    #[error("`store.url` names no {what}: write it as `postgres://user@host:port/database`")]
    Unnamed {
        /// What is missing.
        what: &'static str,
    },
    /// The password cannot be had.
    #[error("`store.password`: {0}")]
    Password(#[from] SecretError),
    /// Too few connections, or too many.
    #[error("`store.connections` is {found}, and must be from {least} to {most}", least = CONNECTIONS_RANGE.start(), most = CONNECTIONS_RANGE.end())]
    Connections {
        /// As it was written.
        found: usize,
    },
    /// The database is not open.
    #[error("`store.url`: {error}{remedy}", remedy = remedy(.error))]
    Connect {
        /// Why.
        error: ConnectError,
    },
    /// The file is not open.
    #[error(transparent)]
    File(#[from] OpenError),
    /// A server would begin a ledger of its own beside what a backup that was cut off has left.
    #[error("`{path}` is a backup that was not finished: restore one that `gantral store check` finds whole", path = .0.display())]
    Unfinished(PathBuf),
}

/// Says what helps, where the error itself does not.
fn remedy(error: &ConnectError) -> &'static str {
    match error {
        ConnectError::Unreachable { .. } => "; is it running there, and may this machine connect to it?",
        ConnectError::Refused { .. } => {
            "; the role, its password (`store.password`) and the database must be as the server knows them"
        }
        ConnectError::NotDurable { .. } => "; what is answered must survive a power failure",
        ConnectError::Foreign { .. } => "; name a database in which nobody else uses that schema",
        ConnectError::OtherSchema { .. } => {
            "; all servers upon one database must be of releases that belong together"
        }
        _ => "",
    }
}

impl StoreSettings {
    /// Opens the database.
    ///
    /// # Errors
    /// `StoreSettingsError`, naming member and remedy.
    pub async fn open(&self) -> Result<Store, StoreSettingsError> {
        let (url, password) = self.access()?;
        let connections = self.connections.unwrap_or(CONNECTIONS);
        if !CONNECTIONS_RANGE.contains(&connections) {
            return Err(StoreSettingsError::Connections { found: connections });
        }
        let options = PostgresOptions { connections, password, ..PostgresOptions::default() };
        let opened = Store::open_postgres(&url, options).await;
        opened.map_err(|error| StoreSettingsError::Connect { error })
    }

    /// Returns the address, and the password from where it is.
    ///
    /// # Errors
    /// `StoreSettingsError`, naming member and remedy.
    pub(crate) fn access(&self) -> Result<(String, Option<Password>), StoreSettingsError> {
        self.check_url()?;
        Ok((self.url.clone(), resolve_password(self.password.as_deref())?))
    }

    /// Refuses what an address must not hold, and one that leaves to chance who logs in or into what.
    fn check_url(&self) -> Result<(), StoreSettingsError> {
        let rest = SCHEMES.iter().find_map(|scheme| self.url.strip_prefix(scheme));
        let rest = rest.ok_or(StoreSettingsError::Scheme)?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let said: Vec<&str> =
            query.split('&').map(|pair| pair.split_once('=').map_or(pair, |(key, _)| key)).collect();
        let (who, place) = place.rsplit_once('@').unwrap_or(("", place));
        if who.contains(':') || said.contains(&"password") {
            return Err(StoreSettingsError::PasswordInUrl);
        }
        let (host, database) = place.split_once('/').unwrap_or((place, ""));
        for (what, value, key) in
            [("user", who, "user"), ("host", host, "host"), ("database", database, "dbname")]
        {
            if value.is_empty() && !said.contains(&key) {
                return Err(StoreSettingsError::Unnamed { what });
            }
        }
        Ok(())
    }
}

/// Reads the password that a reference (`env:NAME`, `file:/path`) names, if there is one.
///
/// # Errors
/// `SecretError`.
pub(crate) fn resolve_password(reference: Option<&str>) -> Result<Option<Password>, SecretError> {
    let line = reference.map(|reference| resolve_line(reference, |name| std::env::var_os(name)));
    Ok(line.transpose()?.map(Password::new))
}

/// Opens the ledger: the database that is configured, or the file in the data folder, which must exist.
///
/// # Errors
/// `StoreSettingsError`.
pub async fn open_store(settings: Option<&StoreSettings>, data: &Path) -> Result<Store, StoreSettingsError> {
    match settings {
        Some(settings) => settings.open().await,
        None if is_unfinished(data) => Err(StoreSettingsError::Unfinished(data.to_owned())),
        None => Ok(Store::open_sqlite(&data.join(LEDGER))?),
    }
}

#[cfg(test)]
mod tests;

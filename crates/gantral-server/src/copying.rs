//! A ledger of one machine, moved into a PostgreSQL database: what `gantral-store` copies, proved as a server would prove it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use gantral_core::ids::TenantId;
use gantral_engine::Refold;
use gantral_keys::{KeyFolder, KeysError};
use gantral_log::folder::{FOLDER, Folder, Folders};
use gantral_log::objects::{Object, READ_ONLY, Shelf as _};
use gantral_log::regrow::{self, Regrowth};
use gantral_notify::SecretError;
use gantral_store::{ChainId, CommittedArtifact, CopiedChain, CopiedObject, Copy, CopyCheck, LogRow};

use crate::keys::log_of;
use crate::store::{LEDGER, resolve_password};

pub use gantral_store::{ConnectError, Copied, CopiedTable, CopyError, CopyStep, OpenError};

/// Why a ledger was not copied.
#[derive(Debug, thiserror::Error)]
pub enum CopyLedgerError {
    /// Without its keys nobody can tell whether the ledger is what they signed.
    #[error("the keys by which the ledger is proved: {0}")]
    Keys(#[from] KeysError),
    /// A password where everybody on the machine may read it. It is not repeated.
    #[error(
        "the address holds a password, which everybody on this machine may read: take it out, and say where it is"
    )]
    PasswordInAddress,
    /// The password cannot be had.
    #[error("the password of the database: {0}")]
    Password(#[from] SecretError),
    /// It was not copied.
    #[error(transparent)]
    Copy(#[from] CopyError),
}

/// Which ledger is copied where.
#[derive(Debug)]
pub struct LedgerCopy<'a> {
    /// A data folder, or the ledger in it. The folder's keys prove the ledger, and its logs are compared with it; all of it is only read.
    pub from: &'a Path,
    /// The address of a database without a ledger.
    pub to: &'a str,
    /// Where the password of the role is that logs in there: `env:NAME` or `file:/path`.
    pub password: Option<&'a str>,
}

impl LedgerCopy<'_> {
    /// Returns the data folder, and the ledger in it.
    pub fn places(&self) -> (PathBuf, PathBuf) {
        if self.from.is_dir() {
            return (self.from.to_owned(), self.from.join(LEDGER));
        }
        let folder = self.from.parent().filter(|folder| !folder.as_os_str().is_empty());
        (folder.unwrap_or(Path::new(".")).to_owned(), self.from.to_owned())
    }

    /// Copies the ledger, folds every chain, and lets every log grow again, all before anybody sees the database change. `told` hears how far it
    /// is.
    ///
    /// # Errors
    /// `CopyLedgerError`; unless it is the `Unknown` of a copy, the database is as it was.
    pub async fn run(&self, told: &mut (dyn FnMut(CopyStep<'_>) + Send)) -> Result<Copied, CopyLedgerError> {
        let (folder, ledger) = self.places();
        if !ledger.is_file() {
            return Err(CopyError::NoSource { path: ledger }.into());
        }
        if holds_password(self.to) {
            return Err(CopyLedgerError::PasswordInAddress);
        }
        let password = resolve_password(self.password)?;
        let mut proof = Proof::of(&folder, told)?;
        let copy = Copy { source: &ledger, target: self.to, password };
        Ok(gantral_store::copy(copy, &mut proof).await?)
    }
}

/// Tells whether a password stands in an address, as a URL or as keywords.
fn holds_password(address: &str) -> bool {
    let who = address.split_once("://").map(|(_, rest)| rest.rsplit_once('@').map_or("", |(who, _)| who));
    who.is_some_and(|who| who.contains(':')) || address.contains("password=")
}

/// What proves a ledger by the keys and the logs of a data folder.
pub(crate) struct Proof<'a> {
    chains: Refold,
    shelf: Folders,
    /// The logs that have begun to grow.
    logs: BTreeMap<TenantId, Regrowth<Folder>>,
    told: &'a mut (dyn FnMut(CopyStep<'_>) + Send),
}

impl<'a> Proof<'a> {
    /// Takes keys and logs of a folder, all of which are only read. `told` hears how far the proof is.
    ///
    /// # Errors
    /// `KeysError`.
    pub(crate) fn of(
        folder: &Path,
        told: &'a mut (dyn FnMut(CopyStep<'_>) + Send),
    ) -> Result<Self, KeysError> {
        let (issuers, delegations) = KeyFolder::issuers(folder)?;
        let shelf = Folders::new(&folder.join(FOLDER));
        Ok(Self { chains: Refold::new(issuers, delegations), shelf, logs: BTreeMap::new(), told })
    }
}

impl CopyCheck for Proof<'_> {
    fn told(&mut self, envelope: &[u8]) -> Result<(bool, [u8; 8]), String> {
        regrow::told(envelope)
    }

    fn chain(&mut self, chain: &CopiedChain) -> Result<(), String> {
        let CopiedChain { tenant, artifacts, instance, head, .. } = chain;
        let folded = match (chain.chain, instance) {
            (ChainId::Instance(_), Some(row)) => self.chains.instance(tenant, artifacts, row),
            (ChainId::Governance, _) => self.chains.governance(tenant, artifacts, *head),
            (ChainId::Instance(_), None) => return Err("it has no row in the index".to_owned()),
        };
        folded.map_err(|error| error.to_string())
    }

    fn log_name(&mut self, tenant: &TenantId) -> Result<String, String> {
        let origin = log_of(tenant).map_err(|error| error.to_string())?;
        self.logs.insert(tenant.clone(), Regrowth::new(self.shelf.log(&origin, READ_ONLY)));
        Ok(origin.to_string())
    }

    fn leaves(
        &mut self,
        tenant: &TenantId,
        artifacts: &[CommittedArtifact],
    ) -> Result<Vec<CopiedObject>, String> {
        let log = self.logs.get_mut(tenant).ok_or("it has not begun")?;
        Ok(named(log.take(artifacts)?))
    }

    fn log(&mut self, row: &LogRow) -> Result<Vec<CopiedObject>, String> {
        let log = self.logs.remove(&row.tenant).ok_or("it has not begun")?;
        Ok(named(log.finish(row)?))
    }

    fn step(&mut self, step: CopyStep<'_>) {
        (self.told)(step);
    }
}

fn named(objects: Vec<Object>) -> Vec<CopiedObject> {
    objects.into_iter().map(|Object { name, bytes }| (name, bytes)).collect()
}

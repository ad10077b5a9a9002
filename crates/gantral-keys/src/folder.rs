//! The keys of one server: which there are, which of them sign, and from and up to where in each log.
//!
//! All of it stands in `keys.json` of the data folder, which names no secret; private keys are files beside it, or stay in OpenBao.
//! A server holds the folder while it runs, and the keys change only while nobody does: what a key signed and where it
//! ends is then known. Source: `spec/keys.md`.

mod copying;
mod entry;
mod signing;
mod trust;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use gantral_core::ids::LogOrigin;
use gantral_evidence::keys::{KeyId, PublicKey};
use gantral_evidence::trust::KeyRole;

use crate::delegations::{Delegations, DelegationsError};
use crate::file::{FileError, replace_private, write_private};
use crate::local::{GenerateError, KeyFormatError, LocalSigner};
use crate::openbao::{OpenBaoConfig, OpenBaoError, OpenBaoSigner};
use crate::signer::Signer as _;

pub use entry::{Held, KeyEntry, LogIndex};
pub use signing::IssuerSigner;
pub use trust::{ExportError, TrustTerms, export_trust};

/// The file that says which keys there are.
const STATE_FILE: &str = "keys.json";
/// The file that whoever uses or changes the keys holds.
const LOCK_FILE: &str = "keys.lock";
/// How long a lock is waited for: a process that is just being started holds a copy of every file of the one that starts it, locks
/// included, until it has become its own program.
const LOCK_WAIT: Duration = Duration::from_millis(500);
const LOCK_PAUSE: Duration = Duration::from_millis(10);
/// The folder of delegations.
const DELEGATIONS: &str = "delegations";
/// The roles whose keys a server holds, and the files that their first keys are in.
const HELD_ROLES: [(KeyRole, &str); 2] = [(KeyRole::Issuer, "issuer.pk8"), (KeyRole::Log, "log.pk8")];

/// Why the keys of a folder cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// The folder has no keys yet.
    #[error("`{path}` has no keys", path = path.display())]
    Missing {
        /// The folder.
        path: PathBuf,
    },
    /// `keys.json` is not what it must be. Whoever edited it is at fault.
    #[error("`{path}`: {why}", path = path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A running server uses the keys, or another process changes them. Worth another try when it has ended.
    #[error("`{path}` is in use by another process", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A key file holds another key than `keys.json` says.
    #[error("`{path}` is not key `{key_id}`", path = path.display())]
    OtherKey {
        /// The file.
        path: PathBuf,
        /// The key that was expected.
        key_id: KeyId,
    },
    /// No key of this name.
    #[error("no key `{key_id}` here")]
    Unknown {
        /// The name.
        key_id: KeyId,
    },
    /// A compromise is never taken back, and never moved to a later place.
    #[error("key `{key_id}` is compromised from index {from} on already")]
    Compromised {
        /// The key.
        key_id: KeyId,
        /// From where on.
        from: u64,
    },
    /// A server holds no key of this role, or none in OpenBao.
    #[error("a key for `{}` is not held here in this way", .role.as_str())]
    Role {
        /// The role.
        role: KeyRole,
    },
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// OpenBao.
    #[error(transparent)]
    OpenBao(#[from] OpenBaoError),
    /// The delegations.
    #[error(transparent)]
    Delegations(#[from] DelegationsError),
    /// No key can be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// What was made is no key: a defect.
    #[error(transparent)]
    Format(#[from] KeyFormatError),
}

/// Where a new key is to be.
#[derive(Debug, Clone)]
pub enum NewKey {
    /// In a file of the folder.
    File,
    /// In OpenBao, where it exists already: its newest version. For the role `issuer` only, because a checkpoint has no delegates.
    OpenBao(OpenBaoConfig),
}

/// How far a log has come at a rotation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReach {
    /// The log.
    pub origin: LogOrigin,
    /// Its size: nothing that is signed from now on stands below.
    pub size: u64,
    /// Its size when everything that was signed until now is in it.
    pub through: u64,
}

/// The keys of one server, held so that nobody else changes them.
pub struct KeyFolder {
    path: PathBuf,
    entries: Vec<KeyEntry>,
    lock: Arc<File>,
}

impl KeyFolder {
    /// Opens the folder of a server that is about to run: makes what is missing, takes a key over that an earlier version made, and
    /// keeps others from changing it until the folder and every signer from it are dropped.
    ///
    /// # Errors
    /// `KeysError`.
    pub async fn serve(path: &Path) -> Result<Self, KeysError> {
        if !path.join(STATE_FILE).exists() {
            drop(Self::init(path, NewKey::File).await?);
        }
        let lock = lock(path, File::try_lock_shared)?;
        Self::read(path, lock)
    }

    /// Opens the folder to look at it. Takes no part in who may change it.
    ///
    /// # Errors
    /// `KeysError`; `Missing` when there are no keys.
    pub fn look(path: &Path) -> Result<Vec<KeyEntry>, KeysError> {
        entry::read(&path.join(STATE_FILE)).and_then(|entries| entries.ok_or_else(|| missing(path)))
    }

    /// Reads what proves the artifacts of a folder's ledger: its issuer key and those before it, and what they delegated. Changes nothing.
    ///
    /// # Errors
    /// `KeysError`; `Missing` when there are no keys.
    pub fn issuers(path: &Path) -> Result<(Vec<PublicKey>, Option<Arc<Delegations>>), KeysError> {
        let issuers = Self::look(path)?.into_iter().filter(|entry| entry.role == KeyRole::Issuer);
        let issuers: Vec<_> = issuers.map(|entry| entry.public_key).collect();
        let folder = path.join(DELEGATIONS);
        let delegations =
            if folder.is_dir() { Some(Arc::new(Delegations::open(&folder, &issuers)?)) } else { None };
        Ok((issuers, delegations))
    }

    /// Opens the folder to change it.
    ///
    /// # Errors
    /// `KeysError`; `InUse` while a server runs.
    pub fn change(path: &Path) -> Result<Self, KeysError> {
        if !path.join(STATE_FILE).exists() {
            return Err(missing(path));
        }
        Self::read(path, lock(path, File::try_lock)?)
    }

    /// Makes the first keys. Files of an earlier version that hold keys are taken over. Repeating it after a crash goes on;
    /// keys that there are stay as they are.
    ///
    /// # Errors
    /// `KeysError`; `InUse` while another process does the same.
    pub async fn init(path: &Path, issuer: NewKey) -> Result<Self, KeysError> {
        private_folder(path)?;
        let lock = Arc::new(lock(path, File::try_lock)?);
        if let Some(entries) = entry::read(&path.join(STATE_FILE))? {
            return Ok(Self { path: path.to_owned(), entries, lock });
        }
        let mut folder = Self { path: path.to_owned(), entries: Vec::new(), lock };
        for (role, name) in HELD_ROLES {
            let place = if role == KeyRole::Issuer { &issuer } else { &NewKey::File };
            let (public_key, held) = match place {
                NewKey::File => {
                    let signer = crate::file::load_or_generate(role, &path.join(name))?;
                    (signer.public_key().clone(), Held::File(name.to_owned()))
                }
                NewKey::OpenBao(config) => folder.find_in_openbao(role, config).await?,
            };
            folder.entries.push(KeyEntry::current(role, public_key, held));
        }
        folder.write()?;
        Ok(folder)
    }

    /// Returns the keys: of each role the current one and those before it.
    pub fn entries(&self) -> &[KeyEntry] {
        &self.entries
    }

    /// Returns the public keys of a role that signed before the current one.
    pub fn earlier(&self, role: KeyRole) -> Vec<PublicKey> {
        let earlier = self.entries.iter().filter(|entry| entry.role == role && entry.held.is_none());
        earlier.map(|entry| entry.public_key.clone()).collect()
    }

    /// Replaces the key of a role. The one before keeps its public part, valid up to where the logs have come; a private key in a
    /// file is removed, so that nobody signs with it again.
    ///
    /// # Errors
    /// `KeysError`; then the keys are as before, but for a private key that nothing refers to.
    pub async fn rotate(
        &mut self,
        role: KeyRole,
        new: &NewKey,
        reached: &[LogReach],
    ) -> Result<&KeyEntry, KeysError> {
        if !HELD_ROLES.iter().any(|(held, _)| *held == role) {
            return Err(KeysError::Role { role });
        }
        let (public_key, held) = match new {
            NewKey::File => self.make_file(role)?,
            NewKey::OpenBao(config) => self.find_in_openbao(role, config).await?,
        };
        if self.entries.iter().any(|entry| entry.public_key == public_key) {
            let why =
                format!("key `{}` signed here before: rotate it where it is held first", public_key.id());
            return Err(self.wrong(why));
        }
        let index = |at: fn(&LogReach) -> u64| {
            reached.iter().map(|log| LogIndex { log: Some(log.origin.clone()), index: at(log) }).collect()
        };
        let mut entries = self.entries.clone();
        let mut retired = None;
        for entry in entries.iter_mut().filter(|entry| entry.role == role && entry.held.is_some()) {
            retired = entry.held.take();
            entry.valid_until = index(|log| log.through);
        }
        let mut entry = KeyEntry::current(role, public_key, held);
        entry.valid_from = index(|log| log.size);
        entries.push(entry);
        self.replace(entries)?;
        if let Some(Held::File(name)) = retired {
            let path = self.path.join(name);
            // A second rotation that follows a crash finds it gone.
            match std::fs::remove_file(&path) {
                Err(source) if source.kind() != ErrorKind::NotFound => {
                    return Err(FileError::Write { path, source }.into());
                }
                _ => {}
            }
        }
        self.entries.last().ok_or_else(|| missing(&self.path))
    }

    /// Notes that a key was in other hands from an index of a log on, or of every log.
    ///
    /// # Errors
    /// `Unknown`; `Compromised` if it would take an earlier note back.
    pub fn revoke(&mut self, key_id: &KeyId, from: &LogIndex) -> Result<&KeyEntry, KeysError> {
        let mut entries = self.entries.clone();
        let unknown = KeysError::Unknown { key_id: *key_id };
        let at = entries.iter().position(|entry| entry.public_key.id() == *key_id).ok_or(unknown)?;
        if let Some(entry) = entries.get_mut(at) {
            let known = entry::of_log(&entry.compromised_from, from.log.as_ref());
            if let Some(known) = known.filter(|known| *known < from.index) {
                return Err(KeysError::Compromised { key_id: *key_id, from: known });
            }
            entry.compromised_from.retain(|index| index.log != from.log);
            entry.compromised_from.push(from.clone());
        }
        self.replace(entries)?;
        self.entries.get(at).ok_or_else(|| missing(&self.path))
    }

    fn make_file(&self, role: KeyRole) -> Result<(PublicKey, Held), KeysError> {
        let bytes = LocalSigner::generate()?;
        let signer = LocalSigner::from_pkcs8(role, &bytes)?;
        let id = signer.public_key().id().to_string();
        let name = format!("{}-{}.pk8", role.as_str(), id.get(..16).unwrap_or(&id));
        write_private(&self.path.join(&name), &bytes)?;
        Ok((signer.public_key().clone(), Held::File(name)))
    }

    async fn find_in_openbao(
        &self,
        role: KeyRole,
        config: &OpenBaoConfig,
    ) -> Result<(PublicKey, Held), KeysError> {
        if role != KeyRole::Issuer {
            return Err(KeysError::Role { role });
        }
        let signer = OpenBaoSigner::connect(role, config, None).await?;
        Ok((signer.public_key().clone(), Held::OpenBao(config.clone())))
    }

    fn read(path: &Path, lock: File) -> Result<Self, KeysError> {
        let entries = Self::look(path)?;
        Ok(Self { path: path.to_owned(), entries, lock: Arc::new(lock) })
    }

    fn replace(&mut self, entries: Vec<KeyEntry>) -> Result<(), KeysError> {
        let before = std::mem::replace(&mut self.entries, entries);
        self.write().inspect_err(|_| self.entries = before)
    }

    fn write(&self) -> Result<(), KeysError> {
        let bytes = entry::encode(&self.entries);
        // What could not be read again is not written.
        if !u64::try_from(bytes.len()).is_ok_and(|length| length <= entry::STATE_BYTES_MAX) {
            return Err(self.wrong(format!("would be larger than {} bytes", entry::STATE_BYTES_MAX)));
        }
        Ok(replace_private(&self.path.join(STATE_FILE), &bytes)?)
    }

    fn wrong(&self, why: String) -> KeysError {
        KeysError::State { path: self.path.join(STATE_FILE), why }
    }
}

fn missing(path: &Path) -> KeysError {
    KeysError::Missing { path: path.to_owned() }
}

fn lock(path: &Path, how: fn(&File) -> Result<(), TryLockError>) -> Result<File, KeysError> {
    let file = path.join(LOCK_FILE);
    let unusable = |source| FileError::Write { path: file.clone(), source };
    let mut options = OpenOptions::new();
    let opened =
        options.write(true).create(true).truncate(false).mode(0o600).open(&file).map_err(unusable)?;
    let until = Instant::now() + LOCK_WAIT;
    loop {
        match how(&opened) {
            Ok(()) => return Ok(opened),
            Err(TryLockError::WouldBlock) if Instant::now() < until => std::thread::sleep(LOCK_PAUSE),
            Err(TryLockError::WouldBlock) => return Err(KeysError::InUse { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(unusable(source).into()),
        }
    }
}

fn private_folder(path: &Path) -> Result<(), KeysError> {
    use std::os::unix::fs::DirBuilderExt as _;
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(|source| FileError::Write { path: path.to_owned(), source }.into())
}

#[cfg(test)]
mod tests;

//! `keys.json`: one entry for each key, closed members, checked whole when it is read.

use std::path::{Path, PathBuf};

use gantral_core::ids::LogOrigin;
use gantral_evidence::keys::PublicKey;
use gantral_evidence::trust::KeyRole;
use serde::{Deserialize, Serialize};

use super::{HELD_ROLES, KeysError};
use crate::file::{FileError, read_private_up_to};
use crate::openbao::{OPENBAO_TIMEOUT_DEFAULT, OpenBaoConfig};

/// The only format.
const FORMAT: &str = "gantral/keys/v1";
/// The largest file, in bytes: a hundred rotations with a thousand logs each.
pub(super) const STATE_BYTES_MAX: u64 = 32 << 20;

/// A place in one log, or in every log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogIndex {
    /// The log; `None`: every one.
    pub log: Option<LogOrigin>,
    /// The index of a leaf.
    pub index: u64,
}

/// Where a private key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Held {
    /// In a file of this name beside `keys.json`.
    File(String),
    /// In OpenBao.
    OpenBao(OpenBaoConfig),
}

/// One key of a server, current or earlier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyEntry {
    /// What it signs.
    pub role: KeyRole,
    /// The key.
    pub public_key: PublicKey,
    /// Where the private key is; `None` for a key that signs no more.
    pub held: Option<Held>,
    /// The first index of each log at which it is good; a log that is not named has no limit.
    pub valid_from: Vec<LogIndex>,
    /// The first index at which it is good no more.
    pub valid_until: Vec<LogIndex>,
    /// The first index at which it counts as compromised.
    pub compromised_from: Vec<LogIndex>,
}

impl KeyEntry {
    /// Returns from which index of a log on the key counts as compromised; `None` if it does not.
    pub fn compromised_in(&self, log: &LogOrigin) -> Option<u64> {
        of_log(&self.compromised_from, Some(log))
    }

    pub(super) fn current(role: KeyRole, public_key: PublicKey, held: Held) -> Self {
        let none = Vec::new;
        Self {
            role,
            public_key,
            held: Some(held),
            valid_from: none(),
            valid_until: none(),
            compromised_from: none(),
        }
    }

    /// Tells whether the key signs now.
    pub const fn is_current(&self) -> bool {
        self.held.is_some()
    }
}

/// Returns the limit that holds for a log: the narrowest of its own and that of every log. Without a log: that of every log.
pub(super) fn of_log(limits: &[LogIndex], log: Option<&LogOrigin>) -> Option<u64> {
    let holds = |limit: &&LogIndex| limit.log.is_none() || limit.log.as_ref() == log;
    limits.iter().filter(holds).map(|limit| limit.index).min()
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateFile {
    format: String,
    keys: Vec<EntryFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EntryFile {
    role: String,
    key_id: String,
    public_key: String,
    held: Option<HeldFile>,
    valid_from: Vec<IndexFile>,
    valid_until: Vec<IndexFile>,
    compromised_from: Vec<IndexFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct IndexFile {
    log: Option<String>,
    index: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum HeldFile {
    File(String),
    OpenBao(OpenBaoFile),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OpenBaoFile {
    url: String,
    mount: String,
    key: String,
    token_file: PathBuf,
    ca_file: Option<PathBuf>,
}

/// Reads the file; `None` when there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<KeyEntry>>, KeysError> {
    let bytes = match read_private_up_to(path, STATE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(FileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    decode(&bytes).map(Some).map_err(|why| KeysError::State { path: path.to_owned(), why })
}

fn decode(bytes: &[u8]) -> Result<Vec<KeyEntry>, String> {
    let file: StateFile = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if file.format != FORMAT {
        return Err(format!("another format than `{FORMAT}`"));
    }
    let entries: Vec<KeyEntry> = file.keys.into_iter().map(entry).collect::<Result<_, _>>()?;
    for (role, _) in HELD_ROLES {
        let current = entries.iter().filter(|entry| entry.role == role && entry.is_current()).count();
        if current != 1 {
            return Err(format!("{current} keys for `{}` are held, not one", role.as_str()));
        }
    }
    for (index, entry) in entries.iter().enumerate() {
        if entries.iter().skip(index + 1).any(|other| other.public_key == entry.public_key) {
            return Err(format!("key `{}` occurs twice", entry.public_key.id()));
        }
    }
    Ok(entries)
}

fn entry(file: EntryFile) -> Result<KeyEntry, String> {
    let key_id = file.key_id;
    let wrong = |why: &str| format!("key `{key_id}`: {why}");
    let public_key = PublicKey::parse(&file.public_key).map_err(|error| wrong(&error.to_string()))?;
    if public_key.id().to_string() != key_id {
        return Err(wrong("not the id of its public key"));
    }
    let role = KeyRole::parse(&file.role).filter(|role| HELD_ROLES.iter().any(|(held, _)| held == role));
    let limits = |list: Vec<IndexFile>| -> Result<Vec<LogIndex>, String> {
        let limit = |limit: IndexFile| {
            let log = limit.log.map(|log| LogOrigin::parse(&log)).transpose();
            log.map(|log| LogIndex { log, index: limit.index }).map_err(|error| wrong(&error.to_string()))
        };
        list.into_iter().map(limit).collect()
    };
    Ok(KeyEntry {
        role: role.ok_or_else(|| wrong("not a role of a server"))?,
        public_key,
        held: file.held.map(|held| held.checked()).transpose().map_err(|why| wrong(&why))?,
        valid_from: limits(file.valid_from)?,
        valid_until: limits(file.valid_until)?,
        compromised_from: limits(file.compromised_from)?,
    })
}

impl HeldFile {
    fn checked(self) -> Result<Held, String> {
        match self {
            // A path would let the file name a key elsewhere, which nobody keeps with this folder.
            Self::File(name) if name.contains('/') || !name.ends_with(".pk8") => {
                Err(format!("`{name}` is not the name of a key file"))
            }
            Self::File(name) => Ok(Held::File(name)),
            Self::OpenBao(place) => Ok(Held::OpenBao(OpenBaoConfig {
                url: place.url,
                mount: place.mount,
                key: place.key,
                token_file: place.token_file,
                ca_file: place.ca_file,
                timeout: OPENBAO_TIMEOUT_DEFAULT,
            })),
        }
    }
}

/// Returns the bytes of the file.
pub(super) fn encode(entries: &[KeyEntry]) -> Vec<u8> {
    let limits = |list: &[LogIndex]| {
        let limit = |limit: &LogIndex| IndexFile {
            log: limit.log.as_ref().map(|log| log.as_str().to_owned()),
            index: limit.index,
        };
        list.iter().map(limit).collect()
    };
    let held = |held: &Held| match held {
        Held::File(name) => HeldFile::File(name.clone()),
        Held::OpenBao(place) => HeldFile::OpenBao(OpenBaoFile {
            url: place.url.clone(),
            mount: place.mount.clone(),
            key: place.key.clone(),
            token_file: place.token_file.clone(),
            ca_file: place.ca_file.clone(),
        }),
    };
    let keys = entries.iter().map(|entry| EntryFile {
        role: entry.role.as_str().to_owned(),
        key_id: entry.public_key.id().to_string(),
        public_key: entry.public_key.to_hex(),
        held: entry.held.as_ref().map(held),
        valid_from: limits(&entry.valid_from),
        valid_until: limits(&entry.valid_until),
        compromised_from: limits(&entry.compromised_from),
    });
    let file = StateFile { format: FORMAT.to_owned(), keys: keys.collect() };
    // Texts and numbers only: this cannot fail, and an empty file would be refused when it is read.
    let mut bytes = serde_json::to_vec_pretty(&file).unwrap_or_default();
    bytes.push(b'\n');
    bytes
}

//! Sealing what leaves this process, or lies on its disk, with keys that never leave the folder of calls.
//!
//! AES-256-GCM under random nonces. What was sealed for one purpose opens for no other, and nothing opens that was altered by one bit. The keys
//! are in a file of their own, for the owner alone; whoever takes it away makes all that was sealed with them unreadable.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use gantral_core::digest::{Digest, Hasher};
use serde::{Deserialize, Serialize};

/// Of a key, in bytes.
const KEY_BYTES: usize = 32;
/// Of a key's name, in bytes: enough to tell a handful apart.
const NAME_BYTES: usize = 4;
/// How much of a file of keys is read, in bytes: a few lines.
const FILE_BYTES_MAX: u64 = 16 << 10;

/// A file of keys.
#[derive(Debug, Clone)]
pub struct Keyring {
    path: PathBuf,
    /// After how many milliseconds the newest key makes room for another one; the one before still opens what it sealed. `None` for never.
    rotates_after_ms: Option<u64>,
}

/// Nothing that these keys sealed for this purpose, as it left us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was not sealed here, was altered, or its key is gone")]
pub struct NotOurs;

/// Why something cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Whoever sent it is at fault, or somebody between.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// The keys cannot be read; it may be tried again.
    #[error("the keys cannot be read: {0}")]
    Keys(#[from] io::Error),
}

/// A key as it is kept. It is not shown.
#[derive(Clone, Serialize, Deserialize)]
struct Kept {
    made_at_ms: u64,
    name: String,
    key: String,
}

impl Keyring {
    /// Names a file of keys, which is made with the first one.
    pub const fn new(path: PathBuf, rotates_after_ms: Option<u64>) -> Self {
        Self { path, rotates_after_ms }
    }

    /// Seals something for a purpose, under the newest key.
    ///
    /// # Errors
    /// The system's: without keys nothing is sealed.
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> io::Result<Vec<u8>> {
        let newest = self.newest()?;
        let name = STANDARD.decode(&newest.name).unwrap_or_default();
        let mut sealed = plain.to_vec();
        let random = |_| io::Error::other("nothing can be sealed");
        let nonce = newest.opened()?.seal_in_place_append_tag(Aad::from(purpose.as_bytes()), &mut sealed);
        let nonce = nonce.map_err(random)?;
        Ok([&name, &nonce.as_ref()[..], &sealed].concat())
    }

    /// Returns a digest that nobody can try values out against without these keys.
    ///
    /// # Errors
    /// The system's.
    pub fn keyed(&self, purpose: &str, parts: &[&str]) -> io::Result<Digest> {
        let newest = self.newest()?;
        let hasher = Hasher::new("gantral/mcp/keyed/v1");
        let all = [newest.key.as_str(), purpose].into_iter().chain(parts.iter().copied());
        Ok(all.fold(hasher, crate::call::part).finish())
    }

    /// Opens what was sealed for a purpose.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (name, rest) = sealed.split_at_checked(NAME_BYTES).ok_or(NotOurs)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(NotOurs)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| NotOurs)?;
        let name = STANDARD.encode(name);
        let key = self.keys()?.into_iter().find(|kept| kept.name == name).ok_or(NotOurs)?.opened()?;
        let mut body = body.to_vec();
        let plain = key.open_in_place(nonce, Aad::from(purpose.as_bytes()), &mut body);
        Ok(plain.map_err(|_| NotOurs)?.to_vec())
    }

    fn keys(&self) -> io::Result<Vec<Kept>> {
        match File::open(&self.path) {
            Ok(file) => {
                file.lock_shared()?;
                read(&file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Returns the key to seal with; makes one when there is none that is young enough. Several processes may share the file.
    fn newest(&self) -> io::Result<Kept> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&self.path)?;
        file.lock()?;
        let mut keys = read(&file)?;
        let now = now_ms();
        let young = |kept: &&Kept| {
            self.rotates_after_ms.is_none_or(|after| now < kept.made_at_ms.saturating_add(after))
        };
        if let Some(newest) = keys.last().filter(young) {
            return Ok(newest.clone());
        }
        let fresh = Kept::fresh(now)?;
        // What the one before sealed is still opened, until it makes room in turn.
        let before = keys.pop();
        let lines =
            before.iter().chain([&fresh]).map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(format!("{}\n", lines.join("\n")).as_bytes())?;
        file.sync_data()?;
        Ok(fresh)
    }
}

impl Kept {
    fn fresh(now: u64) -> io::Result<Self> {
        let (mut key, mut name) = ([0; KEY_BYTES], [0; NAME_BYTES]);
        getrandom::fill(&mut key).and_then(|()| getrandom::fill(&mut name)).map_err(io::Error::other)?;
        Ok(Self { made_at_ms: now, name: STANDARD.encode(name), key: STANDARD.encode(key) })
    }

    fn opened(&self) -> io::Result<RandomizedNonceKey> {
        let unusable = || io::Error::new(io::ErrorKind::InvalidData, "a key is none");
        let key = STANDARD.decode(&self.key).map_err(|_| unusable())?;
        RandomizedNonceKey::new(&AES_256_GCM, &key).map_err(|_| unusable())
    }
}

fn read(file: &File) -> io::Result<Vec<Kept>> {
    let mut text = String::new();
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::from)).collect()
}

/// Returns the time in milliseconds since 1970.
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(folder: &tempfile::TempDir, rotates: Option<u64>) -> Keyring {
        Keyring::new(folder.path().join("keys"), rotates)
    }

    fn is_refused(ring: &Keyring, purpose: &str, sealed: &[u8]) -> bool {
        matches!(ring.open(purpose, sealed), Err(OpenError::NotOurs(NotOurs)))
    }

    #[test]
    fn what_was_sealed_opens_for_its_purpose_and_no_bit_may_change() {
        let folder = tempfile::tempdir().unwrap();
        let ring = ring(&folder, None);
        let sealed = ring.seal("one", b"secret").unwrap();
        assert_eq!(ring.open("one", &sealed).unwrap(), b"secret");
        assert!(is_refused(&ring, "two", &sealed));
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut altered = sealed.clone();
                altered[at] ^= 1 << bit;
                assert!(is_refused(&ring, "one", &altered), "{at} {bit}");
            }
            assert!(is_refused(&ring, "one", &sealed[..at]), "{at}");
        }
        // The same is never sealed the same.
        assert_ne!(ring.seal("one", b"secret").unwrap(), sealed);
    }

    #[test]
    fn keys_are_for_their_owner_alone_and_nobody_else_opens() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let sealed = ring(&folder, None).seal("one", b"secret").unwrap();
        let mode = std::fs::metadata(folder.path().join("keys")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(is_refused(&ring(&other, None), "one", &sealed));
        ring(&other, None).seal("one", b"").unwrap();
        assert!(is_refused(&ring(&other, None), "one", &sealed));
    }

    #[test]
    fn keyed_digest_stays_the_same_and_is_another_one_under_other_keys() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let digest =
            |folder: &tempfile::TempDir, parts: &[&str]| ring(folder, None).keyed("one", parts).unwrap();
        assert_eq!(digest(&folder, &["a", "b"]), digest(&folder, &["a", "b"]));
        assert_ne!(digest(&folder, &["a", "b"]), digest(&folder, &["ab", ""]));
        assert_ne!(digest(&folder, &["a", "b"]), digest(&other, &["a", "b"]));
    }

    #[test]
    fn key_that_made_room_opens_until_the_next_one_does() {
        let folder = tempfile::tempdir().unwrap();
        // Each one is too old at once.
        let ring = ring(&folder, Some(0));
        let first = ring.seal("one", b"1").unwrap();
        let second = ring.seal("one", b"2").unwrap();
        assert_eq!(ring.open("one", &first).unwrap(), b"1");
        ring.seal("one", b"3").unwrap();
        assert!(is_refused(&ring, "one", &first));
        assert_eq!(ring.open("one", &second).unwrap(), b"2");
    }
}

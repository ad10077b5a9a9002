//! Verified tokens, so that the same token again costs a hash and a lookup.
//!
//! Holds digests and principals, never tokens. An entry is good for the configuration that it was verified under and
//! no other; whether its time has passed is asked anew at each use, by the caller.

use std::collections::HashMap;
use std::mem;
use std::sync::{Mutex, MutexGuard, PoisonError};

use gantral_core::digest::Digest;

use crate::principal::Principal;

/// Independent parts, so that parallel requests seldom wait for each other.
const SHARDS: usize = 16;
/// The most entries of one half of a shard. In all at most 16 x 2 x 512 = 16,384 principals, a few MiB.
const HALF_ENTRIES_MAX: usize = 512;

struct Entry {
    generation: u64,
    principal: Principal,
}

/// Two halves: what was used lately, and what was used before. When the first is full it becomes the second and the
/// old second is dropped: bounded, near to least-recently-used, without a list to maintain.
#[derive(Default)]
struct Shard {
    recent: HashMap<Digest, Entry>,
    older: HashMap<Digest, Entry>,
}

pub(crate) struct Cache {
    shards: [Mutex<Shard>; SHARDS],
}

impl Cache {
    pub(crate) fn new() -> Self {
        Self { shards: Default::default() }
    }

    /// Returns what was verified under exactly this generation of the configuration.
    pub(crate) fn get(&self, token: &Digest, generation: u64) -> Option<Principal> {
        let mut shard = self.shard(token)?;
        if let Some(entry) = shard.recent.get(token) {
            return (entry.generation == generation).then(|| entry.principal.clone());
        }
        let entry = shard.older.remove(token).filter(|entry| entry.generation == generation)?;
        let principal = entry.principal.clone();
        shard.put(*token, entry);
        Some(principal)
    }

    pub(crate) fn put(&self, token: Digest, generation: u64, principal: Principal) {
        if let Some(mut shard) = self.shard(&token) {
            shard.put(token, Entry { generation, principal });
        }
    }

    /// Forgets one token: its time has passed.
    pub(crate) fn remove(&self, token: &Digest) {
        if let Some(mut shard) = self.shard(token) {
            shard.recent.remove(token);
            shard.older.remove(token);
        }
    }

    /// Forgets everything, to free memory when the configuration has changed; correctness is the generation's part.
    pub(crate) fn clear(&self) {
        for shard in &self.shards {
            *lock(shard) = Shard::default();
        }
    }

    fn shard(&self, token: &Digest) -> Option<MutexGuard<'_, Shard>> {
        let [first, ..] = token.as_bytes();
        self.shards.get(usize::from(*first) % SHARDS).map(lock)
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard)).map(|shard| shard.recent.len() + shard.older.len()).sum()
    }
}

impl Shard {
    fn put(&mut self, token: Digest, entry: Entry) {
        if self.recent.len() >= HALF_ENTRIES_MAX {
            self.older = mem::take(&mut self.recent);
        }
        self.recent.insert(token, entry);
    }
}

/// A thread that panicked while it held the lock can at worst have lost an entry.
fn lock(shard: &Mutex<Shard>) -> MutexGuard<'_, Shard> {
    shard.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::principal::tests::principal;

    fn digest(number: u32) -> Digest {
        Digest::of(&number.to_be_bytes())
    }

    #[test]
    fn an_entry_of_another_configuration_is_not_found() {
        let cache = Cache::new();
        cache.put(digest(1), 1, principal());
        assert!(cache.get(&digest(1), 1).is_some());
        assert!(cache.get(&digest(1), 2).is_none());
        assert!(cache.get(&digest(2), 1).is_none());
    }

    #[test]
    fn the_cache_stays_within_its_bound() {
        let cache = Cache::new();
        for number in 0..40_000 {
            cache.put(digest(number), 1, principal());
        }
        assert!(cache.len() <= SHARDS * 2 * HALF_ENTRIES_MAX);
    }

    #[test]
    fn a_token_in_steady_use_stays_while_others_pass_by() {
        let cache = Cache::new();
        cache.put(digest(0), 1, principal());
        for number in 1..40_000 {
            cache.put(digest(number), 1, principal());
            assert!(cache.get(&digest(0), 1).is_some(), "lost after {number} others");
        }
    }

    #[test]
    fn a_forgotten_token_is_gone_from_both_halves() {
        let cache = Cache::new();
        cache.put(digest(1), 1, principal());
        cache.remove(&digest(1));
        assert!(cache.get(&digest(1), 1).is_none());
        cache.put(digest(1), 1, principal());
        cache.clear();
        assert_eq!(cache.len(), 0);
    }
}

//! Where the logs are kept in a simulation: objects in memory, that a claim which was passed by may not write.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use gantral_core::ids::LogOrigin;
use gantral_log::objects::{Object, READ_ONLY, ReadObjects, Shelf, WriteObjects};
use gantral_log::sequencer::CHECKPOINT;

use crate::auditor::{Auditor, OfLog};
use crate::weather::{Trouble, Weather};

#[derive(Debug, Default)]
struct Kept {
    /// The newest claim under which anything was opened.
    fence: u64,
    objects: BTreeMap<(String, String), Vec<u8>>,
}

/// The shelf. Clones are one shelf.
#[derive(Debug, Clone)]
pub struct Memory {
    kept: Arc<Mutex<Kept>>,
    weather: Arc<Weather>,
    auditor: Auditor,
}

/// The objects of one log, as one claim reaches them.
#[derive(Debug, Clone)]
pub struct MemoryLog {
    shelf: Memory,
    origin: String,
    fence: u64,
}

impl Memory {
    pub(crate) fn new(weather: Arc<Weather>, auditor: Auditor) -> Self {
        Self { kept: Arc::default(), weather, auditor }
    }

    fn with<R>(&self, run: impl FnOnce(&mut Kept) -> R) -> R {
        run(&mut self.kept.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Shelf for Memory {
    type Log = MemoryLog;

    fn log(&self, origin: &LogOrigin, fence: u64) -> MemoryLog {
        if fence != READ_ONLY {
            self.with(|kept| kept.fence = kept.fence.max(fence));
        }
        MemoryLog { shelf: self.clone(), origin: origin.to_string(), fence }
    }

    fn holds_nobody_up(&self) -> bool {
        true
    }
}

impl MemoryLog {
    fn key(&self, name: &str) -> (String, String) {
        (self.origin.clone(), name.to_owned())
    }

    fn is_passed_by(&self, kept: &Kept) -> bool {
        self.fence < kept.fence
    }
}

impl OfLog for MemoryLog {
    fn origin(&self) -> &str {
        &self.origin
    }
}

impl ReadObjects for MemoryLog {
    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.shelf.with(|kept| kept.objects.get(&self.key(name)).cloned()))
    }
}

impl WriteObjects for MemoryLog {
    fn write(&self, objects: &[Object]) -> io::Result<()> {
        let torn = self.shelf.weather.brings(Trouble::Objects).then_some(objects.len() / 2);
        for (number, object) in objects.iter().enumerate() {
            if torn == Some(number) {
                return Err(io::Error::other("a planned fault"));
            }
            let passed_by = self.shelf.with(|kept| {
                if self.is_passed_by(kept) {
                    return true;
                }
                kept.objects.insert(self.key(&object.name), object.bytes.clone());
                false
            });
            if passed_by {
                return Err(io::Error::other("another claim has passed this one by"));
            }
            if object.name == CHECKPOINT {
                self.shelf.auditor.published(self, &object.bytes);
            }
        }
        Ok(())
    }

    fn remove_under(&self, folder: &str) -> io::Result<()> {
        let below = format!("{folder}/");
        self.shelf.with(|kept| {
            kept.objects.retain(|(origin, name), _| *origin != self.origin || !name.starts_with(&below));
        });
        Ok(())
    }
}

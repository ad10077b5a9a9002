//! The write-once archive: what was sealed, in object storage, and the way back from there.
//!
//! Objects are only ever created, never replaced and never removed here. Each step writes a segment of artifacts, in the order of their
//! tenant's log, and a head that names what the step wrote and the head before it; so the heads are a chain, and what is missing or was changed can
//! be named from the archive alone. Only this crate knows object storage. Source: `spec/archive.md`.

mod archiver;
mod gather;
mod inspect;
pub mod layout;
mod lock;
pub mod objects;
mod place;
pub mod rebuild;
mod status;
pub mod verify;

pub use archiver::{Archiver, PACE, PACE_REQUIRED};
pub use inspect::{ArchiveInspection, InspectError, ObjectInspection, inspect};
pub use objects::{Archive, StorageError};
pub use place::{ArchiveConfig, OpenError};
pub use status::{ArchiveStatus, TenantStatus};

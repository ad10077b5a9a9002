//! The list of a window: which instances, and how far each had come. Source: `spec/window.md` X2.

use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::json::{self, ParseError, Profile, Value, Writer};

use crate::fields::{FieldError, Fields};

/// The most instances of one window.
pub const INSTANCES_MAX: usize = 100_000;
/// The largest list, in bytes.
pub const INSTANCES_BYTES_MAX: usize = 32 << 20;
const FORMAT: &str = "gantral/instances/v1";
/// Room for one entry, so that writing a list does not grow the buffer often.
const ENTRY_BYTES: usize = 160;

/// One instance, and its newest artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct InstanceHead {
    /// The instance.
    pub instance: InstanceId,
    /// The place of the artifact in the chain.
    pub sequence: u64,
    /// Its hash.
    pub hash: Digest,
}

/// The instances of a window, by rising id.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InstanceList {
    /// The instances.
    pub instances: Vec<InstanceHead>,
}

/// Why bytes are not a list. The bytes are at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ListError {
    /// Not canonical JSON, or over the limit.
    #[error("the list of instances is not acceptable JSON: {0}")]
    Json(#[from] ParseError),
    /// A member is missing, unknown, or not what it must be.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Another format.
    #[error("the list of instances has another format than `{FORMAT}`")]
    Format,
    /// An instance twice, or not in ascending order.
    #[error("the list of instances is not in ascending order")]
    Order,
}

impl InstanceList {
    /// Reads a list.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ListError> {
        let profile = Profile::DOCUMENT.with_bytes_max(INSTANCES_BYTES_MAX);
        let value = json::parse_canonical(bytes, &profile)?;
        let fields = Fields::open(&value, "instances", ["format", "instances"].into_iter())?;
        if fields.value("format")?.as_str() != Some(FORMAT) {
            return Err(ListError::Format);
        }
        let instances = fields.list("instances", INSTANCES_MAX, head)?;
        if !instances.is_sorted_by(|a, b| a.instance < b.instance) {
            return Err(ListError::Order);
        }
        Ok(Self { instances })
    }

    /// Returns the canonical bytes, by rising id.
    pub fn encode(&self) -> Vec<u8> {
        Writer::object(self.instances.len().saturating_mul(ENTRY_BYTES), |out| {
            out.str("format", FORMAT);
            out.array("instances", |out| {
                let mut sorted = self.instances.clone();
                sorted.sort_unstable();
                for head in &sorted {
                    out.object(|out| {
                        out.hex("head_hash", head.hash.as_bytes());
                        out.str("instance_id", &alloc::format!("{}", head.instance));
                        out.u64("sequence", head.sequence);
                    });
                }
            });
        })
    }
}

fn head(value: &Value) -> Result<InstanceHead, FieldError> {
    let fields = Fields::open(value, "instance", ["head_hash", "instance_id", "sequence"].into_iter())?;
    Ok(InstanceHead {
        instance: fields.get("instance_id")?,
        sequence: fields.get("sequence")?,
        hash: fields.get("head_hash")?,
    })
}

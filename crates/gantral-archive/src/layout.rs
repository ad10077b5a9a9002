//! Names and bytes of the objects (`spec/archive.md` §2 to §4).

use std::fmt::Write as _;

use gantral_core::digest::Digest;
use gantral_core::ids::{InstanceId, Name, TenantId};
use gantral_store::{ArchivedObject, ChainId, ENVELOPE_BYTES_MAX, SEALED_PAGE_MAX};
use serde::{Deserialize, Serialize};

/// What every segment and head begins by saying that it is.
pub const FORMAT: &str = "gantral-archive/1";
/// The folder of segments.
pub const SEGMENTS: &str = "segments/";
/// The folder of heads.
pub const HEADS: &str = "heads/";
/// The most bytes of the envelopes of one segment, unless it has only one: what is read into memory at a time.
pub const SEGMENT_BYTES_MAX: usize = 8 << 20;
/// The most bytes of an object: that of a policy bundle, and room.
pub const OBJECT_BYTES_MAX: u64 = 64 << 20;
/// The most objects that one head names: a segment, and a few things for each of its artifacts.
pub const OBJECTS_MAX: usize = 4 * SEALED_PAGE_MAX;

/// Returns the folder of a tenant. No tenant's name contains a `+`.
pub fn folder(tenant: &TenantId) -> String {
    tenant.as_str().replace('/', "+")
}

/// Returns the tenant of a folder.
pub fn tenant_of(folder: &str) -> Option<TenantId> {
    TenantId::parse(&folder.replace('+', "/")).ok()
}

/// Returns the name of a segment.
pub fn segment_name(segment: u64) -> String {
    format!("{SEGMENTS}{segment:012}")
}

/// Returns the name of a head.
pub fn head_name(segment: u64) -> String {
    format!("{HEADS}{segment:012}")
}

/// Returns the number that a name ends with, if it is one of that folder.
pub fn number_of(name: &str, folder: &str) -> Option<u64> {
    let digits = name.strip_prefix(folder)?;
    let number = digits.parse().ok()?;
    (format!("{number:012}") == digits).then_some(number)
}

/// Why bytes are not what their name says. The bytes are at fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Not the JSON that it must be.
    #[error("not readable: {0}")]
    Json(String),
    /// Of a format that this version does not know.
    #[error("of another format than `{FORMAT}`")]
    Format,
    /// The last line is not the digest of what stands before it.
    #[error("not as it was written: its own digest is another")]
    Digest,
    /// A member that cannot be what it says.
    #[error("member `{0}` is not what it must be")]
    Member(&'static str),
    /// The envelopes are not as long as the first line says.
    #[error("cut, or longer than it says")]
    Length,
}

/// One artifact of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArchivedArtifact {
    /// Its number in the order of the commits of the whole ledger.
    pub number: u64,
    /// Its chain.
    pub chain: ChainId,
    /// Its place in the chain.
    pub sequence: u64,
    /// The name of the action that a gate is about: not sealed, for lists.
    pub action: Option<Name>,
    /// The envelope.
    pub envelope: Vec<u8>,
}

/// Artifacts of one tenant that follow each other in its log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// The tenant.
    pub tenant: TenantId,
    /// Which segment.
    pub segment: u64,
    /// The place of its first artifact in the log.
    pub position: u64,
    /// The artifacts, by their places.
    pub artifacts: Vec<ArchivedArtifact>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SegmentLine {
    format: String,
    tenant: String,
    segment: u64,
    position: u64,
    artifacts: Vec<ArtifactLine>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ArtifactLine {
    number: u64,
    chain: String,
    sequence: u64,
    bytes: usize,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
}

/// The word for the governance chain.
const GOVERNANCE: &str = "governance";

impl Segment {
    /// Returns the bytes: a line of JSON, and the envelopes one after the other. Equal segments have equal bytes.
    pub fn encode(&self) -> Vec<u8> {
        let artifacts = self.artifacts.iter().map(|artifact| ArtifactLine {
            number: artifact.number,
            chain: match artifact.chain {
                ChainId::Instance(id) => id.to_string(),
                ChainId::Governance => GOVERNANCE.to_owned(),
            },
            sequence: artifact.sequence,
            bytes: artifact.envelope.len(),
            action: artifact.action.as_ref().map(Name::to_string),
        });
        let line = SegmentLine {
            format: FORMAT.to_owned(),
            tenant: self.tenant.to_string(),
            segment: self.segment,
            position: self.position,
            artifacts: artifacts.collect(),
        };
        let mut bytes = json(&line).into_bytes();
        bytes.push(b'\n');
        for artifact in &self.artifacts {
            bytes.extend_from_slice(&artifact.envelope);
        }
        bytes
    }

    /// Reads a segment.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LayoutError> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(LayoutError::Length)?;
        let (line, rest) = bytes.split_at(end);
        let mut rest = rest.get(1..).unwrap_or_default();
        let line: SegmentLine =
            serde_json::from_slice(line).map_err(|error| LayoutError::Json(error.to_string()))?;
        if line.format != FORMAT {
            return Err(LayoutError::Format);
        }
        if line.artifacts.is_empty() || line.artifacts.len() > SEALED_PAGE_MAX {
            return Err(LayoutError::Member("artifacts"));
        }
        let mut artifacts = Vec::with_capacity(line.artifacts.len());
        for artifact in line.artifacts {
            if artifact.bytes > ENVELOPE_BYTES_MAX {
                return Err(LayoutError::Member("bytes"));
            }
            let (envelope, after) = rest.split_at_checked(artifact.bytes).ok_or(LayoutError::Length)?;
            rest = after;
            let chain = match artifact.chain.as_str() {
                GOVERNANCE => ChainId::Governance,
                id => ChainId::Instance(InstanceId::parse(id).map_err(|_| LayoutError::Member("chain"))?),
            };
            let action = artifact.action.as_deref().map(Name::parse).transpose();
            artifacts.push(ArchivedArtifact {
                number: artifact.number,
                chain,
                sequence: artifact.sequence,
                action: action.map_err(|_| LayoutError::Member("action"))?,
                envelope: envelope.to_vec(),
            });
        }
        if !rest.is_empty() {
            return Err(LayoutError::Length);
        }
        if !artifacts.is_sorted_by(|one, next| one.number < next.number) {
            return Err(LayoutError::Member("number"));
        }
        let tenant = TenantId::parse(&line.tenant).map_err(|_| LayoutError::Member("tenant"))?;
        Ok(Self { tenant, segment: line.segment, position: line.position, artifacts })
    }

    /// Returns how many leaves of the log the archive has with this segment.
    pub fn end(&self) -> u64 {
        self.position.saturating_add(self.artifacts.len() as u64)
    }
}

/// An object that a head names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedObject {
    /// Its name below the tenant's folder.
    pub name: String,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: String,
    /// Its version, where the storage keeps versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

impl NamedObject {
    /// Names an object by its bytes.
    pub fn of(name: String, bytes: &[u8], version: Option<String>) -> Self {
        Self { name, sha256: Digest::of(bytes).to_hex(), version }
    }

    /// Returns what a store notes of the object.
    ///
    /// # Errors
    /// [`LayoutError::Member`].
    pub fn archived(&self) -> Result<ArchivedObject, LayoutError> {
        Ok(ArchivedObject { name: self.name.clone(), digest: self.digest()?, version: self.version.clone() })
    }

    /// Returns the SHA-256.
    ///
    /// # Errors
    /// [`LayoutError::Member`].
    pub fn digest(&self) -> Result<Digest, LayoutError> {
        Digest::parse(&self.sha256).map_err(|_| LayoutError::Member("sha256"))
    }
}

/// One step of the archive of a tenant: what it wrote, and what was true of the log then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// [`FORMAT`].
    pub format: String,
    /// The tenant.
    pub tenant: String,
    /// Which step.
    pub segment: u64,
    /// The head of the step before; absent in the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous: Option<NamedObject>,
    /// What the step wrote: the segment first.
    pub objects: Vec<NamedObject>,
    /// A signed checkpoint of the log that covers the segment.
    pub checkpoint: String,
    /// Checkpoints that witnesses have cosigned since the step before, by rising size.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cosigned: Vec<String>,
}

impl Head {
    /// Returns the bytes: a line of JSON, and a line with its SHA-256.
    pub fn encode(&self) -> Vec<u8> {
        let mut text = json(self);
        text.push('\n');
        let digest = Digest::of(text.as_bytes());
        // Writing to a string does not fail.
        let _ = writeln!(text, "{digest}");
        text.into_bytes()
    }

    /// Reads a head.
    ///
    /// # Errors
    /// [`LayoutError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, LayoutError> {
        let end = bytes.iter().position(|byte| *byte == b'\n').ok_or(LayoutError::Length)?;
        let (line, rest) = bytes.split_at(end.saturating_add(1));
        if rest != format!("{}\n", Digest::of(line)).as_bytes() {
            return Err(LayoutError::Digest);
        }
        let head: Self =
            serde_json::from_slice(line).map_err(|error| LayoutError::Json(error.to_string()))?;
        if head.format != FORMAT {
            return Err(LayoutError::Format);
        }
        if head.objects.len() > OBJECTS_MAX
            || head.objects.first().map(|first| first.name.as_str()) != Some(&segment_name(head.segment))
        {
            return Err(LayoutError::Member("objects"));
        }
        let before = head.segment.checked_sub(1).map(head_name);
        if head.previous.as_ref().map(|previous| &previous.name) != before.as_ref() {
            return Err(LayoutError::Member("previous"));
        }
        head.objects.iter().chain(&head.previous).try_for_each(|object| object.digest().map(drop))?;
        Ok(head)
    }
}

/// Writes what has only texts and numbers, which cannot fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

#[cfg(test)]
mod tests;

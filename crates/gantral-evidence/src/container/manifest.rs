//! `bundle.json`: what a bundle is about, and the closed list of its files.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::InstanceId;
use gantral_core::json::{self, Object, Profile, Value, Writer};

use super::{CONTENT_BYTES_MAX, ContainerError, FILES_MAX, Files, check_path};

/// The path of the list itself.
pub const MANIFEST_PATH: &str = "bundle.json";
/// The only format.
pub const FORMAT: &str = "gantral/bundle/v1";
/// The largest list, in bytes: 32 MiB is room for every file at its longest path.
pub const MANIFEST_BYTES_MAX: usize = 32 << 20;

/// How much of an instance's chain a bundle claims to hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everything until a final state.
    Complete,
    /// Everything until some moment.
    Prefix,
}

impl Scope {
    /// Returns the word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Prefix => "prefix",
        }
    }

    /// Finds a scope by its word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Complete, Self::Prefix].into_iter().find(|scope| scope.as_str() == word)
    }
}

/// The content of `bundle.json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The instance whose chain this is.
    pub instance: InstanceId,
    /// How much of it.
    pub scope: Scope,
    /// Every file but `bundle.json`, in the order of the paths.
    pub files: Vec<ManifestFile>,
}

/// One file of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestFile {
    /// Its path, relative, separated by `/`.
    pub path: String,
    /// SHA-256 of its content.
    pub sha256: Digest,
    /// The length of its content, in bytes.
    pub length: u64,
}

/// One file that disagrees with the list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("`{path}` {kind}")]
pub struct Fault {
    /// The file.
    pub path: String,
    /// How it disagrees.
    pub kind: FaultKind,
}

/// How a file disagrees with the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum FaultKind {
    /// Listed, but not there.
    #[error("is listed and missing")]
    Missing,
    /// There, but not listed.
    #[error("is not listed")]
    Unlisted,
    /// Not of the listed length.
    #[error("has another length than listed")]
    Length,
    /// Not of the listed digest.
    #[error("has another digest than listed")]
    Digest,
}

impl Manifest {
    /// Returns the list of all files but `bundle.json`.
    pub fn of(instance: InstanceId, scope: Scope, files: &Files<'_>) -> Self {
        let listed = files.iter().filter(|(path, _)| *path != MANIFEST_PATH);
        let files = listed.map(|(path, content)| ManifestFile {
            path: path.to_owned(),
            sha256: Digest::of(content),
            length: content.len() as u64,
        });
        Self { instance, scope, files: files.collect() }
    }

    /// Reads the list of a bundle. Whether the files agree with it is for [`Self::faults`] to say.
    pub fn read(files: &Files<'_>) -> Result<Self, ContainerError> {
        Self::parse(files.get(MANIFEST_PATH).ok_or(ContainerError::NoManifest)?)
    }

    /// Reads the bytes of `bundle.json`: canonical, with closed members and paths in strictly ascending order.
    pub fn parse(bytes: &[u8]) -> Result<Self, ContainerError> {
        let value = json::parse_canonical(bytes, &Profile::ARTIFACT.with_bytes_max(MANIFEST_BYTES_MAX))
            .map_err(ContainerError::ManifestJson)?;
        match value.get("format").and_then(Value::as_str) {
            Some(FORMAT) => {}
            Some(_) => return Err(ContainerError::UnknownFormat),
            None => return Err(ContainerError::ManifestMember("format")),
        }
        closed(&value, "members", &["files", "format", "instance_id", "scope"])?;
        let text = |name| value.get(name).and_then(Value::as_str);
        let instance = text("instance_id").and_then(|text| InstanceId::parse(text).ok());
        let instance = instance.ok_or(ContainerError::ManifestMember("instance_id"))?;
        let scope = text("scope").and_then(Scope::parse).ok_or(ContainerError::ManifestMember("scope"))?;
        let files = value.get("files").and_then(Value::as_array);
        let files = files.ok_or(ContainerError::ManifestMember("files"))?;
        if files.len() > FILES_MAX {
            return Err(ContainerError::Limit("files"));
        }
        let files = files.iter().map(parse_file).collect::<Result<Vec<_>, _>>()?;
        if !files.is_sorted_by(|a, b| a.path < b.path) {
            return Err(ContainerError::ManifestMember("files"));
        }
        Ok(Self { instance, scope, files })
    }

    /// Returns the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        Writer::object(256 * (1 + self.files.len()), |out| {
            out.array("files", |out| {
                for file in &self.files {
                    out.object(|out| {
                        out.u64("length", file.length)
                            .str("path", &file.path)
                            .hex("sha256", file.sha256.as_bytes());
                    });
                }
            });
            out.str("format", FORMAT);
            out.str("instance_id", &alloc::format!("{}", self.instance));
            out.str("scope", self.scope.as_str());
        })
    }

    /// Returns every disagreement between the list and the files, in the order of the paths. None means that the
    /// files are exactly those listed.
    pub fn faults(&self, files: &Files<'_>) -> Vec<Fault> {
        let listed = self.files.iter().filter_map(|entry| {
            let kind = entry.fault(files)?;
            Some(Fault { path: entry.path.clone(), kind })
        });
        let unlisted = files.iter().filter(|(path, _)| *path != MANIFEST_PATH && !self.lists(path));
        let unlisted = unlisted.map(|(path, _)| Fault { path: path.to_owned(), kind: FaultKind::Unlisted });
        let mut faults: Vec<Fault> = listed.chain(unlisted).collect();
        faults.sort_unstable();
        faults
    }

    fn lists(&self, path: &str) -> bool {
        self.files.binary_search_by_key(&path, |file| file.path.as_str()).is_ok()
    }
}

impl ManifestFile {
    fn fault(&self, files: &Files<'_>) -> Option<FaultKind> {
        let Some(content) = files.get(&self.path) else { return Some(FaultKind::Missing) };
        if content.len() as u64 != self.length {
            return Some(FaultKind::Length);
        }
        (Digest::of(content) != self.sha256).then_some(FaultKind::Digest)
    }
}

fn parse_file(value: &Value) -> Result<ManifestFile, ContainerError> {
    let bad = || ContainerError::ManifestMember("files");
    let members = closed(value, "files", &["length", "path", "sha256"])?;
    let path = members.get("path").and_then(Value::as_str).ok_or_else(bad)?;
    check_path(path)?;
    // The list cannot list itself.
    if path == MANIFEST_PATH {
        return Err(bad());
    }
    let sha256 = members.get("sha256").and_then(Value::as_str).and_then(|text| Digest::parse(text).ok());
    let length = members.get("length").and_then(Value::as_u64).ok_or_else(bad)?;
    if length > CONTENT_BYTES_MAX as u64 {
        return Err(ContainerError::Limit("bytes"));
    }
    Ok(ManifestFile { path: path.to_owned(), sha256: sha256.ok_or_else(bad)?, length })
}

/// Returns the members of an object that has no others than those named.
fn closed<'a>(value: &'a Value, what: &'static str, names: &[&str]) -> Result<&'a Object, ContainerError> {
    let members = value.as_object().ok_or(ContainerError::ManifestMember(what))?;
    if members.names().all(|name| names.contains(&name)) {
        Ok(members)
    } else {
        Err(ContainerError::ManifestMember(what))
    }
}

//! Policy bundles: sets of plain files, named by a digest of their content.
//!
//! A bundle is what OPA calls a bundle: Rego modules, data and a manifest, as a folder or as a `tar.gz` of `opa build`.
//! Its version is a digest of what is evaluated, so entry order, tar details, signatures and the manifest's `revision`
//! (which carries that digest) do not change it. Nothing here parses Rego.

mod archive;
mod directory;
mod manifest;
pub mod signature;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use gantral_core::digest::Digest;
use gantral_core::policy::PolicyVersionId;

pub use manifest::RegoVersion;

/// The largest file of a bundle, in bytes: a policy is read by people.
pub const FILE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// The largest bundle, in bytes over all files, uncompressed.
pub const BUNDLE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// The largest number of files in a bundle.
pub const BUNDLE_FILES_MAX: usize = 1_000;
/// The longest path of a file within its bundle, in bytes.
pub const PATH_BYTES_MAX: usize = 255;

const MANIFEST: &str = ".manifest";
const SIGNATURES: &str = ".signatures.json";

/// Why something is not a policy bundle. Always the fault of whoever made the bundle, except `Read`.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file or folder could not be read; worth another try.
    #[error("cannot read `{}`: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// Not a gzip stream with a tar archive in it.
    #[error("not a tar.gz archive: {reason}")]
    Archive {
        /// What the reader said.
        reason: String,
    },
    /// A path that leaves the bundle, is absolute, too long, or holds control characters.
    #[error("`{path}` is not a path within a bundle")]
    Path {
        /// The path, cut to a length that can be shown.
        path: String,
    },
    /// The same path twice.
    #[error("`{path}` is in the bundle twice")]
    Duplicate {
        /// The path.
        path: String,
    },
    /// A link, device or another entry that is not a plain file.
    #[error("`{path}` is not a plain file")]
    NotPlain {
        /// The path.
        path: String,
    },
    /// Neither Rego, nor `data.json`, nor a manifest.
    #[error("`{path}` is none of *.rego, data.json, .manifest")]
    Kind {
        /// The path.
        path: String,
    },
    /// A file above `FILE_BYTES_MAX`.
    #[error("`{path}` is larger than 2 MiB")]
    FileTooLarge {
        /// The path.
        path: String,
    },
    /// More than `BUNDLE_BYTES_MAX` in all.
    #[error("the bundle is larger than 16 MiB")]
    TooLarge,
    /// More than `BUNDLE_FILES_MAX` files.
    #[error("the bundle has more than 1000 files")]
    TooManyFiles,
    /// No Rego module at all.
    #[error("the bundle has no *.rego file")]
    NoModule,
    /// The manifest is not what OPA documents, or asks for what is not supported.
    #[error("the manifest is not usable: {reason}")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },
}

/// A policy bundle within its limits. Equal bundles have equal files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    files: BTreeMap<String, Vec<u8>>,
    rego_version: RegoVersion,
}

impl Bundle {
    /// Makes a bundle of files, each with its path relative to the bundle's root.
    pub fn from_files<P: Into<String>>(
        files: impl IntoIterator<Item = (P, Vec<u8>)>,
    ) -> Result<Self, BundleError> {
        let mut collector = Collector::default();
        for (path, content) in files {
            collector.add(&path.into(), content)?;
        }
        collector.finish()
    }

    /// Returns every file by its path, in the order of the paths.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.files.iter().map(|(path, content)| (path.as_str(), content.as_slice()))
    }

    /// Returns one file.
    pub fn file(&self, path: &str) -> Option<&[u8]> {
        self.files.get(path).map(Vec::as_slice)
    }

    /// Returns the language version that the manifest names; version 1 without one.
    pub const fn rego_version(&self) -> RegoVersion {
        self.rego_version
    }

    /// Returns the version of this bundle: SHA-256 over the sorted lines `sha256(file) length path`.
    ///
    /// Signatures are left out, and the manifest counts without its `revision`, in canonical form, and not at all when
    /// nothing else is in it.
    pub fn version(&self) -> PolicyVersionId {
        let mut lines: Vec<String> = self.files.iter().filter_map(digest_line).collect();
        lines.sort_unstable();
        PolicyVersionId(Digest::of(lines.concat().as_bytes()))
    }

    /// Returns the `revision` of the manifest: what an OPA says of the bundle. Empty without one.
    pub fn revision(&self) -> String {
        self.files.get(MANIFEST).and_then(|content| manifest::revision(content)).unwrap_or_default()
    }

    /// Tells whether an OPA that has this bundle can be held to its version: the revision is the version.
    pub fn is_pinned(&self) -> bool {
        self.revision() == self.version().0.to_hex()
    }

    /// Returns this bundle as it is published: with its own version written into the manifest as `revision`. A signed one stays as it is,
    /// because the signature covers the manifest.
    pub fn as_published(&self) -> Result<Self, BundleError> {
        if self.is_signed() { Ok(self.clone()) } else { self.with_revision() }
    }

    /// Tells whether a file of a bundle signs the others.
    pub(crate) fn is_signature(path: &str) -> bool {
        path == SIGNATURES
    }

    fn with_revision(&self) -> Result<Self, BundleError> {
        let version = self.version();
        let content = self.files.get(MANIFEST).map(Vec::as_slice);
        let mut files = self.files.clone();
        files.insert(MANIFEST.to_owned(), manifest::with_revision(content, &version.0.to_hex())?);
        Ok(Self { files, rego_version: self.rego_version })
    }
}

fn digest_line((path, content): (&String, &Vec<u8>)) -> Option<String> {
    let counted = match path.as_str() {
        SIGNATURES => return None,
        MANIFEST => manifest::without_revision(content)?,
        _ => content.clone(),
    };
    let mut line = String::new();
    // Writing to a `String` cannot fail.
    let _ = writeln!(line, "{} {} {path}", Digest::of(&counted), counted.len());
    Some(line)
}

/// Takes files one by one and holds every limit while doing so.
#[derive(Default)]
struct Collector {
    files: BTreeMap<String, Vec<u8>>,
    bytes: usize,
}

impl Collector {
    fn add(&mut self, path: &str, content: Vec<u8>) -> Result<(), BundleError> {
        let path = checked_path(path)?;
        if !is_bundle_file(&path) {
            return Err(BundleError::Kind { path });
        }
        if content.len() > FILE_BYTES_MAX {
            return Err(BundleError::FileTooLarge { path });
        }
        self.bytes = self.bytes.saturating_add(content.len());
        if self.bytes > BUNDLE_BYTES_MAX {
            return Err(BundleError::TooLarge);
        }
        if self.files.len() >= BUNDLE_FILES_MAX {
            return Err(BundleError::TooManyFiles);
        }
        if self.files.contains_key(&path) {
            return Err(BundleError::Duplicate { path });
        }
        self.files.insert(path, content);
        Ok(())
    }

    fn finish(self) -> Result<Bundle, BundleError> {
        if !self.files.keys().any(|path| path.ends_with(".rego")) {
            return Err(BundleError::NoModule);
        }
        let rego_version = manifest::rego_version(self.files.get(MANIFEST).map(Vec::as_slice))?;
        Ok(Bundle { files: self.files, rego_version })
    }
}

/// Tells whether a file has a place in a bundle. The manifest and the signatures stand at the root only.
fn is_bundle_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    path == MANIFEST || path == SIGNATURES || name == "data.json" || name.ends_with(".rego")
}

/// Returns the path relative to the bundle's root. `opa build` writes a leading slash; `tar` a leading dot.
fn checked_path(path: &str) -> Result<String, BundleError> {
    let relative = path.strip_prefix('/').or_else(|| path.strip_prefix("./")).unwrap_or(path);
    let sound = !relative.is_empty()
        && relative.len() <= PATH_BYTES_MAX
        && !relative.chars().any(|c| c.is_control() || c == '\\')
        && relative.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if sound {
        Ok(relative.to_owned())
    } else {
        Err(BundleError::Path { path: path.chars().filter(|c| !c.is_control()).take(80).collect() })
    }
}

#[cfg(test)]
mod tests;

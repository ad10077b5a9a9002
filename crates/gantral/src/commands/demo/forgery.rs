//! Evidence that somebody touched: one byte of what was signed, or one byte of what was disclosed.
//!
//! The list of files is written anew afterwards, as a forger would: what is found must be found by the signatures and the
//! commitments, not by a checksum that anybody can recompute.

use gantral_core::digest::CommitmentLabel;
use gantral_core::state::EventKind;
use gantral_evidence::container::{ARTIFACTS_DIRECTORY, Manifest, OwnedFiles, read_tar, write_tar};
use gantral_evidence::disclosure::Disclosure;
use gantral_evidence::dsse::Envelope;

use crate::failure::Failure;

/// A bundle that was touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forged {
    /// The bundle, as a file.
    pub tar: Vec<u8>,
    /// The file inside it that was touched.
    pub path: String,
    /// What was changed, for people.
    pub what: String,
}

/// Changes one byte of the signed payload of the first artifact of a kind.
pub fn payload(tar: &[u8], event: EventKind) -> Result<Forged, Failure> {
    let mut bundle = Opened::read(tar)?;
    let needle = format!("\"{event}\"");
    for (path, content) in bundle.within(ARTIFACTS_DIRECTORY) {
        let mut envelope =
            Envelope::parse(&content).map_err(|error| broken(&format!("`{path}`: {error}")))?;
        if !contains(&envelope.payload, needle.as_bytes()) {
            continue;
        }
        // The last digit before the end of an instant: nobody would notice.
        let Some(at) = envelope.payload.windows(2).rposition(|pair| matches!(pair, [b'0'..=b'9', b'Z']))
        else {
            continue;
        };
        let Some(byte) = envelope.payload.get_mut(at) else { continue };
        let (old, new) = (*byte, if *byte == b'9' { b'0' } else { *byte + 1 });
        *byte = new;
        let what = format!("byte {at} of its payload, `{}` to `{}`", char::from(old), char::from(new));
        return bundle.with(path, envelope.encode(), what);
    }
    Err(broken(&format!("it has no artifact of `{event}`")))
}

/// Changes one digit of the first disclosure of a label whose plaintext holds `needle`.
pub fn disclosure(tar: &[u8], label: CommitmentLabel, needle: &str, by: &str) -> Result<Forged, Failure> {
    let mut bundle = Opened::read(tar)?;
    for (path, content) in bundle.within("disclosures/") {
        let Ok(mut disclosure) = Disclosure::parse(&content) else { continue };
        let text = String::from_utf8_lossy(&disclosure.plaintext).into_owned();
        if disclosure.label == label && text.contains(needle) {
            disclosure.plaintext = text.replacen(needle, by, 1).into_bytes();
            let what = format!("`{needle}` to `{by}`");
            return bundle.with(path, disclosure.encode(), what);
        }
    }
    Err(broken(&format!("it discloses no {} with `{needle}`", label.as_str())))
}

fn contains(bytes: &[u8], needle: &[u8]) -> bool {
    bytes.windows(needle.len()).any(|part| part == needle)
}

fn broken(why: &str) -> Failure {
    Failure::new(format!("the bundle cannot be taken apart: {why}"))
}

/// The files of a bundle, with what its list says about it.
struct Opened {
    files: OwnedFiles,
    manifest: Manifest,
}

impl Opened {
    fn read(tar: &[u8]) -> Result<Self, Failure> {
        let wrong = |error: gantral_evidence::container::ContainerError| broken(&error.to_string());
        let read = read_tar(tar).map_err(wrong)?;
        let manifest = Manifest::read(&read).map_err(wrong)?;
        let mut files = OwnedFiles::new();
        for (path, content) in read.iter() {
            files.insert(path, content.to_vec()).map_err(wrong)?;
        }
        Ok(Self { files, manifest })
    }

    fn within(&self, prefix: &str) -> Vec<(String, Vec<u8>)> {
        let Ok(files) = self.files.as_files() else { return Vec::new() };
        files.within(prefix).map(|(path, content)| (path.to_owned(), content.to_vec())).collect()
    }

    /// Replaces a file, and writes the list as if nothing had happened.
    fn with(&mut self, path: String, content: Vec<u8>, what: String) -> Result<Forged, Failure> {
        let wrong = |error: gantral_evidence::container::ContainerError| broken(&error.to_string());
        self.files.remove(&path);
        self.files.insert(&path, content).map_err(wrong)?;
        self.files.seal(self.manifest.instance, self.manifest.scope).map_err(wrong)?;
        let tar = write_tar(&self.files.as_files().map_err(wrong)?);
        Ok(Forged { tar, path, what })
    }
}

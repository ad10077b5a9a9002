//! A bundle, as it was handed over: whole or file by file.

use gantral_evidence::container::{CONTENT_BYTES_MAX, ContainerError, Files, OwnedFiles, read_tar};

/// What there is of a bundle; of a window that is not open yet, what there is under `keys/`.
#[derive(Debug, Default)]
pub(super) enum Bundle {
    /// Nothing was given.
    #[default]
    Nothing,
    /// A tar.
    Tar(Vec<u8>),
    /// Files, and how many bytes they have together.
    Files { files: OwnedFiles, bytes: usize },
    /// No bundle, whatever else comes: a finding and not a failure.
    Refused(ContainerError),
}

impl Bundle {
    /// Adds a file.
    pub(super) fn add(&mut self, path: &str, content: Vec<u8>) {
        if !matches!(self, Self::Files { .. } | Self::Refused(_)) {
            *self = Self::Files { files: OwnedFiles::new(), bytes: 0 };
        }
        let Self::Files { files, bytes } = self else { return };
        *bytes = bytes.saturating_add(content.len());
        let added = if *bytes > CONTENT_BYTES_MAX {
            Err(ContainerError::Limit("bytes"))
        } else {
            files.insert(path, content)
        };
        if let Err(error) = added {
            *self = Self::Refused(error);
        }
    }

    /// Returns the files.
    ///
    /// # Errors
    /// When what was given is no bundle, whatever it contains: a finding and not a failure.
    pub(super) fn files(&self) -> Result<Files<'_>, ContainerError> {
        match self {
            Self::Nothing => Files::from_list([]),
            Self::Tar(bytes) => read_tar(bytes),
            Self::Files { files, .. } => files.as_files(),
            Self::Refused(error) => Err(error.clone()),
        }
    }
}

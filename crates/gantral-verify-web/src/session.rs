//! One verification, whose files arrive one after the other.
//!
//! What a wrong order of calls does is defined and harmless: a value that was not begun is empty. A failure is kept, and then there
//! is no verdict, whatever comes afterwards.

use gantral_core::json::DOCUMENT_BYTES_MAX;
use gantral_evidence::container::{
    CONTENT_BYTES_MAX, ContainerError, Files, OwnedFiles, TAR_BYTES_MAX, read_tar,
};
use gantral_evidence::log::note::NOTE_BYTES_MAX;
use gantral_evidence::report::{to_json, to_text};
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{
    Beside, Mirror, MirrorReader, OBJECT_BYTES_MAX, Questions, RECEIPTS_BYTES_MAX, Receipt, Report,
    parse_receipts, refuse, verify_beside,
};

use crate::answer::sentences;

/// The exit status of a verifier that has no verdict.
const NO_VERDICT: u8 = 3;
/// The longest path that is looked at, in bytes; far beyond what a bundle may have.
const PATH_BYTES_MAX: usize = 4 << 10;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A bundle as a tar.
    Tar,
    /// The path of a file of a bundle, before its content.
    Path,
    /// The content of that file.
    Content,
    /// The trust file.
    Trust,
    /// Receipts, one a line.
    Receipts,
    /// The checkpoint of a mirror, after bundle and trust file.
    Checkpoint,
    /// The object of a mirror that was asked for.
    Entries,
}

impl Kind {
    const ALL: [Self; 7] =
        [Self::Tar, Self::Path, Self::Content, Self::Trust, Self::Receipts, Self::Checkpoint, Self::Entries];

    /// Returns the kind of a number: its place in the list above, from 0.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }

    /// Returns the most bytes that a value may have. What the verifier itself limits may have one more, so that it can say so.
    const fn bytes_max(self) -> usize {
        match self {
            Self::Tar => TAR_BYTES_MAX,
            Self::Path => PATH_BYTES_MAX,
            Self::Content => CONTENT_BYTES_MAX,
            Self::Trust => DOCUMENT_BYTES_MAX + 1,
            Self::Receipts => RECEIPTS_BYTES_MAX + 1,
            Self::Checkpoint => NOTE_BYTES_MAX + 1,
            Self::Entries => OBJECT_BYTES_MAX,
        }
    }
}

/// What can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The JSON report, as `gantral-verify --json` prints it.
    Json,
    /// The report as text, as `gantral-verify` prints it.
    Text,
    /// The sentences of the report, in parts, as JSON.
    Sentences,
    /// Why there is no verdict; empty if nothing has failed.
    Failure,
    /// The names of the object of the mirror that is wanted, one a line.
    Wanted,
}

impl Form {
    const ALL: [Self; 5] = [Self::Json, Self::Text, Self::Sentences, Self::Failure, Self::Wanted];

    /// Returns the form of a number: its place in the list above, from 0.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.get(usize::try_from(number).ok()?).copied()
    }
}

/// The bundle, as it was handed over.
#[derive(Debug)]
enum Bundle {
    Nothing,
    Tar(Vec<u8>),
    Files {
        files: OwnedFiles,
        bytes: usize,
    },
    /// No bundle, whatever else comes: a finding and not a failure.
    Refused(ContainerError),
}

/// One verification.
#[derive(Debug)]
pub struct Session {
    /// The value that is arriving: what it is, and how long it will be.
    arriving: Option<(Kind, usize)>,
    value: Vec<u8>,
    path: String,
    bundle: Bundle,
    trust: Option<Trust>,
    receipts: Vec<Receipt>,
    reader: Option<MirrorReader>,
    mirror: Option<Mirror>,
    wanted: String,
    failure: Option<String>,
    report: Option<Report>,
    answer: Vec<u8>,
}

impl Session {
    /// Returns a verification that has nothing yet.
    pub const fn new() -> Self {
        Self {
            arriving: None,
            value: Vec::new(),
            path: String::new(),
            bundle: Bundle::Nothing,
            trust: None,
            receipts: Vec::new(),
            reader: None,
            mirror: None,
            wanted: String::new(),
            failure: None,
            report: None,
            answer: Vec::new(),
        }
    }

    /// Begins a value of so many bytes. Returns false if it is larger than any that could be used: then nothing of it is
    /// to be sent. A bundle that is too large is a finding, anything else a failure.
    pub fn begin(&mut self, kind: Kind, length: usize) -> bool {
        self.value = Vec::new();
        if length > kind.bytes_max() {
            self.arriving = None;
            match kind {
                Kind::Tar | Kind::Content => self.bundle = Bundle::Refused(ContainerError::Limit("bytes")),
                Kind::Path => self.bundle = Bundle::Refused(ContainerError::Limit("paths")),
                Kind::Trust => self.fail("the trust file is too large"),
                Kind::Receipts => self.fail("the receipts are too large"),
                Kind::Checkpoint | Kind::Entries => self.fail("a file of the mirror is too large"),
            }
            return false;
        }
        self.value.reserve_exact(length);
        self.arriving = Some((kind, length));
        true
    }

    /// Adds bytes; those beyond the length of the value are left out.
    pub fn push(&mut self, bytes: &[u8]) {
        let Some((_, length)) = self.arriving else { return };
        let missing = length.saturating_sub(self.value.len());
        let (wanted, _) = bytes.split_at_checked(missing).unwrap_or((bytes, &[]));
        self.value.extend_from_slice(wanted);
    }

    /// Ends the value and takes it. Returns false if there is no verdict any more.
    pub fn give(&mut self) -> bool {
        let value = std::mem::take(&mut self.value);
        let Some((kind, length)) = self.arriving.take() else { return false };
        if value.len() != length {
            self.fail("a file changed while it was read");
            return false;
        }
        match kind {
            Kind::Tar => self.bundle = Bundle::Tar(value),
            Kind::Path => self.path = String::from_utf8_lossy(&value).into_owned(),
            Kind::Content => self.add_file(value),
            Kind::Trust => match Trust::parse(&value) {
                Ok(trust) => self.trust = Some(trust),
                Err(error) => self.fail(error),
            },
            Kind::Receipts => match parse_receipts(&value) {
                Ok(receipts) => self.receipts = receipts,
                Err(error) => self.fail(error),
            },
            Kind::Checkpoint => self.begin_mirror(&value),
            Kind::Entries => {
                if let Some(Err(error)) = self.reader.as_mut().map(|reader| reader.entries(&value)) {
                    self.fail(error);
                }
            }
        }
        self.failure.is_none()
    }

    fn add_file(&mut self, content: Vec<u8>) {
        if !matches!(self.bundle, Bundle::Files { .. } | Bundle::Refused(_)) {
            self.bundle = Bundle::Files { files: OwnedFiles::new(), bytes: 0 };
        }
        let Bundle::Files { files, bytes } = &mut self.bundle else { return };
        *bytes = bytes.saturating_add(content.len());
        let added = if *bytes > CONTENT_BYTES_MAX {
            Err(ContainerError::Limit("bytes"))
        } else {
            files.insert(&self.path, content)
        };
        if let Err(error) = added {
            self.bundle = Bundle::Refused(error);
        }
    }

    fn begin_mirror(&mut self, checkpoint: &[u8]) {
        let Some(log) = self.trust.as_ref().and_then(Trust::log) else {
            return self.fail("a mirror needs a trust file with a `log`");
        };
        // What is no bundle asks the mirror nothing, and gets its verdict without it.
        let questions =
            files(&self.bundle).map_or_else(|_| Questions::default(), |files| Questions::of(&files));
        match MirrorReader::new(checkpoint, log, questions) {
            Ok(reader) => self.reader = Some(reader),
            Err(error) => self.fail(error),
        }
    }

    /// Tells whether the mirror wants another object, which is then named in [`Form::Wanted`]. Otherwise the mirror is complete,
    /// or has failed.
    pub fn next_object(&mut self) -> bool {
        match self.reader.as_ref().and_then(MirrorReader::next_objects).filter(|_| self.failure.is_none()) {
            Some(names) => {
                self.wanted = names.join("\n");
                true
            }
            None => {
                match self.reader.take().map(MirrorReader::finish) {
                    Some(Ok(mirror)) => self.mirror = Some(mirror),
                    Some(Err(error)) => self.fail(error),
                    None => {}
                }
                false
            }
        }
    }

    /// Verifies what was given and returns the exit status of a verifier.
    pub fn verify(&mut self) -> u8 {
        if matches!(self.bundle, Bundle::Nothing) {
            self.fail("there is no bundle");
        }
        if self.failure.is_some() {
            return NO_VERDICT;
        }
        let beside = Beside { mirror: self.mirror.as_ref(), receipts: &self.receipts };
        let report = match files(&self.bundle) {
            Ok(files) => verify_beside(&files, self.trust.as_ref(), beside),
            Err(error) => refuse(&error),
        };
        self.report.insert(report).verdict.exit_code()
    }

    /// Makes an answer and returns its length in bytes; one that there is not is empty.
    pub fn tell(&mut self, form: Form) -> usize {
        let report = self.report.as_ref();
        self.answer = match form {
            Form::Json => report.map(to_json).unwrap_or_default(),
            Form::Text => report.map(|report| to_text(report).into_bytes()).unwrap_or_default(),
            Form::Sentences => report.map(sentences).unwrap_or_default(),
            Form::Failure => self.failure.clone().unwrap_or_default().into_bytes(),
            Form::Wanted => self.wanted.clone().into_bytes(),
        };
        self.answer.len()
    }

    /// Returns four bytes of the answer as a number, the first in the least significant place.
    pub fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        let rest = self.answer.get(at..).unwrap_or_default();
        bytes.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        u32::from_le_bytes(bytes)
    }

    /// Keeps the first failure: what comes after it may be its consequence.
    fn fail(&mut self, error: impl ToString) {
        self.failure.get_or_insert_with(|| error.to_string());
    }
}

impl Default for Session {
    fn default() -> Self {
        Self::new()
    }
}

fn files(bundle: &Bundle) -> Result<Files<'_>, ContainerError> {
    match bundle {
        Bundle::Nothing => Files::from_list([]),
        Bundle::Tar(bytes) => read_tar(bytes),
        Bundle::Files { files, .. } => files.as_files(),
        Bundle::Refused(error) => Err(error.clone()),
    }
}

#[cfg(test)]
mod tests;

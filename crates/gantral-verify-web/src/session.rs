//! One verification, of a bundle or of a window, whose files arrive one after the other.
//!
//! What a wrong order of calls does is defined and harmless: a value that was not begun is empty. A failure is kept, and then there
//! is no verdict, whatever comes afterwards.

mod bundle;
mod value;
mod window;

use gantral_evidence::container::ContainerError;
use gantral_evidence::trust::Trust;
use gantral_evidence::verify::{
    Beside, Mirror, MirrorReader, Questions, Receipt, parse_receipts, refuse, verify_beside,
};
use gantral_evidence::window::NOTHING_BESIDE;

use crate::answer::Answer;
use bundle::Bundle;
use window::{Step, WindowParts};

pub use value::{Form, Kind};

/// The exit status of a verifier that has no verdict.
const NO_VERDICT: u8 = 3;

/// One verification.
#[derive(Debug)]
pub struct Session {
    /// The value that is arriving: what it is, and how long it will be.
    arriving: Option<(Kind, usize)>,
    value: Vec<u8>,
    path: String,
    bundle: Bundle,
    window: WindowParts,
    trust: Option<Trust>,
    /// Whether receipts or a mirror were given, usable or not.
    beside: bool,
    receipts: Vec<Receipt>,
    reader: Option<MirrorReader>,
    mirror: Option<Mirror>,
    wanted: String,
    failure: Option<String>,
    answer: Option<Answer>,
    told: Vec<u8>,
}

impl Session {
    /// Returns a verification that has nothing yet.
    pub const fn new() -> Self {
        Self {
            arriving: None,
            value: Vec::new(),
            path: String::new(),
            bundle: Bundle::Nothing,
            window: WindowParts::new(),
            trust: None,
            beside: false,
            receipts: Vec::new(),
            reader: None,
            mirror: None,
            wanted: String::new(),
            failure: None,
            answer: None,
            told: Vec::new(),
        }
    }

    /// Begins a value of so many bytes. Returns false if it is larger than any that could be used, or if there is no use for it: then
    /// nothing of it is to be sent. A bundle or a file of a window that is too large is a finding, anything else a failure.
    pub fn begin(&mut self, kind: Kind, length: usize) -> bool {
        (self.value, self.arriving) = (Vec::new(), None);
        if matches!(kind, Kind::Receipts | Kind::Checkpoint) {
            self.beside = true;
            if self.window.is_begun() {
                self.fail(NOTHING_BESIDE);
                return false;
            }
        }
        if length > kind.bytes_max() {
            match kind {
                Kind::Tar | Kind::Content => self.bundle = Bundle::Refused(ContainerError::Limit("bytes")),
                Kind::Path => self.bundle = Bundle::Refused(ContainerError::Limit("paths")),
                Kind::Trust => self.fail("the trust file is too large"),
                Kind::Receipts => self.fail("the receipts are too large"),
                Kind::Checkpoint | Kind::Entries => self.fail("a file of the mirror is too large"),
                // Which bytes they are does not matter: there are more than any statement or list has, and so they are refused.
                Kind::Statement | Kind::List => self.take(kind, vec![0; kind.bytes_max()]),
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
        self.take(kind, value);
        self.failure.is_none()
    }

    fn take(&mut self, kind: Kind, value: Vec<u8>) {
        match kind {
            Kind::Tar => self.bundle = Bundle::Tar(value),
            Kind::Path => self.path = String::from_utf8_lossy(&value).into_owned(),
            Kind::Content => self.bundle.add(&self.path, value),
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
            Kind::Statement => {
                if let Err(error) = self.window.statement(value) {
                    self.fail(error);
                }
            }
            Kind::List => {
                if let Err(error) = self.window.list(value) {
                    self.fail(error);
                }
            }
        }
    }

    fn begin_mirror(&mut self, checkpoint: &[u8]) {
        let Some(log) = self.trust.as_ref().and_then(Trust::log) else {
            return self.fail("a mirror needs a trust file with a `log`");
        };
        // What is no bundle asks the mirror nothing, and gets its verdict without it.
        let questions =
            self.bundle.files().map_or_else(|_| Questions::default(), |files| Questions::of(&files));
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

    /// Opens the window, or judges the bundle of it that was given since the last call; if none was given, it is not there. Tells
    /// whether another bundle is wanted, which is then named in [`Form::Wanted`]: as a file, and, if there is no such file, as a
    /// folder. Otherwise the window was read to its end, or there is no verdict.
    pub fn next_bundle(&mut self) -> bool {
        let given = std::mem::take(&mut self.bundle);
        if self.beside {
            self.fail(NOTHING_BESIDE);
        }
        if self.failure.is_some() {
            return false;
        }
        match self.window.step(&given, self.trust.as_ref()) {
            Ok(Step::Wants(head)) => {
                self.wanted = [head.file_name(), head.folder_name()].join("\n");
                return true;
            }
            Ok(Step::Done(report)) => self.answer = Some(Answer::Window(report)),
            Err(error) => self.fail(error),
        }
        false
    }

    /// Verifies what was given and returns the exit status of a verifier.
    pub fn verify(&mut self) -> u8 {
        if self.window.is_begun() {
            if !matches!(self.answer, Some(Answer::Window(_))) {
                self.fail("the window was not read to its end");
            }
        } else if matches!(self.bundle, Bundle::Nothing) {
            self.fail("there is no bundle");
        } else if self.failure.is_none() {
            let beside = Beside { mirror: self.mirror.as_ref(), receipts: &self.receipts };
            self.answer = Some(Answer::Bundle(Box::new(match self.bundle.files() {
                Ok(files) => verify_beside(&files, self.trust.as_ref(), beside),
                Err(error) => refuse(&error),
            })));
        }
        self.answered().map_or(NO_VERDICT, |answer| answer.verdict().exit_code())
    }

    /// Returns the answer; after a failure there is none.
    fn answered(&self) -> Option<&Answer> {
        self.answer.as_ref().filter(|_| self.failure.is_none())
    }

    /// Makes an answer and returns its length in bytes; one that there is not is empty.
    pub fn tell(&mut self, form: Form) -> usize {
        let answer = self.answered();
        self.told = match form {
            Form::Json => answer.map(Answer::json).unwrap_or_default(),
            Form::Text => answer.map(|answer| answer.text().into_bytes()).unwrap_or_default(),
            Form::Sentences => answer.map(Answer::sentences).unwrap_or_default(),
            Form::Failure => self.failure.clone().unwrap_or_default().into_bytes(),
            Form::Wanted => self.wanted.clone().into_bytes(),
            Form::Progress => {
                let (judged, of) = self.window.progress();
                format!("{judged}\n{of}").into_bytes()
            }
        };
        self.told.len()
    }

    /// Returns four bytes of the answer as a number, the first in the least significant place.
    pub fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        let rest = self.told.get(at..).unwrap_or_default();
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

#[cfg(test)]
mod tests;

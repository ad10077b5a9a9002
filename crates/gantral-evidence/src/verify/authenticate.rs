//! Which artifacts a trusted issuer signed.
//!
//! A file counts only by its signature. One that nobody trusted signed takes a place in the chain only where nothing
//! authentic stands; there it is named, so that a damaged artifact is not mistaken for a missing one.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::json::ParseClass;

use super::code::{Code, Weight};
use super::finding::{Findings, Place};
use super::keyring::Keyring;
use super::sealed::{Artifact, code_of_envelope};
use crate::bundle::sequence_of_artifact;
use crate::container::{ARTIFACTS_DIRECTORY, Files};
use crate::dsse::{Envelope, EnvelopeError, PAYLOAD_TYPE, pae};
use crate::fields::FieldError;
use crate::keyring::KnownKey;
use crate::statement::{Decoded, Statement, StatementError};
use crate::trust::KeyRole;

/// A file that is no authentic artifact, with what to say about it if its place is empty.
#[derive(Debug, Clone)]
pub(super) struct Rejected {
    pub(super) path: String,
    /// The place in the chain that the file claims.
    pub(super) position: Option<u64>,
    pub(super) code: Code,
    pub(super) message: String,
}

/// The files under `artifacts/`, sorted out.
#[derive(Debug, Default)]
pub(super) struct Authentic {
    pub(super) artifacts: Vec<Artifact>,
    pub(super) rejected: Vec<Rejected>,
    /// Places of authentic artifacts that cannot be read: neither missing nor usable.
    pub(super) unreadable: Vec<u64>,
}

/// Reads every file under `artifacts/`.
pub(super) fn authenticate(files: &Files<'_>, keys: &Keyring<'_>, findings: &mut Findings) -> Authentic {
    let mut authentic = Authentic::default();
    for (path, content) in files.within(ARTIFACTS_DIRECTORY) {
        match Envelope::parse(content) {
            Ok(envelope) => authentic.read(path, &envelope, keys, findings),
            Err(error) => authentic.unreadable_file(path, &error, findings),
        }
    }
    if files.within(ARTIFACTS_DIRECTORY).next().is_none() {
        findings.bundle(Code::Empty);
    }
    authentic
}

/// What the signatures of one envelope amount to.
pub(super) enum Signed<'k> {
    /// Good ones of issuers: the one that it counts as signed by, and the others.
    By(KnownKey<'k>, Vec<KnownKey<'k>>),
    /// A good one of a key that is for something else.
    ByWrongRole(KnownKey<'k>),
    /// One that names a key that is known, and does not verify.
    Badly(KnownKey<'k>),
    /// None by anybody who is known.
    ByNobodyKnown,
}

impl<'k> Signed<'k> {
    /// Returns who signed as an issuer.
    ///
    /// # Errors
    /// The row of the verdict table for what does not count as signed (V7).
    pub(super) fn by_issuer(self) -> Result<(KnownKey<'k>, Vec<KnownKey<'k>>), Code> {
        match self {
            Self::By(key, others) => Ok((key, others)),
            Self::ByWrongRole(_) => Err(Code::KeyRole),
            Self::Badly(_) => Err(Code::Sig),
            Self::ByNobodyKnown => Err(Code::KeyUnknown),
        }
    }
}

impl Authentic {
    fn read(&mut self, path: &str, envelope: &Envelope, keys: &Keyring<'_>, findings: &mut Findings) {
        let mut reject = |code: Code, message: String| {
            let position = sequence_of_artifact(path).or_else(|| claimed_position(&envelope.payload));
            self.rejected.push(Rejected { path: path.into(), position, code, message });
        };
        match judge(Some(path), envelope, keys, findings) {
            Signed::By(key, others) => self.accept(path, envelope, &key, &others, findings),
            Signed::ByWrongRole(key) => {
                let role = key.pinned.role.as_str();
                let message = alloc::format!("signed by key {}, which is a key for `{role}`", key.key.id());
                reject(Code::KeyRole, message);
            }
            Signed::Badly(key) => {
                let id = key.key.id();
                reject(Code::Sig, alloc::format!("the signature of key {id} does not verify"));
            }
            Signed::ByNobodyKnown => {
                let code = if keys.is_given() { Code::KeyUnknown } else { Code::NoTrust };
                reject(code, code.meaning().into());
            }
        }
    }

    fn accept(
        &mut self,
        path: &str,
        envelope: &Envelope,
        key: &KnownKey<'_>,
        others: &[KnownKey<'_>],
        findings: &mut Findings,
    ) {
        let position = || sequence_of_artifact(path).or_else(|| claimed_position(&envelope.payload));
        let Decoded { statement, extensions } = match Statement::decode_extended(&envelope.payload) {
            Ok(decoded) => decoded,
            Err(error) => {
                let place = position().map_or_else(|| Place::File(path.into()), Place::Artifact);
                findings.add(code_of(&error), place, error.to_string());
                self.unreadable.extend(position());
                return;
            }
        };
        let place = || Place::Artifact(statement.sequence);
        for name in extensions {
            findings.add(Code::Ext, place(), alloc::format!("extension `{name}` was ignored"));
        }
        self.artifacts.push(Artifact::signed(&envelope.payload, statement, key, others));
    }

    fn unreadable_file(&mut self, path: &str, error: &EnvelopeError, findings: &mut Findings) {
        let (code, position) = (code_of_envelope(error), sequence_of_artifact(path));
        if code == Code::Container {
            let place = position.map_or_else(|| Place::File(path.into()), Place::Artifact);
            findings.add(code, place, error.to_string());
            self.unreadable.extend(position);
            return;
        }
        self.rejected.push(Rejected { path: path.into(), position, code, message: error.to_string() });
    }
}

/// Checks the signatures of an envelope: one good one of an issuer makes it authentic. What stands beside it is noted where a
/// path says of what file.
pub(super) fn judge<'k>(
    path: Option<&str>,
    envelope: &Envelope,
    keys: &'k Keyring<'_>,
    findings: &mut Findings,
) -> Signed<'k> {
    if !keys.is_given() {
        return Signed::ByNobodyKnown;
    }
    let message = pae(PAYLOAD_TYPE, &envelope.payload);
    let judged: Vec<_> = envelope
        .signatures
        .iter()
        .map(|signature| {
            let known = keys.known(&signature.key_id)?;
            Some((known, known.key.verify_strict(&message, &signature.signature).is_ok()))
        })
        .collect();
    let good = |role: bool| {
        let good = judged
            .iter()
            .flatten()
            .filter(move |(known, verifies)| *verifies && (known.pinned.role == KeyRole::Issuer) == role);
        good.map(|(known, _)| *known)
    };
    // A key that is not compromised and not bound to a part of the log is better than one that is.
    let best = good(true).find(|known| known.window().is_unlimited()).or_else(|| good(true).next());
    if let Some(best) = best {
        if let Some(path) = path {
            note_others(path, &judged, findings);
        }
        let others = good(true).filter(|known| known.key.id() != best.key.id());
        return Signed::By(best, others.collect());
    }
    if let Some(known) = good(false).next() {
        return Signed::ByWrongRole(known);
    }
    match judged.iter().flatten().next() {
        Some((known, _)) => Signed::Badly(*known),
        None => Signed::ByNobodyKnown,
    }
}

/// Notes the signatures beside a good one: they change nothing.
fn note_others(path: &str, judged: &[Option<(KnownKey<'_>, bool)>], findings: &mut Findings) {
    for other in judged {
        let place = || Place::File(path.into());
        match other {
            None => findings.add(Code::ExtraSig, place(), "a signature by an unknown key was ignored"),
            Some((known, true)) if known.pinned.role != KeyRole::Issuer => {
                let role = known.pinned.role.as_str();
                let message = alloc::format!("a signature by a key for `{role}` was ignored");
                findings.add(Code::ExtraSig, place(), message);
            }
            Some((_, true)) => {}
            Some((_, false)) => {
                findings.add(Code::Unauth, place(), "a signature that does not verify was ignored");
            }
        }
    }
}

/// Returns the place that an unauthenticated payload claims.
fn claimed_position(payload: &[u8]) -> Option<u64> {
    Statement::decode(payload).ok().map(|statement| statement.sequence)
}

/// Returns the row of the verdict table for signed bytes that are no statement.
pub(crate) fn code_of(error: &StatementError) -> Code {
    match error {
        StatementError::Unsupported { .. } => Code::Unsupported,
        StatementError::Critical(_) => Code::Crit,
        StatementError::Json(error) => match error.kind.class() {
            ParseClass::Limit => Code::Limit,
            ParseClass::Unicode => Code::Unicode,
            ParseClass::Noncanonical | ParseClass::Malformed => Code::Noncanonical,
        },
        StatementError::Field(FieldError::NotAscii { .. }) => Code::Unicode,
        StatementError::Field(_) | StatementError::Disagrees(_) => Code::Schema,
        StatementError::Matrix { member: "policy", present: false, .. } => Code::NoPolicy,
        StatementError::Matrix { .. } => Code::Matrix,
    }
}

impl Rejected {
    /// Reports a file whose place is empty.
    pub(super) fn report(&self, findings: &mut Findings) {
        // Without a trust file this holds for every file, and has been said.
        if self.code == Code::NoTrust {
            return;
        }
        let place = self.position.map_or_else(|| Place::File(self.path.clone()), Place::Artifact);
        findings.add(self.code, place, self.message.clone());
    }

    /// Reports a file whose place is taken: it is ignored.
    pub(super) fn ignore(&self, findings: &mut Findings) {
        let message = alloc::format!("ignored: {}", self.message);
        findings.weighed(Code::Unauth, Weight::Note, Place::File(self.path.clone()), message);
    }
}

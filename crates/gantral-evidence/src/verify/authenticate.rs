//! Which artifacts a trusted issuer signed.
//!
//! A file counts only by its signature. One that nobody trusted signed takes a place in the chain only where nothing
//! authentic stands; there it is named, so that a damaged artifact is not mistaken for a missing one.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::json::ParseClass;

use super::code::{Code, Weight};
use super::finding::{Findings, Place};
use crate::container::{ARTIFACTS_DIRECTORY, Files};
use crate::dsse::{Envelope, EnvelopeError, EnvelopeSignature, PAYLOAD_TYPE, pae};
use crate::fields::FieldError;
use crate::keys::KeyId;
use crate::statement::{Decoded, Statement, StatementError, artifact_hash};
use crate::trust::{KeyRole, Trust, TrustedKey};

/// An artifact that a trusted issuer signed.
#[derive(Debug, Clone)]
pub(super) struct Artifact {
    pub(super) hash: Digest,
    pub(super) statement: Statement,
    pub(super) signer: KeyId,
}

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
pub(super) fn authenticate(files: &Files<'_>, trust: Option<&Trust>, findings: &mut Findings) -> Authentic {
    let mut authentic = Authentic::default();
    for (path, content) in files.within(ARTIFACTS_DIRECTORY) {
        match Envelope::parse(content) {
            Ok(envelope) => authentic.read(path, &envelope, trust, findings),
            Err(error) => authentic.unreadable_file(path, error, findings),
        }
    }
    if files.within(ARTIFACTS_DIRECTORY).next().is_none() {
        findings.bundle(Code::Empty);
    }
    authentic
}

/// What the signatures of one envelope amount to.
enum Signed<'a> {
    By(&'a TrustedKey),
    ByWrongRole(&'a TrustedKey),
    Badly(&'a TrustedKey),
    ByNobodyKnown,
}

impl Authentic {
    fn read(&mut self, path: &str, envelope: &Envelope, trust: Option<&Trust>, findings: &mut Findings) {
        let mut reject = |code: Code, message: String| {
            let position = position_of(path).or_else(|| claimed_position(&envelope.payload));
            self.rejected.push(Rejected { path: path.into(), position, code, message });
        };
        match judge(path, envelope, trust, findings) {
            Signed::By(key) => self.accept(path, envelope, key, findings),
            Signed::ByWrongRole(key) => {
                let role = key.role.as_str();
                let message = alloc::format!("signed by key {}, which is a key for `{role}`", key.key.id());
                reject(Code::KeyRole, message);
            }
            Signed::Badly(key) => {
                let id = key.key.id();
                reject(Code::Sig, alloc::format!("the signature of key {id} does not verify"));
            }
            Signed::ByNobodyKnown => {
                let code = if trust.is_none() { Code::NoTrust } else { Code::KeyUnknown };
                reject(code, code.meaning().into());
            }
        }
    }

    fn accept(&mut self, path: &str, envelope: &Envelope, key: &TrustedKey, findings: &mut Findings) {
        let position = || position_of(path).or_else(|| claimed_position(&envelope.payload));
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
        let (tenant, origin) = (&statement.identity.tenant, &statement.identity.origin);
        if !key.covers(tenant, origin) {
            let message = alloc::format!("the key does not speak for tenant `{tenant}` and log `{origin}`");
            findings.add(Code::KeyRole, place(), message);
        }
        if key.compromised_from.is_some() {
            findings.add(Code::KeyCompromised, place(), Code::KeyCompromised.meaning());
        } else if key.has_window() {
            let message =
                "the key is valid for a part of the log only, and there is no proof of the place in it";
            findings.add(Code::Unlogged, place(), message);
        }
        let hash = artifact_hash(&envelope.payload);
        self.artifacts.push(Artifact { hash, statement, signer: key.key.id() });
    }

    fn unreadable_file(&mut self, path: &str, error: EnvelopeError, findings: &mut Findings) {
        let code = match error {
            EnvelopeError::PayloadType(_) => Code::Unsupported,
            EnvelopeError::Limit(_) => Code::Limit,
            EnvelopeError::Json(error) if error.kind.class() == ParseClass::Limit => Code::Limit,
            EnvelopeError::Json(_)
            | EnvelopeError::Member(_)
            | EnvelopeError::UnknownMember
            | EnvelopeError::Base64(_) => {
                let place = position_of(path).map_or_else(|| Place::File(path.into()), Place::Artifact);
                findings.add(Code::Container, place, error.to_string());
                self.unreadable.extend(position_of(path));
                return;
            }
        };
        let rejected =
            Rejected { path: path.into(), position: position_of(path), code, message: error.to_string() };
        self.rejected.push(rejected);
    }
}

/// Checks the signatures of an envelope: one good one of a trusted issuer makes it authentic.
fn judge<'a>(
    path: &str,
    envelope: &Envelope,
    trust: Option<&'a Trust>,
    findings: &mut Findings,
) -> Signed<'a> {
    let Some(trust) = trust else { return Signed::ByNobodyKnown };
    let message = pae(PAYLOAD_TYPE, &envelope.payload);
    let known = |signature: &EnvelopeSignature| {
        let id = KeyId::parse(&signature.key_id).ok()?;
        trust.key(&id)
    };
    let judged: Vec<_> = envelope
        .signatures
        .iter()
        .map(|signature| {
            let key = known(signature)?;
            Some((key, key.key.verify_strict(&message, &signature.signature).is_ok()))
        })
        .collect();
    let good = |role: bool| {
        let mut good = judged
            .iter()
            .flatten()
            .filter(move |(key, verifies)| *verifies && (key.role == KeyRole::Issuer) == role);
        // A key that is not compromised and not bound to a part of the log is better than one that is.
        let unlimited = |key: &TrustedKey| key.compromised_from.is_none() && !key.has_window();
        good.clone().find(|(key, _)| unlimited(key)).or_else(|| good.next()).map(|(key, _)| *key)
    };
    if let Some(key) = good(true) {
        note_others(path, &judged, key, findings);
        return Signed::By(key);
    }
    if let Some(key) = good(false) {
        return Signed::ByWrongRole(key);
    }
    match judged.iter().flatten().next() {
        Some((key, _)) => Signed::Badly(key),
        None => Signed::ByNobodyKnown,
    }
}

/// Notes the signatures beside a good one: they change nothing.
fn note_others(
    path: &str,
    judged: &[Option<(&TrustedKey, bool)>],
    good: &TrustedKey,
    findings: &mut Findings,
) {
    for other in judged {
        let place = || Place::File(path.into());
        match other {
            None => findings.add(Code::ExtraSig, place(), "a signature by an unknown key was ignored"),
            Some((key, true)) if key.key.id() != good.key.id() && key.role != KeyRole::Issuer => {
                let role = key.role.as_str();
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

/// Returns the place that the file's name claims: `artifacts/000007.dsse.json`.
fn position_of(path: &str) -> Option<u64> {
    let number = path.strip_prefix(ARTIFACTS_DIRECTORY)?.strip_suffix(".dsse.json")?;
    (number.len() == 6 && number.bytes().all(|b| b.is_ascii_digit())).then(|| number.parse().ok()).flatten()
}

/// Returns the place that an unauthenticated payload claims.
fn claimed_position(payload: &[u8]) -> Option<u64> {
    Statement::decode(payload).ok().map(|statement| statement.sequence)
}

/// Returns the row of the verdict table for signed bytes that are no statement.
fn code_of(error: &StatementError) -> Code {
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

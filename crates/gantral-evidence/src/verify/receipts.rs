//! Receipts: what answers to writes promised to be in the log.
//!
//! Source: `spec/verification.md` §14.

use alloc::string::String;
use alloc::vec::Vec;

use gantral_core::json::{self, ParseError, Profile};

use super::authenticate::{Signed, judge};
use super::chain::Chain;
use super::code::{Code, Weight};
use super::finding::{Findings, Place};
use super::keyring::{Keyring, Signer};
use super::mirrored::say_more;
use super::places::LogView;
use super::sealed::Artifact;
use crate::container::Scope;
use crate::dsse::{Envelope, EnvelopeError};
use crate::statement::{Statement, artifact_hash};

/// The most lines of receipts.
pub const RECEIPTS_MAX: usize = 100_000;
/// The longest line, in bytes: an envelope with the largest payload, and what stands beside it.
pub const RECEIPT_BYTES_MAX: usize = 128 << 10;

/// The most bytes of receipts: 256 MiB.
pub const RECEIPTS_BYTES_MAX: usize = 256 << 20;

/// One line of receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    line: u64,
    envelope: Envelope,
}

impl Receipt {
    /// Returns which line it is, from 1.
    pub const fn line(&self) -> u64 {
        self.line
    }

    /// Returns what was sealed; nothing about it is checked.
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }
}

/// Why text is no receipts. Whoever kept them is at fault; nothing was verified with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptsError {
    /// More than [`RECEIPTS_MAX`], or more bytes than [`RECEIPTS_BYTES_MAX`].
    #[error("there are more than {RECEIPTS_MAX} receipts, or more than {} MiB", RECEIPTS_BYTES_MAX >> 20)]
    Count,
    /// A line that is too long or no JSON.
    #[error("line {line} of the receipts is not acceptable JSON: {error}")]
    Json {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        error: ParseError,
    },
    /// A line without an envelope.
    #[error("line {line} of the receipts has no `envelope`")]
    Missing {
        /// The line, from 1.
        line: u64,
    },
    /// A member `envelope` that is none.
    #[error("line {line} of the receipts: {error}")]
    Envelope {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        error: EnvelopeError,
    },
}

/// Reads receipts: a JSON object a line, of which the member `envelope` counts (V51).
pub fn parse_receipts(text: &[u8]) -> Result<Vec<Receipt>, ReceiptsError> {
    let mut receipts = Vec::new();
    if text.len() > RECEIPTS_BYTES_MAX {
        return Err(ReceiptsError::Count);
    }
    for (line, bytes) in (1_u64..).zip(text.split(|byte| *byte == b'\n')) {
        if bytes.is_empty() {
            continue;
        }
        if receipts.len() == RECEIPTS_MAX {
            return Err(ReceiptsError::Count);
        }
        let value = json::parse(bytes, &Profile::DOCUMENT.with_bytes_max(RECEIPT_BYTES_MAX))
            .map_err(|error| ReceiptsError::Json { line, error })?;
        let envelope = value.get("envelope").ok_or(ReceiptsError::Missing { line })?;
        let envelope = Envelope::parse(&envelope.to_canonical())
            .map_err(|error| ReceiptsError::Envelope { line, error })?;
        receipts.push(Receipt { line, envelope });
    }
    Ok(receipts)
}

/// Compares what was promised with the chain, and with the mirror.
pub(super) fn check(
    receipts: &[Receipt],
    keys: &Keyring<'_>,
    view: &LogView<'_>,
    chain: &Chain,
    scope: Scope,
    findings: &mut Findings,
) {
    let Some(first) = chain.artifacts.first() else { return };
    let identity = &first.statement.identity;
    for receipt in receipts {
        let (statement, signer, _) = match authentic(&receipt.envelope, keys, findings) {
            Ok(authentic) => authentic,
            Err(why) => {
                let message = alloc::format!("ignored: {why}");
                findings.add(Code::Unauth, Place::Receipt(receipt.line), message);
                continue;
            }
        };
        if statement.identity.instance == identity.instance && statement.identity.tenant == identity.tenant {
            compare(receipt, &statement, &signer, view, chain, scope, findings);
        }
    }
}

/// Returns what an envelope says, if somebody who is believed said it (V52), and who else with a good signature did.
pub(super) fn authentic(
    envelope: &Envelope,
    keys: &Keyring<'_>,
    findings: &mut Findings,
) -> Result<(Statement, Signer, Vec<Signer>), String> {
    let Signed::By(known, others) = judge(None, envelope, keys, findings) else {
        return Err("nobody who is believed signed it".into());
    };
    let statement = Statement::decode(&envelope.payload).map_err(|error| alloc::format!("{error}"))?;
    let Artifact { statement, signer, cosigners: others, .. } =
        Artifact::signed(&envelope.payload, statement, &known, &others);
    match &signer.unfit {
        Some((_, why)) => Err(why.clone()),
        None if signer.window.compromised_from.is_some() => Err("its key is compromised".into()),
        None => Ok((statement, signer, others)),
    }
}

fn compare(
    receipt: &Receipt,
    statement: &Statement,
    signer: &Signer,
    view: &LogView<'_>,
    chain: &Chain,
    scope: Scope,
    findings: &mut Findings,
) {
    let (sequence, hash) = (statement.sequence, artifact_hash(&receipt.envelope.payload));
    let place = || Place::Receipt(receipt.line);
    let held = chain.position(sequence);
    if held.is_some_and(|artifact| artifact.hash != hash) {
        findings.add(
            Code::Fork,
            place(),
            alloc::format!("it was promised that artifact {sequence} is {hash}"),
        );
    }
    let last = chain.artifacts.last().map(|last| last.statement.sequence);
    if Some(sequence) > last {
        say_more(scope, last, "a receipt promises artifacts that follow", findings);
    }
    let Some(logged) = view.logged_chain(chain) else { return };
    match logged.first(sequence) {
        Some((_, leaf)) if leaf.hash == hash => {}
        Some((_, leaf)) => {
            let message = alloc::format!("the log holds {} and not the promised {hash}", leaf.hash);
            findings.add(Code::Receipt, place(), message);
        }
        None => {
            let weight = match view.is_overdue(statement.entry.at.get()) {
                Some(false) => return,
                Some(true) if !signer.window.is_bounded() => Weight::Invalid,
                Some(true) | None => Weight::Inconclusive,
            };
            let message = alloc::format!("artifact {sequence} was promised, and the log does not hold it");
            findings.weighed(Code::Receipt, weight, place(), message);
        }
    }
}

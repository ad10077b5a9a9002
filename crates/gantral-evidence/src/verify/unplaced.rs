//! What an issuer signs beside the log: whom it counts as signed by, when nothing but its own words say where in the log it was made.
//!
//! Source: `spec/window.md` X5.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::ids::{LogOrigin, TenantId};
use gantral_core::time::UnixMillis;

use super::authenticate::judge;
use super::code::Code;
use super::finding::{Finding, Findings};
use super::keyring::{Keyring, Signer};
use crate::container::Files;
use crate::dsse::Envelope;
use crate::trust::Trust;

/// Whose words they are, and when they were said, as they say themselves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Said<'a> {
    pub(crate) tenant: &'a TenantId,
    pub(crate) origin: &'a LogOrigin,
    pub(crate) at: UnixMillis,
    /// How large the log was by then.
    pub(crate) size: u64,
}

/// Checks that a trusted issuer, or a delegate of one, signed an envelope, and then that it was fit to say what `read` finds in it.
/// Returns that, and what is noted of the other signatures at `path` (X9).
///
/// # Errors
/// The code and the reason: of the signature, then of `read`, then of the key.
pub(crate) fn authenticate<T>(
    path: &str,
    envelope: &Envelope,
    keys: &Files<'_>,
    trust: Option<&Trust>,
    read: impl FnOnce(&[u8]) -> Result<T, (Code, String)>,
    said: impl FnOnce(&T) -> Said<'_>,
) -> Result<(T, Vec<Finding>), (Code, String)> {
    let ring = Keyring::of(keys, trust);
    let refused = |code: Code| (code, code.meaning().to_string());
    if !ring.is_given() {
        return Err(refused(Code::NoTrust));
    }
    let mut beside = Findings::new();
    let signed = judge(Some(path), envelope, &ring, &mut beside).by_issuer();
    let (key, _) = signed.map_err(refused)?;
    let content = read(&envelope.payload)?;
    let said = said(&content);
    fit(key.signer_of(said.tenant, said.origin, said.at), said.size)?;
    Ok((content, beside.into_sorted()))
}

fn fit(signer: Signer, size: u64) -> Result<(), (Code, String)> {
    if let Some(unfit) = signer.unfit {
        return Err(unfit);
    }
    if signer.window.compromised_from.is_some() {
        return Err((
            Code::KeyCompromised,
            "its key is compromised, and nothing proves that this was later".into(),
        ));
    }
    if signer.window.until.is_some_and(|until| until <= size) {
        return Err((Code::KeyWindow, "its key had been retired by then".into()));
    }
    Ok(())
}

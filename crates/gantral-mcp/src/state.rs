//! The state that a client of 2026-07-28 carries from one round to the next while a call waits.
//!
//! It is sealed: a client can neither read nor make one. It names the gate and the call, whose it is and until when it is good, and is taken once.
//! It authorises nothing: the call that it belongs to is kept here, and runs if it was approved. Source: MCP 2026-07-28, Multi Round-Trip
//! Requests.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};

use crate::seal::{Keyring, OpenError};

/// How each state of ours begins.
const PREFIX: &str = "gantral1.";
/// What states are sealed for.
const PURPOSE: &str = "gantral/mcp/request-state/v1";
/// The longest state that is looked at, in bytes: ours have a few hundred.
pub const STATE_BYTES_MAX: usize = 4096;
/// How long a state is good, in milliseconds, if its gate is open for longer: a client that comes back later asks by the call itself.
const GOOD_FOR_MS: u64 = 60 * 60 * 1000;
/// After how many milliseconds the key is a new one. What the one before sealed is good for longer than any state.
pub const ROTATES_AFTER_MS: u64 = 24 * 60 * 60 * 1000;

/// What a state says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Names it, so that it is taken once.
    pub id: String,
    /// Where the call waits.
    pub gate: String,
    /// The digest of the call.
    pub call: String,
    /// The digest of whom it was given to.
    pub whose: String,
    /// Until when it is good, in milliseconds since 1970.
    pub good_until_ms: u64,
    /// The round that it begins.
    pub round: u32,
}

/// Why a state is refused. Nothing is done on its ground, and sending it again is pointless.
#[derive(Debug, thiserror::Error)]
pub enum BadState {
    /// Forged, altered, or sealed elsewhere.
    #[error("it was not sealed here, or was altered")]
    Forged,
    /// Too late.
    #[error("it is not good any more")]
    Expired,
    /// Of another call or another agent.
    #[error("it belongs to another call or another agent")]
    Foreign,
    /// Taken before, or its call is over.
    #[error("it was taken before, or its call is over")]
    Spent,
    /// Our own fault; it may be tried again.
    #[error("it cannot be checked: {0}")]
    Unchecked(std::io::Error),
}

impl BadState {
    /// Returns the stable word.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Forged => "state_forged",
            Self::Expired => "state_expired",
            Self::Foreign => "state_foreign",
            Self::Spent => "state_spent",
            Self::Unchecked(_) => "state_unchecked",
        }
    }
}

/// Tells whether a state, JSON as it stands in a request, is written like one of ours.
pub fn is_ours(raw: &str) -> bool {
    serde_json::from_str::<String>(raw).is_ok_and(|text| text.starts_with(PREFIX))
}

impl State {
    /// Makes a state that nobody was given yet.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new(
        (gate, gate_until_ms): (String, u64),
        call: &str,
        whose: &str,
        round: u32,
        now_ms: u64,
    ) -> Result<Self, getrandom::Error> {
        Ok(Self {
            id: format!("{:016x}{:016x}", getrandom::u64()?, getrandom::u64()?),
            gate,
            call: call.to_owned(),
            whose: whose.to_owned(),
            good_until_ms: gate_until_ms.min(now_ms.saturating_add(GOOD_FOR_MS)),
            round,
        })
    }

    /// Seals it.
    ///
    /// # Errors
    /// The system's.
    pub fn sealed(&self, keys: &Keyring) -> std::io::Result<String> {
        let sealed = keys.seal(PURPOSE, &serde_json::to_vec(self)?)?;
        Ok(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(sealed)))
    }

    /// Reads what was sealed; `None` if it is no state.
    pub fn read(plain: &[u8]) -> Option<Self> {
        serde_json::from_slice(plain).ok()
    }

    /// Opens what a client brought, JSON as it stands in its request, and checks what it says of call, agent and time.
    ///
    /// # Errors
    /// [`BadState`].
    pub fn opened(raw: &str, keys: &Keyring, call: &str, whose: &str, now_ms: u64) -> Result<Self, BadState> {
        if raw.len() > STATE_BYTES_MAX {
            return Err(BadState::Forged);
        }
        let text: String = serde_json::from_str(raw).map_err(|_| BadState::Forged)?;
        let sealed = text.strip_prefix(PREFIX).and_then(|body| URL_SAFE_NO_PAD.decode(body).ok());
        let plain = keys.open(PURPOSE, &sealed.ok_or(BadState::Forged)?).map_err(|error| match error {
            OpenError::NotOurs(_) => BadState::Forged,
            OpenError::Keys(error) => BadState::Unchecked(error),
        })?;
        let state = Self::read(&plain).ok_or(BadState::Forged)?;
        if state.call != call || state.whose != whose {
            return Err(BadState::Foreign);
        }
        if now_ms >= state.good_until_ms {
            return Err(BadState::Expired);
        }
        Ok(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000;

    fn state(gate_until_ms: u64) -> State {
        State::new(("g".to_owned(), gate_until_ms), "call", "agent", 1, NOW).unwrap()
    }

    fn code(raw: &str, keys: &Keyring, call: &str, whose: &str, now: u64) -> &'static str {
        State::opened(raw, keys, call, whose, now).map_or_else(|bad| bad.code(), |_| "good")
    }

    #[test]
    fn state_is_good_for_its_call_its_agent_and_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keyring::new(folder.path().join("k"), Some(ROTATES_AFTER_MS));
        let given = state(u64::MAX);
        let raw = crate::call::quoted(&given.sealed(&keys).unwrap());
        assert!(is_ours(&raw) && !is_ours("\"theirs\"") && !is_ours("7"));
        assert_eq!(State::opened(&raw, &keys, "call", "agent", NOW).unwrap(), given);
        for (call, whose, now, expected) in [
            ("call", "agent", NOW + GOOD_FOR_MS - 1, "good"),
            ("call", "agent", NOW + GOOD_FOR_MS, "state_expired"),
            ("other", "agent", NOW, "state_foreign"),
            ("call", "other", NOW, "state_foreign"),
        ] {
            assert_eq!(code(&raw, &keys, call, whose, now), expected, "{call} {whose} {now}");
        }
        // It is good for no longer than its gate.
        let short = crate::call::quoted(&state(NOW + 5).sealed(&keys).unwrap());
        assert_eq!(code(&short, &keys, "call", "agent", NOW + 4), "good");
        assert_eq!(code(&short, &keys, "call", "agent", NOW + 5), "state_expired");
    }

    #[test]
    fn state_that_was_made_or_altered_elsewhere_is_forged() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let keys = Keyring::new(folder.path().join("k"), None);
        let others = Keyring::new(other.path().join("k"), None);
        let given = state(u64::MAX);
        let altered = given.sealed(&keys).unwrap().replace("gantral1.", "gantral1.A");
        for raw in [
            crate::call::quoted(&given.sealed(&others).unwrap()),
            crate::call::quoted(&altered),
            "\"gantral1.\"".to_owned(),
            "\"gantral1.!\"".to_owned(),
            "7".to_owned(),
            format!("\"gantral1.{}\"", "A".repeat(STATE_BYTES_MAX)),
        ] {
            assert_eq!(code(&raw, &keys, "call", "agent", NOW), "state_forged", "{raw}");
        }
    }
}

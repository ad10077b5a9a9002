//! The authenticators of whoever looks.

use askama::Template;
use gantral_api::wire::{Passkey, PasskeyState, text};

use crate::inert::Inert;
use crate::page::{Page, Shell};

/// How much of a digest two people read to each other: 64 bits, which nobody finds a second passkey for while they talk.
const DIGITS: usize = 16;

/// The passkeys of somebody, and the forms to add and to end one.
#[derive(Debug, Template)]
#[template(path = "passkeys.html")]
pub struct PasskeysPage {
    shell: Shell,
    passkeys: Vec<Passkey>,
    you: text::ActorId,
    relying_party: Option<String>,
    known: String,
}

impl Page for PasskeysPage {}

impl PasskeysPage {
    /// Makes the page of `you`, with their passkeys; `relying_party` is whom new ones are made for, where any are taken.
    pub fn new(
        shell: Shell,
        passkeys: Vec<Passkey>,
        you: text::ActorId,
        relying_party: Option<String>,
    ) -> Self {
        let stand = passkeys.iter().filter(|one| one.state != PasskeyState::Revoked);
        let known = stand.map(|one| one.credential_id.as_str()).collect::<Vec<_>>().join(" ");
        Self { shell, passkeys, you, relying_party, known }
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    const fn state(&self, one: &Passkey) -> &'static str {
        match one.state {
            PasskeyState::Requested => "Waits to be enrolled",
            PasskeyState::Enrolled => "Enrolled",
            PasskeyState::Revoked => "Revoked: it signs nothing any more",
        }
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn waits(&self, one: &Passkey) -> bool {
        one.state == PasskeyState::Requested
    }

    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn ends(&self, one: &Passkey) -> bool {
        one.state != PasskeyState::Revoked
    }

    /// The beginning of the digest, in groups of four, as people read numbers to each other.
    #[expect(clippy::unused_self, reason = "a template calls methods of its page")]
    fn digits(&self, one: &Passkey) -> String {
        let mut shown = String::new();
        for (index, digit) in one.entry_digest.to_string().chars().take(DIGITS).enumerate() {
            if index > 0 && index.is_multiple_of(4) {
                shown.push(' ');
            }
            shown.push(digit);
        }
        shown
    }
}

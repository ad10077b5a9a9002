//! Enrolments: whose an authenticator is, by whose word, and since when.
//!
//! A directory that is taken over enrols nobody into the past: what counts was recorded before the gate opened. Source: `spec/human.md` H21 to
//! H23.

use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use gantral_core::digest::Digest;
use gantral_core::ids::{LogOrigin, PersonId, TenantId};

use super::chain::Chain;
use super::code::{Code, Weight};
use super::governed::Governed;
use super::keyring::{Keyring, Window};
use super::passkeys::Said;
use super::people::{Against, OpenGate};
use super::sealed::Artifact;
use super::timing::judge_key;
use crate::governance::{Detail, GovernanceStatement};
use crate::human::{Enrolment, SignedEnrolment};
use crate::keyring::KnownKey;
use crate::trust::KeyRole;

/// The directory of a tenant, as a relying party pins it.
pub(super) struct Directory<'a> {
    keys: &'a Keyring<'a>,
    governed: &'a Governed,
    tenant: TenantId,
    origin: LogOrigin,
    /// Whether the relying party believes a log, and so wants to see there what came first.
    is_logged: bool,
}

/// An enrolment, and what is to be said of it.
pub(super) struct Found {
    pub(super) enrolment: Option<Enrolment>,
    pub(super) said: Said,
}

/// A record of the governance chain that enrols somebody.
type Record = Artifact<GovernanceStatement>;

impl<'a> Directory<'a> {
    /// Returns the directory that speaks for a chain; `None` if the trust file has no key of one.
    pub(super) fn of(chain: &Chain, against: Against<'a>) -> Option<Self> {
        let identity = &chain.artifacts.first()?.statement.identity;
        let trust = against.trust?;
        let (tenant, origin) = (identity.tenant.clone(), identity.origin.clone());
        let mut keys = trust.keys();
        keys.any(|key| key.role == KeyRole::Directory && key.covers(&tenant, &origin)).then_some(Self {
            keys: against.keys,
            governed: against.governed,
            tenant,
            origin,
            is_logged: trust.log().is_some(),
        })
    }

    /// Judges the enrolment behind a decision.
    pub(super) fn check(&self, signed: &SignedEnrolment, gate: &OpenGate<'_>, artifact: &Artifact) -> Found {
        let enrolment = match signed.enrolment() {
            Ok(enrolment) => enrolment,
            Err(error) => return Found { enrolment: None, said: invalid(error.to_string()) },
        };
        let said = match self.judge(&enrolment, signed, gate, artifact) {
            Ok(notes) => notes,
            Err(said) => said,
        };
        Found { enrolment: Some(enrolment), said }
    }

    /// The first thing that is wrong ends the judgement; what is returned otherwise weighs nothing.
    fn judge(
        &self,
        enrolment: &Enrolment,
        signed: &SignedEnrolment,
        gate: &OpenGate<'_>,
        artifact: &Artifact,
    ) -> Result<Said, Said> {
        if enrolment.tenant != self.tenant || enrolment.origin != self.origin {
            return Err(invalid("the enrolment is one of another tenant or log"));
        }
        if PersonId::from_actor(&artifact.statement.entry.actor.id) != Some(enrolment.person) {
            return Err(invalid("the enrolment is another person's"));
        }
        let window = self.signed(signed)?;
        let entry = signed.digest();
        let (at, record) = self.record(enrolment, &entry, gate)?;
        if self.was_revoked(&entry, at, artifact) {
            return Err(invalid("the enrolment was revoked before"));
        }
        let said: Said = judge_key(window, record.index())
            .into_iter()
            .map(|(code, message)| (code, code.weight(), message.to_string()))
            .collect();
        if said.iter().any(|(_, weight, _)| *weight != Weight::Note) { Err(said) } else { Ok(said) }
    }

    /// Returns where in the log the key of the directory that signed is good.
    fn signed(&self, signed: &SignedEnrolment) -> Result<Window, Said> {
        let claimed: Vec<String> = signed.claimed().map(|id| id.to_string()).collect();
        let known = claimed.iter().filter_map(|name| self.keys.known(name));
        let good: Vec<_> = known.filter(|known| signed.is_signed_by(known.key)).collect();
        let is_of_directory = |known: &&KnownKey<'_>| {
            known.pinned.role == KeyRole::Directory && known.pinned.covers(&self.tenant, &self.origin)
        };
        let mut of_directory = good.iter().filter(|known| is_of_directory(known));
        let best = of_directory.clone().find(|known| known.window().is_unlimited());
        match best.or_else(|| of_directory.next()) {
            Some(known) => Ok(known.window()),
            None if good.is_empty() => Err(invalid("no key of the directory signed the enrolment")),
            None => {
                let message = "the enrolment is signed by a key that is not one of this tenant's directory";
                Err(alloc::vec![(Code::KeyRole, Weight::Invalid, message.to_string())])
            }
        }
    }

    /// Finds the newest record of the enrolment that came before the gate opened, and where it stands in the governance chain (H22).
    fn record(
        &self,
        enrolment: &Enrolment,
        entry: &Digest,
        gate: &OpenGate<'_>,
    ) -> Result<(usize, &'a Record), Said> {
        let chain = self.governed.chain().iter().enumerate();
        let records = chain.filter(|(_, record)| match &record.statement.detail {
            Detail::Enrolled { person, entry: named } => named == entry && *person == enrolment.person,
            _ => false,
        });
        let mut answer =
            Err(inconclusive("the governance chain of the bundle does not record the enrolment"));
        let (mut is_late, mut is_open) = (false, false);
        for (at, record) in records {
            match self.is_before(record, gate) {
                Some(true) => answer = Ok((at, record)),
                Some(false) => is_late = true,
                None => is_open = true,
            }
        }
        match answer {
            Ok(found) => Ok(found),
            Err(_) if is_open => {
                Err(inconclusive("it is not proved that the enrolment was in the log before the gate opened"))
            }
            Err(_) if is_late => Err(invalid("the enrolment was not recorded before the gate opened")),
            Err(said) => Err(said),
        }
    }

    /// Tells whether a record came before a gate opened; `None` if that is not shown.
    fn is_before(&self, record: &Record, gate: &OpenGate<'_>) -> Option<bool> {
        let opening = gate.opening;
        if record.statement.at > opening.statement.entry.at {
            return Some(false);
        }
        if !self.is_logged {
            return Some(true);
        }
        record.index().zip(opening.index()).map(|(record, opening)| record < opening)
    }

    /// Tells whether an enrolment ended before a decision, after it was recorded at this position of the governance chain.
    fn was_revoked(&self, entry: &Digest, recorded: usize, before: &Artifact) -> bool {
        let size = before.statement.anchor.map_or(0, |anchor| anchor.size);
        self.governed.chain().iter().skip(recorded).any(|artifact| {
            let revokes = matches!(
                &artifact.statement.detail,
                Detail::EnrolmentRevoked { entry: named } if named == entry
            );
            let is_before = artifact.statement.at < before.statement.entry.at
                || artifact.index().is_some_and(|index| index < size);
            revokes && is_before
        })
    }
}

fn invalid(message: impl Into<String>) -> Said {
    alloc::vec![(Code::Directory, Weight::Invalid, message.into())]
}

fn inconclusive(message: &str) -> Said {
    alloc::vec![(Code::Directory, Weight::Inconclusive, message.into())]
}

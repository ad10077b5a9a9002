//! Enrolments on the governance chain: which authenticator is whose, from when on and how long.
//!
//! The directory's signature is the authority to enrol; who brings it is a messenger. Revoking takes authority away and needs no such
//! signature. Source: `spec/human.md` §4, `spec/governance.md` G2.

use gantral_core::digest::{CommitmentLabel, Digest, Salt, commit};
use gantral_core::event::Actor;
use gantral_core::ids::{PersonId, TenantId};
use gantral_core::time::UnixMillis;
use gantral_evidence::governance::Detail;
use gantral_evidence::human::Enrolment;
use gantral_identity::HumanSubject;
use gantral_store::{GovernanceEffect, StoredEnrolment};

use super::{Act, GovernanceReceipt, Governor, Still};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

/// How an enrolment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnrolmentStanding {
    /// It waits for the directory.
    Waits,
    /// Its authenticator counts at gates that were asked after this instant.
    Enrolled(UnixMillis),
    /// It ended.
    Revoked,
}

/// One enrolment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrolmentView {
    /// Its place in the order of asking.
    pub number: u64,
    /// The digest that names it.
    pub entry: Digest,
    /// What it says.
    pub enrolment: Enrolment,
    /// How it stands.
    pub standing: EnrolmentStanding,
}

/// What the directory needs to judge what somebody asks for.
#[derive(Clone, PartialEq, Eq)]
pub struct EnrolmentRequest {
    /// The enrolment.
    pub view: EnrolmentView,
    /// What the authenticator said of it.
    pub assertion: Vec<u8>,
    /// Who asks, with the salt behind their `person_id`; `None` once they are anonymous.
    pub asked_by: Option<(HumanSubject, Salt)>,
}

impl Engine {
    /// Records that the directory enrolled an authenticator.
    ///
    /// # Errors
    /// `NotFound` where nobody asked for it, or it was signed before; `PasskeyRefused` for what no key of the directory signed, and for another
    /// tenant or relying party; `Conflict`: repeat; the signer's and the store's.
    pub async fn enrol(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        envelope: &[u8],
    ) -> Result<GovernanceReceipt, EngineError> {
        let enrolment = self.signed_enrolment(envelope)?;
        let is_ours = enrolment.tenant == *tenant
            && enrolment.origin == self.origin(tenant)?
            && self.passkeys().is_some_and(|passkeys| passkeys.relying_party.id == enrolment.relying_party);
        if !is_ours {
            return Err(EngineError::PasskeyRefused {
                why: "it is for another tenant, log or relying party".to_owned(),
            });
        }
        let (entry, person) = (enrolment.digest(), enrolment.person);
        let missing = || EngineError::NotFound { what: "what was to be enrolled" };
        let sealed = self.govern(tenant, call, by, |governed| {
            if governed.in_force.enrolment(&entry).is_some() || governed.in_force.was_erased(&person.0) {
                return Ok(None);
            }
            let effect = GovernanceEffect::SignEnrolment { entry, envelope: envelope.to_vec() };
            Ok(Some(Act::with(Detail::Enrolled { person, entry }, vec![effect])))
        });
        sealed.await?.ok_or_else(missing)
    }

    /// Ends an enrolment, as its owner or as an administrator; what still waits for the directory is forgotten, and nothing is sealed.
    ///
    /// # Errors
    /// `NotFound` for one that was revoked too; `Forbidden`; `Conflict`: repeat; the signer's and the store's.
    pub async fn revoke_enrolment(
        &self,
        call: &mut Call,
        tenant: &TenantId,
        by: Governor<'_>,
        administers: bool,
        entry: Digest,
    ) -> Result<Option<GovernanceReceipt>, EngineError> {
        let missing = || EngineError::NotFound { what: "the passkey" };
        let stored = self.0.store.enrolment(tenant, entry).await?.ok_or_else(missing)?;
        if !administers && stored.person != by.actor.id {
            return Err(missing());
        }
        if self.0.store.forget_enrolment(tenant, entry).await? {
            return Ok(None);
        }
        let revoked = self.govern(tenant, call, by, |governed| {
            let stands = governed.in_force.enrolment(&entry).is_some();
            Ok(stands.then(|| Detail::EnrolmentRevoked { entry }.into()))
        });
        revoked.await?.ok_or_else(missing).map(Some)
    }

    /// Returns up to `limit` enrolments, the newest first and behind `before`; with `of` those of one human.
    ///
    /// # Errors
    /// `Damaged`; the store's.
    pub async fn enrolments(
        &self,
        tenant: &TenantId,
        of: Option<&Actor>,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<EnrolmentView>, EngineError> {
        let of = of.map(|actor| &actor.id);
        let found = self.0.store.list_enrolments(tenant, of, before, limit).await?;
        let still = self.still(tenant).await?;
        found.iter().map(|stored| view(&still, stored)).collect()
    }

    /// Returns an enrolment with what the directory needs to judge it.
    ///
    /// # Errors
    /// `NotFound`; `Damaged`; the store's.
    pub async fn enrolment_request(
        &self,
        tenant: &TenantId,
        entry: Digest,
    ) -> Result<EnrolmentRequest, EngineError> {
        let missing = EngineError::NotFound { what: "the passkey" };
        let stored = self.0.store.enrolment(tenant, entry).await?.ok_or(missing)?;
        let view = view(&self.still(tenant).await?, &stored)?;
        let asked_by = match &stored.asked_by {
            None => None,
            Some((issuer, subject)) => {
                let human = HumanSubject::new(issuer, subject)
                    .map_err(|_| EngineError::Damaged { what: "an enrolment names nobody".to_owned() })?;
                let salt = self.0.store.known_person(tenant, issuer, subject).await?;
                let is_same = |salt: &Salt| {
                    PersonId(commit(CommitmentLabel::Person, salt, &human.person_bytes()))
                        == view.enrolment.person
                };
                salt.filter(is_same).map(|salt| (human, salt))
            }
        };
        Ok(EnrolmentRequest { view, assertion: stored.assertion, asked_by })
    }
}

impl Still {
    /// Returns whose an enrolment is that counts at a gate which was asked at `asked`, for a ballot of `at`.
    ///
    /// # Errors
    /// `PasskeyRefused`.
    pub(crate) fn enrolled(
        &mut self,
        entry: &Digest,
        asked: UnixMillis,
        at: UnixMillis,
    ) -> Result<PersonId, EngineError> {
        let refused = |why: &str| Err(EngineError::PasskeyRefused { why: why.to_owned() });
        let Some((person, since)) = self.governed.enrolment(entry) else {
            return refused("the passkey is not enrolled, or was revoked");
        };
        if self.governed.in_force.was_erased(&person.0) {
            return refused("whose passkey it was has been erased");
        }
        // In the order of the log, which has the instants of both and no finer order.
        if since >= asked {
            return refused("the passkey was enrolled after the gate opened, and counts at later ones");
        }
        self.governed.rested_on(at);
        Ok(person)
    }
}

fn view(still: &Still, stored: &StoredEnrolment) -> Result<EnrolmentView, EngineError> {
    let enrolment = Enrolment::decode(&stored.payload)
        .map_err(|error| EngineError::Damaged { what: format!("enrolment {}: {error}", stored.entry) })?;
    let standing = match (still.governed.enrolment(&stored.entry), &stored.envelope) {
        (Some((_, since)), _) => EnrolmentStanding::Enrolled(since),
        (None, Some(_)) => EnrolmentStanding::Revoked,
        (None, None) => EnrolmentStanding::Waits,
    };
    Ok(EnrolmentView { number: stored.number, entry: stored.entry, enrolment, standing })
}

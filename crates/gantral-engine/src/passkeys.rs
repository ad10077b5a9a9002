//! Authenticators of approvers: what they sign, and whether what they signed counts.
//!
//! The check of an assertion is that of a verifier (`gantral_evidence::human`), so that nothing is sealed that nobody would believe. What
//! the server alone knows is added: that the enrolment stands now. Source: `spec/human.md`.

use gantral_core::digest::Digest;
use gantral_core::event::{Actor, Ballot, Identity};
use gantral_core::ids::{GateId, PersonId};
use gantral_core::instance::Gate;
use gantral_core::state::HumanEvidence;
use gantral_core::time::UnixMillis;
use gantral_evidence::human::{
    ApproverKey, Assertion, CredentialId, DecisionStatement, DecisionTerms, Enrolment, RelyingParty,
    SignedEnrolment,
};
use gantral_evidence::keys::PublicKey;
use gantral_identity::Approver;
use gantral_store::{Effect, EnrolmentOutcome, NewEnrolment};

use crate::decisions::{DecisionRequest, lawful};
use crate::engine::{Call, Engine};
use crate::error::EngineError;

/// How long what is to be enrolled may lie between its drafting and its signature by the authenticator, in milliseconds: ten minutes.
const DRAFT_AGE_MAX_MS: u64 = 600_000;

/// Whose authenticators count.
#[derive(Debug, Clone)]
pub struct Passkeys {
    /// For whom authenticators sign, and on which pages.
    pub relying_party: RelyingParty,
    /// Whose word that an authenticator is one person's counts: public keys of the directory, whose private keys are elsewhere.
    pub directory: Vec<PublicKey>,
}

/// A key that an authenticator made for its owner.
#[derive(Debug, Clone)]
pub struct NewPasskey {
    /// How the authenticator names it.
    pub credential_id: CredentialId,
    /// The key.
    pub key: ApproverKey,
    /// The model of the authenticator, as it says; zeros where it does not.
    pub aaguid: [u8; 16],
    /// Whether the key may be copied to other devices of its owner.
    pub backup_eligible: bool,
}

/// A ballot that an authenticator speaks about: over which gate, and by whom.
pub(crate) struct Confirmed<'a> {
    pub(crate) identity: &'a Identity,
    pub(crate) gate: &'a Gate,
    pub(crate) actor: &'a Actor,
    /// Whose the authenticator is.
    pub(crate) person: PersonId,
}

/// What an authenticator is to sign of a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToSign {
    /// The digest of the statement: the challenge.
    pub digest: Digest,
    /// The statement, as everybody makes it from the chain.
    pub statement: Vec<u8>,
    /// When the gate opened: a passkey counts that was enrolled before.
    pub opened_at: UnixMillis,
}

fn no_passkeys() -> EngineError {
    refused("this server takes no passkeys")
}

fn refused(why: impl ToString) -> EngineError {
    EngineError::PasskeyRefused { why: why.to_string() }
}

impl Engine {
    /// Returns whose authenticators count, where any do.
    pub fn passkeys(&self) -> Option<&Passkeys> {
        self.0.config.passkeys.as_ref()
    }

    /// Returns what an authenticator is to sign when this human decides so. Seals nothing; refuses what the decision would be refused for.
    ///
    /// # Errors
    /// As [`Engine::decide_gate`]; `PasskeyRefused` where no passkeys are taken.
    pub async fn decision_to_sign(
        &self,
        mut call: Call,
        approver: &Approver,
        gate_id: GateId,
        request: &DecisionRequest,
    ) -> Result<ToSign, EngineError> {
        self.passkeys().ok_or_else(no_passkeys)?;
        let tenant = approver.principal().tenant();
        let row = self.gate_row(tenant, gate_id).await?;
        let held = self.hold_at(tenant, row.instance, call.now).await?;
        let loaded = held.loaded()?;
        let mut prepared = self.prepare(&mut call, approver, loaded, &row, request).await?;
        prepared.ballot.evidence = HumanEvidence::Webauthn;
        lawful(&call, loaded, &prepared)?;
        let gate = loaded.instance.gate().ok_or(EngineError::NotFound { what: "the gate" })?;
        let statement = statement(&loaded.instance.identity, gate, &prepared.actor, &prepared.ballot)?;
        let opened_at = row.gate.opened_at;
        Ok(ToSign { digest: statement.digest(), statement: statement.encode(), opened_at })
    }

    /// Checks what an authenticator said of a ballot, and makes it part of the ballot; returns the evidence that is kept.
    ///
    /// # Errors
    /// `PasskeyRefused`; `Damaged`; the store's.
    pub(crate) async fn confirm(
        &self,
        confirmed: &Confirmed<'_>,
        ballot: &mut Ballot,
        assertion: &Assertion,
    ) -> Result<Effect, EngineError> {
        let passkeys = self.passkeys().ok_or_else(no_passkeys)?;
        let Confirmed { identity, gate, actor, person } = *confirmed;
        if person.actor() != actor.id {
            return Err(refused("the passkey is somebody else's"));
        }
        let stored = self.0.store.enrolment(&identity.tenant, assertion.entry).await?;
        let envelope = stored.and_then(|stored| stored.envelope);
        let gone = || EngineError::Damaged { what: format!("enrolment {} is gone", assertion.entry) };
        let enrolment = self.signed_enrolment(&envelope.ok_or_else(gone)?)?;
        ballot.evidence = HumanEvidence::Webauthn;
        let said = statement(identity, gate, actor, ballot)?.digest();
        assertion.check(&enrolment, &passkeys.relying_party, &said).map_err(refused)?;
        let content = assertion.encode();
        let digest = Digest::of(&content);
        ballot.directory_entry = Some(assertion.entry);
        ballot.evidence_digest = Some(digest);
        Ok(Effect::PutEvidence { digest, content })
    }

    /// Returns the digest that names what an envelope enrols, whoever signed it.
    ///
    /// # Errors
    /// `PasskeyRefused` for what is no envelope.
    pub fn entry_of(&self, envelope: &[u8]) -> Result<Digest, EngineError> {
        SignedEnrolment::parse(envelope).map(|signed| signed.digest()).map_err(refused)
    }

    /// Reads an enrolment that a key of the directory signed.
    ///
    /// # Errors
    /// `PasskeyRefused`.
    pub(crate) fn signed_enrolment(&self, envelope: &[u8]) -> Result<Enrolment, EngineError> {
        let passkeys = self.passkeys().ok_or_else(no_passkeys)?;
        let signed = SignedEnrolment::parse(envelope).map_err(refused)?;
        if !passkeys.directory.iter().any(|key| signed.is_signed_by(key)) {
            return Err(refused("no key of the directory that is configured here signed it"));
        }
        signed.enrolment().map_err(refused)
    }

    /// Returns what is to be enrolled of a key of the caller's: the authenticator signs its digest first, and the directory signs it then.
    ///
    /// # Errors
    /// `PasskeyRefused` where no passkeys are taken; the store's, while the caller is made known.
    pub async fn draft_enrolment(
        &self,
        call: &mut Call,
        approver: &Approver,
        new: NewPasskey,
    ) -> Result<Enrolment, EngineError> {
        let passkeys = self.passkeys().ok_or_else(no_passkeys)?;
        let tenant = approver.principal().tenant();
        let person = self.person_of(call, approver).await?;
        Ok(Enrolment {
            aaguid: new.aaguid,
            backup_eligible: new.backup_eligible,
            created_at: call.now,
            credential_id: new.credential_id,
            key: new.key,
            label: None,
            origin: self.origin(tenant)?,
            person,
            relying_party: passkeys.relying_party.id.clone(),
            tenant: tenant.clone(),
        })
    }

    /// Asks the directory to enrol a key of the caller's. The authenticator has signed the digest of what is to be enrolled, so that it is
    /// here and makes sure of its owner.
    ///
    /// # Errors
    /// `PasskeyRefused` for what was not drafted for the caller a short while ago, and what the authenticator did not sign; `Forbidden` where
    /// the caller has too many; `PasskeyRefused` where no passkeys are taken; the store's.
    pub async fn ask_for_enrolment(
        &self,
        call: &mut Call,
        approver: &Approver,
        enrolment: &Enrolment,
        assertion: &Assertion,
    ) -> Result<Digest, EngineError> {
        let passkeys = self.passkeys().ok_or_else(no_passkeys)?;
        let principal = approver.principal();
        let person = self.person_of(call, approver).await?;
        let is_drafted = enrolment.person == person
            && enrolment.tenant == *principal.tenant()
            && enrolment.origin == self.origin(principal.tenant())?
            && enrolment.relying_party == passkeys.relying_party.id
            && enrolment.label.is_none();
        let age = call.now.get().checked_sub(enrolment.created_at.get());
        if !is_drafted || age.is_none_or(|age| age > DRAFT_AGE_MAX_MS) {
            return Err(refused("it was not drafted for you in the last ten minutes"));
        }
        let entry = enrolment.digest();
        assertion.check(enrolment, &passkeys.relying_party, &entry).map_err(refused)?;
        let new = NewEnrolment {
            tenant: principal.tenant().clone(),
            entry,
            person: person.actor(),
            issuer: principal.issuer().to_owned(),
            subject: principal.subject().to_owned(),
            payload: enrolment.encode(),
            assertion: assertion.encode(),
            at: call.now,
        };
        match self.0.store.ask_for_enrolment(new).await? {
            EnrolmentOutcome::Waits => Ok(entry),
            EnrolmentOutcome::Full => {
                Err(EngineError::Forbidden { why: "you have 32 passkeys, or asked for them" })
            }
        }
    }

    async fn person_of(&self, call: &mut Call, approver: &Approver) -> Result<PersonId, EngineError> {
        let actor = self.actor(call, approver.principal(), None).await?;
        PersonId::from_actor(&actor.id).ok_or(EngineError::Forbidden { why: "only humans have passkeys" })
    }
}

/// Makes the statement of a ballot.
fn statement<'a>(
    identity: &'a Identity,
    gate: &Gate,
    actor: &Actor,
    ballot: &'a Ballot,
) -> Result<DecisionStatement<'a>, EngineError> {
    let nobody = EngineError::Forbidden { why: "only humans decide" };
    let person = PersonId::from_actor(&actor.id).ok_or(nobody)?;
    Ok(DecisionStatement { identity, terms: DecisionTerms::of_gate(gate), person, ballot })
}

//! Passkeys: an approver's own authenticator signs the decision, and the server could not have.

use gantral_core::command::Refusal;
use gantral_core::digest::Digest;
use gantral_core::event::{Ballot, Event};
use gantral_core::state::{EventKind, HumanEvidence};
use gantral_core::time::DurationMs;
use gantral_engine::{
    Activation, Answer, DecisionRequest, Done, EngineConfig, EngineError, EnrolmentStanding,
    GovernanceReceipt, Governor, NewPasskey, Passkeys,
};
use gantral_evidence::governance::Scope;
use gantral_evidence::human::{
    Algorithm, ApproverKey, CredentialId, Enrolment, Origin, RelyingParty, RelyingPartyId,
};
use gantral_evidence::trust::{KeyRole, Require, Trust, TrustedKey};
use gantral_evidence::verify::{Report, Verdict, verify};
use gantral_identity::Approver;
use gantral_keys::{LocalSigner, Signer as _, SigningContext};
use gantral_policy::bundle::Bundle;
use gantral_testkit::workflows::{REFUND, read};
use gantral_testkit::{Authenticator, World, WorldOptions, policy};

use crate::script::{Learned, SELF, Script, Step, decision, statements};

const HOST: &str = "gantral.example";
const ORIGIN: &str = "https://gantral.example";
const SEED: [u8; 32] = [7; 32];

fn relying_party() -> RelyingParty {
    RelyingParty::new(RelyingPartyId::parse(HOST).unwrap(), vec![Origin::parse(ORIGIN).unwrap()]).unwrap()
}

/// A world whose refunds take passkeys only, with the signer of its directory, which no server has.
struct Guarded {
    script: Script,
    directory: LocalSigner,
}

impl Guarded {
    async fn new() -> Self {
        let demanded =
            REFUND.replace("\"required_evidence\": \"development\"", "\"required_evidence\": \"webauthn\"");
        Self::of(&demanded, &policy::example("refunds")).await
    }

    /// A world with refunds of this definition and under this policy.
    async fn of(definition: &str, bundle: &Bundle) -> Self {
        let pkcs8 = LocalSigner::generate().unwrap();
        let directory = LocalSigner::from_pkcs8(KeyRole::Directory, &pkcs8).unwrap();
        let passkeys =
            Passkeys { relying_party: relying_party(), directory: vec![directory.public_key().clone()] };
        let config = EngineConfig { passkeys: Some(passkeys), ..EngineConfig::default() };
        let world = World::with(WorldOptions { config, ..WorldOptions::default() });
        world.apply(read(definition), bundle).await;
        Self { script: Script { world, learned: Learned::default(), workflow: "refund", done: 0 }, directory }
    }

    fn world(&self) -> &World {
        &self.script.world
    }

    fn person(&self, name: &str) -> Approver {
        self.world().people.approver(name, self.world().clock.now())
    }

    /// Drafts the enrolment of an authenticator of somebody.
    async fn draft(&self, who: &str, authenticator: &Authenticator) -> Enrolment {
        let new = NewPasskey {
            credential_id: CredentialId::parse(&authenticator.credential_id()).unwrap(),
            key: ApproverKey::parse(Algorithm::Es256, &authenticator.public_key()).unwrap(),
            aaguid: [0; 16],
            backup_eligible: authenticator.is_synced(),
        };
        let mut call = self.world().call();
        self.world().engine().draft_enrolment(&mut call, &self.person(who), new).await.unwrap()
    }

    async fn ask(&self, who: &str, authenticator: &Authenticator) -> Enrolment {
        let enrolment = self.draft(who, authenticator).await;
        let entry = enrolment.digest();
        let assertion = authenticator.sign(entry, &entry);
        let mut call = self.world().call();
        let engine = self.world().engine();
        engine.ask_for_enrolment(&mut call, &self.person(who), &enrolment, &assertion).await.unwrap();
        enrolment
    }

    async fn signed(&self, enrolment: &Enrolment) -> Vec<u8> {
        let signature = self.directory.sign(SigningContext::Enrolment, &enrolment.message()).await.unwrap();
        enrolment.signed(&signature.key_id, &signature.bytes)
    }

    async fn bring(&self, envelope: &[u8]) -> Result<GovernanceReceipt, EngineError> {
        let actor = self.world().governor();
        let (mut call, tenant) = (self.world().call(), self.world().tenant());
        self.world().engine().enrol(&mut call, &tenant, Governor::from(&actor), envelope).await
    }

    /// Enrols an authenticator of somebody.
    async fn enrolled(&self, who: &str, authenticator: &Authenticator) -> Digest {
        let enrolment = self.ask(who, authenticator).await;
        self.bring(&self.signed(&enrolment).await).await.unwrap();
        self.world().clock.advance(DurationMs::from_secs(1));
        enrolment.digest()
    }

    /// Goes to where a refund waits.
    async fn wait(&mut self) {
        for step in &SELF[..3] {
            self.script.step(*step).await.unwrap();
        }
    }

    /// Has an authenticator sign what somebody decides, and decides.
    async fn decide(
        &self,
        who: &str,
        request: DecisionRequest,
        (authenticator, entry): (&Authenticator, Digest),
    ) -> Result<Done, EngineError> {
        let (engine, gate) = (self.world().engine(), self.script.learned.gate.unwrap());
        let request = DecisionRequest { seed: Some(SEED), ..request };
        let (person, call) = (self.person(who), self.world().call());
        let to_sign = engine.decision_to_sign(call, &person, gate, &request).await?;
        let assertion = Some(authenticator.sign(entry, &to_sign.digest));
        let request = DecisionRequest { assertion, ..request };
        engine.decide_gate(self.world().call(), &person, gate, request).await
    }

    /// Decides with a token and nothing else.
    async fn says(&self, who: &str) -> Result<Done, EngineError> {
        let (call, gate) = (self.world().call(), self.script.learned.gate.unwrap());
        self.world().engine().decide_gate(call, &self.person(who), gate, decision(Step::Approve)).await
    }

    /// Returns the least evidence that the open gate takes.
    async fn least(&self) -> HumanEvidence {
        self.script.facts().await.instance.gate().unwrap().rule.required_evidence
    }

    async fn put_in_force(&self, bundle: &Bundle) {
        let (world, version) = (self.world(), self.world().publish(bundle).await);
        let (tenant, by) = (world.tenant(), world.governor());
        let (scope, activation) = (Scope::Workflow(read(REFUND).id), Activation::Version(version));
        let mut call = world.call();
        let done = world.engine().activate_policy(&mut call, &tenant, (&by).into(), &scope, activation, None);
        done.await.unwrap();
    }

    async fn ballot(&self) -> Ballot {
        let sealed = statements(self.world(), self.script.id()).await.into_iter();
        let mut found = sealed.filter_map(|statement| match statement.entry.event {
            Event::Approved(granted) | Event::Overridden(granted) => Some(granted.ballot),
            _ => None,
        });
        found.next_back().unwrap()
    }

    async fn report(&self, require: Require) -> Report {
        let engine = self.world().engine();
        let files = engine.export(&self.world().tenant(), self.script.id()).await.unwrap().finish().unwrap();
        let issuer = TrustedKey::issuer(self.world().signer().public_key().clone());
        let directory = TrustedKey {
            role: KeyRole::Directory,
            ..TrustedKey::issuer(self.directory.public_key().clone())
        };
        let trust = Trust::new([issuer, directory], Some(require)).unwrap();
        verify(&files.as_files().unwrap(), Some(&trust.with_relying_party(relying_party())))
    }
}

fn why(refused: Result<Done, EngineError>) -> String {
    match refused {
        Err(EngineError::PasskeyRefused { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_authenticator_signs_the_decision_and_both_stand_in_the_bundle() {
    for synced in [false, true] {
        let mut guarded = Guarded::new().await;
        let key = Authenticator::new(HOST, ORIGIN, synced);
        let entry = guarded.enrolled("fiona", &key).await;
        guarded.wait().await;
        guarded.decide("fiona", decision(Step::Override { amount: 40_000 }), (&key, entry)).await.unwrap();
        let ballot = guarded.ballot().await;
        assert_eq!((ballot.evidence, ballot.directory_entry), (HumanEvidence::Webauthn, Some(entry)));
        let asks = |human_device_bound| Require {
            human_evidence: Some(HumanEvidence::Webauthn),
            human_device_bound,
            ..Require::signed()
        };
        let report = guarded.report(asks(false)).await;
        assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
        let bound = guarded.report(asks(true)).await;
        assert_eq!(bound.verdict, if synced { Verdict::Inconclusive } else { Verdict::Valid });
        guarded.script.world.restart();
        guarded.script.learned.amount = 40_000;
        guarded.script.step(Step::Begin).await.unwrap();
        guarded.script.step(Step::Consume).await.unwrap();
    }
}

#[tokio::test]
async fn a_token_alone_decides_nothing_where_a_passkey_is_asked_for() {
    let mut guarded = Guarded::new().await;
    guarded.wait().await;
    let refused = guarded.says("fiona").await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::EvidenceTooWeak))), "{refused:?}");
}

/// Rules that put everything to finance, with such evidence.
fn asking_for(evidence: &str) -> Bundle {
    policy::rules(&format!(
        "decision := \"REQUIRE_HUMAN\"\napprover_roles := [\"FINANCE_LEAD\"]\nrequired_evidence := \"{evidence}\""
    ))
}

#[tokio::test]
async fn policy_asks_for_a_passkey_where_the_workflow_does_not() {
    let mut guarded = Guarded::of(REFUND, &asking_for("webauthn")).await;
    let key = Authenticator::new(HOST, ORIGIN, false);
    let entry = guarded.enrolled("fiona", &key).await;
    guarded.wait().await;
    assert_eq!(guarded.least().await, HumanEvidence::Webauthn);
    let refused = guarded.says("fiona").await;
    assert!(matches!(refused, Err(EngineError::Refused(Refusal::EvidenceTooWeak))), "{refused:?}");
    guarded.decide("fiona", decision(Step::Approve), (&key, entry)).await.unwrap();
    guarded.script.step(Step::Begin).await.unwrap();
    guarded.script.step(Step::Consume).await.unwrap();
    let report = guarded.report(Require::signed()).await;
    assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
}

#[tokio::test]
async fn policy_takes_nothing_back_of_what_the_workflow_asks_for() {
    let demanded =
        REFUND.replace("\"required_evidence\": \"development\"", "\"required_evidence\": \"webauthn\"");
    let mut guarded = Guarded::of(&demanded, &asking_for("operator")).await;
    guarded.wait().await;
    assert_eq!(guarded.least().await, HumanEvidence::Webauthn);
}

#[tokio::test]
async fn a_policy_that_asks_for_unknown_evidence_has_failed_and_the_workflow_says_what_follows() {
    let mut guarded = Guarded::of(REFUND, &asking_for("passkey")).await;
    guarded.wait().await;
    assert!(guarded.script.events().await.contains(&EventKind::EvaluatorFailed));
    assert_eq!(guarded.least().await, HumanEvidence::Development);
    guarded.script.is_valid().await;
}

#[tokio::test]
async fn what_was_granted_with_less_than_policy_asks_for_by_now_is_asked_again() {
    let mut guarded = Guarded::of(REFUND, &policy::example("refunds")).await;
    let key = Authenticator::new(HOST, ORIGIN, false);
    let entry = guarded.enrolled("fiona", &key).await;
    guarded.wait().await;
    guarded.says("fiona").await.unwrap();
    guarded.put_in_force(&asking_for("webauthn")).await;
    guarded.world().clock.advance(DurationMs::from_secs(1));
    guarded.script.step(Step::Begin).await.unwrap();
    let asked = guarded.script.step(Step::Consume).await.unwrap();
    assert!(matches!(asked.answer, Answer::Waiting { .. }), "{asked:?}");
    assert_eq!(guarded.least().await, HumanEvidence::Webauthn);
    guarded.decide("fiona", decision(Step::Approve), (&key, entry)).await.unwrap();
    guarded.script.step(Step::Begin).await.unwrap();
    guarded.script.step(Step::Consume).await.unwrap();
    assert_eq!(guarded.script.events().await.last(), Some(&EventKind::Consumed));
    let report = guarded.report(Require::signed()).await;
    assert_eq!(report.verdict, Verdict::Valid, "{}", gantral_evidence::report::to_text(&report));
}

#[tokio::test]
async fn what_was_signed_for_something_else_counts_for_nothing() {
    let mut guarded = Guarded::new().await;
    let key = Authenticator::new(HOST, ORIGIN, false);
    let entry = guarded.enrolled("fiona", &key).await;
    let franks = Authenticator::new(HOST, ORIGIN, false);
    let of_frank = guarded.enrolled("frank", &franks).await;
    guarded.wait().await;
    let other = Authenticator::new(HOST, ORIGIN, false);
    assert!(
        why(guarded.decide("fiona", decision(Step::Approve), (&other, entry)).await).contains("another key")
    );
    let stolen = guarded.decide("fiona", decision(Step::Approve), (&franks, of_frank)).await;
    assert_eq!(why(stolen), "the passkey is somebody else's");
    let unknown = guarded.decide("fiona", decision(Step::Approve), (&key, Digest::of(b"nothing"))).await;
    assert!(why(unknown).contains("not enrolled"));

    let (engine, gate) = (guarded.world().engine(), guarded.script.learned.gate.unwrap());
    let request = DecisionRequest { seed: Some(SEED), ..decision(Step::Approve) };
    let person = guarded.person("fiona");
    let to_sign = engine.decision_to_sign(guarded.world().call(), &person, gate, &request).await.unwrap();
    let assertion = Some(key.sign(entry, &to_sign.digest));
    for changed in [
        DecisionRequest { justification: "as somebody else agreed".to_owned(), ..request.clone() },
        DecisionRequest { seed: Some(SEED), ..decision(Step::Override { amount: 1 }) },
        DecisionRequest { seed: Some(SEED), ..decision(Step::Reject) },
        DecisionRequest { seed: None, ..request.clone() },
    ] {
        let changed = DecisionRequest { assertion: assertion.clone(), ..changed };
        let refused = engine.decide_gate(guarded.world().call(), &person, gate, changed).await;
        assert!(why(refused).contains("asked about something else"));
    }
    let phished = key.asked_on("https://gantral.example.evil.example");
    let refused = guarded.decide("fiona", decision(Step::Approve), (&phished, entry)).await;
    assert!(why(refused).contains("origin"));
    let evidence =
        engine.store().human_evidence(&guarded.world().tenant(), guarded.script.id()).await.unwrap();
    assert_eq!(evidence, [], "nothing of what was refused is kept");
}

#[tokio::test]
async fn a_passkey_counts_at_gates_after_its_enrolment_and_until_it_is_revoked() {
    let mut guarded = Guarded::new().await;
    let early = Authenticator::new(HOST, ORIGIN, false);
    let entry = guarded.enrolled("fiona", &early).await;
    guarded.wait().await;
    let late = Authenticator::new(HOST, ORIGIN, false);
    let of_late = guarded.enrolled("fiona", &late).await;
    let refused = guarded.decide("fiona", decision(Step::Approve), (&late, of_late)).await;
    assert!(why(refused).contains("after the gate opened"));
    let revoke = async |who: &str, administers| {
        let person = guarded.person(who);
        let (engine, tenant) = (guarded.world().engine(), guarded.world().tenant());
        let actor = engine.actor(&mut guarded.world().call(), person.principal(), None).await.unwrap();
        let by = Governor { actor: &actor, why: Some("lost") };
        engine.revoke_enrolment(&mut guarded.world().call(), &tenant, by, administers, entry).await
    };
    assert!(matches!(revoke("frank", false).await, Err(EngineError::NotFound { .. })), "it is none of his");
    assert!(revoke("frank", true).await.unwrap().is_some(), "he administers");
    assert!(matches!(revoke("fiona", false).await, Err(EngineError::NotFound { .. })));
    let refused = guarded.decide("fiona", decision(Step::Approve), (&early, entry)).await;
    assert!(why(refused).contains("was revoked"));
    let views = guarded.world().engine().enrolments(&guarded.world().tenant(), None, None, 9).await.unwrap();
    let standing: Vec<_> = views.iter().map(|view| view.standing).collect();
    assert!(
        matches!(standing[..], [EnrolmentStanding::Enrolled(_), EnrolmentStanding::Revoked]),
        "{standing:?}"
    );
}

#[tokio::test]
async fn nobody_but_the_directory_enrols_and_only_what_was_asked_for() {
    let guarded = Guarded::new().await;
    let key = Authenticator::new(HOST, ORIGIN, false);
    let enrolment = guarded.draft("fiona", &key).await;
    let signed = guarded.signed(&enrolment).await;
    assert!(matches!(guarded.bring(&signed).await, Err(EngineError::NotFound { .. })), "nobody asked for it");
    guarded.ask("fiona", &key).await;
    let rogue = LocalSigner::from_pkcs8(KeyRole::Directory, &LocalSigner::generate().unwrap()).unwrap();
    let signature = rogue.sign(SigningContext::Enrolment, &enrolment.message()).await.unwrap();
    let forged = enrolment.signed(&signature.key_id, &signature.bytes);
    let refused = guarded.bring(&forged).await;
    assert!(matches!(refused, Err(EngineError::PasskeyRefused { .. })), "{refused:?}");
    guarded.bring(&signed).await.unwrap();
    assert!(matches!(guarded.bring(&signed).await, Err(EngineError::NotFound { .. })), "it is enrolled");
}

#[tokio::test]
async fn a_key_is_asked_for_by_its_owner_with_the_authenticator_in_hand() {
    let guarded = Guarded::new().await;
    let key = Authenticator::new(HOST, ORIGIN, false);
    let enrolment = guarded.draft("fiona", &key).await;
    let entry = enrolment.digest();
    let ask = async |who: &str, enrolment: &Enrolment, signed: &Digest| {
        let (mut call, person) = (guarded.world().call(), guarded.person(who));
        let assertion = key.sign(entry, signed);
        let asked =
            guarded.world().engine().ask_for_enrolment(&mut call, &person, enrolment, &assertion).await;
        matches!(asked, Err(EngineError::PasskeyRefused { .. }))
    };
    assert!(ask("frank", &enrolment, &entry).await, "it was drafted for somebody else");
    assert!(ask("fiona", &enrolment, &Digest::of(b"something else")).await);
    let grown = Enrolment { backup_eligible: true, ..enrolment.clone() };
    assert!(ask("fiona", &grown, &entry).await);
    assert!(!ask("fiona", &enrolment, &entry).await);
    guarded.world().clock.advance(DurationMs::from_secs(601));
    assert!(ask("fiona", &enrolment, &entry).await, "it was drafted too long ago");
}

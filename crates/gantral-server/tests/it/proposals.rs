//! Four eyes over HTTP: what takes two persons is in force when the second has confirmed it, and not before.

use gantral_api::client::Client;
use gantral_api::problem::Code;
use gantral_api::wire::{
    Activate, ApplyWorkflow, AuthorityAnswer, ConfirmProposal, FileChange, Governed, PageQuery, Proposal,
    ProposalState, ProposalsQuery, SetFreeze, SetMode, text,
};
use gantral_core::time::DurationMs;
use gantral_engine::{FourEyesRules, Unfreeze};
use gantral_testkit::policy::rules;
use gantral_testkit::{AGENT, RUNNER, workflows};
use serde_json::{Value, json};

use crate::place::{Place, code, freeze, problem, refund, refused, to};

const ALL: FourEyesRules = FourEyesRules {
    policy: true,
    mode: true,
    unfreeze: Unfreeze::Two,
    expires: DurationMs::from_secs(3_600),
    open_max: 8,
};

/// Publishes a policy that answers every ask with a verdict.
async fn published(place: &Place, verdict: &str) -> text::PolicyVersionId {
    let archive = rules(&format!("decision := \"{verdict}\"")).to_archive().unwrap();
    place.human("bob").publish_policy(archive).await.unwrap().policy_version_id
}

fn workflow() -> Value {
    json!({"kind": "workflow", "name": "refund"})
}

fn activation(scope: Value, version: text::PolicyVersionId) -> Activate {
    to(json!({"scope": scope, "policy_version_id": version, "justification": "the limit is too low"}))
}

async fn proposed(client: &Client, scope: Value, version: text::PolicyVersionId) -> Proposal {
    let Governed { sealed, proposal } = client.activate(&activation(scope, version)).await.unwrap();
    assert_eq!(sealed, []);
    proposal.unwrap()
}

fn reading(proposal: &Proposal) -> ConfirmProposal {
    ConfirmProposal { digest: proposal.digest, justification: Some(to(json!("read and agreed"))) }
}

async fn confirm(client: &Client, proposal: &Proposal) -> Result<Governed, gantral_api::client::ClientError> {
    client.confirm_proposal(proposal.proposal_id, &reading(proposal)).await
}

/// Registers the workflow of refunds, with a policy that two persons put in force.
async fn applied(place: &Place, verdict: &str) -> text::PolicyVersionId {
    let version = published(place, verdict).await;
    let definition: Value = serde_json::from_str(workflows::REFUND).unwrap();
    let body: ApplyWorkflow = to(json!({"definition": definition, "policy_version_id": version}));
    let applied = place.human("bob").apply_workflow(&"refund".parse().unwrap(), &body).await.unwrap();
    assert_eq!(applied.policy_version_id, None, "a definition brings no policy past the second person");
    confirm(&place.human("grace"), &applied.proposal.unwrap()).await.unwrap();
    version
}

async fn asked(place: &Place) -> AuthorityAnswer {
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    attempt.ask(id, &refund(1)).await.unwrap()
}

#[tokio::test]
async fn what_one_proposes_another_confirms_after_a_restart_and_it_counts_at_once() {
    let mut place = Place::four_eyes(ALL).await;
    applied(&place, "ALLOW").await;
    let version = published(&place, "DENY").await;
    let token = place.human_token("bob");
    let body = serde_json::to_string(&activation(workflow(), version)).unwrap();
    let answer = place.write("POST", "/v1/activations", &token, &body).send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    let bytes = answer.bytes().await.unwrap();
    let proposal = serde_json::from_slice::<Governed>(&bytes).unwrap().proposal.unwrap();
    assert_eq!((proposal.event.as_str(), proposal.state), ("policy_activated", ProposalState::Open));
    assert_eq!(proposal.justification.as_deref(), Some("the limit is too low"));
    assert!(proposal.next.as_deref().unwrap().contains(&proposal.proposal_id.to_string()));
    assert!(matches!(asked(&place).await, AuthorityAnswer::Allow(_)), "nothing of it is in force");

    place.restart().await;
    let mut shown = place.human("grace").proposal(proposal.proposal_id).await.unwrap();
    let files = shown.files.take().unwrap();
    assert_eq!(
        (files.len(), files[0].path.as_str(), files[0].change),
        (1, "policy.rego", FileChange::Changed)
    );
    assert!(files[0].text.as_deref().unwrap().contains("DENY"));
    assert_eq!(shown, proposal);
    assert!(matches!(asked(&place).await, AuthorityAnswer::Allow(_)), "reading it confirms nothing");
    let sealed = confirm(&place.human("grace"), &proposal).await.unwrap().sealed;
    assert!(matches!(asked(&place).await, AuthorityAnswer::Deny(_)));
    let by = sealed[0].proposed_by.clone().unwrap();
    assert_eq!((by.actor.clone(), by.at), (proposal.proposed_by.clone(), proposal.proposed_at));
    assert!(by.actor != sealed[0].actor);
    assert_eq!(by.justification.as_deref(), Some("the limit is too low"));
    assert_eq!(sealed[0].justification.as_deref(), Some("read and agreed"));
    let history = place.human("bob").governance(&PageQuery::default()).await.unwrap().items;
    assert_eq!(history.last(), sealed.last());

    let ended = place.human("bob").proposal(proposal.proposal_id).await.unwrap();
    assert_eq!((ended.state, ended.sequence), (ProposalState::Confirmed, Some(sealed[0].sequence)));
    assert_eq!(
        (ended.ended_by, ended.justification, ended.next),
        (Some(sealed[0].actor.clone()), None, None)
    );
    // Whoever lost the answer gets it again.
    assert_eq!(confirm(&place.human("grace"), &proposal).await.unwrap().sealed, sealed);
}

#[tokio::test]
async fn the_digest_is_that_of_the_document_that_is_shown() {
    let place = Place::four_eyes(ALL).await;
    let proposal =
        proposed(&place.human("dave"), json!({"kind": "tenant"}), published(&place, "DENY").await).await;
    let document = gantral_core::json::parse(
        proposal.document.as_str().as_bytes(),
        &gantral_core::json::Profile::DOCUMENT,
    );
    let document = document.unwrap();
    let digest =
        gantral_core::digest::Hasher::new("gantral/proposal/v1").bytes(&document.to_canonical()).finish();
    assert_eq!(proposal.digest.0, digest);
    let named = |name: &str| document.get(name).unwrap().to_canonical();
    let detail = gantral_core::json::parse(
        proposal.detail.as_str().as_bytes(),
        &gantral_core::json::Profile::DOCUMENT,
    );
    assert_eq!(named("detail"), detail.unwrap().to_canonical());
    assert_eq!(named("event"), b"\"policy_activated\"");
}

#[tokio::test]
async fn the_same_human_is_refused_under_every_role_and_token_and_so_is_every_machine() {
    let place = Place::four_eyes(ALL).await;
    let proposal =
        proposed(&place.human("dave"), json!({"kind": "tenant"}), published(&place, "DENY").await).await;
    place.clock.advance(DurationMs::from_secs(60));
    for again in [place.human("dave"), place.human_under("dave", "PLATFORM_ADMIN")] {
        assert_eq!(code(confirm(&again, &proposal).await), Code::SamePerson);
    }
    // A role that may do less is refused as whoever has it.
    for other in [
        place.human_under("dave", "DEVELOPER"),
        place.human("bob"),
        place.human("fiona"),
        place.machine(AGENT),
        place.machine(RUNNER),
    ] {
        assert_eq!(code(confirm(&other, &proposal).await), Code::Forbidden);
    }
    for machine in [place.machine(AGENT), place.machine(RUNNER)] {
        assert_eq!(
            code(machine.activate(&activation(workflow(), published(&place, "ALLOW").await)).await),
            Code::Forbidden
        );
        assert_eq!(code(machine.withdraw_proposal(proposal.proposal_id).await), Code::Forbidden);
    }
    assert_eq!(code(place.human("heidi").withdraw_proposal(proposal.proposal_id).await), Code::Forbidden);
    let path = format!("/v1/proposals/{}/confirm", proposal.proposal_id);
    let body = serde_json::to_string(&reading(&proposal)).unwrap();
    let got = place.request("GET", &path, Some(&place.human_token("heidi"))).body(body);
    assert_eq!(refused(got).await.code(), Code::MethodNotAllowed);
    for foreign in [place.human("mallory")] {
        assert_eq!(code(foreign.proposal(proposal.proposal_id).await), Code::NotFound);
        assert_eq!(code(confirm(&foreign, &proposal).await), Code::NotFound);
        assert_eq!(code(foreign.withdraw_proposal(proposal.proposal_id).await), Code::NotFound);
        assert_eq!(foreign.proposals(&ProposalsQuery::default()).await.unwrap().items, []);
    }
    assert_eq!(place.human("dave").activations().await.unwrap().items, []);
    confirm(&place.human("heidi"), &proposal).await.unwrap();
}

#[tokio::test]
async fn two_roles_of_one_human_are_one_person() {
    let place = Place::four_eyes(ALL).await;
    applied(&place, "ALLOW").await;
    let version = published(&place, "DENY").await;
    let proposal = proposed(&place.human_under("bob", "DEVELOPER"), workflow(), version).await;
    let as_administrator = place.human_under("bob", "PLATFORM_ADMIN");
    assert_eq!(code(confirm(&as_administrator, &proposal).await), Code::SamePerson);
    confirm(&place.human("grace"), &proposal).await.unwrap();
}

#[tokio::test]
async fn what_ended_moved_or_was_not_read_is_refused_and_says_why() {
    use ProposalState::{Confirmed, Expired, Withdrawn};
    let place = Place::four_eyes(FourEyesRules { open_max: 2, ..ALL }).await;
    applied(&place, "ALLOW").await;
    let (bob, grace) = (place.human("bob"), place.human("grace"));
    let (deny, ask) = (published(&place, "DENY").await, published(&place, "REQUIRE_HUMAN").await);
    let first = proposed(&bob, workflow(), deny).await;
    let second = proposed(&bob, workflow(), ask).await;
    let third = published(&place, "nonsense").await;
    let full = problem(bob.activate(&activation(workflow(), third)).await);
    assert_eq!((full.code(), full.member("most")), (Code::ProposalsFull, Some(&json!(2))));

    let swapped = ConfirmProposal { digest: second.digest, justification: None };
    assert_eq!(code(grace.confirm_proposal(first.proposal_id, &swapped).await), Code::ProposalDiffers);
    let sealed = confirm(&grace, &second).await.unwrap().sealed;
    let moved = problem(confirm(&grace, &first).await);
    assert_eq!(moved.code(), Code::ProposalMoved);
    let changed = json!({
        "sequence": sealed[0].sequence, "event": "policy_activated",
        "actor": sealed[0].actor, "at": sealed[0].at,
    });
    assert_eq!(moved.member("changed"), Some(&changed));

    assert_eq!(bob.withdraw_proposal(first.proposal_id).await.unwrap().state, Withdrawn);
    let ended = problem(confirm(&grace, &first).await);
    assert_eq!((ended.code(), ended.member("state")), (Code::ProposalEnded, Some(&json!("withdrawn"))));
    assert_eq!(ended.member("ended_by"), Some(&json!(first.proposed_by)));

    let late = proposed(&bob, workflow(), deny).await;
    let open = ProposalsQuery { open: Some(true), ..ProposalsQuery::default() };
    assert_eq!(bob.proposals(&open).await.unwrap().items, std::slice::from_ref(&late));
    place.clock.advance(ALL.expires);
    let (bob, grace) = (place.human("bob"), place.human("grace"));
    let ended = problem(confirm(&grace, &late).await);
    assert_eq!((ended.code(), ended.member("state")), (Code::ProposalEnded, Some(&json!("expired"))));
    assert_eq!(ended.member("ended_by"), Some(&Value::Null));
    assert_eq!(bob.proposals(&open).await.unwrap().items, []);
    let mut all = Vec::new();
    let mut query = ProposalsQuery { limit: Some(3), ..ProposalsQuery::default() };
    loop {
        let page = bob.proposals(&query).await.unwrap();
        all.extend(page.items.iter().map(|proposal| proposal.state));
        let Some(next) = page.next else { break };
        query.cursor = Some(next);
    }
    assert_eq!(all, [Expired, Confirmed, Withdrawn, Confirmed]);
    assert_eq!(bob.activations().await.unwrap().items[0].policy_version_id, ask);
}

#[tokio::test]
async fn two_who_confirm_at_once_get_one_success_and_one_clear_answer() {
    let place = Place::four_eyes(ALL).await;
    let version = published(&place, "DENY").await;
    let proposal = proposed(&place.human("dave"), json!({"kind": "team", "name": "payments"}), version).await;
    let (one, other) = (place.human("bob"), place.human("grace"));
    let (one, other) = tokio::join!(confirm(&one, &proposal), confirm(&other, &proposal));
    let (won, lost) = match (one, other) {
        (Ok(won), Err(lost)) | (Err(lost), Ok(won)) => (won, lost),
        both => panic!("{both:?}"),
    };
    let lost = lost.problem().unwrap().clone();
    assert_eq!((lost.code(), lost.member("state")), (Code::ProposalEnded, Some(&json!("confirmed"))));
    assert_eq!(lost.member("ended_by"), Some(&json!(won.sealed[0].actor)));
    assert_eq!(lost.member("sequence"), Some(&json!(won.sealed[0].sequence)));
    assert_eq!(place.human("bob").governance(&PageQuery::default()).await.unwrap().items, won.sealed);
}

fn frozen(frozen: bool) -> SetFreeze {
    freeze(&json!({"kind": "team", "name": "payments"}), frozen)
}

#[tokio::test]
async fn a_freeze_takes_one_and_its_end_takes_two_or_another() {
    let mut place = Place::four_eyes(ALL).await;
    let (dave, heidi) = (place.human("dave"), place.human("heidi"));
    assert_eq!(dave.set_freeze(&frozen(true)).await.unwrap().sealed.len(), 1);
    let proposal = dave.set_freeze(&frozen(false)).await.unwrap().proposal.unwrap();
    assert_eq!(proposal.event, "lifted");
    assert_eq!(code(confirm(&dave, &proposal).await), Code::SamePerson);
    for nobody in [place.human("bob"), place.human("grace")] {
        assert_eq!(code(confirm(&nobody, &proposal).await), Code::Forbidden);
    }
    assert_eq!(confirm(&heidi, &proposal).await.unwrap().sealed[0].event, "lifted");

    place.set_rules(FourEyesRules { unfreeze: Unfreeze::Another, ..FourEyesRules::default() }).await;
    let (dave, heidi) = (place.human("dave"), place.human("heidi"));
    dave.set_freeze(&frozen(true)).await.unwrap();
    assert_eq!(code(dave.set_freeze(&frozen(false)).await), Code::SamePerson);
    assert_eq!(heidi.set_freeze(&frozen(false)).await.unwrap().sealed.len(), 1);
}

#[tokio::test]
async fn a_mode_takes_two_where_it_is_configured_and_nothing_does_where_nothing_is() {
    let mut place = Place::four_eyes(ALL).await;
    let shadow: SetMode = to(json!({"scope": {"kind": "tenant"}, "mode": "SHADOW"}));
    let proposal = place.human("dave").set_mode(&shadow).await.unwrap().proposal.unwrap();
    assert_eq!(place.human("dave").modes().await.unwrap().items, []);
    confirm(&place.human("heidi"), &proposal).await.unwrap();
    assert_eq!(place.human("dave").modes().await.unwrap().items.len(), 1);

    place.set_rules(FourEyesRules::default()).await;
    let dave = place.human("dave");
    let version = published(&place, "ALLOW").await;
    for sealed in [
        dave.set_mode(&to(json!({"scope": {"kind": "tenant"}, "mode": "ENFORCE", "confirmed": true}))).await,
        dave.activate(&activation(json!({"kind": "tenant"}), version)).await,
        dave.set_freeze(&frozen(true)).await,
        dave.set_freeze(&frozen(false)).await,
    ] {
        let Governed { sealed, proposal } = sealed.unwrap();
        assert_eq!((sealed.len(), proposal), (1, None));
        assert_eq!(sealed[0].proposed_by, None);
    }
}

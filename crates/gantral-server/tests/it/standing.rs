//! Standing rules over HTTP and at the console: who is asked the same again proposes, another one confirms, and the same call passes.

use gantral_api::client::ClientError;
use gantral_api::problem::Code;
use gantral_api::wire::{
    AuthorityAnswer, ConfirmProposal, FileChange, ProposalState, ProposeRule, ProposedRule, text,
};
use gantral_testkit::policy::rules;
use gantral_testkit::workflows;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::place::{Place, Waits, action, code, decision, minutes, problem, refund, to};

/// Asks a FINANCE_LEAD about everything below 100,000 that no standing rule lets pass.
const ASKS: &str = r#"default decision := "REQUIRE_HUMAN"
forbidden if input.action.parameters.amount_minor >= 100000
decision := "DENY" if { forbidden } else := "ALLOW" if { count(standing_rules) > 0 }
standing_rules contains rule if {
	some rule in data.gantral.standing.applies
	not forbidden
}"#;

/// Where the workflow counts, and a refund waits.
async fn asked(policy: &str, definition: &str) -> (Place, Waits) {
    let place = Place::start().await;
    place.apply(definition, &rules(policy)).await;
    let waits = wait(&place, refund(48_000)).await;
    (place, waits)
}

fn counting() -> String {
    workflows::REFUND.replace("\"floors\"", "\"totals\": true, \"floors\"")
}

async fn wait(place: &Place, ask: gantral_api::wire::Ask) -> Waits {
    let id = place.create("refund").await.instance_id;
    let (attempt, attached) = place.begin(id).await;
    let AuthorityAnswer::RequireHuman(waiting) = attempt.ask(id, &ask).await.unwrap() else {
        panic!("no human is asked")
    };
    Waits { id, gate: waiting.gate_id, attempt, token: attached.token, waiting }
}

async fn passes(place: &Place, amount: u64) -> bool {
    let id = place.create("refund").await.instance_id;
    let (attempt, _) = place.begin(id).await;
    matches!(attempt.ask(id, &refund(amount)).await.unwrap(), AuthorityAnswer::Allow(_))
}

fn rule(change: Value) -> ProposeRule {
    let mut body = json!({"lasts": "2h", "justification": "the same every day"});
    body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    to(body)
}

async fn propose(
    place: &Place,
    who: &str,
    gate: text::GateId,
    change: Value,
) -> Result<ProposedRule, ClientError> {
    place.human(who).propose_rule(gate, &rule(change)).await
}

async fn confirm(place: &Place, proposed: &ProposedRule) {
    let proposal = proposed.proposal.as_ref().unwrap();
    let body = ConfirmProposal { digest: proposal.digest, justification: None };
    place.human("bob").confirm_proposal(proposal.proposal_id, &body).await.unwrap();
}

#[tokio::test]
async fn what_another_person_confirms_passes_as_often_and_as_long_as_was_said_and_nothing_else_does() {
    let (place, waits) = asked(ASKS, &counting()).await;
    let change = json!({"at_most": {"/amount_minor": 50_000}, "uses": 2});
    let proposed = propose(&place, "fiona", waits.gate, change.clone()).await.unwrap();
    assert_eq!((proposed.uses, proposed.until.to_string().ends_with(":00:00.000Z")), (Some(2), true));
    assert!(!passes(&place, 48_000).await, "nothing of it is in force");
    let again = propose(&place, "fiona", waits.gate, change.clone()).await.unwrap();
    assert_eq!(again, proposed, "the same proposal is made once");

    let proposal = proposed.proposal.clone().unwrap();
    let shown = place.human("bob").proposal(proposal.proposal_id).await.unwrap();
    let files = shown.files.unwrap();
    assert_eq!(files.len(), 1);
    assert_eq!((files[0].change, files[0].text.as_ref()), (FileChange::Added, Some(&proposed.rego)));
    assert!(files[0].path.ends_with(&format!("{}.rego", proposed.rule)), "{}", files[0].path);
    let own = ConfirmProposal { digest: proposal.digest, justification: None };
    let refused = place.human("fiona").confirm_proposal(proposal.proposal_id, &own).await;
    assert_eq!(code(refused), Code::Forbidden, "who lets pass at gates does not change policies");
    confirm(&place, &proposed).await;
    let ended = place.human("bob").proposal(proposal.proposal_id).await.unwrap();
    assert_eq!((ended.state, ended.files), (ProposalState::Confirmed, None));

    assert!(!passes(&place, 50_001).await);
    assert!(passes(&place, 50_000).await);
    assert!(passes(&place, 1).await);
    assert!(!passes(&place, 48_000).await, "it was used twice");
    let in_force = propose(&place, "fiona", waits.gate, change).await.unwrap();
    assert_eq!((in_force.rule, in_force.proposal), (proposed.rule, None), "it is in force already");

    // Without a bound it lasts until its end.
    let proposed = propose(&place, "fiona", waits.gate, json!({"at_most": {"/amount_minor": 60_000}})).await;
    confirm(&place, &proposed.unwrap()).await;
    assert!(passes(&place, 60_000).await);
    place.clock.advance(minutes(181));
    assert!(!passes(&place, 60_000).await, "it is over");
}

#[tokio::test]
async fn who_is_not_asked_at_a_gate_proposes_nothing_there() {
    let (place, waits) = asked(ASKS, &counting()).await;
    for (who, expected) in [
        ("alice", Code::NotEligible),
        ("bob", Code::SelfApproval),
        ("eve", Code::GateUnknown),
        ("mallory", Code::GateUnknown),
    ] {
        assert_eq!(code(propose(&place, who, waits.gate, json!({})).await), expected, "{who}");
    }
    let by_machine = waits.attempt.propose_rule(waits.gate, &rule(json!({}))).await;
    assert_eq!(code(by_machine), Code::Forbidden);
    assert_eq!(
        place.human("bob").policies(&to(json!({}))).await.unwrap().items.len(),
        1,
        "nothing was published"
    );
}

#[tokio::test]
async fn a_rule_that_cannot_be_or_would_change_nothing_is_refused_with_the_reason() {
    let (place, waits) = asked(ASKS, &counting()).await;
    for (change, reason) in [
        (json!({"free": ["/missing"]}), "`/missing` is no member"),
        (json!({"at_most": {"/amount_minor": 47_999}}), "no number of at most 47999"),
        (json!({"lasts": "91d"}), "from 1 minute to 90 days"),
        (json!({"uses": 0}), "1 to 10000 times"),
    ] {
        let refused = problem(propose(&place, "fiona", waits.gate, change).await);
        assert_eq!(refused.code(), Code::RuleRefused);
        assert!(refused.detail().contains(reason), "{}", refused.detail());
    }
    let silent = propose(&place, "fiona", waits.gate, json!({"justification": " "})).await;
    assert_eq!(code(silent), Code::JustificationRequired);
    assert_eq!(
        code(propose(&place, "fiona", waits.gate, json!({"free": ["amount"]})).await),
        Code::InvalidBody
    );

    // What policy does not see it cannot compare, until somebody says that it does not matter.
    let mut hidden = action(48_000);
    hidden["parameters"]["note"] = json!("to whom it may concern");
    let other = wait(&place, to(json!({"action": hidden}))).await;
    let refused = problem(propose(&place, "fiona", other.gate, json!({})).await);
    assert!(refused.detail().contains("does not see the parameter `note`"), "{}", refused.detail());
    propose(&place, "fiona", other.gate, json!({"free": ["/note"]})).await.unwrap();

    // What humans refused is no precedent; what they changed is one as changed.
    place.human("fiona").decide(other.gate, &decision("REJECT", 1)).await.unwrap();
    let refused = problem(propose(&place, "fiona", other.gate, json!({"free": ["/note"]})).await);
    assert!(refused.detail().contains("did not let the call"), "{}", refused.detail());
    let mut instead = decision("OVERRIDE", 1);
    instead.action = Some(to(action(480)));
    place.human("fiona").decide(waits.gate, &instead).await.unwrap();
    let proposed = propose(&place, "fiona", waits.gate, json!({})).await.unwrap();
    assert!(proposed.rego.contains("\"amount_minor\":480,"), "{}", proposed.rego);
}

#[tokio::test]
async fn where_a_policy_has_no_place_for_rules_or_a_floor_wants_a_human_none_is_proposed() {
    let blind = "default decision := \"REQUIRE_HUMAN\"";
    let floor = counting().replace("\"floors\": {", "\"floors\": {\"least_verdict\": \"REQUIRE_HUMAN\", ");
    for (policy, definition, reason) in [
        (blind, counting(), "gives standing rules no place"),
        (ASKS, workflows::REFUND.to_owned(), "counts nothing"),
        (ASKS, floor, "floors of the workflow want a human"),
    ] {
        let (place, waits) = asked(policy, &definition).await;
        let refused = problem(propose(&place, "fiona", waits.gate, json!({"uses": 3})).await);
        assert_eq!(refused.code(), Code::RuleRefused);
        assert!(refused.detail().contains(reason), "{}", refused.detail());
        let published = place.human("bob").policies(&to(json!({}))).await.unwrap().items;
        assert_eq!(published.len(), 1, "nothing was published");
    }
}

#[tokio::test]
async fn a_rule_is_proposed_and_read_at_the_console() {
    let (place, waits) = asked(ASKS, &counting()).await;
    let (mut fiona, mut bob) = (Browser::of(&place, "fiona").await, Browser::of(&place, "bob").await);
    let gate = format!("/console/gates/{}", waits.gate);
    let path = format!("{gate}/rule");
    fiona.get(&gate).await.shows(&path);
    let form = fiona.get(&path).await;
    form.shows("/amount_minor");
    let (csrf, key) = (form.hidden("csrf"), form.hidden("key"));
    let fields = |bound: &'static str, why: &'static str| {
        let own = [
            ("csrf", csrf.clone()),
            ("key", key.clone()),
            ("hours", "24".to_owned()),
            ("uses", "5".to_owned()),
        ];
        let typed = [("at_most:/amount_minor", bound.to_owned()), ("justification", why.to_owned())];
        own.into_iter().chain(typed).collect::<Vec<_>>()
    };
    let sent = async |browser: &mut Browser<'_>, fields: Vec<(&str, String)>| {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
        browser.send(&path, &fields).await
    };
    for (bound, why) in [("5", "too low"), ("much", "no number"), ("50000", " ")] {
        let refused = sent(&mut fiona, fields(bound, why)).await;
        assert_eq!(refused.status, 422, "{bound}");
        refused.shows("Nothing was changed.");
        refused.shows(&format!("value=\"{bound}\""));
    }
    let done = sent(&mut fiona, fields("50000", "the same <every> day")).await;
    assert_eq!(done.status, 303, "{}", done.text);
    let page = bob.get(&done.location).await;
    page.shows("What it changes in the policy");
    page.shows("input.action.parameters.amount_minor &lt;= 50000");
    page.shows("the same &lt;every&gt; day");
    page.shows("Confirm it");
    place.human("fiona").decide(waits.gate, &decision("APPROVE", 1)).await.unwrap();
    fiona.get(&gate).await.shows(&path);
    assert_eq!(fiona.get(&path).await.status, 200);
    let mut eve = Browser::of(&place, "eve").await;
    assert_eq!(eve.get(&path).await.status, 404);
}

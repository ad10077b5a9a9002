//! Every call reaches its route.

use std::collections::BTreeSet;

use gantral_api::client::{Client, ClientError};
use gantral_api::routes::{ROUTES, Route};
use gantral_api::wire::{
    Action, ApplyWorkflow, Ask, AskDiff, Attach, Claim, ConfirmProposal, Consume, CourseQuery,
    CreateInstance, Decide, Document, EndAttempt, Extend, GateList, InstanceList, MineQuery, PageQuery,
    PresentJournal, ProposalsQuery, Reconcile, ReportOutcome, RevokeDelegation, RevokePasskey, Scope,
    ShadowReportQuery, ShowInstance, UnobservedQuery, text,
};

use super::server::Server;
use super::{UUID, client, id};

const NEW_PASSKEY: &str =
    r#"{"credential_id":"aa","algorithm":"es256","public_key":"04","aaguid":"00","backup_eligible":false}"#;

fn parsed<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("`{text}` cannot be parsed"))
}

fn body<T: serde::de::DeserializeOwned>(json: &str) -> T {
    serde_json::from_str(json).expect("a body")
}

fn action() -> Action {
    body(r#"{"name":"refund","target":"order/1","parameters":{"amount":480.00}}"#)
}

async fn call_catalogue(client: &Client) -> Vec<Option<ClientError>> {
    let digest = "0".repeat(64);
    let apply = ApplyWorkflow {
        definition: Document::from_text("{}").expect("a document"),
        policy_version_id: Some(parsed(&digest)),
    };
    let side = format!(r#"{{"kind":"published","policy_version_id":"{digest}"}}"#);
    let compared = format!(r#"{{"a":{side},"b":{side},"from":"2026-01-01T00:00:00.000Z"}}"#);
    let compared: AskDiff = body(&compared);
    let unobserved = r#"{"hour":"2026-01-01T00:00:00.000Z","workflow":"w","action":"a","asks":1}"#;
    let report = "00000000-0000-4000-8000-000000000001";
    let unobserved = body(&format!(r#"{{"report_id":"{report}","items":[{unobserved}]}}"#));
    vec![
        client.me().await.err(),
        client.logins().await.err(),
        client.keys().await.err(),
        client.health().await.err(),
        client.ready().await.err(),
        client.openapi().await.err(),
        client.metrics().await.err(),
        client.publish_policy(vec![31, 139]).await.err(),
        client.policies(&PageQuery::default()).await.err(),
        client.policy(parsed(&digest)).await.err(),
        client.policy_record(parsed(&digest)).await.err(),
        client.compare_policies(&compared).await.err(),
        client.policy_candidates().await.err(),
        client.name_candidate(&body(r#"{"scope":{"kind":"tenant"}}"#)).await.err(),
        client.apply_workflow(&parsed("w"), &apply).await.err(),
        client.workflows(&PageQuery { cursor: Some("a b".to_owned()), limit: Some(9) }).await.err(),
        client.workflow(&parsed("w")).await.err(),
        client.governance(&PageQuery::default()).await.err(),
        client.activations().await.err(),
        client.activate(&body(r#"{"scope":{"kind":"tenant"}}"#)).await.err(),
        client.bundle_in_force(&Scope::Tenant).await.err(),
        client.bundle_in_force(&Scope::Team { name: parsed("t") }).await.err(),
        client.bundle_in_force(&Scope::Workflow { name: parsed("w") }).await.err(),
        client.proposals(&ProposalsQuery { open: Some(true), ..Default::default() }).await.err(),
        client.proposal(parsed(UUID)).await.err(),
        client
            .confirm_proposal(parsed(UUID), &ConfirmProposal { digest: parsed(&digest), justification: None })
            .await
            .err(),
        client.withdraw_proposal(parsed(UUID)).await.err(),
        client.modes().await.err(),
        client.set_mode(&body(r#"{"scope":{"kind":"tenant"},"mode":"SHADOW"}"#)).await.err(),
        client.mode_lease(&parsed("w")).await.err(),
        client.count_unobserved(&unobserved).await.err(),
        client.unobserved(&UnobservedQuery::default()).await.err(),
        client.shadow_report(&ShadowReportQuery { limit: Some(9), ..Default::default() }).await.err(),
        client.freezes().await.err(),
        client.delegations(&MineQuery { mine: Some(true), ..Default::default() }).await.err(),
        client
            .delegate(&body(
                r#"{"to":{"subject":"bob"},"roles":["CFO"],"not_after":"2026-01-01T00:00:00.000Z"}"#,
            ))
            .await
            .err(),
        client.revoke_delegation(parsed(&digest), &RevokeDelegation::default()).await.err(),
        client.passkeys(&MineQuery { mine: Some(true), ..Default::default() }).await.err(),
        client.passkey(parsed(&digest)).await.err(),
        client.draft_passkey(&body(NEW_PASSKEY)).await.err(),
        client.request_passkey(&body(r#"{"enrolment":{},"assertion":{}}"#)).await.err(),
        client.enrol_passkey(parsed(&digest), &body(r#"{"envelope":{}}"#)).await.err(),
        client.revoke_passkey(parsed(&digest), &RevokePasskey::default()).await.err(),
        client
            .set_freeze(&body(r#"{"scope":{"kind":"tenant"},"frozen":true,"justification":"stop"}"#))
            .await
            .err(),
        client.issuers().await.err(),
        client.refresh_issuers().await.err(),
        client.dead_letters(&PageQuery { cursor: Some("7".to_owned()), limit: Some(9) }).await.err(),
        client.retry_dead_letters(&body(r#"{"channel":"pager","number":7}"#)).await.err(),
        client
            .window(&body(r#"{"from":"2026-01-01T00:00:00.000Z","to":"2026-01-02T00:00:00.000Z"}"#))
            .await
            .err(),
        client
            .erase(&body(r#"{"what":"person","issuer":"https://issuer.example","subject":"alice"}"#))
            .await
            .err(),
    ]
}

async fn call_instances(client: &Client) -> Vec<Option<ClientError>> {
    let create: CreateInstance = body(r#"{"workflow":"w"}"#);
    let running = InstanceList { state: Some(parsed("RUNNING")), ..InstanceList::default() };
    vec![
        client.create_instance(&create).await.err(),
        client.instances(&running).await.err(),
        client.instance(id(), &ShowInstance::default()).await.err(),
        client.withdraw(id()).await.err(),
        client.cancel(id()).await.err(),
        client.complete(id()).await.err(),
        client.fail(id()).await.err(),
        client.evidence(id()).await.err(),
        client.claim(&Claim { queue: parsed("q") }, parsed("1s")).await.err(),
        client.present_journal(&PresentJournal { envelopes: Vec::new() }).await.err(),
        client.courses(&CourseQuery { cursor: Some("a b".to_owned()), wait: None }).await.err(),
        client.look(id()).await.err(),
        client.release(id(), 1).await.err(),
        client.attach(id(), Attach::SelfRun).await.err(),
        client.heartbeat(id(), 1).await.err(),
        client.end_attempt(id(), 1, EndAttempt { exit_status: -9 }).await.err(),
    ]
}

async fn call_authority(client: &Client) -> Vec<Option<ClientError>> {
    let ask = Ask {
        action: action(),
        step: None,
        trigger: None,
        cost_estimate: None,
        attributes: None,
        consume: true,
        executor: Some(parsed("self")),
    };
    let outcome: ReportOutcome = body(r#"{"status":"SUCCEEDED","result":1.0}"#);
    let reconcile: Reconcile = body(r#"{"status":"FAILED","next":"terminate","justification":"looked"}"#);
    let decide: Decide = body(r#"{"decision":"REJECT","gate_version":1,"justification":"no"}"#);
    let extend = Extend { gate_version: 1, deadline: parsed("2030-01-02T03:04:05.000Z") };
    let (grant, gate) = (parsed::<text::GrantId>(UUID), parsed::<text::GateId>(UUID));
    let call = r#"{"workflow":"refund","action":{"name":"refund","target":"order/1","parameters":{}}}"#;
    vec![
        client.ask_call(&body(call)).await.err(),
        client.take_call(id(), Some(parsed("1s"))).await.err(),
        client.keep_call(id()).await.err(),
        client.settle_call(id(), &body(r#"{"status":"SUCCEEDED"}"#)).await.err(),
        client.ask(id(), &ask).await.err(),
        client.consume(id(), grant, &Consume { action: action(), executor: None }).await.err(),
        client.report_outcome(id(), grant, &outcome).await.err(),
        client.report_observed(id(), &outcome).await.err(),
        client.reconcile(id(), grant, &reconcile).await.err(),
        client.gates(&GateList { mine: Some(true), ..GateList::default() }).await.err(),
        client.gate(gate).await.err(),
        client.decide(gate, &decide).await.err(),
        client.decision_to_sign(gate, &decide).await.err(),
        client.propose_rule(gate, &body(r#"{"lasts":"1h","justification":"again"}"#)).await.err(),
        client.extend(gate, &extend).await.err(),
    ]
}

fn fits(route: &Route, method: &str, target: &str) -> bool {
    let path = target.split('?').next().unwrap_or_default();
    let same = |(pattern, segment): (&str, &str)| pattern.starts_with('{') || pattern == segment;
    route.method.as_str() == method
        && route.path.split('/').count() == path.split('/').count()
        && route.path.split('/').zip(path.split('/')).all(same)
}

#[tokio::test]
async fn every_route_has_its_call_and_every_call_its_route() {
    let server = Server::start(Vec::new()).await;
    let client = client(&server);
    let mut errors = call_catalogue(&client).await;
    errors.extend(call_instances(&client).await);
    errors.extend(call_authority(&client).await);
    for error in &errors {
        assert!(matches!(error, Some(ClientError::UnexpectedAnswer { status: 500, .. })), "{error:?}");
    }

    let mut reached = BTreeSet::new();
    for seen in server.seen() {
        let route = ROUTES.iter().find(|route| fits(route, &seen.method, &seen.target));
        let route = route.unwrap_or_else(|| panic!("no route for {} {}", seen.method, seen.target));
        assert!(reached.insert(route.operation_id), "{} was called twice", route.operation_id);
        assert_eq!(seen.key.is_some(), route.writes(), "{}", route.operation_id);
        assert_eq!(seen.token.as_deref(), Some("Bearer secret-token"));
        let query = seen.target.split_once('?').map_or("", |(_, query)| query);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let name = pair.split('=').next().unwrap_or_default();
            assert!(route.query.iter().any(|query| query.name == name), "{}: {name}", route.operation_id);
        }
    }
    let all: BTreeSet<_> = ROUTES.iter().map(|route| route.operation_id).collect();
    assert_eq!(reached, all);
}

//! Every route of the table, tried with every token that must not work: wrong ones, and good ones of the wrong people.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use gantral_api::problem::{Code, Problem};
use gantral_api::routes::{Body, Method, ROUTES, Route, Who};
use gantral_api::wire::{Attach, Claim, Delegate, Document, Governed, RequestPasskey, text};
use gantral_engine::FourEyesRules;
use gantral_identity::TokenKey;
use gantral_testkit::policy::{example, rules};
use gantral_testkit::{AGENT, RUNNER, workflows};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

use crate::passkeys::{authenticator, new_passkey, request, signed};
use crate::place::{
    FOREIGN_ORCHESTRATOR, FOREIGN_RUNNER, FOREIGNER, ORCHESTRATOR, Place, STRANGER, Waits, action, decision,
    fresh_key, minutes, refund, to,
};

/// The name of a grant that nobody has.
const NO_GRANT: &str = "00000000-0000-4000-8000-000000000000";

/// A place where something of everything exists, all of it of one team of one tenant.
struct Scene {
    place: Place,
    waits: Waits,
    /// An instance that a runner holds.
    held: text::InstanceId,
    delegation: text::Digest,
    proposal: text::ProposalId,
    proposal_digest: text::Digest,
    /// The passkey that `fiona` has asked for, and what the directory signed of it.
    entry: text::Digest,
    asked: RequestPasskey,
    signed: Document,
    policy: text::PolicyVersionId,
    /// Another one, that is not in force.
    candidate: text::PolicyVersionId,
}

impl Scene {
    async fn set() -> Self {
        let mut place = Place::start().await;
        let waits = place.waiting().await;
        place.apply(workflows::REFUND_RUN, &example("refunds")).await;
        let held = place.create("refund-run").await.instance_id;
        let runner = place.machine(RUNNER);
        let queue: Claim = to(json!({"queue": "default"}));
        runner.claim(&queue, "1s".parse().unwrap()).await.unwrap().unwrap();
        runner.attach(held, Attach::Assigned { attempt: 1 }).await.unwrap();
        let not_after = text::Time::from(place.clock.now().plus(minutes(60)));
        let lent: Delegate =
            to(json!({"to": {"subject": "frank"}, "roles": ["FINANCE_LEAD"], "not_after": not_after}));
        let delegation = place.human("fiona").delegate(&lent).await.unwrap().sealed[0].hash;
        let bob = place.human("bob");
        let archive = rules("decision := \"ALLOW\"").to_archive().unwrap();
        let candidate = bob.publish_policy(archive).await.unwrap().policy_version_id;
        let policy = bob.policies(&Default::default()).await.unwrap().items[1].policy_version_id;

        let key = authenticator();
        let asked = request(&place.human("fiona"), &key).await;
        let passkey = place.human("fiona").request_passkey(&asked).await.unwrap();
        let signed = signed(&place, &asked).await;

        place.set_rules(FourEyesRules { mode: true, ..FourEyesRules::default() }).await;
        place.ready().await;
        let mode = json!({"scope": {"kind": "workflow", "name": "refund"}, "mode": "SHADOW"});
        let Governed { proposal, .. } = place.human("bob").set_mode(&to(mode)).await.unwrap();
        let proposal = proposal.unwrap();
        Self {
            place,
            waits,
            held,
            delegation,
            proposal: proposal.proposal_id,
            proposal_digest: proposal.digest,
            entry: passkey.entry_digest,
            asked,
            signed,
            policy,
            candidate,
        }
    }

    /// Names what a stranger must not learn of.
    fn secrets(&self) -> [String; 4] {
        [&self.waits.id as &dyn ToString, &self.waits.gate, &self.held, &self.proposal]
            .map(ToString::to_string)
    }

    /// Fills the parameters of a path with what is there.
    fn path(&self, route: &Route) -> String {
        let value = |name: &str| match (name, route.operation_id) {
            ("n", _) => "1".to_owned(),
            ("version", _) => self.policy.to_string(),
            ("entry_digest", _) => self.entry.to_string(),
            ("delegation", _) => self.delegation.to_string(),
            ("proposal_id", _) => self.proposal.to_string(),
            ("gate_id", _) => self.waits.gate.to_string(),
            ("grant_id", _) => NO_GRANT.to_owned(),
            ("team", _) => "payments".to_owned(),
            ("workflow", _) => "refund".to_owned(),
            ("id", _) if route.path.contains("/workflows/") => "refund".to_owned(),
            ("id", "heartbeat" | "endAttempt") => self.held.to_string(),
            ("id", _) => self.waits.id.to_string(),
            (name, route) => panic!("`{name}` of {route} stands for nothing here"),
        };
        let mut path = route.path.to_owned();
        for name in route.path_parameters() {
            path = path.replace(&format!("{{{name}}}"), &value(name));
        }
        path
    }

    /// What a route takes, about what is there.
    fn body(&self, route: &Route) -> Value {
        let refund_workflow = json!({"kind": "workflow", "name": "refund"});
        let said = "looked at the order";
        match route.operation_id {
            "comparePolicies" => {
                let side = json!({"kind": "published", "policy_version_id": self.policy});
                json!({"a": side, "b": side, "from": "2025-12-31T00:00:00.000Z"})
            }
            "namePolicyCandidate" => {
                json!({"scope": refund_workflow, "policy_version_id": self.candidate})
            }
            "applyWorkflow" => {
                let definition: Value = serde_json::from_str(workflows::REFUND).unwrap();
                json!({"definition": definition, "policy_version_id": self.policy})
            }
            "activatePolicy" => json!({"scope": refund_workflow, "policy_version_id": self.policy}),
            "confirmProposal" => json!({"digest": self.proposal_digest}),
            "setMode" => json!({"scope": refund_workflow, "mode": "ENFORCE", "confirmed": true}),
            "countUnobserved" => {
                let count = json!({"hour": "2025-12-31T00:00:00.000Z", "workflow": "refund", "action": "refund", "asks": 1});
                json!({"report_id": "00000000-0000-4000-8000-000000000001", "items": [count]})
            }
            "delegate" => {
                let not_after = text::Time::from(self.place.clock.now().plus(minutes(30)));
                json!({"to": {"subject": "grace"}, "roles": ["FINANCE_LEAD"], "not_after": not_after})
            }
            "draftPasskey" => serde_json::to_value(new_passkey(&authenticator())).unwrap(),
            "requestPasskey" => json!({"enrolment": self.asked.enrolment, "assertion": self.asked.assertion}),
            "enrolPasskey" => json!({"envelope": self.signed}),
            "revokePasskey" => json!({}),
            "setFreeze" => json!({"scope": refund_workflow, "frozen": true, "justification": said}),
            "retryDeadLetters" | "revokeDelegation" | "refreshIssuers" | "withdrawProposal" | "withdraw"
            | "cancel" | "complete" | "fail" | "heartbeat" | "lookAtInstance" => json!({}),
            "releaseAttempt" => json!({"attempt": 1}),
            "erase" => {
                json!({"what": "person", "issuer": gantral_identity::DEV_ISSUER_URL, "subject": "frank"})
            }
            "askCall" => {
                let action = action(2);
                json!({"workflow": "refund", "action": action})
            }
            "takeCall" | "keepCall" => json!({}),
            "settleCall" => json!({"grant_id": NO_GRANT, "status": "SUCCEEDED"}),
            "createInstance" => json!({"workflow": "refund"}),
            "sayWindow" => json!({"from": "2025-12-31T00:00:00.000Z", "to": "2026-01-01T00:00:00.000Z"}),
            "claim" => json!({"queue": "default"}),
            "presentJournal" => json!({"envelopes": []}),
            "attach" => json!({"self": true}),
            "endAttempt" => json!({"exit_status": 0}),
            "ask" => serde_json::to_value(refund(1)).unwrap(),
            "consume" => json!({"action": action(1)}),
            "reportOutcome" | "reportObserved" => json!({"status": "SUCCEEDED"}),
            "reconcile" => json!({"status": "FAILED", "next": "terminate", "justification": said}),
            "decide" | "stateDecision" => serde_json::to_value(decision("APPROVE", 1)).unwrap(),
            "proposeRule" => json!({"lasts": "1h", "justification": said}),
            "extend" => json!({"gate_version": 1, "deadline": "2026-01-01T00:40:00.000Z"}),
            route => panic!("{route} takes something that nobody thought of here"),
        }
    }

    /// Calls a route with a token, and returns the status with what was answered.
    async fn call(&self, route: &Route, token: &str) -> (u16, String) {
        let mut request = self.place.request(route.method.as_str(), &self.path(route), Some(token));
        if route.method != Method::Get {
            request = request.header("idempotency-key", fresh_key());
        }
        request = match route.body {
            Body::None => request,
            Body::Json(_) => {
                request.header("content-type", "application/json").body(self.body(route).to_string())
            }
            Body::Archive => {
                let archive = rules("decision := \"DENY\"").to_archive().unwrap();
                request.header("content-type", "application/gzip").body(archive)
            }
        };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        (status, String::from_utf8_lossy(&response.bytes().await.unwrap()).into_owned())
    }

    /// Everything that an administrator of the tenant sees.
    async fn standing(&self) -> Vec<(String, String)> {
        let token = self.place.human_token("dave");
        let mut standing = Vec::new();
        for route in ROUTES.iter().filter(|route| route.method == Method::Get && !route.is_open()) {
            // These say when they were asked, or only whom they are about.
            if !["fetchModeLease", "showMe", "listIssuers"].contains(&route.operation_id) {
                let (status, mut answer) = self.call(route, &token).await;
                assert_ne!(status, 401, "{answer}");
                if let Ok(problem) = serde_json::from_str::<Problem>(&answer) {
                    // A problem has the number of its request.
                    answer = problem.code().to_string();
                }
                standing.push((route.operation_id.to_owned(), answer));
            }
        }
        standing
    }

    /// Tries every route, and returns the writes that were carried out. Nothing that is told names what is there.
    async fn tried(&self, who: &str, token: &str, may_read: &[&str]) -> BTreeSet<&'static str> {
        let mut done = BTreeSet::new();
        for route in ROUTES.iter().filter(|route| !route.is_open()) {
            let name = route.operation_id;
            let (status, answer) = self.call(route, token).await;
            if (200..300).contains(&status) {
                let told = self.secrets().into_iter().find(|secret| answer.contains(secret));
                assert!(told.is_none() || may_read.contains(&name), "{who}, {name}: {answer}");
                if route.method != Method::Get {
                    done.insert(name);
                }
                continue;
            }
            let problem: Problem = serde_json::from_str(&answer).unwrap();
            let refused = matches!(
                problem.code(),
                Code::Forbidden
                    | Code::NotFound
                    | Code::GateUnknown
                    | Code::WorkflowUnknown
                    | Code::PolicyUnknown
                    | Code::NoActivePolicy
                    | Code::LeaseLost
                    | Code::NotEligible
                    | Code::NotCreator
                    | Code::NotOrchestrated
                    | Code::PasskeyRefused
            );
            assert!(refused, "{who}, {name}: {answer}");
        }
        done
    }

    /// A token of `eve` with these roles, in this team.
    fn eve(&self, roles: &[&str], team: &str) -> String {
        self.place.human_token_as("eve", roles, team)
    }
}

#[tokio::test]
async fn no_route_takes_a_token_that_is_one_step_from_good() {
    let scene = Scene::set().await;
    let before = scene.standing().await;
    let good = scene.place.human_token("dave");
    for (what, reason, token) in wrong_tokens(&scene.place, &good).await {
        for route in ROUTES.iter().filter(|route| !route.is_open()) {
            let (status, answer) = scene.call(route, &token).await;
            let name = route.operation_id;
            assert_eq!(status, 401, "{what}, {name}: {answer}");
            let problem: Problem = serde_json::from_str(&answer).unwrap();
            assert_eq!(problem.code(), Code::TokenRejected, "{what}, {name}");
            assert_eq!(problem.member("reason").unwrap(), reason, "{what}, {name}");
            assert!(!answer.contains(&token), "{what}, {name}: a token is repeated");
        }
    }
    assert_eq!(changed(&before, &scene.standing().await), BTreeSet::new());
}

/// Tokens that were good but for one thing.
async fn wrong_tokens(place: &Place, good: &str) -> Vec<(&'static str, &'static str, String)> {
    let pem = std::fs::read_to_string(place.folder.path().join("issuer.pem")).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    let own = EncodingKey::from_ed_der(&STANDARD.decode(der).unwrap());
    let mut parts = good.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap());
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    let header: Header = serde_json::from_slice(&header).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    let now = place.clock.now().get() / 1_000;
    let signed = |header: &Header, change: Value| {
        let mut claims = claims.clone();
        claims.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        jsonwebtoken::encode(header, &claims, &own).unwrap()
    };
    let same = signed(&header, json!({}));
    let accepted = place.request("GET", "/v1/me", Some(&same)).send().await.unwrap();
    assert_eq!(accepted.status().as_u16(), 200, "what is changed below is the only thing that is wrong");
    let (message, signature) = good.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    bytes[0] ^= 1;
    let jwk = serde_json::to_vec(&place.issuer.jwks()).unwrap();
    let secret = Header { alg: Algorithm::HS256, ..header.clone() };
    let hmac = jsonwebtoken::encode(&secret, &claims, &EncodingKey::from_secret(&jwk)).unwrap();
    let bare = json!({"alg": "none", "kid": header.kid, "typ": header.typ}).to_string();
    let payload = message.split_once('.').unwrap().1;
    let none = format!("{}.{payload}.", URL_SAFE_NO_PAD.encode(bare));
    let stranger = TokenKey::generate().unwrap().kid().to_owned();
    let elsewhere = Header { kid: Some(stranger), ..header.clone() };
    let identity = Header { typ: Some("logout+jwt".to_owned()), ..header.clone() };
    vec![
        ("expired", "token_expired", signed(&header, json!({"iat": now - 3_000, "exp": now - 120}))),
        ("not yet valid", "token_not_yet_valid", signed(&header, json!({"nbf": now + 600}))),
        ("another audience", "token_audience", signed(&header, json!({"aud": "elsewhere"}))),
        ("another issuer", "token_issuer_unknown", signed(&header, json!({"iss": "https://evil.example"}))),
        ("another type", "token_type", signed(&identity, json!({}))),
        ("an unknown key", "token_key_unknown", signed(&elsewhere, json!({}))),
        ("a broken signature", "token_signature", format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes))),
        ("a public key as a secret", "token_algorithm", hmac),
        ("no signature", "token_algorithm", none),
    ]
}

#[tokio::test]
async fn another_tenant_reaches_nothing_by_any_route() {
    let scene = Scene::set().await;
    let before = scene.standing().await;
    // What an administrator there may do is done to their own tenant.
    let own = [
        "claim",
        "delegate",
        "draftPasskey",
        "erase",
        "presentJournal",
        "publishPolicy",
        "refreshIssuers",
        "retryDeadLetters",
        "sayWindow",
    ];
    for (who, token) in [
        ("an administrator", scene.place.human_token("mallory")),
        ("an agent", scene.place.client_token(FOREIGNER)),
        ("a runner", scene.place.client_token(FOREIGN_RUNNER)),
        ("an orchestrator", scene.place.client_token(FOREIGN_ORCHESTRATOR)),
    ] {
        let done = scene.tried(who, &token, &[]).await;
        assert!(done.is_subset(&own.into()), "{who}: {done:?}");
        let touched = changed(&before, &scene.standing().await);
        assert_eq!(touched, BTreeSet::new(), "{who}");
    }
}

#[tokio::test]
async fn an_orchestrator_decides_asks_and_runs_nothing_by_any_route() {
    let mut scene = Scene::set().await;
    scene.place.set_orchestrated(true).await;
    scene.place.ready().await;
    let before = scene.standing().await;
    let token = scene.place.client_token(ORCHESTRATOR);
    // The rules of a tenant are open to all of it.
    let reads = [
        "listCourses",
        "listDelegations",
        "listFreezes",
        "listGovernance",
        "listProposals",
        "lookAtInstance",
        "releaseAttempt",
        "showProposal",
    ];
    let done = scene.tried("the orchestrator", &token, &reads).await;
    assert!(done.is_subset(&["enrolPasskey", "lookAtInstance", "releaseAttempt"].into()), "{done:?}");
    assert_eq!(changed(&before, &scene.standing().await), BTreeSet::new());
}

#[tokio::test]
async fn another_team_reaches_nothing_of_this_one_by_any_route() {
    let scene = Scene::set().await;
    let before = scene.standing().await;
    // The rules of a tenant are open to all of it, and a person is told of proposals about them.
    let rules = ["listGovernance", "listProposals", "showProposal", "listFreezes", "listDelegations"];
    for (who, token) in [
        ("an agent", scene.place.client_token(STRANGER)),
        ("a clerk", scene.eve(&["CLERK"], "logistics")),
        // Whom a gate asks sees it, of whatever team: roles are the tenant's. This one is not asked.
        ("a developer", scene.eve(&["DEVELOPER"], "logistics")),
    ] {
        let done = scene.tried(who, &token, &rules).await;
        // Whoever brings what the directory signed is its messenger. Whoever develops publishes for the tenant, and lends what is theirs; neither is in force for anybody here.
        let harmless = BTreeSet::from([
            "comparePolicies",
            "delegate",
            "draftPasskey",
            "enrolPasskey",
            "presentJournal",
            "publishPolicy",
        ]);
        assert!(done.is_subset(&harmless), "{who}: {done:?}");
        let touched = changed(&before, &scene.standing().await);
        // The evidence has the governance chain in it.
        let lists = [
            "exportEvidence",
            "listDelegations",
            "listGovernance",
            "listPasskeys",
            "listPolicies",
            "showPasskey",
        ];
        let lists = BTreeSet::from(lists);
        assert!(touched.is_subset(&lists), "{who}: {touched:?}");
    }
}

/// Which routes answer otherwise than before.
fn changed<'a>(before: &'a [(String, String)], after: &[(String, String)]) -> BTreeSet<&'a str> {
    let pairs = before.iter().zip(after);
    pairs.filter(|(before, after)| before != after).map(|(before, _)| before.0.as_str()).collect()
}

#[tokio::test]
async fn another_role_of_the_same_team_decides_and_rules_nothing_by_any_route() {
    let scene = Scene::set().await;
    let before = scene.standing().await;
    let token = scene.eve(&["CLERK"], "payments");
    let mut done = BTreeSet::new();
    for route in ROUTES.iter().filter(|route| !route.is_open() && route.method != Method::Get) {
        let (status, answer) = scene.call(route, &token).await;
        if status < 300 {
            done.insert(route.operation_id);
            continue;
        }
        assert!(matches!(status, 403 | 404), "{}: {answer}", route.operation_id);
    }
    // Whoever is of the team starts its executions, counts what they did, and pulls its brake: that decides nothing.
    let own = ["countUnobserved", "createInstance", "draftPasskey", "enrolPasskey", "setFreeze"];
    assert_eq!(done, BTreeSet::from(own));
    let touched = [
        "exportEvidence",
        "listFreezes",
        "listGovernance",
        "listInstances",
        "listPasskeys",
        "listUnobserved",
        "showPasskey",
    ];
    let touched = BTreeSet::from(touched);
    assert_eq!(changed(&before, &scene.standing().await), touched);
}

#[tokio::test]
async fn what_strangers_were_refused_is_let_in_for_those_whose_it_is() {
    let scene = Scene::set().await;
    let place = &scene.place;
    for route in ROUTES.iter().filter(|route| !route.is_open()) {
        let token = match (route.operation_id, route.who[0]) {
            ("withdrawProposal", _) => place.human_token("bob"),
            ("setFreeze" | "listPasskeys", _) => place.human_token("dave"),
            ("endAttempt", _) | (_, Who::Runner) if route.operation_id != "attach" => {
                place.client_token(RUNNER)
            }
            (_, Who::Attempt) => scene.waits.token.clone(),
            (_, Who::Orchestrator) => place.client_token(ORCHESTRATOR),
            (_, Who::Workload | Who::Runner) => place.client_token(AGENT),
            (_, Who::Admin) => place.human_token("dave"),
            (_, Who::Human | Who::Tenant | Who::Developer | Who::Anyone) => place.human_token("fiona"),
        };
        let (status, answer) = scene.call(route, &token).await;
        // Nobody let anything pass at this gate: who may propose is told so, and strangers hear nothing of it.
        let understood = answer.contains("\"code\":\"rule_refused\"") && route.operation_id == "proposeRule";
        let stopped = !understood && matches!(status, 400 | 401 | 403 | 404 | 405 | 415 | 422 | 428 | 500..);
        assert!(!stopped, "{}: {status} {answer}", route.operation_id);
    }
}

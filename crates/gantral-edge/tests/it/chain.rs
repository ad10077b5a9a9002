//! A runner believes what a pinned key signed, and nothing else.

use std::collections::BTreeMap;

use gantral_api::client::TokenSource;
use gantral_api::wire::{Ask, Attach, Claim, Document, EndAttempt, Task};
use gantral_core::digest::{Digest, Salt};
use gantral_core::event::Event;
use gantral_core::ids::{ActorId, GrantId, InstanceId, TenantId};
use gantral_core::state::{DecisionKind, State};
use gantral_core::time::{DurationMs, UnixMillis};
use gantral_edge::runner::{Mismatch, Pinned, RunnerEvent, Verified, verify};
use gantral_evidence::delegation::KeyDelegation;
use gantral_evidence::dsse::Envelope;
use gantral_evidence::seal::Unsigned;
use gantral_evidence::statement::{Statement, artifact_hash};
use gantral_evidence::trust::{KeyRole, Trust, TrustedKey};
use gantral_keys::{LocalSigner, Signer as _, SigningContext};

use crate::place::{Place, refund, runs, shell};

/// A task with everything that is needed to believe it.
#[derive(Clone)]
struct Case {
    task: Task,
    pinned: Pinned,
    me: ActorId,
}

impl Case {
    fn verify(&self) -> Result<Verified, Mismatch> {
        verify(&self.task, &self.pinned, &self.me)
    }

    /// Changes one thing, and expects a refusal that says so.
    fn refuses(&self, expected: &str, change: impl FnOnce(&mut Self)) {
        let mut changed = self.clone();
        change(&mut changed);
        let error = changed.verify().expect_err(expected).to_string();
        assert!(error.contains(expected), "`{error}` does not say `{expected}`");
    }

    fn statements(&self) -> Vec<Statement> {
        let payload = |document: &Document| Envelope::parse(document.as_str().as_bytes()).unwrap().payload;
        self.task.chain.iter().map(|document| Statement::decode(&payload(document)).unwrap()).collect()
    }

    /// Signs other statements with a key that is then pinned: whoever holds the key cannot break the rules either.
    async fn signed(&self, statements: Vec<Statement>) -> Self {
        let signer = LocalSigner::from_pkcs8(KeyRole::Issuer, &LocalSigner::generate().unwrap()).unwrap();
        let mut chain = Vec::new();
        for statement in statements {
            let unsigned = Unsigned::of(&statement).unwrap();
            let signature = signer.sign(SigningContext::Artifact, &unsigned.message()).await.unwrap();
            let sealed = unsigned.signed(signature.key_id, &signature.bytes);
            chain.push(Document::from_bytes(&sealed.envelope).unwrap());
        }
        let trust = Trust::new([TrustedKey::issuer(signer.public_key().clone())], None).unwrap();
        let pinned = Pinned { trust, ..self.pinned.clone() };
        let task = Task { chain, ..self.task.clone() };
        Self { task, pinned, me: self.me.clone() }
    }
}

/// How a statement is changed.
type Change = fn(&mut Statement);

/// Gives statements the places and predecessors that they need to be a chain.
fn linked(mut statements: Vec<Statement>) -> Vec<Statement> {
    let mut previous = None;
    for (sequence, statement) in statements.iter_mut().enumerate() {
        statement.sequence = u64::try_from(sequence).unwrap();
        statement.previous = previous;
        previous = Some(artifact_hash(&statement.encode()));
    }
    statements
}

async fn claim(place: &Place) -> Case {
    let runner = place.client("dev-runner");
    let wait = DurationMs::from_secs(60).into();
    let task = runner.claim(&Claim { queue: "default".parse().unwrap() }, wait).await.unwrap().unwrap();
    let me = runner.me().await.unwrap().id.into_inner();
    Case { task, pinned: place.pinned().await, me }
}

async fn first(place: &Place) -> Case {
    place.apply(&runs(&shell("exit 0"), "1s")).await;
    place.create().await;
    claim(place).await
}

/// Goes on to the attempt after a gate.
async fn second(place: &Place, asked: &Case) -> Case {
    let (runner, id) = (place.client("dev-runner"), asked.task.instance_id);
    let attached = runner.attach(id, Attach::Assigned { attempt: 1 }).await.unwrap();
    let (step, trigger, cost_estimate, attributes) = (None, None, None, None);
    let (action, consume, executor) = (refund(4_800), false, None);
    let ask = Ask { action, step, trigger, cost_estimate, attributes, consume, executor };
    runner.with_token(TokenSource::Fixed(attached.token)).ask(id, &ask).await.unwrap();
    runner.end_attempt(id, 1, EndAttempt { exit_status: 3 }).await.unwrap();
    place.decide(DecisionKind::Override, Some(480)).await;
    claim(place).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_first_attempt_is_believed_as_it_was_signed() {
    let place = Place::open().await;
    let case = first(&place).await;
    let verified = case.verify().unwrap();
    assert_eq!((verified.instance.state(), verified.grant), (State::Created, None));
    assert_eq!(verified.lease.as_millis(), 1_000);
    assert_eq!(verified.context, case.task.context.as_str().as_bytes());

    // The chain.
    case.refuses("the chain is empty", |case| case.task.chain.clear());
    case.refuses("does not assign the attempt to this runner", |case| drop(case.task.chain.pop()));
    case.refuses("another place", |case| drop(case.task.chain.remove(0)));
    case.refuses("another place", |case| case.task.chain.swap(0, 1));
    case.refuses("artifact 1", |case| {
        let text = case.task.chain[1].as_str();
        // A byte of the payload.
        let (head, tail) = text.split_at(200);
        let other = if tail.starts_with('A') { "B" } else { "A" };
        case.task.chain[1] = Document::from_text(format!("{head}{other}{}", &tail[1..])).unwrap();
    });
    // What is pinned.
    case.refuses("another tenant", |case| case.pinned.tenant = TenantId::parse("another").unwrap());
    case.refuses("not signed by a pinned key", |case| case.pinned.trust = Trust::default());
    for limit in [
        |key: &mut TrustedKey| key.role = KeyRole::Directory,
        |key: &mut TrustedKey| key.compromised_from = Some(1_000),
        |key: &mut TrustedKey| key.valid_until = Some(1_000),
        |key: &mut TrustedKey| key.tenants = Some(vec![TenantId::parse("another").unwrap()]),
    ] {
        case.refuses("not signed by a pinned key", |case| {
            let mut keys: Vec<TrustedKey> = case.pinned.trust.keys().cloned().collect();
            keys.iter_mut().for_each(limit);
            case.pinned.trust = Trust::new(keys, None).unwrap();
        });
    }
    case.refuses("to this runner", |case| case.me = ActorId::parse("another-runner").unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_says_nothing_that_the_chain_does_not_say() {
    let place = Place::open().await;
    let case = first(&place).await;
    let another = InstanceId::from_random([7; 16]);
    case.refuses("another instance", |case| case.task.instance_id = another.into());
    case.refuses("attempt 1, and the task is attempt 2", |case| case.task.attempt = 2);
    case.refuses("another workflow version", |case| case.task.workflow.version = "2".parse().unwrap());
    case.refuses("the command of the task", |case| case.task.command = shell("exit 1"));
    case.refuses("the command of the task", |case| drop(case.task.command.pop()));
    case.refuses("the set of secrets", |case| {
        case.task.secrets = BTreeMap::from([("KEY".to_owned(), "env:HOME".to_owned())]);
    });
    case.refuses("the definition of the workflow", |case| {
        let text = case.task.definition.as_str().replace("exit 0", "exit 1");
        case.task.definition = Document::from_text(text).unwrap();
        case.task.command = shell("exit 1");
    });
    case.refuses("the context does not open", |case| {
        let text = case.task.context.as_str().replace(r#""attempt":1"#, r#""attempt":2"#);
        case.task.context = Document::from_text(text).unwrap();
    });
    case.refuses("the context does not open", |case| {
        case.task.context_salt = Salt::from_bytes([0; 32]).into();
    });
    case.refuses("the context does not open", |case| {
        case.task.context_commitment = Digest::from_bytes([0; 32]).into();
    });
    case.refuses("the context is not acceptable", |case| {
        case.task.context = Document::from_text(r#"{"attempt":1,"attempt":1}"#).unwrap();
    });

    let after = second(&place, &case).await;
    case.refuses("the grant is not the one", |case| case.task.grant = after.task.grant.clone());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_grant_is_believed_as_a_human_gave_it() {
    let place = Place::open().await;
    let asked = first(&place).await;
    let case = second(&place, &asked).await;
    let verified = case.verify().unwrap();
    assert_eq!(verified.instance.state(), State::Resumed);
    let grant = case.task.grant.clone().unwrap();
    assert_eq!(verified.grant, Some(*grant.grant_id));
    assert_eq!((grant.overridden, grant.action.parameters.as_str()), (true, r#"{"amount_minor":480}"#));

    case.refuses("the grant is not the one", |case| case.task.grant = None);
    let changed = |expected: &str, change: fn(&mut gantral_api::wire::GrantView)| {
        case.refuses(expected, |case| change(case.task.grant.as_mut().unwrap()));
    };
    changed("does not open the commitment that was approved", |grant| grant.action = refund(4_800));
    changed("does not open", |grant| grant.action.target.push('x'));
    changed("does not open", |grant| grant.action_salt = Salt::from_bytes([0; 32]).into());
    changed("the grant is not the one", |grant| grant.action_commitment = Digest::from_bytes([0; 32]).into());
    changed("the grant is not the one", |grant| grant.grant_id = GrantId::from_random([7; 16]).into());
    changed("the grant is not the one", |grant| grant.overridden = false);
    changed("the grant is not the one", |grant| grant.gate_id = None);
    changed("the grant is not the one", |grant| {
        grant.expires_at = grant.expires_at.plus(DurationMs::from_secs(1)).into();
    });
    // As the chain stood while the human thought, and before.
    let waiting = case.statements().iter().position(|s| s.state == State::WaitingForHuman).unwrap();
    for length in waiting..case.task.chain.len() - 1 {
        let error = Case { task: Task { attempt: 1, ..case.task.clone() }, ..case.clone() };
        error.refuses("", |case| case.task.chain.truncate(length + 1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_hold_for_whoever_holds_the_key() {
    let place = Place::open().await;
    let asked = first(&place).await;
    let case = second(&place, &asked).await;
    let lawful = linked(case.statements());
    case.signed(lawful.clone()).await.verify().unwrap();

    let without = |kind: fn(&Event) -> bool| {
        let kept = lawful.iter().filter(|statement| !kind(&statement.entry.event)).cloned();
        linked(kept.collect())
    };
    let decided = |event: &Event| matches!(event, Event::Overridden(_));
    case.signed(without(decided)).await.refuses("breaks rules", |_| {});
    let opened = |event: &Event| matches!(event, Event::HumanRequired(_));
    case.signed(without(opened)).await.refuses("breaks rules", |_| {});
    let ended = |event: &Event| matches!(event, Event::AttemptEnded(_));
    case.signed(without(ended)).await.refuses("breaks rules", |_| {});

    let last = lawful.len() - 1;
    let changed = |change: Change| {
        let mut statements = lawful.clone();
        change(&mut statements[last]);
        statements
    };
    let expectations: [(&str, Change); 5] = [
        ("another predecessor", |statement| statement.previous = Some(Digest::from_bytes([0; 32]))),
        ("another place", |statement| statement.sequence += 1),
        ("another set of rules", |statement| statement.semantics = Digest::from_bytes([0; 32])),
        ("another instance", |statement| statement.identity.instance = InstanceId::from_random([7; 16])),
        ("breaks rules", |statement| statement.from_state = Some(State::Approved)),
    ];
    for (expected, change) in expectations {
        case.signed(changed(change)).await.refuses(expected, |_| {});
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_replaces_a_lost_one_gets_its_grant() {
    let place = Place::open().await;
    let asked = first(&place).await;
    let lost = second(&place, &asked).await;
    let (runner, id) = (place.client("dev-runner"), lost.task.instance_id);
    runner.attach(id, Attach::Assigned { attempt: 2 }).await.unwrap();
    // Nobody renews the lease of a second, and nothing was consumed.
    let case = claim(&place).await;
    assert_eq!(case.task.attempt, 3);
    let verified = case.verify().unwrap();
    assert_eq!(verified.instance.state(), State::Running);
    assert_eq!(verified.grant, Some(*lost.task.grant.unwrap().grant_id));
    let context = case.task.context.to_value().unwrap();
    let action = context.get("grant").and_then(|grant| grant.get("action")).unwrap();
    assert_eq!(action.get("parameters").unwrap().to_canonical(), br#"{"amount_minor":480}"#);
    let attached = runner.attach(id, Attach::Assigned { attempt: 3 }).await.unwrap();
    assert_eq!(attached.grant.map(|grant| *grant.grant_id), verified.grant);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_with_another_key_launches_nothing() {
    let place = Place::open().await;
    let dir = place.folder.path().join("dir");
    std::fs::create_dir(&dir).unwrap();
    place.apply(&runs(&shell("touch launched"), "30s")).await;
    let id = place.create().await;
    let other = LocalSigner::from_pkcs8(KeyRole::Issuer, &LocalSigner::generate().unwrap()).unwrap();
    let trust = Trust::new([TrustedKey::issuer(other.public_key().clone())], None).unwrap();
    let running =
        place.run(|config| (config.pinned.trust, config.command_dir) = (trust, Some(dir.clone()))).await;
    let why = running.tells(|event| match event {
        RunnerEvent::Distrusted { why, .. } => Some(why.clone()),
        _ => None,
    });
    assert!(why.await.contains("artifact 0 is not signed by a pinned key"));
    running.stop().await;
    assert!(!dir.join("launched").exists());
    // The attempt is left alone: it was never attached.
    assert_eq!(*place.show(id).await.state, State::Created);
}

/// Who signs which part of a chain.
struct Keys {
    old: LocalSigner,
    new: LocalSigner,
    delegate: LocalSigner,
}

impl Keys {
    fn new() -> Self {
        let key = || LocalSigner::from_pkcs8(KeyRole::Issuer, &LocalSigner::generate().unwrap()).unwrap();
        Self { old: key(), new: key(), delegate: key() }
    }

    /// Delegates from one key to the delegate for a day from an instant on.
    async fn delegation(&self, by: &LocalSigner, from: UnixMillis) -> Document {
        let delegation = KeyDelegation {
            delegator: by.public_key().id(),
            delegate: self.delegate.public_key().clone(),
            tenants: None,
            origins: None,
            not_before: from,
            not_after: from.plus(DurationMs::from_secs(24 * 3_600)),
        };
        let signature = by.sign(SigningContext::Delegation, &delegation.message()).await.unwrap();
        Document::from_bytes(&delegation.signed(&signature.bytes)).unwrap()
    }
}

/// Signs each artifact of a chain anew.
async fn resigned<'a>(case: &Case, signer: impl Fn(usize) -> &'a LocalSigner) -> Case {
    let mut chain = Vec::new();
    for (sequence, statement) in case.statements().iter().enumerate() {
        let unsigned = Unsigned::of(statement).unwrap();
        let signature = signer(sequence).sign(SigningContext::Artifact, &unsigned.message()).await.unwrap();
        let sealed = unsigned.signed(signature.key_id, &signature.bytes);
        chain.push(Document::from_bytes(&sealed.envelope).unwrap());
    }
    Case { task: Task { chain, ..case.task.clone() }, ..case.clone() }
}

fn pinned(case: Case, keys: impl IntoIterator<Item = TrustedKey>) -> Case {
    Case { pinned: Pinned { trust: Trust::new(keys, None).unwrap(), ..case.pinned }, ..case }
}

#[tokio::test(flavor = "multi_thread")]
async fn delegate_of_a_pinned_key_is_believed_as_far_as_it_was_delegated_to() {
    let place = Place::open().await;
    let (case, keys) = (first(&place).await, Keys::new());
    let begun = case.statements()[0].entry.at;
    let signed = resigned(&case, |_| &keys.delegate).await;
    let signed = pinned(signed, [TrustedKey::issuer(keys.new.public_key().clone())]);
    let with = |delegation: &Document| {
        let task = Task { delegations: vec![delegation.clone()], ..signed.task.clone() };
        Case { task, ..signed.clone() }
    };
    let good = keys.delegation(&keys.new, begun).await;
    with(&good).verify().unwrap();

    let refused = "not signed by a pinned key";
    signed.refuses(refused, |_| {});
    with(&keys.delegation(&keys.old, begun).await).refuses(refused, |_| {});
    let later = begun.plus(DurationMs::from_secs(3_600));
    with(&keys.delegation(&keys.new, later).await).refuses(refused, |_| {});
    for limit in [
        |key: &mut TrustedKey| key.compromised_from = Some(1_000),
        |key: &mut TrustedKey| key.valid_until = Some(1_000),
        |key: &mut TrustedKey| key.role = KeyRole::Directory,
        |key: &mut TrustedKey| key.tenants = Some(Vec::new()),
    ] {
        let mut key = TrustedKey::issuer(keys.new.public_key().clone());
        limit(&mut key);
        pinned(with(&good), [key]).refuses(refused, |_| {});
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chain_of_a_key_that_was_replaced_is_believed_once_the_new_key_continues_it() {
    let place = Place::open().await;
    let (case, keys) = (first(&place).await, Keys::new());
    let old = TrustedKey { valid_until: Some(9), ..TrustedKey::issuer(keys.old.public_key().clone()) };
    let new = TrustedKey { valid_from: Some(7), ..TrustedKey::issuer(keys.new.public_key().clone()) };
    let newest = case.task.chain.len() - 1;
    let continued = resigned(&case, |at| if at == newest { &keys.new } else { &keys.old }).await;
    let continued = pinned(continued, [old.clone(), new.clone()]);
    continued.verify().unwrap();
    let ended = pinned(resigned(&case, |_| &keys.old).await, [old, new]);
    ended.refuses("not signed by a pinned key", |_| {});
}

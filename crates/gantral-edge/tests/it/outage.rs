//! Agents that run themselves, under SHADOW and not, and a server that goes away and comes back.

use std::path::PathBuf;

use gantral_api::wire::{Ask, Attach, AuthorityAnswer, ReportOutcome, SetMode, UnobservedQuery};
use gantral_core::ids::InstanceId;
use gantral_core::state::OutcomeStatus;
use gantral_edge::outage::MayNot;
use gantral_edge::script::{Asked, Script, ScriptError};
use gantral_evidence::keys::PublicKey;
use gantral_evidence::mode_lease::NotLeased;
use gantral_evidence::trust::{Require, Trust, TrustedKey};
use serde_json::json;

use crate::place::{Place, refund, runs, shell};

const SMALL: u64 = 100;
const LARGE: u64 = 4_800;

/// An agent that has an attempt, and what its operator gave it.
struct Agent {
    instance: InstanceId,
    url: String,
    folder: PathBuf,
}

impl Agent {
    /// Begins an execution of `refund`, and has its operator pin the keys of the server.
    async fn begin(place: &Place) -> Self {
        let folder = place.folder.path().join("agent");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("trust.json"), place.trust().await.encode()).unwrap();
        let instance = place.create().await;
        let attached = place.client("refund-agent").attach(instance.into(), Attach::SelfRun).await.unwrap();
        std::fs::write(folder.join("token"), &attached.token).unwrap();
        Self { instance, url: place.url.clone(), folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn script(&self) -> Script {
        let variable = |name: &str| {
            Some(match name {
                "GANTRAL_URL" => self.url.clone(),
                "GANTRAL_INSTANCE_ID" => self.instance.to_string(),
                "GANTRAL_TOKEN_FILE" => self.path("token"),
                "GANTRAL_TRUST" => self.path("trust.json"),
                "GANTRAL_TENANT" => "dev".to_owned(),
                "GANTRAL_WORKFLOW" => "refund".to_owned(),
                "GANTRAL_MODE_LEASE" => self.path("lease.json"),
                _ => return None,
            })
        };
        Script::read(variable).unwrap()
    }

    async fn ask(&self, amount: u64) -> Result<Asked, ScriptError> {
        let (step, trigger, cost_estimate, attributes) = (None, None, None, None);
        let (action, consume, executor) = (refund(amount), false, None);
        self.script().ask(&Ask { action, step, trigger, cost_estimate, attributes, consume, executor }).await
    }

    /// Asks, and is refused for want of an answer.
    async fn stops(&self) -> MayNot {
        match self.ask(LARGE).await {
            Err(ScriptError::Outage { why, .. }) => why,
            other => panic!("{other:?}"),
        }
    }

    /// How many actions stand in files beside the lease.
    fn counted(&self) -> usize {
        let files = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
        let gaps = files.filter(|path| path.to_string_lossy().contains(".gaps"));
        gaps.map(|path| std::fs::read_to_string(path).unwrap().lines().count()).sum()
    }
}

async fn place() -> Place {
    let place = Place::open().await;
    place.apply(&runs(&shell("exit 0"), "30s")).await;
    place
}

async fn set(place: &Place, mode: &str) {
    set_for(place, json!({"scope": {"kind": "workflow", "name": "refund"}, "mode": mode})).await;
}

async fn set_for(place: &Place, body: serde_json::Value) {
    let body: SetMode = serde_json::from_value(body).unwrap();
    place.human("bob").set_mode(&body).await.unwrap();
}

fn is_observed(asked: &Asked) -> bool {
    matches!(asked, Asked::Answered(answer) if matches!(&**answer, AuthorityAnswer::Allow(allowed) if !allowed.enforced))
}

fn report() -> ReportOutcome {
    ReportOutcome { status: OutcomeStatus::Succeeded.into(), result: None, cost: None, evidence: vec![] }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_only_observed_goes_on_without_the_server_and_is_counted_once() {
    let mut place = place().await;
    set(&place, "SHADOW").await;
    let agent = Agent::begin(&place).await;
    assert!(is_observed(&agent.ask(LARGE).await.unwrap()));
    place.close().await;
    for _ in 0..3 {
        assert_eq!(agent.ask(LARGE).await.unwrap(), Asked::Unobserved { counted: true });
    }
    assert_eq!(agent.script().observed_outcome(&report()).await.unwrap(), None);
    assert_eq!(agent.counted(), 3);

    place.reopen().await;
    // The next execution tells what the one before did.
    let agent = Agent::begin(&place).await;
    for _ in 0..2 {
        assert!(is_observed(&agent.ask(LARGE).await.unwrap()));
        let told = place.human("bob").unobserved(&UnobservedQuery::default()).await.unwrap();
        assert_eq!(told.items.len(), 1);
        assert_eq!((told.items[0].action.as_str(), told.items[0].asks), ("refund", 3));
        assert_eq!(agent.counted(), 0);
    }
    assert!(agent.script().observed_outcome(&report()).await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_enforced_stops_without_the_server() {
    let mut place = place().await;
    let agent = Agent::begin(&place).await;
    let Asked::Answered(answer) = agent.ask(SMALL).await.unwrap() else { panic!("no answer") };
    assert!(matches!(*answer, AuthorityAnswer::Allow(allowed) if allowed.enforced));
    place.close().await;
    assert!(matches!(agent.stops().await, MayNot::NotLeased(NotLeased::Enforced)));
    // Whoever never heard of a server goes nowhere either.
    std::fs::remove_file(agent.path("lease.json")).unwrap();
    assert!(matches!(agent.stops().await, MayNot::None));
    assert_eq!(agent.counted(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_enforced_answer_on_nothing_goes_on_without_one() {
    let mut place = place().await;
    set(&place, "SHADOW").await;
    let agent = Agent::begin(&place).await;
    assert!(is_observed(&agent.ask(LARGE).await.unwrap()));
    set(&place, "ENFORCE").await;
    assert!(!is_observed(&agent.ask(SMALL).await.unwrap()));
    place.close().await;
    assert!(matches!(agent.stops().await, MayNot::NotLeased(NotLeased::Enforced)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_goes_on_by_a_lease_that_no_pinned_key_signed_or_that_was_changed() {
    let mut place = place().await;
    set(&place, "SHADOW").await;
    let agent = Agent::begin(&place).await;
    assert!(is_observed(&agent.ask(LARGE).await.unwrap()));
    place.close().await;
    let lease = std::fs::read_to_string(agent.path("lease.json")).unwrap();
    for (from, to) in [("\"sig\":\"", "\"sig\":\"AAAA"), ("\"payload\":\"", "\"payload\":\"AAAA")] {
        assert!(lease.contains(from), "{lease}");
        std::fs::write(agent.path("lease.json"), lease.replacen(from, to, 1)).unwrap();
        assert!(matches!(agent.stops().await, MayNot::NotBelieved(_)));
    }
    std::fs::write(agent.path("lease.json"), &lease).unwrap();
    assert_eq!(agent.ask(LARGE).await.unwrap(), Asked::Unobserved { counted: true });
    let stranger =
        PublicKey::parse("8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c").unwrap();
    let trust = Trust::new([TrustedKey::issuer(stranger)], Some(Require::signed())).unwrap();
    std::fs::write(agent.path("trust.json"), trust.encode()).unwrap();
    assert!(matches!(agent.stops().await, MayNot::NotBelieved(_)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_is_kept_for_half_of_its_life_whatever_the_modes_of_other_actions() {
    let mut place = place().await;
    set(&place, "SHADOW").await;
    let action =
        json!({"scope": {"kind": "workflow", "name": "refund"}, "action": "refund", "mode": "ENFORCE"});
    set_for(&place, action).await;
    let agent = Agent::begin(&place).await;
    let mut kept = Vec::new();
    for _ in 0..2 {
        assert!(!is_observed(&agent.ask(SMALL).await.unwrap()));
        kept.push(std::fs::read(agent.path("lease.json")).unwrap());
    }
    assert_eq!(kept[0], kept[1]);
    place.close().await;
    assert!(matches!(agent.stops().await, MayNot::NotLeased(NotLeased::Enforced)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_an_answer() {
    let place = place().await;
    set(&place, "SHADOW").await;
    let agent = Agent::begin(&place).await;
    assert!(is_observed(&agent.ask(LARGE).await.unwrap()));
    // The newest attempt is another one.
    let other = place.client("refund-agent").attach(agent.instance.into(), Attach::SelfRun).await.unwrap();
    assert!(other.attempt > 1);
    assert!(matches!(agent.ask(LARGE).await, Err(ScriptError::Call(_))));
    assert_eq!(agent.counted(), 0);
}

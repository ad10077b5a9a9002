use alloc::format;
use alloc::string::ToString as _;
use alloc::vec;
use core::fmt::Debug;

use gantral_core::address::EvidenceUrl;
use gantral_core::event::*;
use gantral_core::ids::*;
use gantral_core::json::{self, Profile, Value};
use gantral_core::policy::{EvalFailure, EvaluatorId, Materiality, PolicyVersionId, Verdict};
use gantral_core::rule::{EscalationStep, Group, Rule, Stage};
use gantral_core::state::*;
use gantral_core::time::{DurationMs, UnixMillis};

use super::*;
use crate::keys::PublicKey;
use crate::log::leaf::Leaf;
use crate::seal::{SealError, Unsigned};

/// A source of values that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        core::array::from_fn(|_| self.roll(256) as u8)
    }

    fn digest(&mut self) -> Digest {
        Digest::from_bytes(self.bytes())
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.roll(all.len() as u64) as usize]
    }

    fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        if self.roll(2) == 0 { None } else { Some(make(self)) }
    }

    fn some<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.roll(4)).map(|_| make(self)).collect()
    }

    fn text<T, E: Debug>(&mut self, parse: impl Fn(&str) -> Result<T, E>) -> T {
        let letters: String = (0..=self.roll(12)).map(|_| self.one_of(&['a', 'z', '0', '.', '/'])).collect();
        parse(&letters).unwrap()
    }

    fn role(&mut self) -> Role {
        self.text(Role::parse)
    }

    fn at(&mut self) -> UnixMillis {
        UnixMillis::new(self.roll(1 << 31) * 1_000 + self.roll(1_000)).unwrap()
    }

    fn executor(&mut self) -> Executor {
        Executor { kind: self.one_of(ExecutorKind::ALL), id: self.text(ActorId::parse) }
    }

    fn policy(&mut self) -> PolicyRecord {
        PolicyRecord {
            version: PolicyVersionId(self.digest()),
            evaluator: EvaluatorId { engine: self.text(Name::parse), version: self.text(Name::parse) },
            input: self.digest(),
            decision: self.maybe(Self::digest),
            verdict: self.one_of(&Verdict::ALL),
            failure: self.maybe(|dice| dice.one_of(&EvalFailure::ALL)),
        }
    }

    fn grant(&mut self) -> GrantTerms {
        GrantTerms { id: GrantId::from_random(self.bytes()), expires_at: self.at() }
    }

    fn ballot(&mut self) -> Ballot {
        Ballot {
            gate: GateId::from_random(self.bytes()),
            gate_version: self.roll(9) as u32,
            request_artifact_hash: self.digest(),
            decision: self.one_of(DecisionKind::ALL),
            asked: self.digest(),
            approved: self.digest(),
            display: self.digest(),
            role: self.role(),
            justification: self.maybe(Self::digest),
            acts_for: self.maybe(|dice| PersonId(dice.digest())),
            delegation: self.maybe(Self::digest),
            break_glass: self.roll(2) == 0,
            directory_entry: self.maybe(Self::digest),
            evidence: self.one_of(HumanEvidence::ALL),
            evidence_digest: self.maybe(Self::digest),
        }
    }

    fn launch(&mut self, has_lease: bool) -> Launch {
        Launch {
            executor: self.maybe(Self::executor),
            context: self.maybe(Self::digest),
            lease: has_lease.then(|| DurationMs::new(self.roll(1 << 40))),
            cause: self.maybe(|dice| dice.one_of(Cause::ALL)),
        }
    }

    fn gate_moved(&mut self, step: Option<u32>) -> GateMoved {
        GateMoved {
            gate: GateId::from_random(self.bytes()),
            version: self.roll(9) as u32,
            step,
            roles: self.some(Self::role),
            deadline: self.at(),
        }
    }

    fn created(&mut self) -> Created {
        let requester = |dice: &mut Self| Requester {
            id: dice.text(ActorId::parse),
            kind: dice.one_of(ActorKind::ALL),
            issuer: "https://issuer.example/?tenant=a".to_string(),
            owner: dice.maybe(|dice| PersonId(dice.digest())),
        };
        let parent = |dice: &mut Self| Parent {
            instance: InstanceId::from_random(dice.bytes()),
            artifact_hash: dice.digest(),
        };
        Created {
            requester: self.some(requester),
            parent: self.maybe(parent),
            session: self.maybe(|dice| dice.text(SessionId::parse)),
            trigger: self.maybe(|dice| dice.text(Name::parse)),
            context: self.maybe(Self::digest),
            expires_at: self.at(),
        }
    }

    fn human_required(&mut self) -> HumanRequired {
        let group = |dice: &mut Self| Group { roles: dice.some(Self::role), required: dice.roll(16) as u32 };
        HumanRequired {
            gate: Asked {
                id: GateId::from_random(self.bytes()),
                version: 1,
                action: self.digest(),
                context: self.digest(),
                step: self.maybe(|dice| dice.text(Name::parse)),
            },
            rule: Rule {
                stages: self.some(|dice| Stage { groups: dice.some(group) }),
                distinct: self.roll(2) == 0,
                separation: self.roll(2) == 0,
                required_evidence: self.one_of(HumanEvidence::ALL),
                break_glass_roles: self.some(Self::role),
                rejections: 1 + self.roll(16) as u32,
            },
            deadline: self.at(),
            escalation: self.some(|dice| EscalationStep {
                roles: dice.some(Self::role),
                duration: DurationMs::new(dice.roll(1 << 40)),
            }),
            latest_deadline: self.at(),
            policy: self.policy(),
        }
    }

    fn allowed(&mut self, grant: Option<GrantTerms>) -> Allowed {
        Allowed { action: self.digest(), context: self.digest(), policy: self.policy(), grant }
    }

    fn event(&mut self, kind: EventKind) -> Event {
        match kind {
            EventKind::Created => Event::Created(self.created()),
            EventKind::Started => Event::Started(self.launch(false)),
            EventKind::HumanRequired => Event::HumanRequired(self.human_required()),
            EventKind::Approved => Event::Approved(Granted { ballot: self.ballot(), grant: self.grant() }),
            EventKind::Overridden => {
                Event::Overridden(Granted { ballot: self.ballot(), grant: self.grant() })
            }
            EventKind::Rejected => Event::Rejected(Rejected {
                gate: GateId::from_random(self.bytes()),
                ballot: self.maybe(Self::ballot),
                cause: self.one_of(Cause::ALL),
            }),
            EventKind::Resumed => {
                let has_lease = self.roll(2) == 0;
                Event::Resumed(self.launch(has_lease))
            }
            EventKind::Running => Event::Running(self.launch(false)),
            EventKind::Completed => Event::Completed(Ended { cause: None, policy: None }),
            EventKind::Terminated => Event::Terminated(Ended {
                cause: Some(self.one_of(Cause::ALL)),
                policy: self.maybe(Self::policy),
            }),
            EventKind::AttemptAssigned => Event::AttemptAssigned(Launch {
                executor: Some(self.executor()),
                context: Some(self.digest()),
                lease: Some(DurationMs::from_secs(30)),
                cause: None,
            }),
            EventKind::AttemptEnded => Event::AttemptEnded(AttemptEnded {
                executor: self.executor(),
                cause: self.one_of(Cause::ALL),
                exit_status: self.maybe(|dice| dice.roll(512) as i32 - 256),
            }),
            EventKind::Allowed => {
                let grant = self.grant();
                Event::Allowed(self.allowed(Some(grant)))
            }
            EventKind::Observed => Event::Observed(self.allowed(None)),
            EventKind::Vote => Event::Vote(self.ballot()),
            EventKind::Escalated => Event::Escalated(self.gate_moved(Some(1))),
            EventKind::Extended => Event::Extended(self.gate_moved(None)),
            EventKind::Consumed => Event::Consumed(Consumed {
                grant: GrantId::from_random(self.bytes()),
                action: self.digest(),
                executor: self.executor(),
                act_by: self.at(),
                guard: GuardRecord {
                    governance_head: self.maybe(Self::digest),
                    freeze_epoch: self.roll(9),
                    policy_version: PolicyVersionId(self.digest()),
                    verdict: self.one_of(&Verdict::ALL),
                },
                policy: self.policy(),
            }),
            EventKind::Outcome => Event::Outcome(Outcome {
                grant: self.maybe(|dice| GrantId::from_random(dice.bytes())),
                status: self.one_of(OutcomeStatus::ALL),
                result: self.maybe(Self::digest),
                evidence: self.some(|dice| EvidenceRef {
                    digest: dice.digest(),
                    name: dice.text(Name::parse),
                    url: dice.maybe(|dice| {
                        EvidenceUrl::parse(&["s3://b/", dice.role().as_str()].concat()).unwrap()
                    }),
                }),
                cost: self.maybe(|dice| dice.roll(1 << 53)),
            }),
            EventKind::Reconciled => Event::Reconciled(Reconciled {
                grant: GrantId::from_random(self.bytes()),
                status: self.one_of(OutcomeStatus::ALL),
                next: self.one_of(NextStep::ALL),
                justification: self.maybe(Self::digest),
            }),
            EventKind::EvaluatorFailed => Event::EvaluatorFailed(self.policy()),
        }
    }

    fn statement(&mut self, kind: EventKind) -> Statement {
        let at = self.at();
        Statement {
            artifact_id: ArtifactId::at(at.get(), self.bytes()),
            identity: Identity {
                tenant: self.text(TenantId::parse),
                origin: self.text(LogOrigin::parse),
                instance: InstanceId::from_random(self.bytes()),
                workflow: WorkflowRef {
                    id: self.text(WorkflowId::parse),
                    version: self.text(Name::parse),
                    digest: self.digest(),
                    materiality: self.one_of(&Materiality::ALL),
                },
            },
            sequence: self.roll(10_000),
            previous: self.maybe(Self::digest),
            semantics: self.digest(),
            from_state: self.maybe(|dice| dice.one_of(State::ALL)),
            state: self.one_of(State::ALL),
            entry: Entry {
                event: self.event(kind),
                actor: Actor {
                    id: self.text(ActorId::parse),
                    kind: self.one_of(ActorKind::ALL),
                    issuer: self.maybe(|_| "https://issuer.example".to_string()),
                    role: self.maybe(Self::role),
                },
                attempt: AttemptNo(self.roll(9) as u32),
                mode: self.one_of(Mode::ALL),
                at,
            },
            anchor: self.maybe(|dice| TreeHead { size: dice.roll(1 << 53), root: dice.digest() }),
            blind: self.bytes(),
        }
    }
}

fn sample(kind: EventKind) -> Statement {
    Dice(7).statement(kind)
}

/// Decodes a sample after its JSON was changed, and returns the error's text.
fn refused(kind: EventKind, change: impl FnOnce(&mut json::Object, &mut json::Object)) -> String {
    let Ok(Value::Object(mut outer)) = json::parse(&sample(kind).encode(), &Profile::ARTIFACT) else {
        panic!("a statement is an object")
    };
    let Some(Value::Object(mut predicate)) = outer.remove("predicate") else { panic!("has a predicate") };
    change(&mut outer, &mut predicate);
    if !predicate.is_empty() {
        outer.insert("predicate", predicate);
    }
    Statement::decode(&Value::Object(outer).to_canonical()).unwrap_err().to_string()
}

fn change_detail(predicate: &mut json::Object, change: impl FnOnce(&mut json::Object)) {
    let Some(Value::Object(mut detail)) = predicate.remove("detail") else { panic!("has a detail") };
    change(&mut detail);
    predicate.insert("detail", detail);
}

#[test]
fn every_event_reads_back_as_it_was_written() {
    for kind in EventKind::ALL {
        for seed in 0..200 {
            let statement = Dice(seed).statement(*kind);
            let payload = statement.encode();
            assert_eq!(Statement::decode(&payload).as_ref(), Ok(&statement), "{kind} {seed}");
            assert!(json::is_canonical(&payload, &Profile::ARTIFACT), "{kind} {seed}");
            assert!(Unsigned::of(&statement).is_ok(), "{kind} {seed}");
        }
    }
}

#[test]
fn the_leaf_of_an_artifact_tells_its_place_and_whether_it_is_the_last() {
    let issuer =
        PublicKey::parse("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a").unwrap().id();
    for kind in EventKind::ALL {
        let statement = sample(*kind);
        let leaf = Leaf::of_artifact(&statement, Digest::of(b"artifact"), issuer);
        let identity = &statement.identity;
        assert_eq!(leaf.tag, instance_tag(&identity.tenant, &identity.instance));
        assert_eq!(
            (leaf.sequence, leaf.terminal),
            (statement.sequence, statement.state.is_final()),
            "{kind}"
        );
        assert_eq!((leaf.hash, leaf.issuer), (Digest::of(b"artifact"), issuer.short()));
        assert_eq!(Leaf::parse(&leaf.encode()), Ok(leaf));
    }
}

#[test]
fn a_written_detail_has_the_members_of_the_matrix() {
    for kind in EventKind::ALL {
        let value = json::parse(&sample(*kind).encode(), &Profile::ARTIFACT).unwrap();
        let detail = value.get("predicate").and_then(|p| p.get("detail")).and_then(Value::as_object).unwrap();
        let names: Vec<&str> = members(*kind).iter().map(|(member, _)| *member).collect();
        assert_eq!(detail.names().collect::<Vec<_>>(), names, "{kind}");
    }
}

#[test]
fn another_version_or_type_is_unsupported_before_anything_else_is_read() {
    let cases = [
        refused(EventKind::Created, |_, predicate| {
            predicate.insert("artifact_version", "2.0");
            predicate.remove("blind");
            predicate.insert("novel", 1_u32);
        }),
        refused(EventKind::Created, |outer, _| _ = outer.insert("_type", "https://in-toto.io/Statement/v2")),
        refused(EventKind::Created, |outer, _| _ = outer.insert("predicateType", "other")),
    ];
    assert_eq!(
        cases,
        [
            "member `artifact_version` has the unknown value `2.0`",
            "member `_type` has the unknown value `https://in-toto.io/Statement/v2`",
            "member `predicateType` has the unknown value `other`",
        ]
    );
    let spelled_freely = br#"{ "predicate": {"artifact_version":"2.0", "share": 0.5} }"#;
    assert!(matches!(
        Statement::decode(spelled_freely),
        Err(StatementError::Unsupported { member: "artifact_version", .. })
    ));
}

#[test]
fn a_missing_an_unknown_and_a_wrong_member_are_named() {
    let cases = [
        refused(EventKind::Created, |_, predicate| _ = predicate.remove("blind")),
        refused(EventKind::Created, |_, predicate| _ = predicate.insert("blind", "AB")),
        refused(EventKind::Created, |_, predicate| _ = predicate.insert("note", "x")),
        refused(EventKind::Created, |outer, _| _ = outer.insert("z", Value::Null)),
        refused(EventKind::Created, |_, predicate| _ = predicate.insert("sequence", -1_i64)),
        refused(EventKind::Created, |_, predicate| _ = predicate.insert("mode", Value::Null)),
        refused(EventKind::Created, |_, predicate| _ = predicate.insert("tenant_id", "аcme")),
        refused(EventKind::Created, |_, predicate| predicate.insert("workflow", vec![]).map_or((), drop)),
        refused(EventKind::Created, |_, predicate| {
            predicate.names().map(String::from).collect::<Vec<_>>().iter().for_each(|name| {
                predicate.remove(name);
            });
        }),
        refused(EventKind::Vote, |_, predicate| {
            change_detail(predicate, |detail| _ = detail.insert("gate", Value::Null));
        }),
        refused(EventKind::Vote, |_, predicate| {
            change_detail(predicate, |detail| _ = detail.remove("cause"));
        }),
        refused(EventKind::HumanRequired, |_, predicate| needs_rejections(predicate, Value::from(1_u64))),
        refused(EventKind::HumanRequired, |_, predicate| needs_rejections(predicate, Value::from(17_u64))),
        refused(EventKind::HumanRequired, |_, predicate| needs_rejections(predicate, Value::Null)),
        refused(EventKind::Outcome, |_, predicate| refers_to(predicate, "https://me:pass@host/x".into())),
        refused(EventKind::Outcome, |_, predicate| refers_to(predicate, "https://host/x?sig=1".into())),
        refused(EventKind::Outcome, |_, predicate| refers_to(predicate, Value::Null)),
    ];
    assert_eq!(
        cases,
        [
            "`predicate` has no member `blind`",
            "member `blind` of `predicate` is not 64 lower-case hexadecimal digits",
            "`predicate` has the unknown member `note`",
            "`statement` has the unknown member `z`",
            "member `sequence` of `predicate` is not a whole number from 0",
            "member `mode` of `predicate` is not a mode",
            "member `tenant_id` of `predicate` is not an ASCII identifier",
            "`workflow` is not an object",
            "`statement` has no member `predicate`",
            "`detail` has the unknown member `gate`",
            "`detail` has no member `cause`",
            "member `rejections` of `rule` is not a number of persons from 2 to 16",
            "member `rejections` of `rule` is not a number of persons from 2 to 16",
            "member `rejections` of `rule` is not a whole number from 0 to 2^32 - 1",
            "member `url` of `evidence` is not an address without user, query and fragment",
            "member `url` of `evidence` is not an address without user, query and fragment",
            "member `url` of `evidence` is not an address without user, query and fragment",
        ]
    );
}

/// Writes how many rejections the rule of a gate needs.
fn needs_rejections(predicate: &mut json::Object, number: Value) {
    change_detail(predicate, |detail| {
        let mut rule = detail.get("rule").and_then(Value::as_object).unwrap().clone();
        rule.insert("rejections", number);
        detail.insert("rule", rule);
    });
}

/// Writes where the only evidence of an outcome is kept.
fn refers_to(predicate: &mut json::Object, url: Value) {
    let item = json::Object::new().with("digest", "a".repeat(64)).with("name", "log").with("url", url);
    change_detail(predicate, |detail| _ = detail.insert("evidence", vec![Value::Object(item)]));
}

#[test]
fn a_member_against_the_matrix_is_named_with_its_event() {
    let set = |kind, member: &'static str, value: Value| {
        refused(kind, |_, predicate| change_detail(predicate, |detail| _ = detail.insert(member, value)))
    };
    assert_eq!(
        [
            set(EventKind::Completed, "cause", "failed".into()),
            set(EventKind::Approved, "grant", Value::Null),
            set(EventKind::Observed, "grant", json::Object::new().into()),
            set(EventKind::Started, "lease_ms", 1_u32.into()),
        ],
        [
            "event `completed` must not have `cause`",
            "event `approved` must have `grant`",
            "event `observed` must not have `grant`",
            "event `started` must not have `lease_ms`",
        ]
    );
}

#[test]
fn members_that_repeat_others_must_agree_with_them() {
    let tag = Digest::of(b"another").to_hex();
    assert_eq!(
        [
            refused(EventKind::Created, |_, predicate| _ = predicate.insert("instance_tag", tag.clone())),
            refused(EventKind::Created, |outer, _| {
                let digest = json::Object::new().with("sha256", tag.clone());
                let name = "urn:gantral:instance:00000000-0000-4000-8000-000000000000";
                let entry = json::Object::new().with("digest", digest).with("name", name);
                outer.insert("subject", vec![Value::Object(entry)]);
            }),
        ],
        [
            "member `instance_tag` disagrees with the rest of the statement",
            "member `subject` disagrees with the rest of the statement",
        ]
    );
}

#[test]
fn an_extension_is_ignored_and_named_unless_it_is_critical() {
    let critical = refused(EventKind::Created, |_, predicate| {
        predicate.insert("crit", vec![Value::from("residency")]);
    });
    assert_eq!(critical, "extension `residency` must be understood and is unknown");

    let statement = sample(EventKind::Created);
    let payload = String::from_utf8(statement.encode()).unwrap();
    let extended = payload.replace(r#""ext":{}"#, r#""ext":{"residency":{"zone":"eu"}}"#);
    let decoded = Statement::decode_extended(extended.as_bytes()).unwrap();
    assert_eq!((decoded.statement, decoded.extensions), (statement, vec!["residency".to_string()]));
}

#[test]
fn a_second_spelling_of_a_statement_is_refused() {
    let payload = String::from_utf8(sample(EventKind::Created).encode()).unwrap();
    for changed in [
        payload.replace("\"crit\":[]", "\"crit\": []"),
        payload.replace("\"crit\":[]", "\"crit\":[],\"crit\":[]"),
        payload.replace("\"attempt\":", "\"attempt\":1e"),
        format!("{payload}\n"),
        format!("\u{feff}{payload}"),
    ] {
        assert_ne!(changed, payload);
        let error = Statement::decode(changed.as_bytes());
        assert!(matches!(error, Err(StatementError::Json(_))), "{error:?}");
    }
}

#[test]
fn what_a_verifier_would_refuse_is_not_sealed() {
    let mut outcome = sample(EventKind::Outcome);
    let Event::Outcome(detail) = &mut outcome.entry.event else { panic!("is an outcome") };
    detail.cost = Some(1 << 53);
    assert_eq!(Unsigned::of(&outcome), Err(SealError::Integer("cost")));

    let mut created = sample(EventKind::Created);
    created.entry.actor.issuer = Some("https://issuer.example/ä".to_string());
    assert_eq!(Unsigned::of(&created), Err(SealError::Text("issuer")));
}

#[test]
fn the_specification_prints_the_matrix() {
    let page = include_str!("../../../../spec/artifact.md");
    assert!(page.contains(&published()), "spec/artifact.md must contain:\n{}", published());
}

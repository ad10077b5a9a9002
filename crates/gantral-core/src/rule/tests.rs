use super::*;
use alloc::string::ToString;
use alloc::vec;

fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

fn vote(person: u8, name: &str) -> CountedVote {
    let person = PersonId(Digest::of(&[person]));
    CountedVote { person, by: person, role: role(name), action: Digest::of(b"action") }
}

fn floors() -> Floors {
    Floors {
        least_verdict: Verdict::Allow,
        default_approvers: vec![role("TECH_LEAD")],
        least_roles: vec![],
        required_approvals: 1,
        required_evidence: HumanEvidence::Operator,
        timeout: DurationMs::from_secs(1_800),
        timeout_max: DurationMs::from_secs(3_600),
        escalate: true,
    }
}

fn advice(roles: &[&str], required: u32, timeout: u64) -> Evaluation {
    Evaluation {
        verdict: Verdict::RequireHuman,
        approver_roles: roles.iter().map(|name| role(name)).collect(),
        required_approvals: required,
        timeout: Some(DurationMs::from_secs(timeout)),
        escalation_roles: vec![role("PLATFORM_ADMIN")],
        reasons: vec!["large".to_string()],
        decision: vec![],
    }
}

#[test]
fn two_persons_are_needed_where_two_are_asked_for() {
    let rule = Rule::one_group(vec![role("A"), role("B")], 2, HumanEvidence::Operator);
    assert_eq!(rule.tally([vote(1, "A")].iter()), Tally::Open { stage: 0 });
    assert_eq!(rule.tally([vote(1, "A"), vote(1, "B")].iter()), Tally::Open { stage: 0 });
    assert_eq!(rule.tally([vote(1, "A"), vote(2, "B")].iter()), Tally::Satisfied);
}

#[test]
fn a_later_stage_waits_for_the_earlier_one() {
    let mut rule = Rule::one_group(vec![role("A")], 1, HumanEvidence::Operator);
    rule.stages.push(Stage { groups: vec![Group { roles: vec![role("B")], required: 1 }] });
    assert!(!rule.is_eligible(&role("B"), [].iter()));
    assert!(rule.is_eligible(&role("B"), [vote(1, "A")].iter()));
    assert_eq!(rule.tally([vote(1, "A"), vote(2, "B")].iter()), Tally::Satisfied);
}

#[test]
fn policy_can_tighten_a_floor_and_never_loosen_it() {
    let plan = floors().plan(Some(&advice(&["RISK_OFFICER"], 2, 10))).unwrap();
    assert_eq!((plan.rule.stages[0].groups[0].required, plan.timeout), (2, DurationMs::from_secs(10)));
    let strict = Floors {
        required_approvals: 3,
        least_roles: vec![role("RISK_OFFICER")],
        required_evidence: HumanEvidence::Webauthn,
        ..floors()
    };
    let plan = strict.plan(Some(&advice(&["INTERN"], 1, 999_999))).unwrap();
    assert_eq!(plan.timeout, DurationMs::from_secs(3_600));
    assert_eq!(plan.rule.required_evidence, HumanEvidence::Webauthn);
    assert_eq!(
        plan.rule.stages[0].groups,
        vec![
            Group { roles: vec![role("RISK_OFFICER")], required: 1 },
            Group { roles: vec![role("INTERN")], required: 2 }
        ]
    );
    assert_eq!(
        strict.plan(Some(&advice(&["INTERN"], 1, 5))).unwrap().rule.tally([vote(1, "INTERN")].iter()),
        Tally::Open { stage: 0 }
    );
}

#[test]
fn a_failed_evaluation_asks_the_default_approvers() {
    let plan = floors().plan(None).unwrap();
    assert_eq!(plan.rule.roles(), vec![role("TECH_LEAD")]);
    assert!(plan.escalation.is_empty());
    assert_eq!(Floors { default_approvers: vec![], ..floors() }.plan(None), None);
}

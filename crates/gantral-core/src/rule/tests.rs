use super::*;
use alloc::string::ToString;
use alloc::vec;

fn role(name: &str) -> Role {
    Role::parse(name).unwrap()
}

fn vote(person: u8, name: &str) -> CountedVote {
    let person = PersonId(Digest::of(&[person]));
    CountedVote {
        person,
        by: person,
        role: role(name),
        action: Digest::of(b"action"),
        evidence: HumanEvidence::Operator,
    }
}

fn floors() -> Floors {
    Floors {
        break_glass_roles: Vec::new(),
        break_glass_justification_min: 50,
        least_verdict: Verdict::Allow,
        default_approvers: vec![role("TECH_LEAD")],
        least_roles: vec![],
        required_approvals: 1,
        rejections_max: 16,
        required_evidence: HumanEvidence::Operator,
        timeout: DurationMs::from_secs(1_800),
        timeout_max: DurationMs::from_secs(3_600),
        escalate: true,
    }
}

fn advice(roles: &[&str], required: u32, timeout: u64) -> Evaluation {
    Evaluation {
        verdict: Verdict::RequireHuman,
        approvers: Approvers::Some { roles: roles.iter().map(|name| role(name)).collect(), required },
        rejections: 1,
        required_evidence: None,
        timeout: Some(DurationMs::from_secs(timeout)),
        escalation: vec![Escalation { roles: vec![role("PLATFORM_ADMIN")], timeout: None }],
        standing_rules: Vec::new(),
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

fn groups(of: &[(&[&str], u32)]) -> Rule {
    let mut rule = Rule::one_group(vec![role("A")], 1, HumanEvidence::Operator);
    let group = |(roles, required): &(&[&str], u32)| Group {
        roles: roles.iter().map(|name| role(name)).collect(),
        required: *required,
    };
    rule.stages = vec![Stage { groups: of.iter().map(group).collect() }];
    rule
}

#[test]
fn a_vote_moves_to_another_group_when_that_makes_room() {
    let rule = groups(&[(&["RISK", "CFO"], 1), (&["CFO", "LEAD"], 1)]);
    let in_turn = [vote(1, "CFO"), vote(2, "RISK")];
    assert_eq!(rule.tally(in_turn.iter()), Tally::Satisfied);
    assert_eq!(rule.tally(in_turn.iter().rev()), Tally::Satisfied);
    assert_eq!(rule.tally([vote(1, "RISK"), vote(2, "RISK")].iter()), Tally::Open { stage: 0 });
}

#[test]
fn votes_are_moved_along_a_whole_row_of_groups() {
    let rule = groups(&[(&["A", "B"], 1), (&["B", "C"], 1), (&["C", "D"], 1)]);
    let last_moves_both = [vote(1, "B"), vote(2, "C"), vote(3, "A")];
    assert_eq!(rule.tally(last_moves_both.iter()), Tally::Satisfied);
    assert_eq!(rule.tally(last_moves_both.iter().rev()), Tally::Satisfied);
    let nobody_for_the_last = [vote(1, "A"), vote(2, "B"), vote(3, "B")];
    assert_eq!(rule.tally(nobody_for_the_last.iter()), Tally::Open { stage: 0 });
}

#[test]
fn one_person_never_fills_two_seats() {
    let rule = groups(&[(&["A"], 1), (&["B"], 1)]);
    assert_eq!(rule.tally([vote(1, "A"), vote(1, "B")].iter()), Tally::Open { stage: 0 });
    let mut for_another = vote(2, "B");
    for_another.by = PersonId(Digest::of(&[1]));
    assert_eq!(rule.tally([vote(1, "A"), for_another].iter()), Tally::Open { stage: 0 });
}

#[test]
fn a_rule_that_asks_nobody_is_never_satisfied() {
    let mut rule = groups(&[]);
    assert_eq!(rule.tally([vote(1, "A")].iter()), Tally::Open { stage: 0 });
    rule.stages.clear();
    assert_eq!(rule.tally([vote(1, "A")].iter()), Tally::Open { stage: 0 });
}

#[test]
fn no_escalation_leads_around_a_floor_role() {
    let strict = Floors { least_roles: vec![role("RISK"), role("PLATFORM_ADMIN")], ..floors() };
    let mut evaluation = advice(&["RISK"], 1, 60);
    let step =
        |roles: &[&str]| Escalation { roles: roles.iter().map(|name| role(name)).collect(), timeout: None };
    evaluation.escalation = vec![step(&["INTERN", "PLATFORM_ADMIN"])];
    let plan = strict.plan(Some(&evaluation)).unwrap();
    assert_eq!(plan.escalation.len(), 1);
    assert_eq!(plan.escalation[0].roles, vec![role("PLATFORM_ADMIN")]);
    evaluation.escalation = vec![step(&["INTERN"])];
    assert!(strict.plan(Some(&evaluation)).unwrap().escalation.is_empty());
    evaluation.escalation = vec![step(&["INTERN"]), step(&["RISK"])];
    assert_eq!(strict.plan(Some(&evaluation)).unwrap().escalation[0].roles, vec![role("RISK")]);
}

#[test]
fn an_escalation_has_as_many_steps_as_policy_gives_and_none_is_longer_than_the_floor() {
    let mut evaluation = advice(&["LEAD"], 1, 60);
    let step = |name, timeout: Option<u64>| Escalation {
        roles: vec![role(name)],
        timeout: timeout.map(DurationMs::from_secs),
    };
    evaluation.escalation = vec![step("A", None), step("B", Some(5)), step("C", Some(999_999))];
    let plan = floors().plan(Some(&evaluation)).unwrap();
    let seconds: Vec<u64> = plan.escalation.iter().map(|step| step.duration.get() / 1_000).collect();
    assert_eq!(seconds, [60, 5, 3_600]);
    assert!(Floors { escalate: false, ..floors() }.plan(Some(&evaluation)).unwrap().escalation.is_empty());
}

fn staged(stages: &[&[(&[&str], u32)]]) -> Evaluation {
    let stages = stages.iter().flat_map(|stage| groups(stage).stages).collect();
    Evaluation { approvers: Approvers::Stages(stages), ..advice(&[], 1, 60) }
}

fn seats(floors: &Floors, stages: &[&[(&[&str], u32)]]) -> Vec<Vec<(Vec<Role>, u32)>> {
    let plan = floors.plan(Some(&staged(stages))).unwrap();
    let stages = plan.rule.stages.into_iter();
    stages
        .map(|stage| stage.groups.into_iter().map(|group| (group.roles, group.required)).collect())
        .collect()
}

#[test]
fn stages_of_a_policy_are_asked_as_they_are_where_they_meet_the_floors() {
    let asked: &[&[(&[&str], u32)]] = &[&[(&["LEAD"], 1), (&["RISK", "CFO"], 2)], &[(&["OWNER"], 1)]];
    let named = |names: &[&str]| names.iter().map(|name| role(name)).collect::<Vec<_>>();
    let expected =
        vec![vec![(named(&["LEAD"]), 1), (named(&["RISK", "CFO"]), 2)], vec![(named(&["OWNER"]), 1)]];
    assert_eq!(seats(&floors(), asked), expected);
    let met = Floors { required_approvals: 4, least_roles: named(&["OWNER"]), ..floors() };
    assert_eq!(seats(&met, asked), expected);
}

#[test]
fn stages_of_a_policy_that_are_short_of_the_floors_are_tightened() {
    let asked: &[&[(&[&str], u32)]] = &[&[(&["LEAD"], 1)], &[(&["OWNER"], 1)]];
    let named = |name| vec![role(name)];
    let more = Floors { required_approvals: 4, ..floors() };
    assert_eq!(seats(&more, asked), [vec![(named("LEAD"), 3)], vec![(named("OWNER"), 1)]]);
    let floor = Floors { required_approvals: 4, least_roles: named("RISK"), ..floors() };
    assert_eq!(
        seats(&floor, asked),
        [vec![(named("RISK"), 1), (named("LEAD"), 2)], vec![(named("OWNER"), 1)]]
    );
}

#[test]
fn votes_after_an_escalation_meet_the_plan_as_escalated_and_no_further() {
    let mut plan = floors().plan(Some(&advice(&["LEAD"], 1, 60))).unwrap();
    plan.escalation.push(EscalationStep { roles: vec![role("OWNER")], duration: DurationMs::from_secs(1) });
    let met = |name, escalated| plan.is_met_by(&[vote(1, name)], 0, escalated);
    assert!(met("LEAD", 0) && met("LEAD", 2));
    assert!(!met("PLATFORM_ADMIN", 0) && met("PLATFORM_ADMIN", 1));
    assert!(!met("OWNER", 1) && met("OWNER", 2));
}

#[test]
fn policy_says_how_many_rejections_refuse_and_a_floor_can_only_make_them_fewer() {
    let rejections = |max, wanted| {
        let floors = Floors { rejections_max: max, ..floors() };
        floors
            .plan(Some(&Evaluation { rejections: wanted, ..advice(&["LEAD"], 1, 60) }))
            .unwrap()
            .rule
            .rejections
    };
    assert_eq!((rejections(16, 1), rejections(16, 3), rejections(2, 3), rejections(1, 16)), (1, 3, 2, 1));
    assert_eq!(floors().plan(None).unwrap().rule.rejections, 1);
}

#[test]
fn votes_beside_as_many_rejections_as_refuse_meet_no_plan() {
    let mut plan = floors().plan(Some(&advice(&["LEAD"], 1, 60))).unwrap();
    assert!(!plan.is_met_by(&[vote(1, "LEAD")], 1, 0));
    plan.rule.rejections = 2;
    assert!(plan.is_met_by(&[vote(1, "LEAD")], 1, 0));
    assert!(!plan.is_met_by(&[vote(1, "LEAD")], 2, 0));
}

#[test]
fn policy_asks_for_stronger_evidence_than_the_workflow_and_never_gets_weaker() {
    let sealed = |floor, wanted| {
        let floors = Floors { required_evidence: floor, ..floors() };
        let evaluation = Evaluation { required_evidence: wanted, ..advice(&["LEAD"], 1, 60) };
        floors.plan(Some(&evaluation)).unwrap().rule.required_evidence
    };
    for &floor in HumanEvidence::ALL {
        assert_eq!(sealed(floor, None), floor);
        for &wanted in HumanEvidence::ALL {
            assert_eq!(sealed(floor, Some(wanted)), floor.max(wanted));
        }
    }
    assert_eq!(floors().plan(None).unwrap().rule.required_evidence, HumanEvidence::Operator);
}

#[test]
fn votes_with_weaker_evidence_than_a_plan_takes_do_not_meet_it() {
    let mut plan = floors().plan(Some(&advice(&["LEAD"], 2, 60))).unwrap();
    let by = |person, evidence| CountedVote { evidence, ..vote(person, "LEAD") };
    let (weak, strong) = (HumanEvidence::Operator, HumanEvidence::Webauthn);
    assert!(plan.is_met_by(&[by(1, weak), by(2, strong)], 0, 0));
    plan.rule.required_evidence = strong;
    assert!(!plan.is_met_by(&[by(1, weak), by(2, strong)], 0, 0));
    assert!(plan.is_met_by(&[by(1, weak), by(2, strong), by(3, strong)], 0, 0));
}

/// Seats every subset the slow way: tries all ways to put votes on seats.
fn seats_somehow(groups: &[Group], votes: &[CountedVote]) -> bool {
    let Some((vote, rest)) = votes.split_first() else {
        return groups.iter().all(|group| group.required == 0);
    };
    seats_somehow(groups, rest)
        || (0..groups.len()).any(|index| {
            let mut left = groups.to_vec();
            let fits = left[index].required > 0 && left[index].roles.contains(&vote.role);
            left[index].required = left[index].required.saturating_sub(1);
            fits && seats_somehow(&left, rest)
        })
}

proptest::proptest! {
    #[test]
    fn seating_finds_a_way_whenever_there_is_one(
        sizes in proptest::collection::vec((proptest::collection::btree_set(0usize..4, 1..4), 1u32..3), 1..4),
        cast in proptest::collection::vec(0usize..4, 0..7),
    ) {
        const NAMES: [&str; 4] = ["A", "B", "C", "D"];
        let groups: Vec<Group> = sizes
            .iter()
            .map(|(roles, required)| Group {
                roles: roles.iter().map(|index| role(NAMES[*index])).collect(),
                required: *required,
            })
            .collect();
        let votes: Vec<CountedVote> =
            cast.iter().enumerate().map(|(who, index)| vote(u8::try_from(who).unwrap(), NAMES[*index])).collect();
        let mut rule = Rule::one_group(vec![], 1, HumanEvidence::Operator);
        rule.stages = vec![Stage { groups: groups.clone() }];
        let satisfied = rule.tally(votes.iter()) == Tally::Satisfied;
        proptest::prop_assert_eq!(satisfied, seats_somehow(&groups, &votes));
    }
}

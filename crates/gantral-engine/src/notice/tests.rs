#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by panicking")]

use super::*;

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

#[test]
fn reminders_come_at_half_and_at_nine_tenths_and_never_with_the_deadline() {
    let check = |since, deadline, expected: &[(u8, u64)]| {
        let found: Vec<_> =
            reminders(at(since), at(deadline)).map(|(percent, at)| (percent, at.get())).collect();
        assert_eq!(found, expected, "{since} to {deadline}");
    };
    check(1_000, 2_000, &[(50, 1_500), (90, 1_900)]);
    check(1_000, 1_002, &[(50, 1_001), (90, 1_001)]);
    check(1_000, 1_001, &[]);
    check(1_000, 1_000, &[]);
    check(1_000, 500, &[]);
    let last = 253_402_300_799_999;
    check(0, last, &[(50, last / 2), (90, 228_062_070_719_999)]);
}

#[test]
fn what_an_extension_has_overtaken_is_not_reminded_of() {
    assert_eq!(next_reminder(at(0), at(1_000), at(0)), Some(at(500)));
    assert_eq!(next_reminder(at(0), at(1_000), at(500)), Some(at(900)));
    assert_eq!(next_reminder(at(0), at(1_000), at(900)), None);
    let due = |first, now| due_percents(at(0), at(1_000), at(first), at(now)).collect::<Vec<_>>();
    assert_eq!(
        (due(500, 500), due(500, 899), due(500, 900), due(900, 950)),
        (vec![50], vec![50], vec![50, 90], vec![90])
    );
}

#[test]
fn a_recipient_is_told_what_all_its_filters_let_pass() {
    let tenant = |text| TenantId::parse(text).unwrap();
    let (team, workflow) = (TeamId::parse("payments").unwrap(), WorkflowId::parse("refund").unwrap());
    let all = Recipient {
        name: Name::parse("all").unwrap(),
        tenant: tenant("acme"),
        roles: Vec::new(),
        teams: Vec::new(),
        workflows: Vec::new(),
        kinds: Vec::new(),
    };
    let other_team = Recipient { teams: vec![TeamId::parse("claims").unwrap()], ..all.clone() };
    let only = Recipient {
        teams: vec![team.clone()],
        workflows: vec![workflow.clone()],
        kinds: vec![NoticeKind::Opened],
        ..all.clone()
    };
    let told = |recipient: &Recipient, name, kind| {
        !Recipients(vec![recipient.clone()]).of(&tenant(name), &team, &workflow, kind).is_empty()
    };
    for kind in NoticeKind::ALL {
        assert_eq!(NoticeKind::parse(kind.as_str()), Some(kind));
        assert_eq!(kind.name().unwrap().as_str(), kind.as_str());
        assert!(told(&all, "acme", kind));
        assert!(!told(&all, "other", kind), "another tenant is told of {kind:?}");
        assert!(!told(&other_team, "acme", kind));
        assert_eq!(told(&only, "acme", kind), kind == NoticeKind::Opened);
    }
}

#[test]
fn a_proposal_is_told_to_those_within_its_scope_and_to_roles_only_where_they_ask_for_it() {
    let (team, workflow) = (TeamId::parse("payments").unwrap(), WorkflowId::parse("refund").unwrap());
    let (other_team, other_workflow) =
        (TeamId::parse("claims").unwrap(), WorkflowId::parse("claim").unwrap());
    let all = Recipient {
        name: Name::parse("all").unwrap(),
        tenant: TenantId::parse("acme").unwrap(),
        roles: Vec::new(),
        teams: Vec::new(),
        workflows: Vec::new(),
        kinds: Vec::new(),
    };
    let scopes = [
        Scope::Tenant,
        Scope::Team(team.clone()),
        Scope::Team(other_team),
        Scope::Workflow(workflow.clone()),
        Scope::Workflow(other_workflow),
    ];
    let check = |recipient: Recipient, expected: [bool; 5]| {
        let told = scopes.each_ref().map(|scope| {
            let owner = matches!(scope, Scope::Workflow(of) if *of == workflow).then_some(&team);
            !Recipients(vec![recipient.clone()]).of_proposal(&all.tenant, scope, owner).is_empty()
        });
        assert_eq!(told, expected, "{recipient:?}");
    };
    let (every, none) = ([true; 5], [false; 5]);
    check(all.clone(), every);
    check(Recipient { tenant: TenantId::parse("other").unwrap(), ..all.clone() }, none);
    check(Recipient { teams: vec![team.clone()], ..all.clone() }, [true, true, false, true, false]);
    check(Recipient { workflows: vec![workflow.clone()], ..all.clone() }, [true, false, false, true, false]);
    check(Recipient { kinds: vec![NoticeKind::Opened], ..all.clone() }, none);
    let roles = vec![Role::parse("FINANCE_LEAD").unwrap()];
    check(Recipient { roles: roles.clone(), ..all.clone() }, none);
    check(Recipient { roles, kinds: vec![NoticeKind::Opened, NoticeKind::Proposed], ..all.clone() }, every);
}

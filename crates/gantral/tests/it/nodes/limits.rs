//! What may not be exceeded is not, however many come to however many servers at once.

use super::crowd::Crowd;
use super::fleet::Fleet;
use crate::support::wait_until;

/// Allows as long as the team stays within 100 a day, what is reserved included.
const BUDGET: &str = r#"package gantral.policy
default decision := "DENY"
decision := "ALLOW" if {
	day := input.totals.team.day
	day.spent + day.reserved + input.execution.cost_estimate <= 100
}
"#;

#[test]
fn budget_and_number_of_instances_hold_exactly_on_two_servers() {
    let mut fleet = Fleet::new(2);
    for number in [0, 1] {
        fleet.configure(number, "[limits]\nopen_instances = 60\n");
        fleet.start_node(number);
    }
    [0, 1].into_iter().for_each(|number| fleet.ready(number));
    std::fs::create_dir(fleet.path("budget")).unwrap();
    std::fs::write(fleet.path("budget/policy.rego"), BUDGET).unwrap();
    let definition =
        "policy = 'budget'\nid = 'refund'\nversion = '1'\nteam = 'payments'\nmateriality = 'MEDIUM'
        domain = 'finance'\ntotals = true\n[actions.refund.parameters]\namount = { type = 'integer' }\n
        [floors]\ndefault_approvers = ['RISK_OFFICER']\nrequired_evidence = 'development'\n";
    std::fs::write(fleet.path("workflow.toml"), definition).unwrap();
    fleet.run(0, "dora", &["workflows", "apply", "workflow.toml"]).status(0);

    let mut crowd = Crowd::new(&fleet);
    let answers = crowd.spend_at_once(40, 10);
    let allowed = answers.iter().filter(|answer| *answer == "ALLOW").count();
    assert_eq!(allowed, 10, "ten times ten is a hundred: {answers:?}");
    assert!(answers.iter().all(|answer| answer == "ALLOW" || answer == "DENY"), "{answers:?}");

    // Those that were denied have ended; ten are open.
    let begun = crowd.create_at_once(90);
    let made = begun.iter().filter(|made| *made == "made").count();
    assert_eq!(made, 50, "{begun:?}");
    assert!(begun.iter().all(|made| made == "made" || made == "instances_full"), "{begun:?}");
    let line = "gantral_tenant_open_instances{tenant=\"acme\"} 60";
    for number in [0, 1] {
        let shown = wait_until(|| crowd.metrics(number).lines().any(|found| found == line));
        assert!(shown, "{}", crowd.metrics(number));
    }
}

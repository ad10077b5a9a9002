package gantral.policy_test

import data.gantral.policy

asked(name) := {"action": {"parameters": {
	"subject": {"type": "agent", "id": "a"},
	"action": {"name": name},
	"resource": {"type": "todo", "id": "1"},
}}}

test_reading_passes if policy.decision == "ALLOW" with input as asked("can_read_todos")

test_the_rest_waits_for_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as asked("can_update_todo")
	"agent a wants can_update_todo of todo 1" in policy.reasons with input as asked("can_update_todo")
}

test_erasing_is_denied if policy.decision == "DENY" with input as asked("can_erase_todo")

test_what_is_not_understood_needs_a_human if policy.decision == "REQUIRE_HUMAN" with input as {}

test_a_standing_rule_lets_pass_what_a_human_would_be_asked if {
	waits := asked("can_update_todo")
	policy.decision == "ALLOW" with input as waits with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == {"r-1"} with input as waits with data.gantral.standing.applies as {"r-1"}
}

test_erasing_is_denied_whatever_rules_stand if {
	never := asked("can_erase_todo")
	policy.decision == "DENY" with input as never with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == set() with input as never with data.gantral.standing.applies as {"r-1"}
}

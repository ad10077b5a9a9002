package gantral.policy_test

import data.gantral.policy

call(server, tool) := {"action": {
	"name": "mcp.call",
	"target": concat("/", [server, tool]),
	"parameters": {"server": server, "tool": tool, "arguments": {}},
}}

test_a_tool_that_looks_passes if policy.decision == "ALLOW" with input as call("memory", "read_graph")

test_a_tool_that_changes_something_needs_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as call("memory", "create_entities")
	"create_entities of memory may change something" in policy.reasons with input as call("memory", "create_entities")
}

test_a_tool_that_is_forbidden_is_denied if policy.decision == "DENY" with input as call("memory", "delete_entities")

test_a_tool_of_another_server_is_not_taken_for_it if policy.decision == "REQUIRE_HUMAN" with input as call("other", "read_graph")

test_what_is_not_understood_needs_a_human if policy.decision == "REQUIRE_HUMAN" with input as {}

test_a_standing_rule_lets_pass_what_a_human_would_be_asked if {
	waits := call("memory", "create_entities")
	policy.decision == "ALLOW" with input as waits with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == {"r-1"} with input as waits with data.gantral.standing.applies as {"r-1"}
}

test_what_is_never_done_is_denied_whatever_rules_stand if {
	never := call("memory", "delete_entities")
	policy.decision == "DENY" with input as never with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == set() with input as never with data.gantral.standing.applies as {"r-1"}
}

package gantral.policy_test

import data.gantral.policy

asked(executable, arguments) := {"action": {"parameters": {"executable": executable, "arguments": arguments}}}

test_looking_passes if {
	policy.decision == "ALLOW" with input as asked("/usr/bin/ls", ["-l"])
	policy.decision == "ALLOW" with input as asked("/bin/git", ["status"])
}

test_the_rest_waits_for_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as asked("/usr/bin/terraform", ["apply"])
	policy.decision == "REQUIRE_HUMAN" with input as asked("/usr/bin/git", ["push"])
	policy.decision == "REQUIRE_HUMAN" with input as asked("/usr/bin/git", [])
}

test_a_program_of_the_same_name_elsewhere_is_another_one if {
	policy.decision == "REQUIRE_HUMAN" with input as asked("/tmp/ls", [])
	policy.decision == "REQUIRE_HUMAN" with input as asked("/usr/bin/../../tmp/ls", [])
}

test_some_never_run if policy.decision == "DENY" with input as asked("/usr/bin/dd", ["if=/dev/zero"])

test_a_standing_rule_lets_pass_what_a_human_would_be_asked if {
	waits := asked("/usr/bin/git", ["push"])
	policy.decision == "ALLOW" with input as waits with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == {"r-1"} with input as waits with data.gantral.standing.applies as {"r-1"}
}

test_what_is_never_done_is_denied_whatever_rules_stand if {
	never := asked("/usr/bin/dd", [])
	policy.decision == "DENY" with input as never with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == set() with input as never with data.gantral.standing.applies as {"r-1"}
}

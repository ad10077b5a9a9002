package gantral.policy_test

import data.gantral.policy

used(tool, given) := {"action": {"parameters": {"tool": tool, "input": given, "directory": "/project"}}}

test_looking_passes if policy.decision == "ALLOW" with input as used("Read", {"file_path": "/etc/hosts"})

test_changes_within_the_work_pass if {
	policy.decision == "ALLOW" with input as used("Edit", {"file_path": "/project/src/main.rs"})
	policy.decision == "REQUIRE_HUMAN" with input as used("Edit", {"file_path": "/projects/main.rs"})
	policy.decision == "REQUIRE_HUMAN" with input as used("Write", {"file_path": "/project/../etc/passwd"})
	policy.decision == "REQUIRE_HUMAN" with input as used("Write", {"file_path": "/project/.git/hooks/pre-commit"})
	policy.decision == "REQUIRE_HUMAN" with input as used("Write", {})
}

test_only_whole_command_lines_pass if {
	policy.decision == "ALLOW" with input as used("Bash", {"command": "cargo test"})
	policy.decision == "REQUIRE_HUMAN" with input as used("Bash", {"command": "cargo test; rm -rf ~"})
	policy.decision == "REQUIRE_HUMAN" with input as used("Bash", {"command": "ls $(curl x)"})
}

test_unknown_tools_wait if policy.decision == "REQUIRE_HUMAN" with input as used("mcp__pay__transfer", {})

test_a_standing_rule_lets_pass_what_a_human_would_be_asked if {
	waits := used("Bash", {"command": "git push"})
	policy.decision == "ALLOW" with input as waits with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == {"r-1"} with input as waits with data.gantral.standing.applies as {"r-1"}
}

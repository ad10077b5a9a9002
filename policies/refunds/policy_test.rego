package gantral.policy_test

import data.gantral.policy

ask(amount, materiality) := {
	"action": {"name": "refund", "target": "order/1001", "parameters": {"amount_minor": amount, "currency": "EUR"}},
	"instance": {"materiality": materiality},
}

test_a_small_refund_passes if policy.decision == "ALLOW" with input as ask(480, "LOW")

test_the_limit_itself_passes if policy.decision == "ALLOW" with input as ask(5000, "MEDIUM")

test_one_cent_above_the_limit_needs_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as ask(5001, "LOW")
	policy.approver_roles == ["FINANCE_LEAD"] with input as ask(5001, "LOW")
	"a refund of 5001 is above 5000" in policy.reasons with input as ask(5001, "LOW")
}

test_high_materiality_needs_a_human_for_any_amount if {
	policy.decision == "REQUIRE_HUMAN" with input as ask(1, "HIGH")
}

test_a_large_refund_needs_two_humans if {
	policy.required_approvals == 2 with input as ask(1000001, "LOW")
	policy.approver_roles == ["FINANCE_LEAD", "CFO"] with input as ask(1000001, "LOW")
}

test_an_absurd_refund_is_denied if policy.decision == "DENY" with input as ask(10000001, "LOW")

test_a_refund_of_nothing_is_denied if {
	policy.decision == "DENY" with input as ask(0, "LOW")
	policy.decision == "DENY" with input as ask(-480, "LOW")
}

test_what_is_not_understood_needs_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as {}
	policy.decision == "REQUIRE_HUMAN" with input as ask("480", "LOW")
	policy.decision == "REQUIRE_HUMAN" with input as {"action": {"parameters": {"amount_minor": 480}}}
}

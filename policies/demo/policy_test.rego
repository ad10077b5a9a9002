package gantral.policy_test

import data.gantral.policy

refund(amount) := {"action": {"name": "refund", "target": "order/1001", "parameters": {"amount": amount}}}

test_a_small_refund_passes if policy.decision == "ALLOW" with input as refund(100)

test_a_larger_refund_needs_a_risk_officer if {
	policy.decision == "REQUIRE_HUMAN" with input as refund(4800)
	policy.approver_roles == ["RISK_OFFICER"] with input as refund(4800)
	"a refund of 4800 is above 100" in policy.reasons with input as refund(4800)
}

test_an_absurd_refund_is_denied if policy.decision == "DENY" with input as refund(100001)

test_a_refund_of_nothing_is_denied if policy.decision == "DENY" with input as refund(0)

test_what_is_not_understood_needs_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as {}
	policy.decision == "REQUIRE_HUMAN" with input as refund("4800")
}

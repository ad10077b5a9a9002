package gantral.policy_test

import data.gantral.policy

request(method, path, body) := {"action": {
	"name": "http.request",
	"target": concat("", [method, " shop", path]),
	"parameters": {"method": method, "path": path, "body": body},
}}

refund(amount) := request("POST", "/orders/7/refunds", {"amount_minor": amount})

test_looking_passes if {
	policy.decision == "ALLOW" with input as request("GET", "/orders/7", {})
	policy.decision == "ALLOW" with input as request("HEAD", "/", {})
}

test_changing_needs_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as request("DELETE", "/orders/7", {})
	"DELETE /orders/7 may change something" in policy.reasons with input as request("DELETE", "/orders/7", {})
}

test_a_small_refund_passes if policy.decision == "ALLOW" with input as refund(5000)

test_any_other_refund_needs_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as refund(5001)
	policy.decision == "REQUIRE_HUMAN" with input as refund(-1)
	policy.decision == "REQUIRE_HUMAN" with input as refund("1")
	policy.decision == "REQUIRE_HUMAN" with input as request("POST", "/orders/7/refunds/all", {"amount_minor": 1})
	policy.decision == "REQUIRE_HUMAN" with input as {"action": {"parameters": {"method": "POST", "path": "/orders/7/refunds", "body_bytes": 9}}}
}

test_what_is_internal_is_denied_however_it_is_called if {
	policy.decision == "DENY" with input as request("GET", "/internal", {})
	policy.decision == "DENY" with input as request("GET", "/internal/users", {})
	policy.decision == "ALLOW" with input as request("GET", "/internals", {})
}

test_what_is_not_understood_needs_a_human if policy.decision == "REQUIRE_HUMAN" with input as {}

test_a_standing_rule_lets_pass_what_a_human_would_be_asked if {
	waits := request("DELETE", "/orders/7", {})
	policy.decision == "ALLOW" with input as waits with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == {"r-1"} with input as waits with data.gantral.standing.applies as {"r-1"}
}

test_what_is_never_done_is_denied_whatever_rules_stand if {
	never := request("GET", "/internal/users", {})
	policy.decision == "DENY" with input as never with data.gantral.standing.applies as {"r-1"}
	policy.standing_rules == set() with input as never with data.gantral.standing.applies as {"r-1"}
}

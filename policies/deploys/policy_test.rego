package gantral.policy_test

import data.gantral.policy

ask(environment, trigger) := {
	"action": {"name": "deploy", "target": "shop", "parameters": {"environment": environment}},
	"context": {"trigger": trigger},
	"instance": {"materiality": "MEDIUM"},
}

quiet_day := time.parse_rfc3339_ns("2026-11-20T12:00:00Z")

christmas := time.parse_rfc3339_ns("2026-12-24T18:00:00Z")

test_staging_passes_on_any_day if {
	policy.decision == "ALLOW" with input as ask("staging", "PR") with time.now_ns as christmas
}

test_production_needs_a_release_manager if {
	policy.decision == "REQUIRE_HUMAN" with input as ask("production", "PR") with time.now_ns as quiet_day
	policy.approver_roles == ["RELEASE_MANAGER"] with input as ask("production", "PR") with time.now_ns as quiet_day
}

test_a_freeze_denies_production if {
	policy.decision == "DENY" with input as ask("production", "PR") with time.now_ns as christmas
	policy.reasons["production is frozen: year end"] with input as ask("production", "PR")
		with time.now_ns as christmas
}

test_an_incident_may_ask_during_a_freeze if {
	policy.decision == "REQUIRE_HUMAN" with input as ask("production", "INCIDENT") with time.now_ns as christmas
	policy.timeout == "30m" with input as ask("production", "INCIDENT") with time.now_ns as christmas
}

test_an_incident_in_production_takes_a_passkey_and_nothing_else_does if {
	policy.required_evidence == "webauthn" with input as ask("production", "INCIDENT") with time.now_ns as christmas
	not policy.required_evidence with input as ask("production", "PR") with time.now_ns as quiet_day
	not policy.required_evidence with input as ask("prod-eu", "INCIDENT") with time.now_ns as quiet_day
}

test_an_environment_that_nobody_knows_needs_a_human if {
	policy.decision == "REQUIRE_HUMAN" with input as ask("prod-eu", "PR") with time.now_ns as quiet_day
}

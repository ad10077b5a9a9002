# Deployments: staging passes, production is asked of a human, a freeze window denies.
#
# `data.freezes` (in data.json) lists windows in which production stays as it is, as nanoseconds since 1970; the instant
# is the one frozen in the input, so that the same input always gives the same answer.
package gantral.policy

environment := input.action.parameters.environment

frozen contains freeze.name if {
	some freeze in data.freezes
	time.now_ns() >= time.parse_rfc3339_ns(freeze.from)
	time.now_ns() < time.parse_rfc3339_ns(freeze.until)
}

emergency if input.context.trigger == "INCIDENT"

unattended if environment in {"development", "staging"}

default decision := "REQUIRE_HUMAN"

decision := "DENY" if {
	environment == "production"
	count(frozen) > 0
	not emergency
} else := "ALLOW" if {
	unattended
	input.instance.materiality != "HIGH"
}

approver_roles := ["RELEASE_MANAGER", "SRE_LEAD"] if {
	emergency
} else := ["RELEASE_MANAGER"]

# Whoever lets an incident past everything else signs that with a passkey of their own.
required_evidence := "webauthn" if {
	environment == "production"
	emergency
}

timeout := "30m" if {
	emergency
} else := "24h"

escalation_roles := ["PLATFORM_ADMIN"]

reasons contains sprintf("production is frozen: %s", [name]) if some name in frozen

reasons contains "an incident may deploy during a freeze, with a human" if {
	emergency
	count(frozen) > 0
}

reasons contains "only development and staging are deployed without a human" if not unattended

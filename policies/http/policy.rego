# Requests through `gantral proxy`: methods that only look pass, small refunds too, some paths are never called, a human decides on the rest.
package gantral.policy

parameters := input.action.parameters

method := parameters.method

path := parameters.path

# By RFC 9110 these change nothing. A service that keeps to it no less: one that changes something on GET needs a rule of its own.
looks if method in {"GET", "HEAD", "OPTIONS"}

# Up to 50.00, in whole minor units. A body that is no JSON has no amount here, and waits.
small_refund if {
	method == "POST"
	glob.match("/orders/*/refunds", ["/"], path)
	is_number(parameters.body.amount_minor)
	parameters.body.amount_minor > 0
	parameters.body.amount_minor <= 5000
}

forbidden if path == "/internal"

forbidden if startswith(path, "/internal/")

# Requests that humans proposed to let pass without asking, as far as nothing above says otherwise.
standing_rules contains rule if {
	some rule in data.gantral.standing.applies
	not forbidden
	not looks
	not small_refund
}

default decision := "REQUIRE_HUMAN"

decision := "DENY" if {
	forbidden
} else := "ALLOW" if {
	looks
} else := "ALLOW" if {
	small_refund
} else := "ALLOW" if {
	count(standing_rules) > 0
}

approver_roles := ["RISK_OFFICER"]

timeout := "30m"

reasons contains sprintf("%s is not for agents", [path]) if forbidden

reasons contains sprintf("%s %s may change something", [method, path]) if {
	not looks
	not small_refund
	not forbidden
}

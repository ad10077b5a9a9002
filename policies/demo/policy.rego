# The refunds of `gantral demo`: up to 100 pass, absurd ones never do, a risk officer looks at the rest.
package gantral.policy

allow_max := 100

deny_above := 100000

amount := input.action.parameters.amount if is_number(input.action.parameters.amount)

default decision := "REQUIRE_HUMAN"

decision := "DENY" if {
	amount > deny_above
} else := "DENY" if {
	amount <= 0
} else := "ALLOW" if {
	amount <= allow_max
}

approver_roles := ["RISK_OFFICER"]

timeout := "30m"

reasons contains sprintf("a refund of %d is above %d", [amount, allow_max]) if amount > allow_max

reasons contains "the amount is missing or not a number" if not amount

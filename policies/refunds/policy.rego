# Refunds: small ones pass, absurd ones never do, everything else is asked of a human.
#
# Amounts are whole minor units (cents) in `input.action.parameters.amount_minor`: numbers with fractions are not exact
# in Rego engines. What this policy does not know, a human decides.
package gantral.policy

# The largest refund that needs nobody, and the largest that anybody may grant.
allow_max := 5000

deny_above := 10000000

amount := input.action.parameters.amount_minor if is_number(input.action.parameters.amount_minor)

same_currency if input.action.parameters.currency in {"EUR", "USD", "GBP"}

default decision := "REQUIRE_HUMAN"

decision := "DENY" if {
	amount > deny_above
} else := "DENY" if {
	amount <= 0
} else := "ALLOW" if {
	amount <= allow_max
	same_currency
	input.instance.materiality != "HIGH"
}

approver_roles := ["FINANCE_LEAD", "CFO"] if {
	amount > 1000000
} else := ["FINANCE_LEAD"]

# Two humans look at what is worth more than a few months' wages.
required_approvals := 2 if {
	amount > 1000000
} else := 1

timeout := "4h"

escalation_roles := ["CFO"]

reasons contains sprintf("a refund of %d is above %d", [amount, allow_max]) if amount > allow_max

reasons contains sprintf("a refund of %d is beyond what anybody may grant", [amount]) if amount > deny_above

reasons contains "the amount is not positive" if amount <= 0

reasons contains "the amount is missing or not a number" if not amount

reasons contains "the currency is not one that is refunded without a human" if not same_currency

reasons contains "the workflow has HIGH materiality" if input.instance.materiality == "HIGH"

package gantral.policy

default decision = "ALLOW"

decision = "REQUIRE_HUMAN" {
  input.instance.materiality == "HIGH"
}

decision = "DENY" {
  input.execution.cost_estimate > 100000
  not input.context.attributes.override_allowed
}

approver_roles = ["TECH_LEAD"] {
  input.instance.materiality == "MEDIUM"
}

approver_roles = ["RISK_OFFICER"] {
  input.instance.materiality == "HIGH"
}

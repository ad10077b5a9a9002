# Commands of `gantral run`: those that only look pass, some never do, a human decides on the rest.
package gantral.policy

parameters := input.action.parameters

# The file alone: `/tmp/ls` is not `ls`.
program := trim_prefix(parameters.executable, "/usr") if startswith(parameters.executable, "/usr/bin/")

program := parameters.executable if startswith(parameters.executable, "/bin/")

looks_always := {"/bin/ls", "/bin/pwd", "/bin/uname", "/bin/date", "/bin/df", "/bin/true", "/bin/echo"}

looks_with := {
	"/bin/git": {"status"},
	"/bin/kubectl": {"get", "describe"},
	"/bin/terraform": {"validate", "version"},
}

never := {"/bin/dd", "/bin/mkfs", "/bin/shutdown", "/bin/reboot"}

looks if program in looks_always

looks if parameters.arguments[0] in looks_with[program]

forbidden if program in never

# Calls that humans proposed to let pass without asking, as far as nothing above says otherwise.
standing_rules contains rule if {
	some rule in data.gantral.standing.applies
	not forbidden
	not looks
}

default decision := "REQUIRE_HUMAN"

decision := "DENY" if {
	forbidden
} else := "ALLOW" if {
	looks
} else := "ALLOW" if {
	count(standing_rules) > 0
}

approver_roles := ["TECH_LEAD", "RISK_OFFICER"]

timeout := "30m"

reasons contains sprintf("%s is never run by an agent", [program]) if forbidden

reasons contains sprintf("%s may change something", [parameters.executable]) if {
	not looks
	not forbidden
}

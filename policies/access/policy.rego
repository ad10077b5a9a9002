# What services ask by AuthZEN: reading passes, erasing never does, a human decides on the rest.
#
# Who the subject is, the service says: it is believed as far as the service is.
package gantral.policy

parameters := input.action.parameters

name := parameters.action.name

reads if startswith(name, "can_read")

erases if startswith(name, "can_erase")

# What humans proposed to let pass without asking, as far as nothing above says otherwise.
standing_rules contains rule if {
	some rule in data.gantral.standing.applies
	not erases
	not reads
}

default decision := "REQUIRE_HUMAN"

decision := "DENY" if {
	erases
} else := "ALLOW" if {
	reads
} else := "ALLOW" if {
	count(standing_rules) > 0
}

approver_roles := ["RISK_OFFICER"]

timeout := "30m"

reasons contains sprintf("%s is not for agents", [name]) if erases

reasons contains sprintf("%s %s wants %s of %s %s", [parameters.subject.type, parameters.subject.id, name, parameters.resource.type, parameters.resource.id]) if {
	not reads
	not erases
}

# Calls of tools over MCP: tools that only look pass, some never do, a human decides on the rest.
#
# Servers are called what `gantral mcp --name` calls them. What a server says of its own tools (`context.attributes.annotations`)
# is not believed: the lists are ours.
package gantral.policy

reads := {
	"everything": {"echo", "get-sum"},
	"git": {"git_status", "git_log", "git_diff", "git_show"},
	"sqlite": {"read_query", "list_tables", "describe_table"},
	"time": {"get_current_time", "convert_time"},
	"filesystem": {"read_text_file", "list_directory", "list_allowed_directories"},
	"memory": {"read_graph", "search_nodes", "open_nodes"},
}

never := {"memory": {"delete_entities"}}

server := input.action.parameters.server

tool := input.action.parameters.tool

looks if tool in reads[server]

forbidden if tool in never[server]

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

approver_roles := ["RISK_OFFICER"]

timeout := "30m"

reasons contains sprintf("%s of %s is never done by an agent", [tool, server]) if forbidden

reasons contains sprintf("%s of %s may change something", [tool, server]) if {
	not looks
	not forbidden
}

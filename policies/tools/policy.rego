# Tools of coding agents, as `gantral hook` asks: what only looks, and changes within the folder of the work, pass; a human decides on the rest.
package gantral.policy

parameters := input.action.parameters

looks := {"Glob", "Grep", "LS", "NotebookRead", "Read", "TodoWrite"}

edits := {"Edit", "MultiEdit", "NotebookEdit", "Write"}

shells := {"Bash", "Shell"}

# Whole command lines: a shell finds more in a line than its first word says.
lines := {"cargo build", "cargo test", "git diff", "git status", "ls", "npm test", "pwd"}

only_looks if parameters.tool in looks

inside if {
	parameters.tool in edits
	path := parameters.input.file_path
	parameters.directory != ""
	startswith(path, sprintf("%s/", [parameters.directory]))
	not contains(path, "/../")
	not contains(path, "/.git/")
}

harmless if {
	parameters.tool in shells
	parameters.input.command in lines
}

# Calls that humans proposed to let pass without asking, as far as nothing above says otherwise.
standing_rules contains rule if {
	some rule in data.gantral.standing.applies
	not only_looks
	not inside
	not harmless
}

default decision := "REQUIRE_HUMAN"

decision := "ALLOW" if {
	only_looks
} else := "ALLOW" if {
	inside
} else := "ALLOW" if {
	harmless
} else := "ALLOW" if {
	count(standing_rules) > 0
}

approver_roles := ["TECH_LEAD", "RISK_OFFICER"]

timeout := "30m"

reasons contains sprintf("%s may change something outside of the work", [parameters.tool]) if {
	not only_looks
	not inside
	not harmless
}

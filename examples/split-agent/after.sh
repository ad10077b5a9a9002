#!/bin/sh
# After the gate: a fresh process that has only what was approved.
set -eu

# Uses the grant up before anything is done, and prints the action as approved: after an override, as the human changed
# it. Any other exit status means: do not act. 3 is a new gate, 4 a denial.
action=$(gantral consume) || exit $?

. "$(dirname "$0")/refund.sh"
refund "$GANTRAL_GRANT" "$action"

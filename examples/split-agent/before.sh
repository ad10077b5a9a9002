#!/bin/sh
# Before the gate: names what it wants to do, and ends. Nothing waits while a human thinks.
set -eu

# Exit status 3 says that a human must decide; a fresh process then runs after.sh. Status 4 says no.
grant=$(gantral ask refund --target order/1001 --set amount_minor=480000 --set currency=EUR \
    --trigger PAYMENT --step propose-refund --consume) || exit $?

# Policy allowed it at once, and --consume has used the grant up: do it now, and say what came of it.
. "$(dirname "$0")/refund.sh"
refund "$grant" '{"name":"refund","parameters":{"amount_minor":480000,"currency":"EUR"},"target":"order/1001"}'

# The effect itself, once for each grant: one line in a ledger. Read by before.sh and after.sh.

# refund GRANT ACTION
refund() {
    data=${EXAMPLE_DATA:-$(dirname "$0")/data}
    mkdir -p "$data"
    # The grant is a good idempotency key for whatever is called: it can be consumed once only.
    if printf '{"grant_id":"%s","pid":%d,"action":%s}\n' "$1" "$$" "$2" >>"$data/ledger.jsonl"; then
        printf '{"ledger":"ledger.jsonl"}' | gantral outcome SUCCEEDED --grant "$1" --result -
    else
        gantral outcome FAILED --grant "$1"
        return 1
    fi
}

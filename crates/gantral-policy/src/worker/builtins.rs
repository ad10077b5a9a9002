//! The builtin functions that policies may call.
//!
//! A policy is a pure function of its input and its bundle: nothing here reads a network, a clock, randomness or the
//! process. `time.now_ns` is answered with the instant frozen in the input. The list names what the engine implements;
//! OPA has more (JWT, crypto, GraphQL, CIDR), for which the OPA policy point is the place.

/// Every allowed builtin, sorted.
const ALLOWED: &[&str] = &[
    "abs",
    "array.concat",
    "array.reverse",
    "array.slice",
    "base64.decode",
    "base64.encode",
    "base64.is_valid",
    "base64url.decode",
    "base64url.encode",
    "base64url.encode_no_pad",
    "bits.and",
    "bits.lsh",
    "bits.negate",
    "bits.or",
    "bits.rsh",
    "bits.xor",
    "ceil",
    "concat",
    "contains",
    "count",
    "endswith",
    "floor",
    "format_int",
    "glob.match",
    "glob.quote_meta",
    "graph.reachable",
    "graph.reachable_paths",
    "hex.decode",
    "hex.encode",
    "indexof",
    "indexof_n",
    "intersection",
    "is_array",
    "is_boolean",
    "is_null",
    "is_number",
    "is_object",
    "is_set",
    "is_string",
    "json.filter",
    "json.is_valid",
    "json.marshal",
    "json.remove",
    "json.unmarshal",
    "lower",
    "max",
    "min",
    "numbers.range",
    "numbers.range_step",
    "object.filter",
    "object.get",
    "object.keys",
    "object.remove",
    "object.subset",
    "object.union",
    "object.union_n",
    "print",
    "product",
    "regex.find_all_string_submatch_n",
    "regex.find_n",
    "regex.is_valid",
    "regex.match",
    "regex.replace",
    "regex.split",
    "regex.template_match",
    "replace",
    "round",
    "semver.compare",
    "semver.is_valid",
    "sort",
    "split",
    "sprintf",
    "startswith",
    "strings.any_prefix_match",
    "strings.any_suffix_match",
    "strings.count",
    "strings.replace_n",
    "strings.reverse",
    "substring",
    "sum",
    "time.add_date",
    "time.clock",
    "time.date",
    "time.diff",
    "time.format",
    "time.now_ns",
    "time.parse_duration_ns",
    "time.parse_ns",
    "time.parse_rfc3339_ns",
    "time.weekday",
    "to_number",
    "trim",
    "trim_left",
    "trim_prefix",
    "trim_right",
    "trim_space",
    "trim_suffix",
    "type_name",
    "union",
    "units.parse",
    "units.parse_bytes",
    "upper",
    "urlquery.decode",
    "urlquery.decode_object",
    "urlquery.encode",
    "urlquery.encode_object",
    "walk",
];

/// Builtins that may not even be named, as `with … as rand.intn` would.
const FORBIDDEN: &[&str] =
    &["http.send", "net.lookup_ip_addr", "opa.runtime", "rand.intn", "uuid.parse", "uuid.rfc4122"];

/// Tells whether policies may call this builtin.
pub(super) fn is_allowed(name: &str) -> bool {
    ALLOWED.binary_search(&name).is_ok()
}

/// Tells whether policies may not even name this builtin.
pub(super) fn is_forbidden(name: &str) -> bool {
    FORBIDDEN.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_holds_nothing_that_is_forbidden() {
        assert!(ALLOWED.is_sorted());
        assert!(!ALLOWED.iter().any(|name| is_forbidden(name)));
    }

    #[test]
    fn every_allowed_builtin_is_one_that_the_engine_knows() {
        for name in ALLOWED {
            let mut engine = regorus::Engine::new();
            let unknown = (0..5).all(|count| {
                let call = format!("{name}({})", vec!["1"; count].join(","));
                match engine.eval_query(call, false) {
                    Ok(_) => false,
                    Err(error) => error.to_string().contains("could not find function"),
                }
            });
            assert!(!unknown, "{name}");
        }
    }
}

use super::*;

fn settings(text: &str) -> Result<PolicySettings, String> {
    toml::from_str(text).map_err(|error| error.to_string())
}

/// Returns the deadline of each evaluator, or what is wrong.
fn check(text: &str, expect: Result<&[(&str, u64)], &str>) {
    let opened = settings(text).and_then(|settings| settings.open().map_err(|error| error.to_string()));
    match (opened, expect) {
        (Ok(opas), Ok(limits)) => {
            let found: Vec<_> =
                opas.points.iter().map(|opa| (opa.name.as_str(), opa.limit.as_millis())).collect();
            let limits: Vec<_> = limits.iter().map(|(name, limit)| (*name, u128::from(*limit))).collect();
            assert_eq!(found, limits, "{text}");
        }
        (Err(error), Err(part)) => assert!(error.contains(part), "{text}: {error}"),
        (opened, _) => panic!("{text}: {:?}", opened.err()),
    }
}

#[test]
fn an_opa_on_this_machine_has_less_time_than_one_elsewhere() {
    check("", Ok(&[]));
    check("default = \"embedded\"", Ok(&[]));
    check(
        "default = \"far\"\n\
         [evaluators.far]\nkind = \"opa\"\nurl = \"https://opa.example.org\"\nbundle = \"gantral\"\n\
         [evaluators.given]\nkind = \"opa\"\nurl = \"https://opa.example.org\"\ndecision = \"a/b\"\ndeadline = \"2s\"\n\
         [evaluators.near]\nkind = \"opa\"\nurl = \"http://127.0.0.1:8181\"",
        Ok(&[("far", 250), ("given", 2_000), ("near", 100)]),
    );
}

#[test]
fn the_embedded_engine_may_be_given_another_deadline() {
    let limit = |text: &str| settings(text).unwrap().open().unwrap().embedded_limit;
    assert_eq!(limit(""), None);
    assert_eq!(limit("[evaluators.embedded]\nkind = \"embedded\""), None);
    let given = "[evaluators.embedded]\nkind = \"embedded\"\ndeadline = \"2s\"";
    assert_eq!(limit(given), Some(Duration::from_secs(2)));
}

#[test]
fn what_is_wrong_is_said_with_the_member() {
    let one =
        |rest: &str| format!("[evaluators.x]\nkind = \"opa\"\nurl = \"https://opa.example.org\"\n{rest}");
    check(&one("deadline = \"1ms\""), Err("`policy.evaluators.x.deadline` is `1ms`"));
    check(&one("deadline = \"11s\""), Err("not a time from `5ms` to `10s`"));
    check(&one("deadline = \"soon\""), Err("`soon`"));
    check(&one("decision = \"a.b\""), Err("`policy.evaluators.x`: `a.b` is not the path of a package"));
    check(&one("bundle = \"\""), Err("the name of the bundle is empty"));
    check(&one("token_file = \"/nowhere/token\""), Err("`/nowhere/token` cannot be used"));
    check(&one("ca_file = \"/nowhere/ca.pem\""), Err("`/nowhere/ca.pem` cannot be used"));
    check(&one("tokenfile = \"x\""), Err("unknown field `tokenfile`"));
    check("default = \"y\"", Err("`policy.default` is `y`"));
    check("other = 1", Err("unknown field `other`"));
    check("[evaluators.x]\nkind = \"opa\"", Err("missing field `url`"));
    check("[evaluators.x]\nurl = \"https://opa.example.org\"", Err("missing field `kind`"));
    check("[evaluators.x]\nkind = \"wasm\"", Err("unknown variant `wasm`"));
    let opa = "[evaluators.embedded]\nkind = \"opa\"\nurl = \"https://opa.example.org\"";
    check(opa, Err("`policy.evaluators.embedded`: the kind `embedded` goes with the name `embedded`"));
    check("[evaluators.x]\nkind = \"embedded\"", Err("`policy.evaluators.x`: the kind `embedded`"));
    check("[evaluators.embedded]\nkind = \"embedded\"\nurl = \"x\"", Err("unknown field `url`"));
    check(
        "[evaluators.embedded]\nkind = \"embedded\"\ndeadline = \"1h\"",
        Err("`policy.evaluators.embedded.deadline` is `1h`"),
    );
    check(
        "[evaluators.\"a b\"]\nkind = \"opa\"\nurl = \"https://opa.example.org\"",
        Err("`a b` is not a name"),
    );
    let plain = "[evaluators.x]\nkind = \"opa\"\nurl = \"http://opa.example.org:8181\"";
    check(plain, Err("`policy.evaluators.x`: the address cannot be used: plain http is for loopback"));
    let secret =
        settings("[evaluators.x]\nkind = \"opa\"\nurl = \"https://me:hush@opa.example.org\"").unwrap();
    assert!(!secret.open().err().unwrap().to_string().contains("hush"));
    let many: String = (0..=EVALUATORS_MAX)
        .map(|number| format!("[evaluators.n{number}]\nkind = \"opa\"\nurl = \"http://127.0.0.1:1\"\n"))
        .collect();
    check(&many, Err("has more than 64"));
}

use regorus::Engine;

use super::*;

fn messages(files: &[(&str, &str)]) -> Vec<String> {
    let mut engine = Engine::new();
    for (file, source) in files {
        engine.add_policy((*file).to_owned(), (*source).to_owned()).unwrap();
    }
    let trees = engine.get_modules().iter().map(|module| serde_json::to_value(module).unwrap());
    let modules: Vec<Module> =
        files.iter().zip(trees).map(|((file, source), tree)| Module::read(file, source, tree)).collect();
    problems(&modules).iter().map(ToString::to_string).collect()
}

fn check(rules: &str, expect: &[&str]) {
    assert_eq!(messages(&[("p.rego", &format!("package p\n{rules}"))]), expect, "{rules}");
}

#[test]
fn circles_are_found_through_rules_functions_and_packages() {
    check("f(x) := f(x)", &["p.rego:2: rules must not be recursive: p.f -> p.f"]);
    check("a := b\nb := c\nc := a", &["p.rego:2: rules must not be recursive: p.a -> p.b -> p.c -> p.a"]);
    check("f(x) := [y | y := data.p.f(x)]", &["p.rego:2: rules must not be recursive: p.f -> p.f"]);
    check("a := count(data.p)", &["p.rego:2: rules must not be recursive: p.a -> p.a"]);
    check("f(x) := data[\"p\"].f(x)", &["p.rego:2: rules must not be recursive: p.f -> p.f"]);
    check("f(x) := 1 if true\nelse := f(x)", &["p.rego:2: rules must not be recursive: p.f -> p.f"]);
    check(
        "f(x) := x if {\n every y in [1] { f(y) == 1 }\n}",
        &["p.rego:2: rules must not be recursive: p.f -> p.f"],
    );
    check(
        "g(x) := x\nf(x) := g(x) if { g(1) with g as f }",
        &["p.rego:3: rules must not be recursive: p.f -> p.f"],
    );
    let through_import = [
        ("a.rego", "package a\nimport data.b as other\nf(x) := other.g(x)"),
        ("b.rego", "package b\nimport data.a.f\ng(x) := f(x)"),
    ];
    assert_eq!(messages(&through_import), ["a.rego:3: rules must not be recursive: a.f -> b.g -> a.f"]);
}

#[test]
fn what_only_looks_like_recursion_passes() {
    check("f(x) := x\na := f(f(1))", &[]);
    check("x := 1\nf(x) := x + 1\ny := f(x)", &[]);
    check("a := 1\nb := c if { c := a }\nc := b", &[]);
    check("limits[name] := n if { some name, n in input.limits }\nlow := limits.low", &[]);
    check("a contains x if { some x in b }\nb contains 1", &[]);
    check("a := input.a\nb := input.b", &[]);
}

#[test]
fn calls_reach_only_what_exists_and_is_allowed() {
    check("a := count([1])\nb := time.now_ns()\nc := startswith(\"a\", \"b\")", &[]);
    check("a := http.send({})", &["p.rego:2: the function `http.send` is not available to policies"]);
    check(
        "a := {x | x := uuid.rfc4122(\"\")}",
        &["p.rego:2: the function `uuid.rfc4122` is not available to policies"],
    );
    check("a := b(1)", &["p.rego:2: the function `b` is not available to policies"]);
    check("a := data.q.f(1)", &["p.rego:2: the function `data.q.f` is not available to policies"]);
    check(
        "a if { count([1]) == 1 with count as rand.intn }",
        &["p.rego:2: the function `rand.intn` is not available to policies"],
    );
    check("f(x) := x\na := data.p.f(1)", &[]);
}

use super::*;

fn rules() -> Rules {
    Rules::parse([
        "# what only looks",
        "refuse * /admin/**",
        "",
        "pass GET,HEAD /public/**",
        "ask POST /orders/{order}/refunds",
        "pass GET /orders/*",
        "pass GET /",
        "ask * /reports/**",
    ])
    .unwrap()
}

#[test]
fn first_rule_that_fits_counts_and_the_rest_is_asked_for() {
    let rules = rules();
    for (method, path, expected) in [
        (Method::GET, "/public/a/b", Treatment::Pass),
        (Method::GET, "/public", Treatment::Pass),
        (Method::POST, "/public/a", Treatment::Ask),
        (Method::GET, "/publicity", Treatment::Ask),
        (Method::GET, "/Public/a", Treatment::Ask),
        (Method::GET, "/admin", Treatment::Refuse),
        (Method::DELETE, "/admin/users", Treatment::Refuse),
        (Method::GET, "/orders/7", Treatment::Pass),
        (Method::GET, "/orders/", Treatment::Ask),
        (Method::GET, "/orders/7/", Treatment::Ask),
        (Method::GET, "/orders/7/items", Treatment::Ask),
        (Method::GET, "/", Treatment::Pass),
        (Method::GET, "/elsewhere", Treatment::Ask),
    ] {
        assert_eq!(rules.treat(&method, path).treatment, expected, "{method} {path}");
    }
    assert_eq!(Rules::default().treat(&Method::GET, "/").treatment, Treatment::Ask);
}

#[test]
fn template_names_the_target_and_what_stands_in_it() {
    let rules = rules();
    let found = rules.treat(&Method::POST, "/orders/7/refunds");
    assert_eq!(found.template, Some("/orders/{order}/refunds"));
    assert_eq!(found.values, [("order", "7".to_owned())]);
    assert_eq!(rules.treat(&Method::POST, "/reports/a").template, None, "it stands for many");
}

#[test]
fn text_that_is_no_rule_is_refused() {
    for line in [
        "pass GET",
        "pass GET / more",
        "allow GET /",
        "pass get /",
        "pass GET, /",
        "pass GET orders",
        "pass GET /a/**/b",
        "pass GET /a*",
        "pass GET /{}",
        "pass GET /{a b}",
        "pass GET /a/../b",
        "pass GET /a//b",
        "pass GET /%61",
        "pass GET /a%2fb",
        "pass GET //**",
    ] {
        assert!(Rules::parse([line]).is_err(), "{line}");
    }
    let many = vec!["pass GET /"; RULES_MAX + 1];
    assert_eq!(Rules::parse(many).unwrap_err(), RuleError::TooMany);
}

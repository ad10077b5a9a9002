use super::*;

#[test]
fn addresses_are_https_or_on_this_machine() {
    for good in ["https://log.example/acme/", "http://127.0.0.1:80/", "http://[::1]/x", "http://localhost"] {
        assert!(address(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "log.example",
        "http://log.example/",
        "https://u:p@log.example/",
        "https://u@log.example/",
        "https://log.example/?a=b",
        "https://log.example/#x",
        "ftp://log.example/",
        "mailto:log@example",
    ] {
        assert!(address(bad).is_err(), "{bad}");
    }
}

#[test]
fn names_of_objects_stand_below_the_address() {
    for base in ["https://log.example/acme", "https://log.example/acme/"] {
        let url = below(&address(base).unwrap(), "tile/0/x001/234.p/7");
        assert_eq!(url.as_str(), "https://log.example/acme/tile/0/x001/234.p/7");
    }
}

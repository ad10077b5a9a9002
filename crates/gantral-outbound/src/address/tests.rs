use super::*;

const EXPECTED: Expected = Expected { such_as: "not one", query: false, ends: "it ends with a path" };

#[test]
fn addresses_are_https_or_on_this_machine() {
    for good in [
        "https://log.example/acme/",
        "http://127.0.0.1:80/",
        "http://[::1]/x",
        "http://[::ffff:127.0.0.1]/",
        "http://localhost",
    ] {
        assert!(address(good, &EXPECTED).is_ok(), "{good}");
    }
    for bad in [
        "",
        "log.example",
        "http://log.example/",
        "http://10.0.0.1/",
        "http://localhost.example.org/",
        "https://u:p@log.example/",
        "https://u@log.example/",
        "https://log.example/?a=b",
        "https://log.example/#x",
        "ftp://log.example/",
        "mailto:log@example",
    ] {
        assert!(address(bad, &EXPECTED).is_err(), "{bad}");
    }
}

#[test]
fn query_is_read_where_one_is_expected_and_a_fragment_nowhere() {
    let expected = Expected { query: true, ..EXPECTED };
    assert!(address("https://log.example/?a=b", &expected).is_ok());
    assert!(address("https://log.example/?a=b#c", &expected).is_err());
}

#[test]
fn names_of_objects_stand_below_the_address() {
    for base in ["https://log.example/acme", "https://log.example/acme/"] {
        let url = below(&address(base, &EXPECTED).unwrap(), "tile/0/x001/234.p/7");
        assert_eq!(url.as_str(), "https://log.example/acme/tile/0/x001/234.p/7");
    }
}

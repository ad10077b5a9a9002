use super::*;

#[test]
fn messages_go_over_tls_or_to_this_machine() {
    for good in [
        "https://hooks.example.org/gantral?code=1",
        "http://127.0.0.1:9/x",
        "http://localhost/x",
        "http://[::1]:9/",
        "http://[::ffff:127.0.0.1]/",
    ] {
        assert!(address(good).is_ok(), "{good}");
    }
    for bad in [
        "",
        "other.example.org",
        "http://hooks.example.org/",
        "http://10.0.0.1/",
        "http://localhost.example.org/",
        "https://user@hooks.example.org/",
        "https://:word@hooks.example.org/",
        "https://hooks.example.org/#part",
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "unix:/run/x",
    ] {
        let refused = address(bad).map_err(|error| error.to_string());
        assert!(
            refused.as_ref().is_err_and(|text| bad.is_empty() || !text.contains(bad)),
            "{bad}: {refused:?}"
        );
    }
}

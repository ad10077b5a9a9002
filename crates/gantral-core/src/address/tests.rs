use alloc::string::ToString;

use super::*;

#[test]
fn addresses_of_common_places_are_read_as_they_are_written() {
    for text in [
        "https://evidence.example.com/calls/17",
        "https://evidence.example.com",
        "https://[2001:db8::1]:8443/calls/17.json",
        "s3://audit-bucket/2026/11/a%20b/@scope/c=1,d;e.log",
        "file:///var/evidence/apply.log",
        "gs://b/o",
        "urn.x+y-z://host:1/~me/(1)!",
    ] {
        assert_eq!(EvidenceUrl::parse(text).map(|url| url.to_string()), Ok(text.to_string()));
        assert_eq!(EvidenceUrl::admit(text).map(|url| url.to_string()), Ok(text.to_string()));
    }
}

#[test]
fn what_credentials_travel_in_has_no_place_in_an_address() {
    use AddressError::{Character, Empty, Query, Scheme, TooLong, User};
    let long = ["https://h/", &"a".repeat(ADDRESS_BYTES_MAX)].concat();
    for (text, error) in [
        ("https://me:pass@host/x", User),
        ("https://me@host/x", User),
        ("https://me:a?b@host/x", User),
        ("https://host/x?X-Amz-Signature=1", Query),
        ("https://host/x#token", Query),
        ("https://host?", Query),
        ("s3://", Empty),
        ("host/x", Scheme),
        ("data:text/plain,hello", Scheme),
        ("HTTPS://host/x", Scheme),
        ("1s://host/x", Scheme),
        ("://host", Scheme),
        ("", Scheme),
        ("https://ho st/x", Character),
        ("https://host/a b", Character),
        ("https://host/%zz", Character),
        ("https://host/%2", Character),
        ("https://host/\u{e4}", Character),
        ("https://host/a\\b", Character),
        ("https://host/a\nb", Character),
        ("https://me:pass/word@host", Character),
        ("https://host:123456/x", Character),
        ("https://host:/x", Character),
        ("https://[::1/x", Character),
        ("https://[]/x", Character),
        ("https://[::1]x/", Character),
        (long.as_str(), TooLong),
    ] {
        assert_eq!(EvidenceUrl::parse(text), Err(error), "{text}");
    }
}

#[test]
fn no_message_repeats_what_was_refused() {
    let refused = EvidenceUrl::parse("https://me:hunter2@host/x").unwrap_err();
    assert!(!refused.to_string().contains("hunter2"));
}

#[test]
fn a_credential_in_a_path_or_a_name_is_refused_when_written_and_read_when_sealed() {
    let address = ["https://host/services/ghp_", &"a".repeat(36), "/log"].concat();
    assert!(EvidenceUrl::parse(&address).is_ok());
    assert_eq!(EvidenceUrl::admit(&address), Err(AddressError::Secret));
    assert_eq!(admit_name(&["ghp_", &"a".repeat(36)].concat()), Err(AddressError::Secret));
    assert_eq!(admit_name("https://me:pass@host/x"), Err(AddressError::User));
    assert_eq!(admit_name("tool-output"), Ok(()));
    assert_eq!(admit_name("https://evidence.example.com/calls/17"), Ok(()));
}

use super::*;

const KEY: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const URL: &str = "https://gantral.example.com:8443/console";

fn settings(id: Option<&str>, origins: &[&str], directory: &[&str]) -> PasskeySettings {
    let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect();
    PasskeySettings {
        relying_party_id: id.map(str::to_owned),
        origins: texts(origins),
        directory: texts(directory),
    }
}

#[test]
fn what_is_not_said_follows_from_the_public_url() {
    let opened = settings(None, &[], &[KEY]).open(URL).unwrap();
    assert_eq!(opened.relying_party.id.as_str(), "gantral.example.com");
    assert!(opened.relying_party.takes("https://gantral.example.com:8443"));
    assert_eq!(opened.directory[0].to_hex(), KEY);
    let opened = settings(Some("example.com"), &["https://approve.example.com"], &[KEY]).open(URL).unwrap();
    assert!(!opened.relying_party.takes("https://gantral.example.com:8443"));
}

#[test]
fn what_no_browser_would_sign_for_is_refused_before_the_server_starts() {
    let error = |settings: PasskeySettings| settings.open(URL).unwrap_err().to_string();
    assert!(error(settings(None, &[], &[])).contains("names no key"));
    assert!(error(settings(None, &[], &["abc"])).contains("`abc`"));
    assert!(error(settings(Some("Example.com"), &[], &[KEY])).contains("lower case"));
    for (id, origin) in [
        ("example.com", "https://example.org"),
        ("example.com", "https://evilexample.com"),
        ("gantral.example.com", "https://example.com"),
    ] {
        assert!(error(settings(Some(id), &[origin], &[KEY])).contains("browsers sign nothing"), "{origin}");
    }
}

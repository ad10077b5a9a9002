use std::os::unix::ffi::OsStringExt as _;

use super::*;

fn file() -> Table {
    toml::from_str(
        "listen = \"127.0.0.1:1\"\ntenants = [\"a\"]\n[[log.witnesses]]\nurl = \"http://w\"\n[identity]\nissuers = []\n",
    )
    .unwrap()
}

fn applied(variables: &[(&str, &str)]) -> Result<Table, VariableError> {
    let mut table = file();
    apply(&mut table, variables.iter().map(|(name, value)| (name.into(), value.into())))?;
    Ok(table)
}

#[test]
fn variables_stand_for_members_of_the_file_and_for_those_that_it_lacks() {
    let table = applied(&[
        ("GANTRAL__LISTEN", "0.0.0.0:7420"),
        ("GANTRAL__TENANTS", "[\"acme\", \"other\"]"),
        ("GANTRAL__STORE__URL", "postgres://gantral@db/gantral"),
        ("GANTRAL__STORE__CONNECTIONS", "40"),
        ("GANTRAL__LOG__PUBLIC", "true"),
        ("GANTRAL__LOG__WITNESSES__0__CA_FILE", "/etc/ca.pem"),
        ("GANTRAL__LOG__WITNESSES__0__URL", "\"40\""),
        ("GANTRAL_CONFIG", "not ours"),
        ("OTHER__LISTEN", "not ours"),
    ])
    .unwrap();
    let expected: Table = toml::from_str(
        "listen = \"0.0.0.0:7420\"\ntenants = [\"acme\", \"other\"]\nstore = { url = \"postgres://gantral@db/gantral\", connections = 40 }\n\
         identity = { issuers = [] }\nlog = { public = true, witnesses = [{ url = \"40\", ca_file = \"/etc/ca.pem\" }] }\n",
    )
    .unwrap();
    assert_eq!(table, expected);
}

#[test]
fn list_that_a_variable_gives_has_places_for_others() {
    let table = applied(&[
        ("GANTRAL__LOG__WITNESSES", "[{ url = \"one\" }, { url = \"two\" }]"),
        ("GANTRAL__LOG__WITNESSES__1__URL", "three"),
    ]);
    assert_eq!(table.unwrap()["log"]["witnesses"][1]["url"].as_str(), Some("three"));
}

#[test]
fn what_is_no_value_of_toml_is_text() {
    for text in ["", "a\nb = 1", "1\nb = 1", "2026-11-23", "postgres://x", "a = 1"] {
        assert_eq!(value_of(text), Value::String(text.to_owned()), "{text:?}");
    }
    assert_eq!(value_of("-1"), Value::Integer(-1));
}

#[test]
fn variables_that_lead_nowhere_are_named_and_their_values_are_not() {
    for (variable, said) in [
        ("GANTRAL__", "is no path"),
        ("GANTRAL__LOG____PUBLIC", "is no path"),
        ("GANTRAL___LOG", "is no path"),
        ("GANTRAL__LISTEN__PORT", "leads into `listen`"),
        ("GANTRAL__LOG__WITNESSES__1__URL", "names place 1 of `log.witnesses`, which has 1"),
        ("GANTRAL__LOG__WITNESSES__URL", "names place url of `log.witnesses`"),
        ("GANTRAL__IDENTITY__ISSUERS__0", "which has 0"),
    ] {
        let error = applied(&[(variable, "hunter2")]).unwrap_err().to_string();
        assert!(error.contains(said) && error.contains(variable) && !error.contains("hunter2"), "{error}");
    }
    let broken = OsString::from_vec(vec![0xff]);
    let refused = apply(&mut file(), [("GANTRAL__LISTEN".into(), broken)]).unwrap_err();
    assert_eq!(refused, VariableError::Text { variable: "GANTRAL__LISTEN".to_owned() });
}

#[test]
fn an_error_about_a_member_leads_to_the_variable_that_said_it() {
    let mut table = file();
    let said = apply(&mut table, [("GANTRAL__STORE__URL".into(), "x".into())]).unwrap();
    assert_eq!(said.behind("store.url"), Some("GANTRAL__STORE__URL"));
    assert_eq!(said.behind("store"), Some("GANTRAL__STORE__URL"));
    assert_eq!((said.behind("stor"), said.behind("store.url.host")), (None, None));
}

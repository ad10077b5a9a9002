use super::*;

fn environment(name: &str) -> Option<OsString> {
    let value = match name {
        "PATH" => "/bin",
        "TOKEN" => "s3cret",
        "EMPTY" => "",
        "GANTRAL_TOKEN" => "the runner's own",
        "EXTRA" => "more",
        _ => return None,
    };
    Some(value.into())
}

fn check(reference: &str) -> Result<OsString, String> {
    let references = BTreeMap::from([("KEY".to_owned(), reference.to_owned())]);
    let resolved = resolve(&references, environment).map_err(|error| error.to_string())?;
    Ok(resolved[OsStr::new("KEY")].clone())
}

#[test]
fn a_variable_of_the_runner_is_a_secret() {
    assert_eq!(check("env:TOKEN").unwrap(), "s3cret");
}

#[test]
fn a_file_is_a_secret_without_the_end_of_its_last_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    for (content, expected) in
        [("a", "a"), ("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), (" a b ", " a b ")]
    {
        std::fs::write(&path, content).unwrap();
        assert_eq!(check(&format!("file:{}", path.display())).unwrap(), expected);
    }
}

#[test]
fn what_cannot_be_resolved_is_named_without_any_value() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secret");
    std::fs::write(&path, "s3cret\0").unwrap();
    for (reference, expected) in [
        ("env:ABSENT", "does not have"),
        ("env:EMPTY", "is empty, too long, or holds a zero byte"),
        ("file:relative", "not `env:NAME` or `file:/path`"),
        ("vault:x", "not `env:NAME` or `file:/path`"),
        (&*format!("file:{}", path.display()), "is empty, too long, or holds a zero byte"),
        ("file:/dev/zero", "is empty, too long, or holds a zero byte"),
    ] {
        let error = check(reference).unwrap_err();
        assert!(error.contains(expected) && error.contains(reference) && error.contains("`KEY`"), "{error}");
        assert!(!error.contains("s3cret"));
    }
}

#[test]
fn what_is_the_runners_own_is_never_inherited() {
    let names = ["EXTRA", "GANTRAL_TOKEN", "ABSENT"].map(str::to_owned);
    let environment = inherited(&names, environment);
    let names: Vec<_> = environment.keys().collect();
    assert_eq!(names, ["EXTRA", "PATH"]);
}

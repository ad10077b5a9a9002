use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

fn spec(folder: &Path, words: &[&str]) -> CommandSpec {
    CommandSpec {
        words: words.iter().map(|word| (*word).to_owned()).collect(),
        path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
        directory: folder.to_owned(),
        environment: Vec::new(),
        inputs: Vec::new(),
    }
}

fn script(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("act.sh");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_command_is_the_action_that_it_was() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("plan"), "create 1").unwrap();
    let wanted = CommandSpec {
        environment: vec!["CLOUD".to_owned(), "PATH".to_owned(), "CLOUD".to_owned()],
        inputs: vec!["plan".into(), "plan".into()],
        ..spec(folder.path(), &["sh", "-c", "true ü"])
    };
    let resolved = resolve(&wanted).unwrap();
    assert!(resolved.executable.is_absolute());
    assert_eq!(resolved.environment, ["CLOUD"], "what every command is given is not named");
    assert_eq!(resolved.inputs.len(), 1);
    let action = resolved.action().unwrap();
    assert_eq!((action.name.as_str(), action.target.as_str()), (ACTION, "sh"));
    assert_eq!(Resolved::of(&action).unwrap(), resolved);
    resolved.unchanged().unwrap();
}

#[test]
fn what_changed_after_it_was_named_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "#!/bin/sh\n");
    std::fs::write(folder.path().join("plan"), "create 1").unwrap();
    let wanted = CommandSpec { inputs: vec!["plan".into()], ..spec(folder.path(), &["./act.sh"]) };
    let resolved = resolve(&wanted).unwrap();
    std::fs::write(folder.path().join("plan"), "destroy 1").unwrap();
    assert!(matches!(resolved.unchanged(), Err(ResolveError::Changed { path }) if path.ends_with("plan")));
    std::fs::write(folder.path().join("plan"), "create 1").unwrap();
    resolved.unchanged().unwrap();
    std::fs::write(&path, "#!/bin/sh\nrm -rf /\n").unwrap();
    assert!(matches!(resolved.unchanged(), Err(ResolveError::Changed { path }) if path.ends_with("act.sh")));
    std::fs::remove_file(&path).unwrap();
    assert!(matches!(resolved.unchanged(), Err(ResolveError::File { .. })));
}

#[test]
fn what_cannot_be_run_or_shown_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |spec: &CommandSpec| resolve(spec).unwrap_err();
    let of = |words: &[&str]| spec(folder.path(), words);
    assert!(matches!(refused(&of(&[])), ResolveError::Empty));
    assert!(matches!(refused(&of(&["no-such-program"])), ResolveError::NoProgram { .. }));
    assert!(matches!(refused(&of(&["./missing"])), ResolveError::NoProgram { .. }));
    let many = vec!["a"; ARGUMENTS_MAX + 2];
    assert!(matches!(refused(&of(&many)), ResolveError::TooMany { what: "arguments", .. }));
    let long = "a".repeat(ARGUMENTS_BYTES_MAX + 1);
    assert!(matches!(refused(&of(&["sh", &long])), ResolveError::TooMany { .. }));
    for name in ["GANTRAL_TOKEN_FILE", "A=B", "1A", ""] {
        let with = CommandSpec { environment: vec![name.to_owned()], ..of(&["sh"]) };
        assert!(matches!(refused(&with), ResolveError::Variable { .. }), "{name}");
    }
    let folder_as_input = CommandSpec { inputs: vec![".".into()], ..of(&["sh"]) };
    assert!(matches!(refused(&folder_as_input), ResolveError::File { .. }));
}

#[test]
fn another_action_is_no_command() {
    let folder = tempfile::tempdir().unwrap();
    let good = resolve(&spec(folder.path(), &["sh"])).unwrap().action().unwrap();
    let other = Action { name: "refund".parse().unwrap(), ..good.clone() };
    assert!(matches!(Resolved::of(&other), Err(NotACommand::Name { .. })));
    let text = good.parameters.as_str().replace("\"arguments\":[]", "\"arguments\":[1]");
    let odd = Action { parameters: Document::from_text(text).unwrap(), ..good };
    assert_eq!(Resolved::of(&odd), Err(NotACommand::Parameter { name: "arguments" }));
}

#[tokio::test]
async fn how_it_ended_is_what_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let run = async |script: &str| {
        carry::piped(&resolve(&spec(folder.path(), &["sh", "-c", script])).unwrap()).await.unwrap()
    };
    let ended = run("exit 7").await;
    assert_eq!((ended.status, ended.signalled, ended.is_well()), (7, false, false));
    let ended = run("kill -9 $$").await;
    assert_eq!((ended.status, ended.signalled), (128 + 9, true));
    let ended = run("test -z \"$GANTRAL_PROBE$CARGO_MANIFEST_DIR\" && pwd > where").await;
    assert!(ended.is_well(), "nothing but the usual variables reaches it");
    let there = std::fs::read_to_string(folder.path().join("where")).unwrap();
    assert_eq!(Path::new(there.trim()).canonicalize().unwrap(), folder.path().canonicalize().unwrap());
}

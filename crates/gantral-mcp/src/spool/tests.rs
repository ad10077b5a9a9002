use super::*;

fn kept(stage: Stage) -> Kept {
    Kept {
        key: "k".to_owned(),
        tool: "t".to_owned(),
        schema_digest: None,
        arguments: "{}".to_owned(),
        rest: Vec::new(),
        task: None,
        withheld: false,
        states: Vec::new(),
        boot: None,
        stage,
    }
}

fn permit() -> Permit {
    Permit {
        instance: "903cb2e7-0c7d-4d5e-8a4b-1f2e3d4c5b6a".parse().unwrap(),
        grant: Some("0c7d0c7d-0c7d-4d5e-8a4b-1f2e3d4c5b6a".parse().unwrap()),
        action: serde_json::from_str(
            r#"{"name":"mcp.call","target":"s/t","parameters":{"arguments":{"a":1.50}}}"#,
        )
        .unwrap(),
    }
}

fn unknown() -> Stage {
    Stage::Settled { outcome: Outcome::Unknown { why: "x".to_owned() } }
}

#[test]
fn call_has_one_owner_and_is_found_again_when_that_has_gone() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path().join("spool")).unwrap();
    let (owned, none) = spool.own("k").unwrap().unwrap();
    assert_eq!(none, None);
    owned.keep(&kept(Stage::Asking)).unwrap();
    assert!(spool.own("k").unwrap().is_none());
    drop(owned);
    let (owned, found) = spool.own("k").unwrap().unwrap();
    assert_eq!(found, Some(kept(Stage::Asking)));
    owned.keep(&kept(unknown())).unwrap();
    owned.forget().unwrap();
    drop(owned);
    assert_eq!(spool.calls().unwrap(), Vec::<String>::new());
    assert_eq!(spool.own("k").unwrap().unwrap().1, None);
}

#[test]
fn step_that_was_cut_off_was_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    spool.own("k").unwrap().unwrap().0.keep(&kept(Stage::Asking)).unwrap();
    let path = folder.path().join("k.call");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(br#"{"key":"k","non"#);
    std::fs::write(&path, bytes).unwrap();
    let (owned, found) = spool.own("k").unwrap().unwrap();
    assert_eq!(found, Some(kept(Stage::Asking)));
    owned.keep(&kept(unknown())).unwrap();
    drop(owned);
    assert_eq!(spool.own("k").unwrap().unwrap().1, Some(kept(unknown())));
}

#[test]
fn nobody_else_reads_what_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path().join("a/b")).unwrap();
    spool.own("k").unwrap().unwrap().0.keep(&kept(Stage::Asking)).unwrap();
    assert_eq!(spool.session().unwrap(), spool.session().unwrap());
    for (name, mode) in [("a/b", 0o700), ("a/b/k.call", 0o600), ("a/b/session", 0o600)] {
        let found = std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(found & 0o777, mode, "{name}");
    }
}

#[test]
fn every_step_is_read_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let permit = permit();
    let denied = Outcome::Denied { denial: Denial { code: "rejected".to_owned(), reasons: Vec::new() } };
    let done =
        Outcome::Done { succeeded: true, answer: ("result".to_owned(), r#"{"content":[]}"#.to_owned()) };
    let stages = [
        Stage::Asking,
        Stage::Unasked,
        Stage::Begun { permit: permit.clone() },
        Stage::Answered { permit, outcome: done },
        Stage::Settled { outcome: denied },
    ];
    for stage in stages {
        spool.own("k").unwrap().unwrap().0.keep(&kept(stage.clone())).unwrap();
        assert_eq!(spool.own("k").unwrap().unwrap().1, Some(kept(stage)));
    }
}

#[test]
fn step_that_cannot_be_read_is_an_error_and_not_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    spool.own("k").unwrap().unwrap().0.keep(&kept(Stage::Asking)).unwrap();
    let path = folder.path().join("k.call");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.extend_from_slice(b"{\"stage\":\"of a later version\"}\n");
    std::fs::write(&path, bytes).unwrap();
    assert!(spool.own("k").is_err());
}

#[test]
fn call_that_is_over_is_found_by_its_task_and_the_same_call_is_a_new_one() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let handle = Handle::new().unwrap();
    let over = Kept { task: Some(handle.clone()), ..kept(unknown()) };
    let (owned, _) = spool.own("k").unwrap().unwrap();
    owned.keep(&over).unwrap();
    owned.retire(&handle.id).unwrap();
    assert_eq!(spool.tasks().unwrap(), std::slice::from_ref(&handle.id));
    assert_eq!(spool.task(&handle.id).unwrap(), Some(over));
    assert_eq!(spool.own("k").unwrap().unwrap().1, None);
    spool.forget_task(&handle.id).unwrap();
    assert_eq!(spool.task(&handle.id).unwrap(), None);
}

#[test]
fn what_is_withheld_is_sealed_for_its_call_and_gone_once_it_is_erased() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(folder.path()).unwrap();
    let plain = br#"{"members":[{"pointer":"/arguments/p","salt":"00","value":"\"hunter2\""}]}"#;
    spool.withhold("k", plain).unwrap();
    assert_eq!(spool.withheld("k").unwrap().to_plain(), plain);
    let path = folder.path().join("k.withheld");
    let sealed = std::fs::read(&path).unwrap();
    assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
    // That of one call is not that of another.
    std::fs::write(folder.path().join("l.withheld"), &sealed).unwrap();
    assert!(spool.withheld("l").is_err());
    spool.erase_withheld("k").unwrap();
    assert!(spool.withheld("k").is_err() && !path.exists());
}

fn on(folder: &Path, boot: &str) -> Spool {
    Spool::on(folder.to_owned(), Some(boot.to_owned())).unwrap()
}

fn asked_on(boot: &str) -> Kept {
    Kept { boot: Some(boot.to_owned()), ..kept(Stage::Asking) }
}

fn at(mut call: Kept, stage: Stage) -> Kept {
    call.step(stage);
    call
}

#[test]
fn call_that_was_asked_for_before_the_machine_went_down_was_perhaps_done() {
    let folder = tempfile::tempdir().unwrap();
    let before = on(folder.path(), "before");
    before.own("k").unwrap().unwrap().0.keep(&asked_on("before")).unwrap();
    let stage = |spool: &Spool| spool.own("k").unwrap().unwrap().1.unwrap().stage;
    assert_eq!(stage(&before), Stage::Asking, "another process of the same start");
    assert_eq!(stage(&on(folder.path(), "after")), Stage::Fallen);
    let nameless = Spool::on(folder.path().to_owned(), None).unwrap();
    assert_eq!(stage(&nameless), Stage::Fallen, "a start without a name is no start that is known");
}

#[test]
fn call_that_waits_or_was_not_asked_for_outlives_the_machine() {
    let pending = || Pending {
        instance: gantral_core::ids::InstanceId::from_random([7; 16]).into(),
        gate: gantral_core::ids::GateId::from_random([8; 16]).into(),
        expires_at: gantral_core::time::UnixMillis::new(1).unwrap().into(),
        url: String::new(),
        roles: Vec::new(),
        reasons: Vec::new(),
    };
    for stage in [Stage::Waiting { pending: pending() }, Stage::Unasked] {
        let folder = tempfile::tempdir().unwrap();
        let before = on(folder.path(), "before");
        let (owned, _) = before.own("k").unwrap().unwrap();
        owned.keep(&asked_on("before")).unwrap();
        let waits = at(asked_on("before"), stage.clone());
        assert!(waits.is_flushed(), "{stage:?}");
        owned.keep(&waits).unwrap();
        drop(owned);
        assert_eq!(on(folder.path(), "after").own("k").unwrap().unwrap().1.unwrap().stage, stage);
    }
}

#[test]
fn that_a_call_was_begun_is_flushed_unless_its_start_of_the_machine_is() {
    let begun = Stage::Begun { permit: permit() };
    assert!(!at(asked_on("now"), begun.clone()).is_flushed());
    assert!(at(at(asked_on("now"), Stage::Unasked), begun.clone()).is_flushed(), "asked for again");
    assert!(at(kept(Stage::Asking), begun).is_flushed(), "a system without names of its starts");
}

//! Attempts in containers of a real engine: the contract of a process holds there, and nothing outlives attempt or runner.

use std::path::Path;
use std::time::{Duration, Instant};

use gantral_core::ids::{Name, WorkflowId};
use gantral_core::state::{DecisionKind, State};
use gantral_edge::runner::{
    ContainerConfig, ExecutorConfig, ExecutorError, Governed, Pull, Reference, Runner, RunnerConfig,
    RunnerError, RunnerEvent,
};

use crate::engine::{Engine, MARK};
use crate::place::{LONG, Place, dies, end, lives, numbers, runner_of, runs, shell, signal};
use crate::roles;

const CANARY: &str = "canary-5f1d8e0c-for-a-container";

fn ended(event: &RunnerEvent) -> Option<(i32, State)> {
    match event {
        RunnerEvent::Ended { exit_status, state, .. } => Some((*exit_status, *state)),
        _ => None,
    }
}

/// A folder that containers may write to, beside what the runner has.
fn shared(place: &Place) -> std::path::PathBuf {
    let shared = place.folder.path().join("shared");
    std::fs::create_dir_all(&shared).unwrap();
    shared
}

fn containers(engine: &Engine, shared: &Path, change: impl FnOnce(&mut ContainerConfig)) -> ExecutorConfig {
    let mut config = engine.config(shared);
    change(&mut config);
    ExecutorConfig::Container(config)
}

/// Waits until a `sleep` of this length runs, inside a container, and returns the number that it has outside.
async fn sleeper(seconds: &str) -> u32 {
    let until = Instant::now() + LONG;
    let line = format!("sleep\0{seconds}\0");
    loop {
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let found = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let number = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let (true, Some(process)) = (found == line.as_bytes(), number) {
                return process;
            }
        }
        assert!(Instant::now() < until, "nothing sleeps {seconds}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A number of seconds to sleep that no other test sleeps.
fn seconds() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("{}.{}", 100_000 + NEXT.fetch_add(1, Ordering::Relaxed), std::process::id())
}

fn log(place: &Place, id: gantral_core::ids::InstanceId) -> String {
    std::fs::read_to_string(place.work().join("logs").join(format!("{id}-1.log"))).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_told_what_a_process_is_told_and_can_do_no_more_than_it_must() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let secret = place.folder.path().join("secret");
    std::fs::write(&secret, format!("{CANARY}\n")).unwrap();
    let script = r#"
        cat /etc/mark; echo
        test -s "$GANTRAL_TOKEN_FILE" && test -s "$GANTRAL_CONTEXT" && test -s "$GANTRAL_TRUST" && echo told
        echo "$GANTRAL_ATTEMPT $GANTRAL_TENANT $GANTRAL_WORKFLOW"
        echo x >> "$GANTRAL_JOURNAL" && echo kept
        touch "${GANTRAL_MODE_LEASE%/*}/x" && echo leased
        echo x >> "$GANTRAL_TRUST" || echo no-writing
        touch "${GANTRAL_TOKEN_FILE%/*}/x" || echo not-there-either
        touch /etc/x || echo nor-in-the-image
        touch /tmp/x && echo but-in-tmp
        grep -E '^(CapEff|CapBnd|NoNewPrivs):' /proc/self/status | tr -d '\t'
        cat /proc/1/environ | tr '\0' '\n' | grep -c GANTRAL_URL
        ls -d "$RUNNER" || echo the runner is not seen
        echo "$KEY $HOME" ; echo "$KEY" >&2
        exit 7"#;
    // One stream, so that no line of one stands within a line of the other.
    let script = format!("exec 2>&1; RUNNER={}\n{script}", place.work().display());
    let mut run = runs(&shell(&script), "30s");
    run["secrets"] = serde_json::json!({"KEY": format!("file:{}", secret.display())});
    place.apply(&run).await;
    let id = place.create().await;
    let executor = engine.executor(&shared);
    let running = place.run(|config| config.executor = executor).await;
    assert_eq!(running.tells(ended).await, (7, State::Terminated));
    let said = log(&place, id);
    let wanted = [
        MARK,
        "told",
        "1 dev refund",
        "kept",
        "leased",
        "no-writing",
        "not-there-either",
        "nor-in-the-image",
        "but-in-tmp",
        "CapEff:0000000000000000",
        "CapBnd:0000000000000000",
        "NoNewPrivs:1",
        "the runner is not seen",
        "*** /",
    ];
    for wanted in wanted {
        assert!(said.lines().any(|line| line == wanted), "`{wanted}` in {said}");
    }
    assert!(!said.contains(CANARY), "{said}");
    assert_eq!(engine.containers(), Vec::<String>::new(), "gone before the end was reported");
    let events = running.stop().await;
    assert!(!format!("{events:?}").contains(CANARY));
    assert!(std::fs::read_dir(place.work().join("attempts")).unwrap().next().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_among_the_arguments_of_the_engine() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let (secret, mark) = (place.folder.path().join("secret"), seconds());
    std::fs::write(&secret, CANARY).unwrap();
    let mut run = runs(&["sleep".to_owned(), mark.clone()], "30s");
    run["secrets"] = serde_json::json!({"KEY": format!("file:{}", secret.display())});
    place.apply(&run).await;
    place.create().await;
    let executor = engine.executor(&shared);
    let running = place.run(|config| config.executor = executor).await;
    let inside = sleeper(&mark).await;
    let mut looked_at = 0;
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        looked_at += usize::from(!line.is_empty());
        assert!(
            !line.windows(CANARY.len()).any(|found| found == CANARY.as_bytes()),
            "{}",
            entry.path().display()
        );
    }
    assert!(looked_at > 3, "guardian, engine and command");
    running.ask_to_stop();
    running.stop().await;
    assert!(!lives(inside));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_definition_calls_a_secret_changes_nothing_of_the_engine() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let secret = place.folder.path().join("secret");
    std::fs::write(&secret, "/nowhere/to/be/found").unwrap();
    // Names that the engine's own programs read.
    let script = r#"echo "$CONTAINERS_CONF $PATH $LD_PRELOAD""#;
    let mut run = runs(&["/bin/sh".to_owned(), "-c".to_owned(), script.to_owned()], "30s");
    let reference = format!("file:{}", secret.display());
    run["secrets"] = serde_json::json!({"CONTAINERS_CONF": reference, "PATH": reference});
    place.apply(&run).await;
    let id = place.create().await;
    let executor = engine.executor(&shared);
    let running = place.run(|config| config.executor = executor).await;
    assert_eq!(running.tells(ended).await, (0, State::Completed));
    assert_eq!(log(&place, id), "*** *** \n");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_of_several_lines_is_not_passed_on_and_nothing_is_launched() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let secret = place.folder.path().join("secret");
    std::fs::write(&secret, "one\nLD_PRELOAD=/tmp/x").unwrap();
    let mut run = runs(&shell(&format!("touch {}", shared.join("launched").display())), "30s");
    run["secrets"] = serde_json::json!({"KEY": format!("file:{}", secret.display())});
    place.apply(&run).await;
    place.create().await;
    let executor = engine.executor(&shared);
    let running = place.run(|config| config.executor = executor).await;
    let why = |event: &RunnerEvent| match event {
        RunnerEvent::NotLaunched { why, .. } => Some(why.clone()),
        _ => None,
    };
    let why = running.tells(why).await;
    assert!(why.contains("`KEY` has a line end") && why.contains("governed secret"), "{why}");
    assert_eq!(running.tells(ended).await, (125, State::Terminated));
    assert!(!shared.join("launched").exists());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_not_in_the_image_has_the_status_of_one() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    place.apply(&runs(&["no-such-command".to_owned()], "30s")).await;
    place.create().await;
    let executor = engine.executor(&shared);
    let running = place.run(|config| config.executor = executor).await;
    assert_eq!(running.tells(ended).await, (127, State::Terminated));
    assert_eq!(engine.containers(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_asked_to_end_before_it_is_made_to() {
    let engine = Engine::open();
    for (script, status) in [("trap 'exit 9' TERM", 9), ("trap '' TERM", -9)] {
        let place = Place::open().await;
        let shared = shared(&place);
        let started = shared.join("started");
        let script = format!("{script}; echo 1 > {}; while true; do sleep 0.1; done", started.display());
        place.apply(&runs(&shell(&script), "30s")).await;
        place.create().await;
        let executor = engine.executor(&shared);
        let grace = Duration::from_millis(1_500);
        let running = place.run(|config| (config.executor, config.grace) = (executor, grace)).await;
        numbers(&started, 1).await;
        running.ask_to_stop();
        let events = running.stop().await;
        let (found, state) = events.iter().find_map(ended).unwrap();
        assert_eq!((found, state), (status, State::Terminated), "{events:?}");
        assert_eq!(engine.containers(), Vec::<String>::new(), "{script}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_dies_with_its_runner() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let mark = sleeps(&place).await;
    let runner = runner_of(&place, &engine.config(&shared)).await;
    let inside = sleeper(&mark).await;
    end(runner);
    dies(inside).await;
    let until = Instant::now() + LONG;
    while !engine.containers().is_empty() {
        assert!(Instant::now() < until, "the guardian removes it");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guardian_that_is_killed_leaves_no_container_behind_the_reported_end() {
    let guardian = |engine: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{engine}/stat")).unwrap();
        stat.rsplit_once(')').unwrap().1.split_whitespace().nth(1).unwrap().parse().unwrap()
    };
    has_completed_nothing_when_killed(guardian).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_ended_by_somebody_else_has_completed_nothing() {
    has_completed_nothing_when_killed(|engine| engine).await;
}

/// Creates an instance whose command only sleeps; returns for how long, by which it is known.
async fn sleeps(place: &Place) -> String {
    let mark = seconds();
    place.apply(&runs(&["sleep".to_owned(), mark.clone()], "30s")).await;
    place.create().await;
    mark
}

/// `whom` finds who is killed from the command line of the engine.
async fn has_completed_nothing_when_killed(whom: impl Fn(u32) -> u32) {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let mark = sleeps(&place).await;
    let executor = engine.executor(&shared);
    let running = place.run(|config| config.executor = executor).await;
    let inside = sleeper(&mark).await;
    let started = |event: &RunnerEvent| match event {
        RunnerEvent::Started { process, .. } => *process,
        _ => None,
    };
    signal(whom(running.tells(started).await), rustix::process::Signal::KILL);
    let (status, state) = running.tells(ended).await;
    assert!(status != 0 && state == State::Terminated, "{status}");
    assert!(!lives(inside));
    assert_eq!(engine.containers(), Vec::<String>::new());
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_earlier_runner_left_is_ended_before_anything_is_claimed() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let mark = sleeps(&place).await;
    let runner = runner_of(&place, &engine.config(&shared)).await;
    let inside = sleeper(&mark).await;
    let found = engine.containers();
    let label = engine.ask(&["inspect", "--format={{index .Config.Labels \"gantral.runner\"}}", &found[0]]);
    let label = format!("--label=gantral.runner={}", String::from_utf8_lossy(&label.stdout).trim());
    end(runner);
    dies(inside).await;
    // As one would be left where the guardian was killed too; and one of somebody else.
    let ulimits = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"];
    let volumes =
        ["--volume=/bin:/bin", "--volume=/usr:/usr", "--volume=/lib:/lib", "--volume=/lib64:/lib64"];
    for words in [["--name=left", label.as_str()], ["--name=other", "--label=gantral.runner=0123"]] {
        let words = [&["run", "--detach", "--network=none"][..], &ulimits, &volumes, &words];
        let more = ["localhost/gantral-test:1", "sleep", "1000"];
        let left = engine.ask(&[&words.concat()[..], &more].concat());
        assert!(left.status.success(), "{}", String::from_utf8_lossy(&left.stderr));
    }
    let executor = engine.executor(&shared);
    let running = place.run(|config| config.executor = executor).await;
    let until = Instant::now() + LONG;
    while engine.ask(&["container", "exists", "left"]).status.success() {
        assert!(Instant::now() < until, "it is still there");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(engine.ask(&["container", "exists", "other"]).status.success());
    running.stop().await;
}

/// Gives the secret `pay` to attempts of the workflow, for their refunds.
fn governed(config: &mut RunnerConfig, file: &Path) {
    config.secrets.push(Governed {
        name: Name::parse("pay").unwrap(),
        from: Reference::parse(&format!("file:{}", file.display())).unwrap(),
        workflows: [WorkflowId::parse("refund").unwrap()].into(),
        actions: [Name::parse("refund").unwrap()].into(),
        queues: [].into(),
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_given_its_secret_and_another_one_at_the_same_socket_is_not() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let (secret, ledger) = (place.folder.path().join("secret"), shared.join("ledger"));
    std::fs::write(&secret, CANARY).unwrap();
    place.apply(&runs(&roles::agent(&ledger, "secret"), "30s")).await;
    let id = place.create().await;
    let executor = engine.executor(&shared);
    let file = secret.clone();
    let running = place
        .run(|config| {
            config.executor = executor;
            governed(config, &file);
        })
        .await;
    place.decide(DecisionKind::Approve, None).await;
    // It waits, with its grant used up, until it is told to go on.
    let grant = loop {
        let text = std::fs::read_to_string(&ledger).unwrap_or_default();
        if let Some(grant) = text.strip_prefix("grant ").and_then(|rest| rest.strip_suffix('\n')) {
            break grant.to_owned();
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let socket = std::fs::read_dir(place.work().join("sockets")).unwrap().next().unwrap().unwrap().path();
    let ask = format!(
        "import socket;s=socket.socket(socket.AF_UNIX);s.connect('/run/s');\
         s.sendall(b'{{\"ask\":\"secret\",\"name\":\"pay\",\"grant\":\"{grant}\"}}\\n');print(s.recv(9999).decode())"
    );
    let mut words: Vec<String> =
        ["run", "--rm", "--network=none", "--log-driver=none"].map(str::to_owned).to_vec();
    let shared_with = engine.config(&shared).run_options;
    words.extend(shared_with.into_iter());
    words.extend([format!("--volume={}:/run/s", socket.display()), "localhost/gantral-test:1".to_owned()]);
    words.extend(["python3".to_owned(), "-c".to_owned(), ask]);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let other = engine.ask(&words);
    let said = String::from_utf8_lossy(&other.stdout).into_owned();
    assert!(said.contains("secret_not_yours"), "{said} {}", String::from_utf8_lossy(&other.stderr));
    std::fs::write(shared.join("go"), "").unwrap();
    place.reaches(id, State::Completed).await;
    let events = running.stop().await;
    assert_eq!(std::fs::read_to_string(&ledger).unwrap(), format!("grant {grant}\nsecret {CANARY}\n"));
    assert!(events.iter().any(|event| matches!(event, RunnerEvent::SecretGiven { .. })), "{events:?}");
    let told = std::fs::read_to_string(place.work().join("secrets.jsonl")).unwrap();
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_with_the_processes_of_this_machine_is_given_nothing() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let (secret, ledger) = (place.folder.path().join("secret"), shared.join("ledger"));
    std::fs::write(&secret, CANARY).unwrap();
    std::fs::write(shared.join("go"), "").unwrap();
    place.apply(&runs(&roles::agent(&ledger, "secret"), "30s")).await;
    place.create().await;
    let executor = containers(&engine, &shared, |config| config.run_options.push("--pid=host".to_owned()));
    let running = place
        .run(|config| {
            config.executor = executor;
            governed(config, &secret);
        })
        .await;
    place.decide(DecisionKind::Approve, None).await;
    let refused = |event: &RunnerEvent| match event {
        RunnerEvent::SecretRefused { why, .. } => Some(why.clone()),
        _ => None,
    };
    assert_eq!(running.tells(refused).await, "the process is none of this attempt");
    running.ask_to_stop();
    running.stop().await;
    assert!(!std::fs::read_to_string(&ledger).unwrap().contains(CANARY));
}

#[tokio::test(flavor = "multi_thread")]
async fn memory_and_processes_of_a_container_are_limited_together() {
    let engine = Engine::open();
    for (script, said) in [
        ("for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do sleep 5 & done; wait", "fork"),
        ("python3 -c 'x = bytearray(200 << 20); print(len(x))'; echo status $?", "status 137"),
    ] {
        let place = Place::open().await;
        place.apply(&runs(&shell(script), "30s")).await;
        let id = place.create().await;
        let executor = engine.executor(&shared(&place));
        let running = place
            .run(|config| {
                config.executor = executor;
                (config.group_limits.memory_bytes, config.group_limits.processes) = (Some(64 << 20), Some(8));
            })
            .await;
        running.tells(ended).await;
        running.stop().await;
        let found = log(&place, id);
        assert!(found.to_lowercase().contains(said), "{script}: {found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_containers_cannot_keep_lets_no_runner_start() {
    let (place, engine) = (Place::open().await, Engine::open());
    let shared = shared(&place);
    let mut config = place.config().await;
    (config.executor, config.limits.address_bytes) = (engine.executor(&shared), Some(1 << 30));
    let error = Runner::new(place.client("dev-runner"), config).unwrap_err().to_string();
    assert!(error.contains("`limits.address_space` does not go with"), "{error}");
    let mut config = place.config().await;
    (config.executor, config.command_dir) = (engine.executor(&shared), Some(shared.clone()));
    let error = Runner::new(place.client("dev-runner"), config).unwrap_err().to_string();
    assert!(error.contains("--workdir"), "{error}");

    for (executor, said) in [
        (containers(&engine, &shared, |config| config.program = "/no/such/engine".into()), "cannot be run"),
        (
            containers(&engine, &shared, |config| config.image = "localhost/nothing:1".to_owned()),
            "refuses `image`",
        ),
        (
            containers(&engine, &shared, |config| config.engine_options.push("--no-such".to_owned())),
            "refuses",
        ),
    ] {
        let mut config = place.config().await;
        config.executor = executor;
        let runner = Runner::new(place.client("dev-runner"), config).unwrap();
        let error = runner.run(std::future::pending()).await.unwrap_err();
        assert!(matches!(error, RunnerError::Executor(ExecutorError::Engine(_))), "{error}");
        assert!(error.to_string().contains(said), "{error}");
    }
    // Without a look at the image: it is fetched when it is needed, and the attempt fails if it cannot be.
    place.apply(&runs(&shell("true"), "30s")).await;
    place.create().await;
    let executor = containers(&engine, &shared, |config| {
        (config.image, config.pull) = ("127.0.0.1:1/nothing:1".to_owned(), Pull::Missing);
    });
    let running = place.run(|config| config.executor = executor).await;
    assert_eq!(running.tells(ended).await, (125, State::Terminated));
    running.stop().await;
}

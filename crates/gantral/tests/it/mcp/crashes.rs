//! Whatever dies, and whenever: a call is carried out once at most, and what is said of it is true.

use super::*;

const TRANSFER: &str = "5 EUR to bob\n";

fn transfer(client: &mut Lines, id: &str) {
    client.call(id, "transfer", json!({"amount": 5, "to": "bob"}));
}

/// Lets the server take its time between the effect and the answer, from now on.
fn slow(world: &World) {
    std::fs::write(world.path("ledger.slow"), "").unwrap();
}

#[test]
fn stored_call_runs_once_after_approval_though_the_interceptor_was_killed() {
    let world = world();
    let command = before_pay(&world, "1");
    let mut client = Lines::ready(&command, world.folder());
    transfer(&mut client, "1");
    assert_eq!(client.answer("1")["result"]["structuredContent"]["status"], "WAITING_FOR_HUMAN");
    client.child.kill();
    let gate = approve_next(&world);
    assert_eq!(world.text("ledger"), "");
    // Nobody sends it again: whoever starts next carries it out.
    let mut client = Lines::ready(&command, world.folder());
    assert!(wait_until(|| world.text("ledger") == TRANSFER));
    client.call("2", "gantral_wait", json!({"gate_id": gate, "seconds": 40}));
    assert_eq!(client.answer("2")["result"]["content"][0]["text"], "5 EUR to bob");
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
    assert_eq!(world.text("ledger"), TRANSFER);
}

#[test]
fn client_that_left_finds_the_result_of_its_call_once() {
    let world = world();
    let command = before_pay(&world, "40");
    let mut client = Lines::ready(&command, world.folder());
    transfer(&mut client, "1");
    gate_of_next(&world);
    client.leave();
    approve_next(&world);
    let mut client = Lines::ready(&command, world.folder());
    transfer(&mut client, "1");
    assert_eq!(client.answer("1")["result"]["content"][0]["text"], "5 EUR to bob");
    assert_eq!(world.text("ledger"), TRANSFER);
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}

#[test]
fn interceptor_killed_while_the_server_has_the_call_makes_it_unknown_and_nothing_runs_again() {
    let world = world();
    slow(&world);
    let command = before_pay(&world, "40");
    let mut client = Lines::ready(&command, world.folder());
    transfer(&mut client, "1");
    approve_next(&world);
    assert!(wait_until(|| world.text("ledger") == TRANSFER));
    client.child.kill();
    std::fs::remove_file(world.path("ledger.slow")).unwrap();
    let mut client = Lines::ready(&command, world.folder());
    transfer(&mut client, "1");
    let answer = client.answer("1");
    assert_eq!(answer["result"]["structuredContent"]["status"], "UNKNOWN", "{answer}");
    assert_eq!(outcomes(&world, 1)[0]["status"], "UNKNOWN");
    assert_eq!(world.text("ledger"), TRANSFER);
}

#[test]
fn server_killed_while_it_has_the_call_makes_it_unknown() {
    let world = world();
    slow(&world);
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    transfer(&mut client, "1");
    approve_next(&world);
    assert!(wait_until(|| world.text("ledger") == TRANSFER));
    let pattern = world.path("ledger").display().to_string();
    for pid in processes(&["pay.py", &pattern]) {
        let killed = Command::new("kill").args(["-KILL", &pid]).status().unwrap();
        assert!(killed.success());
    }
    let answer = client.answer("1");
    assert_eq!(answer["result"]["structuredContent"]["status"], "UNKNOWN", "{answer}");
    assert_eq!(outcomes(&world, 1)[0]["status"], "UNKNOWN");
    assert_eq!(world.text("ledger"), TRANSFER);
}

#[test]
fn server_over_http_that_is_killed_while_it_has_the_call_makes_it_unknown_and_one_that_is_not_there_failed() {
    let world = world();
    slow(&world);
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let ledger = world.path("ledger").display().to_string();
    let serve = || {
        let words = ["-B", &ours("pay.py"), &ledger, &port.to_string()].map(ToOwned::to_owned);
        let log = std::fs::File::create(world.path("pay.log")).unwrap();
        let child = Command::new(interpreter())
            .args(words)
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        let server = Killed::of(child.unwrap());
        assert!(wait_until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()));
        server
    };
    let mut server = serve();
    let url = format!("http://127.0.0.1:{port}/mcp");
    let command = interceptor(&world, &["--name", "pay", "--hold", "40", "--upstream", &url]);
    let mut client = Lines::ready(&command, world.folder());
    transfer(&mut client, "1");
    approve_next(&world);
    assert!(wait_until(|| world.text("ledger") == TRANSFER));
    server.kill();
    let answer = client.answer("1");
    assert_eq!(answer["result"]["structuredContent"]["status"], "UNKNOWN", "{answer}");
    assert_eq!(outcomes(&world, 1)[0]["status"], "UNKNOWN");
    // One that was never sent is known not to have been done.
    client.call("2", "transfer", json!({"amount": 6, "to": "bob"}));
    approve_next(&world);
    let answer = client.answer("2");
    assert_eq!(answer["result"]["structuredContent"]["code"], "server_gone", "{answer}");
    assert_eq!(world.text("ledger"), TRANSFER);
}

#[test]
fn nothing_of_a_server_outlives_an_interceptor_that_is_killed() {
    let world = world();
    let pattern = world.path("ledger").display().to_string();
    let mut client = Lines::ready(&before_pay(&world, "1"), world.folder());
    assert!(!processes(&["pay.py", &pattern]).is_empty());
    client.child.kill();
    assert!(wait_until(|| processes(&["pay.py", &pattern]).is_empty()));
}

#[test]
fn tool_that_takes_other_arguments_by_now_is_not_called() {
    let world = world();
    let command = before_pay(&world, "1");
    let mut client = Lines::ready(&command, world.folder());
    transfer(&mut client, "1");
    let gate = client.answer("1")["result"]["structuredContent"]["gate_id"].as_str().unwrap().to_owned();
    client.leave();
    std::fs::write(world.path("ledger.drift"), "").unwrap();
    assert_eq!(approve_next(&world), gate);
    let mut client = Lines::ready(&command, world.folder());
    client.call("1", "gantral_wait", json!({"gate_id": gate, "seconds": 40}));
    let answer = client.answer("1");
    assert_eq!(answer["result"]["structuredContent"]["code"], "schema_changed", "{answer}");
    assert_eq!(outcomes(&world, 1)[0]["status"], "FAILED");
    // It asks again, with the arguments that it takes now.
    transfer(&mut client, "2");
    assert_eq!(client.answer("2")["result"]["structuredContent"]["status"], "WAITING_FOR_HUMAN");
    let shown = world.run(&["approvals", "show", &gate_of_next(&world)]).status(0).data;
    assert!(shown.contains("urgent"), "{shown}");
    assert_eq!(world.text("ledger"), "");
}

#[test]
fn gantral_killed_while_a_call_waits_loses_nothing() {
    let mut world = world();
    let mut client = Lines::ready(&before_pay(&world, "1"), world.folder());
    transfer(&mut client, "1");
    let gate = client.answer("1")["result"]["structuredContent"]["gate_id"].as_str().unwrap().to_owned();
    world.kill_server();
    world.start_server();
    assert_eq!(approve_next(&world), gate);
    client.call("2", "gantral_wait", json!({"gate_id": gate, "seconds": 45}));
    let answer = client.answer("2");
    assert_eq!(answer["result"]["content"][0]["text"], "5 EUR to bob", "{answer}");
    assert_eq!(world.text("ledger"), TRANSFER);
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}

#[test]
fn gantral_killed_while_the_server_has_the_call_learns_the_outcome_late() {
    let mut world = world();
    slow(&world);
    let mut client = Lines::ready(&before_pay(&world, "40"), world.folder());
    transfer(&mut client, "1");
    approve_next(&world);
    assert!(wait_until(|| world.text("ledger") == TRANSFER));
    world.kill_server();
    std::fs::remove_file(world.path("ledger.slow")).unwrap();
    // The client need not wait for the report.
    assert_eq!(client.answer("1")["result"]["content"][0]["text"], "5 EUR to bob");
    world.start_server();
    assert_eq!(outcomes(&world, 1)[0]["status"], "SUCCEEDED");
}

/// Returns the processes whose command line holds all these words, but the interceptor's and its guardian's.
pub fn processes(words: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().map_while(Result::ok) {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        let python = line.split(' ').next().is_some_and(|program| program.ends_with("python"));
        if python && words.iter().all(|word| line.contains(word)) {
            found.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

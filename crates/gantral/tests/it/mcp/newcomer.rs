//! Whoever has never seen it: from nothing to a governed server in their client's configuration, and back.

use std::time::{Duration, Instant};

use super::governed::by_command;
use super::*;

/// How long it may take a newcomer, the programs alone: most of two minutes is theirs, for reading.
const WITHIN: Duration = Duration::from_secs(60);

/// The configuration that a newcomer has: two servers of others, one of them over HTTP, and a word of the client's own.
fn configuration(world: &World) -> Value {
    json!({
        "theme": "dark",
        "mcpServers": {
            "filesystem": {
                "command": node("mcp-server-filesystem"),
                "args": [world.path("notes").display().to_string()],
                "env": {"LANG": "C"},
            },
            "web": {"url": "https://tools.example.org/mcp"},
        },
    })
}

/// Calls a tool by a client of others, which starts the server as the configuration says; `work` happens while it waits.
fn call(world: &World, tool: &str, arguments: Value, work: impl FnOnce()) -> Value {
    let configured: Value = serde_json::from_str(&world.text("mcp.json")).unwrap();
    let entry = &configured["mcpServers"]["filesystem"];
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let words = entry["args"].as_array().unwrap().iter().map(word);
    let command: Vec<String> = std::iter::once(word(&entry["command"])).chain(words).collect();
    let said = python_client(&by_command(&command, &json!([[tool, arguments]])), world.folder(), work);
    said.last().unwrap().clone()
}

fn write(world: &World, name: &str, work: impl FnOnce()) -> Value {
    let place = world.path("notes").join(name).display().to_string();
    call(world, "write_file", json!({"path": place, "content": "hello"}), work)
}

#[test]
fn newcomer_governs_a_server_of_their_client_in_two_minutes_and_takes_it_out_again() {
    let begun = Instant::now();
    let mut world = World::start();
    std::fs::create_dir(world.path("notes")).unwrap();
    let before = serde_json::to_string_pretty(&configuration(&world)).unwrap() + "\n";
    std::fs::write(world.path("mcp.json"), &before).unwrap();

    let said = world.run(&["govern", "mcp.json"]).status(0);
    assert!(said.data.contains("governed filesystem") && said.data.contains("left web"), "{said:?}");
    let governed: Value = serde_json::from_str(&world.text("mcp.json")).unwrap();
    assert_eq!(governed["mcpServers"]["filesystem"]["args"][0], "mcp");
    let kept = ["theme", "mcpServers/web", "mcpServers/filesystem/env"].map(|path| format!("/{path}"));
    for path in &kept {
        assert_eq!(governed.pointer(path), configuration(&world).pointer(path), "{path}");
    }
    let said = write(&world, "a.txt", || {
        let gate = gate_of_next(&world);
        assert!(!world.path("notes/a.txt").exists());
        world.run(&["approvals", "approve", &gate, "--reason", "it is wanted"]).status(0);
    });
    assert_eq!(world.text("notes/a.txt"), "hello", "{said}");
    let place = world.path("notes/a.txt").display().to_string();
    let said = call(&world, "read_text_file", json!({"path": place}), || {});
    assert_eq!((&said["error"], &said["text"]), (&json!(false), &json!("hello")), "{said}");
    assert!(begun.elapsed() < WITHIN, "{:?}", begun.elapsed());

    // With Gantral stopped and still in the configuration nothing governed runs.
    world.kill_server();
    let said = write(&world, "b.txt", || {});
    assert!(!world.path("notes/b.txt").exists(), "{said}");

    // Taken out, the file is what it was, and the client works as before.
    world.run(&["govern", "mcp.json", "--undo"]).status(0);
    assert_eq!(world.text("mcp.json"), before);
    let said = write(&world, "b.txt", || {});
    assert_eq!(world.text("notes/b.txt"), "hello", "{said}");
}

#[test]
fn a_configuration_that_cannot_be_read_or_changed_stays_as_it_is() {
    let world = World::start();
    let refused = |text: &str, words: &[&str]| {
        std::fs::write(world.path("mcp.json"), text).unwrap();
        let said = world.run(&[&["govern", "mcp.json"][..], words].concat()).status(1);
        assert_eq!(world.text("mcp.json"), text);
        said.talk
    };
    assert!(refused("// mine\n{}", &[]).contains("is no JSON"));
    assert!(refused("{\"theme\": \"dark\"}", &[]).contains("no `mcpServers`"));
    assert!(
        refused("{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}", &["--server", "b"])
            .contains("no server `b`")
    );
    let text = "{\"mcpServers\": {\"a\": {\"command\": \"x\"}}}";
    std::fs::write(world.path("mcp.json"), text).unwrap();
    let shown = world.run(&["govern", "mcp.json", "--dry-run"]).status(0).data;
    assert!(shown.contains("\"--name\"") && world.text("mcp.json") == text, "{shown}");
    let elsewhere = crate::support::run(
        world.path("..").as_path(),
        &["govern", &world.path("mcp.json").display().to_string()],
    );
    assert!(elsewhere.status(1).talk.contains("no `gantral dev` in this folder"));
}

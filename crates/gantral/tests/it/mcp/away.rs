//! Gantral stopped, though the interceptor is in the configuration of a client; and the interceptor taken out of it.

use super::governed::{by_command, everything_over_http, listening};
use super::*;

#[test]
fn over_each_connection_nothing_governed_runs_without_gantral_and_everything_without_the_interceptor() {
    let mut world = world();
    let (_server, url) = everything_over_http(&world);
    let everything = node("mcp-server-everything");
    let echo = json!([["echo", {"message": "hi"}]]);
    let words = ["--name", "everything", "--upstream", &url];
    let (_interceptor, listens) = listening(&world, &words);
    let governed = [
        by_command(&interceptor(&world, &["--name", "everything", "--", &everything]), &echo),
        by_command(&interceptor(&world, &words), &echo),
        json!({"url": listens, "calls": echo}),
    ];
    let plain = [by_command(&[everything], &echo), json!({"url": url, "calls": echo})];
    let says =
        |asked: &Value, world: &World| python_client(asked, world.folder(), || {}).last().unwrap().clone();
    for asked in &governed {
        let said = says(asked, &world);
        assert_eq!((&said["error"], &said["text"]), (&json!(false), &json!("Echo: hi")), "{asked}: {said}");
    }
    world.kill_server();
    for asked in &governed {
        let said = says(asked, &world);
        assert_eq!(said["error"], true, "{asked}: {said}");
        assert!(!said["text"].as_str().unwrap().contains("Echo: hi"), "{asked}: {said}");
    }
    for asked in &plain {
        let said = says(asked, &world);
        assert_eq!((&said["error"], &said["text"]), (&json!(false), &json!("Echo: hi")), "{asked}: {said}");
    }
}

//! Gantral stopped, though it is configured: nothing governed runs. Gantral taken away: everything goes on as before.

use std::process::{Command, Stdio};

use crate::support::{Ran, World, gantral};

/// A script that asks before it pays. Its own commands are all that it knows of Gantral.
const SCRIPT: &str = r#"set -eu
action='{"name":"refund","target":"order/7","parameters":{"amount":50,"note":""}}'
grant=$(gantral ask refund --target order/7 --set amount=50)
echo "$action" | gantral consume --grant "$grant" --action - > approved
echo "paid $(cat approved)" >> effect
gantral outcome SUCCEEDED --grant "$grant"
"#;

fn sh(world: &World, script: &str, variables: &[(&str, &str)]) -> Ran {
    let mut command = Command::new("sh");
    let path =
        gantral(world.folder()).get_envs().find(|(name, _)| *name == "PATH").unwrap().1.unwrap().to_owned();
    command.args(["-c", script]).env_clear().env("PATH", path).envs(variables.iter().copied());
    command.current_dir(world.folder()).stdin(Stdio::null());
    Ran::of(command.output().unwrap())
}

#[test]
fn script_stops_without_its_server_or_its_configuration_and_goes_on_where_gantral_was_taken_away() {
    let mut world = World::start();
    std::fs::write(world.path("token"), "none").unwrap();
    let url = world.url().to_owned();
    world.kill_server();
    let id = "11111111-1111-4111-8111-111111111111";
    let configured =
        [("GANTRAL_URL", url.as_str()), ("GANTRAL_TOKEN_FILE", "token"), ("GANTRAL_INSTANCE_ID", id)];
    for (what, variables, said) in [
        ("the server is stopped", &configured[..], "[unreachable]"),
        ("the configuration is lost", &[], "[not_an_attempt]"),
        ("another word", &[("GANTRAL", "no")], "[not_an_attempt]"),
        ("a process of a runner", &[("GANTRAL", "off"), ("GANTRAL_INSTANCE_ID", id)], "[not_an_attempt]"),
    ] {
        let ran = sh(&world, SCRIPT, variables);
        assert_eq!((ran.status, world.text("effect").as_str()), (1, ""), "{what}: {ran:?}");
        assert!(ran.talk.contains(said), "{what}: {ran:?}");
    }
    let ran = sh(&world, SCRIPT, &[("GANTRAL", "off")]).status(0);
    assert!(ran.talk.contains("gantral is off"), "{ran:?}");
    let paid = r#"paid {"name":"refund","parameters":{"amount":50,"note":""},"target":"order/7"}"#;
    assert_eq!(world.text("effect"), format!("{paid}\n"));
}

/// A coding agent of three lines: before it uses a tool it runs the hook that is configured, and one that ends with 2 blocks the tool.
const AGENT: &str = r#"
message='{"session_id":"s","hook_event_name":"PreToolUse","tool_name":"Read","tool_input":{"file_path":"/a"},"tool_use_id":"t","cwd":"/"}'
if [ -e hook ]; then printf %s "$message" | sh ./hook; status=$?; [ $status = 0 ] || exit $status; fi
echo read >> effect
"#;

#[test]
fn command_and_tool_of_an_agent_run_if_gantral_answers_or_was_taken_away_and_not_if_it_is_stopped() {
    let mut world = World::start();
    let governed = "gantral run -- sh -c 'echo ran >> effect'";
    let gate = sh(&world, governed, &[]).status(3).word();
    world.run(&["approvals", "approve", &gate, "--reason", "looked at it"]).status(0);
    std::fs::write(world.path("hook"), "exec gantral hook\n").unwrap();

    // Both may go on as far as anybody but Gantral knows: one is approved, the other is what policy allows.
    world.kill_server();
    for (script, status, code) in [(governed, 1, "[unreachable]"), (AGENT, 2, "[unreachable]")] {
        let ran = sh(&world, script, &[]);
        assert_eq!((ran.status, world.text("effect").as_str()), (status, ""), "{script}: {ran:?}");
        assert!(ran.talk.contains(code), "{script}: {ran:?}");
        // The word of scripts takes nothing out of the path of an action.
        let ran = sh(&world, script, &[("GANTRAL", "off")]);
        assert_eq!((ran.status, world.text("effect").as_str()), (status, ""), "{script}: {ran:?}");
    }

    world.start_server();
    for (script, effect) in [(governed, "ran\n"), (AGENT, "ran\nread\n")] {
        sh(&world, script, &[]).status(0);
        assert_eq!(world.text("effect"), effect, "{script}");
    }

    // Out of the configuration, with nothing left of it.
    world.kill_server();
    std::fs::remove_file(world.path("hook")).unwrap();
    for (script, effect) in [
        (governed.trim_start_matches("gantral run -- "), "ran\nread\nran\n"),
        (AGENT, "ran\nread\nran\nread\n"),
    ] {
        sh(&world, script, &[]).status(0);
        assert_eq!(world.text("effect"), effect, "{script}");
    }
}

//! What a deployment is given besides the binary: alert rules, as Prometheus itself reads them, and a unit, as systemd does.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::provider::curl;
use crate::support::{Killed, World, part, repository, wait_until};

/// A program of Prometheus: the one of the system, else the one of the parts.
fn prometheus(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found =
        std::env::split_paths(&path).map(|folder| folder.join(name)).find(|program| program.is_file());
    found.unwrap_or_else(|| part("prometheus/usr/bin").join(name))
}

#[test]
fn every_alert_fires_when_it_should_and_none_in_a_deployment_that_is_well() {
    let folder = repository().join("deploy/prometheus");
    for words in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        let ran = Command::new(prometheus("promtool")).args(words).current_dir(&folder).output().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success() && said.contains("SUCCESS"), "{said}");
    }
    let rules = std::fs::read_to_string(folder.join("alerts.yml")).unwrap();
    let tests = std::fs::read_to_string(folder.join("alerts_test.yml")).unwrap();
    for rule in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let cases: Vec<&str> = tests.split("alertname: ").filter(|case| case.starts_with(rule)).collect();
        let fires =
            cases.iter().filter(|case| case.lines().nth(1).is_some_and(|line| line.contains("exp_alerts")));
        assert!(fires.count() > 0, "no test sees {rule} fire");
        assert!(cases.len() > 1, "no test sees {rule} silent");
    }
}

#[test]
fn alerts_send_whoever_reads_them_to_commands_that_there_are() {
    let rules = std::fs::read_to_string(repository().join("deploy/prometheus/alerts.yml")).unwrap();
    let commands = std::fs::read_to_string(repository().join("docs/cli.md")).unwrap();
    let named: Vec<&str> = rules.split('`').filter(|text| text.starts_with("gantral ")).collect();
    assert!(named.len() >= 4, "{named:?}");
    for command in named {
        assert!(commands.contains(&format!("\n## {command}\n")), "`{command}` is no command");
    }
}

#[test]
fn prometheus_scrapes_a_server_and_has_every_alert_at_work() {
    let world = World::start();
    world.apply("exit 0", "30s");
    world.create();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (server, rules) =
        (world.url().trim_start_matches("http://"), repository().join("deploy/prometheus/alerts.yml"));
    let settings = format!(
        "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{rules:?}]\n\
         scrape_configs:\n  - {{ job_name: gantral, static_configs: [ {{ targets: ['{server}'] }} ] }}\n"
    );
    std::fs::write(world.path("prometheus.yml"), settings).unwrap();
    let log = File::create(world.path("prometheus.log")).unwrap();
    let mut command = Command::new(prometheus("prometheus"));
    command
        .args(["--config.file=prometheus.yml", "--storage.tsdb.path=tsdb"])
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .current_dir(world.folder())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    let _prometheus = Killed::of(command.spawn().unwrap());
    let ask = |path: &str| -> Value {
        let output = Command::new("curl")
            .args(["--silent", &format!("http://127.0.0.1:{port}/api/v1/{path}")])
            .output();
        serde_json::from_slice(&output.unwrap().stdout).unwrap_or_default()
    };
    let running = || ask("query?query=sum(gantral_instances)");
    let scraped = wait_until(|| running()["data"]["result"][0]["value"][1] == "1");
    assert!(scraped, "{}\n{}", running(), world.text("prometheus.log"));
    let all = || {
        let groups = ask("rules")["data"]["groups"].as_array().cloned().unwrap_or_default();
        groups.iter().flat_map(|group| group["rules"].as_array().unwrap().clone()).collect::<Vec<Value>>()
    };
    let at_work = |rules: &[Value]| !rules.is_empty() && rules.iter().all(|rule| rule["health"] == "ok");
    assert!(wait_until(|| at_work(&all())), "{:?}\n{}", all(), world.text("prometheus.log"));
    assert!(all().iter().all(|rule| rule["state"] != "firing"), "{:?}", all());
    // What strangers may read is what Prometheus reads.
    assert!(curl(&[&format!("{}/metrics", world.url())]).contains("gantral_gates_oldest_seconds 0.0"));
}

#[test]
fn unit_of_systemd_is_sound_and_leaves_the_server_little_of_the_machine() {
    let unit = std::fs::read_to_string(repository().join("deploy/systemd/gantral.service")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    // The program is looked for, and nothing is started.
    let path = folder.path().join("gantral.service");
    std::fs::write(&path, unit.replace("/usr/bin/gantral", env!("CARGO_BIN_EXE_gantral"))).unwrap();
    for words in
        [&["verify", "--man=no"][..], &["security", "--offline=true", "--no-pager", "--threshold=15"]]
    {
        let ran = Command::new("systemd-analyze").args(words).arg(&path).output();
        let ran = ran.expect("`cargo xtask parts` installs what this test needs");
        let said =
            format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
        assert!(ran.status.success(), "{words:?}\n{said}");
    }
}
